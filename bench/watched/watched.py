#!/usr/bin/python3
"""What it costs a proxy's sessions that somebody looks at it: many sessions do small queries as fast as they are answered, while nobody asks the proxy
anything, and while its metrics are scraped and clients of its console ask for all sessions. In turns, each round beginning with the other one, before the
null backend, TLS on both legs. Shown are medians over the rounds, least and most, and the median of the ratios to "alone" of the same round.

All of it shares one machine: where its cores are all in use, whoever looks takes the time from the sessions, and from the load generator, that its own
CPU and that of the answers cost. So each kind's CPU is shown. `paced` is the same with as many queries a second as --rate says, which the machine
can serve with something left: what is slower then was waited for.

With --open N instead: N sessions that are open and idle, and what looking at them costs: the time and size of a scrape and of each question to the console,
for a few numbers of sessions up to N, so that what grows faster than they do is seen.
"""

import argparse
import http.client
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path.append(str(REPOSITORY / "bench/compare"))

import psycopg2  # noqa: E402
from compare import say, temporary_directory  # noqa: E402
from programs import Process, free_port, give_to_postgres, postgres_bin, run  # noqa: E402
from report import Steal, machine  # noqa: E402
from targets import PGAIRLOCK, Target, make_certificates  # noqa: E402
from watchers import QUESTION  # noqa: E402

METRICS = {  # digits, and how it is called
    "rate": (0, "as fast as they go: queries/s"),
    "p50": (2, "as fast as they go: p50 ms"),
    "p99": (2, "as fast as they go: p99 ms"),
    "cpu": (1, "as fast as they go: proxy CPU us/query"),
    "paced-rate": (0, "paced: queries/s"),
    "paced-p50": (2, "paced: p50 ms"),
    "paced-p99": (2, "paced: p99 ms"),
    "paced-cores": (2, "paced: cores of the proxy"),
}
QUESTIONS = {
    "join of pg_stat_ssl and pg_stat_activity": QUESTION,
    "pg_stat_activity, all of it": "SELECT * FROM pg_stat_activity",
    "count of sessions by user": "SELECT usename, count(*) FROM pg_stat_activity GROUP BY 1",
    "SHOW CLIENTS": "SHOW CLIENTS",
    "SHOW SERVERS": "SHOW SERVERS",
    "SHOW POOLS": "SHOW POOLS",
    "SHOW LISTS": "SHOW LISTS",
}


class Subject:
    """The proxy before the null backend, and the sessions of one load."""

    def __init__(self, directory: Path, options, running: ExitStack):
        self.bench, self.directory = options.bench, directory
        upstream = self._start_backend(running)
        self.port, self.http, self.console = free_port(), free_port(), f"{directory}/state/console/.s.PGSQL.6434"
        copy, file = directory / "pgairlock", directory / "pgairlock.conf"
        copy.write_bytes(options.pgairlock.read_bytes())  # a build that goes on meanwhile changes nothing
        copy.chmod(0o755)
        file.write_text(PGAIRLOCK.format(dir=directory, port=self.port, upstream=upstream, threads=0) + f'[admin]\nhttp = "127.0.0.1:{self.http}"\n')
        give_to_postgres(file)
        self.version = run([copy, "version"]).splitlines()[0]
        target = Target("pgairlock", self.port, self.port)
        self.proxy = Process("pgairlock", [copy, "run", "--config", file], directory, lambda: target.connect("tls").close())
        running.callback(self.proxy.stop)
        self.proxy.start()
        # The clients of a console are root and the proxy's own user.
        os.chmod(directory / "state", 0o755)

    def _start_backend(self, running: ExitStack) -> int:
        port = free_port()
        make_certificates(self.directory)
        give_to_postgres(self.directory)
        target = Target("null", port, port)
        process = Process("null", [self.bench, "serve", "--listen", f"127.0.0.1:{port}", "--cert-file", self.directory / "server.crt",
                                   "--key-file", self.directory / "server.key"], self.directory, lambda: target.connect("tls").close())
        running.callback(process.stop)
        process.start()
        return port

    def conninfo(self, **more) -> str:
        return " ".join(f"{key}={value}" for key, value in {"host": "127.0.0.1", "port": self.port, "user": "bench", "dbname": "bench", "sslmode": "require",
                                                            **more}.items())


