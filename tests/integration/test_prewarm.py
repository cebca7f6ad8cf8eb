"""`prewarm`: server connections that are ready before their client. Each serves one client, none is kept too long, and a client never
notices that one was of no use."""

import fcntl
import signal
import socket
import struct
import termios
import threading
import time

import psycopg2
import pytest

from harness import messages
from harness.config import configuration
from harness.fake_upstream import accepting
from harness.messages import ErrorResponse
from harness.waiting import until


class Server:
    """A fake server that can tell who has come how far."""

    def __init__(self, fake, tls, script=None):
        self.ready = []  # peers that are through TLS and have said nothing more
        self.lock = threading.Lock()
        self.tls = tls
        self.script = script or self.serve
        self.server = fake(self._run)
        self.host = self.server.host

    def _run(self, peer):
        assert peer.packet() == "SSLRequest"
        peer.send(b"S")
        peer.start_tls(self.tls)
        with self.lock:
            self.ready.append(peer)
        try:
            packet = peer.packet()
        finally:
            with self.lock:
                self.ready.remove(peer)
        assert packet == "StartupMessage"
        self.script(peer)

    @staticmethod
    def serve(peer):
        peer.ready()
        peer.serve()

    @property
    def made(self) -> int:
        return len(self.server.peers)

    def wait_for_ready(self, count):
        until(lambda: len(self.ready) == count, what=f"{count} connections are ready")


@pytest.fixture
def warm(start, fake, server_tls):
    """A proxy with one thread, the fake server before it, and as many connections as are to be ready."""
    def make(count=2, script=None, drain_timeout="2s", **upstream):
        server = Server(fake, server_tls, script)
        proxy = start([server.host], upstream={"prewarm": count, **upstream}, runtime={"threads": 1, "drain_timeout": drain_timeout})
        server.wait_for_ready(count)
        return proxy, server
    return make


def log_in_prewarmed(proxy, raw) -> bool:
    raw.login("scram_user")
    return proxy.events("connected")[-1]["upstream_prewarmed"]


def prewarmed(proxy, count=1) -> list[bool]:
    return [event["upstream_prewarmed"] for event in proxy.events("connected", count)]


def test_a_client_gets_a_connection_that_was_ready(start, client, cluster):
    proxy = start(upstream={"prewarm": 2}, runtime={"threads": 1})
    for how in ("plain", "sslrequest", "direct"):
        until(lambda: log_in_prewarmed(proxy, client(proxy).negotiate(how)), what=f"{how} gets a connection that was ready")
    event = [event for event in proxy.all_events() if event.get("upstream_prewarmed")][0]
    assert [event["timings_us"][phase] for phase in ("resolve", "connect", "upstream_tls")] == [0, 0, 0]
    assert (event["upstream_version"], event["upstream_anchor"]) == ("TLSv1.3", "CN=Test New CA")


def test_as_many_are_kept_ready_as_are_wanted(warm, client):
    proxy, server = warm(3)
    for taken in range(1, 6):
        client(proxy).login()
        server.wait_for_ready(3)
        assert server.made == 3 + taken


def test_each_thread_has_its_own(start, fake, server_tls):
    server = Server(fake, server_tls)
    start([server.host], upstream={"prewarm": 2}, runtime={"threads": 3})
    server.wait_for_ready(6)


def test_no_connection_serves_two_clients(start, client, cluster):
    proxy = start(upstream={"prewarm": 4})
    crowd = []
    for _ in range(5):
        crowd += [client(proxy).negotiate("sslrequest") for _ in range(8)]
        for raw in crowd[-8:]:
            raw.login()
    assert len({raw.query("SELECT pg_backend_pid()")[0][0] for raw in crowd}) == len(crowd)
    assert any(prewarmed(proxy, len(crowd)))


def test_clients_that_come_faster_than_connections_are_served_all_the_same(warm, client):
    proxy, _ = warm(1)
    crowd = [client(proxy) for _ in range(20)]
    for raw in crowd:
        raw.login()
        raw.query("SELECT 1")
    assert prewarmed(proxy, 20)[0] is True


def test_none_is_kept_longer_than_prewarm_max_age(warm, client):
    proxy, server = warm(2, prewarm_max_age="1s")
    until(lambda: server.made >= 6, what="they are made anew")
    until(lambda: len(server.ready) <= 3, what="the old ones are closed")
    client(proxy).login()


def test_a_server_that_closed_them_is_not_noticed_by_its_client(warm, client):
    proxy, server = warm(2)
    for peer in list(server.ready):
        peer.sock.shutdown(2)
    client(proxy).login()
    server.wait_for_ready(2)


