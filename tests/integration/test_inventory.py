"""The inventory: what it holds, that it survives, and what happens when it cannot be written."""

import json
import random
import re
import resource
import signal
import sqlite3
import threading
import time
from datetime import datetime

import pytest

from harness import messages, programs, secrets
from harness.config import configuration
from harness.fake_upstream import accepting, server_context
from harness.http import scrape
from harness.messages import ErrorResponse
from harness.pki import HERE
from harness.waiting import PATIENCE, until
from harness.wire import Client, tls_context


def rows(state_dir, sql):
    """From the file, while a proxy may be writing it."""
    connection = sqlite3.connect(f"file:{state_dir}/inventory.db?mode=ro", uri=True, timeout=PATIENCE)
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]
    finally:
        connection.close()


def total(state_dir, column="connections", table="clients"):
    return rows(state_dir, f"SELECT coalesce(sum({column}), 0) AS n FROM {table}")[0]["n"]


def wait_for_total(proxy, count, **what):
    until(lambda: total(proxy.state_dir, **what) == count, what=f"{count} {what}")


def log_in(proxy, times=1, **options):
    for _ in range(times):
        raw = Client(proxy.address)
        raw.login(**options)
        raw.close()


# --- what it holds


def test_a_client_is_one_row_however_it_connects(start, client):
    proxy = start(audit={"process_owner": False})
    client(proxy).negotiate("sslrequest").login(application_name="app")
    client(proxy).login(application_name="app")
    client(proxy).login(application_name="other")
    wait_for_total(proxy, 3)
    found = {row["application_name"]: row for row in rows(proxy.state_dir, "SELECT * FROM clients")}
    assert {name: (row["connections"], row["plain"], row["auth_failed"]) for name, row in found.items()} == {"app": (2, 1, 0), "other": (1, 1, 0)}
    app = found["app"]
    assert [app[name] for name in ("upstream", "client_addr", "usename", "datname", "listener")] == [
        "orders", "127.0.0.1", "trust_user", "postgres", "legacy"]
    seen = rows(proxy.state_dir, f"SELECT evidence, count FROM evidence WHERE client = {app['id']} ORDER BY 1")
    assert seen == [{"evidence": "clear_startup", "count": 1}, {"evidence": "tls_startup", "count": 1}]
    modes = rows(proxy.state_dir, f"SELECT mode, connections FROM days WHERE client = {app['id']} ORDER BY 1")
    assert modes == [{"mode": "TLSv1.3", "connections": 1}, {"mode": "plain", "connections": 1}]
    assert rows(proxy.state_dir, "SELECT sni FROM fingerprints") == [{"sni": "localhost"}]


def test_a_client_of_this_host_is_known_by_its_program(start, client):
    proxy = start()

    def is_known():
        client(proxy).login()  # a machine with much else to do finds the process of one of them
        return any(row["client_exe"].startswith("/usr/bin/python3") for row in rows(proxy.state_dir, "SELECT client_exe FROM clients"))
    until(is_known, interval=0.5, what="the program")


def test_clear_text_right_after_a_login_over_tls_is_no_fallback(start):
    proxy = start(audit={"process_owner": False})  # not every process of connections this short is found: that would make another client
    for _ in range(100):
        for negotiation in "sslrequest", "plain":
            raw = Client(proxy.address)
            raw.negotiate(negotiation).login()
            raw.close()
    wait_for_total(proxy, 200)
    seen = rows(proxy.state_dir, "SELECT evidence, count FROM evidence ORDER BY 1")
    assert seen == [{"evidence": "clear_startup", "count": 100}, {"evidence": "tls_startup", "count": 100}]


