"""What the drivers log in to: one PostgreSQL cluster for all, and proxies before it."""

import json
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from rows import programs  # makes the harness known

from harness.cluster import PASSWORDS, WRONG_PASSWORD, Cluster, make_template  # noqa: E402
from harness.config import configuration  # noqa: E402
from harness.pki import Pki  # noqa: E402
from harness.proxy import Proxy  # noqa: E402

__all__ = ["OUTCOMES", "PASSWORDS", "WRONG_PASSWORD", "Audit", "World", "programs"]

OUTCOMES = ("connected", "auth_failed", "tls_failed", "rejected", "upstream_failed")


class World:
    def __init__(self, running: ExitStack):
        self.directory = Path(tempfile.mkdtemp(prefix="pgairlock-drivers-"))
        running.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.directory.chmod(0o755)
        (self.directory / "pki").mkdir()
        self.pki = Pki(self.directory / "pki")
        self._person = self.pki.leaf(self.pki.people, "cert_user")
        template = make_template(self.directory / "template")
        self.cluster = Cluster(self.directory / "cluster", template, self.pki.server, self.pki.people.cert)
        running.callback(self.cluster.stop)
        self.cluster.start()
        self.has_direct_tls = programs.postgres_version() >= 17
        self._count = count()
        secret = self.cluster.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_user'")[0][0]
        self._entries = {"plain": PASSWORDS["scram_user"], "secret": secret}

    @contextmanager
    def proxy(self, mode: str, entry: str | None = None):
        """Shows the server the certificate that cert_user needs. `entry`: what the users file of `terminate` has, "plain" or "secret"."""
        directory = self.directory / f"proxy{next(self._count)}"
        directory.mkdir()
        auth = {"scram": mode}
        if entry:
            auth["users_file"] = str(self._users_file(directory, entry))
        certificate = {"sslcert": str(self._person.cert), "sslkey": str(self._person.key)}
        proxy = Proxy(directory, configuration(self.pki, [self.cluster.host], upstream=certificate, auth=auth, runtime={"threads": 1}))
        try:
            yield proxy.wait_until_listening()
            proxy.stop()
        finally:
            proxy.kill()

    def _users_file(self, directory: Path, entry: str) -> Path:
        path = directory / "userlist.txt"
        path.touch(0o600)
        path.write_text(f'"scram_user" "{self._entries[entry]}"\n')
        return path


class Audit:
    """A proxy's audit file, read as it grows."""

    def __init__(self, proxy: Proxy):
        self._path = proxy.state_dir / "audit.jsonl"
        self._read = 0

    def news(self) -> list[dict]:
        with open(self._path, "rb") as file:
            file.seek(self._read)
            data = file.read()
        data = data[:data.rfind(b"\n") + 1]
        self._read += len(data)
        return [json.loads(line) for line in data.splitlines()]

    def settled(self, timeout=60.0) -> list[dict]:
        """The events of a login that is over: at least one says how it ended, and whoever was connected has left."""
        events, end = [], time.monotonic() + timeout
        while True:
            events += self.news()
            ended = [event["session"] for event in events if event["event"] in OUTCOMES]
            inside = {event["session"] for event in events if event["event"] == "connected"}
            left = {event["session"] for event in events if event["event"] == "disconnected"}
            if ended and inside <= left or time.monotonic() > end:
                return [event for event in events if event["event"] in OUTCOMES]
            time.sleep(0.002)
