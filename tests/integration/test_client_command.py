"""`pgairlock client`: what people decide about clients, who is concerned, and that it is kept where it belongs."""

import csv
import io
import json
import os
import sqlite3
import threading

import pytest

from harness import programs
from harness.inventory import Inventory, version
from harness.programs import pgairlock
from harness.waiting import PATIENCE, until
from harness.wire import Client


def rows(state_dir, sql):
    connection = sqlite3.connect(f"file:{state_dir}/inventory.db?mode=ro", uri=True, timeout=PATIENCE)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def connect(proxy, application, negotiation="plain"):
    """And waits until the inventory has it."""
    def count():
        return rows(proxy.state_dir, "SELECT coalesce(sum(connections), 0) FROM clients")[0][0]
    before = count()
    with Client(proxy.address) as raw:
        raw.negotiate(negotiation).login(application_name=application)
    until(lambda: count() == before + 1)


def decide(verb, *arguments, code=0, **options):
    done = pgairlock("client", verb, *arguments, **options)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def listed(*arguments):
    """By application name."""
    clients = json.loads(decide("list", *arguments, "--json").stdout)["clients"]
    return {client["application_name"]: client for client in clients}


def is_weak(*arguments):
    """Whether `report --fail-on weak` fails."""
    done = pgairlock("report", *arguments, "--fail-on", "weak")
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 1


@pytest.fixture
def made(directory):
    """An inventory without a proxy: two clients in clear, one over TLS."""
    inventory = Inventory(directory / "state", instance="a", name="app-7")
    for name in ("legacy", "batch"):
        inventory.client("billing", "clear_startup", mode="plain", application_name=name)
    inventory.client("web", "tls_startup", application_name="web")
    yield inventory
    inventory.db.close()


# --- with a proxy that runs


@pytest.fixture
def proxy(start):
    """On a busy machine the process is sometimes not found in time, and the same name would be two clients."""
    return start(audit={"process_owner": False})


def test_an_accepted_client_does_not_fail_a_report_until_it_becomes_worse(proxy):
    here = ("--state-dir", proxy.state_dir)
    connect(proxy, "legacy")
    assert is_weak(*here)
    done = decide("accept", *here, "--application", "legacy", "--until", "48h", "--owner", "team billing", "--reason", "replaced in March")
    assert "trust_user@postgres legacy from 127.0.0.1" in done.stdout
    assert "1 client accepted until 20" in done.stdout
    assert not is_weak(*here)
    client = listed(*here)["legacy"]
    assert client["weak"] and client["state"] == ["plain"]
    accepted = client["accepted"]
    assert (accepted["owner"], accepted["reason"], accepted["state"], accepted["worse"], accepted["excused"]) == (
        "team billing", "replaced in March", ["plain"], [], True)
    (line,) = csv.DictReader(io.StringIO(pgairlock("report", *here, "--format", "csv", check=True).stdout))
    assert (line["accepted"], line["owner"], line["reason"]) == ("true", "team billing", "replaced in March")

    connect(proxy, "other", "sslrequest")  # of which nothing bad is known
    decide("accept", *here, "--application", "other")
    assert not is_weak(*here)
    connect(proxy, "other")
    assert is_weak(*here)
    assert listed(*here)["other"]["accepted"]["worse"] == ["plain", "mixed"]


def test_nobody_who_comes_later_is_accepted(proxy):
    here = ("--state-dir", proxy.state_dir)
    connect(proxy, "legacy")
    decide("accept", *here, "--user", "trust_user")
    connect(proxy, "newcomer")
    assert is_weak(*here)
    assert {name: bool(client["accepted"]) for name, client in listed(*here).items()} == {"legacy": True, "newcomer": False}


