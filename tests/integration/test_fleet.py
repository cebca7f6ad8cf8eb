"""Many proxies and the one database of all: through a pooler, started together, and what one of them does for the others."""

import json
import re
import shutil
import subprocess

import pytest

from harness.fleet import PASSWORD
from harness.inventory import version
from harness.pgbouncer import BINARY, Pgbouncer
from harness.programs import REPOSITORY, pgairlock
from harness.waiting import until
from test_inventory import log_in

DAY = 86_400_000_000


@pytest.fixture
def pooler(directory, fleet_database):
    """One connection to the database, for whoever comes: what a transaction leaves in it would be the next one's."""
    if not BINARY.exists():
        pytest.skip("no pgbouncer")
    made = Pgbouncer(directory / "pooler", f"inventory = host=127.0.0.1 port={fleet_database.cluster.port} dbname=inventory user=pgairlock password='{PASSWORD}'",
                     "default_pool_size = 1\n")
    yield made.start()
    made.stop()


def url_of(pooler):
    return f"postgresql://pgairlock@127.0.0.1:{pooler.port}/inventory?sslmode=disable"


def connections(database):
    return database.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'pgairlock'")[0][0]


def report(url):
    return json.loads(pgairlock("report", "--inventory", url, "--format", "json").stdout)


def test_many_proxies_share_one_connection_of_a_pooler_in_transaction_mode(start, fleet_database, pooler):
    # The program of a client is not always found in time on a busy machine, and one name would be two clients.
    proxies = [start(audit={"inventory": url_of(pooler), "process_owner": False}) for _ in range(4)]
    for number, proxy in enumerate(proxies, 1):
        log_in(proxy, number, application_name=f"app {number}")
    until(lambda: fleet_database.total() == 10)
    assert connections(fleet_database) == 1
    log_in(proxies[0], 5, application_name="app 1")
    until(lambda: fleet_database.total() == 15)
    assert {client["application_name"]: client["connections"] for client in report(url_of(pooler))["clients"]} == {
        "app 1": 6, "app 2": 2, "app 3": 3, "app 4": 4}
    for proxy in proxies:
        assert "cannot be shared" not in proxy.log()
        proxy.stop()
    assert fleet_database.sql("SELECT count(*) FROM pgairlock.proxies WHERE ended > 0") == [(4,)]


def test_what_people_say_of_clients_goes_through_a_pooler(start, fleet_database, pooler):
    log_in(start(audit={"inventory": url_of(pooler)}), application_name="nightly")
    until(lambda: fleet_database.total() == 1)
    pgairlock("client", "accept", "--inventory", url_of(pooler), "--application", "nightly", "--owner", "batch", "--reason", "ends in June")
    [client] = report(url_of(pooler))["clients"]
    assert client["accepted"]["owner"] == "batch"


def test_a_pooler_that_is_away_for_a_while_costs_nothing(start, fleet_database, pooler):
    proxy = start(audit={"inventory": url_of(pooler)})
    log_in(proxy, 2)
    until(lambda: fleet_database.total() == 2)
    pooler.stop()
    log_in(proxy, 3)
    proxy.wait_for_log("error inventory: cannot be shared in")
    pooler.start()
    until(lambda: fleet_database.total() == 5)


def test_proxies_of_a_large_fleet_that_are_started_together_come_one_after_the_other(start, fleet_database):
    start(audit={"inventory": fleet_database.url}).wait_for_log("inventory: shared in")
    fleet_database.sql("UPDATE pg_class SET reltuples = 50000 WHERE oid = 'pgairlock.proxies'::regclass")
    proxies = [start(audit={"inventory": fleet_database.url}, log={"level": "debug"}) for _ in range(4)]
    pauses = [int(re.search(r"first copy in (\d+) ms", proxy.wait_for_log(r"large fleet: first copy in \d+ ms"))[1]) for proxy in proxies]
    assert len(set(pauses)) > 1 and 0 <= min(pauses) and max(pauses) <= 60_000