@pytest.mark.parametrize("process_owner", [True, False])
def test_a_client_that_goes_on_in_clear_because_of_our_certificate_is_told_of(start, pg, pki, process_owner):
    proxy = start(audit={"process_owner": process_owner})
    other = pki.authority("Test Another CA")
    for _ in range(2):
        pg("psql", proxy, "-XAtc", "SELECT 1", sslmode="prefer", host="localhost", sslrootcert=other.cert)
    connected = proxy.events("connected", 2)
    assert {event["ssl"] for event in connected} == {False}
    # Its process is not found every time while the refused connection is there.
    expected = {"clear_startup_after_tls", "clear_startup_after_refusal"} if process_owner else {"clear_startup_after_tls"}
    assert {piece for event in connected for piece in event["evidence"]} <= expected
    said = proxy.wait_for_log("warning .* in clear text just after it refused our certificate .*")
    assert str(pki.proxy.cert) in said


def test_a_client_in_clear_does_not_answer_for_another_process_that_refused_our_certificate(start, pg, pki, client):
    proxy = start()
    other = pki.authority("Test Another CA")
    # Long enough for its process to be found, or the test would say nothing.
    raw = client(proxy)
    raw.negotiate("plain")
    pg("psql", proxy, "-XAtc", "SELECT 1", sslmode="verify-full", host="localhost", sslrootcert=other.cert, check=False)
    proxy.event("tls_failed")
    login = raw.login()
    assert login.backend_pid
    connected = proxy.event("connected")
    refused = proxy.event("tls_failed")
    pids = {event["client_process"]["pid"] for event in (connected, refused)}
    if None not in pids and len(pids) == 2:
        assert connected["evidence"] == ["clear_startup"]


def test_a_program_in_clear_is_not_taken_for_the_fallback_of_another_before_it(start, pg, pki):
    """Whose process was gone before it was found: it was there before the second one began."""
    proxy = start()
    other = pki.authority("Test Another CA")
    for _ in range(3):
        pg("psql", proxy, "-XAtc", "SELECT 1", sslmode="verify-full", host="localhost", sslrootcert=other.cert, check=False)
        pg("psql", proxy, "-XAtc", "SELECT pg_sleep(0.5)", sslmode="disable")
    connected = [event for event in proxy.events("connected", 3) if event["client_process"]["pid"]]
    assert connected, "no process was found"
    assert {tuple(event["evidence"]) for event in connected} == {("clear_startup",)}
    assert proxy.events("tls_failed", 3)


def test_while_another_client_logs_in_over_tls_clear_text_is_no_fallback(start, client):
    proxy = start(audit={"process_owner": False})
    undecided = client(proxy).negotiate("sslrequest")
    client(proxy).login()
    assert proxy.event("connected")["evidence"] == ["clear_startup"]
    undecided.login()


def test_evidence_names_a_session_of_the_audit_file(start, client):
    proxy = start()
    client(proxy).login()
    event = proxy.event("connected")
    wait_for_total(proxy, 1)
    (piece,) = rows(proxy.state_dir, "SELECT * FROM evidence")
    assert piece["session"] == event["session"]
    assert abs(piece["last_seen"] / 1e6 - datetime.fromisoformat(event["ts"].replace("Z", "+00:00")).timestamp()) < 0.001


def test_logins_that_fail_are_counted_apart(start, client):
    proxy = start()
    with pytest.raises(ErrorResponse):
        client(proxy).login("scram_user", password="Secret-wrong-aa41be")
    wait_for_total(proxy, 1, column="auth_failed")
    assert total(proxy.state_dir) == 0


def test_a_client_refused_for_clear_text_is_known(start, client):
    proxy = start(tls={"mode": "require"})
    with pytest.raises(ErrorResponse):
        client(proxy).login()
    wait_for_total(proxy, 1, column="count", table="evidence")
    assert total(proxy.state_dir) == 0


def test_a_handshake_that_names_nobody_is_kept_by_fingerprint(start, client, pki):
    proxy = start()
    with pytest.raises(Exception):
        client(proxy).negotiate("sslrequest", tls_context(ca=pki.old.cert))
    proxy.event("tls_failed")
    wait_for_total(proxy, 1, column="count", table="handshakes")
    (handshake,) = rows(proxy.state_dir, "SELECT * FROM handshakes")
    assert (handshake["evidence"], handshake["sni"]) == ("tls_refused", "localhost")
    assert handshake["ja4"].startswith("t13") and handshake["certificate"] and handshake["error"]