class Watchers:
    """bench/watched/watchers.py, while `with` lasts; then `found` has what it did."""

    def __init__(self, subject: Subject, options):
        self.command = [sys.executable, "-B", HERE / "watchers.py", subject.http, subject.console, options.scrapes, options.clients, options.pause]

    def __enter__(self):
        self.process = subprocess.Popen([str(part) for part in self.command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.found = json.loads(self.process.communicate(timeout=120)[0])


def as_fast_as_they_go(subject: Subject, options) -> dict[str, float]:
    command = [subject.bench, "relay", f"proxy={subject.conninfo()}", "--pid", f"proxy={subject.proxy.process.pid}", "--workload", "ping", "--clients",
               str(options.sessions), "--duration", f"{options.seconds}s", "--repetitions", "1", "--format", "json"]
    [result] = json.loads(run(command))["results"]
    figures = {name: value["values"][0] for name, value in result["targets"]["proxy"].items() if value["values"]}
    return {"rate": figures["round_trips_per_second"], "p50": figures["latency_p50_us"] / 1e3, "p99": figures["latency_p99_us"] / 1e3,
            "cpu": figures["cpu_us_per_round_trip"]}


def paced(subject: Subject, options) -> dict[str, float]:
    """pgbench, whose latencies count from when a query was due; without the second in which all are connected, and the last."""
    with tempfile.TemporaryDirectory(dir=subject.directory) as logs:
        script = Path(logs) / "select"
        script.write_text("SELECT 1\n")
        command = [postgres_bin() / "pgbench", "-n", "-f", script, "-c", options.sessions, "-j", 1, "-R", options.rate, "-T", 3600, "-l", f"--log-prefix={logs}/log"]
        pgbench = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/", env={
            "PATH": "/usr/bin:/bin", "HOME": logs, "PGHOST": "127.0.0.1", "PGPORT": str(subject.port), "PGUSER": "bench", "PGDATABASE": "bench",
            "PGSSLMODE": "require", "PGGSSENCMODE": "disable"})
        try:
            while not (log := log_lines(logs)):
                if pgbench.poll() is not None:
                    raise RuntimeError(f"pgbench: exit {pgbench.returncode}")
                time.sleep(0.1)
            before, begun = subject.proxy.cpu_seconds(), time.monotonic()
            time.sleep(options.seconds + 2)
            cores = (subject.proxy.cpu_seconds() - before) / (time.monotonic() - begun)
        finally:
            pgbench.kill()
            pgbench.wait()
        log = log_lines(logs)
    seconds = [int(fields[4]) for fields in log]
    took = [int(fields[2]) / 1e3 for fields, second in zip(log, seconds) if min(seconds) < second < max(seconds)]
    return {"paced-rate": len(took) / (max(seconds) - min(seconds) - 1), "paced-p50": statistics.median(took),
            "paced-p99": statistics.quantiles(took, n=100)[98], "paced-cores": cores}


def log_lines(folder: str) -> list[list[str]]:
    """Whole ones: the rest is in pgbench's buffer."""
    return [line.split() for file in Path(folder).glob("log.*") for line in file.read_text().rpartition("\n")[0].splitlines()]


def main() -> None:
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the ExitStack is unwound
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as running:
        subject = Subject(temporary_directory(running, "/tmp"), options, running)
        steal, load_before = Steal(), os.getloadavg()[0]
        text = open_sessions(subject, options) if options.open else rounds(subject, options)
        print(f"{machine()}; load average before {load_before:.1f}, time stolen by other guests {steal.percent():.1f} %\n{subject.version}\n\n{text}")


def rounds(subject: Subject, options) -> str:
    values: dict[str, dict[str, list[float]]] = {}
    looked: list[dict] = []
    for number in range(options.rounds + 1):  # the first warms up, and counts for nothing
        for kind in ("alone", "watched") if number % 2 else ("watched", "alone"):
            if kind == "alone":
                found = as_fast_as_they_go(subject, options) | paced(subject, options)
            else:
                with Watchers(subject, options) as watchers:
                    found = as_fast_as_they_go(subject, options) | paced(subject, options)
                looked += [watchers.found] if number else []
            for name, value in found.items() if number else ():
                values.setdefault(name, {}).setdefault(kind, []).append(value)
        say(f"round {number} of {options.rounds}")
    lines = [f"{options.sessions} sessions, {options.rounds} rounds of {options.seconds} s; paced: {options.rate} queries/s in all. Watched: "
             f"{options.scrapes} scrapes/s, {options.clients} console clients, each a question every {options.pause:g} s", "",
             f"{'':42}{'alone':>26}{'watched':>26}{'watched / alone':>18}"]
    for name, (digits, title) in METRICS.items():
        ratio = statistics.median(watched / alone for watched, alone in zip(values[name]["watched"], values[name]["alone"]))
        lines.append(f"{title:42}{spread(values[name]['alone'], digits):>26}{spread(values[name]['watched'], digits):>26}{ratio:>18.2f}")
    lines.append("")
    for kind, title in (("scrape", "scrapes"), ("question", "questions")):
        figures = {key: spread([one[kind][key] for one in looked], 1) for key in ("per_second", "p50_ms", "p99_ms")}
        lines.append(f"{title:12}{figures['per_second']}/s, p50 {figures['p50_ms']} ms, p99 {figures['p99_ms']} ms")
    lines.append(f"a scrape has {looked[-1]['bytes']:,} bytes, an answer {looked[-1]['rows']:,} rows; refused for want of a place: "
                 f"{sum(one['refused'] for one in looked)}; whoever looks: {spread([one['cpu_cores'] for one in looked], 2)} cores of its own")
    return "\n".join(lines)


