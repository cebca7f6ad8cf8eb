"""How a client may open a connection, and what is refused: negotiation, packets, segmentation."""

import os
import signal
import ssl
import struct

import pytest

from harness import messages
from harness.config import configuration
from harness.wire import tls_context

OPENINGS = ["plain", "sslrequest", "direct", "gssenc+plain", "gssenc+sslrequest", "gssenc+direct"]


@pytest.mark.parametrize("chunk", [None, 1, 7], ids=["whole", "byte by byte", "seven bytes"])
@pytest.mark.parametrize("how", OPENINGS)
def test_a_client_logs_in_however_it_opens_and_however_its_bytes_are_cut(start, client, how, chunk):
    raw = client(start(), chunk=chunk).negotiate(how)
    login = raw.login()
    assert raw.query("SELECT pg_backend_pid()") == [[str(login.backend_pid).encode()]]


@pytest.mark.parametrize("how", ["plain", "sslrequest", "direct"])
def test_a_query_in_the_same_segment_as_the_startup_message_is_not_lost(start, client, how):
    raw = client(start()).negotiate(how)
    raw.send(messages.startup() + messages.query("SELECT 42"))
    raw.finish_login()
    assert raw.rows() == [[b"42"]]


@pytest.mark.parametrize("behind", [b"\0", messages.startup(), b"\x16\x03\x01\x02\x00\x01"], ids=["a byte", "startup", "ClientHello"])
def test_bytes_behind_sslrequest_are_refused(start, client, behind):
    """CVE-2021-23214: what came in clear must never count as received through TLS."""
    raw = client(start())
    raw.send(messages.SSL_REQUEST + behind)
    error = raw.fatal()
    assert error.sqlstate == "08P01"
    assert error.message == "received unencrypted data after SSL request"


def test_a_second_sslrequest_after_no_is_refused(start, client):
    raw = client(start(tls={"mode": "disable"})).negotiate("sslrequest-refused")
    raw.send(messages.SSL_REQUEST)
    assert raw.fatal().sqlstate in ("08P01", "0A000")


def test_a_second_sslrequest_inside_tls_is_refused(start, client):
    raw = client(start()).negotiate("sslrequest")
    raw.send(messages.SSL_REQUEST)
    assert raw.fatal().sqlstate in ("08P01", "0A000")


def test_a_second_gssencrequest_is_refused(start, client):
    raw = client(start())
    raw.send(messages.GSSENC_REQUEST)
    assert raw.receive(1) == b"N"
    raw.send(messages.GSSENC_REQUEST)
    assert raw.fatal().sqlstate in ("08P01", "0A000")


def test_gssencrequest_may_follow_a_refused_sslrequest(start, client):
    raw = client(start(tls={"mode": "disable"})).negotiate("sslrequest-refused")
    raw.send(messages.GSSENC_REQUEST)
    assert raw.receive(1) == b"N"
    raw.login()


@pytest.mark.parametrize("alpn", [None, ["h2"], ["postgres", "http/1.1"]], ids=["none", "h2", "two others"])
def test_direct_tls_without_alpn_postgresql_is_refused(start, client, alpn):
    proxy = start()
    assert_no_session(client(proxy), tls_context(alpn=alpn))
    assert proxy.events("tls_failed") or proxy.events("rejected")


def test_direct_tls_selects_postgresql_among_other_protocols(start, client):
    raw = client(start()).negotiate("direct", tls_context(alpn=["h2", "postgresql"]))
    assert raw.tls.selected_alpn_protocol() == "postgresql"
    raw.login()


def test_direct_tls_can_be_turned_off(start, client):
    proxy = start(tls={"direct": False})
    assert_no_session(client(proxy), tls_context(alpn=["postgresql"]))
    client(proxy).negotiate("sslrequest").login()


@pytest.mark.parametrize("alpn, selected", [(None, None), (["postgresql"], "postgresql")])
def test_alpn_is_selected_but_not_required_after_sslrequest(start, client, alpn, selected):
    raw = client(start()).negotiate("sslrequest", tls_context(alpn=alpn))
    assert raw.tls.selected_alpn_protocol() == selected
    raw.login()


# --- mode = disable | allow | require


def test_under_disable_sslrequest_gets_no_and_the_client_may_go_on_in_clear(start, client):
    client(start(tls={"mode": "disable"})).negotiate("sslrequest-refused").login()


def test_a_client_hello_after_no_is_answered_with_an_alert(start, client):
    """postgres.js ignores the N: it must meet a TLS error, not PostgreSQL bytes."""
    raw = client(start(tls={"mode": "disable"})).negotiate("sslrequest-refused")
    assert_alert(raw)


def test_direct_tls_under_disable_is_answered_with_an_alert(start, client):
    assert_alert(client(start(tls={"mode": "disable"})))


def test_under_require_a_clear_startup_message_is_refused_with_28000(start, client):
    proxy = start(tls={"mode": "require"})
    raw = client(proxy)
    raw.send(messages.startup())
    error = raw.fatal()
    assert error.sqlstate == "28000"
    assert "TLS" in error.message + error.hint or "SSL" in error.message + error.hint
    assert proxy.event("rejected")["sqlstate"] == "28000"


