"""The rows of the comparison: each runs one load through one target and returns what it measured."""

import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from programs import postgres_bin
from targets import NULL_PROXY, ONE_THREAD, Target

COPY_LINE = 1000  # bytes, the newline included
SETTLE = 0.2  # seconds in which a proxy finishes what its client left behind


@dataclass(frozen=True)
class Metric:
    name: str
    digits: int
    more_is_better: bool = False
    goal: float | None = None  # the ratio to the best proxy that is aimed at
    limit: dict | None = None  # or the value, by leg


@dataclass(frozen=True)
class Row:
    group: str
    name: str  # as in --rows, with "/tls" or "/plain" behind it
    metrics: tuple[Metric, ...]
    measure: object  # (Target, leg) -> one number per metric, None where it has no meaning
    targets: tuple[str, ...]
    not_judged: tuple[str, ...] = ("direct", NULL_PROXY, ONE_THREAD)  # shown for scale: being behind them says nothing
    rounds: int | None = None  # None: as many as asked for
    legs: tuple[str, ...] = field(default=("tls", "plain"))


@dataclass(frozen=True)
class Load:
    """How much, and where clients find a home without certificates."""

    home: Path
    seconds: int
    copy_mib: int
    copy_file: Path
    idle_connections: int

    @property
    def copy_lines(self) -> int:
        return self.copy_mib * 2**20 // COPY_LINE

    @property
    def copy_gib(self) -> float:
        return self.copy_lines * COPY_LINE / 2**30


def all_rows(load: Load) -> list[Row]:
    proxies = ("pgairlock", "pgbouncer", "stunnel")
    everything = ("direct", *proxies, "pgpool", NULL_PROXY)
    copies = (Metric("seconds/GiB", 2), Metric("proxy CPU s/GiB", 2, goal=0.65))
    connections = (Metric("connections/s", 0, True), Metric("proxy CPU ms/connection", 2, goal=0.6))
    rows = [Row("pgbench -S", f"pgbench-{clients}", _transactions(clients),
                lambda target, leg, clients=clients: pgbench(load, target, leg, clients), (*everything, ONE_THREAD)) for clients in (1, 8, 64)]
    rows.append(Row("COPY", "copy-out", copies, lambda target, leg: copy_out(load, target, leg), everything))
    rows.append(Row("COPY", "copy-in", copies, lambda target, leg: copy_in(load, target, leg), everything))
    rows += [Row("New connections (pgbench -C -S)", f"connect-{clients}", connections,
                 lambda target, leg, clients=clients: connect(load, target, leg, clients),
                 ("direct", "pgairlock", "stunnel", "pgpool", "pgbouncer 1:1", "pgbouncer"), not_judged=("direct", "pgbouncer")) for clients in (1, 8)]
    rows.append(Row("Idle connections", "idle", (Metric("RSS KiB/connection", 1, limit={"tls": 40, "plain": 28}),),
                    lambda target, leg: idle(load, target, leg), proxies, rounds=1))
    return rows


def _transactions(clients: int) -> tuple[Metric, ...]:
    alone = clients == 1
    return (Metric("transactions/s", 0, True, goal=None if alone else 1.0), Metric("latency ms", 3, goal=1.0 if alone else None),
            Metric("proxy CPU µs/transaction", 1, goal=None if alone else 0.85))


def pgbench(load: Load, target: Target, leg: str, clients: int) -> list:
    """Steady state only, between pgbench's first progress report and its last: logins are measured elsewhere.

    Latency is clients / rate: the one that pgbench reports leaves out transactions that starve. On a machine with much
    else to do the logins may take all of a short duration: then it is measured again, longer.
    """
    logins = 1 + clients // 64  # seconds: they count as part of pgbench's duration
    for seconds in (load.seconds + logins, 4 * (load.seconds + logins), 16 * (load.seconds + logins)):
        if figures := _steady(load, target, leg, clients, seconds):
            return figures
    raise RuntimeError(f"pgbench through {target.name}: no two reports of progress in {seconds} s")


