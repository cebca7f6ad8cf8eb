"""`pgairlock report`: what it says of inventories made by hand, in its four formats. In a browser: tests/browser."""

import base64
import csv
import hashlib
import io
import json
import os
import pty
import re
import shutil
import sqlite3
import subprocess
import termios
import unicodedata
from html.parser import HTMLParser

import pytest

from harness import programs
from harness.inventory import DAY, HOUR, Inventory, schema
from harness.programs import pgairlock
from harness.waiting import until

SCALE = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
ANSWERS = {"yes", "no", "unknown"}
ACTIONS = ["enable TLS", "trust our CA", "repair fallback", "split", "fix root certificate", "fix TLS", "offer TLS", "fix login", "let in",
           "reach the server", "relieve the proxy", "ask its owner", "update trust store", "verify the server", "upgrade TLS",
           "go through the proxy", "probe", "none"]
ATTACK = "<script>alert('x')</script>&\"'"


@pytest.fixture
def inventory(directory):
    """Makes inventories, each in a state directory of its own."""
    made = []

    def make(**options) -> Inventory:
        made.append(Inventory(directory / f"state{len(made)}", **options))
        return made[-1]

    yield make
    for each in made:
        each.db.close()


def report(*inventories, **options):
    arguments = [argument for each in inventories for argument in ("--state-dir", each.directory)]
    for name, value in options.items():
        arguments += [f"--{name.replace('_', '-')}", value]
    return json.loads(pgairlock("report", *arguments, "--format", "json", check=True).stdout)


def by_user(document) -> dict:
    return {client["usename"]: client for client in document["clients"]}


