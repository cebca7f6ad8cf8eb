"""Inventories made without a proxy, from the tables that proxy/inventory/inventory_schema.hpp defines."""

import re
import sqlite3
import time
from datetime import datetime, timezone
from pathlib import Path

from harness.programs import REPOSITORY

HEADER = REPOSITORY / "proxy/inventory/inventory_schema.hpp"
DAY = 86_400_000_000
HOUR = DAY // 24


def schema() -> str:
    return re.search(r'R"sql\((.*?)\)sql"', HEADER.read_text(), re.DOTALL).group(1)


def version() -> int:
    return int(re.search(r"inventory_version = (\d+)", HEADER.read_text()).group(1))


def micros(text: str) -> int:
    """Microseconds of an RFC 3339 time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) * 1_000_000


class Inventory:
    """One proxy's file. Tables get rows with defaults for whatever a test does not care about."""

    def __init__(self, directory: Path, *, instance: str | None = None, start: str = "2026-11-02T08:00:00", **proxy):
        """`proxy`: columns of its row in `proxies`; it was heard of just now unless they say otherwise."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.file = directory / "inventory.db"
        self.start = micros(start)
        self.db = sqlite3.connect(self.file, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.executescript(schema())
        self.db.execute(f"PRAGMA user_version = {version()}")
        self.instance = instance or str(directory)
        self.db.execute("INSERT INTO meta VALUES ('instance', ?)", (self.instance,))
        self.insert("proxies", **({"id": self.instance, "name": directory.name, "version": "0.1.0", "listeners": "127.0.0.1:6432", "first_seen": 0,
                                   "started": self.start, "last_seen": time.time_ns() // 1000, "events_dropped": 0, "rows_left_out": 0, "last_loss": 0,
                                   "pruned_before": 0, "consistent_after": 30 * DAY, "ended": 0, "unclean_ends": 0} | proxy))

    def insert(self, table: str, **values) -> int:
        columns = ", ".join(values)
        marks = ", ".join("?" * len(values))
        return self.db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(values.values())).lastrowid

    def times(self, first=None, last=None) -> dict:
        first = self.start if first is None else first
        return {"first_seen": first, "last_seen": first + HOUR if last is None else last}

    def client(self, usename="app", *evidence, first=None, last=None, mode="TLSv1.3", connections=10, days=None, ja4=(), **values) -> int:
        """`evidence`: labels, or dictionaries with `evidence` and what differs from the client's own times. `days`: of each day the connections by mode."""
        times = self.times(first, last)
        plain = connections if mode == "plain" else 0
        row = {"upstream": "orders", "client_addr": "10.0.0.1", "client_exe": "", "usename": usename, "datname": "orders",
               "application_name": "", "client_uid": -1, "listener": "legacy", "connections": connections, "plain": plain, "weak_tls": 0,
               "bridged": 0, "auth_failed": 0, "failures": 0, "last_failure": 0, "failure_reason": "", "failure_error": "", "not_probed": "", "auth_method": "scram-sha-256",
               "version": "" if mode == "plain" else mode, "groups": "", **times} | values
        client = self.insert("clients", **row)
        for piece in evidence:
            piece = {"evidence": piece} if isinstance(piece, str) else piece
            self.insert("evidence", **({"client": client, "certificate": "" if mode == "plain" else "real", "count": 3, "session": "5f-1"} | times | piece))
        for fingerprint in ja4:
            self.insert("fingerprints", client=client, ja4=fingerprint, sni="", last_seen=times["last_seen"])
        counted = {name: row[name] for name in ("weak_tls", "bridged", "failures", "auth_failed")}
        for day, modes in (days or ({times["last_seen"] // DAY: {mode: connections}} if connections or row["failures"] else {})).items():
            for name, count in modes.items():
                within = {"first_seen": max(times["first_seen"], day * DAY), "last_seen": min(times["last_seen"], (day + 1) * DAY - 1)}
                self.insert("days", day=day, client=client, mode=name, connections=count, open_until=0, **counted, **within)
                counted = dict.fromkeys(counted, 0)
        return client

    def handshake(self, evidence, *, first=None, last=None, **values) -> None:
        self.insert("handshakes", **({"upstream": "orders", "client_addr": "10.0.0.1", "client_exe": "", "client_uid": -1, "ja4": "t13d", "sni": "", "evidence": evidence,
                                      "certificate": "real", "listener": "legacy", "count": 2, "session": "5f-2", "error": "alert unknown_ca (48)"}
                                     | self.times(first, last) | values))

    def certificate(self, upstream_addr="10.1.0.1:5432", *, first=None, last=None, **values) -> None:
        self.insert("upstream_certificates", **({
            "upstream": "orders", "upstream_addr": upstream_addr, "sha256": "ab" * 32, "subject": "CN=orders.internal",
            "sans": "DNS:orders.internal,IP:10.1.0.1", "issuer": "CN=Example RDS Root 2019", "anchor": "CN=Example RDS Root 2019", "serial": "01",
            "not_before": micros("2024-01-01T00:00:00"), "not_after": micros("2099-01-01T00:00:00"), "count": 7, "candidate_ok": None,
            "candidate_since": None, "issuer_key_id": "", "anchor_key_sha256": "", "groups": ""} | self.times(first, last) | values))

    def probe(self, kind, *, shown, accepted=0, refused=0, **values) -> None:
        self.insert("probes", **({"upstream": "orders", "client_addr": "10.0.0.1", "client_exe": "", "client_uid": -1, "kind": kind, "shown": shown,
                                  "accepted": accepted, "refused": refused, "last_shown": self.start, "last_refused": self.start if refused else 0}
                                 | values))

    def mark(self, usename: str, **values) -> None:
        """What people said about a client (`pgairlock client`)."""
        self.insert("marks", **({"upstream": "orders", "client_addr": "10.0.0.1", "client_exe": "", "client_uid": -1, "usename": usename,
                                 "datname": "orders", "application_name": "", "seen_by": "", "accepted": 0, "accepted_until": 0, "accepted_state": "plain", "owner": "",
                                 "reason": "", "note": "", "repaired_at": 0, "changed_at": self.start} | values))

    def sampled(self, usename: str, *, first=None, last=None, **values) -> None:
        """Sessions as a server lists them, in clear and not through this proxy unless they say otherwise."""
        self.insert("sampled_sessions", **({"upstream": "orders", "upstream_addr": "10.1.0.1:5432", "client_addr": "10.0.0.9", "usename": usename,
                                            "datname": "orders", "application_name": "", "version": "", "through": 0, "cipher": "", "client_dn": "",
                                            "looks": 3, "sessions": 1, "seen": 3} | self.times(first, last) | values))

    def sampling(self, upstream_addr="10.1.0.1:5432", *, first=None, last=None, **values) -> None:
        """How a server was looked at."""
        times = self.times(first, last)
        self.insert("sampling", **({"upstream": "orders", "upstream_addr": upstream_addr, "first_look": times["first_seen"], "last_look": times["last_seen"],
                                    "looks": 720, "hidden": 0, "failed": 0, "last_failure": 0, "error": "", "interval": 5_000_000, "left_out": 0,
                                    "proxying": 1, "server_started": 0, "last_hidden": 0, "last_left_out": 0} | values))

    def close(self) -> "Inventory":
        """As a proxy does that ends: no log is left behind."""
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.db.close()
        return self