def has_arrived(peer) -> bool:
    """Whether the proxy's kernel has acknowledged all that was sent."""
    return struct.unpack("i", fcntl.ioctl(peer.sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0] == 0


def test_a_server_that_says_something_first_is_not_believed(warm, client):
    """Such as that it shuts down."""
    proxy, server = warm(2)
    spoken = list(server.ready)
    for peer in spoken:
        peer.send(b"E\x00\x00\x00\x2fSFATAL\x00C57P01\x00Mterminating connection\x00\x00")
    until(lambda: all(has_arrived(peer) for peer in spoken), what="it is there to be seen")
    client(proxy).login()
    assert not any("StartupMessage" in peer.opening for peer in spoken)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_server_that_leaves_at_the_startup_message_is_asked_anew(warm, client, how):
    """It had left, and we could not know yet."""
    served = []

    def script(peer):
        if not served:
            served.append(peer)
            if how == "reset":
                peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        Server.serve(peer)

    proxy, _ = warm(1, script)
    client(proxy).login()
    assert prewarmed(proxy) == [False]
    assert len(served) == 1
    assert not [event for event in proxy.all_events() if event["event"] == "upstream_failed"]


def test_a_refusal_is_not_asked_for_twice(warm, client):
    asked = []

    def refuse(peer):
        asked.append(peer)
        peer.send(messages.message(b"E", b"SFATAL\0VFATAL\0C28000\0Mno such role\0\0"))

    proxy, _ = warm(1, refuse)
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).login("nobody_of_that_name")
    assert refused.value.sqlstate == "28000"
    assert len(proxy.events("auth_failed")) == 1
    assert len(asked) == 1


def one_that_was_ready(proxy):
    before = sum(event["event"] == "connected" for event in proxy.all_events())
    connection = psycopg2.connect(host="127.0.0.1", port=proxy.port, user="trust_user", dbname="postgres", sslmode="disable")
    if prewarmed(proxy, before + 1)[-1]:
        return connection
    connection.close()
    return None


def test_a_cancel_request_reaches_the_session(start, cluster):
    proxy = start(upstream={"prewarm": 1}, runtime={"threads": 1})
    connection = until(lambda: one_that_was_ready(proxy), what="a connection is made ready")
    pid = connection.info.backend_pid
    canceller = threading.Thread(target=lambda: (cluster.wait_until_asleep(pid), connection.cancel()))
    canceller.start()
    with pytest.raises(psycopg2.errors.QueryCanceled):
        connection.cursor().execute("SELECT pg_sleep(600)")
    canceller.join()
    connection.close()


def test_a_reload_closes_those_of_the_old_configuration(warm, client, pki, directory):
    roots = directory / "roots.pem"
    roots.write_text(pki.new.cert.read_text())
    proxy, server = warm(2, sslrootcert=[str(roots)])
    before = list(server.ready)
    roots.write_text(pki.old.cert.read_text())
    proxy.event("reloaded")
    until(lambda: not set(before) & set(server.ready), what="the old ones are closed")
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).login()
    assert "was refused" in refused.value.message
    proxy.wait_for_log('upstream "orders": no connection can be kept ready: .*certificate')
    roots.write_text(pki.new.cert.read_text())
    proxy.events("reloaded", 2)
    server.wait_for_ready(2)
    client(proxy).login()


def test_they_are_closed_by_a_stop(warm):
    proxy, server = warm(3, drain_timeout="1h")
    proxy.stop()
    server.wait_for_ready(0)


def test_sighup_during_a_drain_makes_no_new_ones(warm, client):
    proxy, server = warm(2)
    session = client(proxy)
    session.login()
    server.wait_for_ready(2)
    proxy.signal(signal.SIGTERM)
    proxy.event("stopping")
    server.wait_for_ready(0)
    made = server.made
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log("SIGHUP while draining: nothing is reloaded")
    session.close()
    proxy.expect_exit(0)
    assert server.made == made
    assert not [event for event in proxy.all_events() if event["event"] == "reloaded"]


def test_a_server_that_is_away_is_told_of_once_and_found_again(run_proxy, start, client, fake, server_tls):
    gate = []

    def script(peer):
        if not gate:
            return  # closes
        accepting(server_tls)(peer)

    server = fake(script)
    proxy = start([server.host], upstream={"prewarm": 1}, runtime={"threads": 1})
    proxy.wait_for_log("no connection can be kept ready")
    attempts = len(server.peers)
    until(lambda: len(server.peers) >= attempts + 2, what="it is tried again")
    assert proxy.log().count("no connection can be kept ready") == 1
    gate.append(True)
    proxy.wait_for_log("connections are kept ready again")
    client(proxy).login()
    assert prewarmed(proxy) == [True]


def test_a_server_that_closes_at_once_is_not_overrun(start, fake, server_tls):
    def script(peer):
        assert peer.packet() == "SSLRequest"
        peer.send(b"S")
        peer.start_tls(server_tls)

    server = fake(script)
    proxy = start([server.host], upstream={"prewarm": 2}, runtime={"threads": 1})
    begin = time.monotonic()
    until(lambda: len(server.peers) >= 6, what="it is tried again")
    assert time.monotonic() - begin > 0.5, "without pauses"
    assert proxy.log().count("no connection can be kept ready") <= 3


def test_it_needs_a_mode_that_insists_on_tls(run_proxy, pki, cluster):
    proxy = run_proxy(configuration(pki, [cluster.host], upstream={"prewarm": 1, "sslmode": "prefer", "sslrootcert": None}), wait=False)
    proxy.expect_exit(2)
    assert 'upstream.orders.prewarm: keeps TLS connections ready, which sslmode "prefer" does not insist on' in proxy.log()