def test_an_upstream_certificate_is_news_once_per_address(start, client, fake, pki):
    first, second = (fake(accepting(server_context(pki.server))) for _ in range(2))
    proxy = start([first.host, second.host])
    log_in(proxy, 3)
    event = proxy.event("upstream_certificate")
    proxy.wait_for_log(f'info upstream "orders" {first.host}: shows "CN=server.new" of "CN=Test New CA"')
    assert (event["upstream_addr"], event["subject"], event["anchor"]) == (first.host, "CN=server.new", "CN=Test New CA")
    wait_for_total(proxy, 3)
    first.close()
    log_in(proxy)
    assert [event["upstream_addr"] for event in proxy.events("upstream_certificate", 2)] == [first.host, second.host]
    wait_for_total(proxy, 4)
    assert [row["count"] for row in rows(proxy.state_dir, "SELECT count FROM upstream_certificates ORDER BY first_seen")] == [3, 1]


def test_a_certificate_of_another_ca_is_told_with_the_one_before(start, client, fake, pki):
    """By the address, or else by the upstream: whoever fails over meets another address."""
    old = pki.leaf(pki.old, "server.old", HERE)
    first, second = fake(accepting(server_context(old))), fake(accepting(server_context(pki.server)))
    proxy = start([first.host, second.host], upstream={"sslrootcert": [str(pki.old.cert), str(pki.new.cert)]}, admin={"http": "127.0.0.1:0"})
    log_in(proxy)
    event = proxy.event("upstream_certificate")
    assert (event["issuer"], event["issuer_before"], event["anchor_before"]) == ("CN=Test Old CA", None, None)
    first.close()
    log_in(proxy)
    event = proxy.events("upstream_certificate", 2)[1]
    assert (event["upstream_addr"], event["issuer"], event["anchor"]) == (second.host, "CN=Test New CA", "CN=Test New CA")
    assert (event["issuer_before"], event["anchor_before"]) == ("CN=Test Old CA", "CN=Test Old CA")
    changes = scrape(proxy).of("upstream_certificate_changes_total", upstream="orders")
    assert {labels["ca"]: value for labels, value in changes} == {"first": 1, "same": 0, "other": 1, "unknown": 0}


def test_names_that_are_no_utf8_and_long_ones_are_stored_readably(start, client, fake, pki):
    proxy = start([fake(accepting(server_context(pki.server))).host])
    raw = client(proxy)
    raw.send(messages.startup(application_name="MARK" + "x" * 500).replace(b"MARK", b"\xff\xfe\xc3\x28"))
    raw.finish_login()
    wait_for_total(proxy, 1)
    (row,) = rows(proxy.state_dir, "SELECT application_name FROM clients")
    assert row["application_name"] == r"\xff\xfe\xc3(" + "x" * 59


# --- how it is kept


def test_it_goes_on_after_a_restart(run_proxy, start, client):
    proxy = start(audit={"process_owner": False})  # which is not found every time when a connection is short
    log_in(proxy, 2)
    proxy.stop()
    assert total(proxy.state_dir) == 2, "the last flush is at the end"
    again = start(audit={"process_owner": False}, runtime={"state_dir": str(proxy.state_dir)})
    log_in(again, 3)
    until(lambda: total(proxy.state_dir) == 5)
    assert len(rows(proxy.state_dir, "SELECT * FROM clients")) == 1


def test_two_processes_with_one_inventory_are_told(start):
    first = start()
    second = start(audit={"inventory": str(first.state_dir / "inventory.db")})
    warning = second.wait_for_log("warning audit.inventory: .* is also used by .*")
    assert f"process {first.process.pid}" in warning and "runtime.state_dir" in warning
    assert "also used" not in first.log()
    first.stop()
    second.stop()
    third = start(runtime={"state_dir": str(first.state_dir)})
    third.stop()
    assert "also used" not in third.log(), "nobody was left"


