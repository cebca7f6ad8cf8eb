"""Crowds, garbage and leaks."""

import random
import socket
import ssl
import time

import pytest

from harness import messages, programs
from harness.cluster import WRONG_PASSWORD
from harness.config import configuration
from harness.fake_upstream import server_context
from harness.messages import ErrorResponse
from harness.waiting import until
from harness.wire import tls_context


def nothing(_raw):
    pass


def half_a_startup_packet(raw):
    raw.send(messages.startup()[:11])


def sslrequest_unread(raw):
    raw.send(messages.SSL_REQUEST)


def half_a_client_hello(raw):
    assert raw.request_tls() == b"S"
    raw.send_raw(b"\x16\x03\x01\x02\x00\x01\x00\x01")


def handshake_done(raw):
    raw.negotiate("sslrequest")


def half_a_startup_packet_in_tls(raw):
    raw.negotiate("sslrequest")
    raw.send(messages.startup()[:11])


def password_owed(raw):
    raw.negotiate("sslrequest")
    raw.send(messages.startup("md5_user"))
    assert raw.message()[0] == b"R"


@pytest.mark.parametrize("state", [nothing, half_a_startup_packet, sslrequest_unread, half_a_client_hello, handshake_done,
                                   half_a_startup_packet_in_tls, password_owed])
def test_200_half_open_clients_do_not_slow_the_201st(start, client, state):
    proxy = start()
    before = login_seconds(client, proxy)
    for _ in range(200):
        state(client(proxy))
    until(lambda: login_seconds(client, proxy) < before * 3 + 0.05, what=f"logins as before, of {before:.4f} s")


def test_200_servers_that_hang_do_not_slow_the_201st(start, run_proxy, client, fake, pki, cluster):

    hanging = fake(lambda peer: peer.until_closed())
    config = configuration(pki, [cluster.host])
    config["listener"].append({"name": "hanging", "listen": ["127.0.0.1:0"], "upstream": "hanging"})
    config["upstream"]["hanging"] = {"hosts": [hanging.host], "sslmode": "require", "connect_timeout": "60s"}
    proxy = run_proxy(config, listeners=2)
    before = login_seconds(client, proxy)
    for _ in range(200):
        client(proxy.addresses[1]).send(messages.startup())
    until(lambda: login_seconds(client, proxy) < before * 3 + 0.05, what=f"logins as before, of {before:.4f} s")


# --- garbage


def garbage(numbers: random.Random):
    """Endless variations of what may come first."""
    valid = [messages.startup(), messages.startup("md5_user", application_name="x" * 300), messages.SSL_REQUEST, messages.GSSENC_REQUEST,
             messages.cancel_request(1, b"abcd"), client_hello(), messages.startup(version=3 << 16 | 2)]
    while True:
        data = bytearray(numbers.choice(valid))
        for _ in range(numbers.randrange(1, 6)):
            place = numbers.randrange(len(data)) if data else 0
            action = numbers.randrange(5)
            if action == 0 and data:
                data[place] = numbers.randrange(256)
            elif action == 1:
                data[place:place] = numbers.randbytes(numbers.randrange(40))
            elif action == 2:
                del data[place:place + numbers.randrange(40)]
            elif action == 3:
                data += numbers.choice(valid)
            else:
                data[:4] = numbers.choice([0, 1, 8, 9, 10_000, 10_001, 0x7FFFFFFF, 0xFFFFFFFF]).to_bytes(4, "big")
        yield bytes(data)


def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    try:
        tls_context(alpn=["postgresql"]).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


@pytest.mark.parametrize("mode", ["disable", "allow", "require"])
def test_mutated_opening_packets_never_crash(start, client, mode):
    proxy = start(tls={"mode": mode})
    numbers = random.Random(20_000 + len(mode))
    packets = garbage(numbers)
    for _ in range(400):
        provoke(proxy, next(packets), numbers)
    assert_alive(client, proxy, mode)


def test_mutated_opening_packets_inside_tls_never_crash(start, client):
    proxy = start()
    numbers = random.Random(3)
    packets = garbage(numbers)
    for _ in range(200):
        raw = client(proxy).negotiate("sslrequest")
        raw.send(next(packets))
        raw.sock.settimeout(0.05)
        try:
            raw.receive_some()
        except (OSError, ssl.SSLError):
            pass
        raw.close()
    assert_alive(client, proxy)


def test_garbage_during_the_login_never_crashes(start, client):
    proxy = start()
    numbers = random.Random(4)
    for number in range(200):
        raw = client(proxy)
        raw.send(messages.startup(numbers.choice(["md5_user", "scram_user", "password_user"])))
        raw.message()
        length = numbers.choice([0, 3, 4, 5, 12, 40, 70_000, 0x7FFFFFFF, 0xFFFFFFFF])
        kind = numbers.choice([b"p", b"p", b"p", b"Q", b"X", b"\0", b"d"])
        raw.send(kind + length.to_bytes(4, "big") + numbers.randbytes(numbers.randrange(200)))
        raw.sock.settimeout(0.05)
        try:
            raw.receive_some()
        except OSError:
            pass
        raw.abort() if number % 2 else raw.close()
    assert_alive(client, proxy)


