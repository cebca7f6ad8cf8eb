"""A load whose truth is known, and what every surface says of it at one moment: metrics, console, audit and report."""

import json
import ssl
from collections import Counter

import pytest

from harness.cluster import WRONG_PASSWORD
from harness.http import scrape
from harness.messages import ErrorResponse
from harness.programs import pgairlock
from harness.waiting import until
from harness.wire import tls_context
from test_console_sql import open_sessions, rows

# Who, from where, how many sessions stay open and how many have ended.
PLAIN, TLS, CAREFUL = ("plain", "127.0.0.2", 4, 3), ("tls", "127.0.0.3", 5, 1), ("careful", "127.0.0.4", 3, 2)
LOGINS = sum(group[2] + group[3] for group in (PLAIN, TLS, CAREFUL))
OPEN = sum(group[2] for group in (PLAIN, TLS, CAREFUL))
WRONG_PASSWORDS = 2
STRANGERS = 2  # whose address is not allowed


@pytest.fixture
def loaded(start, client, pki):
    """(proxy, its open clients by name)"""
    # Whoever comes again with TLS, and has no session open, is shown a certificate of nobody once.
    probe = {"enabled": True, "kinds": ["untrusted"], "fraction": 1.0, "max_per_client": 1, "grace": "0s"}
    proxy = start(admin={"http": "127.0.0.1:0"}, listener={"allow": ["127.0.0.0/29"]}, audit={"process_owner": False, "probe": probe})
    contexts = {"plain": None, "tls": tls_context(), "careful": tls_context(ca=pki.front.cert)}
    still_open = {}
    for name, source, stay, go in (PLAIN, TLS, CAREFUL):
        for number in range(stay + go):
            if name == "careful" and number == 1:
                with pytest.raises(ssl.SSLCertVerificationError):
                    client(proxy, source=source).negotiate("sslrequest", contexts[name])
            raw = client(proxy, source=source)
            if contexts[name]:
                raw.negotiate("sslrequest", contexts[name])
            raw.login(application_name=name)
            if number < go:
                raw.close()
                proxy.events("disconnected", number + 1, application_name=name)
            else:
                still_open.setdefault(name, []).append(raw)
    for _ in range(WRONG_PASSWORDS):
        with pytest.raises(ErrorResponse):
            client(proxy, source="127.0.0.5").login("scram_user", WRONG_PASSWORD, application_name="typo")
    for _ in range(STRANGERS):
        with pytest.raises(ErrorResponse):
            client(proxy, source="127.0.0.9").login()
    proxy.events("connected", LOGINS)
    proxy.events("disconnected", LOGINS - OPEN)
    proxy.events("auth_failed", WRONG_PASSWORDS)
    proxy.events("rejected", STRANGERS)
    proxy.event("tls_failed")
    open_sessions(proxy.console, OPEN)
    return proxy, still_open


def report(proxy) -> dict:
    return json.loads(pgairlock("report", "--state-dir", proxy.state_dir, "--format", "json", check=True).stdout)


def number(proxy, sql) -> int:
    [[value]] = rows(proxy.console, sql)
    return int(value)


def stats(proxy) -> dict[str, int]:
    return {name: int(value) for name, value in rows(proxy.console, "SELECT name, value FROM stats")}


