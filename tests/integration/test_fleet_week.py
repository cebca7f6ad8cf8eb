"""A week in a minute: five proxies share a fleet's database, one of them falls silent and one lives on a wrong clock; then the
report is asserted line by line."""

import csv
import io
import json
import re
import sqlite3
import time
from datetime import datetime, timezone

import pytest

from harness import programs
from harness.clock import DAY, Clock
from harness.cluster import WRONG_PASSWORD, Cluster
from harness.config import configuration
from harness.inventory import DAY as MICROS_OF_DAY
from harness.inventory import Inventory
from harness.messages import ErrorResponse
from harness.pki import HERE
from harness.programs import pgairlock
from harness.waiting import PATIENCE, until
from harness.wire import Client

PASSWORD = "Secret-billing-8e03d7"
NAMES = ("app-1", "app-2", "app-3", "app-4", "app-5")
TABLES = ("clients", "evidence", "fingerprints", "days", "handshakes", "upstream_certificates", "probes", "proxies")
SEEN = re.compile(r"now|\d+m")
# Of each client, in the order of the report, what the table says but for when it was seen.
CLIENTS = """
127.0.0.1  billing@postgres     typo      app-5   0  3  >= allow         ?   no  ?   fix login
127.0.0.1  ghost@postgres       leaver    app-5   0  2  >= allow         ?   no  ?   fix login
127.0.0.1  billing@postgres     ledger    app-1   5  0  <= allow         no  ?   no  enable TLS
127.0.0.1  trust_user@postgres  importer  app-3   5  0  3 of 5 in clear  no  ?   ?   split
127.0.0.1  trust_user@postgres  worker #  app-5  20  0  >= allow         ?   no  ?   probe
127.0.0.1  billing@postgres     ledger    app-2   4  0  >= allow         ?   no  ?   probe
127.0.0.1  trust_user@postgres  archive   app-4   3  0  >= allow         ?   no  ?   probe
127.0.0.1  trust_user@postgres  backup    app-1   1  0  >= allow         ?   no  ?   probe
"""
SUMMARY = """
      2  in clear text: 0 over a network, 2 on loopback or a UNIX socket
      0  use TLS and do not verify the server (proven)
      0  verify the server
      6  use TLS, and whether they verify is not known

      0  break on rds.force_ssl=1; of 2 it is not known
      0  break on the CA rotation; of 7 it is not known
      2  are weak: clear text, no verification, old TLS
      1  are mixed: in clear text and with TLS, or of contradicting evidence
      2  fail: they never succeeded, or no longer do
      2  never logged in
      1  are asked for their password (bridged SCRAM)
"""


# --- the fleet