def test_one_that_replaces_another_which_drains_is_no_mistake(start, client):
    old = start(runtime={"drain_timeout": "600s"})
    session = client(old)
    session.login()
    old.signal(signal.SIGTERM)
    old.event("stopping")
    new = start(runtime={"state_dir": str(old.state_dir)})
    new.wait_for_log(f"info audit.inventory: .* is also used by process {old.process.pid}, which drains")
    assert "warning audit.inventory" not in new.log()
    session.close()
    old.expect_exit(0)


def test_two_that_serve_with_one_inventory_make_every_report_incomplete(start):
    first = start()
    second = start(audit={"inventory": str(first.state_dir / "inventory.db")})
    second.stop()
    first.stop()
    assert incomplete(first.state_dir)


def test_an_inventory_that_is_removed_while_it_is_in_use_is_begun_anew(start):
    proxy = start()
    log_in(proxy)
    wait_for_total(proxy, 1)
    for path in proxy.state_dir.glob("inventory.db*"):
        path.unlink()
    log_in(proxy)
    assert "was removed or replaced while it was in use" in proxy.event("inventory_failed")["message"]
    log_in(proxy)
    proxy.stop()
    assert incomplete(proxy.state_dir)
    assert total(proxy.state_dir) >= 1


def test_a_foreign_file_is_left_alone_however_it_is_named(start, directory):
    path = directory / "ca.crt"
    path.write_bytes(b"somebody else's")
    state = directory / "state"
    state.mkdir()
    proxy = start(runtime={"state_dir": str(state)}, audit={"inventory": "../ca.crt"})
    proxy.state_dir = state
    log_in(proxy)
    proxy.event("inventory_failed")
    proxy.stop()
    assert path.read_bytes() == b"somebody else's"


def test_nobody_else_may_read_it(start):
    proxy = start()
    for path in proxy.state_dir.glob("inventory.db*"):
        assert path.stat().st_mode & 0o777 == 0o640, path


def test_it_can_be_off(start, client):
    proxy = start(audit={"inventory": ""})
    log_in(proxy, 2)
    proxy.events("connected", 2)
    proxy.stop()  # one that is kept is written at the latest then
    assert not list(proxy.state_dir.glob("inventory*"))
    assert len([event for event in proxy.all_events() if event["event"] == "upstream_certificate"]) == 1, "which needs none"


def test_it_works_without_an_audit_file(start, client):
    proxy = start(audit={"file": ""})
    log_in(proxy)
    wait_for_total(proxy, 1)
    assert not list(proxy.state_dir.glob("audit*"))


def test_another_file_may_be_named(start, client, directory):
    proxy = start(audit={"inventory": str(directory / "elsewhere.db")})
    log_in(proxy)
    proxy.stop()
    assert (directory / "elsewhere.db").exists() and not (proxy.state_dir / "inventory.db").exists()


@pytest.mark.parametrize("content, said", [(b"no database" * 100, "file is not a database"), (None, "made by a newer pgairlock")])
def test_a_file_that_cannot_be_used_stops_nobody(start, directory, content, said):
    path = directory / "inventory.db"
    if content:
        path.write_bytes(content)
    else:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    before = path.read_bytes()
    proxy = start(audit={"inventory": str(path)})
    log_in(proxy)
    assert f"cannot open inventory {path}: {said}" in proxy.event("inventory_failed")["message"]
    proxy.wait_for_log(re.escape(f"cannot open inventory {path}: {said}"))
    proxy.stop()
    assert path.read_bytes() == before  # it may be somebody else's


def started_again(start, proxy):
    again = start(runtime={"state_dir": str(proxy.state_dir)})
    again.state_dir = proxy.state_dir
    return again


