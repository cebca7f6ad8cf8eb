"""An application at work: sessions that stay open and count, and logins that come and go. What either suffers is noted."""

import threading
import time
from contextlib import contextmanager

import psycopg2

from .cluster import PASSWORDS
from .waiting import PATIENCE, until

SSLMODES = ("disable", "require")


class Load:
    """`sessions` connections that ask something ten times a second, and `logins` connections a second that are made and closed."""

    def __init__(self, address, *, sessions=50, logins=20, user="scram_user", sslmodes=SSLMODES):
        self.where = {"host": address[0], "port": address[1], "user": user, "password": PASSWORDS.get(user), "dbname": "postgres",
                      "gssencmode": "disable", "connect_timeout": PATIENCE}
        self.sslmodes = sslmodes
        self.disturbed: list[str] = []  # sessions that ended, or were given a wrong answer
        self.failed: list[str] = []     # logins that failed, and did not have to
        self.excused = 0                # logins that had to
        self.statements = 0
        self.logged_in = 0
        self.longest = 0.0              # seconds that any one statement or login took
        self._stop = threading.Event()
        self._excuse = threading.Event()
        self._lock = threading.Lock()
        self._ready = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._session, args=(number,)) for number in range(sessions)]
        workers = 4 if logins else 0
        self._threads += [threading.Thread(target=self._log_in, args=(logins / workers, number)) for number in range(workers)]
        for thread in self._threads:
            thread.start()
        for _ in range(sessions):
            assert self._ready.acquire(timeout=PATIENCE), "the sessions do not come to be"

    @contextmanager
    def excused_logins(self):
        """While there is nothing to log in with: no descriptor, no memory, no server."""
        self._excuse.set()
        yield
        self._excuse.clear()

    def goes_on(self, *, statements=200, logins=20) -> None:
        """Waits until so many more of each have gone well. Those that are excused wait for nothing."""
        with self._lock:
            wanted = self.statements + statements, self.logged_in + logins
        until(lambda: self.disturbed or self.failed or (self.statements >= wanted[0] and self.logged_in >= wanted[1]),
              timeout=4 * PATIENCE, what="the load goes on")

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def figures(self) -> str:
        return (f"sessions disturbed {len(self.disturbed)}, logins failed {len(self.failed)} (excused {self.excused}), "
                f"{self.statements} statements, {self.logged_in} logins, the slowest {self.longest:.2f} s")

    # --- the threads

    def _session(self, number: int) -> None:
        try:
            connection = psycopg2.connect(**self.where, sslmode=self.sslmodes[number % len(self.sslmodes)])
            connection.autocommit = True
            cursor = connection.cursor()
            self._ready.release()
            count = 0
            while not self._stop.wait(0.1):
                count += 1
                begun = time.monotonic()
                cursor.execute("SELECT %s, repeat('x', %s)", (count, count % 5000))
                answer = cursor.fetchone()
                if answer != (count, "x" * (count % 5000)):
                    raise AssertionError(f"{count} was answered by {answer!r:.100}")
                self._note(begun, statements=1)
            connection.close()
        except Exception as error:  # noqa: BLE001: whatever it is, the session was disturbed
            self._ready.release()
            self.disturbed.append(f"session {number}: {error!r:.300}")

    def _log_in(self, per_second: float, number: int) -> None:
        while not self._stop.wait(1 / per_second):
            begun = time.monotonic()
            excused = self._excuse.is_set()
            try:
                connection = psycopg2.connect(**self.where, sslmode=self.sslmodes[number % len(self.sslmodes)])
                connection.cursor().execute("SELECT 1")
                connection.close()
                self._note(begun, logged_in=1)
            except psycopg2.Error as error:
                if excused or self._excuse.is_set():
                    self.excused += 1
                else:
                    self.failed.append(f"login: {error!r:.300}")

    def _note(self, begun: float, *, statements=0, logged_in=0) -> None:
        with self._lock:
            self.statements += statements
            self.logged_in += logged_in
            self.longest = max(self.longest, time.monotonic() - begun)
