"""PROXY protocol: whose connection it is, as the load balancer in front says; and that nobody else can say so."""

import json
import os
import signal
import socket
import subprocess

import pytest

from conftest import client_environment
from harness import front as pp
from harness import messages, programs
from harness.capture import capture, files, started, wait_for_event
from harness.capture import raw as captured
from harness.config import configuration
from harness.front import Front, HaProxy
from harness.messages import ErrorResponse
from harness.programs import pgairlock
from harness.waiting import PATIENCE, until
from harness.wire import tls_context

CLIENT = "192.0.2.7"
LISTENER = {"proxy_protocol": "require", "trusted_proxies": ["127.0.0.1"], "allow": ["192.0.2.0/24", "2001:db8::/32"]}


@pytest.fixture
def behind(start):
    """A proxy that is behind 127.0.0.1; `listener` adds to its keys."""
    def make(listener=None, **tables):
        return start(listener={**LISTENER, **(listener or {})}, **tables)
    return make


@pytest.fixture
def front():
    """Fronts that send a header ahead of each connection."""
    fronts = []

    def make(proxy, header=pp.v2(CLIENT)) -> Front:
        fronts.append(Front(proxy.address, header))
        return fronts[-1]

    yield make
    for made in fronts:
        made.close()


@pytest.fixture
def haproxy(directory):
    running = []

    def make(proxy, **settings) -> HaProxy:
        running.append(HaProxy(directory / f"haproxy{len(running)}", proxy.address, **settings))
        return running[-1]

    yield make
    for one in running:
        one.close()


def report(proxy) -> list[dict]:
    """Its clients, once the inventory has what was recorded before."""
    done = pgairlock("report", "--state-dir", proxy.state_dir, "--format", "json", check=True)
    return json.loads(done.stdout)["clients"]


def reported(proxy, **fields) -> dict:
    """The one client of the report that has these."""
    def matching():
        return [client for client in report(proxy) if all(client[key] == value for key, value in fields.items())]
    found = until(matching, what=f"a client with {fields}")
    assert len(found) == 1, found
    return found[0]


# --- Real clients through a front


@pytest.mark.parametrize("header", [pp.v1(CLIENT), pp.v2(CLIENT)], ids=["v1", "v2"])
@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_psql_is_known_by_its_own_address(behind, front, pg, header, sslmode):
    proxy = behind()
    assert pg("psql", front(proxy, header), "-XAtc", "SELECT 6 * 7", sslmode=sslmode).stdout == "42\n"
    event = proxy.event("connected")
    assert (event["client_addr"], event["client_port"], event["proxy_addr"]) == (CLIENT, 50000, "127.0.0.1")
    assert (event["client_process"], event["vpce_id"], event["ssl"]) == (None, None, sslmode == "require")
    assert event["front"]["version"] == (1 if header.startswith(b"PROXY") else 2)
    assert event["front"]["tls"] is None
    gone = proxy.event("disconnected")
    assert (gone["client_addr"], gone["proxy_addr"]) == (CLIENT, "127.0.0.1")
    assert reported(proxy, usename="trust_user")["client_addr"] == CLIENT


@pytest.mark.parametrize("user", ["scram_user", "md5_user", "password_user"])
def test_logins_pass_as_ever(behind, front, connect, user):
    proxy = behind(auth={"scram": "passthrough"})
    with connect(front(proxy), user, sslmode="require", channel_binding="disable").cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (user,)