def test_a_large_fleet_is_not_alarmed_by_one_copy_that_failed(start, fleet_database):
    """Its proxies ask again only after longer than a small one's are patient."""
    start(audit={"inventory": fleet_database.url}).wait_for_log("inventory: shared in")
    fleet_database.sql("UPDATE pg_class SET reltuples = 10000 WHERE oid = 'pgairlock.proxies'::regclass")
    proxy = start(audit={"inventory": fleet_database.url})
    proxy.wait_for_log("inventory: shared in")
    fleet_database.cluster.stop()
    log_in(proxy)
    proxy.wait_for_log("error inventory: cannot be shared in")
    fleet_database.start_again()

    def is_shared_again():
        log_in(proxy)  # whatever is to be told is told when there is something to write
        return proxy.log().count("inventory: shared in") == 2
    until(is_shared_again, interval=0.5)
    assert [event for event in proxy.all_events() if event["event"] == "inventory_failed"] == []


def test_whoever_ends_before_its_turn_has_sent_everything(start, fleet_database):
    start(audit={"inventory": fleet_database.url}).wait_for_log("inventory: shared in")
    fleet_database.sql("UPDATE pg_class SET reltuples = 50000 WHERE oid = 'pgairlock.proxies'::regclass")
    for _ in range(3):
        proxy = start(audit={"inventory": fleet_database.url}, log={"level": "debug"})
        proxy.wait_for_log("large fleet: first copy in")
        log_in(proxy, 2)
        proxy.stop()
    assert fleet_database.total() == 6


def test_one_proxy_of_the_fleet_forgets_for_all_once_a_day(start, fleet_database):
    def gone_proxy():
        fleet_database.sql("INSERT INTO pgairlock.proxies SELECT 'gone', 'gone', 'gone', version, listeners, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0 FROM pgairlock.proxies")

    def is_there():
        return fleet_database.sql("SELECT count(*) FROM pgairlock.proxies WHERE proxy = 'gone'") == [(1,)]
    start(audit={"inventory": fleet_database.url}).wait_for_log("inventory: shared in")
    gone_proxy()
    second = start(audit={"inventory": fleet_database.url})
    second.wait_for_log("inventory: shared in")
    assert is_there(), "the first one has had its turn today"
    fleet_database.sql(f"UPDATE pgairlock.meta SET value = split_part(value, ' ', 1)::bigint - {DAY} || ' ' || split_part(value, ' ', 2) WHERE key = 'pruned'")
    third = start(audit={"inventory": fleet_database.url})
    third.wait_for_log("inventory: the proxy gone was not here within the retention: forgotten in")
    until(lambda: not is_there())


def test_who_wants_to_forget_sooner_does_not_wait_for_its_turn(start, fleet_database):
    start(audit={"inventory": fleet_database.url}).wait_for_log("inventory: shared in")
    fleet_database.sql("INSERT INTO pgairlock.proxies SELECT 'gone', 'gone', 'gone', version, listeners, 1, 1, last_seen - 8 * 86400000000, 0, 0, 0, 0, 0, 0, 0 "
                       "FROM pgairlock.proxies")
    start(audit={"inventory": fleet_database.url, "inventory_retention": "7d"}).wait_for_log("inventory: the proxy gone was not here within the retention")
    until(lambda: fleet_database.sql("SELECT count(*) FROM pgairlock.proxies WHERE proxy = 'gone'") == [(0,)])


def test_a_database_that_is_slow_is_not_sent_everything_again(start, fleet_database):
    """Else it would have the more to do the less it can."""
    fleet_database.sql("ALTER ROLE pgairlock SET lock_timeout = '100ms'")
    proxy = start(audit={"inventory": fleet_database.url})
    log_in(proxy, application_name="before")
    until(lambda: fleet_database.total() == 1)

    def first_row():
        return fleet_database.sql("SELECT xmin::text FROM pgairlock.clients WHERE application_name = 'before'")
    written = first_row()
    admin = fleet_database.cluster.admin("inventory")
    with admin.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE pgairlock.clients IN SHARE ROW EXCLUSIVE MODE")
        log_in(proxy, application_name="during")
        proxy.wait_for_log("error inventory: cannot be shared in .*lock timeout")
        cursor.execute("ROLLBACK")
    admin.close()
    until(lambda: fleet_database.total() == 2)
    assert first_row() == written


