"""discover: instances of a cluster that the monitor has found, by Aurora's own names, which lead to real PostgreSQL servers here."""

import signal
import subprocess

import pytest

from harness.cluster import Cluster
from harness.config import configuration
from harness.waiting import until
from test_console_sql import rows
from test_dashboard import get
from test_monitor import ADMIN, GRANT, USER, let_in, password_file  # noqa: F401 fixtures

DOMAIN = "abc123.eu-west-1.rds.amazonaws.com"
CLUSTER = f"orders.cluster-{DOMAIN}"
FIRST, SECOND = (f"orders-{number}.{DOMAIN}" for number in (1, 2))

# Each server's own name is its cluster_name; what they tell of each other is a table, which standbys have too.
AURORA = """
SET allow_system_table_mods = on;
CREATE TABLE public.topology (server_id text, session_id text, age interval); GRANT SELECT ON public.topology TO PUBLIC;
INSERT INTO public.topology VALUES ('orders-1', 'MASTER_SESSION_ID', '0 s'), ('orders-2', '5c1f', '1 s');
CREATE FUNCTION pg_catalog.aurora_db_instance_identifier() RETURNS text LANGUAGE sql AS $$ SELECT pg_catalog.current_setting('cluster_name') $$;
CREATE FUNCTION pg_catalog.aurora_replica_status(OUT server_id text, OUT session_id text, OUT durable_lsn bigint,
  OUT replica_lag_in_msec double precision, OUT last_update_timestamp timestamptz) RETURNS SETOF record LANGUAGE sql AS $$
  SELECT t.server_id, t.session_id, 1::bigint, 12.5::float8, pg_catalog.now() - t.age FROM public.topology AS t $$;
"""


@pytest.fixture(scope="module", autouse=True)
def may_name_hosts():
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no mount namespace, in which names lead where the test wants them")


@pytest.fixture
def names(directory):
    """What names lead to, for a proxy that is started with `wrapper`. Written in place: it is bound over /etc/hosts."""
    class Names(dict):
        file = directory / "hosts"
        wrapper = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(file))

        def lead(self, **_):
            self.file.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in self.items()))

    made = Names({CLUSTER: "127.0.0.2", FIRST: "127.0.0.2", SECOND: "127.0.0.3"})
    made.lead()
    return made


def settle(cluster, instance, address, port=None):
    """At an address of its own, as this instance."""
    with open(cluster.data / "postgresql.conf", "a", encoding="utf-8") as file:
        file.write(f"listen_addresses = '{address}'\ncluster_name = '{instance}'\n")
    if port:
        cluster.port = port
    return cluster


@pytest.fixture
def certificate(pki):
    return pki.leaf(pki.new, "orders.aurora", tuple(f"DNS:{name}" for name in (CLUSTER, FIRST, SECOND)))


@pytest.fixture
def writer(directory, template, pki, certificate):
    made = settle(Cluster(directory / "writer", template, certificate, pki.people.cert), "orders-1", "127.0.0.2").start()
    made.sql(GRANT)
    let_in(made)
    made.sql(AURORA)
    yield made
    made.stop()


@pytest.fixture
def reader(directory, writer):
    made = writer.standby(directory / "reader")
    made.shut_down()
    settle(made, "orders-2", "127.0.0.3", writer.port).start_again()
    until(lambda: made.sql("SELECT 1 FROM pg_catalog.pg_class WHERE relname = 'topology'"), what="the topology has come")
    yield made
    made.stop()


@pytest.fixture
def discovering(run_proxy, pki, names, password_file, writer):
    def make(**upstream):
        keys = {"monitor_user": USER, "monitor_password_file": str(password_file), "monitor_interval": "300ms", "discover": True,
                "target_session_attrs": "read-write", "connect_timeout": "2s", **upstream}
        return run_proxy(configuration(pki, [f"{CLUSTER}:{writer.port}"], admin=ADMIN, upstream=keys), wrapper=names.wrapper)
    return make


def hosts(proxy):
    return get(proxy.http, "/api/hosts.json")["hosts"]


def found(proxy) -> set[str]:
    return {host["host"].rpartition(":")[0] for host in hosts(proxy) if host["discovered"]}


def asked_again(proxy, address):
    def answered():
        return {host["address"]: (host["monitor"] or {}).get("answered") for host in hosts(proxy)}.get(address)
    for _ in range(3):
        before = answered()
        until(lambda: answered() != before, what="another answer")


