#!/usr/bin/python3
"""What a fleet of proxies costs the database that their inventories are copied to: so many inventories and copiers in one process (simulate.cpp: the proxy's
own code, fed with made-up logins), one PostgreSQL of its own with fsync, on this machine. Stretches of time one after the other: the first copy with a
history of days, nobody connects, logins at a few rates, and all proxies restarted at once; after it the size of what is there, and what a report costs.

WAL is shown without the full-page images that the first change of a page after a checkpoint writes: those depend on how often that is. Proxies, database
and pooler share the machine's cores: where they are all in use, the transactions per second say what this machine can do, and the rest holds all the same.
"""

import argparse
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path += [str(REPOSITORY / "bench/compare"), str(REPOSITORY / "tests/integration")]

from compare import say, temporary_directory  # noqa: E402
from harness import programs  # noqa: E402
from harness.cluster import Cluster, make_template  # noqa: E402
from harness.pgbouncer import Pgbouncer  # noqa: E402
from programs import run  # noqa: E402
from report import Steal, machine  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
SETTINGS = """
fsync = on
synchronous_commit = on
wal_level = replica
checkpoint_timeout = 30min
max_wal_size = 16GB
max_connections = {connections}
shared_buffers = 512MB
autovacuum_naptime = 15s
log_connections = off
"""
STATISTICS_LATE = 11  # seconds after which a backend that has become idle has told what it did
TABLES = ("clients", "evidence", "fingerprints", "days", "upstream_certificates", "proxies")


