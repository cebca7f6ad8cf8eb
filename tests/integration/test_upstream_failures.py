"""Servers that are not there, hang, break off or lie: the client gets an ErrorResponse of ours, in time, and never plain text by surprise."""

import socket
import struct
import time

import pytest

from harness import messages, programs
from harness.fake_upstream import accepting, server_context
from harness.messages import ErrorResponse
from harness.pki import HERE

ENCRYPTING = ["require", "verify-ca", "verify-full"]


def refusal(client, proxy, how="plain", **options) -> ErrorResponse:
    raw = client(proxy, **options).negotiate(how)
    with pytest.raises(ErrorResponse) as refused:
        raw.login()
    raw.expect_closed()
    assert refused.value.severity == "FATAL"
    return refused.value


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# --- not there


@pytest.mark.parametrize("how", ["plain", "sslrequest", "direct"])
def test_an_unreachable_server_is_57p03(start, client, how):
    proxy = start([f"127.0.0.1:{closed_port()}"])
    error = refusal(client, proxy, how)
    assert error.sqlstate == "57P03"
    assert "refused" in (error.message + error.detail).lower()
    assert proxy.event("upstream_failed")["sqlstate"] == "57P03"


def test_a_name_that_does_not_resolve_is_57p03(start, client):
    error = refusal(client, start(["no-such-host.invalid:5432"]))
    assert error.sqlstate == "57P03"
    assert "no-such-host.invalid" in error.message + error.detail


def test_hosts_are_tried_in_order(start, client, cluster):
    proxy = start([f"127.0.0.1:{closed_port()}", cluster.host, f"127.0.0.1:{closed_port()}"])
    client(proxy).login()
    assert proxy.event("connected")["upstream_addr"] == cluster.host


def test_the_first_host_that_answers_is_used(start, client, fake, pki):
    first, second = fake(accepting(server_context(pki.server))), fake(accepting(server_context(pki.server)))
    client(start([first.host, second.host])).login()
    assert (len(first.peers), len(second.peers)) == (1, 0)


def test_a_host_that_is_passed_over_for_its_certificate_is_told_of(start, client, fake, pki, cluster):
    """The next one may serve everybody for months."""
    stranger = pki.authority("Stranger")
    wrong = fake(accepting(server_context(pki.leaf(stranger, "stranger", HERE))))
    proxy = start([wrong.host, cluster.host])
    client(proxy).login()
    assert proxy.event("connected")["upstream_addr"] == cluster.host
    proxy.wait_for_log(f"{wrong.host} was reached, and passed over for the next host: .*certificate")


def test_when_all_hosts_fail_each_is_named(start, client):
    ports = closed_port(), closed_port()
    error = refusal(client, start([f"127.0.0.1:{port}" for port in ports]))
    assert error.sqlstate == "57P03"
    for port in ports:
        assert str(port) in error.message + error.detail


def test_ipv6_servers_are_verified_by_address(start, client, cluster):
    proxy = start([f"[::1]:{cluster.port}"])
    client(proxy).login()
    assert proxy.event("connected")["upstream_addr"] == f"[::1]:{cluster.port}"


# --- hangs


def black_hole(peer):
    peer.until_closed()


def silent_after_s(peer):
    peer.packet()
    peer.send(b"S")
    peer.until_closed()


@pytest.mark.parametrize("script", [black_hole, silent_after_s])
def test_connect_timeout_bounds_a_server_that_never_answers(start, client, fake, script):
    proxy = start([fake(script).host], upstream={"connect_timeout": "1s"})
    begin = time.monotonic()
    error = refusal(client, proxy)
    assert 0.8 < time.monotonic() - begin
    assert error.sqlstate == "57P03"
    assert "time" in (error.message + error.detail).lower()


def test_after_a_timeout_the_next_host_is_tried(start, client, fake, cluster):
    proxy = start([fake(black_hole).host, cluster.host], upstream={"connect_timeout": "10s"})
    client(proxy).login()
    assert proxy.event("connected")["upstream_addr"] == cluster.host


def test_a_server_that_never_answers_the_login_is_bounded_by_the_login_timeout(start, client, fake, pki):
    context = server_context(pki.server)

    def script(peer):
        peer.packet()
        peer.send(b"S")
        peer.start_tls(context)
        peer.packet()
        peer.until_closed()

    proxy = start([fake(script).host], runtime={"client_login_timeout": "1s"})
    begin = time.monotonic()
    refusal(client, proxy)
    assert 0.8 < time.monotonic() - begin


# --- breaks off