def _steady(load: Load, target: Target, leg: str, clients: int, seconds: int) -> list | None:
    command = _pgbench(clients, seconds) + ["-P", "1"]
    seen = []  # (time, proxy CPU, transactions/s since the one before) at each report
    with subprocess.Popen(command, env=_environment(load, target, leg), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, cwd="/") as process:
        errors = ""
        for line in process.stderr:
            if report := re.match(r"progress: [\d.]+ s, ([\d.]+) tps", line):
                seen.append((time.monotonic(), target.cpu_seconds(), float(report[1])))
            else:
                errors += line
        output = process.stdout.read()
    if process.returncode != 0:
        raise RuntimeError(f"pgbench through {target.name}: exit {process.returncode}\n{output}{errors}")
    done = sum((now[0] - before[0]) * now[2] for before, now in zip(seen, seen[1:]))
    if not done:
        return None
    rate = done / (seen[-1][0] - seen[0][0])
    cpu = (seen[-1][1] - seen[0][1]) / done * 1e6 if target.process else None
    return [rate, clients / rate * 1e3, cpu]


def connect(load: Load, target: Target, leg: str, clients: int) -> list:
    """Each is a login, one query and the close: a pooler lets clients in before it has a server for them."""
    before = target.cpu_seconds()
    output = _run(_pgbench(clients, load.seconds) + ["-C"], load, target, leg)
    time.sleep(SETTLE)
    count = int(re.search(r"actually processed: (\d+)", output)[1])
    rate = float(re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)[1])
    cpu = (target.cpu_seconds() - before) / count * 1e3 if target.process else None
    return [rate, cpu]


def copy_out(load: Load, target: Target, leg: str) -> list:
    text = "x" * (COPY_LINE - 1)
    return _copy(load, target, leg, f"copy (select '{text}' from (select generate_series(1, {load.copy_lines})) s) to stdout", None)


def copy_in(load: Load, target: Target, leg: str) -> list:
    """The server reads every line and keeps none: the cheapest sink there is."""
    return _copy(load, target, leg, "copy sink from stdin where false", load.copy_file)


def idle(load: Load, target: Target, leg: str) -> list:
    """In a fresh process: what earlier rows made it allocate would hide what these connections need."""
    target.process.stop()
    target.process.start()
    for connection in [_used_connection(target, leg) for _ in range(8)]:
        connection.close()
    time.sleep(SETTLE)
    before = target.process.rss_kib()
    connections = []
    try:
        for _ in range(load.idle_connections):
            connections.append(_used_connection(target, leg))
        time.sleep(1)
        grown = target.process.rss_kib() - before
    finally:
        for connection in connections:
            connection.close()
        target.process.stop()  # a pooler would keep the server's processes
        target.process.start()
    return [grown / load.idle_connections]


def _used_connection(target: Target, leg: str):
    connection = target.connect(leg)
    connection.query("select 1")  # a pooler takes a server connection for this
    return connection


def _copy(load: Load, target: Target, leg: str, statement: str, source: Path | None) -> list:
    before, start = target.cpu_seconds(), time.monotonic()
    with open(source or "/dev/null", "rb") as stdin:
        command = [str(postgres_bin() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement]
        _run(command, load, target, leg, stdin=stdin, stdout=subprocess.DEVNULL)
    elapsed = time.monotonic() - start
    time.sleep(SETTLE)
    cpu = (target.cpu_seconds() - before) / load.copy_gib if target.process else None
    return [elapsed / load.copy_gib, cpu]


def _pgbench(clients: int, seconds: int) -> list[str]:
    threads = min(clients, os.cpu_count() or 1)
    return [str(postgres_bin() / "pgbench"), "-n", "-S", "-c", str(clients), "-j", str(threads), "-T", str(seconds)]


def _run(command: list, load: Load, target: Target, leg: str, *, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) -> str:
    done = subprocess.run(command, env=_environment(load, target, leg), stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, cwd="/")
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)[:200]} through {target.name} ({leg}): exit {done.returncode}\n{done.stderr}")
    return done.stdout or ""


def _environment(load: Load, target: Target, leg: str) -> dict[str, str]:
    """Nothing of the caller's: no ~/.postgresql with root certificates to load, no PGOPTIONS."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(load.home), "LC_ALL": "C", "PGHOST": "127.0.0.1", "PGPORT": str(target.port(leg)),
            "PGUSER": "postgres", "PGDATABASE": "bench", "PGSSLMODE": "require" if leg == "tls" else "disable", "PGGSSENCMODE": "disable"}
