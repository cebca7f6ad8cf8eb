"""Who goes around the proxy: what the monitor sees in the servers' own lists of their sessions, and `pgairlock sample`."""

import re
import signal
import subprocess
import time

import psycopg2
import psycopg2.extras
import pytest

from harness import programs
from harness.config import configuration
from harness.programs import pgairlock
from harness.waiting import PATIENCE, until
from test_inventory import rows
from test_monitor import ADMIN, PASSWORD, USER, hosts, monitored, password_file, primary  # noqa: F401 - fixtures
from test_upgrade import generations, start_one  # noqa: F401 - fixtures

GRANT = f"GRANT pg_read_all_stats TO {USER}"
KEYS = {"sample_interval": "1s"}


@pytest.fixture
def sampled(monitored, primary):  # noqa: F811
    """A proxy that looks at the sessions of its server every second."""
    primary.sql(GRANT)

    def make(upstream=None, **tables):
        return monitored([primary.host], upstream={**KEYS, **(upstream or {})}, **tables)
    return make


def looks(state_dir) -> int:
    return sum(row["looks"] for row in rows(state_dir, "SELECT looks FROM sampling"))


def wait_for_looks(state_dir, more: int) -> None:
    """So many that have begun after this was called: the next one may have begun before."""
    before = looks(state_dir)
    until(lambda: looks(state_dir) > before + more, what=f"{more} looks")


def sessions(state_dir, application) -> list[dict]:
    return rows(state_dir, f"SELECT * FROM sampled_sessions WHERE application_name = '{application}' ORDER BY version, through")


def wait_for(state_dir, application) -> dict:
    until(lambda: sessions(state_dir, application), what=f"{application} is seen")
    (row,) = sessions(state_dir, application)
    return row


def test_whoever_is_at_the_server_is_told_by_whence_how_and_whether_through_the_proxy(sampled, connect, primary, pki, directory):  # noqa: F811
    proxy = sampled(runtime={"threads": 2})
    held = [connect(proxy, application_name=f"through {i}", sslmode=sslmode) for i, sslmode in enumerate(("disable", "require", "disable", "require"))]
    held += [connect(primary, application_name="around in clear"), connect(primary, application_name="around in clear")]
    held += [connect(primary, "tls_user", application_name="around in TLS", sslmode="require")]
    person, key = pki.leaf(pki.people, "cert_user"), directory / "person.key"
    key.write_bytes(person.key.read_bytes())
    key.chmod(0o600)
    held += [connect(primary, "cert_user", application_name="with certificate", sslmode="require", sslcert=str(person.cert), sslkey=str(key))]
    held += [connect(primary, application_name="by IPv6", host="::1")]
    held += [connect(primary, "postgres", application_name="by socket", host=str(primary.directory))]
    standby = psycopg2.connect(host="127.0.0.1", port=primary.port, user="repl_user", dbname="postgres", application_name="standby",
                               connection_factory=psycopg2.extras.LogicalReplicationConnection)
    for i in range(4):
        row = wait_for(proxy.state_dir, f"through {i}")
        # The server's side of it: our own connection, and so our address and TLS.
        assert (row["through"], row["version"], row["client_addr"]) == (1, "TLSv1.3", "127.0.0.1")
        assert (row["usename"], row["datname"], row["upstream"], row["upstream_addr"]) == ("trust_user", "postgres", "orders", primary.host)
    row = wait_for(proxy.state_dir, "around in clear")
    assert (row["through"], row["version"], row["cipher"], row["client_addr"], row["usename"]) == (0, "", "", "127.0.0.1", "trust_user")
    assert row["sessions"] == 2
    row = wait_for(proxy.state_dir, "around in TLS")
    assert (row["through"], row["version"], row["usename"]) == (0, "TLSv1.3", "tls_user") and row["cipher"].startswith("TLS_")
    assert wait_for(proxy.state_dir, "with certificate")["client_dn"] == "/CN=cert_user"
    assert wait_for(proxy.state_dir, "by IPv6")["client_addr"] == "::1"
    row = wait_for(proxy.state_dir, "by socket")
    assert (row["client_addr"], row["usename"], row["version"]) == ("local", "postgres", "")
    assert wait_for(proxy.state_dir, "standby")["usename"] == "repl_user"
    wait_for_looks(proxy.state_dir, 2)
    row = wait_for(proxy.state_dir, "around in clear")
    assert row["looks"] >= 3 and row["seen"] == 2 * row["looks"] and row["sessions"] == 2 and row["last_seen"] > row["first_seen"]
    (server,) = rows(proxy.state_dir, "SELECT * FROM sampling")
    assert (server["upstream"], server["upstream_addr"], server["hidden"], server["proxying"]) == ("orders", primary.host, 0, 1)
    assert (server["interval"], server["error"]) == (1_000_000, "") and server["looks"] >= row["looks"]
    standby.close()
    # The monitor's own session is nobody's.
    assert rows(proxy.state_dir, f"SELECT * FROM sampled_sessions WHERE usename = '{USER}'") == []


