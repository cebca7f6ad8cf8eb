#!/usr/bin/python3
"""Captures under loads that they cannot keep up with, before a throw-away PostgreSQL cluster: a COPY of many GB, and as many connections as come.

Each is captured twice: into a small ring of files, and into a pipe of which next to nothing is read, so that most has to be dropped. Checked is that
clients notice nothing, that memory and disk keep their bounds, that what is not in the capture was counted as dropped, and that the last file is
whole. Every block is read while it is written. Prints figures; exit code 1 when something does not hold. Connections are made to
`pgairlock-bench serve`, which costs next to nothing, so that more of them come.
"""

import argparse
import os
import re
import resource
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.dont_write_bytecode = True
REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> int:
    options = parse_arguments()
    os.environ["PGAIRLOCK"] = str(options.pgairlock)
    for name in [name for name in os.environ if name.startswith("PG") and name != "PGAIRLOCK"]:
        del os.environ[name]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as running:
        root = Path(tempfile.mkdtemp(prefix="pgairlock-heavy-", dir=options.directory))
        running.callback(shutil.rmtree, root, ignore_errors=True)
        root.chmod(0o755)
        os.environ["HOME"] = str(root)
        failed = [name for name, outcome in scenarios(options, root, running) if not reported(name, outcome)]
    print("FAILED: " + ", ".join(failed) if failed else "all of it holds")
    return 1 if failed else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copy-mb", type=int, default=10 * 1024, metavar="MIB", help="size of a COPY (10240)")
    parser.add_argument("--rate", type=int, default=2000, metavar="N", help="connections a second, if the machine can (2000)")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="of connections (60)")
    parser.add_argument("--clients", type=int, default=100, metavar="N", help="connections at a time (100)")
    parser.add_argument("--query-kb", type=int, default=16, metavar="KIB", help="size of each one's query, so that a slow reader misses some (16)")
    parser.add_argument("--payloads", default="redacted,full", metavar="P[,...]", help="headers, redacted, full (redacted,full)")
    parser.add_argument("--only", default="copy,connect", metavar="LOAD[,...]", help="(copy,connect)")
    parser.add_argument("--pgairlock", type=Path, default=REPOSITORY / "build/proxy/pgairlock", metavar="FILE",
                        help="the binary; pgairlock-bench is expected in the same build")
    parser.add_argument("--directory", default="/tmp", metavar="DIR", help="where the captures are written; the ring has 256 MiB (/tmp)")
    options = parser.parse_args()
    options.pgairlock = options.pgairlock.absolute()
    return options


def scenarios(options, root: Path, running: ExitStack):
    """(name, Outcome), as they come."""
    sys.path.append(str(REPOSITORY / "tests/integration"))
    from harness import capture_heavy as heavy
    from harness.capture_tally import Tally
    from harness.cluster import Cluster, make_template
    from harness.config import configuration
    from harness.null_server import NullServer
    from harness.pki import Pki
    from harness.proxy import Proxy

    (root / "pki").mkdir()
    pki = Pki(root / "pki")
    cluster = Cluster(root / "cluster", make_template(root / "template"), pki.server, pki.people.cert).start()
    running.callback(cluster.stop)

    def through(name: str, host: str, payload: str, load, short_sessions: bool):
        for kind in ("ring", "slow reader"):
            proxy = Proxy(root / re.sub("[ ,]", "-", f"{name}-{payload}-{kind}"), configuration(pki, [host], capture=heavy.RING))
            outcome, tally = heavy.Outcome(), Tally(short_sessions=short_sessions)
            try:
                proxy.wait_until_listening()
                capture = heavy.into_ring if kind == "ring" else heavy.to_slow_reader
                load(proxy, outcome, tally, capture(proxy, outcome, "--payload", payload, tally=tally))
                proxy.stop()
            finally:
                proxy.kill()
            yield f"{name}, {payload}, into a {kind}", outcome
            shutil.rmtree(proxy.directory)

    for payload in options.payloads.split(","):
        if "copy" in options.only:
            yield from through(f"COPY of {options.copy_mb} MiB", cluster.host, payload, lambda proxy, outcome, tally, capture:
                               heavy.copy_through(proxy, outcome, options.copy_mb << 20, tally, capture), False)
        if "connect" in options.only:
            with ExitStack() as served:
                server = NullServer(heavy.BENCH, root, pki.server)
                served.callback(server.stop)
                yield from through(f"{options.rate} connections per second", server.host, payload, lambda proxy, outcome, tally, capture:
                                   heavy.connect_through(proxy, outcome, tally, capture, "--rate", options.rate, "--duration", f"{options.seconds}s",
                                                         clients=options.clients, query_size=options.query_kb << 10), True)


def reported(name: str, outcome) -> bool:
    print(name, *outcome.figures, *(f"FAULT: {fault}" for fault in outcome.faults), sep="\n  ", flush=True)
    return not outcome.faults


if __name__ == "__main__":
    sys.exit(main())
