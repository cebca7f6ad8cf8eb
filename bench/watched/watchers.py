"""Whoever looks at a proxy: scrapers of /metrics, and clients of its console that come, ask one question and leave. A process of its own, so that what it
costs is not the load generator's; it ends when its standard input does, and prints what it did as one line of JSON.

    watchers.py HTTP_PORT CONSOLE_SOCKET SCRAPES_PER_SECOND CONSOLE_CLIENTS SECONDS_BETWEEN_QUESTIONS
"""

import http.client
import json
import os
import sys
import threading
import time

import psycopg2

QUESTION = ("SELECT datname, usename, ssl, client_addr FROM pg_stat_ssl INNER JOIN pg_stat_activity ON pg_stat_ssl.pid = pg_stat_activity.pid "
            "WHERE ssl IS TRUE AND usename <> 'rdsadmin'")
SCRAPERS = 4


class Watch:
    """What all threads have done, and how long each took."""

    def __init__(self):
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.took: dict[str, list[float]] = {"scrape": [], "question": []}
        self.bytes = self.rows = self.refused = 0

    def every(self, seconds: float, first: float, action) -> None:
        """Not in a burst when it was late: what is missed is missed, and seen in the count."""
        due = time.monotonic() + first
        while not self.ended.wait(max(0.0, due - time.monotonic())):
            action()
            due = max(due + seconds, time.monotonic() - seconds)

    def note(self, kind: str, begun: float) -> None:
        with self.lock:
            self.took[kind].append(time.monotonic() - begun)


def scrape(watch: Watch, connection: http.client.HTTPConnection) -> None:
    begun = time.monotonic()
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"/metrics: {answer.status}")
    watch.bytes = len(text)
    watch.note("scrape", begun)


def ask(watch: Watch, folder: str, port: str) -> None:
    begun = time.monotonic()
    try:
        connection = psycopg2.connect(host=folder, port=port, user="watcher", dbname="pgairlock", connect_timeout=60)
    except psycopg2.OperationalError as error:
        if "too many" not in str(error):
            raise
        with watch.lock:
            watch.refused += 1
        return
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(QUESTION)
    watch.rows = max(watch.rows, len(cursor.fetchall()))
    connection.close()
    watch.note("question", begun)


def main() -> None:
    port, console, rate, clients, pause = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
    folder, _, console_port = console.rpartition("/.s.PGSQL.")
    watch, begun = Watch(), time.monotonic()
    threads = []
    for number in range(SCRAPERS if rate else 0):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        threads.append(threading.Thread(target=watch.every, args=(SCRAPERS / rate, number / rate, lambda c=connection: scrape(watch, c))))
    for number in range(clients):
        threads.append(threading.Thread(target=watch.every, args=(pause, pause * number / clients, lambda: ask(watch, folder, console_port))))
    for thread in threads:
        thread.start()
    sys.stdin.read()
    watch.ended.set()
    for thread in threads:
        thread.join()
    seconds, used = time.monotonic() - begun, os.times()
    found = {kind: {"per_second": len(took) / seconds, "p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99), "slowest_ms": quantile(took, 1)}
             for kind, took in watch.took.items()}
    print(json.dumps({**found, "bytes": watch.bytes, "rows": watch.rows, "refused": watch.refused, "cpu_cores": (used.user + used.system) / seconds}))


def quantile(took: list[float], part: float) -> float | None:
    return sorted(took)[min(len(took) - 1, int(part * len(took)))] * 1e3 if took else None


if __name__ == "__main__":
    main()
