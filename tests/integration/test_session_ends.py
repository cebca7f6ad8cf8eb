"""Whatever ends a connection that had begun, and at whatever moment, it leaves one event that says so."""

import os
import signal
import socket
import subprocess

import pytest

from harness import messages
from harness.config import configuration
from harness.fake_upstream import server_context
from harness.messages import ErrorResponse
from harness.scram import ScramServer
from harness.waiting import until


def the_only_end(proxy, port):
    """What the connection left in the audit, once nothing more can come."""
    ends = [event for event in proxy.all_events() if event.get("client_port") == port]
    assert len(ends) == 1, ends
    return ends[0]


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
@pytest.mark.parametrize("stage", ["before TLS", "within TLS"])
def test_the_end_of_a_drain_reaches_a_login_that_is_still_connecting(start, client, fake, stage, how):
    """A server that accepts and then says nothing, or nothing more: connect_timeout is far away."""
    def hang(peer):
        peer.packet()
        if stage == "within TLS":
            peer.send(b"S")
        peer.until_closed()

    server = fake(hang)
    proxy = start([server.host], runtime={"drain_timeout": "500ms"}, upstream={"connect_timeout": "30s"})
    raw = client(proxy).negotiate(how)
    raw.send(messages.startup("trust_user"))
    until(lambda: server.peers and server.peers[0].opening)
    proxy.signal(signal.SIGTERM)
    assert raw.fatal().sqlstate == "57P03"
    proxy.expect_exit(0, timeout=25)
    event = the_only_end(proxy, raw.port)
    assert (event["event"], event["reason"], event["usename"]) == ("rejected", "shutting_down", "trust_user")


def test_a_client_that_lingers_after_its_refusal_is_not_reported_twice(start, client):
    proxy = start(tls={"mode": "require"}, runtime={"drain_timeout": "300ms"})
    raw = client(proxy)
    raw.send(messages.startup("trust_user"))
    assert raw.error().sqlstate == "28000"
    proxy.signal(signal.SIGTERM)  # it holds its side open meanwhile
    proxy.expect_exit(0)
    assert the_only_end(proxy, raw.port)["reason"] == "tls_required"


@pytest.mark.parametrize("leave", ["close", "abort"])
def test_a_client_that_leaves_after_tls_was_declined_is_seen(start, client, leave):
    """A driver that insists on TLS may close or reset: both tell the same."""
    proxy = start(tls={"mode": "disable"})
    raw = client(proxy).negotiate("sslrequest-refused")
    getattr(raw, leave)()
    event = proxy.event("tls_failed")
    assert (event["client_port"], event["evidence"]) == (raw.port, ["closed_after_no"])


