"""A PostgreSQL cluster of the newest installed version: users for each authentication method, ephemeral port, no fsync."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psycopg2

from . import messages, programs
from .pki import Certificate
from .waiting import PATIENCE, until

# Long and unlike anything else, so that one search through logs and audit files finds a leak.
PASSWORDS = {
    "md5_user": "Secret-md5-f2b81c",
    "password_user": "Secret-plain-77d0ea",
    "scram_user": "Secret-scram-5c1f09",
}
WRONG_PASSWORD = "Secret-wrong-aa41be"

HBA = """
local   all         all                       trust
local   replication postgres                  trust
host    all         trust_user    all         trust
host    all         md5_user      all         md5
host    all         password_user all         password
host    all         scram_user    all         scram-sha-256
host    all         +scram_users  all         scram-sha-256
host    all         ghost         all         scram-sha-256
hostssl all         cert_user     all         cert
hostssl all         tls_user      all         trust
hostnossl all       clear_user    all         trust
host    all         repl_user     all         trust
host    replication repl_user     all         trust
"""

ROLES = f"""
CREATE ROLE trust_user LOGIN; CREATE ROLE cert_user LOGIN; CREATE ROLE tls_user LOGIN; CREATE ROLE clear_user LOGIN;
CREATE ROLE repl_user LOGIN REPLICATION SUPERUSER; CREATE ROLE scram_users;
SET password_encryption = 'scram-sha-256';
CREATE ROLE scram_user LOGIN PASSWORD '{PASSWORDS["scram_user"]}';
CREATE ROLE password_user LOGIN PASSWORD '{PASSWORDS["password_user"]}';
SET password_encryption = 'md5';
CREATE ROLE md5_user LOGIN PASSWORD '{PASSWORDS["md5_user"]}';
GRANT CREATE ON SCHEMA public TO PUBLIC;
GRANT pg_read_all_stats, pg_signal_backend TO trust_user;
"""

SETTINGS = """
listen_addresses = '127.0.0.1,::1'
fsync = off
synchronous_commit = off
wal_level = logical
max_connections = 400
max_wal_senders = 8
max_replication_slots = 8
log_connections = on
"""


def make_template(directory: Path) -> Path:
    """What initdb makes, kept to be copied: initdb takes seconds."""
    directory.mkdir()
    programs.give_to_postgres(directory)
    programs.run([*programs.unprivileged(), programs.postgres_bin() / "initdb", "-D", directory / "data", "-U", "postgres",
                  "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"], cwd="/")
    return directory / "data"


class Cluster:
    def __init__(self, directory: Path, template: Path, certificate: Certificate | None, client_ca: Path | None = None):
        """`certificate` None: a server without TLS. `client_ca` verifies the client certificates that cert_user needs."""
        self.directory = directory
        directory.mkdir()
        self.data = directory / "data"
        subprocess.run(["cp", "-a", str(template), str(self.data)], check=True)
        (self.data / "pg_hba.conf").write_text(HBA)
        settings = SETTINGS + f"unix_socket_directories = '{directory}'\n"
        if certificate:
            for name, source in (("server.crt", certificate.cert), ("server.key", certificate.key), ("clients.crt", client_ca)):
                shutil.copy(source, self.data / name)
            settings += "ssl = on\nssl_ca_file = 'clients.crt'\n"
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(settings)
        programs.give_to_postgres(directory)
        self.log_file = directory / "log"
        self.process = None

    def start(self) -> "Cluster":
        for _ in range(5):
            self.port = _free_port()
            self._run()
            if self._ready():
                self.sql(ROLES)
                return self
        raise AssertionError(self.log_file.read_text())

    def standby(self, directory: Path) -> "Cluster":
        """A hot standby of this one, started: it takes what is written here as it comes, until it is promoted."""
        made = Cluster.__new__(Cluster)
        made.directory, made.data, made.log_file, made.process = directory, directory / "data", directory / "log", None
        directory.mkdir()
        programs.give_to_postgres(directory)
        programs.run([*programs.unprivileged(), programs.postgres_bin() / "pg_basebackup", "-D", made.data, "-h", self.directory, "-p", str(self.port),
                      "-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync"], cwd="/")
        with open(made.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(f"unix_socket_directories = '{directory}'\n")
        made.port = _free_port()
        made.start_again()
        return made

    def promote(self) -> None:
        """Until it has become a primary."""
        assert self.sql("SELECT pg_promote(wait_seconds => %s)", PATIENCE) == [(True,)]

    def start_again(self) -> None:
        """On the same port, after stop()."""
        self._run()
        assert self._ready(), self.log_file.read_text()

    def shut_down(self) -> None:
        """Once its clients are gone."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)

    def stop(self) -> None:
        """At once: the data is thrown away, so no checkpoint is needed."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(PATIENCE)

    @property
    def host(self) -> str:
        """As in upstream.hosts."""
        return f"127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def admin(self, database="postgres"):
        """A superuser's connection that does not pass through the proxy."""
        connection = psycopg2.connect(host=str(self.directory), port=self.port, user="postgres", dbname=database)
        connection.autocommit = True
        return connection

    def sql(self, statement: str, *parameters, database="postgres"):
        connection = self.admin(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def has_backend(self, pid: int) -> bool:
        return bool(self.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid))

    def wait_until_asleep(self, pid: int) -> None:
        """Until that backend is in the middle of its pg_sleep, where a cancel finds it."""
        until(lambda: self.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'", pid),
              what=f"backend {pid} sleeps")

    def put_to_sleep(self, session, *user):
        """Logs in, and leaves the session in a pg_sleep, where a cancel finds it. Returns the login."""
        login = session.login(*user)
        session.send(messages.query("SELECT pg_sleep(600)"))
        self.wait_until_asleep(login.backend_pid)
        return login

    def _run(self) -> None:
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [*programs.unprivileged(), str(programs.postgres_bin() / "postgres"), "-D", str(self.data), "-p", str(self.port)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")

    def _ready(self) -> bool:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.admin().close()
                return True
            except psycopg2.OperationalError:
                time.sleep(0.05)
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
