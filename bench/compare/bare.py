"""The proxies before a server that costs nothing (`pgairlock-bench serve`): what they themselves spend on a byte, a round trip and an idle
connection, and what a busy session notices of thousands of others. HAProxy is here too: it speaks direct TLS only, which that server takes."""

import shutil
from datetime import datetime, timezone
from pathlib import Path

from programs import Process, free_port, give_to_postgres, run
from rows import Load
from targets import PGAIRLOCK, PGBOUNCER, Target, make_certificates

HAPROXY = """\
global
  maxconn 5000
  nbthread 2
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen postgres
  bind 127.0.0.1:{port}{bind}
  server upstream 127.0.0.1:{upstream} ssl verify required ca-file {dir}/ca.crt verifyhost localhost sni str(localhost) alpn postgresql
"""


def bare(directory: Path, binary: Path, bench: Path, load: Load, rounds: int, idle: int, facts: dict[str, str], running) -> str:
    """Markdown. `directory` is empty."""
    make_certificates(directory)
    give_to_postgres(directory)
    binary, bench = (Path(shutil.copy(program, directory)) for program in (binary, bench))  # a build that goes on meanwhile changes nothing
    upstream = _serve(directory, bench, running)
    targets = {"direct": (upstream, "sslmode=require", None)}
    for leg in ("tls", "plain"):
        for name, start in (("pgairlock", _pgairlock), ("pgbouncer", _pgbouncer), ("haproxy", _haproxy)):
            port, process = start(directory, binary, upstream.tls_port, leg, running)
            negotiation = " sslnegotiation=direct" if name == "haproxy" and leg == "tls" else ""
            targets[f"{name}-{leg}"] = (Target(name, port, port), "sslmode=disable" if leg == "plain" else "sslmode=require" + negotiation, process)
    conninfos = [f"{name}=host=127.0.0.1 port={target.tls_port} user=bench dbname=bench {mode}" for name, (target, mode, _) in targets.items()]
    pids = [f"--pid={name}={process.process.pid}" for name, (_, _, process) in targets.items() if process]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(directory)}
    common = ["--repetitions", str(rounds), "--idle", str(idle), "--connect-rate", "100", "--copy-mb", str(load.copy_mib),
              "--duration", f"{load.seconds}s"]
    table = run([bench, "relay", *conninfos, *pids, *common, "--workload", "idle,copy-out,copy-in,ping,busy-among-idle"], env=environment)
    config = HAPROXY.format(port="PORT", bind=" ssl crt FILE alpn postgresql", upstream="PORT", dir="DIR")
    head = "\n".join(f"- {name}: {value}" for name, value in facts.items() if name != "run")
    return f"""# Proxies before a server that costs nothing

{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, by `bench/compare/compare.py --bare`.

{head}

By `pgairlock-bench relay` ([bench.md](bench.md)). `direct` is that server, `-tls` and `-plain` are the client's leg; every proxy verifies the
server. HAProxy can do neither SSLRequest nor both kinds of clients on one port: it is measured with direct TLS, on both legs.

```
{table.strip()}
```

HAProxy's configuration:

```
{config}```
"""


def _serve(directory: Path, bench: Path, running) -> Target:
    port = free_port()
    target = Target("serve", port, port)
    process = Process("serve", [bench, "serve", "--listen", f"127.0.0.1:{port}", "--cert-file", directory / "server.crt",
                                "--key-file", directory / "server.key"], directory, lambda: target.connect("tls").close())
    running.callback(process.stop)
    process.start()
    return target


def _pgairlock(directory, binary, upstream, leg, running):
    config = PGAIRLOCK.replace("{threads}", "0").replace("{dir}/state", "{dir}/bare-" + leg)
    return _start("pgairlock", directory, config, [binary, "run", "--config"], upstream, leg, running)


def _pgbouncer(directory, _, upstream, leg, running):
    config = PGBOUNCER.replace("default_pool_size = 1200", "default_pool_size = 6000").replace("max_client_conn = 2000", "max_client_conn = 8000")
    return _start("pgbouncer", directory, config, ["pgbouncer"], upstream, leg, running)


def _haproxy(directory, _, upstream, leg, running):
    both = directory / "proxy.pem"
    both.write_text((directory / "proxy.crt").read_text() + (directory / "proxy.key").read_text())
    both.chmod(0o600)
    give_to_postgres(both)
    config = HAPROXY.replace("{bind}", f" ssl crt {both} alpn postgresql" if leg == "tls" else "")
    return _start("haproxy", directory, config, ["haproxy", "-f"], upstream, leg, running, direct=leg == "tls")


def _start(name, directory, config, command, upstream, leg, running, direct=False):
    port = free_port()
    file = directory / f"bare-{name}-{leg}.conf"
    file.write_text(config.format(dir=directory, port=port, upstream=upstream))
    give_to_postgres(file)
    target = Target(name, port, port)
    process = Process(f"bare-{name}-{leg}", [*command, file], directory, lambda: target.connect("direct" if direct else leg).close())
    running.callback(process.stop)
    process.start()
    return port, process