@pytest.fixture(scope="module")
def without_pbkdf2(root):
    """A library that makes OpenSSL's key derivation fail."""
    source, library = root / "without_pbkdf2.c", root / "without_pbkdf2.so"
    source.write_text("int PKCS5_PBKDF2_HMAC() { return 0; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    options = os.environ.get("ASAN_OPTIONS", "")
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": f"{options}:verify_asan_link_order=0".lstrip(":")}


def test_a_login_that_we_fail_ourselves_is_told_and_recorded(run_proxy, pki, client, fake, without_pbkdf2):
    def ask(peer):
        peer.open(server_context(pki.server))
        peer.scram(ScramServer("secret"), "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")

    server = fake(ask)
    proxy = run_proxy(configuration(pki, [server.host]), environment=without_pbkdf2)
    raw = client(proxy).negotiate("sslrequest")
    with pytest.raises(ErrorResponse) as failed:
        raw.login("trust_user", "secret", gs2="y")
    assert failed.value.sqlstate == "XX000"
    event = proxy.event("rejected")
    assert (event["client_port"], event["reason"], event["sqlstate"]) == (raw.port, "failed", "XX000")


# --- a client that leaves before it is let in

LEAVING = [("plain", "close"), ("plain", "abort"), ("sslrequest", "close_notify"), ("sslrequest", "close"), ("sslrequest", "abort")]


def silent_after(stage, context):
    """A server that comes as far as `stage`, and then only hears when it is left."""
    def script(peer):
        if stage == "login":
            peer.open(context)
        else:
            peer.packet()
        peer.rest = peer.until_closed()
    return script


@pytest.mark.parametrize("stage", ["connecting", "login"])
@pytest.mark.parametrize("how, leave", LEAVING)
def test_a_client_that_leaves_frees_its_place_and_its_server(start, client, fake, server_tls, stage, how, leave):
    server = fake(silent_after(stage, server_tls))
    proxy = start([server.host], runtime={"max_connections": 1})
    raw = client(proxy).negotiate(how)
    raw.send(messages.startup())
    until(lambda: server.peers and len(server.peers[0].opening) == (3 if stage == "login" else 1))
    getattr(raw, leave)()
    event = proxy.event("auth_failed")
    assert (event["client_port"], event["reason"]) == (raw.port, "client_left")
    until(lambda: hasattr(server.peers[0], "rest"), what="the server is left")
    assert server.peers[0].opening == ["SSLRequest", "tls", "StartupMessage"][:len(server.peers[0].opening)]
    raw.close()
    client(proxy).send(messages.startup())
    until(lambda: len(server.peers) == 2, what="the place is free")


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_nobody_is_logged_in_for_a_client_that_left_while_tls_began(start, client, fake, server_tls, how):
    def slow(peer):
        peer.packet()
        until(lambda: hasattr(peer, "may_go_on"))
        peer.send(b"S")
        peer.rest = peer.until_closed()

    server = fake(slow)
    proxy = start([server.host])
    raw = client(proxy).negotiate(how)
    raw.send(messages.startup())
    until(lambda: server.peers and server.peers[0].opening)
    raw.close()
    proxy.event("auth_failed", reason="client_left")
    server.peers[0].may_go_on = True
    until(lambda: hasattr(server.peers[0], "rest"))
    assert server.peers[0].rest == b""


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_what_a_client_says_ahead_is_not_lost(start, client, fake, server_tls, how):
    """A password before it is asked for, and a query; and it may end its data behind them."""
    def asks_late(peer):
        peer.packet()
        until(lambda: hasattr(peer, "may_go_on"))
        peer.send(b"S")
        peer.start_tls(server_tls)
        peer.packet()
        peer.send(messages.authentication(messages.CLEARTEXT))
        assert peer.message() == (b"p", b"hunter2\0")
        peer.ready()
        assert peer.message()[0] == b"Q"
        peer.send(messages.message(b"C", b"SELECT 0\0") + messages.READY_FOR_QUERY)

    server = fake(asks_late)
    raw = client(start([server.host])).negotiate(how)
    raw.send(messages.startup() + messages.password("hunter2"))
    raw.send(messages.query("SELECT"))
    raw.close_notify() if raw.tls else raw.sock.shutdown(socket.SHUT_WR)
    until(lambda: server.peers and server.peers[0].opening)
    server.peers[0].may_go_on = True
    kinds = []
    while not kinds or kinds.count(b"Z") < 2:
        kinds.append(raw.message()[0])
    assert kinds[-2:] == [b"C", b"Z"]


# --- a server that leaves while its client is asked


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
@pytest.mark.parametrize("word", [b"", messages.error_response("57014", "canceling authentication due to timeout")],
                         ids=["without a word", "with its reason"])
def test_a_server_that_leaves_is_told_to_a_client_that_is_being_asked(start, client, fake, server_tls, how, word):
    def asks_and_leaves(peer):
        peer.open(server_tls)
        peer.send(messages.authentication(messages.CLEARTEXT) + word)

    proxy = start([fake(asks_and_leaves).host])
    raw = client(proxy).negotiate(how)
    assert raw.begin_login()[0] == messages.CLEARTEXT
    assert raw.fatal().sqlstate == ("57014" if word else "57P03")  # nothing was answered
    event = proxy.event("auth_failed" if word else "upstream_failed")
    assert (event["client_port"], event["reason"]) == (raw.port, "server_denied" if word else "server_left")


# --- a session that ends because of us is told so, where a message of ours can be


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_the_end_of_a_drain_is_told_where_a_session_is_between_two_messages(start, client, cluster, how):
    proxy = start(runtime={"drain_timeout": "30s"})
    idle, within, busy = (client(proxy).negotiate(how) for _ in range(3))
    for raw in (idle, within, busy):
        pid = raw.login().backend_pid
    within.query("BEGIN")
    busy.send(messages.query("SELECT pg_sleep(1000)"))
    cluster.wait_until_asleep(pid)
    proxy.signal(signal.SIGTERM)
    proxy.event("stopping")
    assert idle.query("SELECT 1") == [[b"1"]]  # it goes on meanwhile
    told = idle.fatal()
    assert (told.sqlstate, told.message) == ("57P01", "terminating connection due to administrator command")
    idle.close()
    ended = proxy.event("disconnected", client_port=idle.port)
    assert within.query("SELECT 2") == [[b"2"]]  # idle ones first
    proxy.signal(signal.SIGTERM)  # the end
    assert within.fatal().sqlstate == "57P01"
    busy.expect_closed()
    proxy.expect_exit(0)
    sqlstates = {event["client_port"]: (event["reason"], event["sqlstate"]) for event in proxy.all_events() if event["event"] == "disconnected"}
    assert sqlstates == {idle.port: ("shutting_down", "57P01"), within.port: ("shutting_down", "57P01"), busy.port: ("shutting_down", None)}
    assert ended["sqlstate"] == "57P01"


def a_long_result(raw) -> None:
    assert len(raw.query("SELECT generate_series(1, 5000)")) == 5000


def a_copy_of_many_rows(raw) -> None:
    raw.query("CREATE TEMP TABLE copied (number int)")
    raw.send(messages.query("COPY copied FROM STDIN"))
    assert raw.message()[0] == b"G"
    raw.send(b"".join(messages.message(b"d", b"%d\n" % number) for number in range(2000)) + messages.message(b"c", b""))
    raw.rows()
    assert raw.query("SELECT count(*) FROM copied") == [[b"2000"]]


def a_question_in_pieces(raw) -> None:
    """Each in a read of its own."""
    raw.chunk = 3
    assert raw.query("SELECT 1") == [[b"1"]]


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
@pytest.mark.parametrize("before", [a_long_result, a_copy_of_many_rows, a_question_in_pieces])
def test_whatever_an_idle_session_did_before_it_is_told_of_the_drain(start, client, how, before):
    proxy = start(runtime={"drain_timeout": "30s"})
    raw = client(proxy).negotiate(how)
    raw.login()
    before(raw)
    proxy.signal(signal.SIGTERM)
    assert raw.fatal().sqlstate == "57P01"
    raw.close()
    event = proxy.event("disconnected")
    assert (event["reason"], event["sqlstate"]) == ("shutting_down", "57P01")
    assert "drain_timeout: ending" not in proxy.log()


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_idle_timeout_is_told(start, client, how):
    proxy = start(listener={"idle_timeout": "1s"})
    raw = client(proxy).negotiate(how)
    raw.login()
    told = raw.fatal()
    assert (told.sqlstate, told.message) == ("57P05", "terminating connection due to idle-session timeout")
    raw.close()
    event = proxy.event("disconnected")
    assert (event["reason"], event["sqlstate"]) == ("idle_timeout", "57P05")


def test_idle_timeout_within_an_answer_is_no_message(start, client, fake, server_tls):
    """The server stops within a row, behind bytes that look like a ReadyForQuery."""
    def stops(peer):
        peer.open(server_tls)
        peer.ready()
        peer.message()
        peer.send(messages.message(b"D", b"\0\1\0\0\0\x20" + messages.READY_FOR_QUERY + bytes(26))[:-26])
        peer.until_closed()

    proxy = start([fake(stops).host], listener={"idle_timeout": "1s"})
    raw = client(proxy)
    raw.login()
    raw.send(messages.query("SELECT"))
    raw.receive(5 + 6 + len(messages.READY_FOR_QUERY))
    raw.expect_closed()
    assert proxy.event("disconnected")["sqlstate"] is None