def test_a_damaged_inventory_is_begun_anew_and_the_report_is_incomplete(start):
    proxy = start()
    log_in(proxy)
    proxy.stop()
    (proxy.state_dir / "inventory.db").write_bytes(b"hello\n")
    again = started_again(start, proxy)
    log_in(again)
    again.event("inventory_failed")
    again.stop()
    assert "without having written down all that it knew" in " ".join(incomplete(again.state_dir))
    assert [file.read_bytes() for file in proxy.state_dir.glob("inventory.db.damaged-*") if file.name[-1].isdigit()] == [b"hello\n"]


def test_a_locked_inventory_is_used_once_it_is_free(start):
    proxy = start()
    log_in(proxy)
    proxy.stop()
    path = proxy.state_dir / "inventory.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    again = started_again(start, proxy)
    again.event("inventory_failed")
    log_in(again)
    holder.execute("ROLLBACK")
    holder.close()
    again.wait_for_log("can be used again")
    log_in(again)
    again.stop()
    assert total(proxy.state_dir) == 2
    assert any("1 event dropped" in line for line in incomplete(proxy.state_dir))


def test_the_report_says_that_a_proxy_runs_without_its_inventory(start):
    proxy = start()
    log_in(proxy)
    proxy.stop()
    assert not incomplete(proxy.state_dir)
    path = proxy.state_dir / "inventory.db"
    version = rows(proxy.state_dir, "PRAGMA user_version")[0]["user_version"]
    change_version(path, 99)
    again = started_again(start, proxy)
    again.event("inventory_failed")
    change_version(path, version)  # as the report of the version that made it sees it
    assert "without having written down all that it knew" in " ".join(incomplete(proxy.state_dir))


def change_version(path, version):
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def test_a_fleet_database_that_cannot_be_reached_stops_nobody(start):
    proxy = start(audit={"inventory": "postgresql://u:p@127.0.0.1:1/nowhere"})
    log_in(proxy)
    wait_for_total(proxy, 1)


def test_a_folder_that_cannot_be_made_stops_nobody_who_needs_none(start):
    """Statistics alone would go there."""
    proxy = start(runtime={"state_dir": "/proc/nowhere"}, audit={"file": "-"})
    log_in(proxy)
    proxy.wait_for_log("Clients are served without it")
    quiet = start(runtime={"state_dir": "/proc/nowhere"}, audit={"file": "-", "inventory": ""})
    log_in(quiet)
    told = [line for line in quiet.log().splitlines() if "/proc/nowhere" in line and " info pgairlock " not in line]
    assert len(told) == 1 and " info no console: " in told[0]


def test_a_folder_that_is_needed_is_asked_for_by_its_key(run_proxy, pki, cluster):
    proxy = run_proxy(configuration(pki, [cluster.host], runtime={"state_dir": "/proc/nowhere"}), wait=False)
    proxy.expect_exit(2)
    assert "cannot create state directory /proc/nowhere" in proxy.log() and "runtime.state_dir" in proxy.log()


