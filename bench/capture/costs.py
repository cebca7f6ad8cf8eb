#!/usr/bin/python3
"""What captures cost the proxy that makes them: CPU per relayed GB and per connection, and the latency of small queries, without a capture and with
one of each payload, in turns, before a throw-away PostgreSQL cluster.

CPU is that of the whole process, with the thread that writes the capture, until all of it is written. A round measures every kind once; shown are
medians over the rounds, least and most, and the median of the ratios to "off" of the same round. Needs what bench/compare/compare.py needs but the
peers. The CPU times stand on a machine with other things to do; latencies do not.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

sys.dont_write_bytecode = True
REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "bench/compare"))

from compare import fill, say, temporary_directory  # noqa: E402
from programs import Process, free_port, give_to_postgres, postgres_bin, run  # noqa: E402
from report import Steal, machine  # noqa: E402
from rows import Load, copy_in, copy_out  # noqa: E402
from targets import PGAIRLOCK, Target, make_certificates, start_cluster  # noqa: E402

KINDS = {  # options of `pgairlock capture start`
    "off": None,
    "headers": ["--payload", "headers"],
    "redacted": ["--payload", "redacted"],
    "full": ["--payload", "full"],
    "full, keylog": ["--payload", "full", "--keylog"],
}
# allow_secrets only lets captures ask for keys: none but the last kind has any.
CAPTURE = '[capture]\nallow_secrets = true\nmax_file_size = "256MiB"\nmax_total_size = "1GiB"\nmin_free_space = "1GiB"\n'
METRICS = {  # digits, and how it is called
    "copy-out": (3, "COPY out: CPU s/GB"),
    "copy-in": (3, "COPY in: CPU s/GB"),
    "query-cpu": (1, "pgbench -S: CPU us/query"),
    "query-p50": (0, "pgbench -S: p50 us"),
    "query-p99": (0, "pgbench -S: p99 us"),
    "connect-cpu": (2, "connections: CPU ms each"),
    "connect-rate": (0, "connections: per second"),
    "connect-p50": (2, "connections: p50 ms"),
}


@dataclass
class Held:
    """What captures held of one load, over all rounds."""

    packets: int = 0
    dropped: int = 0
    bytes: int = 0


@dataclass
class Results:
    values: dict = field(default_factory=dict)  # metric -> kind -> one number for each round
    held: dict = field(default_factory=dict)    # load -> kind -> Held

    def add(self, metric: str, kind: str, value: float) -> None:
        self.values.setdefault(metric, {}).setdefault(kind, []).append(value)


class Subject:
    """The proxy, and the one capture that may run in it."""

    def __init__(self, directory: Path, target: Target, load: Load, bench: Path):
        self.directory, self.target, self.load, self.bench = directory, target, load, bench
        self.console = f"{directory}/state/console/.s.PGSQL.6434"

    def during(self, kind: str, work) -> tuple[object, float, dict]:
        """What `work` returned, CPU seconds until everything is written, and `capture stop`'s words or {}."""
        before = self.target.cpu_seconds()
        if KINDS[kind]:
            run([self.directory / "pgairlock", "capture", "start", "--console", self.console, *KINDS[kind]])
        result = work()
        stopped = self._stop() if KINDS[kind] else {}
        time.sleep(0.3)  # what the proxy does after its client has left
        return result, self.target.cpu_seconds() - before, stopped

    def _stop(self) -> dict:
        run([self.directory / "pgairlock", "capture", "stop", "--console", self.console])
        audit = self.directory / "state/audit.jsonl"
        end = time.monotonic() + 60
        while time.monotonic() < end:
            last = subprocess.run(["grep", "-F", '"event":"capture_', str(audit)], capture_output=True, text=True).stdout.splitlines()[-1]
            if (event := json.loads(last))["event"] == "capture_stopped":
                return event
            time.sleep(0.05)
        raise RuntimeError("the capture does not end")


