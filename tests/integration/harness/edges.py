"""Edges of the proxy that can be broken while it works, and mended: its log's reader, disk, memory, descriptors, clock, servers, strangers.

Each edge has `configure(config)`, before the start; `broken(proxy, load)`, a context in which it is broken, entered when the proxy has noticed or
has had every reason to; and says what follows: whether logins are excused, and what is in the log."""

import itertools
import json
import os
import random
import re
import resource
import signal
import socket
import sqlite3
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime

import pytest

from . import messages
from .clock import DAY, Clock
from .fake_upstream import FakeUpstream
from .forwarder import Forwarder
from .load import SSLMODES
from .waiting import PATIENCE, until
from .wire import Client, tls_context


class Edge:
    excuses_logins = False  # they cannot succeed while it is broken
    wrapper = ()            # of the proxy's command
    sslmodes = SSLMODES     # of the load
    environment: dict[str, str] = {}

    def configure(self, config: dict) -> None:
        """Before the start."""

    @contextmanager
    def broken(self, proxy, load):
        yield

    def close(self) -> None:
        """After the proxy's end."""


class StoppedReaderOfTheLog(Edge):
    """Whoever reads standard error has stopped reading: a log agent, a container runtime, journald."""

    def __init__(self, directory):
        self.path = directory / "stderr.fifo"
        os.mkfifo(self.path)
        self.held = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self.wrapper = ("sh", "-c", f'exec "$0" "$@" 2>{self.path}')

    def configure(self, config):
        config["log"] = {"level": "debug"}

    @contextmanager
    def broken(self, proxy, load):
        for _ in range(20):  # strangers fill what a pipe holds many times over, beside the load
            garbage(proxy.address, 100)
        load.goes_on()
        yield
        read = self.drain()
        proxy.signal(signal.SIGHUP)
        until(lambda: read.extend(self.drain()) or b"reloaded: SIGHUP" in read, what="the log goes on once it is read")

    def drain(self) -> bytearray:
        read = bytearray()
        while True:
            try:
                read += os.read(self.held, 1 << 16)
            except BlockingIOError:
                return read

    def close(self):
        os.close(self.held)


class NoDescriptors(Edge):
    excuses_logins = True

    @contextmanager
    def broken(self, proxy, load):
        used = self.lasting(proxy)
        with limited(proxy, resource.RLIMIT_NOFILE, min(set(range(len(used) + 1)) - used)):
            proxy.wait_for_log("cannot accept|too many open files")
            load.goes_on(logins=0)
            yield


    @staticmethod
    def lasting(proxy) -> set[int]:
        """What logins have open for a moment would leave room for others once they are over."""
        used = set(range(1 << 20))
        for _ in range(50):
            used &= {int(name) for name in os.listdir(f"/proc/{proxy.process.pid}/fd")}
            time.sleep(0.02)
        return used


class NoMemory(Edge):
    excuses_logins = True

    @contextmanager
    def broken(self, proxy, load):
        pages = int(open(f"/proc/{proxy.process.pid}/statm").read().split()[0])
        with limited(proxy, resource.RLIMIT_AS, pages * resource.getpagesize()), ExitStack() as open_sockets:
            for _ in range(500):  # they take what was free within the process
                sock = open_sockets.enter_context(socket.create_connection(proxy.address))
                sock.sendall(messages.SSL_REQUEST)
            load.goes_on(logins=0)
            yield


class NoMemoryForSessions(Edge):
    """Clients that read nothing of what they asked for take all the memory that there is. Whose relay needs more is closed, and the audit says so.
    The load needs none: it is in clear on both legs, for each record of TLS is given a buffer."""

    excuses_logins = True
    sslmodes = ("disable",)

    def configure(self, config):
        for upstream in config["upstream"].values():
            upstream.update(sslmode="disable")
            del upstream["sslrootcert"]

    @contextmanager
    def broken(self, proxy, load):
        clients = []
        try:
            for _ in range(40):
                clients.append(Client(proxy.address, receive_buffer=4096))
                clients[-1].login("trust_user")
            # Not RLIMIT_AS: what an arena has reserved it may use.
            used = int(re.search(r"VmData:\s+(\d+) kB", open(f"/proc/{proxy.process.pid}/status").read()).group(1)) * 1024
            with limited(proxy, resource.RLIMIT_DATA, used):
                for client in clients:
                    client.send(messages.query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)"))
                proxy.events("disconnected", reason="failed")
                load.goes_on(logins=0)
                yield
            failed = {event["client_port"] for event in proxy.events("disconnected", reason="failed")}
            assert failed & {client.port for client in clients}
            proxy.wait_for_log("a session's relay ended: std::bad_alloc")
        finally:
            for client in clients:
                client.abort()