def test_a_session_that_no_two_looks_have_seen_is_no_claim(sampled, connect, primary):  # noqa: F811
    proxy = sampled()
    until(lambda: looks(proxy.state_dir) > 0, what="it looks")
    for _ in range(20):
        connect(primary, application_name="short").close()
        connect(proxy, application_name="short").close()
    wait_for_looks(proxy.state_dir, 2)
    assert sessions(proxy.state_dir, "short") == []


def test_what_goes_on_at_the_server_after_its_client_has_left_is_not_called_somebody_elses(sampled, connect, primary):  # noqa: F811
    proxy = sampled()
    until(lambda: looks(proxy.state_dir) > 0, what="it looks")
    client = connect(proxy, application_name="lingers")
    pid = client.info.backend_pid
    with primary.admin() as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(7)")
        running = subprocess.Popen(["/usr/bin/python3", "-c", "import psycopg2, sys\n"
                                    "psycopg2.connect(sys.argv[1]).cursor().execute('SELECT pg_advisory_lock(7)')",
                                    f"host={proxy.address[0]} port={proxy.address[1]} user=trust_user dbname=postgres sslmode=disable application_name=waits"])
        waiting = "SELECT pid FROM pg_stat_activity WHERE application_name = 'waits' AND wait_event = 'advisory'"
        (lingering,) = until(lambda: primary.sql(waiting), what="it waits")
        running.kill()
        running.wait()
        wait_for_looks(proxy.state_dir, 4)
        assert primary.sql(waiting) == [lingering]
        assert {row["through"] for row in sessions(proxy.state_dir, "waits")} == {1}
    assert pid != lingering[0]


def test_without_the_right_nobody_is_claimed_and_the_log_says_what_to_grant(monitored, connect, primary):  # noqa: F811
    proxy = monitored([primary.host], upstream=KEYS)
    connect(primary, application_name="around")
    until(lambda: rows(proxy.state_dir, "SELECT * FROM sampling WHERE hidden > 1 AND left_out > 0"), what="it looks, and is not shown")
    (server,) = rows(proxy.state_dir, "SELECT * FROM sampling")
    assert server["hidden"] == server["looks"] and server["failed"] == 0
    assert rows(proxy.state_dir, "SELECT * FROM sampled_sessions") == []
    assert proxy.log().count(GRANT) == 1
    primary.sql(GRANT)
    assert wait_for(proxy.state_dir, "around")["through"] == 0
    hidden = rows(proxy.state_dir, "SELECT hidden FROM sampling")
    wait_for_looks(proxy.state_dir, 2)
    assert rows(proxy.state_dir, "SELECT hidden FROM sampling") == hidden
    assert proxy.log().count(GRANT) == 1


def test_a_server_that_does_not_answer_is_counted_with_its_words(sampled, primary):  # noqa: F811
    proxy = sampled()
    until(lambda: looks(proxy.state_dir) > 0, what="it looks")
    primary.stop()
    until(lambda: rows(proxy.state_dir, "SELECT 1 FROM sampling WHERE failed > 1"), what="it fails")
    (server,) = rows(proxy.state_dir, "SELECT * FROM sampling")
    assert server["error"] and server["last_failure"] > server["last_look"]


def test_names_are_stored_by_the_operators_pattern(sampled, connect, primary):  # noqa: F811
    proxy = sampled(audit={"application_name_pattern": "[0-9]+"})
    connect(primary, application_name="job 17")
    connect(primary, application_name="job 18")
    until(lambda: [row["sessions"] for row in sessions(proxy.state_dir, "job *")] == [2], what="both are one")