def test_under_require_a_unix_domain_socket_is_open_to_libpq_which_has_no_tls_there(start, connect, directory):
    path = str(directory / ".s.PGSQL.6432")
    start(listener={"listen": [f"unix:{path}"]}, tls={"mode": "require"})
    with connect(path).cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


@pytest.mark.parametrize("how", ["sslrequest", "direct", "gssenc+sslrequest"])
def test_under_require_tls_clients_log_in(start, client, how):
    client(start(tls={"mode": "require"})).negotiate(how).login()


# --- malformed packets


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
@pytest.mark.parametrize("packet", [
    struct.pack("!II", 8, messages.PROTOCOL_3_0),
    struct.pack("!II", 18, messages.PROTOCOL_3_0) + b"user\0alice",
    struct.pack("!II", 19, messages.PROTOCOL_3_0) + b"user\0alice\0",
    struct.pack("!II", 14, messages.PROTOCOL_3_0) + b"user\0\0",
    struct.pack("!II", 22, messages.PROTOCOL_3_0) + b"user\0alice\0\0xy",
], ids=["empty", "no terminator", "no last byte", "no value", "behind the terminator"])
def test_a_malformed_startup_packet_is_a_protocol_violation(start, client, packet, how):
    raw = client(start()).negotiate(how)
    raw.send(packet)
    assert raw.fatal().sqlstate == "08P01"


def test_a_startup_packet_just_under_the_limit_is_passed_on(start, client):
    raw = client(start())
    packet = messages.startup(application_name="x" * 9900)
    assert 9900 < len(packet) < 10_000
    raw.send(packet)
    assert raw.finish_login().parameters["application_name"] == "x" * 63


def test_protocol_2_is_refused(start, client):
    raw = client(start())
    raw.send(struct.pack("!II", 296, 2 << 16) + b"\0" * 288)
    assert raw.fatal().sqlstate in ("0A000", "08P01")


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_a_future_minor_version_is_negotiated_by_the_server(start, client, how):
    raw = client(start()).negotiate(how)
    raw.send(messages.startup(version=messages.PROTOCOL_3_0 + 9999, **{"_pq_.future": "on"}))
    kind, body = raw.message()
    assert kind == b"v"
    assert body.endswith(b"_pq_.future\0")
    raw.finish_login()
    assert raw.query("SELECT 1") == [[b"1"]]


@pytest.mark.parametrize("body", [b"", b"\0" * 4, b"\0" * 7, b"\0" * 300, b"\0" * 9000], ids=lambda body: f"{len(body)} bytes")
def test_a_malformed_cancel_request_ends_quietly_and_harms_nobody(start, client, body):
    proxy = start()
    raw = client(proxy)
    raw.send(struct.pack("!II", 8 + len(body), messages.CANCEL_CODE) + body)
    rest = raw.receive_some()
    assert rest == b"" or rest[:1] == b"E"
    client(proxy).login()


def assert_no_session(raw, context) -> None:
    """The server's refusal may reach a TLS 1.3 client only after its own handshake is complete."""
    try:
        raw.start_tls(context)
        raw.send(messages.startup())
        kind, _ = raw.message()
    except (ssl.SSLError, EOFError, ConnectionError):
        return
    assert kind == b"E", kind


def assert_alert(raw) -> None:
    context = tls_context(alpn=["postgresql"])
    outgoing = ssl.MemoryBIO()
    hello = context.wrap_bio(ssl.MemoryBIO(), outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    raw.send_raw(outgoing.read())
    record = raw.receive(7)
    assert record[:2] == b"\x15\x03", record  # alert
    assert record[5] == 2, record  # fatal
    raw.expect_closed()


def test_a_unix_domain_listener_serves_clients_as_tcp_does(start, client, connect, directory):
    path = str(directory / ".s.PGSQL.6432")
    proxy = start(listener={"listen": [f"unix:{path}", "127.0.0.1:0"]}, listeners=2)
    assert set(map(type, proxy.addresses)) == {str, tuple}
    with connect(path).cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    raw = client(path).negotiate("sslrequest")
    raw.login()
    client(next(address for address in proxy.addresses if address != path)).login()
    assert len(proxy.events("connected", 3)) == 3


def test_the_unix_domain_socket_is_removed_at_the_end_and_a_stale_one_is_replaced(start, client, directory):
    path = str(directory / "s")
    first = start(listener={"listen": [f"unix:{path}"]})
    first.stop()
    assert not os.path.exists(path)
    second = start(listener={"listen": [f"unix:{path}"]})
    second.kill()
    second.expected_exit = -signal.SIGKILL
    assert os.path.exists(path)
    third = start(listener={"listen": [f"unix:{path}"]})
    client(third).login()


def test_several_listeners_lead_to_their_own_upstreams(run_proxy, pki, cluster, clear_cluster, client):
    config = configuration(pki, [cluster.host])
    config["listener"].append({"name": "other", "listen": ["127.0.0.1:0"], "upstream": "clear"})
    config["upstream"]["clear"] = {"hosts": [clear_cluster.host], "sslmode": "disable"}
    proxy = run_proxy(config, listeners=2)
    found = []
    for address in proxy.addresses:
        raw = client(address)
        raw.login()
        found.append(int(raw.query("SHOW port")[0][0]))
    assert found == [cluster.port, clear_cluster.port]
    assert [event["listener"] for event in proxy.events("connected", 2)] == ["legacy", "other"]
