"""What a server may say once it has let a client in, and tokens: what an authentication must not leave behind."""

import base64
import sqlite3
import struct

import pytest

from harness import messages, secrets
from harness.messages import ErrorResponse

NOTIFICATION = messages.message(b"A", struct.pack("!I", 7) + b"channel\0payload\0")


def notice(size: int) -> bytes:
    return messages.message(b"N", b"SNOTICE\0VNOTICE\0C00000\0M" + b"n" * size + b"\0\0")


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
@pytest.mark.parametrize("said", [
    NOTIFICATION, notice(300_000), notice(2_000_000), notice(100) * 20_000, NOTIFICATION + notice(5_000_000) + NOTIFICATION,
    messages.parameter_status("search_path", "s" * 400_000)], ids=["notification", "300 KB", "2 MB", "20,000 notices", "in between", "setting"])
def test_a_login_trigger_may_say_what_it_likes(start, client, fake, server_tls, how, said):
    def script(peer):
        peer.open(server_tls)
        peer.send(messages.AUTHENTICATION_OK + said + messages.backend_key_data(7, b"abcd") + said + messages.READY_FOR_QUERY)
        peer.serve()

    proxy = start([fake(script).host])
    raw = client(proxy).negotiate(how)
    raw.send(messages.startup())
    expected = messages.AUTHENTICATION_OK + said + messages.backend_key_data(7, b"abcd") + said + messages.READY_FOR_QUERY
    assert raw.receive(len(expected)) == expected
    raw.query("SELECT")
    assert proxy.event("connected")["backend_pid"] == 7


@pytest.mark.parametrize("said", [NOTIFICATION, notice(300_000), notice(1000) * 1100], ids=["notification", "long", "many"])
def test_before_it_has_let_the_client_in_a_server_may_not(start, client, fake, server_tls, said):
    def script(peer):
        peer.open(server_tls)
        peer.send(said)
        peer.until_closed()

    raw = client(start([fake(script).host]))
    raw.send(messages.startup())
    kinds = []
    while not kinds or kinds[-1][0] == b"N":
        kinds.append(raw.message())
    assert messages.ErrorResponse(kinds[-1][1]).sqlstate == "08P01"


# --- OAUTHBEARER

TOKEN = "Secret-token-51f0b7d5c9e84a"


def bearer(value: str) -> bytes:
    return b"n,,\x01auth=" + value.encode() + b"\x01\x01"


def refusing(context, error: bytes):
    def script(peer):
        peer.open(context)
        assert peer.sasl("OAUTHBEARER")[0] == "OAUTHBEARER"
        peer.send(messages.authentication(messages.SASL_CONTINUE, b'{"status":"invalid_token"}'))
        assert peer.message() == (b"p", b"\x01")
        peer.send(error)
    return script


def ask(raw, value) -> ErrorResponse:
    assert raw.begin_login()[0] == messages.SASL
    raw.send(messages.sasl_initial_response("OAUTHBEARER", bearer(value)))
    assert raw.authentication()[0] == messages.SASL_CONTINUE
    raw.send(messages.message(b"p", b"\x01"))
    return raw.fatal()  # with the close, although the client holds its side open


def test_an_oauth_discovery_is_no_failed_login(start, client, fake, server_tls):
    server = fake(refusing(server_tls, messages.error_response("28000", "OAuth bearer authentication failed for user \"app\"")))
    proxy = start([server.host])
    raw = client(proxy).negotiate("sslrequest")
    assert ask(raw, "").sqlstate == "28000"
    event = proxy.event("oauth_discovery")
    assert (event["client_port"], event["auth_method"], event["sqlstate"]) == (raw.port, "oauthbearer", "28000")
    assert not [other for other in proxy.all_events() if other["event"] == "auth_failed"]


def test_a_token_that_is_refused_is_a_failed_login_and_nowhere_to_be_read(start, client, fake, server_tls):
    secrets.tell_password(TOKEN)  # whatever the proxy writes is searched for it
    server = fake(refusing(server_tls, messages.error_response("28000", f"token {TOKEN[:-3]}... is not ours")))
    proxy = start([server.host])
    error = ask(client(proxy).negotiate("sslrequest"), f"Bearer {TOKEN}")
    assert TOKEN[:-3] in error.message  # the client's own
    event = proxy.event("auth_failed")
    assert (event["auth_method"], event["sqlstate"], event["reason"]) == ("oauthbearer", "28000", "server_denied")
    assert event["message"].startswith("(not recorded")
    assert TOKEN[:-3] not in proxy.log() + proxy.audit_text()


@pytest.mark.parametrize("form", [
    str, str.upper, "-".join, lambda text: text[::-1], lambda text: text.encode().hex(), lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
], ids=["as it is", "upper case", "separated", "reversed", "hex", "base64", "percent-encoded"])
def test_a_password_that_the_server_repeats_is_not_recorded(start, client, fake, server_tls, form):
    def script(peer):
        peer.open(server_tls)
        peer.send(messages.authentication(messages.CLEARTEXT))
        password = peer.message()[1][:-1].decode()
        peer.send(messages.error_response("28P01", f"what is \"{form(password)}\" supposed to be?"))

    proxy = start([fake(script).host])
    raw = client(proxy).negotiate("sslrequest")
    told = form("Secret-echo-7d")
    with pytest.raises(ErrorResponse) as refused:
        raw.login("trust_user", "Secret-echo-7d")
    assert told in refused.value.message  # the client's own
    event = proxy.event("auth_failed")
    assert (event["sqlstate"], event["message"].startswith("(not recorded")) == ("28P01", True)
    proxy.stop()
    assert told not in proxy.log() + proxy.audit_text()
    with sqlite3.connect(proxy.state_dir / "inventory.db") as db:
        failures = [row[0] for row in db.execute("SELECT failure_error FROM clients")]
    assert failures and all(told not in failure and "not recorded" in failure for failure in failures)
