"""Loads that a capture cannot keep up with, and what must hold all the same: nobody is disturbed, memory and disk stay within their bounds, and
what is not in the capture is counted. bench/capture/heavy.py runs them at full length, test_capture_heavy.py for seconds."""

import json
import os
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import programs
from .capture_tally import SEQUENCES, Reader, RingReader, SlowReader, Tally
from .proxy import Proxy
from .waiting import PATIENCE, until

BENCH = Path(programs.PGAIRLOCK).parents[1] / "bench/pgairlock-bench"
LINE = 1000  # bytes of COPY's data, the newline included
CHUNK = 4000  # lines that are compared at a time
LOGIN = 4096  # more than a login has, in bytes

MIB = 1 << 20
QUEUE = 64 * MIB  # Capture::max_queued_bytes
MAX_TOTAL = 256 * MIB
RING = {"max_file_size": "64MiB", "max_total_size": f"{MAX_TOTAL // MIB}MiB", "min_free_space": "0B"}  # the proxy's [capture]
HELD = 256 << 10  # SessionCapture, HeldMemory::max_bytes_of_session: what is held back for an opening
SESSION = 96 << 10  # a session with TLS on both legs, and what the captures keep for it
# The allocator's: what is freed is not given back to the system at once, and the queue counts the bytes of its items without malloc's own.
SLACK = 32 * MIB + QUEUE // 4


