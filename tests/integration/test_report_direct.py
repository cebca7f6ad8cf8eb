"""`pgairlock report` of those that go around every proxy: what servers listed, in inventories made by hand."""

import csv
import io
import json
import time

import pytest

from harness.inventory import DAY, HOUR, Inventory
from harness.programs import pgairlock

SERVER = "10.1.0.1:5432"


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


def run(*inventories, **options):
    arguments = [argument for each in inventories for argument in ("--state-dir", each.directory)]
    for name, value in options.items():
        arguments += [f"--{name.replace('_', '-')}", value]
    return pgairlock("report", *arguments)


def report(*inventories, **options):
    done = run(*inventories, format="json", **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def table(*inventories, **options) -> str:
    done = run(*inventories, width="0", **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def by_user(document, source="direct") -> dict:
    return {client["usename"]: client for client in document["clients"] if client["source"] == source}


def fill(one: Inventory) -> Inventory:
    """Somebody who comes to the proxy, and two who do not."""
    one.client("web", "tls_startup", client_addr="10.0.0.9")
    one.sampling()
    one.sampled("web", version="TLSv1.3", through=1, cipher="TLS_AES_256_GCM_SHA384", sessions=10, seen=83)
    one.sampled("batch", version="", sessions=4, seen=10, looks=9)
    one.sampled("lambda", version="TLSv1.2", cipher="ECDHE-RSA-AES128-GCM-SHA256", sessions=2, seen=7)
    return one


def test_whoever_goes_around_has_a_row_of_its_own_beside_those_that_were_seen(inventory):
    document = report(fill(inventory()))
    assert {(client["usename"], client["source"]) for client in document["clients"]} == {("web", "seen"), ("batch", "direct"), ("lambda", "direct")}
    batch, other = by_user(document)["batch"], by_user(document)["lambda"]
    assert (batch["state"], batch["breaks_on_force_ssl"], batch["breaks_on_ca_rotation"], batch["action"], batch["also"]) == \
        ("in clear", "unknown", "unknown", "enable TLS", "go through the proxy")
    assert (other["state"], other["breaks_on_force_ssl"], other["breaks_on_ca_rotation"], other["action"], other["also"]) == \
        ("unknown", "no", "unknown", "go through the proxy", None)
    assert batch["direct"] == {"servers": [SERVER], "looks": 9, "sessions": 4, "seen": 10, "cipher": None, "client_dn": None}
    assert (batch["first_seen"], batch["last_seen"]) == ("2026-11-02T08:00:00Z", "2026-11-02T09:00:00Z")
    assert other["version"] == "TLSv1.2" and other["modes"] == {"TLSv1.2": 2}
    summary = document["summary"]
    assert {name: summary[name] for name in ("clients", "plain", "unknown", "direct", "direct_plain", "direct_accepted", "coverage")} == \
        {"clients": 1, "plain": 0, "unknown": 1, "direct": 2, "direct_plain": 1, "direct_accepted": 0, "coverage": 83}
    assert summary["incomplete"] == []
    assert document["sampling"] == [{"upstream": "orders", "upstream_addr": SERVER, "looked_by": ["state0"], "first_look": "2026-11-02T08:00:00Z",
                                     "last_look": "2026-11-02T09:00:00Z", "looks": 720, "interval_ms": 5000, "hidden": 0, "failed": 0, "left_out": 0,
                                     "coverage": 83}]


def test_the_table_says_how_many_how_much_is_seen_and_what_may_be_missing(inventory):
    out = table(fill(inventory()))
    assert "2 clients go around pgairlock (direct): 1 in clear text, 1 with TLS; no other figure counts them" in out
    assert "pgairlock sees 83 % of the sessions that the servers list" in out
    assert "1 server looked at every 5 s from 2026-11-02T08:00:00Z to 2026-11-02T09:00:00Z: a session shorter than that may be missing here" in out
    assert "SOURCE" in out and "enable TLS, go through the proxy" in out


def test_csv_and_html_have_both_sources(inventory):
    one = fill(inventory())
    rows = {row["usename"]: row for row in csv.DictReader(io.StringIO(run(one, format="csv").stdout))}
    assert [(rows[user]["source"], rows[user]["servers"], rows[user]["looks"]) for user in ("web", "batch")] == [("seen", "", ""), ("direct", SERVER, "9")]
    page = run(one, format="html").stdout
    assert "2 clients go around pgairlock (direct)" in page and f"direct<small>{SERVER}" in page


def test_without_looking_it_is_not_known_who_goes_around(inventory):
    one = inventory()
    one.client("web", "tls_startup")
    document = report(one)
    assert (document["summary"]["direct"], document["summary"]["coverage"], document["sampling"]) == (None, None, [])
    assert document["summary"]["incomplete"] == []
    assert "who goes around pgairlock is not known: no server was looked at" in table(one)
    done = run(one, fail_on="direct")
    assert done.returncode == 1 and "--fail-on direct: it is not known: no server was looked at" in done.stderr


def test_fail_on_is_about_those_that_go_around_as_well(inventory):
    one = fill(inventory())
    failed = {what: run(one, fail_on=what) for what in ("direct", "weak", "unknown", "force_ssl", "failing", "incomplete")}
    assert {what: done.returncode for what, done in failed.items()} == \
        {"direct": 1, "weak": 1, "unknown": 1, "force_ssl": 1, "failing": 0, "incomplete": 0}
    assert "--fail-on direct: 2 clients" in failed["direct"].stderr
    assert run(one, fail_on="weak", user="lambda").returncode == 0


def test_what_pgairlock_sample_saw_alone_answers_the_first_question(inventory):
    one = inventory(listeners="", last_seen=time.time_ns() // 1000 - DAY)
    one.sampling(proxying=0)
    one.sampled("batch")
    one.sampled("lambda", version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
    document = report(one)
    assert [(client["usename"], client["state"], client["breaks_on_force_ssl"]) for client in document["clients"]] == \
        [("batch", "in clear", "unknown"), ("lambda", "unknown", "no")]
    summary = document["summary"]
    assert (summary["clients"], summary["direct"], summary["direct_plain"], summary["coverage"], summary["silent_proxies"]) == (0, 2, 1, 0, 0)
    assert (summary["first_seen"], summary["last_seen"]) == ("2026-11-02T08:00:00Z", "2026-11-02T09:00:00Z")
    assert document["proxies"][0]["only_looks"] is True
    assert "no proxy: what 1 run of pgairlock sample saw" in table(one)
    assert run(one, fail_on="weak").returncode == 1
    for what in ("silent", "failing", "fallback"):
        done = run(one, fail_on=what)
        assert done.returncode == 1 and "no client came to a proxy" in done.stderr


def test_what_went_through_another_proxy_of_the_fleet_is_not_direct(inventory):
    one, other = inventory(), inventory()
    for each in (one, other):
        each.sampling()
    one.sampled("web", version="TLSv1.3")
    other.sampled("web", version="TLSv1.3", through=1)
    document = report(one, other)
    assert document["clients"] == [] and (document["summary"]["direct"], document["summary"]["coverage"]) == (0, 100)
    assert set(by_user(report(one))) == {"web"}  # alone it cannot know


def test_what_was_not_looked_at_is_said_first(inventory):
    one = fill(inventory(start="2026-11-02T08:00:00"))
    one.certificate("10.1.0.2:5432")
    one.db.execute("UPDATE sampling SET hidden = 7, last_hidden = last_look, left_out = 3, failed = 20, last_failure = last_look - 1000000, error = 'no route to host'")
    mute = inventory()
    mute.client("app", "tls_startup")
    incomplete = report(one, mute)["summary"]["incomplete"]
    assert incomplete == [
        f"state0: {SERVER} of orders does not show whose its sessions are (in 7 of 720 looks): GRANT pg_read_all_stats to the role of the monitor",
        f"state0: {SERVER} of orders could not be looked at 20 times, the last one at 2026-11-02T08:59:59Z: no route to host",
        f"state1 does not look at {SERVER}, so its own sessions there are among the direct ones (sample_interval, with monitor_user)",
        "who goes around pgairlock to 10.1.0.2:5432 of orders was not looked at, unless that is another address of a server that was"]
    assert report(one, mute)["summary"]["coverage"] is None
    assert "incomplete: state0: " in table(one, mute).splitlines()[1]
    assert run(one, mute, fail_on="direct").returncode == 1


def test_a_time_when_nobody_looked_is_not_known(inventory):
    one = fill(inventory())
    since = "2026-11-02T10:00Z"
    one.client("late", "tls_startup", first=one.start + 3 * HOUR)
    document = report(one, since=since)
    assert (document["summary"]["direct"], document["sampling"]) == (None, [])
    assert any("was not looked at after 2026-11-02T09:00:00Z" in text for text in document["summary"]["incomplete"])


def test_filters_and_groups_have_both_sources(inventory):
    one = fill(inventory())
    assert set(by_user(report(one, user="batch"))) == {"batch"}
    assert set(by_user(report(one, client="10.0.0.0/24"))) == {"batch", "lambda"}
    done = run(one, user="bathc")
    assert done.returncode == 2 and 'did you mean "batch"?' in done.stderr
    grouped = report(one, group_by="database")["clients"]
    assert sorted((client["source"], client["connections"]) for client in grouped) == [("direct", 6), ("seen", 10)]


def test_an_older_report_says_who_goes_around_since_then(inventory, directory):
    before, now = inventory(), fill(inventory())
    before.client("web", "tls_startup", client_addr="10.0.0.9")
    before.sampling()
    old = directory / "old.json"
    old.write_text(run(before, format="json").stdout)
    against = report(now, against=old)["against"]
    assert {(one["source"], one["usename"]) for one in against["new"]} == {("direct", "batch"), ("direct", "lambda")}
    assert against["gone"] == []
    assert "10.0.0.9 batch@orders (direct): in clear" in table(now, against=old)


def test_who_was_accepted_in_clear_is_not_excused_for_going_around(inventory):
    one = inventory()
    one.client("erp", "clear_startup", mode="plain", client_addr="10.0.0.9")
    one.sampling()
    one.mark("erp", client_addr="10.0.0.9", accepted=1, accepted_state="plain", owner="erp team")
    one.sampled("erp")
    document = report(one)
    assert by_user(document, "seen")["erp"]["accepted"]["excused"] is True
    assert (by_user(document)["erp"]["accepted"]["excused"], by_user(document)["erp"]["accepted"]["worse"]) == (False, ["direct:plain", "direct"])
    done = pgairlock("client", "accept", "--state-dir", one.directory, "--user", "erp", "--owner", "erp team", check=True)
    assert "erp@orders from 10.0.0.9, upstream orders, direct" in done.stdout
    document = report(one)
    assert [client["accepted"]["excused"] for client in document["clients"]] == [True, True]
    assert (document["summary"]["accepted"], document["summary"]["direct_accepted"]) == (1, 1)
    assert run(one, fail_on="direct").returncode == 0
    listed = json.loads(pgairlock("client", "list", "--state-dir", one.directory, "--json", check=True).stdout)["clients"]
    assert sorted(client["source"] for client in listed) == ["direct", "seen"]
