"""Inventories of older versions: read as they are, and taken over by a proxy of today with nothing lost."""

import json
import sqlite3
from pathlib import Path

import psycopg2
import pytest

from harness import messages
from harness.programs import pgairlock
from harness.waiting import until
from harness.wire import Client
from test_inventory import rows, total

DATA = Path(__file__).parent / "data"


def old_file(folder, version) -> Path:
    """The state directory of a proxy of then."""
    folder.mkdir()
    with sqlite3.connect(folder / "inventory.db") as file:
        file.executescript((DATA / f"inventory-version-{version}.sql").read_text())
    return folder


@pytest.fixture
def old_state(directory):
    return old_file(directory / "old", 1)


def report(state) -> dict:
    return json.loads(pgairlock("report", "--inventory", state / "inventory.db" if isinstance(state, Path) else state, "--format", "json").stdout)


def answers(document):
    return {(c["client_addr"], c["usename"], c["application_name"]): [c[key] for key in (
        "connections", "plain", "failures", "evidence", "sslmode_min", "sslmode_max", "verifies", "weak", "mixed", "action")]
        for c in document["clients"]}


def test_the_old_file_is_read_as_it_is_and_after_a_proxy_took_it_over(old_state, start):
    before = report(old_state)
    clients = answers(before)
    assert any(mixed for *_, mixed, _ in clients.values()), clients
    mixed = next(c for c in before["clients"] if c["client_addr"] == "127.0.0.2")
    assert (mixed["plain"], mixed["connections"], mixed["weak"], mixed["breaks_on_force_ssl"]) == (3, 4, True, "unknown")
    connections = before["summary"]["connections"]

    proxy = start(runtime={"state_dir": str(old_state)})
    with Client(proxy.address) as raw:
        raw.login(application_name="new")
    until(lambda: total(old_state) == connections + 1)
    proxy.stop()
    after = report(old_state)
    assert {who: answer for who, answer in answers(after).items() if who in clients} == clients
    assert after["proxies"][0]["id"] == rows(old_state, "SELECT value FROM meta WHERE key = 'instance'")[0]["value"]
    assert rows(old_state, "PRAGMA foreign_key_check") == []
    assert rows(old_state, "SELECT name FROM sqlite_master WHERE name LIKE 'old%'") == []


def test_budgets_of_probes_outlive_it(old_state, start):
    refused = total(old_state, "refused", "probes")
    start(runtime={"state_dir": str(old_state)}).stop()
    assert refused == total(old_state, "refused", "probes") > 0


def test_a_file_of_version_2_is_read_and_taken_over(directory, start):
    state = old_file(directory / "second", 2)
    before = report(state)
    assert [client["plain"] for client in before["clients"]] == [1, 1]
    proxy = start(runtime={"state_dir": str(state)})
    with Client(proxy.address) as raw:
        raw.login(application_name="new")
    until(lambda: total(state) == 4)
    proxy.stop()
    after = report(state)
    assert answers(before).items() <= answers(after).items()
    assert after["summary"]["incomplete"] == before["summary"]["incomplete"] == []
    assert rows(state, "SELECT unclean_ends, ended > 1 AS ended FROM proxies") == [{"unclean_ends": 0, "ended": 1}]


def test_a_file_of_version_3_is_read_and_taken_over_with_keys_and_groups_from_then_on(directory, start, pki):
    state = old_file(directory / "third", 3)
    before = report(state)
    assert [(client["connections"], client["groups"]) for client in before["clients"]] == [(1, []), (2, [])]
    assert [(one["anchor_key_sha256"], one["groups"]) for one in before["upstream_certificates"]] == [(None, [])]
    proxy = start(runtime={"state_dir": str(state)})
    with Client(proxy.address) as raw:
        raw.negotiate("sslrequest").login(application_name="new")
    until(lambda: total(state) == 4)
    proxy.stop()
    after = report(state)
    assert answers(before).items() <= answers(after).items()
    assert after["summary"]["incomplete"] == before["summary"]["incomplete"] == []
    assert [len(client["groups"]) for client in after["clients"] if client["application_name"] == "new"] == [1]
    assert {bool(one["anchor_key_sha256"]) for one in after["upstream_certificates"]} == {True, False}
    assert rows(state, "PRAGMA user_version") == [{"user_version": 6}]