class Fleet:
    """The proxies by name. Whose process a client is, is not asked: of connections this short it is not found every time."""

    def __init__(self, run_proxy, pki, server, database, wrong_clock):
        self.run_proxy, self.pki, self.server, self.database, self.wrong_clock = run_proxy, pki, server, database, wrong_clock
        # The one on the wrong clock must not find it expired.
        self.certificate = pki.leaf(pki.front, "proxy.long", HERE, days=(-1, 3000))
        self.proxies = {}
        for name in NAMES:
            self.start(name)
        self.instances = {name: self._instance(name) for name in NAMES}

    def start(self, name):
        """Again: on the state directory that it had."""
        runtime = {"name": name}
        if name in self.proxies:
            runtime["state_dir"] = str(self.proxies[name].state_dir)
        self.proxies[name] = self.run_proxy(
            configuration(self.pki, [self.server.host], tls={"cert_file": self.certificate.cert, "key_file": self.certificate.key}, runtime=runtime,
                          audit={"inventory": self.database.url, "inventory_retention": "400d", "process_owner": False}),
            environment=self.wrong_clock if name == "app-4" else None)
        return self.proxies[name]

    def log_in(self, name, application, user, password, *negotiations):
        for negotiation in negotiations:
            with Client(self.proxies[name].address) as raw:
                raw.negotiate(negotiation).login(user, password, application_name=application)

    def refused(self, name, application, user, times):
        for _ in range(times):
            with Client(self.proxies[name].address) as raw, pytest.raises(ErrorResponse, match="password authentication failed"):
                raw.negotiate("sslrequest").login(user, WRONG_PASSWORD, application_name=application)

    def psql(self, pg, name, application, user, password, sslmode):
        pg("psql", self.proxies[name], "-d", f"application_name={application} password={password}", "-XAtc", "SELECT 1", user=user, sslmode=sslmode)

    def rows(self):
        """How many of each proxy the database has, by table."""
        return {name: {table: self._count(table, name) for table in TABLES} for name in NAMES}

    def restart(self, name, *, forgetful=False):
        """`forgetful`: without its state directory, so as another one of the same name."""
        self.proxies[name].stop()
        if forgetful:
            del self.proxies[name]
        self.start(name).wait_for_log("inventory: shared in")

    def total(self, name, column="connections"):
        return int(self.database.sql(f"SELECT coalesce(sum({column}), 0) FROM pgairlock.clients WHERE proxy = '{self.instances[name]}'")[0][0])

    def has(self, name, *, connections=0, auth_failed=0):
        until(lambda: (self.total(name), self.total(name, "auth_failed")) == (connections, auth_failed), what=f"the database has all of {name}")

    def ahead(self, name):
        """By how many days its clock is."""
        found = self.database.sql(f"SELECT last_seen FROM pgairlock.proxies WHERE proxy = '{self.instances[name]}'")
        return round((found[0][0] / 1e6 - time.time()) / DAY)

    def _count(self, table, name):
        return self.database.sql(f"SELECT count(*) FROM pgairlock.{table} WHERE proxy = '{self.instances[name]}'")[0][0]

    def _instance(self, name):
        self.proxies[name].wait_for_log("inventory: shared in")
        file = sqlite3.connect(f"file:{self.proxies[name].state_dir}/inventory.db?mode=ro", uri=True, timeout=PATIENCE)
        try:
            return file.execute("SELECT value FROM meta WHERE key = 'instance'").fetchone()[0]
        finally:
            file.close()


@pytest.fixture
def wrong_clock(directory):
    """The environment of a process that lives in the future."""
    return Clock(directory, ahead=500 * DAY).environment


@pytest.fixture
def fleet(directory, template, pki, run_proxy, fleet_database, wrong_clock):
    """Its server's certificate is still good by the wrong clock."""
    server = Cluster(directory / "long", template, pki.leaf(pki.new, "server.long", HERE, days=(-1, 3000)), pki.people.cert).start()
    server.sql("CREATE ROLE billing LOGIN IN ROLE scram_users PASSWORD %s", PASSWORD)
    yield Fleet(run_proxy, pki, server, fleet_database, wrong_clock)
    server.stop()


# --- its week


def first_days(fleet, pg):
    fleet.psql(pg, "app-1", "ledger", "billing", PASSWORD, "disable")
    fleet.log_in("app-1", "ledger", "billing", PASSWORD, *["plain"] * 3)
    fleet.log_in("app-1", "backup", "trust_user", None, "sslrequest")
    fleet.psql(pg, "app-2", "ledger", "billing", PASSWORD, "require")
    fleet.log_in("app-2", "ledger", "billing", PASSWORD, *["sslrequest"] * 3)
    fleet.log_in("app-3", "importer", "trust_user", None, *["plain", "sslrequest", "plain", "sslrequest", "plain"])
    fleet.log_in("app-4", "archive", "trust_user", None, *["sslrequest"] * 2)
    fleet.refused("app-5", "typo", "billing", 3)
    fleet.refused("app-5", "leaver", "ghost", 2)
    for number in range(20):
        fleet.log_in("app-5", f"worker {number}", "trust_user", None, "sslrequest")
    fleet.has("app-1", connections=5)
    fleet.has("app-2", connections=4)
    fleet.has("app-3", connections=5)
    fleet.has("app-4", connections=2)
    fleet.has("app-5", connections=20, auth_failed=5)


def fall_silent(fleet, name):
    fleet.proxies[name].expected_exit = -9
    fleet.proxies[name].kill()
    fleet.database.sql(f"UPDATE pgairlock.proxies SET last_seen = last_seen - {2 * DAY} * 1000000::bigint WHERE proxy = '{fleet.instances[name]}'")


def next_second():
    """Once all that was until then is over, as --since takes it."""
    moment = int(time.time()) + 1
    until(lambda: time.time() >= moment)
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def fewer(before, after):
    """Whose rows are. More are fine: a day may have begun."""
    return [(name, table) for name in NAMES for table in TABLES if after[name][table] < before[name][table]]