def test_a_reload_ends_and_begins_it(run_proxy, pki, connect, primary, password_file):  # noqa: F811
    primary.sql(GRANT)
    asked = {"monitor_user": USER, "monitor_password_file": str(password_file), "monitor_interval": "300ms"}
    proxy = run_proxy(configuration(pki, [primary.host], admin=ADMIN, upstream={**asked, "sample_interval": "0s"}))

    def answered() -> str:
        return ((hosts(proxy).get(primary.host) or {}).get("monitor") or {}).get("answered") or ""

    def several_answers() -> None:
        for _ in range(8):
            last = answered()
            until(lambda: answered() != last, what="an answer")
    several_answers()
    assert rows(proxy.state_dir, "SELECT * FROM sampling") == []
    proxy.write_config(configuration(pki, [primary.host], admin=ADMIN, upstream={**asked, **KEYS}))
    proxy.signal(signal.SIGHUP)
    wait_for_looks(proxy.state_dir, 1)
    proxy.write_config(configuration(pki, [primary.host], admin=ADMIN, upstream={**asked, "sample_interval": "0s"}))
    proxy.signal(signal.SIGHUP)
    proxy.events("reloaded", 2)
    several_answers()
    before = looks(proxy.state_dir)
    several_answers()
    assert looks(proxy.state_dir) == before


def test_a_fleets_database_has_it_too(sampled, connect, primary, fleet_database):  # noqa: F811
    proxy = sampled(audit={"inventory": fleet_database.url})
    connect(primary, application_name="around")
    connect(proxy, application_name="through")
    wait_for(proxy.state_dir, "through")
    wait_for(proxy.state_dir, "around")
    both = [("around", 0), ("through", 1)]
    until(lambda: fleet_database.total("seen", "sampled_sessions") >= 2, what="the copy")
    until(lambda: fleet_database.sql("SELECT application_name, through FROM pgairlock.sampled_sessions WHERE application_name <> '' ORDER BY 1") == both,
          what="both")
    ((interval, proxying, count),) = fleet_database.sql("SELECT interval, proxying, looks FROM pgairlock.sampling")
    assert (interval, proxying) == (1_000_000, 1) and count > 0


def test_sessions_of_the_process_that_was_replaced_are_not_called_somebody_elses(generations, start_one, connect, primary, password_file):  # noqa: F811
    primary.sql(GRANT)
    proxy = start_one([primary.host], upstream={"monitor_user": USER, "monitor_password_file": str(password_file), **KEYS}, admin=ADMIN)
    held = connect(proxy, application_name="of the old one")
    assert wait_for(proxy.state_dir, "of the old one")["through"] == 1
    generations.upgraded()
    around = connect(primary, application_name="around")
    connect(proxy, application_name="of the new one")
    until(lambda: sessions(proxy.state_dir, "of the new one"), what="the new one looks")
    wait_for_looks(proxy.state_dir, 3)
    assert {row["through"] for row in sessions(proxy.state_dir, "of the old one")} == {1}
    assert {row["through"] for row in sessions(proxy.state_dir, "of the new one")} == {1}
    assert sessions(proxy.state_dir, "around") == []  # whose it is, nobody can say as long as there are two
    assert rows(proxy.state_dir, "SELECT 1 FROM sampling WHERE left_out > 0")
    held.close()

    def is_seen_again():
        connect(primary, application_name="around later")
        time.sleep(1)
        return sessions(proxy.state_dir, "around later")
    until(is_seen_again, what="the new one is alone")
    assert {row["through"] for row in sessions(proxy.state_dir, "around later")} == {0}
    assert sessions(proxy.state_dir, "around") == []  # it may have been the old one's, for as long as it lasts
    around.close()
    assert {row["through"] for row in sessions(proxy.state_dir, "of the old one")} == {1}


# --- the command


@pytest.fixture
def sample(directory, pki, primary, password_file):  # noqa: F811
    """`pgairlock sample` as the monitor's role."""
    def run(*arguments, user=USER, password=password_file, **options):
        return pgairlock("sample", "--upstream", primary.host, "--user", user, *(["--password-file", password] if password else []), "--sslrootcert", pki.new.cert,
                         "--state-dir", directory / "sampled", "--interval", "1s", *arguments, **options)
    return run


