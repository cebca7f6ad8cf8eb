"""A primary with two standbys that stream from it, which go back to where they were for each failover; and the three ways in which the first standby
becomes the primary."""

import shutil
import signal
import subprocess
import threading
import time

from harness import programs
from harness.cluster import Cluster, make_template
from harness.waiting import PATIENCE, until

MONITOR_USER, MONITOR_PASSWORD = "pgairlock_monitor", "Secret-monitor-failover"


class Servers:
    """`old` is the primary, `new` the standby that becomes one, `other` stays what it is."""

    def __init__(self, root, pki):
        self.old = Cluster(root / "old", make_template(root / "template"), pki.server, pki.people.cert)
        hba = self.old.data / "pg_hba.conf"
        hba.write_text(hba.read_text() + f"host postgres {MONITOR_USER} 127.0.0.1/32 scram-sha-256\n")
        self.old.start()
        self.old.sql(f"CREATE ROLE {MONITOR_USER} LOGIN PASSWORD '{MONITOR_PASSWORD}'")
        self.new, self.other = self.old.standby(root / "new"), self.old.standby(root / "other")
        for standby in (self.new, self.other):
            until(lambda standby=standby: standby.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", MONITOR_USER), what="the role has come")
        for server in self.all():
            server.process.send_signal(signal.SIGINT)
            server.process.wait(PATIENCE)
            server.data.rename(server.directory / "as-it-was")

    def all(self) -> list[Cluster]:
        return [self.old, self.new, self.other]

    def begin_anew(self) -> None:
        for server in self.all():
            server.stop()
            shutil.rmtree(server.data, ignore_errors=True)
            subprocess.run(["cp", "-a", str(server.directory / "as-it-was"), str(server.data)], check=True)
            server.start_again()
        until(lambda: len(self.old.sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'")) == 2, what="both standbys stream")

    def stop(self) -> None:
        for server in self.all():
            server.stop()

    # --- failovers: each returns the moment from which `new` is the only one that takes writes

    def crash(self, gap: float) -> float:
        """The primary is gone from one moment to the next; `gap` seconds later somebody promotes a standby."""
        self.old.stop()
        time.sleep(gap)
        return self._promote()

    def promotion(self, gap: float) -> float:
        """The standby is promoted while the primary still serves, which is ended then, so that for `gap` seconds there are two."""
        self._promote()
        time.sleep(gap)
        moment = time.monotonic()
        self._shut_down_old()
        return moment

    def switchover(self, gap: float) -> float:
        """The primary is shut down as it should be, the standby promoted, and the old one comes back as its standby."""
        self._shut_down_old()
        time.sleep(gap)
        with open(self.old.data / "postgresql.auto.conf", "a", encoding="utf-8") as file:
            file.write(f"primary_conninfo = 'host={self.new.directory} port={self.new.port} user=postgres'\nrecovery_target_timeline = 'latest'\n")
        (self.old.data / "standby.signal").touch()
        programs.give_to_postgres(self.old.data / "standby.signal")
        moment = self._promote()
        self.old.start_again()
        return moment

    def _shut_down_old(self) -> None:
        self.old.process.send_signal(signal.SIGINT)
        self.old.process.wait(PATIENCE)

    def _promote(self) -> float:
        """When it said for the first time that it is one: pg_promote itself looks each 100 ms only."""
        watcher = self.new.admin()
        promotion = threading.Thread(target=self.new.promote)
        promotion.start()
        try:
            with watcher.cursor() as cursor:
                end = time.monotonic() + PATIENCE
                while time.monotonic() < end:
                    cursor.execute("SELECT pg_is_in_recovery()")
                    if not cursor.fetchone()[0]:
                        return time.monotonic()
                    time.sleep(0.002)
            raise RuntimeError("the standby was not promoted")
        finally:
            promotion.join()
            watcher.close()