class Database:
    def __init__(self, directory: Path, options):
        self.cluster = Cluster(directory / "cluster", make_template(directory / "template"), None)
        with open(self.cluster.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(SETTINGS.format(connections=options.proxies + 50 if not options.pool else options.pool + 50))
        (self.cluster.data / "pg_hba.conf").write_text("local all all trust\nhost all all all trust\n")
        self.cluster.start()
        self.cluster.sql("CREATE ROLE pgairlock LOGIN")
        self.cluster.sql("CREATE DATABASE inventory")
        self.sql("CREATE SCHEMA pgairlock AUTHORIZATION pgairlock")

    def sql(self, statement: str):
        return self.cluster.sql(statement, database="inventory")

    def one(self, statement: str):
        return self.sql(statement)[0][0]

    def url(self, port: int) -> str:
        return f"postgresql://pgairlock@127.0.0.1:{port}/inventory?sslmode=disable"

    def processes(self) -> list[int]:
        children = run(["ps", "-o", "pid=", "--ppid", self.cluster.process.pid]).split()
        return [self.cluster.process.pid, *map(int, children)]

    def cpu(self) -> float:
        """Of all that live, and of those that are gone by way of their parent."""
        seconds = 0.0
        for pid in self.processes():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            seconds += sum(map(int, fields[11:15] if pid == self.cluster.process.pid else fields[11:13])) / TICK
        return seconds

    def snapshot(self) -> dict[str, float]:
        now = time.monotonic()
        time.sleep(STATISTICS_LATE)
        found = {"commits": self.one("SELECT xact_commit FROM pg_stat_database WHERE datname = 'inventory'"),
                 "rollbacks": self.one("SELECT xact_rollback FROM pg_stat_database WHERE datname = 'inventory'"),
                 "lsn": self.one("SELECT pg_current_wal_insert_lsn()::text"), "cpu": self.cpu(), "until": now, "since": time.monotonic()}
        for name, column in (("inserted", "n_tup_ins"), ("updated", "n_tup_upd"), ("hot", "n_tup_hot_upd"), ("deleted", "n_tup_del"), ("scans", "seq_scan")):
            found[name] = int(self.one(f"SELECT coalesce(sum({column}), 0) FROM pg_stat_user_tables"))
        return found

    def wal(self, begin: str, end: str) -> tuple[int, int]:
        """Bytes of records, and of full-page images."""
        if begin == end:
            return 0, 0
        told = run([programs.postgres_bin() / "pg_waldump", "--stats", "-p", self.cluster.data / "pg_wal", "-s", begin, "-e", end])
        numbers = re.search(r"^Total\s+\d+\s+(\d+) \[.*?\]\s+(\d+) \[", told, re.M)
        return int(numbers[1]), int(numbers[2])


class Simulator:
    def __init__(self, directory: Path, url: str, options):
        self.log = open(directory / "simulator.log", "wb")
        self.process = subprocess.Popen([options.simulator, url, directory / "proxies", str(options.proxies), str(options.clients)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.cpu = 0.0

    def order(self, text: str) -> None:
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            raise RuntimeError("the simulator has ended: " + Path(self.log.name).read_text()[-2000:])
        self.cpu = float(answer[1])

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Measured:
    """What happened in the database while `stretch` lasted."""

    def __init__(self, database: Database, simulator: Simulator, options):
        self.database, self.simulator, self.options = database, simulator, options
        self.lines = [f"{'':34}{'seconds':>9}{'tx/s':>9}{'rows +':>10}{'rows ~':>10}{'rows -':>10}{'HOT %':>7}{'WAL B/tx':>10}{'images B/tx':>12}"
                      f"{'DB ms/tx':>10}{'proxy ms/tx':>12}{'seq scans':>11}{'rolled back':>12}"]

    @contextmanager
    def stretch(self, title: str):
        self.database.sql("CHECKPOINT")
        before, cpu = self.database.snapshot(), self.simulator.cpu
        yield
        after = self.database.snapshot()
        change = {name: after[name] - before[name] for name in after if name != "lsn"} | {"time": after["until"] - before["since"]}
        records, images = self.database.wal(before["lsn"], after["lsn"])
        commits = max(1, change["commits"] - 12)  # our own questions
        self.lines.append(f"{title:34}{change['time']:>9.0f}{commits / change['time']:>9.1f}{change['inserted']:>10,.0f}{change['updated']:>10,.0f}"
                          f"{change['deleted']:>10,.0f}{100 * change['hot'] / max(1, change['updated']):>7.0f}{records / commits:>10,.0f}{images / commits:>12,.0f}"
                          f"{1e3 * change['cpu'] / commits:>10.2f}{1e3 * (self.simulator.cpu - cpu) / commits:>12.2f}{change['scans']:>11,.0f}"
                          f"{change['rollbacks']:>12,.0f}")
        say(self.lines[-1])


def wait_for(condition, simulator: Simulator, what: str) -> float:
    """The proxies live on meanwhile. Seconds."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > 1800:
            raise RuntimeError(f"{what}: not within half an hour")
        simulator.order("run 1 0")
    return time.monotonic() - begun


def measure(database: Database, simulator: Simulator, options, port: int, directory: Path) -> str:
    measured = Measured(database, simulator, options)
    number = f"{options.proxies:,} proxies"
    with measured.stretch(f"{number}, first copy, nothing in it"):
        simulator.order("begin")
        took = wait_for(lambda: database.one("SELECT to_regclass('pgairlock.proxies') IS NOT NULL")
                        and database.one("SELECT count(*) FROM pgairlock.proxies") == options.proxies, simulator, "all proxies are there")
    empty = sizes(database)
    more = [f"all {number} were there after {took:.0f} s", memory(database)]
    with measured.stretch(f"{options.days} days of {options.clients} clients each"):
        simulator.order(f"history {options.days}")
        expected = options.proxies * options.clients * options.days
        wait_for(lambda: database.one("SELECT coalesce(sum(connections), 0) FROM pgairlock.days") == expected, simulator, "the history is there")
    database.sql("VACUUM ANALYZE")
    more += size_lines(empty, sizes(database), options)
    with measured.stretch("nobody connects"):
        simulator.order(f"run {options.seconds} 0")
    for rate in options.rates:
        with measured.stretch(f"{rate:g} logins/s"):
            simulator.order(f"run {options.seconds} {rate}")
    for kind in ("restarted at once",):
        simulator.order("end")
        with measured.stretch(kind):
            began = time.time_ns() // 1000
            simulator.order("begin")
            took = wait_for(lambda: database.one(f"SELECT count(*) FROM pgairlock.proxies WHERE started >= {began}") == options.proxies, simulator, kind)
        more.append(f"{kind}: the last of them was there after {took:.0f} s")
    connections = database.one("SELECT count(*) FROM pg_stat_activity WHERE usename = 'pgairlock'")
    more.append(f"connections at the end: {connections}")
    if options.pgairlock:
        more.append(report(options, database.url(port)))
    said = Path(simulator.log.name).read_text()
    errors = [line for line in said.splitlines() if "[error]" in line]
    more.append(f"errors in the proxies' logs: {len(errors)}" + "".join(f"; {line[:200]}" for line in errors[:1]))
    return "\n".join([*measured.lines, "", *more])


def memory(database: Database) -> str:
    """Of connections that nobody shares: what is theirs alone."""
    private = []
    for pid, in database.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'pgairlock' LIMIT 20"):
        try:
            told = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        private.append(sum(int(kib) for kib in re.findall(r"^Private_\w+:\s+(\d+) kB", told, re.M)))
    count = database.one("SELECT count(*) FROM pg_stat_activity WHERE usename = 'pgairlock'")
    return f"{count} connections, of {sum(private) / max(1, len(private)) / 1024:.1f} MiB each that are its own"


def sizes(database: Database) -> dict[str, int]:
    return {table: database.one(f"SELECT pg_total_relation_size('pgairlock.{table}')") for table in TABLES}


def size_lines(empty: dict[str, int], full: dict[str, int], options) -> list[str]:
    clients = options.proxies * options.clients
    client = sum(full[table] - empty[table] for table in ("clients", "evidence", "fingerprints"))
    return [f"in the database, with indexes: {sum(full.values()) / 1e6:,.1f} MB; of a client {client / clients:,.0f} bytes, of each day of it "
            f"{(full['days'] - empty['days']) / clients / options.days:,.0f}, of a proxy {(full['proxies'] + full['upstream_certificates']) / options.proxies:,.0f}"]


def report(options, url: str) -> str:
    begun = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([options.pgairlock, "report", "--inventory", url, "--format", "json"], stdout=output, stderr=subprocess.PIPE)
        _, status, used = os.wait4(process.pid, 0)
        size = output.tell() or os.fstat(output.fileno()).st_size
    said = process.stderr.read().decode()[:300]
    return (f"report, JSON: {time.monotonic() - begun:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU, {used.ru_maxrss / 1024:,.0f} MiB, "
            f"{size / 1e6:,.1f} MB, exit {os.waitstatus_to_exitcode(status)} {said}")


def main() -> None:
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the ExitStack is unwound
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as running:
        directory = temporary_directory(running, "/tmp")
        directory.chmod(0o755)
        database = Database(directory, options)
        running.callback(database.cluster.stop)
        port = database.cluster.port
        if options.pool:
            pooler = Pgbouncer(directory / "pooler", f"inventory = host=127.0.0.1 port={port} dbname=inventory user=pgairlock",
                               f"default_pool_size = {options.pool}\nmax_client_conn = {options.proxies + 100}\n")
            running.callback(pooler.stop)
            port = pooler.start().port
        simulator = Simulator(directory, database.url(port), options)
        running.callback(simulator.stop)
        steal, load_before = Steal(), os.getloadavg()[0]
        text = measure(database, simulator, options, port, directory)
        way = f"PgBouncer in transaction mode, {options.pool} connections to the database" if options.pool else "a connection for each proxy"
        print(f"{machine()}; load average before {load_before:.1f}, time stolen by other guests {steal.percent():.1f} %\n"
              f"{options.proxies:,} proxies with {options.clients} clients each; {way}\n\n{text}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulator", type=Path, default=REPOSITORY / "build/bench/fleet/pgairlock-fleet", metavar="FILE")
    parser.add_argument("--pgairlock", type=Path, metavar="FILE", help="whose report is measured (none)")
    parser.add_argument("--proxies", type=int, default=1000, metavar="N", help="(1000)")
    parser.add_argument("--clients", type=int, default=5, metavar="N", help="of each proxy (5)")
    parser.add_argument("--days", type=int, default=30, metavar="N", help="of history of each client (30)")
    parser.add_argument("--seconds", type=int, default=120, metavar="N", help="of each stretch (120)")
    parser.add_argument("--rates", type=float, nargs="*", default=[20, 100], metavar="N", help="logins per second of the whole fleet (20 100)")
    parser.add_argument("--pool", type=int, default=0, metavar="N", help="by way of PgBouncer, with so many connections to the database")
    return parser.parse_args()


if __name__ == "__main__":
    main()