def last_days(fleet):
    """The wrong clock starts once more, and somebody deletes rows: nobody's are missing in the end."""
    before = fleet.rows()
    fleet.restart("app-4")
    fleet.log_in("app-4", "archive", "trust_user", None, "sslrequest")
    fleet.has("app-4", connections=3)
    assert fleet.ahead("app-4") == 500
    assert fewer(before, fleet.rows()) == []

    fleet.database.sql("; ".join(f"DELETE FROM pgairlock.{table} WHERE proxy = '{fleet.instances['app-1']}'" for table in TABLES))
    fleet.log_in("app-1", "ledger", "billing", PASSWORD, "plain")
    fleet.has("app-1", connections=6)
    assert fewer(before, fleet.rows()) == []


# --- what is told of it


def report(fleet, *arguments, **options):
    return pgairlock("report", "--inventory", fleet.database.url, *arguments, **options)


def report_json(fleet, *arguments):
    return json.loads(report(fleet, *arguments, "--format", "json", check=True).stdout)


def cells(line):
    return re.split(r"\s{2,}", line.strip())


def expected(proxy=None):
    rows = [cells(line) for line in CLIENTS.strip().splitlines()]
    return [row for row in rows if proxy in (None, row[3])]


# What a clock that is ahead leaves in doubt, for which every --fail-on fails.
FUTURE = [r"app-4: it was last heard of at 20\S+Z, which is still to come: a clock is or was wrong",
          r"1 client seen at a time that is still to come: a clock is or was wrong"]
EVERYTHING = {"weak", "unknown", "rotation", "force_ssl", "fallback", "failing", "silent", "incomplete"}


def are(sentences, patterns):
    return len(sentences) == len(patterns) and all(map(re.fullmatch, patterns, sentences))


def check_table(fleet):
    lines = report(fleet, "--width", "400", check=True).stdout.splitlines()
    assert lines[0] == "5 proxies, 1 silent: app-5 for 2 days"
    assert are(lines[1:3], [f"incomplete: {pattern}" for pattern in FUTURE]), lines[1:3]
    del lines[1:3]
    assert re.fullmatch(r"8 clients, 38 connections, 5 failures, from \S+Z to \S+Z", lines[1]), lines[1]
    summary = SUMMARY.strip("\n").splitlines()
    assert lines[2:2 + len(summary)] == summary
    around, blank, above, titles, *rows = lines[2 + len(summary):]
    assert around.startswith("  who goes around pgairlock is not known: no server was looked at")
    assert (blank, above.strip()) == ("", "BREAKS ON:")
    assert cells(titles) == ["CLIENT", "USER@DATABASE", "APPLICATION", "PROXY", "CONNS", "FAILED", "SEEN", "SSLMODE", "VERIFIES", "force_ssl",
                             "rotation", "ACTION"]
    told = [cells(line) for line in rows[:rows.index("")]]
    assert all(SEEN.fullmatch(row.pop(6)) for row in told)
    assert told == expected()
    (certificate,) = [cells(line) for line in lines if line.startswith("orders ")]
    assert certificate[:4] == ["orders", fleet.server.host, "Test New CA", "Test New CA"]


