"""What is compared: PostgreSQL itself, and proxies before it that all verify its certificate.

Authentication is `trust` everywhere: its cost would hide the proxies'. Every proxy has a port for TLS clients and one for plain ones; where
one port serves both, they are the same.
"""

import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from programs import Process, free_port, give_to_postgres, postgres_bin, run, unprivileged
from wire import Connection

SERVER_SETTINGS = """\
listen_addresses = '127.0.0.1'
max_connections = 1500
shared_buffers = 256MB
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 4GB
autovacuum = off
jit = off
dynamic_shared_memory_type = mmap
ssl = on
"""

NULL_PROXY = "null proxy"
ONE_THREAD = "pgairlock 1 thread"

PGAIRLOCK = """\
[log]
level = "warn"
[runtime]
threads = {threads}
state_dir = "{dir}/state"
[[listener]]
listen = ["127.0.0.1:{port}"]
[listener.tls]
cert_file = "{dir}/proxy.crt"
key_file = "{dir}/proxy.key"
[upstream.bench]
hosts = ["127.0.0.1:{upstream}"]
sslmode = "verify-full"
sslrootcert = ["{dir}/ca.crt"]
"""

PGBOUNCER = """\
[databases]
* = host=127.0.0.1 port={upstream} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = session
default_pool_size = 1200
max_client_conn = 2000
pkt_buf = 65536
log_connections = 0
log_disconnections = 0
client_tls_sslmode = allow
client_tls_cert_file = {dir}/proxy.crt
client_tls_key_file = {dir}/proxy.key
server_tls_sslmode = verify-full
server_tls_ca_file = {dir}/ca.crt
"""

# A server connection serves one client.
PGBOUNCER_ONE_TO_ONE = PGBOUNCER + "server_lifetime = 0\n"