def test_one_command_shows_who_is_connected_in_clear(sample, connect, directory, primary):  # noqa: F811
    primary.sql(GRANT)
    connect(primary, application_name="old program")
    connect(primary, application_name="old program")
    connect(primary, "tls_user", application_name="new program", sslmode="require")
    done = sample("--count", "2")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["TLS", "CLIENT", "USER", "DATABASE", "APPLICATION", "SESSIONS", "SEEN"]
    assert re.fullmatch(r"in clear +127\.0\.0\.1 +trust_user +postgres +old program +2 +4", lines[1])
    assert re.fullmatch(r"TLSv1\.3 +127\.0\.0\.1 +tls_user +postgres +new program +1 +2", lines[2])
    assert "3 sessions, of these 2 in clear" in lines and f"{primary.host}: 2 looks" in lines
    assert f"pgairlock report --state-dir {directory / 'sampled'}" in lines[-1]
    assert rows(directory / "sampled", "SELECT looks, proxying, hidden FROM sampling") == [{"looks": 2, "proxying": 0, "hidden": 0}]
    assert {(row["application_name"], row["through"]) for row in rows(directory / "sampled", "SELECT * FROM sampled_sessions")} == {("old program", 0), ("new program", 0)}
    assert pgairlock("report", "--state-dir", directory / "sampled").returncode == 0


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_until_it_is_told_to_end(pki, connect, directory, primary, password_file, end):  # noqa: F811
    primary.sql(GRANT)
    connect(primary, application_name="old program")
    with subprocess.Popen(programs.with_death_signal([programs.PGAIRLOCK, "sample", "--upstream", primary.host, "--user", USER, "--password-file", str(password_file),
                                                      "--sslrootcert", str(pki.new.cert), "--state-dir", str(directory / "sampled"), "--interval", "1s"]),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        until(lambda: (directory / "sampled/inventory.db").exists() and rows(directory / "sampled", "SELECT name FROM sqlite_master WHERE name = 'sampling'")
              and looks(directory / "sampled") > 1, what="it looks")
        running.send_signal(end)
        out, errors = running.communicate(timeout=PATIENCE)
    assert (running.returncode, errors) == (0, "") and "old program" in out


def test_a_password_is_found_as_libpq_finds_it(sample, directory, primary, monkeypatch):  # noqa: F811
    primary.sql(GRANT)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert sample("--count", "1", password=None).returncode == 0
    monkeypatch.delenv("PGPASSWORD")
    passfile = directory / "pgpass"
    passfile.write_text(f"127.0.0.1:{primary.port}:postgres:{USER}:{PASSWORD}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    assert sample("--count", "1", password=None).returncode == 0


def test_what_cannot_be_seen_is_an_error_that_says_what_to_do(sample, directory, primary, monkeypatch):  # noqa: F811
    hidden = sample("--count", "1")
    assert (hidden.returncode, hidden.stdout) == (1, "") and GRANT in hidden.stderr
    monkeypatch.setenv("PGPASSWORD", "wrong")
    refused = sample("--count", "1", password=None)
    assert refused.returncode == 1 and "28P01" in refused.stderr and "wrong" not in refused.stderr
    primary.stop()
    away = sample("--count", "1")
    assert away.returncode == 1 and primary.host in away.stderr


def test_a_state_directory_of_a_proxy_that_runs_is_left_alone(sampled, primary, pki, password_file):  # noqa: F811
    proxy = sampled()
    until(lambda: looks(proxy.state_dir) > 0, what="it looks")
    done = pgairlock("sample", "--upstream", primary.host, "--user", USER, "--password-file", password_file, "--sslrootcert", pki.new.cert, "--count", "1",
                     "--state-dir", proxy.state_dir)
    assert done.returncode == 1 and f"is used by process {proxy.process.pid}" in done.stderr and "--state-dir" in done.stderr
    wait_for_looks(proxy.state_dir, 1)


@pytest.mark.parametrize("arguments, says", [
    (["--upstream", "db:5432"], "no role is given"), (["--user", "x"], "--upstream"), (["--upstream", "db:5432", "--user", "x", "--interval", "5"], "--interval"),
    (["--upstream", "db:5432", "--user", "x", "--count", "0"], "--count"), (["--upstream", "db:5432", "--user", "x", "--count", "1", "--for", "5s"], "--for"),
    (["--upstream", "db:x", "--user", "x"], "db:x"), (["--upstream", "db:5432", "--user", "x", "--sslrootcert", "/nowhere.pem"], "/nowhere.pem")])
def test_what_is_typed_wrong_is_told(arguments, says, monkeypatch):
    monkeypatch.delenv("PGUSER", raising=False)
    done = pgairlock("sample", *arguments)
    assert done.returncode == 2 and says in done.stderr
