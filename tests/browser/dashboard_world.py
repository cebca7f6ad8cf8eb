"""A scripted world of clients, sessions, servers and a rotation, as the dashboard's API tells of it. Its clock stands still until a test moves it."""

from datetime import datetime, timedelta, timezone

NOW = datetime(2026, 11, 30, 3, 12, 44, tzinfo=timezone.utc)
OLD, NEW = "CN=Amazon RDS Root 2019 CA,O=Amazon", "CN=Amazon RDS Root CA RSA2048 G1,O=Amazon"


def at(**ago) -> str:
    return (NOW - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(ago: int) -> str:
    return at(days=ago)[:10]


EXPLAIN = {
    "enable TLS": "connects in clear text: set sslmode=verify-full with a root certificate, or at least require",
    "repair fallback": "sslmode=prefer: goes on in clear text when TLS or the login over it fails; set verify-full",
    "split": "in clear and with TLS: two programs or settings share a name; see process, uid, application",
    "fix root certificate": "fails today: has no root certificate, or one that does not know the certificate it is shown",
    "update trust store": "verifies, and refused the candidate: give it the new CA before the rotation",
    "verify the server": "uses TLS but would accept an impostor: set sslmode=verify-full with a root certificate",
    "upgrade TLS": "TLS below 1.2 or a weak cipher: update its TLS library",
    "go through the proxy": "goes to the server around every proxy, so what it verifies cannot be seen: let it come through pgairlock, or ask its owner",
    "probe": "what it verifies, or whether it accepts the candidate, is not known: probe it, or ask its owner",
    "none": "nothing to do",
}

# action, state, verifies, breaks on force_ssl, breaks on CA rotation, sslmode, TLS version, evidence
KINDS = [
    ("fix root certificate", "verifying", "yes", "no", "unknown", ("verify-ca", "verify-full"), None, ["tls_refused"]),
    ("enable TLS", "in clear", "no", "unknown", "no", ("disable", "allow"), None, ["clear_startup"]),
    ("repair fallback", "falls back", "no", "no", "no", ("prefer", "prefer"), "TLSv1.3", ["tls_startup", "clear_startup_after_tls"]),
    ("split", "mixed", "no", "unknown", "unknown", ("disable", "verify-full"), "TLSv1.2", ["clear_startup", "tls_startup"]),
    ("update trust store", "verifying", "yes", "no", "yes", ("verify-ca", "verify-full"), "TLSv1.3", ["untrusted_refused", "candidate_refused"]),
    ("verify the server", "not verifying", "no", "no", "no", ("allow", "require"), "TLSv1.3", ["untrusted_accepted"]),
    ("probe", "unknown", "unknown", "no", "unknown", ("allow", "verify-full"), "TLSv1.3", ["tls_startup"]),
    ("none", "verifying", "yes", "no", "no", ("verify-full", "verify-full"), "TLSv1.3", ["wrong_name_refused", "candidate_accepted"]),
    ("none", "verifying", "yes", "no", "no", ("verify-full", "verify-full"), "TLSv1.3", ["wrong_name_refused", "candidate_accepted"]),
]
NAMES = [("billing", "nightly-export"), ("intranet", "php"), ("orders", "importer"), ("warehouse", "airflow"), ("web", "orders-api"),
         ("stock", "PostgreSQL JDBC Driver"), ("reports", "metabase"), ("grafana", "Grafana"), ("shipping", "labels")]


def client(number: int, **values) -> dict:
    """One client of the report. What a test does not care about is made from its number."""
    action, state, verifies, force_ssl, rotation, mode, version, evidence = KINDS[number % len(KINDS)]
    user, application = NAMES[number % len(NAMES)]
    plain = {"in clear": 4212, "falls back": 120, "mixed": 53}.get(state, 0)
    fails = action == "fix root certificate"
    connections = 0 if fails else 876 + 37 * (number % 50) + plain
    seen = at(minutes=3 + 7 * (number % 200))
    modes = {name: count for name, count in (("plain", plain), (version, connections - plain)) if name and count > 0}
    return {
        "key": f"k{number}", "explain": EXPLAIN[action], "trend": [None, "same", "worse", "new", "same", "better", None, "better"][number % 8],
        "sessions_open": 0 if fails else number % 4, "proxy": "app-1", "proxies": ["app-1"], "host": None, "source": "seen", "direct": None, "upstream": "orders",
        "listener": "legacy",
        "client_addr": f"10.{20 + number // 62500}.{number // 250 % 250}.{40 + number % 200}", "client_process": None, "client_uid": None,
        "usename": None if fails else user if number < 20 else f"{user}_{number}", "datname": None if fails else "orders",
        "application_name": None if fails else application, "names": {"count": 1, "examples": []},
        "connections": connections, "plain": plain, "weak_tls": 0, "bridged": 0, "auth_failed": 0, "auth_failures": 0,
        "failures": 96 if fails else number % 3,
        "possible_failures": 0, "last_failure": seen if fails else None, "failing": fails, "auth_method": None if fails else "scram-sha-256",
        "version": version,
        "modes": modes, "days": [{"day": day(ago), "modes": {name: max(1, count // 6) for name, count in modes.items()},
                                  "failures": 16 if fails else 0} for ago in range(5, -1, -1)],
        "first_seen": at(days=9), "last_seen": seen, "sslmode_min": mode[0], "sslmode_max": mode[1], "verifies": verifies, "state": state,
        "weak": verifies == "no", "mixed": state == "mixed", "changed": False, "changed_at": None, "falls_back": state == "falls back",
        "breaks_on_force_ssl": force_ssl, "breaks_on_ca_rotation": rotation, "action": action, "also": None, "accepted": None, "note": None, "repaired_at": None,
        "decided_at": None, "not_probed": "others at this address refuse our certificate" if action == "probe" else None, "evidence": evidence,
        "evidence_detail": [{"evidence": label, "certificate": "candidate" if "candidate" in label else None if "clear" in label else "real",
                             "first_seen": at(days=9),
                             "last_seen": seen, "count": 40 + number % 9, "session": f"17a29cbdecd2-{number}", "possible": False} for label in evidence],
        "probes": [{"kind": "candidate", "shown": 3, "accepted": 2, "refused": 1, "last_shown": at(hours=5),
                    "shared": False}] if verifies == "yes" and not fails else [],
        "error": "alert unknown_ca (48)" if fails else None,
    } | values


def direct(number: int, **values) -> dict:
    """One that goes around every proxy: in clear and with TLS in turn."""
    clear = number % 2 == 0
    return client(1 if clear else 6, **({
        "key": f"d{number}", "source": "direct", "client_addr": f"10.77.0.{number}", "usename": f"lambda_{number}", "sessions_open": None,
        "direct": {"servers": ["10.1.0.1:5432"], "looks": 40, "sessions": 7, "seen": 51, "cipher": None if clear else "TLS_AES_256_GCM_SHA384", "client_dn": None},
        "connections": 7, "plain": 7 if clear else 0, "modes": {"plain" if clear else "TLSv1.3": 7}, "days": [], "sslmode_max": "prefer" if clear else "verify-full",
        "breaks_on_ca_rotation": "unknown", "action": "enable TLS" if clear else "go through the proxy",
        "also": "go through the proxy" if clear else None, "explain": EXPLAIN["enable TLS" if clear else "go through the proxy"], "not_probed": None,
        "evidence": ["clear_at_server" if clear else "tls_at_server"],
        "evidence_detail": [{"evidence": "clear_at_server" if clear else "tls_at_server", "certificate": None, "first_seen": at(days=9),
                             "last_seen": at(minutes=3), "count": 7, "session": None, "possible": False}]} | values))


def around(rows: list, looked: bool) -> list:
    if not looked:
        return ["who goes around pgairlock is not known: no server was looked at (sample_interval, with monitor_user; or pgairlock sample)"]
    plain = sum(1 for c in rows if c["plain"] > 0)
    return [f"{len(rows)} clients go around pgairlock (direct): {plain} in clear text, {len(rows) - plain} with TLS; no other figure counts them",
            "pgairlock sees 83 % of the sessions that the servers list",
            "1 server looked at every 5 s from 2026-11-21T23:47:37Z to 2026-11-30T03:12:40Z: a session shorter than that may be missing here"]


def summary(all_clients: list, looked: bool = False) -> dict:
    clients = [c for c in all_clients if c["source"] == "seen"]
    around_us = [c for c in all_clients if c["source"] == "direct"]

    def count(test):
        return sum(1 for c in clients if test(c))
    actions = {}
    for c in clients:
        actions[c["action"]] = actions.get(c["action"], 0) + 1
    plain = count(lambda c: c["plain"] > 0)
    return {"since": None, "until": None, "filters": {}, "incomplete": [], "proxies": 1, "silent_proxies": 0, "clients": len(clients), "plain": plain,
            "plain_network": plain, "plain_local": 0, "tls_not_verifying": count(lambda c: c["state"] == "not verifying"),
            "verifying": count(lambda c: c["state"] == "verifying"), "unknown": count(lambda c: c["state"] == "unknown"),
            "weak": count(lambda c: c["weak"]),
            "mixed": count(lambda c: c["mixed"]), "failing": count(lambda c: c["failing"]), "accepted": count(lambda c: c["accepted"]), "bridged": 0,
            "falls_back": count(lambda c: c["falls_back"]), "never_logged_in": count(lambda c: c["usename"] is None),
            "breaks_on_ca_rotation": count(lambda c: c["breaks_on_ca_rotation"] == "yes"),
            "breaks_on_ca_rotation_unknown": count(lambda c: c["breaks_on_ca_rotation"] == "unknown"),
            "breaks_on_force_ssl": count(lambda c: c["breaks_on_force_ssl"] == "yes"),
            "breaks_on_force_ssl_unknown": count(lambda c: c["breaks_on_force_ssl"] == "unknown"),
            "direct": len(around_us) if looked else None, "direct_plain": sum(1 for c in around_us if c["plain"] > 0) if looked else None,
            "direct_accepted": 0 if looked else None, "coverage": 83 if looked else None, "around": around(around_us, looked),
            "actions": actions, "connections": sum(c["connections"] for c in clients), "failures": sum(c["failures"] for c in clients),
            "first_seen": at(days=9) if clients else None, "last_seen": at(minutes=3) if clients else None, "probes": [], "days": []}


def certificate(address: str, issuer: str, *, current: bool, first: str, last: str, **values) -> dict:
    subject = "CN=orders.cluster-abc.eu-west-1.rds.amazonaws.com"
    return {"upstream": "orders", "upstream_addr": address, "current": current, "subject": subject,
            "sans": ["DNS:orders.cluster-abc.eu-west-1.rds.amazonaws.com"], "issuer": issuer,
            "anchor": issuer, "serial": "01", "sha256": (address.encode().hex() + issuer[3:].encode().hex())[:64],
            "not_before": at(days=400), "not_after": at(days=-215), "first_seen": first, "last_seen": last, "connections": 9408,
            "candidate_ok": issuer == NEW,
            "candidate_since": at(days=5) if issuer == NEW else None, "days_left": 215.3,
            "chain": [{"subject": subject, "issuer": issuer, "not_before": at(days=400), "not_after": at(days=-215), "sha256": "ab" * 32},
                      {"subject": issuer, "issuer": issuer, "not_before": at(days=4000), "not_after": at(days=-12000), "sha256": "cd" * 32}]} | values


def session(number: int, **values) -> dict:
    kind = [("plain", None), ("no", "TLSv1.2"), ("unknown", "TLSv1.3"), ("yes", "TLSv1.3"), ("yes", "TLSv1.3")][number % 5]
    user, application = NAMES[number % len(NAMES)]
    plain = kind[0] == "plain"
    return {"session": f"17a29cbdecd2-{number}", "pid": 16784 + number, "listener": "legacy" if plain else "tls", "upstream": "orders",
            "client_addr": f"10.20.30.{40 + number % 200}",
            "client_port": 41000 + number, "usename": user, "datname": "orders", "application_name": application, "ssl": not plain, "version": kind[1],
            "cipher": None if plain else "TLS_AES_256_GCM_SHA384", "negotiation": "plain" if plain else "sslrequest",
            "sslmode_min": "disable" if plain else "allow",
            "sslmode_max": "allow" if plain else "verify-full", "verifies": "no" if plain else kind[0], "weak": kind[0] in ("plain", "no"),
            "evidence": [], "auth_method": "scram-sha-256",
            "upstream_addr": f"10.1.0.{1 + number % 3}:5432", "upstream_ssl": True, "upstream_version": "TLSv1.3",
            "backend_start": at(minutes=number % 90, seconds=7),
            "state": ["active", "idle", "idle in transaction"][number % 3], "bytes_from_client": 1900 + 1700 * number,
            "bytes_from_server": 66000 + 51000 * number} | values


class World:
    """What the API says. Tests change it, and say so with `Server.tell`."""

    def __init__(self, clients: int = 20, *, fleet: bool = False, sessions: int | None = None):
        self.fleet = fleet
        self.clients = [client(n) for n in range(clients)]
        self.clients.sort(key=lambda c: [kind[0] for kind in KINDS].index(c["action"]))
        self.sessions = [session(n) for n in range(min(clients * 2, 10000) if sessions is None else sessions)]
        self.unknown = ["app-2 is silent for 2 days: what its clients do is not known"] if clients else []
        self.warnings = [
            {"severity": "critical", "what": "proxy_silent", "text": "app-2 is silent for 2 days", "since": at(days=2)},
            {"severity": "warning", "what": "certificate_expiring", "text": "the certificate of listener legacy (ecdsa) ends in 12 days", "since": None},
        ] if clients else []
        self.proxies = [self.proxy("app-1"), self.proxy("app-2", last_seen=at(days=2), silent_s=172800)] if clients else [self.proxy("app-1")]
        self.started = at(days=3)
        self.captures = [{"id": 1, "by": "uid 1000 (alice)", "payload": "redacted", "trigger": "all", "filter": "listener=legacy user=billing",
                          "where": "/var/lib/pgairlock/captures",
                          "until": at(hours=-2), "state": "running", "sessions": 3, "packets": 18450, "bytes": 2_100_000, "dropped": 0, "left_out": 0,
                          "keylog": False,
                          "allow_secrets": False}] if clients else []
        self.unattributed = []
        self.looked = False  # at servers, for those that go around every proxy
        self.versions = dict.fromkeys(("sessions", "clients", "certificates", "hosts", "rotation"), 1)
        self.events = []
        self.tick = 0

    def proxy(self, name, **values) -> dict:
        return {"name": name, "id": f"id-{name}", "version": "0.1.0", "started": at(days=3), "last_seen": at(seconds=20), "silent_s": None,
                "listeners": ["127.0.0.1:6432", "10.20.0.5:6432"], "events_dropped": 0, "rows_left_out": 0} | values

    def time(self) -> str:
        return (NOW + timedelta(seconds=2 * self.tick)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def point(self, n: int) -> dict:
        t = (NOW + timedelta(seconds=2 * n)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"t": t, "sessions": len(self.sessions), "plain": self.modes()["plain"], "logins_per_s": 12 + (n * 7 % 11) + (n // 9) % 5,
                "failures_per_s": [0, 0, 0.4, 1.2, 0][n // 6 % 5]}

    def modes(self) -> dict:
        out = {"total": len(self.sessions), "plain": 0, "tls_not_verifying": 0, "verifying": 0, "unknown": 0}
        for s in self.sessions:
            out["plain" if not s["ssl"] else {"no": "tls_not_verifying", "yes": "verifying", "unknown": "unknown"}[s["verifies"]]] += 1
        return out

    def overview(self, whole: bool = True) -> dict:
        busy = bool(self.clients)
        point = self.point(self.tick) if busy else {"logins_per_s": 0.0, "failures_per_s": 0.0}
        open_at = {name: sum(1 for s in self.sessions if s["listener"] == name) for name in ("legacy", "tls")}
        now = None if self.fleet else {
            "sessions": self.modes(), "logins_per_s": point["logins_per_s"], "failures_per_s": point["failures_per_s"],
            "by_listener": [
                {"listener": "legacy", "sessions": open_at["legacy"], "logins_per_s": point["logins_per_s"] / 4,
                 "failures_per_s": point["failures_per_s"], "bytes_from_client_per_s": 18_500, "bytes_from_server_per_s": 1_240_000},
                {"listener": "tls", "sessions": open_at["tls"], "logins_per_s": point["logins_per_s"] * 3 / 4, "failures_per_s": 0.0,
                 "bytes_from_client_per_s": 91_000, "bytes_from_server_per_s": 4_800_000}] if busy else [],
            "login_ms": {"p50": 8.0, "p95": 16.0, "p99": 64.0, "of": 873} if busy else {"p50": None, "p95": None, "p99": None, "of": 0},
            "history": [self.point(n) for n in (range(self.tick - 149, self.tick + 1) if whole else (self.tick,))] if busy else []}
        s = summary(self.clients, self.looked)
        return {"generated": self.time(), "kind": "fleet" if self.fleet else "proxy",
                "proxy": None if self.fleet else {"name": "app-1", "id": "id-app-1", "version": "0.1.0", "started": self.started, "pid": 4711,
                                                  "phase": "serving", "state_dir": "/var/lib/pgairlock"},
                "proxies": self.proxies, "unknown": self.unknown, "warnings": self.warnings, "now": now,
                "clients": {"generated": self.time(), "since": at(days=7), "total": s["clients"],
                            "not_ready": s["breaks_on_ca_rotation"] + s["breaks_on_ca_rotation_unknown"]}
                | {name: s[name] for name in ("plain", "tls_not_verifying", "verifying", "unknown", "weak", "failing", "accepted",
                                        "direct", "direct_plain", "coverage")}
                | self.nameless(),
                "captures": [] if self.fleet else self.captures, "prewarm": [{"upstream": "orders", "ready": 4, "wanted": 4}]}

    def sessions_json(self, most: int = 10_000) -> dict:
        told = self.sessions if len(self.sessions) <= most else sorted(self.sessions, key=lambda s: not s["weak"])[:most]
        return {"generated": self.time(), "total": len(self.sessions), "left_out": len(self.sessions) - len(told), "sessions": told}

    def clients_json(self) -> dict:
        return {"generated": self.time(), "summary": summary(self.clients, self.looked) | self.nameless(), "proxies": self.proxies, "clients": self.clients,
                "unattributed_failures": self.unattributed, "upstream_certificates": []}

    def nameless(self) -> dict:
        return {"unattributed_failures": sum(one["failures"] for one in self.unattributed),
                "unattributed_refused": sum(one["refused"] for one in self.unattributed)}

    def certificates_json(self) -> dict:
        addresses = ["10.1.0.1:5432", "10.1.0.2:5432", "10.1.0.3:5432"] if self.clients else []
        upstream = [certificate(a, NEW, current=True, first=at(days=5, hours=n), last=at(minutes=1)) for n, a in enumerate(addresses[:2])]
        upstream += [certificate(a, OLD, current=a == addresses[2], first=at(days=9), last=at(days=5)) for a in addresses]
        if self.fleet:
            return {"generated": self.time(), "upstream": upstream, "server": None, "anchors": None}
        server = [{"listener": "legacy", "key_type": kind, "subject": "CN=localhost", "sans": ["DNS:localhost", "IP:127.0.0.1"],
                   "issuer": "CN=pgairlock CA app-1", "not_before": at(days=353),
                   "not_after": at(days=-12), "days_left": 12.4, "generated": True, "trust": "distributed"} for kind in ("ecdsa", "rsa")]
        anchors = [{"upstream": "orders", "file": "/etc/pgairlock/global-bundle.pem", "subject": s, "not_after": at(days=-left),
                    "days_left": left + 0.5, "candidate": s == NEW} for s, left in ((OLD, 265), (NEW, 12000))]
        return {"generated": self.time(), "upstream": upstream, "server": server, "anchors": anchors if self.clients else []}

    def hosts_json(self) -> dict:
        host = {"upstream": "orders", "host": "orders.cluster-abc.eu-west-1.rds.amazonaws.com", "up": True, "since": at(days=3), "role": "primary",
                "role_seen": at(minutes=2), "last_served": at(seconds=4),
                "error": None, "sslmode": "verify-full", "verified": True, "version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384",
                "not_after": at(days=-215), "days_left": 215.3,
                "subject": "CN=orders.cluster-abc.eu-west-1.rds.amazonaws.com", "anchor": NEW, "candidate_ok": True, "prewarm_ready": 4,
                "prewarm_wanted": 4, "sessions": 18}
        return {"generated": self.time(), "hosts": [
            host | {"address": "10.1.0.1:5432"}, host | {"address": "10.1.0.2:5432", "role": "standby", "sessions": 22},
            host | {"address": "10.1.0.3:5432", "up": False, "role": None, "role_seen": None, "since": at(hours=2), "error": "Connection refused",
                    "verified": None, "anchor": OLD, "candidate_ok": False,
                    "last_served": at(hours=2), "prewarm_ready": 0, "sessions": 0}] if self.clients else []}

    def rotation_json(self) -> dict:
        total = len(self.clients)
        s = summary(self.clients)
        days = []
        for ago in range(8, -1, -1):
            breaks = s["breaks_on_ca_rotation"] + ago * total // 60
            unknown = s["breaks_on_ca_rotation_unknown"] + ago * total // 25
            seen = max(total - ago * total // 40, breaks + unknown)
            days.append({"day": day(ago), "clients": seen, "ready": seen - breaks - unknown, "not_ready": breaks + unknown, "unknown": unknown,
                         "breaks": breaks, "in_clear": s["plain"]})
        moves = [{"t": at(days=5, hours=n), "what": "server", "upstream": "orders", "upstream_addr": f"10.1.0.{n + 1}:5432", "from": OLD,
                  "to": NEW} for n in range(2)]
        moves += [{"t": at(days=n + 1), "what": "client", "key": c["key"],
                   "client": f"{c['usename']}@{c['datname']} ({c['application_name']}) from {c['client_addr']}", "from": "in clear", "to": c["state"]}
                  for n, c in enumerate([c for c in self.clients if c["state"] == "verifying" and c["usename"]][:5])]
        return {"generated": self.time(), "days": days if total else [], "moves": moves if total else [], "left_out": 0,
                "last_not_ready": [c["key"] for c in self.clients if c["breaks_on_ca_rotation"] != "no"][:100]}
