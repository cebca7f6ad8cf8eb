"""Whatever ends a connection that had begun, and at whatever moment, it leaves one event that says so."""

import os
import signal
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
    assert raw.fatal().sqlstate == "57P01"
    proxy.expect_exit(0, timeout=10)
    event = the_only_end(proxy, raw.port)
    assert (event["event"], event["reason"], event["usename"]) == ("rejected", "shutting_down", "trust_user")


def test_a_client_that_lingers_after_its_refusal_is_not_reported_twice(start, client):
    proxy = start(tls={"mode": "require"}, runtime={"drain_timeout": "300ms"})
    raw = client(proxy)
    raw.send(messages.startup("trust_user"))
    assert raw.error().sqlstate == "28000"
    proxy.signal(signal.SIGTERM)  # it holds its side open meanwhile
    proxy.expect_exit(0, timeout=10)
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