@pytest.mark.parametrize("chunk", [None, 1], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("how", ["plain", "sslrequest", "direct"])
@pytest.mark.parametrize("header", [pp.v1(CLIENT), pp.with_checksum(pp.v2(CLIENT, pp.tlv(pp.AUTHORITY, b"db.example") + pp.tlv(pp.NOOP, bytes(9))))],
                         ids=["v1", "v2"])
def test_what_is_behind_the_header_is_the_clients(behind, client, header, how, chunk):
    proxy = behind()
    raw = client(proxy, chunk=chunk)
    if how == "plain":  # in one packet, where it can be
        raw.send_raw(header + messages.startup())
        raw.finish_login()
    else:
        raw.send_raw(header)
        raw.negotiate(how).login()
    event = proxy.event("connected")
    assert (event["client_addr"], event["negotiation"]) == (CLIENT, how)
    assert event["front"]["authority"] == (None if header.startswith(b"PROXY") else "db.example")


def test_an_ipv6_client_behind_an_ipv4_front_is_known_by_its_address(behind, client):
    proxy = behind()
    for header, told in ((pp.v2("2001:db8::17"), "2001:db8::17"), (pp.v1("2001:db8::18"), "2001:db8::18"), (pp.v2("::ffff:192.0.2.9"), "192.0.2.9")):
        raw = client(proxy)
        raw.send_raw(header)
        raw.login()
        proxy.event("connected", client_addr=told)


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_ctrl_c_in_psql_cancels_through_a_front(behind, front, cluster, sslmode):
    """A process of its own: psycopg2 keeps the front's threads waiting while it cancels."""
    proxy = behind()
    psql = subprocess.Popen([programs.postgres_bin() / "psql", "-X", "-c", "SELECT pg_sleep(600) AS cancelled_through_a_front"],
                            env=client_environment(front(proxy), "trust_user", sslmode), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: cluster.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%cancelled_through_a_front' AND wait_event = 'PgSleep'"))
    os.kill(psql.pid, signal.SIGINT)
    _, error = psql.communicate(timeout=PATIENCE)
    assert "canceling statement due to user request" in error
    event = proxy.event("cancel")
    assert (event["matched"], event["client_addr"], event["proxy_addr"]) == (True, CLIENT, "127.0.0.1")


@pytest.mark.parametrize("how", ["plain", "sslrequest", "direct"])
@pytest.mark.parametrize("header", [pp.v1(CLIENT), pp.v2(CLIENT)], ids=["v1", "v2"])
def test_a_cancel_request_behind_a_header_is_taken(behind, client, cluster, header, how):
    proxy = behind()
    session = client(proxy)
    session.send_raw(header)
    login = cluster.put_to_sleep(session)
    cancel = client(proxy)
    cancel.send_raw(header)
    cancel.negotiate(how).send(messages.cancel_request(login.backend_pid, login.key))
    with pytest.raises(ErrorResponse) as cancelled:
        session.rows()
    assert cancelled.value.sqlstate == "57014"
    event = proxy.event("cancel")
    assert (event["matched"], event["client_addr"]) == (True, CLIENT)


def test_the_vpc_endpoint_is_told(behind, client):
    proxy = behind()
    raw = client(proxy)
    raw.send_raw(pp.with_checksum(pp.v2(CLIENT, pp.tlv(pp.AWS, b"\x01vpce-08d2bf15fac5001c9") + pp.tlv(pp.UNIQUE_ID, b"id-7")
                                        + pp.tlv(pp.AZURE, b"\x01\x78\x56\x34\x12") + pp.tlv(pp.ALPN, b"postgresql"))))
    raw.login()
    event = proxy.event("connected")
    assert event["vpce_id"] == "vpce-08d2bf15fac5001c9"
    assert (event["front"]["unique_id"], event["front"]["azure_link_id"], event["front"]["alpn"]) == ("id-7", 0x12345678, "postgresql")


# --- Who is let in


def test_allow_is_asked_of_the_headers_address(behind, client):
    proxy = behind()
    raw = client(proxy)
    raw.send_raw(pp.v2("198.51.100.1") + messages.startup())
    error = raw.fatal()
    assert error.sqlstate == "28000" and '"198.51.100.1"' in error.message
    event = proxy.event("rejected")
    assert (event["reason"], event["client_addr"], event["proxy_addr"]) == ("address_not_allowed", "198.51.100.1", "127.0.0.1")
    proxy.wait_for_log(r"198\.51\.100\.1 through 127\.0\.0\.1: refused")


@pytest.mark.parametrize("behind_it", [b"", pp.v2(CLIENT), pp.v1(CLIENT)], ids=["no header", "v2", "v1"])
def test_whoever_is_no_trusted_proxy_is_refused_and_believed_nothing(behind, client, behind_it):
    proxy = behind({"trusted_proxies": ["203.0.113.5"], "allow": ["127.0.0.1", "192.0.2.0/24"]})
    raw = client(proxy)
    raw.send_raw(behind_it + messages.startup())
    if behind_it:
        raw.expect_closed()
    else:
        error = raw.fatal()
        assert error.sqlstate == "28000" and "trusted_proxies" in error.message
    event = proxy.event("rejected")
    assert event["client_addr"] == "127.0.0.1" and "proxy_addr" not in event
    assert (event["reason"], event["looks_like"]) == (("startup_length", "proxy_protocol") if behind_it else ("proxy_not_trusted", None))
    assert event["usename"] is None
    if behind_it:
        proxy.wait_for_log("127.0.0.1 sends a PROXY protocol header and is not in trusted_proxies: add it if it is your load balancer")


def test_strangers_have_the_few_places_of_strangers(behind, client):
    """Whatever they send, and however many they are."""
    proxy = behind({"trusted_proxies": ["127.0.0.2"]})
    crowd = [client(proxy) for _ in range(40)]
    assert proxy.events("rejected", 8, reason="too_many_refusals")
    raw = client(proxy, source="127.0.0.2")
    raw.send_raw(pp.v2(CLIENT))
    raw.login()
    assert len(crowd) == 40


def test_limits_count_the_clients_and_not_the_load_balancer(behind, client):
    proxy = behind(runtime={"max_connections_per_address": 1})
    sessions = []
    for last in range(1, 6):
        sessions.append(client(proxy))
        sessions[-1].send_raw(pp.v2(f"192.0.2.{last}"))
        sessions[-1].login()
    second = client(proxy)
    second.send_raw(pp.v2("192.0.2.3") + messages.startup())
    assert second.fatal().sqlstate == "53300"
    assert proxy.event("rejected", reason="too_many_connections")["client_addr"] == "192.0.2.3"


def test_one_client_cannot_take_the_load_balancers_share(behind, client):
    """Those that have said whose they are count for that address; the load balancer's is free again."""
    proxy = behind(runtime={"max_connections_before_login": 6, "client_opening_timeout": "60s"})
    waiting = []
    for _ in range(8):  # three of them get in, whichever
        waiting.append(client(proxy))
        waiting[-1].send_raw(pp.v2("192.0.2.66"))
    until(lambda: refused(client, proxy, "192.0.2.66"), what="the share of one client's address is taken")
    raw = client(proxy)
    raw.send_raw(pp.v2(CLIENT))
    raw.login()


def refused(client, proxy, address) -> bool:
    raw = client(proxy)
    raw.send_raw(pp.v2(address) + messages.startup())
    try:
        raw.finish_login()
    except ErrorResponse as error:
        return error.sqlstate == "53300" and "half" in error.detail
    finally:
        raw.close()
    return False


def test_without_an_address_the_load_balancers_own_counts(behind, client):
    proxy = behind({"allow": ["127.0.0.1"]})
    for header in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 192.0.2.7 10.0.0.5 1 2\r\n", pp.header(pp.PROXY, pp.UNSPEC),
                   pp.header(pp.PROXY, pp.UNIX, bytes(216))):
        raw = client(proxy)
        raw.send_raw(header)
        raw.login()
    events = proxy.events("connected", 4)
    assert {(event["client_addr"], event["front"]["named_client"], event["client_process"]) for event in events} == {("127.0.0.1", False, None)}


def test_without_an_address_and_without_allow_nobody_is_let_in(behind, client):
    proxy = behind()
    raw = client(proxy)
    raw.send_raw(b"PROXY UNKNOWN\r\n" + messages.startup())
    assert raw.fatal().sqlstate == "28000"


def test_a_unix_domain_socket_has_no_front(run_proxy, pki, cluster, client, directory):
    path = f"{directory}/.s.PGSQL.6432"
    proxy = run_proxy(configuration(pki, [cluster.host], listener={**LISTENER, "listen": ["127.0.0.1:0", f"unix:{path}"]}), listeners=2)
    client(path).login()
    assert "proxy_addr" not in proxy.event("connected")
    raw = client(path)
    raw.send_raw(pp.v2(CLIENT) + messages.startup())
    raw.expect_closed()
    assert proxy.event("rejected")["looks_like"] == "proxy_protocol"
    proxy.wait_for_log("none is read on a UNIX-domain socket")


def test_a_reload_puts_a_listener_behind_a_front_and_its_sessions_stay(run_proxy, pki, cluster, client):
    proxy = run_proxy(configuration(pki, [cluster.host]))
    session = client(proxy)
    session.login()
    proxy.write_config(configuration(pki, [cluster.host], listener=LISTENER))
    proxy.signal(signal.SIGHUP)
    proxy.event("reloaded")
    raw = client(proxy)
    raw.send_raw(messages.startup())
    raw.expect_closed()
    assert proxy.event("rejected")["reason"] == "proxy_header_missing"
    behind_it = client(proxy)
    behind_it.send_raw(pp.v2(CLIENT))
    behind_it.login()
    assert session.query("SELECT 1") == [[b"1"]]


def test_a_capture_begins_behind_the_header_and_goes_by_the_clients_address(start, client):
    proxy = start(listener=LISTENER, capture=capture(client_addrs=[CLIENT]))
    started(proxy)
    for address in ("192.0.2.8", CLIENT):
        raw = client(proxy)
        raw.send_raw(pp.v2(address))
        raw.login()
        raw.query(f"SELECT 1 AS of_{address.rpartition('.')[2]}")
        raw.send(messages.TERMINATE)
        raw.expect_closed()
    proxy.events("disconnected", 2)
    wait_for_event(proxy, "disconnected")
    done = pgairlock("capture", "read", *files(proxy), "--format", "json", check=True)
    (session,) = json.loads(done.stdout)["sessions"]
    assert session["client_addr"] == CLIENT
    assert "of_7" in json.dumps(session["statements"]) and "of_8" not in done.stdout
    assert pp.SIGNATURE not in captured(proxy)


# --- Forged and broken headers


def wrong_checksum() -> bytes:
    made = bytearray(pp.with_checksum(pp.v2(CLIENT)))
    made[17] ^= 1
    return bytes(made)


BROKEN = {
    "checksum": wrong_checksum(),
    "oversized length": pp.SIGNATURE + b"\x21\x11\xff\xff" + bytes(12),
    "no addresses": pp.header(pp.PROXY, pp.TCP4),
    "datagrams, empty": pp.header(pp.PROXY, 0x12),
    "half of the addresses": pp.header(pp.PROXY, pp.TCP6, bytes(20)),
    "version 3": pp.header(0x31, pp.TCP4, bytes(12)),
    "command 2": pp.header(0x22, pp.TCP4, bytes(12)),
    "part beyond its end": pp.v2(CLIENT, b"\x02\0\x09abc"),
    "TLS part too short": pp.v2(CLIENT, pp.tlv(pp.SSL, b"\x01")),
    "two TLS parts": pp.v2(CLIENT, pp.ssl_tlv(1) + pp.ssl_tlv(0)),
    "line without addresses": b"PROXY TCP4\r\n" + bytes(30),
    "line without end": b"PROXY TCP4 " + b"1" * 120,
    "line with a name": b"PROXY TCP4 localhost 10.0.0.5 1 2\r\n",
    "line of the wrong family": b"PROXY TCP6 192.0.2.7 10.0.0.5 1 2\r\n",
}


@pytest.mark.parametrize("made", BROKEN.values(), ids=BROKEN.keys())
def test_a_header_that_is_not_as_specified_is_refused(behind, client, made):
    proxy = behind()
    raw = client(proxy)
    raw.send_raw(made + messages.startup())
    raw.expect_closed()
    event = proxy.event("rejected")
    assert (event["reason"], event["client_addr"], event["proxy_addr"]) == ("proxy_header", "127.0.0.1", "127.0.0.1")
    assert (event["sqlstate"], event["usename"]) == (None, None)
    proxy.wait_for_log("invalid PROXY protocol header")


@pytest.mark.parametrize("first, name", [(messages.SSL_REQUEST, None), (messages.startup(), None), (messages.cancel_request(1, b"abcd"), None),
                                         (b"GET / HTTP/1.1\r\n\r\n", "http")], ids=["SSLRequest", "StartupMessage", "CancelRequest", "HTTP"])
def test_a_trusted_proxy_that_sends_no_header_is_refused(behind, client, first, name):
    proxy = behind({"allow": ["127.0.0.1"]})
    raw = client(proxy)
    raw.send_raw(first)
    raw.expect_closed()
    event = proxy.event("rejected")
    assert (event["reason"], event["looks_like"]) == ("proxy_header_missing", name)
    proxy.wait_for_log("no PROXY protocol header")


def test_a_clients_own_header_behind_the_load_balancers_is_a_bad_packet(behind, client):
    """Load balancers that pass it on do not strip it: whose address it names is nobody's."""
    proxy = behind()
    for second in (pp.v2("192.0.2.99"), pp.v1("192.0.2.99"), pp.header(pp.LOCAL, pp.UNSPEC)):
        raw = client(proxy)
        raw.send_raw(pp.v2("198.51.100.1") + second + messages.startup())
        raw.expect_closed()
    events = proxy.events("rejected", 3)
    assert {(event["reason"], event["looks_like"], event["client_addr"]) for event in events} == {("startup_length", "proxy_protocol", "198.51.100.1")}
    assert "192.0.2.99" not in proxy.audit_text() + proxy.log()
    proxy.wait_for_log("a second PROXY protocol header, behind that of the load balancer")


@pytest.mark.parametrize("begun", [pp.v2(CLIENT)[:20], pp.v1(CLIENT)[:9], b"\r"], ids=["v2", "v1", "one byte"])
def test_a_header_that_ends_too_early_is_refused(behind, client, begun):
    proxy = behind()
    raw = client(proxy)
    raw.send_raw(begun)
    raw.sock.shutdown(socket.SHUT_WR)
    raw.expect_closed()
    assert proxy.event("rejected")["reason"] == "proxy_header"


@pytest.mark.parametrize("begun", [b"", pp.v2(CLIENT)[:20]], ids=["nothing", "half a header"])
def test_a_header_that_does_not_come_is_waited_for_three_seconds_at_least_and_no_longer_than_said(behind, client, begun):
    proxy = behind(runtime={"client_opening_timeout": "100ms"})
    raw = client(proxy)
    raw.send_raw(begun)
    assert raw.is_silent(2.5)
    assert raw.fatal().sqlstate == "57014"
    assert proxy.event("rejected")["reason"] == "opening_timeout"


@pytest.mark.parametrize("begun", [b"", pp.v2(CLIENT)[:20]], ids=["nothing", "half a header"])
def test_a_shutdown_ends_the_wait_for_a_header(behind, client, begun):
    proxy = behind(runtime={"drain_timeout": "0s"})
    raw = client(proxy)
    raw.send_raw(begun)
    trusted = client(proxy)  # by then the first one waits
    trusted.send_raw(pp.v2(CLIENT))
    trusted.login()
    proxy.signal(signal.SIGTERM)
    assert raw.fatal().sqlstate == "57P03"
    assert proxy.event("rejected")["reason"] == "shutting_down"


def test_a_header_then_silence_ends_as_without_one(behind, client):
    proxy = behind(runtime={"client_opening_timeout": "100ms"})
    raw = client(proxy)
    raw.send_raw(pp.v2(CLIENT))
    assert raw.fatal().sqlstate == "57014"
    assert proxy.event("rejected")["client_addr"] == CLIENT


# --- Health checks


def test_a_port_check_and_a_local_header_are_no_news(behind, client):
    proxy = behind()
    for sent in (b"", pp.header(pp.LOCAL, pp.UNSPEC), pp.header(pp.LOCAL, pp.TCP4, bytes(12))):
        raw = client(proxy)
        raw.send_raw(sent)
        raw.sock.shutdown(socket.SHUT_WR)
        raw.expect_closed()
    raw = client(proxy)
    raw.send_raw(pp.v2(CLIENT))
    raw.login()
    proxy.event("connected")
    assert [event["event"] for event in proxy.all_events() if event["client_addr"]] == ["connected"]


def test_addresses_in_a_local_header_are_not_believed(behind, client):
    proxy = behind()  # 127.0.0.1 is trusted, and not in `allow`
    raw = client(proxy)
    family, where = pp.addresses(CLIENT)
    raw.send_raw(pp.header(pp.LOCAL, family, where) + messages.startup())
    assert raw.fatal().sqlstate == "28000"
    event = proxy.event("rejected")
    assert (event["client_addr"], event["front"]["local"]) == ("127.0.0.1", True)
    assert CLIENT not in proxy.audit_text()


def test_a_load_balancer_that_asks_for_itself_is_nobodys_client(behind, client):
    proxy = behind({"allow": ["127.0.0.1", "192.0.2.0/24"]})
    check = client(proxy)
    check.send_raw(pp.header(pp.LOCAL, pp.UNSPEC))
    check.begin_login("scram_user")  # goes once it has an answer, as HAProxy does
    check.close()
    whole = client(proxy)
    whole.send_raw(pp.header(pp.LOCAL, pp.UNSPEC))
    whole.login("trust_user")
    whole.send(messages.TERMINATE)
    whole.expect_closed()
    proxy.event("disconnected")
    raw = client(proxy)
    raw.send_raw(pp.v2(CLIENT))
    raw.login("md5_user")
    proxy.event("connected", usename="md5_user")
    assert reported(proxy, usename="md5_user")["client_addr"] == CLIENT
    assert [one["usename"] for one in report(proxy)] == ["md5_user"]
    assert "auth_failed" not in [event["event"] for event in proxy.all_events()]


# --- What the front saw of the client's TLS


def test_a_client_whose_tls_ends_at_the_front_is_not_called_plain_without_a_word(behind, client):
    proxy = behind()
    raw = client(proxy)
    raw.send_raw(pp.v2(CLIENT, pp.ssl_tlv(3, 0, name="billing")))
    raw.login()
    event = proxy.event("connected")
    assert (event["ssl"], event["weak"]) == (False, True)  # between the front and us it is in clear
    assert event["evidence"] == ["tls_at_front", "client_certificate"]
    assert (event["sslmode_min"], event["sslmode_max"], event["verifies"]) == ("allow", "verify-full", "unknown")
    assert event["front"]["tls"] == {"used": True, "version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "group": None, "certificate": True,
                                     "verified": True, "common_name": "billing"}
    raw.close()
    told = reported(proxy, usename="trust_user")
    assert (told["plain"], told["verifies"]) == (1, "unknown")
    detail = {piece["evidence"]: piece["certificate"] for piece in told["evidence_detail"]}
    assert detail["tls_at_front"] == "front: TLSv1.3 TLS_AES_256_GCM_SHA384 certificate verified CN=billing"
    words = "TLS ends at the load balancer in front, which says so: what is verified there is not known: trust_user@postgres"
    table, page = (pgairlock("report", "--state-dir", proxy.state_dir, *form, check=True).stdout for form in ((), ("--format", "html")))
    assert words in " ".join(table.split()) and words.rpartition(":")[0] in page


def test_tls_of_the_fronts_own_is_no_evidence_about_the_client(behind, client):
    """It would say of the client what only the load balancer does: with `undistributed` that it accepts anything."""
    proxy = behind(tls={"trust": "undistributed"})
    raw = client(proxy)
    raw.send_raw(pp.v2(CLIENT, pp.ssl_tlv(1, version="TLSv1.1", cipher="ECDHE-RSA-AES128-SHA")))
    raw.negotiate("direct").login()
    event = proxy.event("connected")
    assert (event["evidence"], event["verifies"], event["ja4"], event["not_probed"]) == (["tls_at_front"], "unknown", None, "tls_of_front")
    assert event["weak"] is True  # TLSv1.1 at the front
    raw.close()
    told = reported(proxy, usename="trust_user")
    assert told["modes"] == {"TLSv1.1": 1} and told["weak_tls"] == 1


def test_clear_text_that_the_front_puts_tls_around_is_not_called_tls(behind, client):
    proxy = behind(tls={"trust": "undistributed"})
    wrapped = client(proxy)
    wrapped.send_raw(pp.v2(CLIENT, pp.ssl_tlv(0)))
    wrapped.negotiate("direct").login()
    event = proxy.event("connected")
    assert (event["evidence"], event["sslmode_min"], event["sslmode_max"], event["weak"]) == (["tls_perhaps_of_front"], "disable", "verify-full", True)
    passed_through = client(proxy)
    passed_through.send_raw(pp.v2("192.0.2.8", pp.ssl_tlv(0)))
    passed_through.negotiate("sslrequest").login()  # which no load balancer speaks
    assert proxy.event("connected", client_addr="192.0.2.8")["evidence"] == ["tls_startup_undistributed"]


def test_clear_text_all_the_way_is_called_that(behind, client):
    proxy = behind()
    raw = client(proxy)
    raw.send_raw(pp.v2(CLIENT, pp.ssl_tlv(0)))
    raw.login()
    assert proxy.event("connected")["evidence"] == ["clear_startup"]


def test_a_handshake_that_the_front_fails_is_not_the_clients(behind, client):
    proxy = behind()
    raw = client(proxy)
    raw.send_raw(pp.v2(CLIENT, pp.ssl_tlv(1)))
    with pytest.raises(Exception, match="(?i)certificate"):
        raw.negotiate("direct", tls_context(ca="/etc/ssl/certs/ca-certificates.crt", alpn=["postgresql"]))
    event = proxy.event("tls_failed")
    assert (event["evidence"], event["client_addr"]) == ([], CLIENT)
    good = client(proxy)
    good.send_raw(pp.v2("192.0.2.8"))
    good.login()
    proxy.event("connected")
    reported(proxy, client_addr="192.0.2.8")
    assert [one["client_addr"] for one in report(proxy)] == ["192.0.2.8"]


@pytest.mark.parametrize("address, tlvs, asked", [(CLIENT, b"", False), (CLIENT, pp.ssl_tlv(1), True), (CLIENT, pp.ssl_tlv(0), False),
                                                  ("127.0.0.1", b"", True)], ids=["not told", "TLS", "clear", "this host"])
def test_a_password_is_asked_for_only_where_it_crosses_no_network_in_clear(behind, client, address, tlvs, asked):
    """The front is on this host; its clients need not be."""
    proxy = behind({"allow": ["127.0.0.1", "192.0.2.0/24"]}, auth={"scram": "bridge"})
    raw = client(proxy)
    raw.send_raw(pp.v2(address, tlvs))
    if asked:
        assert raw.begin_login("scram_user")[0] == messages.CLEARTEXT
    else:
        with pytest.raises(ErrorResponse) as refused_it:
            raw.begin_login("scram_user")
        assert "may not cross a network in clear" in refused_it.value.message


# --- HAProxy


def pem(directory, certificate) -> str:
    path = directory / "haproxy.pem"
    path.write_text(certificate.cert.read_text() + certificate.key.read_text())
    return str(path)


@pytest.mark.parametrize("sends", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_psql_through_haproxy(behind, haproxy, pg, sends, sslmode):
    proxy = behind({"allow": ["127.0.0.0/8"]})
    front = haproxy(proxy, server=sends)
    assert pg("psql", front, "-XAtc", "SELECT 6 * 7", sslmode=sslmode).stdout == "42\n"
    event = proxy.event("connected")
    assert (event["client_addr"], event["proxy_addr"], event["ssl"]) == ("127.0.0.1", "127.0.0.1", sslmode == "require")
    assert event["front"]["named_client"] and event["client_port"] > 0
    assert event["client_process"] is None


def test_a_client_through_haproxy_that_ends_tls(behind, haproxy, client, pki, directory):
    proxy = behind({"allow": ["127.0.0.0/8"]})
    front = haproxy(proxy, bind=f"ssl crt {pem(directory, pki.proxy)} alpn postgresql ca-file {pki.people.cert} verify optional",
                    server="send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,authority")
    person = pki.leaf(pki.people, "billing")
    raw = client(front)
    raw.start_tls(tls_context(alpn=["postgresql"], certificate=person))
    raw.login()
    event = proxy.event("connected")
    tls = event["front"]["tls"]
    assert (event["ssl"], event["evidence"]) == (False, ["tls_at_front", "client_certificate"])
    assert (tls["used"], tls["version"], tls["certificate"], tls["verified"], tls["common_name"]) == (True, "TLSv1.3", True, True, "billing")
    assert event["front"]["authority"] == "localhost"


def test_haproxys_health_checks_are_no_clients(behind, haproxy, pg):
    proxy = behind({"allow": ["127.0.0.0/8"]})
    front = haproxy(proxy, server="send-proxy-v2 check-send-proxy check inter 100ms", backend=["option pgsql-check user scram_user"])

    def answers() -> bool:
        done = pg("psql", front, "-XAtc", "SELECT 1", check=False)
        return done.returncode == 0
    until(answers, what="psql through HAProxy, whose check has gone well")
    reported(proxy, usename="trust_user")
    assert [one["usename"] for one in report(proxy)] == ["trust_user"]
    assert "auth_failed" not in [event["event"] for event in proxy.all_events()]
    assert "is DOWN" not in front.log()