def main() -> None:
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the ExitStack is unwound
    with ExitStack() as running:
        directory = temporary_directory(running, options.directory)
        load = Load(home=directory / "home", seconds=options.seconds, copy_mib=options.copy_mb, idle_connections=0,
                    copy_file=temporary_directory(running, "/dev/shm") / "lines")
        load.home.mkdir()
        make_certificates(directory)
        cluster = start_cluster(directory, running)
        fill(cluster, load, directory)
        subject = Subject(directory, start_proxy(directory, cluster, options.pgairlock, running), load, options.bench)
        results, steal, begun = Results(), Steal(), time.monotonic()
        loads = [LOADS[name] for name in options.loads.split(",")]
        for number in range(options.rounds + 1):
            # The first one warms up, and counts for nothing. Each begins with another kind.
            kinds = list(KINDS)[number % len(KINDS):] + list(KINDS)[:number % len(KINDS)]
            for measure in loads:
                for kind in kinds if number else ["off", "full"]:
                    measure(subject, kind, results if number else Results())
            say(f"round {number} of {options.rounds}, {time.monotonic() - begun:.0f} s")
        print(f"{machine()}; load average {os.getloadavg()[0]:.1f}, time stolen by other guests {steal.percent():.1f} %\n"
              f"{options.rounds} rounds, COPY of {load.copy_gib:.2f} GiB, {load.seconds} s of queries and of connections, TLS on both legs\n"
              f"{subject.target.version.splitlines()[0]}; captures into {options.directory}\n\n{table(results)}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="(5)")
    parser.add_argument("--seconds", type=int, default=3, metavar="N", help="of queries, and of connections (3)")
    parser.add_argument("--copy-mb", type=int, default=512, metavar="MIB", help="size of one COPY (512)")
    parser.add_argument("--loads", default=",".join(LOADS), metavar="LOAD[,...]", help="(%(default)s)")
    parser.add_argument("--pgairlock", type=Path, default=REPOSITORY / "build-release/proxy/pgairlock", metavar="FILE", help="the binary")
    parser.add_argument("--bench", type=Path, default=REPOSITORY / "build-release/bench/pgairlock-bench", metavar="FILE", help="pgairlock-bench")
    parser.add_argument("--directory", default="/tmp", metavar="DIR", help="of the captures, which have 1 GiB (/tmp)")
    return parser.parse_args()


def start_proxy(directory: Path, cluster: Target, binary: Path, running: ExitStack) -> Target:
    copy, file, port = directory / "pgairlock", directory / "pgairlock.conf", free_port()
    copy.write_bytes(binary.read_bytes())  # a build that goes on meanwhile changes nothing
    copy.chmod(0o755)
    file.write_text(PGAIRLOCK.format(dir=directory, port=port, upstream=cluster.tls_port, threads=0) + CAPTURE)
    give_to_postgres(file)
    target = Target("pgairlock", port, port, version=run([copy, "version"]))
    target.process = Process("pgairlock", [copy, "run", "--config", file], directory, lambda: target.connect("tls").close())
    running.callback(target.process.stop)
    target.process.start()
    return target


def copy(subject: Subject, kind: str, results: Results, name: str, measure) -> None:
    _, cpu, stopped = subject.during(kind, lambda: measure(subject.load, subject.target, "tls"))
    results.add(name, kind, cpu / (subject.load.copy_gib * 2**30 / 1e9))
    count(results, name, kind, stopped)


def queries(subject: Subject, kind: str, results: Results) -> None:
    """One client: the latency of each query, but for those of the first half second."""
    with tempfile.TemporaryDirectory(dir=subject.directory) as logs:
        command = [str(postgres_bin() / "pgbench"), "-n", "-S", "-c", "1", "-T", str(subject.load.seconds), "-l", f"--log-prefix={logs}/log"]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(subject.load.home), "PGHOST": "127.0.0.1", "PGPORT": str(subject.target.tls_port),
                       "PGUSER": "postgres", "PGDATABASE": "bench", "PGSSLMODE": "require", "PGGSSENCMODE": "disable"}
        _, cpu, stopped = subject.during(kind, lambda: run(command, env=environment, cwd="/"))
        lines = [line.split() for file in Path(logs).iterdir() for line in file.read_text().splitlines()]
    took = [int(fields[2]) for fields in lines]
    results.add("query-cpu", kind, cpu / len(took) * 1e6)
    results.add("query-p50", kind, statistics.median(took))
    results.add("query-p99", kind, statistics.quantiles(took, n=100)[98])
    count(results, "queries", kind, stopped)


def connections(subject: Subject, kind: str, results: Results) -> None:
    """Two clients without pause: a login, one query and the end."""
    target = f"proxy=host=127.0.0.1 port={subject.target.tls_port} user=postgres dbname=bench sslmode=require"
    command = [subject.bench, "connect", target, "--clients", "2", "--duration", f"{subject.load.seconds}s", "--repetitions", "1", "--format", "json"]
    text, cpu, stopped = subject.during(kind, lambda: run(command))
    [found] = json.loads(text)["targets"]
    results.add("connect-cpu", kind, cpu / (found["connections"] + 1) * 1e3)  # one is tried first
    results.add("connect-rate", kind, found["rate"])
    results.add("connect-p50", kind, found["phases"]["total"]["p50_us"] / 1e3)
    count(results, "connections", kind, stopped)


LOADS = {
    "copy-out": lambda subject, kind, results: copy(subject, kind, results, "copy-out", copy_out),
    "copy-in": lambda subject, kind, results: copy(subject, kind, results, "copy-in", copy_in),
    "queries": queries,
    "connections": connections,
}


def count(results: Results, load: str, kind: str, stopped: dict) -> None:
    held = results.held.setdefault(load, {}).setdefault(kind, Held())
    held.packets += stopped.get("packets", 0)
    held.dropped += stopped.get("dropped", 0)
    held.bytes += stopped.get("bytes", 0)


def table(results: Results) -> str:
    width = max(len(title) for _, title in METRICS.values()) + 4
    lines = [" " * width + "".join(f"{kind:>26}" for kind in KINDS)]
    for metric, (digits, title) in METRICS.items():
        if metric not in results.values:
            continue
        values = results.values[metric]
        lines.append(f"{title:{width}}" + "".join(f"{spread(values[kind], digits):>26}" for kind in KINDS))
        ratios = {kind: statistics.median(one / off for one, off in zip(values[kind], values["off"])) for kind in KINDS}
        lines.append(f"{'  / off':{width}}" + "".join(f"{ratios[kind]:>26.2f}" for kind in KINDS))
        # What else the machine does only adds to it.
        best = {kind: (max if metric == "connect-rate" else min)(values[kind]) for kind in KINDS}
        lines.append(f"{'  / off, best of all rounds':{width}}" + "".join(f"{best[kind] / best['off']:>26.2f}" for kind in KINDS))
    lines.append("\ncaptured, over all rounds: MiB, packets, and how many more were dropped")
    lines += [f"{load:{width}}" + "".join(f"{said(kinds[kind]):>26}" for kind in KINDS) for load, kinds in results.held.items()]
    return "\n".join(lines)


def said(held: Held) -> str:
    return f"{held.bytes / 2**20:,.0f} {held.packets:,} -{held.dropped:,}" if held.packets else ""


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


if __name__ == "__main__":
    main()