def test_kill_loses_only_the_latest_and_never_corrupts(start, fake, pki):
    upstream = fake(accepting(server_context(pki.server)))
    state_dir, lost = None, 0
    for _ in range(5):
        proxy = start([upstream.host], **({"runtime": {"state_dir": str(state_dir)}} if state_dir else {}))
        state_dir = proxy.state_dir = state_dir or proxy.state_dir
        known = kill_under_load(proxy, lost)
        assert rows(state_dir, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        assert rows(state_dir, "PRAGMA foreign_key_check") == []
        counted, happened = total(state_dir), connections(proxy)
        assert 0 < known <= counted <= happened - lost
        lost = happened - counted


def connections(proxy) -> int:
    return sum(event["event"] == "connected" for event in proxy.all_events())


def kill_under_load(proxy, lost) -> int:
    """At any moment; how many connections the inventory had a moment before."""
    def load():
        try:
            while True:
                log_in(proxy, application_name=f"app {random.randrange(200)}")
        except (OSError, EOFError, ErrorResponse):
            pass

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(random.random())
    happened = connections(proxy) + 20
    until(lambda: connections(proxy) >= happened, what="load")
    until(lambda: total(proxy.state_dir) >= happened - lost, what="the inventory follows")
    time.sleep(random.random())
    known = total(proxy.state_dir)
    proxy.expected_exit = -9
    proxy.kill()
    for thread in threads:
        thread.join()
    return known


def test_a_report_says_that_the_proxy_was_killed(start):
    proxy = start()
    log_in(proxy)
    wait_for_total(proxy, 1)
    assert incomplete(proxy.state_dir) == []
    proxy.expected_exit = -9
    proxy.kill()
    again = start(runtime={"state_dir": str(proxy.state_dir)})
    [said] = incomplete(proxy.state_dir)
    assert "1 time it was gone without having written down all that it knew" in said
    again.stop()
    assert incomplete(proxy.state_dir) == [said]
    start(runtime={"state_dir": str(proxy.state_dir)}).stop()
    assert incomplete(proxy.state_dir) == [said]


def incomplete(state_dir) -> list[str]:
    return json.loads(programs.pgairlock("report", "--state-dir", state_dir, "--format", "json", check=True).stdout)["summary"]["incomplete"]


# --- when it cannot be written


def test_a_full_disk_costs_nothing_but_time(start, client):
    proxy = start()
    log_in(proxy)
    wait_for_total(proxy, 1)
    size = (proxy.state_dir / "inventory.db-wal").stat().st_size
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    log_in(proxy, 10, application_name="while it is full")
    proxy.wait_for_log("inventory: cannot write .*inventory.db: .*; kept in memory")
    log_in(proxy, 10, application_name="still full")
    assert total(proxy.state_dir) == 1
    resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, unlimited)
    proxy.wait_for_log("inventory: .* can be written again")
    wait_for_total(proxy, 21)
    assert proxy.log().count("inventory: cannot write") == 1


