"""What is counted: one login, one round trip, one block that is relayed. One thread plays client and server in turns, so each step of the
proxy finds the same bytes waiting, run after run."""

import queue
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

from harness import messages
from harness.fake_upstream import FakeUpstream, Peer, server_context
from harness.wire import Client, tls_context

# Three full TLS records. With what TLS adds it still is one segment of the loopback interface, so it arrives at once or not at all.
BLOCK = 3 * 16384
# After these the TCP windows are wide open. Before, a segment holds half a window at most.
WINDOW_BLOCKS = 20

QUERY = messages.query("SELECT abalance FROM pgbench_accounts WHERE aid = 4711")
ANSWER = (messages.message(b"T", b"\0\1abalance\0" + bytes(18)) + messages.message(b"D", b"\0\1\0\0\0\5-1234") +
          messages.message(b"C", b"SELECT 1\0") + messages.READY_FOR_QUERY)


class Upstream(FakeUpstream):
    """Takes every login, and then leaves its end of the connection to whoever drives the client."""

    def __init__(self, directory):
        context = server_context(SimpleNamespace(cert=directory / "server.crt", key=directory / "server.key"))
        context.num_tickets = 0  # PostgreSQL sends none either; whether the proxy meets them alone or with an answer would be chance
        self._logged_in: queue.Queue[Peer] = queue.Queue()
        self._over = threading.Event()

        def script(peer: Peer) -> None:
            peer.sock.settimeout(60)
            peer.open(context)
            peer.ready()
            self._logged_in.put(peer)
            self._over.wait()
        super().__init__(script)

    def next(self) -> Peer:
        return self._logged_in.get(timeout=60)

    def close(self) -> None:
        self._over.set()
        super().close()


class Session:
    """A client that is logged in, and the server's end of its connection."""

    def __init__(self, address, upstream: Upstream, leg: str):
        self.client = Client(address, timeout=60)
        if leg == "tls":
            self.client.negotiate("sslrequest", tls_context())
        self.client.login()
        self.server = upstream.next()

    def leave(self) -> None:
        """As libpq and PostgreSQL do: Terminate, then both ends close."""
        self.to_server(messages.TERMINATE)
        self.server.sock.close()
        self.client.expect_closed()
        self.client.close()

    def to_server(self, data: bytes) -> None:
        self.client.send(data)
        _take(self.server.sock, len(data))

    def to_client(self, data: bytes) -> None:
        """Python's SSL sends each record by itself: the cork makes one segment of them."""
        self.server.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        self.server.send(data)
        self.server.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        self.client.receive(len(data))


class World:
    """What every run begins with: one session with each kind of client leg. Whatever happens only once happens here."""

    def __init__(self, address, upstream: Upstream):
        self.address, self.upstream = address, upstream
        self.plain, self.tls = Session(address, upstream, "plain"), Session(address, upstream, "tls")
        for _ in range(WINDOW_BLOCKS):
            self.block_to_server()
            self.block_to_client()

    def login_plain(self) -> None:
        Session(self.address, self.upstream, "plain").leave()

    def login_tls(self) -> None:
        Session(self.address, self.upstream, "tls").leave()

    def round_trip_plain(self) -> None:
        _round_trip(self.plain)

    def round_trip_tls(self) -> None:
        _round_trip(self.tls)

    def block_to_server(self) -> None:
        self.tls.to_server(bytes(BLOCK))

    def block_to_client(self) -> None:
        self.tls.to_client(bytes(BLOCK))

    def leave(self) -> None:
        self.plain.leave()
        self.tls.leave()


@dataclass(frozen=True)
class Work:
    do: Callable[[World], None]
    count: int  # enough for 1 %: signatures and random numbers do not always take the same number of instructions


@dataclass(frozen=True)
class Unit:
    """What a figure is for: work, or so many times the work, on one of the proxy's threads."""

    name: str
    work: Work
    times: float = 1
    thread: str = "worker"


LOGIN_TLS = Work(World.login_tls, 40)

UNITS = [
    Unit("login-plain", Work(World.login_plain, 40)),
    Unit("login-tls", LOGIN_TLS),
    Unit("login-audit", LOGIN_TLS, thread="audit"),
    Unit("round-trip-plain", Work(World.round_trip_plain, 2000)),
    Unit("round-trip-tls", Work(World.round_trip_tls, 2000)),
    Unit("gb-to-server", Work(World.block_to_server, 500), 1e9 / BLOCK),
    Unit("gb-to-client", Work(World.block_to_client, 500), 1e9 / BLOCK),
]


def _round_trip(session: Session) -> None:
    session.to_server(QUERY)
    session.to_client(ANSWER)


def _take(sock: ssl.SSLSocket, count: int) -> None:
    while count:
        part = sock.recv(min(count, 1 << 16))
        if not part:
            raise EOFError("the proxy closed the connection")
        count -= len(part)