def test_every_surface_tells_the_truth_of_a_known_load(loaded):
    proxy, _ = loaded
    # What the audit has, the inventory has a moment later.
    until(lambda: number(proxy, "SELECT coalesce(sum(connections), 0) FROM clients") == LOGINS
          and number(proxy, "SELECT coalesce(sum(failures), 0) FROM clients WHERE application_name = 'typo'") == WRONG_PASSWORDS
          and number(proxy, "SELECT count(*) FROM sessions") == LOGINS - OPEN and number(proxy, "SELECT count(*) FROM handshakes") == 1
          and number(proxy, "SELECT count(*) FROM events") == len(proxy.all_events()), what="the inventory has all of it")
    told, metrics, counted, events = report(proxy), scrape(proxy), stats(proxy), Counter(event["event"] for event in proxy.all_events())
    connected = proxy.events("connected", LOGINS)

    # Open sessions.
    assert metrics("client_connections", listener="legacy") == OPEN
    assert number(proxy, "SELECT count(*) FROM pg_stat_activity") == counted["sessions_open"] == OPEN
    assert number(proxy, "SELECT count(*) FROM open_sessions") == OPEN
    assert events["connected"] - events["disconnected"] == OPEN
    for name, _, stay, _ in (PLAIN, TLS, CAREFUL):
        assert number(proxy, f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'") == stay
    assert number(proxy, "SELECT count(*) FROM pg_stat_ssl WHERE ssl") == TLS[2] + CAREFUL[2]
    assert number(proxy, "SELECT count(*) FROM pg_stat_ssl WHERE NOT ssl AND weak") == PLAIN[2]

    # Logins since the start.
    assert counted["sessions"] == events["connected"] == LOGINS
    assert metrics("client_connections_total") == metrics("login_seconds_count") == metrics("upstream_connections_total", result="verified") - WRONG_PASSWORDS == LOGINS
    assert number(proxy, "SELECT count(*) FROM sessions") == LOGINS - OPEN
    for encrypted, truth in (("false", PLAIN[2] + PLAIN[3]), ("true", TLS[2] + TLS[3] + CAREFUL[2] + CAREFUL[3])):
        assert metrics("client_connections_total", ssl=encrypted) == truth
        assert sum(event["ssl"] == (encrypted == "true") for event in connected) == truth
    for verifies in ("no", "yes", "unknown"):
        assert metrics("client_connections_total", verifies=verifies) == sum(event["verifies"] == verifies for event in connected)

    # What failed.
    assert metrics("login_failures_total", reason="server_denied") == metrics("login_failures_total") == events["auth_failed"] == WRONG_PASSWORDS
    assert metrics("client_rejections_total", reason="address_not_allowed") == metrics("client_rejections_total") == events["rejected"] == STRANGERS
    assert metrics("client_tls_handshake_failures_total", alert="unknown_ca") == metrics("client_tls_handshake_failures_total") == events["tls_failed"] == 1

    # Events, by every counter of them.
    assert metrics("audit_events_dropped_total") == counted["events_lost"] == 0
    kinds = {labels["event"] for labels, _ in metrics.of("audit_events_total")}
    assert set(events) <= kinds == {name.removeprefix("events_") for name in counted if name.startswith("events_")} - {"lost"}
    for kind in kinds:
        assert metrics("audit_events_total", event=kind) == counted[f"events_{kind}"] == events[kind], kind
        assert number(proxy, f"SELECT count(*) FROM events WHERE event = '{kind}'") == events[kind], kind

    # Clients: the report, the inventory behind the console, the truth.
    clients = {client["application_name"]: client for client in told["clients"]}
    assert set(clients) == {"plain", "tls", "careful", "typo"}
    inventory = {name: (int(connections), int(plain), int(failures)) for name, connections, plain, failures in rows(
        proxy.console, "SELECT application_name, connections, plain, failures FROM clients")}
    for name, source, stay, go in (PLAIN, TLS, CAREFUL):
        assert clients[name]["connections"] == inventory[name][0] == stay + go
        assert clients[name]["client_addr"] == source
    assert inventory["plain"][1] == PLAIN[2] + PLAIN[3]
    assert inventory["typo"] == (0, 0, WRONG_PASSWORDS)
    assert clients["typo"]["failures"] == WRONG_PASSWORDS
    assert {name: client["verifies"] for name, client in clients.items()} == {"plain": "no", "tls": "no", "careful": "yes", "typo": "no"}
    summary = told["summary"]
    assert (summary["plain"], summary["tls_not_verifying"], summary["verifying"], summary["unknown"]) == (2, 1, 1, 0)
    assert number(proxy, "SELECT count(*) FROM handshakes") == 1
    assert number(proxy, "SELECT count(*) FROM clients") == summary["clients"] == 4


def test_bytes_agree_once_all_sessions_are_over(loaded):
    proxy, still_open = loaded
    for raw in (raw for group in still_open.values() for raw in group):
        raw.close()
    ended = proxy.events("disconnected", LOGINS)
    open_sessions(proxy.console, 0)
    metrics, counted = scrape(proxy), stats(proxy)
    assert metrics("client_connections", listener="legacy") == counted["sessions_open"] == 0
    for direction in ("from_client", "from_server"):
        truth = sum(event[f"bytes_{direction}"] for event in ended)
        assert metrics("relay_bytes_total", direction=direction) == counted[f"bytes_{direction}"] == truth, direction
        assert number(proxy, f"SELECT sum(bytes_{direction}) FROM sessions") == truth, direction
    [[upstream, sessions, _, _]] = rows(proxy.console, "SELECT * FROM upstream_totals")
    assert (upstream, int(sessions)) == ("orders", LOGINS)