def test_after_a_crash_clients_find_the_new_writer_where_the_clusters_name_does_not_lead_yet(discovering, connect, writer, reader):
    proxy = discovering()
    until(lambda: found(proxy) == {FIRST, SECOND}, what="both are found")
    proxy.wait_for_log(f"the host {SECOND}:{writer.port} was found, and is used")
    with connect(proxy, sslmode="require").cursor() as cursor:
        cursor.execute("SELECT current_setting('cluster_name')")
        assert cursor.fetchone() == ("orders-1",)
    shown = rows(proxy.console, "SELECT host, discovered FROM hosts ORDER BY host")
    assert shown == [[FIRST, "t"], [SECOND, "t"], [CLUSTER, "f"]]
    # The address that two names lead to is asked once.
    asked = rows(proxy.console, "SELECT host, address, instance, discovered FROM monitored_hosts ORDER BY address")
    assert asked == [[f"{CLUSTER}:{writer.port}", f"127.0.0.2:{writer.port}", "orders-1", "f"],
                     [f"{SECOND}:{writer.port}", f"127.0.0.3:{writer.port}", "orders-2", "t"]]
    assert [row[-1] for row in rows(proxy.console, "SHOW HOSTS")] == ["f", "t", "t"]

    writer.stop()
    reader.promote()
    until(lambda: {host["address"]: host["role"] for host in hosts(proxy)}.get(f"127.0.0.3:{writer.port}") == "primary", what="it is promoted")
    with connect(proxy, sslmode="require").cursor() as cursor:
        cursor.execute("CREATE TABLE written ()")
    event = proxy.events("connected", 2)[1]
    assert event["upstream_addr"] == f"127.0.0.3:{writer.port}"
    assert found(proxy) == {FIRST, SECOND}  # one that does not answer stays
    change = proxy.event("host_role_changed", upstream_addr=f"127.0.0.3:{writer.port}")
    assert change["host"] == f"{SECOND}:{writer.port}"


def test_no_server_sends_clients_elsewhere(discovering, connect, names, writer, reader):
    """Names that are none, a name that leads to another instance, one that leads to a server with another certificate, and a stale one."""
    names |= {f"billing-1.{DOMAIN}": "127.0.0.3", f"orders-3.{DOMAIN}": "127.0.0.2", "evil.example": "127.0.0.3"}
    names.lead()
    writer.sql("INSERT INTO topology SELECT id, '5c20', '0 s' FROM unnest(ARRAY['evil.example', 'Orders-9', 'billing-1', 'orders-3', "
               "'a/b', '-x', '', E'a\\nb', repeat('y', 64), 'evil.example:5432']) AS id")
    writer.sql("INSERT INTO topology VALUES ('orders-4', '5c21', '301 s')")
    proxy = discovering(target_session_attrs="any", load_balance_hosts="random")
    until(lambda: found(proxy) == {FIRST, SECOND}, what="both are found")
    asked_again(proxy, f"127.0.0.2:{writer.port}")
    asked_again(proxy, f"127.0.0.3:{writer.port}")
    assert found(proxy) == {FIRST, SECOND}
    known = {row[0].rpartition(":")[0] for row in rows(proxy.console, "SELECT host FROM monitored_hosts")}
    assert known <= {CLUSTER, FIRST, SECOND, f"billing-1.{DOMAIN}", f"orders-3.{DOMAIN}"}
    assert "evil" not in str(hosts(proxy))
    for _ in range(10):
        connect(proxy, sslmode="require").close()
    met = {event["upstream_addr"] for event in proxy.events("connected", 10)}
    assert met <= {f"127.0.0.2:{writer.port}", f"127.0.0.3:{writer.port}"}


def test_a_host_that_is_found_is_verified_by_its_own_name(discovering, connect, pki, names, writer, reader):
    """The certificate has every name but this one's."""
    other = pki.leaf(pki.new, "orders.other", (f"DNS:{CLUSTER}", f"DNS:{FIRST}"))
    (reader.data / "server.crt").write_text(other.cert.read_text())
    (reader.data / "server.key").write_text(other.key.read_text())
    reader.sql("SELECT pg_reload_conf()")
    proxy = discovering(load_balance_hosts="random", target_session_attrs="any")
    def refused():
        return [row[0] for row in rows(proxy.console, "SELECT monitor_error FROM monitored_hosts WHERE address = '127.0.0.3:%d'" % writer.port)]
    until(lambda: refused() and "certificate refused" in refused()[0], what="it is refused")
    assert found(proxy) <= {FIRST}
    for _ in range(10):
        connect(proxy, sslmode="require").close()
    assert {event["upstream_addr"] for event in proxy.events("connected", 10)} == {f"127.0.0.2:{writer.port}"}


def test_without_discover_nothing_is_found_and_nobody_else_is_asked(discovering, connect, writer, reader):
    proxy = discovering(discover=False)
    until(lambda: any((host["monitor"] or {}).get("cluster") for host in hosts(proxy)), what="the topology is read")
    asked_again(proxy, f"127.0.0.2:{writer.port}")
    assert [(host["host"], host["discovered"]) for host in hosts(proxy)] == [(f"{CLUSTER}:{writer.port}", False)]
    assert reader.sql("SELECT 1 FROM pg_stat_activity WHERE usename = %s", USER) == []
    connect(proxy, sslmode="require").close()
    assert proxy.event("connected")["upstream_addr"] == f"127.0.0.2:{writer.port}"


def test_a_reload_without_discover_forgets_what_was_found(discovering, pki, names, password_file, writer, reader):
    proxy = discovering()
    until(lambda: found(proxy) == {FIRST, SECOND}, what="both are found")
    asked = {"monitor_user": USER, "monitor_password_file": str(password_file)}
    proxy.write_config(configuration(pki, [f"{CLUSTER}:{writer.port}"], admin=ADMIN, upstream=asked))
    proxy.signal(signal.SIGHUP)
    until(lambda: not found(proxy), what="only the configured one is left")
    until(lambda: not reader.sql("SELECT 1 FROM pg_stat_activity WHERE usename = %s", USER), what="it has left")
