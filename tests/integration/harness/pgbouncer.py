"""PgBouncer before a database, in transaction mode: what is kept in a session is gone with the next transaction."""

import os
import subprocess
from pathlib import Path

import psycopg2

from harness.cluster import _free_port
from harness.waiting import PATIENCE, until

BINARY = Path("/usr/sbin/pgbouncer")


class Pgbouncer:
    """`databases`: lines of its section of that name. `more`: further settings."""

    def __init__(self, directory: Path, databases: str, more: str = ""):
        self.directory, self.port, self.process = directory, _free_port(), None
        directory.mkdir()
        (directory / "pgbouncer.ini").write_text(
            f"[databases]\n{databases}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = any\nadmin_users = any\npool_mode = transaction\n{more}")

    def start(self) -> "Pgbouncer":
        command = [str(BINARY), str(self.directory / "pgbouncer.ini")]
        if os.geteuid() == 0:  # which it refuses to be
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", *command]
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        until(self._answers, what="PgBouncer")
        return self

    def show(self, what: str) -> list[dict]:
        """The rows of SHOW."""
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, dbname="pgbouncer", user="any", sslmode="disable")
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SHOW {what}")
                names = [column.name for column in cursor.description]
                return [dict(zip(names, row)) for row in cursor.fetchall()]
        finally:
            connection.close()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()  # what its signals mean differs between versions
            self.process.wait(PATIENCE)

    def _answers(self) -> bool:
        try:
            return bool(self.show("VERSION"))
        except psycopg2.OperationalError:
            return False