def test_what_a_client_did_until_it_was_repaired_counts_no_more(proxy):
    here = ("--state-dir", proxy.state_dir)
    connect(proxy, "app")
    assert is_weak(*here)
    assert "1 client repaired at 20" in decide("repaired", *here, "--application", "app").stdout
    assert not is_weak(*here)
    connect(proxy, "app", "sslrequest")
    client = listed(*here)["app"]
    assert client["state"] == [] and client["repaired_at"]
    connect(proxy, "app")
    assert is_weak(*here)
    decide("repaired", *here, "--application", "app")
    decide("repaired", *here, "--application", "app", "--withdraw")
    assert is_weak(*here) and listed(*here)["app"]["repaired_at"] is None


def test_it_waits_for_whoever_else_writes(made):
    holder = sqlite3.connect(made.file, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    release = threading.Timer(1, lambda: holder.execute("COMMIT"))
    release.start()
    decide("accept", "--state-dir", made.directory, "--user", "billing")
    release.join()
    holder.close()


# --- of whom it is said


def test_all_clients_are_meant_only_when_that_is_said(made):
    here = ("--state-dir", made.directory)
    for verb in (["accept"], ["note", "text"], ["repaired"]):
        assert "say which clients" in decide(*verb, *here, code=2).stderr
    assert rows(made.directory, "SELECT count(*) FROM marks") == [(0,)]
    assert "3 clients accepted\n" in decide("accept", *here, "--all").stdout


def test_a_filter_that_matches_nobody_says_what_it_may_have_meant(made):
    done = decide("accept", "--state-dir", made.directory, "--user", "biling", code=1)
    assert done.stderr == 'error: no client matches --user biling (did you mean "billing"?)\n'
    decide("list", "--state-dir", made.directory, "--user", "biling", code=1)


def test_nothing_can_be_said_about_what_names_nobody(made):
    made.handshake("tls_refused", client_addr="10.0.0.99")
    done = decide("accept", "--state-dir", made.directory, "--all")
    assert "3 clients accepted\n1 row of failed handshakes left out" in done.stdout
    assert "only failed handshakes match" in decide("accept", "--state-dir", made.directory, "--client", "10.0.0.99", code=1).stderr


def test_names_that_never_repeat_are_marked_as_one(made):
    for i in range(10, 22):
        made.client("pool", "clear_startup", mode="plain", application_name=f"worker {i}", client_uid=-1, failures=0, last_failure=0, not_probed="",
                    connections=0)
    here = ("--state-dir", made.directory, "--user", "pool")
    done = decide("accept", *here)
    assert done.stdout == "pool@orders worker # (12 names) from 10.0.0.1, upstream orders\n1 client accepted\n"
    assert rows(made.directory, "SELECT application_name FROM marks") == [("worker #",)]
    assert not is_weak(*here)


# --- what is said


def test_what_is_said_later_leaves_the_rest_as_it_was(made):
    here = ("--state-dir", made.directory, "--application", "legacy")
    decide("accept", *here, "--until", "2099-01-01", "--owner", "Anna")
    decide("note", *here, "runs on the first of the month")
    decide("repaired", *here, "--at", "2026-11-01")
    client = listed(*here)["legacy"]
    assert client["accepted"]["until"] == "2099-01-01T00:00:00Z" and client["accepted"]["owner"] == "Anna"
    assert (client["note"], client["repaired_at"]) == ("runs on the first of the month", "2026-11-01T00:00:00Z")
    table = decide("list", *here).stdout
    for text in ("ACCEPTED", "until 2099-01-01T00:00:00Z", "Anna", "runs on the first of the month", "2026-11-01T00:00:00Z", "plain"):
        assert text in table
    assert "PROXY" not in table
    assert "1 client accepted no more" in decide("accept", *here, "--withdraw").stdout
    client = listed(*here)["legacy"]
    assert client["accepted"] is None and client["note"] and client["repaired_at"]
    decide("accept", *here, "--withdraw", code=1)
    decide("note", *here, "--withdraw")
    assert listed(*here)["legacy"]["note"] is None


@pytest.mark.parametrize("arguments, complaint", [
    (["accept", "--until", "2020-01-01"], "--until: 2020-01-01T00:00:00Z is over"),
    (["accept", "--until", "soon"], "--until: expected a time"),
    (["accept", "--withdraw", "--owner", "Anna"], "--withdraw takes an acceptance back"),
    (["accept", "--reason", "x" * 1001], "--reason: longer than 1000 bytes"),
    (["note"], "say what to note"),
    (["repaired", "--at", "2099-01-01"], "is still to come"),
    (["accept", "--database", ""], "--database: it is empty"),
    (["accept", "--client", "localhost"], "localhost is neither an address nor a range"),
    (["accept", "--\x1b[31mred"], "red"),
])
def test_what_makes_no_sense_is_refused(made, arguments, complaint):
    said = decide(*arguments, "--state-dir", made.directory, "--user", "billing", code=2).stderr
    assert complaint in said and "\x1b" not in said
    assert rows(made.directory, "SELECT count(*) FROM marks") == [(0,)]


def test_no_terminal_escape_passes(made):
    here = ("--state-dir", made.directory, "--application", "legacy")
    decide("accept", *here, "--owner", "\x1b]0;owner\x07", "--reason", "\x1b[2J")
    assert "\x1b" not in decide("list", *here).stdout + decide("note", *here, "text").stdout


# --- where it is written


def test_it_is_written_to_one_inventory(made, directory):
    other = Inventory(directory / "other", instance="b").close()
    done = decide("accept", "--state-dir", made.directory, "--state-dir", other.directory, "--all", code=2)
    assert "one inventory" in done.stderr


def test_a_file_of_an_older_version_waits_for_its_proxy(made):
    made.db.execute("PRAGMA user_version = 1")
    done = decide("accept", "--state-dir", made.directory, "--all", code=2)
    assert f"(version 1, not {version()}): start its proxy once as this version first" in done.stderr


def test_a_file_that_may_not_be_written_is_an_error(made):
    made.close()
    os.chmod(made.file, 0o444)
    os.chmod(made.directory, 0o755)
    done = programs.run([*programs.unprivileged(), programs.PGAIRLOCK, "client", "accept", "--state-dir", made.directory, "--all"], check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot write to the inventory {made.file}: ")


def test_a_fleet_has_it_for_all_proxies(start, fleet_database):
    proxies = [start(audit={"inventory": fleet_database.url}, runtime={"name": name}) for name in ("app-1", "app-2")]
    for proxy in proxies:
        connect(proxy, "legacy")
    until(lambda: fleet_database.total() == 2)
    everywhere = ("--inventory", fleet_database.url)
    assert is_weak(*everywhere)
    done = decide("accept", "--config", proxies[0].config_file, "--proxy", "app-1", "--owner", "Anna")
    assert "proxy app-1\n1 client accepted" in done.stdout
    assert not is_weak(*everywhere, "--proxy", "app-1")
    assert is_weak(*everywhere, "--proxy", "app-2")
    decide("accept", *everywhere, "--application", "legacy")
    assert not is_weak(*everywhere)
    assert fleet_database.sql("SELECT DISTINCT proxy FROM pgairlock.marks") == [("",)]
    done = decide("note", "--inventory", fleet_database.url + "&options=-c%20default_transaction_read_only%3Don", "--all", "text", code=2)
    assert "cannot write to the inventory in the database postgresql://pgairlock@127.0.0.1" in done.stderr
    assert "read-only transaction" in done.stderr


def test_what_was_said_in_a_proxys_own_file_reaches_the_fleet(start, fleet_database):
    proxy = start(audit={"inventory": fleet_database.url})
    connect(proxy, "legacy")
    until(lambda: fleet_database.total() == 1)
    decide("accept", "--state-dir", proxy.state_dir, "--application", "legacy", "--owner", "Anna")
    connect(proxy, "other")  # after it: a copy of what is newer than this connection would not have it
    until(lambda: fleet_database.total() == 2)
    assert fleet_database.sql("SELECT owner, accepted_state FROM pgairlock.marks") == [("Anna", "plain")]
    decide("note", "--inventory", fleet_database.url, "--application", "legacy", "seen to")
    client = listed("--inventory", fleet_database.url)["legacy"]
    assert (client["accepted"]["owner"], client["note"]) == ("Anna", "seen to")