# As its documentation says for many clients: no pool, no cache, no checks of other nodes, and `raw` because there is but one. TLS on both legs,
# the server's chain verified; pgpool does not compare names.
PGPOOL = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{dir}'
pcp_listen_addresses = ''
pcp_socket_dir = '{dir}'
pid_file_name = '{dir}/pgpool.pid'
work_dir = '{dir}'
logdir = '{dir}'
backend_clustering_mode = 'raw'
backend_hostname0 = '127.0.0.1'
backend_port0 = {upstream}
num_init_children = 80
max_pool = 1
connection_cache = off
enable_pool_hba = off
pool_passwd = ''
load_balance_mode = off
use_watchdog = off
log_min_messages = error
ssl = on
ssl_cert = '{dir}/proxy.crt'
ssl_key = '{dir}/proxy.key'
ssl_ca_cert = '{dir}/ca.crt'
"""

STUNNEL = """\
foreground = yes
pid =
syslog = no
debug = warning
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[from-tls-clients]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{plain_port}
protocol = pgsql
cert = {dir}/proxy.crt
key = {dir}/proxy.key
[to-server]
client = yes
accept = 127.0.0.1:{plain_port}
connect = 127.0.0.1:{upstream}
protocol = pgsql
CAfile = {dir}/ca.crt
verifyChain = yes
checkIP = 127.0.0.1
"""


@dataclass
class Target:
    name: str
    tls_port: int
    plain_port: int
    process: Process | None = None  # None: no proxy in between
    config: str = ""
    version: str = ""

    def port(self, leg: str) -> int:
        return self.tls_port if leg == "tls" else self.plain_port

    def connect(self, leg: str) -> Connection:
        return Connection(self.port(leg), tls=leg != "plain", direct=leg == "direct")

    def cpu_seconds(self) -> float | None:
        return self.process.cpu_seconds() if self.process else None


def make_certificates(directory: Path) -> None:
    """One CA; RSA 2048 for the server, as Amazon RDS has by default, and ECDSA P-256 for the proxies towards their clients."""
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bench CA", "-days", "30",
         "-keyout", directory / "ca.key", "-out", directory / "ca.crt"])
    for name, algorithm in (("server", ["rsa:2048"]), ("proxy", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])):
        run(["openssl", "req", "-x509", "-newkey", *algorithm, "-nodes", "-subj", f"/CN={name}", "-days", "30",
             "-CA", directory / "ca.crt", "-CAkey", directory / "ca.key", "-addext", "basicConstraints=critical,CA:FALSE",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.crt"])
        (directory / f"{name}.key").chmod(0o600)


def start_cluster(directory: Path, running) -> Target:
    """`running` takes what is to be stopped: an ExitStack."""
    data, port = directory / "data", free_port()
    give_to_postgres(directory)
    run([*unprivileged(), postgres_bin() / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8"],
        cwd="/")
    settings = (f"{SERVER_SETTINGS}ssl_cert_file = '{directory}/server.crt'\nssl_key_file = '{directory}/server.key'\n"
                f"unix_socket_directories = '{directory}'\nport = {port}\n")
    with open(data / "postgresql.conf", "a", encoding="utf-8") as file:
        file.write(settings)
    process = Process("postgres", [postgres_bin() / "postgres", "-D", data], directory,
                      lambda: Connection(port, tls=True, database="postgres").close(), stop_signal=signal.SIGINT)
    running.callback(process.stop)
    process.start()
    return Target("direct", port, port, config=SERVER_SETTINGS, version=run([postgres_bin() / "postgres", "--version"]).strip())


def start_proxies(directory: Path, upstream: Target, binary: Path, threads: int, names: list[str], running) -> list[Target]:
    copy = directory / "pgairlock"
    shutil.copy(binary, copy)  # a build that goes on meanwhile changes nothing
    kinds = {  # configuration, command, version
        "pgairlock": (PGAIRLOCK.replace("{threads}", str(threads)), [copy, "run", "--config"], run([copy, "version"])),
        ONE_THREAD: (PGAIRLOCK.replace("{threads}", "1").replace("/state", "/state-1"), [copy, "run", "--config"], ""),
        "pgbouncer": (PGBOUNCER, ["pgbouncer"], run(["pgbouncer", "--version"])),
        "pgbouncer 1:1": (PGBOUNCER_ONE_TO_ONE, ["pgbouncer"], ""),
        "pgpool": (PGPOOL, ["pgpool", "-n", "-f"], run(["sh", "-c", "pgpool --version 2>&1"])),
        "stunnel": (STUNNEL, ["stunnel"], _stunnel_version()),
    }
    targets = [_proxy(name, directory, upstream, *kinds[name]) for name in names]
    for target in targets:
        running.callback(target.process.stop)
        target.process.start()
    return targets


def start_null_proxy(directory: Path, upstream: Target, bench: Path, running) -> Target:
    """Hands bytes on, encrypted or not, and looks at none: what it costs, every proxy costs at least."""
    copy, port = directory / "pgairlock-bench", free_port()
    shutil.copy(bench, copy)
    target = Target(NULL_PROXY, port, port)
    command = [copy, "forward", "--listen", f"127.0.0.1:{port}", "--to", f"127.0.0.1:{upstream.tls_port}"]
    target.process = Process("null-proxy", command, directory, lambda: target.connect("plain").close())
    running.callback(target.process.stop)
    target.process.start()
    return target


def legs(target: Target) -> dict[str, str]:
    """What was really negotiated: {client leg: "client side -> server side"}."""
    found = {}
    for leg in ("tls", "plain"):
        connection = target.connect(leg)
        [[server]] = connection.query("select coalesce(version || ' ' || cipher, 'plain') from pg_stat_ssl where pid = pg_backend_pid()")
        found[leg] = connection.encryption() + (f" -> {server}" if target.process else "")
        if target.process and server == "plain" and target.name != NULL_PROXY:
            raise RuntimeError(f"{target.name} does not encrypt towards the server")
        connection.close()
    return found


def _proxy(name: str, directory: Path, upstream: Target, template: str, command: list, version: str) -> Target:
    port = free_port()
    plain_port = free_port() if "{plain_port}" in template else port
    config = template.format(dir=directory, port=port, plain_port=plain_port, upstream=upstream.tls_port)
    file = directory / f"{name.replace(' ', '-').replace(':', '-')}.conf"
    file.write_text(config)
    give_to_postgres(file)
    target = Target(name, port, plain_port, config=config, version=version.strip())
    target.process = Process(name, [*command, file], directory, lambda: [target.connect(leg).close() for leg in ("tls", "plain")])
    return target


def _stunnel_version() -> str:
    """It prints it to standard error, before all its defaults."""
    return run(["sh", "-c", "stunnel -version 2>&1 | sed '/^ *$/,$d; /^Initializing/d'"])