class FullDisk(Edge):
    """No file may grow, as on a full disk (the kernel says EFBIG instead of ENOSPC)."""

    @contextmanager
    def broken(self, proxy, load):
        with limited(proxy, resource.RLIMIT_FSIZE, 1):
            load.goes_on()
            yield
        proxy.wait_for_log("audit: .* can be written again")
        load.goes_on()
        assert proxy.all_events(), "the audit has lines, and they are whole"


class LockedInventory(Edge):
    @contextmanager
    def broken(self, proxy, load):
        other = sqlite3.connect(proxy.state_dir / "inventory.db", isolation_level=None, timeout=60)
        try:
            other.execute("BEGIN EXCLUSIVE")
            proxy.wait_for_log("inventory: cannot write")
            load.goes_on()
            yield
        finally:
            other.close()
        proxy.wait_for_log("can be written again")


class ShortenedInventory(Edge):
    """What SQLite has mapped becomes shorter, as when a backup is copied over the folder of a proxy that runs."""

    @contextmanager
    def broken(self, proxy, load):
        os.truncate(proxy.state_dir / "inventory.db-shm", 0)
        proxy.wait_for_log("was made shorter by somebody while it was in use")
        load.goes_on()
        yield


class UselessFirstHost(Edge):
    """At `host`, before those that serve."""

    host = ""

    def configure(self, config):
        for upstream in config["upstream"].values():
            upstream["hosts"].insert(0, self.host)
            upstream["connect_timeout"] = "15s"  # the next host has as long, and all logins of the load at once

    @contextmanager
    def broken(self, proxy, load):
        load.goes_on(logins=40)
        yield