@pytest.mark.parametrize("mechanism, body", [
    (b"SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abc"), (b"PLAIN", b""), (b"", b""), (b"SCRAM-SHA-256", b""),
    (b"SCRAM-SHA-256", b"z,,n=,r=abc"), (b"SCRAM-SHA-256", b"p=tls-unique,,n=,r=abc"), (b"SCRAM-SHA-256", b"," * 1000),
])
@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_wrong_sasl_choices_end_in_an_error(start, client, how, mechanism, body):
    proxy = start()
    raw = client(proxy).negotiate(how)
    raw.send(messages.startup("scram_user"))
    raw.message()
    raw.send(messages.message(b"p", mechanism + b"\0" + len(body).to_bytes(4, "big") + body))
    assert raw.fatal().sqlstate in ("08P01", "28000", "28P01")


# --- leaks


def test_no_descriptor_is_left_behind_after_300_mixed_connections(start, client, pki):
    proxy = start(runtime={"client_login_timeout": "5s"})
    numbers = random.Random(5)
    baseline = settled_fds(client, proxy, lambda: one_of_many(client, proxy, pki, numbers))
    for _ in range(300):
        one_of_many(client, proxy, pki, numbers)
    expect_fds(proxy, baseline)


def test_no_descriptor_is_left_behind_after_failed_upstreams(start, client, fake, pki):
    answers = [b"", b"N", b"S", b"E", b"S" + b"x" * 10]
    bad = server_context(pki.leaf(pki.old, "server.old", ("IP:127.0.0.1",)))

    def script(peer):
        peer.packet()
        number = len(server.peers) % 6
        if number == 5:
            peer.send(b"S")
            peer.start_tls(bad)
        else:
            peer.send(answers[number])

    server = fake(script)
    proxy = start([server.host])

    def fail():
        raw = client(proxy)
        with pytest.raises(ErrorResponse):
            raw.login()
        raw.close()

    baseline = settled_fds(client, proxy, fail)
    for _ in range(60):
        fail()
    expect_fds(proxy, baseline)


@pytest.mark.skipif(programs.sanitized(), reason="a sanitizer keeps freed memory")
def test_memory_does_not_grow_with_connections(start, client):
    proxy = start()

    def some():
        for _ in range(150):
            raw = client(proxy).negotiate("sslrequest")
            raw.login()
            raw.send(messages.TERMINATE)
            raw.close()
        until(lambda: len([1 for event in proxy.all_events() if event["event"] == "disconnected"]) % 150 == 0)

    some()
    before = proxy.rss_kib()
    some()
    some()
    assert proxy.rss_kib() - before < 3 * 1024


def settled_fds(client, proxy, connect) -> list[str]:
    """The descriptors once every thread has served somebody (which takes clients at the same time) and nobody is left."""
    crowd = [client(proxy) for _ in range(16)]
    for raw in crowd:
        half_a_startup_packet(raw)
    for _ in range(20):
        connect()
    for raw in crowd:
        raw.close()
    until(lambda: proxy.sockets() == 0, what="the end of all connections")
    return proxy.fds()


def expect_fds(proxy, baseline: list[str]) -> None:
    until(lambda: len(proxy.fds()) <= len(baseline), what=f"{baseline} again, not {proxy.fds()},")


def one_of_many(client, proxy, pki, numbers) -> None:
    kind = numbers.randrange(9)
    raw = client(proxy)
    try:
        if kind == 0:
            raw.login()
        elif kind == 1:
            raw.negotiate("sslrequest").login("md5_user")
        elif kind == 2:
            raw.negotiate("direct").login("scram_user")
        elif kind == 3:
            raw.login("md5_user", WRONG_PASSWORD)
        elif kind == 4:
            raw.negotiate("sslrequest", tls_context(ca=pki.old.cert))
        elif kind == 5:
            half_a_client_hello(raw)
        elif kind == 6:
            raw.send(messages.cancel_request(1, b"none"))
        elif kind == 7:
            raw.send(b"GET / HTTP/1.1\r\n\r\n")
            raw.expect_closed()
    except (ErrorResponse, ssl.SSLError):
        pass
    raw.abort() if numbers.randrange(2) else raw.close()


def provoke(proxy, data: bytes, numbers: random.Random) -> None:
    with socket.create_connection(proxy.address) as sock:
        sock.settimeout(0.03)
        cut = numbers.randrange(len(data) + 1)
        try:
            for part in (data[:cut], data[cut:]):
                sock.sendall(part)
                sock.recv(4096)
        except OSError:
            pass


def assert_alive(client, proxy, mode="allow") -> None:
    assert proxy.process.poll() is None, proxy.log()
    client(proxy).negotiate("plain" if mode == "disable" else "sslrequest").login()


def login_seconds(client, proxy) -> float:
    """The fastest of some logins, each a new connection: what else the machine has to do slows most of them, but not all."""
    spent = []
    for _ in range(9):
        begin = time.monotonic()
        raw = client(proxy).negotiate("sslrequest")
        raw.login()
        spent.append(time.monotonic() - begin)
        raw.close()
    return min(spent)