def check_json(fleet):
    told = report_json(fleet)
    summary = told["summary"]
    counts = {
        "proxies": 5, "silent_proxies": 1, "clients": 8, "plain": 2, "plain_network": 0, "plain_local": 2, "tls_not_verifying": 0, "verifying": 0,
        "unknown": 6, "weak": 2, "mixed": 1, "failing": 2, "accepted": 0, "bridged": 1, "falls_back": 0, "never_logged_in": 2,
        "breaks_on_ca_rotation": 0, "breaks_on_ca_rotation_unknown": 7, "breaks_on_force_ssl": 0, "breaks_on_force_ssl_unknown": 2,
        "connections": 38, "failures": 5}
    assert {name: summary[name] for name in counts} == counts
    assert are(summary["incomplete"], FUTURE) and summary["filters"] == {}
    assert summary["actions"] == {"enable TLS": 1, "split": 1, "fix login": 2, "probe": 4}
    assert [(proxy["name"], proxy["silent"]) for proxy in told["proxies"]] == [(name, name == "app-5") for name in NAMES]
    clients = {(client["application_name"], client["proxy"]): client for client in told["clients"]}
    assert list(clients) == [(row[2], row[3]) for row in expected()]
    assert all(client["host"] == client["proxy"] and client["proxies"] == [client["host"]] for client in told["clients"])
    ledgers = [clients["ledger", proxy] for proxy in ("app-1", "app-2")]
    assert [(client["weak"], client["state"], client["modes"], client["bridged"]) for client in ledgers] == [
        (True, "in clear", {"plain": 5}, 0), (False, "unknown", {"TLSv1.3": 4}, 1)]
    importer = clients["importer", "app-3"]
    assert (importer["mixed"], importer["weak"], importer["plain"], importer["state"]) == (True, True, 3, "mixed")
    assert sorted(importer["evidence"]) == ["clear_startup", "tls_startup"]
    for name, failures in (("typo", 3), ("leaver", 2)):
        client = clients[name, "app-5"]
        assert (client["failing"], client["failures"], client["auth_failures"], client["connections"]) == (True, failures, failures, 0)
        assert (client["failure"]["what"], client["failure"]["time"]) == ("login refused", client["last_failure"]) and client["failure"]["session"]
    names = clients["worker #", "app-5"]["names"]
    assert names["count"] == 20 and set(names["examples"]) <= {f"worker {number}" for number in range(20)} and names["examples"]
    assert clients["archive", "app-4"]["first_seen"] > clients["ledger", "app-1"]["last_seen"]
    return told


def check_csv(fleet, told):
    rows = list(csv.DictReader(io.StringIO(report(fleet, "--format", "csv", check=True).stdout)))
    assert len(rows) == len(told["clients"])
    for row, client in zip(rows, told["clients"]):
        for name in ("proxy", "usename", "datname", "application_name", "connections", "plain", "failures", "bridged", "sslmode_min", "sslmode_max",
                     "verifies", "state", "action", "breaks_on_force_ssl", "breaks_on_ca_rotation", "first_seen", "last_seen"):
            of_the_wrong_clock = name.endswith("_seen") and client["application_name"] == "archive"  # each report's own now
            assert of_the_wrong_clock or row[name] == str(client[name]), (name, row)
        for name in ("weak", "mixed", "failing"):
            assert row[name] == str(client[name]).lower(), (name, row)
        assert row["names"] == str(client["names"]["count"])


def check_exit_codes(fleet):
    def failing(*arguments):
        return {what for what in EVERYTHING if report(fleet, *arguments, "--fail-on", what).returncode == 1}
    assert failing() == failing("--application", "typo") == failing("--proxy", "app-4") == EVERYTHING
    assert failing("--proxy", "app-1") == {"weak", "unknown", "rotation", "force_ssl"}
    assert failing("--proxy", "app-5") == {"unknown", "rotation", "failing", "silent"}
    done = report(fleet, "--application", "archiv", "--fail-on", "weak")
    assert (done.returncode, done.stdout) == (2, "") and 'did you mean "archive"?' in done.stderr


def check_one_proxy(fleet):
    for name in NAMES:
        told = report_json(fleet, "--proxy", name)
        assert told["summary"]["filters"] == {"proxy": name}
        assert [(client["application_name"], client["proxy"], client["connections"]) for client in told["clients"]] == [
            (row[2], row[3], int(row[4])) for row in expected(name)]
    text = report(fleet, "--proxy", "app-1", check=True).stdout
    assert text.startswith("5 proxies\n")
    assert re.search(r"^2 clients, 6 connections, from \S+Z to \S+Z\nonly --proxy app-1\n      1  in clear text", text, re.MULTILINE)


def check_since(fleet, silence):
    """Only who came after the silence. The others began before it, and the one on the wrong clock much later."""
    told = report_json(fleet, "--since", silence)
    assert {(client["application_name"], client["proxy"]) for client in told["clients"]} == {("ledger", "app-1"), ("archive", "app-4")}
    missing = told["summary"]["incomplete"]
    assert are(missing, [FUTURE[0], r"app-4: there is nothing from before \S+Z", FUTURE[1]]), missing
    lines = report(fleet, "--since", silence, "--width", "0", check=True).stdout.splitlines()
    assert lines[:4] == ["5 proxies, 1 silent: app-5 for 2 days", *(f"incomplete: {sentence}" for sentence in missing)]
    assert lines[5] == f"what was not seen since {silence} is left out"
    for what in ("incomplete", "failing", "fallback"):
        assert report(fleet, "--since", silence, "--fail-on", what).returncode == 1
    assert report_json(fleet, "--since", silence, "--proxy", "app-1")["summary"]["incomplete"] == []
    told = report_json(fleet, "--since", "1d")  # all of it, and more than there is
    before = [sentence for sentence in told["summary"]["incomplete"] if "there is nothing from before" in sentence]
    assert [sentence.partition(":")[0] for sentence in before] == list(NAMES)
    assert len(told["clients"]) == 8


