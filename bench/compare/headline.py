"""What an application waits for: a direct libpq connection that reads a large CA bundle, as applications of Amazon RDS do, beside the same
through pgairlock, which has read it once. Measured by pgairlock-bench connect."""

import json
import shutil
from pathlib import Path

from programs import Process, free_port, give_to_postgres, run
from targets import PGAIRLOCK, Target

ROOTS = 99  # in global-bundle.pem of Amazon RDS, of all regions
PREWARM = 4  # for each thread
PHASES = ("tcp", "sslrequest", "tls", "startup", "authentication", "total")
KEYS = (["rsa:2048"], ["rsa:4096"], ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"])  # Amazon's are of these kinds, a third each


def headline(directory: Path, direct: Target, binary: Path, bench: Path, rounds: int, seconds: int, running) -> str:
    """Markdown."""
    bundle = _make_bundle(directory)
    ports = {prewarm: _start(directory, direct, binary, bundle, prewarm, running) for prewarm in (0, PREWARM)}
    verified = f"sslmode=verify-full sslrootcert={bundle}"
    targets = {
        "direct": f"port={direct.tls_port} {verified}",
        "direct one root": f"port={direct.tls_port} sslmode=verify-full sslrootcert={directory / 'ca.crt'}",
        "direct plain": f"port={direct.plain_port} sslmode=disable",
        "plain": f"port={ports[0]} sslmode=disable",
        "plain prewarm": f"port={ports[PREWARM]} sslmode=disable",
        "tls": f"port={ports[0]} sslmode=require",
        "tls prewarm": f"port={ports[PREWARM]} sslmode=require",
    }
    options = ["--repetitions", str(rounds), "--duration", f"{seconds}s", "--format", "json"]
    arguments = [f"{name.replace(' ', '-')}=host=127.0.0.1 user=postgres dbname=bench {conninfo}" for name, conninfo in targets.items()]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(directory / "home")}
    by_libpq = json.loads(run([bench, "connect", "--libpq", *options, *arguments], env=environment))
    by_phase = json.loads(run([bench, "connect", *options, *arguments], env=environment))
    return (f"""## What an application waits for

Connections of one client, one after the other, by `trust`; {rounds} repetitions of {seconds} s. The CA file has {ROOTS} roots, as Amazon's has, and
libpq reads it for every connection; pgairlock has read it once and verifies the server by it. "one root": libpq with the one CA that is
needed. "plain", "tls": the client's leg to pgairlock. "prewarm": with `prewarm = {PREWARM}`.

By libpq, until the application may send its first query, microseconds:

{_waits(by_libpq)}

The same by a client that reads the CA file once, by phases (p50, microseconds):

{_phases(by_phase)}
""")


def _waits(report: dict) -> str:
    lines = ["| | p50 | p90 | p99 | p50 / direct |", "|---|---:|---:|---:|---:|"]
    for target in report["targets"]:
        total = target["phases"]["total"]
        ratio = target.get("p50_ratios", {}).get("total")
        shown = f"{ratio['median']:.2f} ({ratio['min']:.2f}–{ratio['max']:.2f})" if ratio else "–"
        lines.append(f"| {_name(target)} | {total['p50_us']:.0f} | {total['p90_us']:.0f} | {total['p99_us']:.0f} | {shown} |")
    return "\n".join(lines)


def _phases(report: dict) -> str:
    lines = ["| | " + " | ".join(PHASES) + " |", "|---|" + "---:|" * len(PHASES)]
    for target in report["targets"]:
        cells = [f"{target['phases'][phase]['p50_us']:.0f}" if phase in target["phases"] else "–" for phase in PHASES]
        lines.append(f"| {_name(target)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _name(target: dict) -> str:
    name = target["name"].replace("-", " ")
    return name if name.startswith("direct") else f"pgairlock, {name}"


def _start(directory: Path, direct: Target, binary: Path, bundle: Path, prewarm: int, running) -> int:
    place = directory / f"headline-{prewarm}"
    place.mkdir()
    for name in ("proxy.crt", "proxy.key"):
        shutil.copy(directory / name, place)
    shutil.copy(bundle, place / "ca.crt")
    (place / "proxy.key").chmod(0o600)
    port = free_port()
    config = place / "pgairlock.toml"
    config.write_text(PGAIRLOCK.replace("{threads}", "0").format(dir=place, port=port, upstream=direct.tls_port) + f"prewarm = {prewarm}\n")
    give_to_postgres(place)
    target = Target("pgairlock", port, port)
    process = Process(f"headline-{prewarm}", [binary, "run", "--config", config], directory, lambda: target.connect("tls").close())
    running.callback(process.stop)
    process.start()
    return port


def _make_bundle(directory: Path) -> Path:
    """Roots that differ in their names only: what libpq does with them does not depend on whose keys they are. The server's is the last."""
    roots = []
    for kind, algorithm in enumerate(KEYS):
        key = directory / f"root-{kind}.key"
        run(["openssl", "req", "-x509", "-newkey", *algorithm, "-nodes", "-subj", f"/CN=kind {kind}", "-keyout", key, "-out", "/dev/null"])
        for number in range(kind, ROOTS - 1, len(KEYS)):
            roots.append(run(["openssl", "req", "-x509", "-key", key, "-days", "30", "-subj", f"/O=pgairlock bench/CN=root {number}"]))
    bundle = directory / "bundle.pem"
    bundle.write_text("".join(roots) + (directory / "ca.crt").read_text())
    return bundle
