#!/usr/bin/python3
"""Compares pgairlock with pgbouncer (session mode), stunnel and pgpool before a throw-away PostgreSQL cluster, all on the loopback interface.

Needs Debian's postgresql, pgbouncer, stunnel4, pgpool2 and openssl (scripts/compare installs them), about 1 GiB in /dev/shm with the defaults, and a machine that is otherwise idle:
look at the ratios and the spread, not at the numbers. As root, the servers run as user postgres.
"""

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path

sys.dont_write_bytecode = True

from programs import postgres_bin, run  # noqa: E402
from bare import bare  # noqa: E402
from bound import bound  # noqa: E402
from headline import headline  # noqa: E402
from plots import page  # noqa: E402
from report import Results, Steal, document, machine  # noqa: E402
from rows import COPY_LINE, Load, Row, all_rows  # noqa: E402
from targets import NULL_PROXY, Target, legs, make_certificates, start_cluster, start_null_proxy, start_proxies  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the ExitStack is unwound
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as running:
        directory = temporary_directory(running, "/tmp")
        load = Load(home=directory / "home", seconds=options.seconds, copy_mib=options.copy_mb, idle_connections=options.idle_connections,
                    copy_file=temporary_directory(running, "/dev/shm") / "lines")
        rows = selected_rows(load, options.rows)
        names = list(dict.fromkeys(name for row, _ in rows for name in row.targets if name != "direct"))
        load.home.mkdir()
        make_certificates(directory)
        direct = start_cluster(directory, running)
        fill(direct, load, directory)
        targets = [direct, *start_proxies(directory, direct, options.pgairlock, options.threads, [name for name in names if name != NULL_PROXY], running)]
        if NULL_PROXY in names:
            targets.append(start_null_proxy(directory, direct, options.bench, running))
        negotiated = {target.name: legs(target) for target in targets}
        say(f"{directory}: " + ", ".join(f"{target.name} pid {target.process.process.pid}" for target in targets if target.process))

        begin, steal, load_before = time.monotonic(), Steal(), os.getloadavg()[0]
        results = measure(rows, {target.name: target for target in targets}, options.rounds)
        facts = {
            "machine": machine(),
            "load average before": f"{load_before:.1f}; time stolen by other guests: {steal.percent():.1f} %",
            "run": f"{options.rounds} rounds, {load.seconds} s each, COPY of {load.copy_mib} MiB in lines of {COPY_LINE} bytes, "
                   f"{load.idle_connections} idle connections; {(time.monotonic() - begin) / 60:.0f} minutes",
        }
        waits = headline(directory, direct, directory / "pgairlock", options.bench, options.rounds, load.seconds, running) if options.headline else ""
        tools = run([postgres_bin() / "pgbench", "--version"]) + run(["openssl", "version"]).strip()
        report = document(results, targets, negotiated, facts, tools, waits, bound(results))
        if rows and options.html:
            options.html.write_text(page(results, facts))
        if rows and options.output:
            options.output.write_text(report)
        if options.bare:
            say("before a server that costs nothing: some minutes")
            options.bare.write_text(bare(temporary_directory(running, "/tmp"), options.pgairlock, options.bench, load, options.rounds, options.bare_idle, facts, running))
    if rows:
        print(report if not options.output else results.markdown())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 rounds of 2 s, COPY of 100 MiB: does it work?")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each target is measured (5)")
    parser.add_argument("--seconds", type=int, metavar="N", help="duration of one pgbench run (5)")
    parser.add_argument("--copy-mb", type=int, metavar="MIB", help="size of one COPY (1024)")
    parser.add_argument("--idle-connections", type=int, default=500, metavar="N", help="(500)")
    parser.add_argument("--rows", default="*", metavar="PATTERN[,...]",
                        help="pgbench-{1,8,64}, copy-{out,in}, connect-{1,8}, idle, each with /tls or /plain; such as 'copy-*/tls,idle/*'; or none")
    parser.add_argument("--pgairlock", type=Path, default=REPOSITORY / "build/proxy/pgairlock", metavar="FILE", help="the binary")
    parser.add_argument("--bench", type=Path, default=REPOSITORY / "build/bench/pgairlock-bench", metavar="FILE", help="pgairlock-bench")
    parser.add_argument("--no-headline", dest="headline", action="store_false", help="only the rows")
    parser.add_argument("--bare", type=Path, metavar="FILE", help="also a page of the proxies before a server that costs nothing")
    parser.add_argument("--bare-idle", type=int, default=2000, metavar="N", help="idle connections there, to each proxy in turn (2000)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of pgairlock; 0: one per core (0)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the whole report in Markdown; the tables still go to standard output")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the same with plots, as one page")
    options = parser.parse_args()
    defaults = (2, 2, 100) if options.quick else (5, 5, 1024)
    for name, value in zip(("rounds", "seconds", "copy_mb"), defaults):
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def selected_rows(load: Load, patterns: str) -> list[tuple[Row, list[str]]]:
    """Rows with those of their legs that a pattern selects."""
    chosen = []
    for row in all_rows(load):
        row_legs = [leg for leg in row.legs if any(fnmatch(f"{row.name}/{leg}", pattern.strip()) for pattern in patterns.split(","))]
        if row_legs:
            chosen.append((row, row_legs))
    if not chosen and patterns != "none":
        raise SystemExit(f"--rows {patterns}: no such row")
    return chosen


def fill(direct: Target, load: Load, directory: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(load.home), "PGHOST": str(directory), "PGPORT": str(direct.plain_port), "PGUSER": "postgres"}
    psql, pgbench = postgres_bin() / "psql", postgres_bin() / "pgbench"
    run([psql, "-X", "-q", "-d", "postgres", "-c", "create database bench"], env=environment)
    run([pgbench, "-q", "-i", "-s", "1", "bench"], env=environment)
    run([psql, "-X", "-q", "-d", "bench", "-c", "create unlogged table sink (line text)"], env=environment)
    chunk = (b"x" * (COPY_LINE - 1) + b"\n") * 1000
    with open(load.copy_file, "wb") as file:
        for _ in range(load.copy_lines // 1000):
            file.write(chunk)
        file.write(chunk[:load.copy_lines % 1000 * COPY_LINE])


def measure(rows: list[tuple[Row, list[str]]], targets: dict[str, Target], rounds: int) -> Results:
    results = Results()
    for row, row_legs in rows:
        for leg in row_legs:
            for number in range(row.rounds or rounds):
                for name in row.targets:
                    values = row.measure(targets[name], leg)
                    results.add(row, leg, name, values)
                    shown = ", ".join(f"{value:.{metric.digits}f} {metric.name}" for value, metric in zip(values, row.metrics) if value is not None)
                    say(f"{row.name}/{leg} round {number + 1} {name}: {shown}")
    return results


def temporary_directory(running: ExitStack, parent: str) -> Path:
    path = Path(tempfile.mkdtemp(prefix="pgairlock-bench-", dir=parent))
    running.callback(shutil.rmtree, path, ignore_errors=True)
    path.chmod(0o755)
    return path


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