@pytest.mark.skipif(programs.sanitized(), reason="a sanitizer's library has to be loaded before the wrong clock")
def test_the_report_after_a_week_of_a_fleet(fleet, pg):
    first_days(fleet, pg)
    fall_silent(fleet, "app-5")
    silence = next_second()
    last_days(fleet)
    check_table(fleet)
    check_csv(fleet, check_json(fleet))
    check_exit_codes(fleet)
    check_one_proxy(fleet)
    check_since(fleet, silence)

    # What the wrong clock wrote before makes it no right one.
    before = fleet.rows()
    fleet.restart("app-4", forgetful=True)
    assert report_json(fleet)["summary"]["proxies"] == 6
    assert fewer(before, fleet.rows()) == []


# --- clocks that are ahead, or were, in inventories made by hand


@pytest.fixture
def inventory(directory):
    made = []

    def make(name, **proxy):
        made.append(Inventory(directory / name, **proxy))
        return made[-1]

    yield make
    for each in made:
        each.db.close()


def report_of(*inventories, arguments=()):
    where = [argument for each in inventories for argument in ("--state-dir", each.directory)]
    return pgairlock("report", *where, *arguments)


def in_days(count):
    return time.time_ns() // 1000 + count * MICROS_OF_DAY


def test_a_proxy_whose_clock_is_ahead_is_not_known_to_be_there(inventory):
    """It may have ended long ago: by its own clock two days, and by ours it would be heard of for more than a year."""
    ahead = inventory("app-4", last_seen=in_days(498))
    ahead.client("archive", "tls_startup", first=in_days(490), last=in_days(498))
    assert report_of(ahead, arguments=("--fail-on", "silent")).returncode == 1


def test_who_was_seen_in_the_future_is_not_left_out_without_a_word(inventory):
    good, ahead = inventory("app-1"), inventory("app-4", last_seen=in_days(500))
    good.client("web", "tls_startup", "untrusted_refused", "candidate_accepted")
    ahead.client("archive", "clear_startup", mode="plain", first=in_days(499), last=in_days(500))
    assert report_of(good, ahead, arguments=("--until", "0h", "--fail-on", "weak")).returncode == 1


def test_a_clock_that_was_ahead_does_not_make_clear_text_of_today_a_thing_of_the_past(inventory):
    """TLS while the clock was 500 days ahead; the clock was repaired, and today the client is in clear."""
    repaired = inventory("app-4")
    future, today = in_days(500), in_days(0)
    client = repaired.client("archive", {"evidence": "clear_startup", "first_seen": today, "last_seen": today, "count": 1}, first=today, last=future,
                             connections=6, plain=1, mode="TLSv1.3", days={today // MICROS_OF_DAY: {"plain": 1}})
    repaired.insert("evidence", client=client, evidence="tls_startup", certificate="real", first_seen=future, last_seen=future, count=5, session="s")
    repaired.insert("days", day=future // MICROS_OF_DAY, client=client, mode="TLSv1.3", connections=5, weak_tls=0, bridged=0, failures=0,
                    auth_failed=0, first_seen=future, last_seen=future, open_until=0)
    assert report_of(repaired, arguments=("--fail-on", "weak")).returncode == 1


def test_only_proxies_that_were_asked_for_are_called_silent(inventory):
    silent = [inventory(name, last_seen=in_days(-2)) for name in ("app-3", "app-5")]
    for each in silent:
        each.client("web", "tls_startup", "untrusted_refused", "candidate_accepted")
    first = report_of(*silent, arguments=("--proxy", "app-5")).stdout.splitlines()[0]
    assert first == "2 proxies, 1 silent: app-5 for 2 days"