def test_a_database_of_a_newer_version_is_left_alone_and_gets_everything_from_the_updated_proxy(start, fleet_database):
    """Also what was seen meanwhile. The update is played by the version that the database says it has."""
    start(audit={"inventory": fleet_database.url}).wait_for_log("inventory: shared in")
    fleet_database.sql("UPDATE pgairlock.meta SET value = '999' WHERE key = 'version'")
    old = start(audit={"inventory": fleet_database.url})
    old.wait_for_log(rf"error inventory: cannot be shared in .*the schema pgairlock is of version 999, this program knows {version()}")
    log_in(old, 3)
    assert fleet_database.total() == 0
    fleet_database.sql(f"UPDATE pgairlock.meta SET value = '{version()}' WHERE key = 'version'")
    until(lambda: fleet_database.total() == 3)


def statements(heading):
    """The SQL that docs/fleet.md has below that heading."""
    text = (REPOSITORY / "docs/fleet.md").read_text()
    return re.search(rf"^#+ {re.escape(heading)}$.*?```sql\n(.*?)```", text, re.M | re.S)[1]


def as_owner(database, text):
    connection = database.cluster.admin("inventory")
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE pgairlock")
        cursor.execute(text)
    connection.close()


def test_days_may_be_partitioned_as_the_documentation_says(start, fleet_database):
    proxy = start(audit={"inventory": fleet_database.url})
    log_in(proxy, 2)
    until(lambda: fleet_database.total(table="days") == 2)
    proxy.stop()
    as_owner(fleet_database, statements("Partitions"))
    again = start(audit={"inventory": fleet_database.url}, runtime={"state_dir": str(proxy.state_dir)})
    other = start(audit={"inventory": fleet_database.url})
    log_in(again, 3)
    log_in(other, 4)
    until(lambda: fleet_database.total(table="days") == 9)
    assert report(fleet_database.url)["summary"]["connections"] == 9
    assert fleet_database.sql("SELECT count(*) FROM pg_inherits WHERE inhparent = 'pgairlock.days'::regclass") == [(16,)]
    assert "cannot be shared" not in again.log() + other.log()


def test_proxies_that_ended_long_ago_are_deleted_by_the_statements_of_the_documentation(start, fleet_database):
    """With all they had seen; those that are there, or were killed, stay."""
    names = ("ended", "killed", "there")
    proxies = {name: start(runtime={"name": name}, audit={"inventory": fleet_database.url}) for name in names}
    for proxy in proxies.values():
        log_in(proxy)
    until(lambda: fleet_database.total() == 3)
    proxies["ended"].stop()
    proxies["killed"].expected_exit = -9
    proxies["killed"].kill()
    fleet_database.sql(f"UPDATE pgairlock.proxies SET last_seen = last_seen - 31 * {DAY}::bigint WHERE name <> 'there'")
    as_owner(fleet_database, statements("Proxies that come and go"))
    assert sorted(fleet_database.sql("SELECT name FROM pgairlock.proxies")) == [("killed",), ("there",)]
    for table in ("clients", "days", "evidence", "upstream_certificates"):
        assert fleet_database.sql(f"SELECT count(DISTINCT proxy) FROM pgairlock.{table}") == [(2,)], table


def test_promtool_takes_the_configurations_of_the_documentation(directory):
    if not shutil.which("promtool"):
        pytest.skip("no promtool")
    text = (REPOSITORY / "docs/fleet.md").read_text()
    found = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", text, re.S))
    assert sorted(found) == ["agent.yml", "global.yml", "site.rules.yml", "site.yml"]
    for name, content in found.items():
        (directory / name).write_text(content)
    (directory / "remote-write.token").write_text("token")
    shutil.copy(REPOSITORY / "deploy/prometheus/pgairlock.rules.yml", directory)
    for arguments in (["config", "site.yml"], ["config", "global.yml"], ["config", "--agent", "agent.yml"], ["rules", "site.rules.yml"]):
        done = subprocess.run(["promtool", "check", *arguments], cwd=directory, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