class DeadHost(UselessFirstHost):
    """The first host drops what is sent to it: its queue of connections is full, and nobody accepts."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.host = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.waiting = [socket.socket() for _ in range(3)]
        for sock in self.waiting:
            sock.setblocking(False)
            sock.connect_ex(self.listener.getsockname())

    def close(self):
        for sock in [*self.waiting, self.listener]:
            sock.close()


class SilentHost(UselessFirstHost):
    """The first host takes connections and says nothing."""

    def __init__(self):
        self.server = FakeUpstream(lambda peer: peer.until_closed())
        self.host = self.server.host

    def close(self):
        self.server.close()


class ReturningHost(UselessFirstHost):
    """The first host is dead, returns, is used again, and dies in one of the ways that there are. Sessions are on the second one."""

    def __init__(self, how=None):
        self.how = how  # None: another one each time

    def configure(self, config):
        address, _, port = next(iter(config["upstream"].values()))["hosts"][-1].rpartition(":")
        self.forwarder = Forwarder((address, int(port)))
        self.host = self.forwarder.host
        super().configure(config)

    @contextmanager
    def broken(self, proxy, load):
        self.forwarder.live()
        wanted = self.forwarder.passed_on + 10
        until(lambda: load.disturbed or load.failed or self.forwarder.passed_on >= wanted, timeout=4 * PATIENCE, what="it is used again")
        load.goes_on()
        self.forwarder.die(self.how or random.choice(Forwarder.WAYS_TO_DIE))
        load.goes_on(logins=40)
        yield

    def close(self):
        self.forwarder.close()


class ClockJumps(Edge):
    """Somebody sets the wall clock, forward and back, by seconds and by decades."""

    JUMPS = (3600, -3600, 30, -30, 40 * DAY, -40 * DAY, 500 * DAY, 0, 12 * 365 * DAY, -25 * 365 * DAY)

    def __init__(self, directory):
        self.clock = Clock(directory)
        self.environment = self.clock.environment

    @contextmanager
    def broken(self, proxy, load):
        try:
            for ahead in self.JUMPS:
                self.clock.set(ahead)
                load.goes_on(statements=50, logins=5)
                self.expect_events(proxy, time.time() + ahead)
            yield
        finally:
            self.clock.set(0)
        load.goes_on()

    @staticmethod
    def expect_events(proxy, now: float) -> None:
        """Its audit is dated by the clock, as it is."""
        def dated():
            last = proxy.audit_text().rstrip("\n").rpartition("\n")[2]
            with suppress(ValueError):  # half a line
                return abs(datetime.fromisoformat(json.loads(last)["ts"].replace("Z", "+00:00")).timestamp() - now) < 20
            return False
        until(dated, what="an event that is dated by the clock")


class Probes(Edge):
    """Clients that verify lose what the budget of probes allows, one each, and nobody else loses anything."""

    def __init__(self):
        self.sources = (f"127.0.{number // 250 + 1}.{number % 250 + 1}" for number in itertools.count())

    def configure(self, config):
        self.context = tls_context(ca=config["listener"][0]["tls"]["cert_file"])
        self.context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # they trust this very certificate
        config.setdefault("audit", {})["probe"] = {
            "enabled": True, "fraction": 1.0, "kinds": ["untrusted"], "grace": "0s", "max_per_client": 1, "max_per_hour": 0}

    @contextmanager
    def broken(self, proxy, load):
        sources = list(itertools.islice(self.sources, 8))
        with ThreadPoolExecutor(len(sources)) as pool:
            list(pool.map(lambda source: until(lambda: not self.log_in(proxy, source), what="a probe"), sources))
            kept = pool.map(lambda source: all(self.log_in(proxy, source) for _ in range(10)), sources)
            assert all(kept), "whoever has lost one loses no other"
        load.goes_on()
        yield

    def log_in(self, proxy, source) -> bool:
        """False: it did not like the certificate."""
        with Client(proxy.address, source=source) as client:
            try:
                client.negotiate("sslrequest", self.context)
            except ssl.SSLCertVerificationError:
                return False
            client.login("trust_user")
            return client.query("SELECT 1") == [[b"1"]]


class Cancels(Edge):
    """Statements that are cancelled, and in between requests that match nobody, so many that they are not looked up any more."""

    @contextmanager
    def broken(self, proxy, load):
        with ExitStack() as stack:
            clients = []
            for number in range(10):
                client = stack.enter_context(Client(proxy.address)).negotiate(("plain", "sslrequest")[number % 2])
                clients.append(client)
                login = client.login("trust_user")
                client.send(messages.query("SELECT pg_sleep(600)"))
                self.ask(proxy, random.randrange(1 << 31), os.urandom(4), "127.0.0.9", 20)
                until(lambda: self.cancelled(proxy, client, login), what=f"client {number} is cancelled")
                with pytest.raises(messages.ErrorResponse, match="57014"):
                    client.rows()
            for client in clients:
                assert client.query("SELECT 1") == [[b"1"]]
            load.goes_on()
            yield

    def cancelled(self, proxy, client, login) -> bool:
        """A request that comes before its statement has begun cancels nothing."""
        self.ask(proxy, login.backend_pid, login.key, None, 1)
        return not client.is_silent(0.5)

    @staticmethod
    def ask(proxy, pid, key, source, count) -> None:
        for _ in range(count):
            with Client(proxy.address, source=source) as asks:
                asks.send(messages.cancel_request(pid, key))
                asks.expect_closed()


class Strangers(Edge):
    """Connections that say nothing, half of something, or something else."""

    @contextmanager
    def broken(self, proxy, load):
        with ExitStack() as open_sockets:
            for number in range(300):
                sock = open_sockets.enter_context(socket.create_connection(proxy.address))
                sock.sendall(SOMETHING[number % len(SOMETHING)])
            load.goes_on()
            yield


class Reloads(Edge):
    @contextmanager
    def broken(self, proxy, load):
        for _ in range(10):
            proxy.signal(signal.SIGHUP)
            load.goes_on(statements=50, logins=5)
        yield


class SlowReaders(Edge):
    """Clients that ask for much and read nothing of it."""

    @contextmanager
    def broken(self, proxy, load):
        clients = []
        for _ in range(10):
            clients.append(Client(proxy.address, receive_buffer=4096))
            clients[-1].login("trust_user")
            clients[-1].send(messages.query("SELECT repeat('x', 1000) FROM generate_series(1, 200000)"))
        load.goes_on()
        yield
        for client in clients:
            client.close()


SOMETHING = (b"", b"\x00\x00", b"GET / HTTP/1.1\r\n\r\n", messages.SSL_REQUEST, b"SSH-2.0-x\r\n", b"\x16\x03\x01\x00\x05\x01", b"\xff" * 64)


def garbage(address, count: int) -> None:
    for number in range(count):
        try:
            with socket.create_connection(address, timeout=5) as sock:
                sock.sendall(SOMETHING[number % len(SOMETHING)])
        except OSError:
            pass  # refused: that is one of the answers


@contextmanager
def limited(proxy, what: int, value: int):
    before = resource.prlimit(proxy.process.pid, what)
    resource.prlimit(proxy.process.pid, what, (value, before[1]))
    try:
        yield
    finally:
        resource.prlimit(proxy.process.pid, what, before)
