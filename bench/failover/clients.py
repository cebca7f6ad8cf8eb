"""A client that logs in again and again, and what became of each attempt."""

import re
import threading
import time
from dataclasses import dataclass

import psycopg2


@dataclass
class Attempt:
    begin: float
    end: float
    port: int | None = None   # of the server that it ended up at; None: refused
    can_write: bool = False
    text: str = ""            # why it was refused


class Client:
    """One connection after the other, with a pause between, until it is told to end."""

    def __init__(self, conninfo: str, pause: float):
        self.attempts: list[Attempt] = []
        self._conninfo, self._pause, self._ending = conninfo, pause, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def sessions_at(self, port: int) -> list[Attempt]:
        return [attempt for attempt in list(self.attempts) if attempt.port == port]

    def end(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.is_set():
            self.attempts.append(self._attempt())
            time.sleep(self._pause)

    def _attempt(self) -> Attempt:
        begin = time.monotonic()
        try:
            connection = psycopg2.connect(self._conninfo)
        except psycopg2.OperationalError as error:
            return Attempt(begin, time.monotonic(), text=_kind_of(str(error)))
        end = time.monotonic()
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT inet_server_port(), NOT pg_is_in_recovery()")
                return Attempt(begin, end, *cursor.fetchone())
        except psycopg2.Error as error:  # the server has ended since
            return Attempt(begin, end, text="the session was lost: " + _kind_of(str(error)))
        finally:
            connection.close()


def _kind_of(text: str) -> str:
    """What libpq says of the last host, without what differs from one to the next."""
    lines = [line for line in text.split("\n") if line.strip() and not re.match(r"\t|DETAIL|HINT", line)]
    last = re.sub(r'^connection to server at "[^"]*"[^:]*: ', "", lines[-1] if lines else "no message")
    return re.sub(r"\d+\.\d+\.\d+\.\d+|(?<=:)\d{2,5}", "*", last)


@dataclass
class Outcome:
    """Of one client through one failover."""

    seconds: float          # from the moment to its first session at the new primary
    refused_before: int     # before that moment, when nobody could have served
    refused_after: int      # from then to its first session
    refused_later: int      # after its first session
    longest: float          # seconds that one of its logins took
    read_only: int          # sessions in which it could not write
    texts: dict[str, int]   # what the refused were told


def outcome(attempts: list[Attempt], moment: float, port: int) -> Outcome:
    first = next(attempt for attempt in attempts if attempt.port == port and attempt.end >= moment)
    refused = [attempt for attempt in attempts if attempt.port is None]
    texts: dict[str, int] = {}
    for attempt in refused:
        texts[attempt.text] = texts.get(attempt.text, 0) + 1
    return Outcome(
        seconds=first.end - moment,
        refused_before=sum(attempt.end < moment for attempt in refused),
        refused_after=sum(moment <= attempt.end < first.end for attempt in refused),
        refused_later=sum(attempt.end >= first.end for attempt in refused),
        longest=max(attempt.end - attempt.begin for attempt in attempts),
        read_only=sum(attempt.port is not None and not attempt.can_write for attempt in attempts),
        texts=texts)
