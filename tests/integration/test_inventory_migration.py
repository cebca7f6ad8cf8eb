"""An inventory of version 1, as 0.1.0 wrote it: read as it is, and taken over by a proxy of today with nothing lost."""

import json
import sqlite3
from pathlib import Path

import pytest

from harness.programs import pgairlock
from harness.waiting import until
from harness.wire import Client
from test_inventory import rows, total

OLD = Path(__file__).parent / "data/inventory-version-1.sql"


@pytest.fixture
def old_state(directory):
    state = directory / "old"
    state.mkdir()
    with sqlite3.connect(state / "inventory.db") as file:
        file.executescript(OLD.read_text())
    return state


def report(state) -> dict:
    return json.loads(pgairlock("report", "--state-dir", state, "--format", "json").stdout)


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