@dataclass
class Outcome:
    figures: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    dropped: int = 0
    rests: int = 0  # packets that are left out because their message began in a file before, or in a gap

    def check(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.faults.append(otherwise)


class Memory:
    """The most that a process had at once, since construction, beyond what it had then."""

    def __init__(self, proxy: Proxy):
        self.proxy = proxy
        Path(f"/proc/{proxy.process.pid}/clear_refs").write_text("5")
        self.before = self._of("VmRSS")

    def grown(self) -> int:
        return self._of("VmHWM") - self.before

    def _of(self, name: str) -> int:
        return int(re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{self.proxy.process.pid}/status").read_text())[1]) << 10

    def judge(self, outcome: Outcome, allowed: int) -> None:
        grown = self.grown()
        outcome.figures.append(f"memory: {self.before / MIB:.0f} MiB before, at most {grown / MIB:.0f} MiB more; allowed {allowed / MIB:.0f}")
        outcome.check(grown <= allowed, f"the proxy grew by {grown / MIB:.0f} MiB, and {allowed / MIB:.0f} are allowed")


@dataclass
class Running:
    """A capture while it runs."""

    proxy: Proxy
    number: int
    reader: Reader

    def catch_up(self, ask) -> None:
        """Until what was dropped is told in the file, at packets that came later: `ask` makes some. So the end of everything is in it."""
        self.reader.take_all()

        def told() -> bool:
            ask()
            captures = json.loads(programs.pgairlock("capture", "status", "--console", self.proxy.console, "--json", check=True).stdout)["captures"]
            return self.reader.error or [self.reader.tally.told] == [one["dropped"] for one in captures]
        until(told, interval=0.2, timeout=4 * PATIENCE, what="a capture that has caught up")


@contextmanager
def into_ring(proxy: Proxy, outcome: Outcome, *options, tally: Tally):
    """A capture into the proxy's folder, which is empty. Checks what is in it when the load is over."""
    events = len(proxy.events("capture_started", 0))
    programs.pgairlock("capture", "start", "--console", proxy.console, *options, check=True)
    number = proxy.events("capture_started", events + 1)[-1]["capture"]
    folder = proxy.state_dir / "captures"
    reader = RingReader(folder, tally)
    yield Running(proxy, number, reader)
    stopped = _stop(proxy, number)
    reader.finish()
    outcome.figures.append(f"ring: {len(reader.seen)} files, at most {reader.most / MIB:.0f} MiB at once; allowed {MAX_TOTAL / MIB:.0f}")
    outcome.check(reader.most <= MAX_TOTAL, f"the ring had {reader.most} bytes at once, and {MAX_TOTAL} are allowed")
    _judge(outcome, tally, stopped)
    _is_readable(outcome, sorted(folder.iterdir(), key=lambda path: int(path.stem.rpartition("-")[2]))[-1])


@contextmanager
def to_slow_reader(proxy: Proxy, outcome: Outcome, *options, tally: Tally):
    """A capture into a pipe of which next to nothing is read as long as the load lasts: what does not fit into the queue has to be dropped."""
    events = len(proxy.events("capture_started", 0))
    command = [programs.PGAIRLOCK, "capture", "start", "--console", proxy.console, "--write", "-", *options]
    process = subprocess.Popen(programs.with_death_signal(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        number = proxy.events("capture_started", events + 1)[-1]["capture"]
        reader = SlowReader(process.stdout, tally)
        yield Running(proxy, number, reader)
        reader.take_all()
        stopped = _stop(proxy, number)
        reader.finish()
        errors = process.stderr.read().decode()
        outcome.check(process.wait(PATIENCE) == 0, f"capture start --write -: exit {process.returncode}\n{errors}")
        _judge(outcome, tally, stopped)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()


def _sessions(proxy: Proxy) -> int:
    """That have ended, by the audit, whose file may be a hundred MiB."""
    return (proxy.state_dir / "audit.jsonl").read_bytes().count(b'"event":"disconnected"')


def _stop(proxy: Proxy, number: int) -> dict:
    programs.pgairlock("capture", "stop", "--console", proxy.console, number, check=True)
    return proxy.event("capture_stopped", capture=number)


def _judge(outcome: Outcome, tally: Tally, stopped: dict) -> None:
    outcome.dropped, outcome.rests = stopped["dropped"], stopped["rests"]
    outcome.figures.append(f"capture: {tally.figures()}; {stopped['sessions']} sessions, {stopped['left_out']} left out, "
                           f"{stopped['rests']} packets of messages without a beginning")
    outcome.faults += tally.faults(stopped)
    outcome.check(stopped["reason"] == "stopped", f"the capture ended by itself: {stopped['reason']}, {stopped['message']}")


def _is_readable(outcome: Outcome, path: Path) -> None:
    """By our own reader, and by tshark where there is one."""
    done = programs.pgairlock("capture", "read", path)
    outcome.check(done.returncode == 0 and not done.stderr, f"capture read {path.name}: exit {done.returncode}\n{done.stderr}")
    if programs.run(["sh", "-c", "command -v tshark"], check=False).returncode != 0:
        return
    done = programs.run(["tshark", "-n", "-r", path, "-q", "-z", "io,phs"], check=False)
    outcome.check(done.returncode == 0 and "cut short" not in done.stderr, f"tshark -r {path.name}: exit {done.returncode}\n{done.stderr}")


# --- COPY


def copy_out(address, size: int, then=lambda ask: None) -> tuple[int, bool]:
    """Reads `size` bytes, in whole lines, out of the server: how many came, and whether they were the right ones. No two lines are the same.
    `then` is called behind that, with what asks the server something in the same session."""
    lines = size // LINE
    filler = "x" * (LINE - 13)
    statement = f"COPY (SELECT lpad(i::text, 12, '0') || '{filler}' FROM (SELECT generate_series(1, {lines}) AS i) s) TO STDOUT"
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C", "PGHOST": address[0], "PGPORT": str(address[1]),
                   "PGUSER": "trust_user", "PGDATABASE": "postgres", "PGSSLMODE": "require", "PGGSSENCMODE": "disable"}
    command = programs.with_death_signal([str(programs.postgres_bin() / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
    came, right, rest = 0, True, filler.encode() + b"\n"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        def say(text: str) -> None:
            process.stdin.write(text.encode() + b"\n")
            process.stdin.flush()

        def ask() -> None:
            say("SELECT 42;")
            assert process.stdout.readline() == b"42\n"

        say(statement + ";")
        for first in range(1, lines + 1, CHUNK):
            expected = b"".join([b"%012d%b" % (i, rest) for i in range(first, min(first + CHUNK, lines + 1))])
            read = process.stdout.read(len(expected))
            came += len(read)
            right = right and read == expected
        if right:
            then(ask)
        process.stdin.close()
        came += len(process.stdout.read())
    return came, right and process.returncode == 0


def copy_through(proxy: Proxy, outcome: Outcome, size: int, tally: Tally, capture) -> None:
    """One COPY while `capture`, a context of those above, is there."""
    copy_out(proxy.address, MIB)  # what a first session takes
    until(lambda: _sessions(proxy) == 1, what="the end of the first session in the audit")
    memory, begun = Memory(proxy), time.monotonic()
    with capture as running:
        seconds = 0.0

        def then(ask) -> None:
            nonlocal seconds
            seconds = time.monotonic() - begun
            running.catch_up(ask)
        came, right = copy_out(proxy.address, size, then)
        until(lambda: _sessions(proxy) == 2, what="the end of the session in the audit")
        session = proxy.events("disconnected")[-1]
    expected = size // LINE * LINE
    outcome.figures.insert(0, f"COPY: {came / 2**30:.2f} GiB in {seconds:.1f} s ({came / MIB / max(seconds, 0.001):.0f} MiB/s), "
                              f"{'the right ones' if right else 'NOT the right ones'}")
    outcome.check(came == expected and right, f"{came} bytes came, {expected} were expected, and they are {'' if right else 'not '}the same")
    memory.judge(outcome, QUEUE + SLACK)
    outcome.check(tally.numbers_missing == outcome.dropped + outcome.rests,
                  f"{tally.numbers_missing} packets are missing by their numbers, {outcome.dropped} were counted as dropped, {outcome.rests} as rests")
    # Sequence numbers go on over what is missing: at their end they tell how much has passed, and the audit has counted it too.
    by_server = [flow for (_, _, source, _), flow in tally.flows.items() if source == 5432]
    outcome.check(len(by_server) == 2, f"{len(by_server)} conversations are in the capture: the client leg's and the server leg's are expected")
    for flow in by_server:
        beyond = (flow.passed - session["bytes_from_server"]) % SEQUENCES
        outcome.check(flow.ended, "the end of a conversation is not in the capture")
        outcome.check(beyond < LOGIN,
                      f"by sequence numbers {flow.passed} bytes came from the server, by the audit {session['bytes_from_server']} and a login")


# --- Connections


@dataclass
class Connections:
    made: int
    failed: int
    rate: float
    text: str


def connect(address, *load, clients=100, query_size=LINE) -> Connections:
    """Opens and closes connections, each with one query of that many bytes. `load`: pgairlock-bench connect's options, how many."""
    target = f"proxy=host={address[0]} port={address[1]} user=trust_user dbname=postgres sslmode=require"
    command = [BENCH, "connect", target, *load, "--clients", clients, "--threads", min(os.cpu_count() or 1, clients), "--repetitions", 1,
               "--query", f"SELECT 1 /*{'x' * query_size}*/", "--format", "json"]
    done = programs.run(command, check=False, timeout=1200)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)["targets"][0]
    total = found["phases"]["total"]
    text = (f"connections: {found['connections']} ended well ({found['rate']:.0f} a second), {found['failed']} failed, "
            f"{found['unstarted']} were due and not begun; p50 {total['p50_us'] / 1000:.1f} ms, p99 {total['p99_us'] / 1000:.1f} ms")
    return Connections(found["connections"], found["failed"], found["rate"], text)


def connect_through(proxy: Proxy, outcome: Outcome, tally: Tally, capture, *load, clients=100, query_size=LINE, keylog=False) -> None:
    """Connections while `capture` is there. `load` and what follows are connect()'s; `keylog`: each leg's records are captured as well."""
    before = connect(proxy.address, "--connections", 4 * clients, clients=clients, query_size=query_size).made + 1  # one is tried first
    until(lambda: _sessions(proxy) >= before, what="the end of every session in the audit")
    memory = Memory(proxy)
    with capture as running:
        done = connect(proxy.address, *load, clients=clients, query_size=query_size)
        until(lambda: _sessions(proxy) - before > done.made, what="the end of every session in the audit")
        sessions = done.made + 1

        def ask() -> None:
            nonlocal sessions
            sessions += connect(proxy.address, "--connections", 1, clients=1).made + 1
        running.catch_up(ask)
        until(lambda: _sessions(proxy) - before >= sessions, what="the end of every session in the audit")
    outcome.figures.insert(0, done.text)
    outcome.check(done.failed == 0, f"{done.failed} connections failed")
    memory.judge(outcome, QUEUE + SLACK + clients * (SESSION + HELD))
    stopped = proxy.events("capture_stopped")[-1]
    outcome.check(stopped["sessions"] + stopped["left_out"] == sessions,
                  f"{sessions} sessions were made; the capture had {stopped['sessions']} and left {stopped['left_out']} out")
    conversations = sessions * (4 if keylog else 2)
    outcome.check(tally.begun <= conversations, f"{tally.begun} conversations for {sessions} sessions")
    outcome.check(tally.begun == conversations or outcome.dropped > 0,
                  f"{tally.begun} conversations for {sessions} sessions, and nothing was dropped")
    absent = max(conversations - tally.begun - tally.headless, 0)
    # Such a conversation had its three packets of TCP's beginning, and two of its end, at least.
    outcome.check(5 * absent + tally.least_missing <= outcome.dropped,
                  f"{absent} conversations are missing as a whole, and {outcome.dropped} packets were counted as dropped")