def test_a_lock_held_by_somebody_else_costs_nothing_but_time(start, client):
    proxy = start()
    log_in(proxy)
    wait_for_total(proxy, 1)
    other = sqlite3.connect(proxy.state_dir / "inventory.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    log_in(proxy, 5)
    proxy.wait_for_log("inventory: cannot write .*database is locked")
    log_in(proxy, 5)  # connections do not wait for the inventory
    other.execute("ROLLBACK")
    other.close()
    wait_for_total(proxy, 11)


def test_a_directory_that_becomes_read_only_loses_nothing(start, client):
    proxy = start()
    proxy.state_dir.chmod(0o550)
    log_in(proxy, 5)
    wait_for_total(proxy, 5)
    proxy.state_dir.chmod(0o750)


# --- many proxies, one database


def same_rows(database, proxy, table, columns):
    """The database has exactly what the proxy's file has."""
    (instance,) = rows(proxy.state_dir, "SELECT value FROM meta WHERE key = 'instance'")
    theirs = database.sql(f"SELECT {columns} FROM pgairlock.{table} WHERE proxy = '{instance['value']}'")
    ours = [tuple(row.values()) for row in rows(proxy.state_dir, f"SELECT {columns} FROM {table}")]
    return sorted(theirs) == sorted(ours)


def test_counts_of_several_proxies_add_up(start, client, fleet_database):
    proxies = [start(audit={"inventory": fleet_database.url}) for _ in range(2)]
    for number, proxy in enumerate(proxies, 1):
        log_in(proxy, 3 * number, application_name="app")
        client(proxy).negotiate("sslrequest").login(application_name=f"only {number}")
        proxy.wait_for_log(r"inventory: shared in postgresql://pgairlock@127.0.0.1:\d+/inventory")
    until(lambda: fleet_database.total() == 11)
    assert fleet_database.sql("SELECT sum(connections) FROM pgairlock.clients WHERE application_name = 'app'") == [(9,)]
    assert fleet_database.sql("SELECT count(DISTINCT proxy) FROM pgairlock.clients") == [(2,)]
    for proxy in proxies:
        for table, columns in (("clients", "id, application_name, client_uid, connections, plain, last_seen"),
                               ("evidence", "client, evidence, certificate, count, session"), ("fingerprints", "client, ja4, sni, last_seen"),
                               ("days", "day, client, mode, connections"), ("upstream_certificates", "sha256, not_after, count, candidate_ok")):
            assert until(lambda: same_rows(fleet_database, proxy, table, columns), what=table)


def test_the_last_counts_arrive_before_the_end(start, fleet_database):
    proxy = start(audit={"inventory": fleet_database.url})
    proxy.wait_for_log("inventory: shared in")
    log_in(proxy, 7)
    proxy.stop()
    assert fleet_database.total() == 7


def test_nothing_is_lost_while_the_database_is_away(start, fleet_database):
    proxy = start(audit={"inventory": fleet_database.url})
    log_in(proxy, 2)
    until(lambda: fleet_database.total() == 2)
    fleet_database.cluster.stop()
    log_in(proxy, 5)
    proxy.wait_for_log("error inventory: cannot be shared in postgresql://pgairlock@127.0.0.1.* kept in")
    log_in(proxy, 6)
    wait_for_total(proxy, 13)
    fleet_database.start_again()
    until(lambda: fleet_database.total() == 13)
    until(lambda: proxy.log().count("inventory: shared in") == 2, what="the log says that it is back")
    # Once for each reason: it may have been asked while it started.
    assert len(re.findall("inventory: cannot be shared .*Connection refused", proxy.log())) == 1


def test_what_the_database_has_survives_its_crash_whatever_its_synchronous_commit(start, fleet_database):
    assert fleet_database.sql("SHOW synchronous_commit") == [("off",)]
    proxy = start(audit={"inventory": fleet_database.url})
    log_in(proxy, 2)
    until(lambda: fleet_database.total() == 2)
    fleet_database.cluster.stop()
    fleet_database.start_again()
    assert fleet_database.total() == 2


def test_what_was_not_sent_before_a_crash_is_sent_after_it(start, fleet_database):
    proxy = start(audit={"inventory": fleet_database.url})
    log_in(proxy, 2)
    until(lambda: fleet_database.total() == 2)
    fleet_database.cluster.stop()
    log_in(proxy, 5)
    wait_for_total(proxy, 7)
    proxy.expected_exit = -9
    proxy.kill()
    fleet_database.start_again()
    start(audit={"inventory": fleet_database.url}, runtime={"state_dir": str(proxy.state_dir)})
    until(lambda: fleet_database.total() == 7)


def test_a_database_that_is_away_holds_up_neither_start_nor_end(start, fake):
    silent = fake(lambda peer: peer.until_closed())  # accepts and never answers
    proxy = start(audit={"inventory": f"postgresql://pgairlock@{silent.host}/inventory"})
    log_in(proxy, 2)
    until(lambda: silent.peers, what="the proxy asks the database")
    proxy.stop()
    assert total(proxy.state_dir) == 2


@pytest.mark.parametrize("url", ["postgresql://pgairlock:Secret-broken-51c2/x@127.0.0.1/inventory",
                                 "postgresql://pgairlock:Secret@Secret-broken-51c2@127.0.0.1/inventory",
                                 "postgresql://127.0.0.1/inventory?Secret-broken-51c2"])
def test_a_broken_url_ends_the_start_without_being_quoted(run_proxy, pki, cluster, url):
    secrets.tell("Secret-broken-51c2")
    proxy = run_proxy(configuration(pki, [cluster.host], audit={"inventory": url}), wait=False)
    proxy.expect_exit(1)
    assert "error: audit.inventory: not a connection URI" in proxy.log()