def open_sessions(subject: Subject, options) -> str:
    """The sessions are those of pgbench, which asks next to nothing."""
    lines = [f"{'sessions':>9} {'':42}{'median ms':>11}{'slowest ms':>12}{'bytes':>12}{'us/session':>12}"]
    for count in sorted({max(1, options.open // 100), options.open // 10, options.open // 2, options.open}):
        command = [subject.bench, "relay", f"proxy={subject.conninfo()}", "--workload", "ping", "--clients", "1", "--idle-beside", str(count), "--duration", "10m",
                   "--repetitions", "1"]
        load = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            while sessions(subject) < count:
                if load.poll() is not None:
                    raise RuntimeError("the sessions do not come to be")
                time.sleep(0.2)
            asked = {"/metrics": lambda: get(subject, "/metrics")} | {path: lambda p=path: get(subject, p) for path in options.json}
            asked |= {title: lambda q=text: question(subject, q) for title, text in QUESTIONS.items()}
            for title, action in asked.items():
                took, size = [], 0
                try:
                    for _ in range(options.rounds):
                        begun = time.monotonic()
                        size = action()
                        took.append((time.monotonic() - begun) * 1e3)
                except psycopg2.Error as error:
                    lines.append(f"{count:>9,} {title:42}  {str(error).splitlines()[0]}")
                    continue
                median = statistics.median(took)
                lines.append(f"{count:>9,} {title:42}{median:>11.1f}{max(took):>12.1f}{size:>12,}{median * 1e3 / count:>12.2f}")
            say(f"{count} sessions")
        finally:
            load.send_signal(signal.SIGKILL)
            load.wait()
        while sessions(subject):
            time.sleep(0.2)
    return "\n".join(lines)


def get(subject: Subject, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", subject.http, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
    return len(body)


def rows(subject: Subject, text: str) -> list[tuple]:
    folder, _, port = subject.console.rpartition("/.s.PGSQL.")
    connection = psycopg2.connect(host=folder, port=port, user="watcher", dbname="pgairlock", connect_timeout=60)
    connection.autocommit = True
    try:
        cursor = connection.cursor()
        cursor.execute(text)
        return cursor.fetchall()
    finally:
        connection.close()


def question(subject: Subject, text: str) -> int:
    """As text, without separators."""
    return sum(len(str(value)) for row in rows(subject, text) for value in row if value is not None)


def sessions(subject: Subject) -> int:
    return int(rows(subject, "SELECT value FROM stats WHERE name = 'sessions_open'")[0][0])


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="(5)")
    parser.add_argument("--seconds", type=int, default=5, metavar="N", help="of each load (5)")
    parser.add_argument("--sessions", type=int, default=1000, metavar="N", help="that do small queries (1000)")
    parser.add_argument("--rate", type=int, default=2000, metavar="N", help="queries per second of all paced sessions (2000)")
    parser.add_argument("--scrapes", type=int, default=200, metavar="N", help="per second (200)")
    parser.add_argument("--clients", type=int, default=50, metavar="N", help="of the console, which serves 32 at a time (50)")
    parser.add_argument("--pause", type=float, default=5, metavar="SECONDS", help="between two questions of one client (5)")
    parser.add_argument("--open", type=int, default=0, metavar="N", help="look at up to N idle sessions instead")
    parser.add_argument("--json", nargs="*", default=[], metavar="PATH", help="with --open: further paths of HTTP, such as /api/sessions.json")
    parser.add_argument("--pgairlock", type=Path, default=REPOSITORY / "build-release/proxy/pgairlock", metavar="FILE", help="the binary")
    parser.add_argument("--bench", type=Path, default=REPOSITORY / "build-release/bench/pgairlock-bench", metavar="FILE", help="pgairlock-bench")
    return parser.parse_args()


if __name__ == "__main__":
    main()