def test_a_file_of_version_4_is_read_and_taken_over_with_the_words_of_failures_from_then_on(directory, start):
    state = old_file(directory / "fourth", 4)
    before = report(state)
    old = {client["usename"]: client for client in before["clients"]}["typo"]
    assert (old["action"], old["also"], old["failure"]["what"], old["failure"]["error"]) == ("enable TLS", "fix login", "login refused", None)
    proxy = start(runtime={"state_dir": str(state)})
    with Client(proxy.address) as raw, pytest.raises(messages.ErrorResponse):
        raw.login("nobody_is_this", application_name="new")
    until(lambda: rows(state, "SELECT failure_reason FROM clients WHERE application_name = 'new'") == [{"failure_reason": "server_denied"}])
    proxy.stop()
    after = report(state)
    assert answers(before).items() <= answers(after).items()
    assert after["summary"]["incomplete"] == before["summary"]["incomplete"] == []
    new = next(client for client in after["clients"] if client["application_name"] == "new")
    assert new["failure"]["what"] == "login refused" and new["failure"]["error"].startswith("28000: ") and "nobody_is_this" in new["failure"]["error"]
    assert rows(state, "PRAGMA user_version") == [{"user_version": 6}]


def test_a_file_of_version_5_is_read_and_taken_over_and_has_room_for_samples_from_then_on(directory, start):
    state = old_file(directory / "fifth", 5)
    before = report(state)
    assert {client["usename"]: client["failure"]["error"] for client in before["clients"] if client["failures"]} == {"typo": "28000: no such role"}
    proxy = start(runtime={"state_dir": str(state)})
    with Client(proxy.address) as raw:
        raw.login(application_name="new")
    until(lambda: total(state) == 4)
    proxy.stop()
    after = report(state)
    assert answers(before).items() <= answers(after).items()
    assert after["summary"]["incomplete"] == before["summary"]["incomplete"] == []
    assert rows(state, "PRAGMA user_version") == [{"user_version": 6}]
    assert rows(state, "SELECT * FROM sampled_sessions") == rows(state, "SELECT * FROM sampling") == []


def old_database(fleet_database, state, version):
    """With what that file has."""
    file = sqlite3.connect(state / "inventory.db")
    instance = file.execute("SELECT value FROM meta WHERE key = 'instance'").fetchone()[0]
    with psycopg2.connect(fleet_database.url) as database, database.cursor() as cursor:
        cursor.execute((DATA / f"fleet-version-{version}.sql").read_text())
        for table in ("clients", "evidence", "fingerprints", "days", "handshakes", "upstream_certificates", "probes", "proxies")[:6 + min(version, 2)]:
            for row in file.execute(f"SELECT * FROM {table}"):
                names = [column[1] for column in file.execute(f"PRAGMA table_info({table})")]
                cursor.execute(f"INSERT INTO pgairlock.{table} (proxy, {', '.join(names)}) VALUES (%s{', %s' * len(names)})", (instance, *row))


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_a_database_is_taken_over_by_the_first_proxy(directory, start, fleet_database, version):
    state = old_file(directory / "old", version)
    old_database(fleet_database, state, version)
    before = answers(report(fleet_database.url))
    assert before == answers(report(state))

    proxy = start(audit={"inventory": fleet_database.url})
    with Client(proxy.address) as raw:
        raw.login(application_name="new")
    until(lambda: ("127.0.0.1", "trust_user", "new") in answers(report(fleet_database.url)))
    assert before.items() <= answers(report(fleet_database.url)).items()
    assert fleet_database.sql("SELECT value FROM pgairlock.meta WHERE key = 'version'") == [("6",)]
    assert fleet_database.sql("SELECT count(*) FROM pgairlock.upstream_certificates WHERE anchor_key_sha256 <> '' AND groups <> ''") == [(1 + (version > 3),)]


def test_a_report_that_is_being_read_while_a_database_is_taken_over_is_not_in_its_way(directory, start, fleet_database):
    old_database(fleet_database, old_file(directory / "old", 2), 2)
    with psycopg2.connect(fleet_database.url) as reader, reader.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SELECT value FROM pgairlock.meta")
        cursor.execute("SELECT count(*) FROM pgairlock.probes")
        proxy = start(audit={"inventory": fleet_database.url})
        until(lambda: fleet_database.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == [(1,)], what="the proxy waits for its turn")
        cursor.execute("SELECT count(*) FROM pgairlock.handshakes")
        cursor.execute("SELECT count(*) FROM pgairlock.clients")
        reader.rollback()
    proxy.wait_for_log("inventory: shared in")
    assert fleet_database.sql("SELECT value FROM pgairlock.meta WHERE key = 'version'") == [("6",)]