@pytest.mark.parametrize("answer", [b"", b"S", b"X"], ids=["at once", "after S", "after garbage"])
def test_a_server_that_closes_is_an_error_not_a_bare_close(start, client, fake, answer):
    def script(peer):
        peer.packet()
        peer.send(answer)

    assert refusal(client, start([fake(script).host])).sqlstate in ("57P03", "08P01")


def test_a_server_that_closes_during_login_is_an_error(start, client, fake, pki):
    context = server_context(pki.server)

    def script(peer):
        peer.packet()
        peer.send(b"S")
        peer.start_tls(context)
        peer.packet()

    assert refusal(client, start([fake(script).host])).sqlstate == "57P03"


# --- lies


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
@pytest.mark.parametrize("sslmode", ENCRYPTING)
def test_a_server_that_strips_tls_gets_nothing_in_clear(start, client, fake, sslmode, how):
    def script(peer):
        peer.packet()
        peer.send(b"N")
        peer.rest = peer.until_closed()

    server = fake(script)
    error = refusal(client, start([server.host], upstream={"sslmode": sslmode}), how)
    assert error.sqlstate == "57P03"
    server.close()
    assert [peer.rest for peer in server.peers] == [b""]


@pytest.mark.parametrize("sslmode", ["prefer", *ENCRYPTING])
def test_an_error_in_answer_to_sslrequest_is_never_shown(start, client, fake, sslmode):
    """CVE-2024-10977: it came in clear from whoever stands in between."""
    def script(peer):
        peer.packet()
        peer.send(messages.error_response("57P03", "type your password at evil.test"))

    server = fake(script)
    proxy = start([server.host], upstream={"sslmode": sslmode})
    error = refusal(client, proxy)
    assert "evil" not in str(error.fields)
    assert error.sqlstate in ("57P03", "08P01")
    assert "evil" not in proxy.log() + proxy.audit_text()
    assert [peer.opening for peer in server.peers] == [["SSLRequest"]]


@pytest.mark.parametrize("sslmode", ["prefer", *ENCRYPTING])
def test_bytes_behind_s_are_refused(start, client, fake, pki, sslmode):
    """CVE-2021-23222: injected clear text would be read as if TLS had protected it."""
    def script(peer):
        peer.packet()
        peer.send(b"S" + messages.AUTHENTICATION_OK + messages.error_response("57P03", "injected"))
        peer.rest = peer.until_closed()

    server = fake(script)
    error = refusal(client, start([server.host], upstream={"sslmode": sslmode}))
    assert "injected" not in str(error.fields)
    server.close()
    assert [peer.rest for peer in server.peers] == [b""], "something was sent to a server that injects"


HUGE = struct.pack("!I", 0x7FFFFFFF)


@pytest.mark.parametrize("sent", [
    b"R" + HUGE, b"R\0\0\0\0", b"R\0\0\0\3", b"R\0\0\0\4", b"S" + HUGE + b"x" * 100, b"K" + HUGE, b"E" + HUGE, b"N" + HUGE, b"v" + HUGE,
    b"\xff\xff\xff\xff\xff\xff", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"D\0\0\0\6\0\0", b"R\0\0\0\x09\0\0\0\x0aX", b"E\0\0\0\5X",
    b"K\0\0\0\5\0", b"R\0\0\0\x08\0\0\0\x63",
], ids=lambda sent: sent[:10].hex())
def test_nonsense_during_login_ends_that_session_only(start, client, fake, pki, cluster, sent):
    context = server_context(pki.server)

    def script(peer):
        if peer.packet() == "SSLRequest":
            peer.send(b"S")
            peer.start_tls(context)
            peer.packet()
        peer.send(sent)
        peer.until_closed()

    proxy = start([fake(script).host], runtime={"client_login_timeout": "3s"})
    raw = client(proxy)
    raw.send(messages.startup())
    size = 0
    while part := raw.receive_some():
        size += len(part)
    assert size < 10_000
    assert proxy.process.poll() is None
    assert programs.sanitized() or proxy.rss_kib() < 200_000


def test_an_endless_login_ends_at_the_login_timeout_in_bounded_memory(start, client, fake, pki):
    context = server_context(pki.server)
    noise = messages.parameter_status("noise", "x" * 1000) * 100

    def script(peer):
        if peer.packet() == "SSLRequest":
            peer.send(b"S")
            peer.start_tls(context)
            peer.packet()
        peer.send(messages.AUTHENTICATION_OK)
        while True:
            peer.send(noise)

    proxy = start([fake(script).host], runtime={"client_login_timeout": "2s"})
    raw = client(proxy)
    raw.send(messages.startup())
    most = 0
    while raw.receive_some():
        most = max(most, proxy.rss_kib())
    assert programs.sanitized() or most < 100_000