def fill(inventory: Inventory) -> Inventory:
    """One client for every action, and then some."""
    inventory.client("untrusting", "clear_startup_after_refusal", mode="plain", client_addr="10.0.0.10")
    inventory.client("both", "tls_startup", "clear_startup", client_addr="10.0.0.11", connections=57, plain=53,
                     days={inventory.start // DAY: {"plain": 53, "TLSv1.3": 4}})
    inventory.client("plain", "clear_startup", mode="plain", client_addr="127.0.0.1", client_exe="/usr/bin/psql", client_uid=1000, connections=1234)
    inventory.client("prefer", "tls_startup", "clear_startup_after_tls_login", mode="plain", client_addr="10.0.0.2")
    inventory.client("broken", "tls_refused", client_addr="10.0.0.3", connections=0, failures=3, last_failure=inventory.start + HOUR)
    inventory.client("stale", "tls_startup", "untrusted_refused", "candidate_refused", client_addr="10.0.0.4")
    inventory.client("blind", "tls_startup", "untrusted_accepted", client_addr="10.0.0.5")
    inventory.client("old", "tls_startup", "untrusted_refused", "candidate_accepted", client_addr="10.0.0.6", mode="TLSv1.1", weak_tls=10)
    inventory.client("mystery", "tls_startup", client_addr="10.0.0.7")
    inventory.client("good", "tls_startup", "untrusted_refused", "wrong_name_refused", "candidate_accepted", client_addr="10.0.0.8", bridged=4,
                     application_name="x" * 63)
    inventory.handshake("no_client_hello", client_addr="10.0.0.9", ja4="")
    inventory.certificate(last=inventory.start + DAY)
    inventory.certificate(sha256="cd" * 32, issuer="CN=Example RDS Root 2026", first=inventory.start + DAY, last=inventory.start + 2 * DAY,
                          candidate_ok=1, candidate_since=inventory.start + DAY)
    inventory.probe("untrusted", shown=9, accepted=5, refused=4, client_addr="10.0.0.8")
    return inventory


# --- JSON


def test_json_has_the_fields_of_the_contract(inventory):
    document = report(fill(inventory()))
    assert list(document) == ["summary", "proxies", "clients", "unattributed_failures", "upstream_certificates", "certificates_expiring", "sampling"]
    for client in document["clients"]:
        assert {name: type(client[name]) for name in ("connections", "weak", "changed", "falls_back", "evidence", "evidence_detail", "probes")} == {
            "connections": int, "weak": bool, "changed": bool, "falls_back": bool, "evidence": list, "evidence_detail": list, "probes": list}
        assert client["sslmode_min"] in SCALE and client["sslmode_max"] in SCALE
        assert SCALE.index(client["sslmode_min"]) <= SCALE.index(client["sslmode_max"])
        assert {client["verifies"], client["breaks_on_force_ssl"], client["breaks_on_ca_rotation"]} <= ANSWERS
        assert client["action"] in ACTIONS
        for name in ("first_seen", "last_seen"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", client[name])
        for piece in client["evidence_detail"]:
            assert list(piece) == ["evidence", "certificate", "first_seen", "last_seen", "count", "session", "possible"]
        assert client["evidence"] == [piece["evidence"] for piece in client["evidence_detail"] if not piece["possible"]]
    plain = by_user(document)["plain"]
    assert (plain["client_addr"], plain["client_process"], plain["client_uid"]) == ("127.0.0.1", "/usr/bin/psql", 1000)
    assert (plain["first_seen"], plain["last_seen"]) == ("2026-11-02T08:00:00Z", "2026-11-02T09:00:00Z")


def test_each_action_is_given_and_the_worst_comes_first(inventory):
    clients = report(fill(inventory()))["clients"]
    assert [client["failing"] for client in clients[:3]] == [True, True, False]  # before all others
    assert [client["action"] for client in clients] == ["fix root certificate"] * 2 + [
        action for action in ACTIONS if action not in ("fix root certificate", "fix TLS", "offer TLS", "fix login", "let in",
                                                    "reach the server", "relieve the proxy", "ask its owner", "go through the proxy")]
    assert {client["usename"]: client["action"] for client in clients} == {
        "plain": "enable TLS", "untrusting": "trust our CA", "prefer": "repair fallback", "both": "split", "broken": "fix root certificate", None: "fix root certificate",
        "stale": "update trust store", "blind": "verify the server", "old": "upgrade TLS", "mystery": "probe", "good": "none"}


def test_what_failed_last_of_those_that_cannot_log_in_and_what_to_do(inventory):
    one = inventory()
    late = one.start + HOUR
    for number, (user, failures, refused) in enumerate((("typo", 3, 3), ("shut_out", 2, 0))):
        one.client(user, "tls_startup", client_addr=f"10.0.1.{number}", connections=0, failures=failures, auth_failed=refused, last_failure=late)
    for number, evidence in enumerate(("tls_not_agreed", "closed_after_no", "tls_refused_silently")):
        one.handshake(evidence, client_addr=f"10.0.2.{number}", ja4=f"t{number}", count=1)
    told = {client["client_addr"]: (client["action"], client["failure"]["what"]) for client in report(one)["clients"]}
    assert told == {"10.0.1.0": ("fix login", "login refused"), "10.0.1.1": ("let in", "login not answered"), "10.0.2.0": ("fix TLS", "tls_not_agreed"),
                    "10.0.2.1": ("offer TLS", "closed_after_no"), "10.0.2.2": ("ask its owner", "tls_refused_silently")}
    table = pgairlock("report", "--state-dir", one.directory, check=True).stdout
    assert "failed last: login refused" in table and "failed last: tls_not_agreed: alert unknown_ca (48)" in table


def test_the_summary_counts(inventory):
    summary = report(fill(inventory()))["summary"]
    counts = {name: summary[name] for name in summary if isinstance(summary[name], int)}
    assert counts == {"proxies": 1, "silent_proxies": 0, "clients": 11, "plain": 4, "plain_network": 3, "plain_local": 1, "tls_not_verifying": 1, "verifying": 4,
                      "unknown": 2, "weak": 6, "mixed": 2, "failing": 2, "accepted": 0, "bridged": 1, "falls_back": 2, "never_logged_in": 2,
                      "breaks_on_ca_rotation": 1, "breaks_on_ca_rotation_unknown": 4, "breaks_on_force_ssl": 0, "breaks_on_force_ssl_unknown": 5,
                      "connections": 1361, "failures": 8, "unattributed_failures": 0, "unattributed_refused": 0}
    assert (summary["incomplete"], summary["filters"]) == ([], {})
    assert [(probe["kind"], probe["shown"], probe["accepted"], probe["refused"]) for probe in summary["probes"]] == [("untrusted", 9, 5, 4)]
    assert summary["days"] == [{"day": "2026-11-02", "modes": {"TLSv1.1": 10, "TLSv1.3": 44, "plain": 1307}}]
    assert sum(summary["actions"].values()) == 11


def test_who_only_failed_has_no_names(inventory):
    (nobody,) = [client for client in report(fill(inventory()))["clients"] if client["usename"] is None]
    assert (nobody["datname"], nobody["application_name"], nobody["connections"]) == (None, None, 0)
    assert nobody["error"] == "alert unknown_ca (48)"


def test_upstream_certificates_say_since_when_the_candidate_would_do(inventory):
    new, old = report(fill(inventory()))["upstream_certificates"]
    assert (new["current"], new["candidate_ok"], new["candidate_since"]) == (True, True, "2026-11-03T08:00:00Z")
    assert (old["current"], old["candidate_ok"], old["candidate_since"]) == (False, None, None)
    assert new["sans"] == ["DNS:orders.internal", "IP:10.1.0.1"]


def test_handshakes_are_joined_to_their_only_match_and_possible_for_several(inventory):
    one = inventory()
    one.client("alone", "tls_startup", client_addr="10.0.0.1", ja4=["t13a"])
    one.client("this", "tls_startup", client_addr="10.0.0.2", ja4=["t13a"])
    one.client("or that", "tls_startup", client_addr="10.0.0.2", ja4=["t13a"])
    for address in ("10.0.0.1", "10.0.0.2"):
        one.handshake("untrusted_refused", certificate="probe", client_addr=address, ja4="t13a")
    clients = by_user(report(one))
    assert len(clients) == 3
    assert (clients["alone"]["evidence"], clients["alone"]["verifies"]) == (["tls_startup", "untrusted_refused"], "yes")
    for name in ("this", "or that"):
        assert (clients[name]["evidence"], clients[name]["verifies"]) == (["tls_startup"], "unknown")
        assert [piece["evidence"] for piece in clients[name]["evidence_detail"] if piece["possible"]] == ["untrusted_refused"]


# --- Where inventories come from


def test_inventories_are_merged(inventory):
    one, other = inventory(), inventory()
    one.client("app", "tls_startup", connections=3)
    other.client("app", "untrusted_accepted", connections=4, first=other.start + DAY)
    other.client("other", "tls_startup")
    document = report(one, other)
    app = by_user(document)["app"]
    assert (document["summary"]["clients"], app["connections"]) == (2, 7)
    assert (app["first_seen"], app["last_seen"]) == ("2026-11-02T08:00:00Z", "2026-11-03T09:00:00Z")
    assert sorted(app["evidence"]) == ["tls_startup", "untrusted_accepted"]


def test_the_same_inventory_twice_counts_once(inventory):
    one = fill(inventory())
    assert report(one, one) == report(one)


def test_a_file_can_be_named(inventory):
    one = fill(inventory())
    named = json.loads(pgairlock("report", "--inventory", one.file, "--format", "json", check=True).stdout)
    assert named == report(one)


def test_the_default_is_the_state_directory_of_run(inventory):
    one = fill(inventory())
    done = pgairlock("report", "--format", "json", env={**os.environ, "STATE_DIRECTORY": str(one.directory)}, check=True)
    assert json.loads(done.stdout) == report(one)


def test_it_reads_beside_a_proxy_that_writes(inventory):
    one = fill(inventory())
    one.db.execute("BEGIN IMMEDIATE")
    one.client("later", "tls_startup")
    assert "later" not in by_user(report(one))
    one.db.execute("COMMIT")
    assert "later" in by_user(report(one))


def test_reading_changes_nothing(inventory):
    one = fill(inventory()).close()
    before = one.file.read_bytes()
    report(one)
    assert one.file.read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user than the file's")
@pytest.mark.parametrize("closed", [True, False], ids=["after a clean end", "with a log beside it"])
def test_a_folder_that_cannot_be_written_to(inventory, closed):
    one = fill(inventory())
    if closed:
        one.close()
    copy = one.directory.parent / "read-only"
    copy.mkdir()
    for path in one.directory.iterdir():
        if not path.name.endswith("-shm"):
            shutil.copy(path, copy)
    done = programs.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", programs.PGAIRLOCK, "report", "--state-dir", copy,
                         "--format", "json"])
    assert len(json.loads(done.stdout)["clients"]) == 11
    assert not list(copy.glob("*-shm"))


def test_a_missing_file_says_where_it_was_looked_for(directory):
    done = pgairlock("report", "--state-dir", directory / "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert str(directory / "nowhere") in done.stderr
    assert "--state-dir" in done.stderr


@pytest.mark.parametrize("content, words", [
    (b"this is no database, but a text that is long enough to be one" * 20, "not an SQLite file"), (b"", "no inventory in it"),
])
def test_a_file_that_is_no_inventory(directory, content, words):
    (directory / "inventory.db").write_bytes(content)
    done = pgairlock("report", "--state-dir", directory)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_fifo_is_no_inventory(directory):
    os.mkfifo(directory / "inventory.db")
    done = pgairlock("report", "--state-dir", directory)
    assert done.returncode == 2
    assert "not a file" in done.stderr


def test_an_inventory_of_a_newer_version(inventory):
    one = inventory()
    one.db.execute("PRAGMA user_version = 99")
    done = pgairlock("report", "--state-dir", one.directory)
    assert done.returncode == 2
    assert "newer" in done.stderr


def test_an_empty_inventory_is_a_report_of_nobody(inventory):
    one = inventory()
    assert report(one)["clients"] == []
    for form in ("table", "csv", "html"):
        assert pgairlock("report", "--state-dir", one.directory, "--format", form, check=True).stdout


# --- A fleet's database


def fleet_schema() -> str:
    """The tables as a fleet has them: `proxy` in front of every key."""
    text = re.sub(r"--[^\n]*", "", schema()).replace("WITHOUT ROWID", "").replace("INTEGER", "BIGINT")
    text = text.replace("REFERENCES clients ON DELETE CASCADE", "").replace("BIGINT PRIMARY KEY", "BIGINT NOT NULL")
    text = re.sub(r"CREATE TABLE (\w+) \(", r"CREATE TABLE pgairlock.\1 (proxy TEXT NOT NULL, ", text)
    text = re.sub(r"(PRIMARY KEY|UNIQUE) \(", r"\1 (proxy, ", text).replace("key TEXT PRIMARY KEY", "key TEXT")
    return "DROP SCHEMA IF EXISTS pgairlock CASCADE; CREATE SCHEMA pgairlock; " + text


def upload(cursor, inventory: Inventory) -> None:
    (instance,) = inventory.db.execute("SELECT value FROM meta WHERE key = 'instance'").fetchone()
    for table in ("clients", "evidence", "fingerprints", "handshakes", "days", "upstream_certificates", "probes", "proxies", "marks", "sampled_sessions", "sampling"):
        for row in inventory.db.execute(f"SELECT * FROM {table}"):
            cursor.execute(f"INSERT INTO pgairlock.{table} VALUES ({', '.join(['%s'] * (len(row) + 1))})", (instance, *row))


@pytest.fixture
def fleet(clear_cluster, directory):
    clear_cluster.sql("DROP DATABASE IF EXISTS fleet")
    clear_cluster.sql("CREATE DATABASE fleet")
    connection = clear_cluster.admin("fleet")
    connection.autocommit = True
    host, port = clear_cluster.address
    yield connection.cursor(), f"postgresql://trust_user@{host}:{port}/fleet?sslmode=disable"
    connection.close()
    clear_cluster.sql("DROP DATABASE fleet WITH (FORCE)")


def test_a_fleet_is_summed_over_its_proxies(inventory, fleet):
    cursor, url = fleet
    cursor.execute(fleet_schema())
    cursor.execute("GRANT USAGE ON SCHEMA pgairlock TO PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA pgairlock TO PUBLIC")
    one, other = fill(inventory()), fill(inventory())
    upload(cursor, one)
    upload(cursor, other)
    from_fleet = json.loads(pgairlock("report", "--inventory", url, "--format", "json", check=True).stdout)
    assert by_user(from_fleet)["prefer"]["connections"] == 20
    assert sorted((client["host"], client["connections"]) for client in from_fleet["clients"] if client["usename"] == "plain") == [
        ("state0", 1234), ("state1", 1234)]  # each of its own host
    assert from_fleet == report(one, other)
    both = json.loads(pgairlock("report", "--inventory", url, "--state-dir", one.directory, "--format", "json", check=True).stdout)
    assert both == from_fleet


def test_a_fleet_that_cannot_be_read(fleet):
    _, url = fleet
    done = pgairlock("report", "--inventory", url)
    assert done.returncode == 2
    assert "no inventory in it" in done.stderr


def test_an_error_does_not_repeat_a_password():
    done = pgairlock("report", "--inventory", "postgresql://someone:hunter2@127.0.0.1:1/fleet")
    assert done.returncode == 2
    assert "127.0.0.1" in done.stderr
    assert "hunter2" not in done.stderr


# --- A proxy's own


def test_what_a_running_proxy_saw(start, connect):
    proxy = start()
    connect(proxy, application_name="in clear")
    connect(proxy, sslmode="require", application_name="by TLS")
    clients = until(lambda: len(found := report_of("--state-dir", proxy.state_dir)) == 2 and found, what="both clients in the inventory")
    clear, tls = (clients[name] for name in ("in clear", "by TLS"))
    assert (clear["evidence"], clear["action"], clear["plain"], clear["modes"]) == (["clear_startup"], "enable TLS", 1, {"plain": 1})
    assert (tls["evidence"], tls["action"], tls["breaks_on_force_ssl"], tls["version"]) == (["tls_startup"], "probe", "no", "TLSv1.3")


def test_what_a_fleet_saw(start, connect, fleet):
    cursor, url = fleet
    cursor.execute("GRANT CREATE ON DATABASE fleet TO trust_user")
    for proxy in (start(audit={"inventory": url}), start(audit={"inventory": url})):
        connect(proxy, application_name="everywhere")
    clients = until(lambda: len(found := json.loads(pgairlock("report", "--inventory", url, "--format", "json").stdout or '{"clients": []}')["clients"]) == 2
                    and found, what="both proxies in one inventory")
    assert [(client["application_name"], client["connections"], client["plain"]) for client in clients] == [("everywhere", 1, 1)] * 2  # of two hosts, for all we know


def report_of(*arguments) -> dict:
    done = pgairlock("report", *arguments, "--format", "json")
    return {client["application_name"]: client for client in json.loads(done.stdout)["clients"]} if done.returncode == 0 else {}


# --- Choosing


@pytest.mark.parametrize("options, users", [
    ({"user": "good"}, {"good"}), ({"client": "10.0.0.4"}, {"stale"}), ({"client": "10.0.0.8/31"}, {"good", None}),
    ({"client": "127.0.0.0/8"}, {"plain"}), ({"application": "x" * 63}, {"good"}),
])
def test_filters(inventory, options, users):
    document = report(fill(inventory()), **options)
    assert set(by_user(document)) == users
    assert document["summary"]["clients"] == len(users)


@pytest.mark.parametrize("option, value, words", [
    ("--database", "order", 'did you mean "orders"?'), ("--upstream", "elsewhere", "--upstream elsewhere"), ("--user", "god", 'did you mean "good"?'),
])
def test_a_filter_that_matches_nobody_is_an_error(inventory, option, value, words):
    done = pgairlock("report", "--state-dir", fill(inventory()).directory, option, value, "--fail-on", "weak")
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_since_leaves_out_what_was_not_seen_since(inventory):
    one = inventory()
    later = one.start + 10 * DAY
    one.client("gone", "tls_startup")
    one.client("changed", {"evidence": "clear_startup", "last_seen": one.start + HOUR}, {"evidence": "untrusted_refused", "last_seen": later},
               last=later, plain=6, days={one.start // DAY: {"plain": 6}, later // DAY: {"TLSv1.3": 4}})
    one.certificate(last=one.start + DAY)
    assert len(report(one)["clients"]) == 2
    document = report(one, since="2026-11-10T00:00:00Z")
    (changed,) = document["clients"]
    assert (changed["evidence"], changed["connections"], changed["plain"], changed["weak"]) == (["untrusted_refused"], 4, 0, False)
    assert document["upstream_certificates"] == []
    assert document["summary"]["since"] == "2026-11-10T00:00:00Z"


@pytest.mark.parametrize("since", ["2026-11-02", "2026-11-02T09:00:00+01:00", "2026-11-02T08:30Z", "87600h"])
def test_since_takes_times_days_and_durations(inventory, since):
    assert len(report(fill(inventory()), since=since)["clients"]) == 11


@pytest.mark.parametrize("arguments, word", [
    (["--since", "yesterday"], "--since"), (["--format", "xml"], "--format"), (["--fail-on", "plain"], "--fail-on"), (["--nonsense"], "nonsense"),
], ids=lambda value: value[0] if isinstance(value, list) else "")
def test_wrong_usage(inventory, arguments, word):
    done = pgairlock("report", "--state-dir", inventory().directory, *arguments)
    assert done.returncode == 2
    assert word in done.stdout + done.stderr


@pytest.mark.parametrize("client, fail_on, code", [
    ("good", "weak", 0), ("good", "unknown", 0), ("plain", "weak", 1), ("plain", "unknown", 0), ("mystery", "weak", 0), ("mystery", "unknown", 1),
    ("mystery", "weak,unknown", 1), ("nobody", "weak", 2), ("good", "rotation", 0), ("mystery", "rotation", 1), ("stale", "rotation", 1), ("both", "force_ssl", 1),
    ("prefer", "fallback", 1), ("broken", "failing", 1), ("good", "failing", 0), ("good", "silent", 0), ("good", "incomplete", 0),
])
def test_fail_on(inventory, client, fail_on, code):
    done = pgairlock("report", "--state-dir", fill(inventory()).directory, "--user", client, "--fail-on", fail_on)
    assert done.returncode == code
    assert bool(done.stdout) == (code != 2)


@pytest.mark.parametrize("proxy, fails", [({"last_seen": 1}, {"silent"}), ({"events_dropped": 1}, "all"), ({"rows_left_out": 1}, "all"),
                                           ({"unclean_ends": 1}, "all")])
def test_a_proxy_that_is_silent_or_left_something_out_fails(inventory, proxy, fails):
    one = inventory(**proxy)
    one.client("good", "tls_startup", "untrusted_refused", "candidate_accepted")
    for what in ("weak", "unknown", "rotation", "force_ssl", "fallback", "failing", "silent", "incomplete"):
        code = pgairlock("report", "--state-dir", one.directory, "--fail-on", what).returncode
        assert code == int(fails == "all" or what in fails), what


def test_an_empty_inventory_fails_whatever_is_asked(inventory):
    assert pgairlock("report", "--state-dir", inventory().directory, "--fail-on", "fallback").returncode == 1


def test_fail_on_can_be_repeated(inventory):
    one = fill(inventory())
    assert pgairlock("report", "--state-dir", one.directory, "--user", "mystery", "--fail-on", "weak", "--fail-on", "unknown").returncode == 1


def test_without_fail_on_the_exit_code_is_0(inventory):
    assert pgairlock("report", "--state-dir", fill(inventory()).directory).returncode == 0


def test_help_teaches_by_example():
    text = pgairlock("report", "--help", check=True).stdout
    assert "pgairlock report --since" in text
    for option in "--state-dir --inventory --since --until --format --fail-on --user --database --client --upstream --against --width --group-by".split():
        assert option in text


# --- CSV


def test_csv_says_what_json_says(inventory):
    one = fill(inventory())
    text = pgairlock("report", "--state-dir", one.directory, "--format", "csv", check=True).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    clients = report(one)["clients"]
    assert len(rows) == len(clients)
    for row, client in zip(rows, clients):
        accepted, direct = client["accepted"] or {}, client["direct"] or {}
        other = {"servers": " ".join(direct.get("servers", [])), "looks": as_text(direct.get("looks")), "evidence_possible": row["evidence_possible"], "names": str(client["names"]["count"]), "accepted": as_text(bool(accepted)),
                 "accepted_until": as_text(accepted.get("until")), "owner": as_text(accepted.get("owner")), "reason": as_text(accepted.get("reason")),
                 "worse_than_accepted": " ".join(accepted.get("worse", [])), "failure": failure_text(client["failure"])}
        for name, value in row.items():
            assert value == (other[name] if name in other else as_text(client[name])), name


def failure_text(failure: dict | None) -> str:
    if failure is None:
        return ""
    return failure["what"] + (f": {failure['error']}" if failure["error"] else f", session {failure['session']} of the audit")


def as_text(value) -> str:
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    return " ".join(value) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_csv_cells_are_no_formulas(inventory, name):
    one = inventory()
    one.client(name, "tls_startup")
    done = subprocess.run([programs.PGAIRLOCK, "report", "--state-dir", one.directory, "--format", "csv"], capture_output=True, check=True)
    assert done.stdout.count(b"\r\n") == 2
    (row,) = csv.DictReader(io.StringIO(done.stdout.decode(), newline=""))
    assert row["usename"] == "'" + re.sub(r"[\t\r]", "\ufffd", name)


def test_csv_keeps_quotes_and_commas_and_what_is_no_text_is_replaced(inventory):
    one = inventory()
    one.client('a "b", c\n\x1b[31md', "tls_startup")
    done = subprocess.run([programs.PGAIRLOCK, "report", "--state-dir", one.directory, "--format", "csv"], capture_output=True, check=True)
    (row,) = csv.DictReader(io.StringIO(done.stdout.decode(), newline=""))
    assert row["usename"] == 'a "b", c\ufffd\ufffd[31md'


# --- Table


def columns(line: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def table(inventory: Inventory, *arguments) -> str:
    return pgairlock("report", "--state-dir", inventory.directory, *arguments, check=True).stdout


def test_the_table_fits_120_columns(inventory):
    one = fill(inventory())
    one.client("u" * 63, "clear_startup", mode="plain", client_addr="2001:db8:1111:2222:3333:4444:5555:6666", client_exe="/opt/" + "e" * 80, datname="d" * 63,
               application_name="a" * 63, connections=10**15)
    one.client("名前" * 10, "tls_startup", datname="データ" * 7, application_name="🐘" * 15)
    one.certificate(upstream_addr="[2001:db8:1111:2222:3333:4444:5555:6666]:5432", issuer="CN=" + "i" * 200, anchor="CN=" + "a" * 200)
    text = table(one, "--since", "2026-11-01")
    assert [line for line in text.splitlines() if columns(line) > 120] == []
    assert "…" in text


def test_the_table_is_aligned(inventory):
    one = fill(inventory())
    one.client("名前", "tls_startup", client_addr="10.0.0.77")
    lines = table(one, "--width", "0").splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("CLIENT "))
    rows = lines[head + 1:lines.index("", head)]
    assert len(rows) == 12
    assert rows[2].split()[:3] == ["127.0.0.1", "psql", "plain@orders"]
    assert lines[head - 1].index("BREAKS ON:") == lines[head].index("force_ssl")
    for title in ("USER@DATABASE", "APPLICATION", "SSLMODE", "VERIFIES", "force_ssl", "rotation", "ACTION"):
        start = lines[head].index(title)
        for row in rows:
            cells = "".join(c if columns(c) == 1 else c + "\0" for c in row)  # one character a column
            assert cells[start - 2:start] == "  ", (title, row)
    start = lines[head].index("ACTION")
    assert rows[2][start:] == "enable TLS"
    assert next(row for row in rows if " both@" in row)[lines[head].index("SSLMODE"):].startswith("53 of 57 in clear  ")


def test_the_table_explains_its_words_and_only_those(inventory):
    one = inventory()
    one.client("good", "tls_startup", "untrusted_refused", "candidate_accepted")
    text = table(one)
    assert re.search(r"^  none +nothing to do", text, re.M)
    assert "enable TLS" not in text
    assert text.startswith("1 proxy\n1 client, ")
    assert text.index("1 client") < text.index("USER@DATABASE") < text.index("nothing to do")


def test_the_table_is_safe_to_show(inventory):
    one = inventory()
    one.client("\x1b]0;owned\x07\x1b[2J\u202egnp", "tls_startup", application_name="a\nb\u009b31m")
    text = table(one)
    assert not [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf")]


def in_terminal(*arguments, width=0, **environment) -> str:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (50, width))
    process = subprocess.Popen([programs.PGAIRLOCK, *map(str, arguments)], stdout=theirs, env={**os.environ, "TERM": "xterm", **environment})
    os.close(theirs)
    output = b""
    try:
        while data := os.read(ours, 65536):
            output += data
    except OSError:
        pass  # the end of a terminal
    os.close(ours)
    assert process.wait() == 0
    return output.decode()


def test_colours_on_a_terminal_only(inventory):
    one = fill(inventory())
    arguments = ("report", "--state-dir", one.directory)
    assert "\x1b[" not in table(one)
    coloured = in_terminal(*arguments)
    assert "\x1b[31m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured).replace("\r\n", "\n") == table(one)
    assert "\x1b[" not in in_terminal(*arguments, NO_COLOR="1")
    assert "\x1b[" not in in_terminal(*arguments, TERM="dumb")


def test_the_table_is_as_wide_as_the_terminal(inventory):
    one = inventory()
    one.client("u" * 63, "tls_startup", application_name="a" * 63)
    arguments = ("report", "--state-dir", one.directory)
    for width in (130, 180):
        assert max(columns(line) for line in in_terminal(*arguments, width=width, NO_COLOR="1").splitlines()) == width
    assert "…" not in in_terminal(*arguments, width=250)
    assert "…" not in table(one, "--width", "0")
    assert "…" in table(one)


def test_old_and_new_authority_are_told_apart(inventory):
    one = inventory()
    rest = ",OU=Amazon RDS,O=Amazon Web Services\\, Inc.,L=Seattle,ST=WA,C=US"
    for number, name in enumerate(("Amazon RDS Root 2019 CA", "Amazon RDS Root CA RSA2048 G1")):
        one.certificate(sha256=f"{number:064}", issuer=f"CN={name}" + rest, anchor=f"CN={name}" + rest, last=one.start + number * DAY)
    text = table(one, "--width", "0")
    assert "  Amazon RDS Root 2019 CA        Amazon RDS Root 2019 CA        " in text
    assert "  Amazon RDS Root CA RSA2048 G1  Amazon RDS Root CA RSA2048 G1  " in text


def test_two_hosts_have_a_column(inventory):
    one, other = inventory(), inventory(last_seen=1)
    for each in (one, other):
        each.client("billing", "clear_startup", mode="plain", client_addr="127.0.0.1")
    text = pgairlock("report", "--state-dir", one.directory, "--state-dir", other.directory, check=True).stdout
    assert re.match(r"2 proxies, 1 silent: state1 for \d+ days\n", text)
    assert re.findall(r"^127.0.0.1 .* (state\d) ", text, re.M) == ["state0", "state1"]
    assert "      2  in clear text: 0 over a network, 2 on loopback or a UNIX socket\n" in text


def test_who_was_accepted_stands_below(inventory):
    one = inventory()
    one.client("legacy", "clear_startup", mode="plain")
    one.client("late", "clear_startup", mode="plain")
    one.mark("legacy", accepted=1, owner="ops", reason="vendor")
    one.mark("late", accepted=1, owner="ops", accepted_until=one.start)
    text = table(one)
    assert text.index("late@orders") < text.index("Accepted as they are\n") < text.index("legacy@orders")
    assert re.search(r"legacy@orders .* ops +no end$", text, re.M)


def test_what_several_may_have_done_and_why_nobody_probed(inventory):
    one = inventory()
    for name in ("this", "that"):
        one.client(name, "tls_startup", ja4=["t13a"], not_probed="refuses_real")
    one.handshake("tls_refused", ja4="t13a", count=23)
    text = table(one)
    assert re.search(r"^23 failed handshakes of 10.0.0.1 may be those of (this@orders, that|that@orders, this)@orders, or of a client that never logged in", text, re.M)
    assert re.search(r"^not probed: others at this address refuse our certificate: th", text, re.M)


# --- Against an older report


def test_what_became_of_the_clients_of_an_older_report(inventory, directory):
    one = inventory()
    for name in ("same", "left"):
        one.client(name, "tls_startup")
    one.client("repaired", "clear_startup", mode="plain")
    one.client("ruined", "tls_startup", "untrusted_refused")
    old = directory / "old.json"
    old.write_text(pgairlock("report", "--state-dir", one.directory, "--format", "json", check=True).stdout)
    one.db.execute("DELETE FROM clients WHERE usename = 'left'")
    one.mark("repaired", repaired_at=one.start + 2 * HOUR)
    one.insert("evidence", client=3, evidence="tls_startup", certificate="real", first_seen=one.start + 3 * HOUR, last_seen=one.start + 3 * HOUR, count=1, session="s")
    one.db.execute("UPDATE clients SET last_seen = ? WHERE usename = 'repaired'", (one.start + 3 * HOUR,))
    one.insert("evidence", client=4, evidence="untrusted_accepted", certificate="probe", first_seen=one.start, last_seen=one.start + 3 * HOUR, count=1, session="s")
    one.client("came", "clear_startup", mode="plain")
    against = report(one, against=old)["against"]
    assert {what: [client["usename"] for client in against[what]] for what in ("new", "worse", "better", "gone")} == {
        "new": ["came"], "worse": ["ruined"], "better": ["repaired"], "gone": ["left"]}
    assert {"what": "state", "from": "in clear", "to": "unknown"} in against["better"][0]["changes"]
    text = table(one, "--against", old)
    assert text.index("\nnew 1\n") < text.index("\nworse 1\n") < text.index("\nbetter 1\n") < text.index("\ngone 1\n")
    assert 'id="against"' in table(one, "--format", "html", "--against", old)
    assert "against" not in report(one)


@pytest.mark.parametrize("content", [None, "", "{}", "[]", "usename,datname\n"])
def test_an_older_report_that_is_none(inventory, directory, content):
    old = directory / "old.json"
    if content is not None:
        old.write_text(content)
    done = pgairlock("report", "--state-dir", fill(inventory()).directory, "--against", old)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--against" in done.stderr and str(old) in done.stderr


# --- HTML


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.data = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.data.append(data)


def test_html_is_one_file_in_which_names_are_text(inventory):
    one = fill(inventory())
    one.client(ATTACK, "tls_startup", datname=ATTACK, application_name=ATTACK, client_exe=ATTACK)
    one.db.execute("UPDATE clients SET version = ?", (ATTACK,))
    one.handshake("tls_refused", client_addr=ATTACK, error=ATTACK, session=ATTACK, certificate=ATTACK)
    one.certificate(upstream=ATTACK, subject=ATTACK, issuer=ATTACK, anchor=ATTACK, upstream_addr=ATTACK)
    one.probe(ATTACK, shown=1)
    text = table(one, "--format", "html")
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.data.count(ATTACK) >= 10
    assert "<script>alert" not in text
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href", "style", "action")], (tag, attributes)


def test_html_policy_allows_its_own_style_and_script_alone(inventory):
    text = table(fill(inventory()), "--format", "html")
    (policy,) = [attributes["content"] for tag, attributes in Page(text).tags if attributes.get("http-equiv") == "Content-Security-Policy"]
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        source = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL).group(1)
        assert f"{directive} 'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_names_that_are_no_utf8_do_no_harm(inventory):
    one = inventory()
    one.client("tmp", "tls_startup")
    one.db.execute("UPDATE clients SET usename = CAST(x'ff41c3' AS TEXT)")
    assert list(by_user(report(one))) == ["\ufffdA\ufffd"]
    for form in ("table", "csv", "html"):
        assert "\ufffdA\ufffd" in table(one, "--format", form)


def test_nothing_is_printed_twice_when_the_reader_is_gone(inventory):
    """As with `| head`: no complaint but an exit code."""
    one = fill(inventory())
    done = subprocess.run(f"{programs.PGAIRLOCK} report --state-dir {one.directory} | true", shell=True, capture_output=True, text=True)
    assert done.returncode == 0
    assert "terminate" not in done.stderr


@pytest.mark.skipif(programs.sanitized(), reason="a sanitizer makes everything slow, and this finds what grows with the square")
@pytest.mark.parametrize("addresses", [10_000, 1], ids=["everywhere", "from one address"])
def test_ten_thousand_clients_are_reported_in_time(inventory, addresses):
    one = inventory()
    one.db.execute("BEGIN")
    for number in range(10_000):
        source = {"client_addr": f"10.0.{number % addresses >> 8}.{number % addresses & 255}"}
        one.client(f"u{number}", "tls_startup", ja4=["t13"], **source)
        one.handshake("tls_refused_silently", ja4="t13", sni=str(number), **source)
        if addresses > number:
            one.probe("untrusted", shown=1, **source)
    one.db.execute("COMMIT")
    for form in ("table", "json", "csv", "html"):
        assert pgairlock("report", "--state-dir", one.directory, "--format", form, check=True).stdout


def test_the_schema_is_what_the_reader_expects():
    """A table or column that is renamed breaks this test before it breaks a report."""
    db = sqlite3.connect(":memory:")
    db.executescript(schema())
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"meta", "clients", "evidence", "fingerprints", "handshakes", "days", "upstream_certificates", "probes", "proxies", "marks", "sampled_sessions", "sampling"}
