"""The monitor: one session of our own to each server, which asks what it is before clients come; and what becomes of sessions on a
server that was demoted."""

import os
import signal

import pytest

from harness import messages
from harness.cluster import Cluster
from harness.config import configuration
from harness.fake_upstream import server_context
from harness.http import scrape
from harness.secrets import tell_password
from harness.waiting import until
from test_console_sql import open_sessions, rows
from test_dashboard import get

PASSWORD = "Secret-monitor-91c2e7"
ADMIN = {"http": "127.0.0.1:0"}
USER = "pgairlock_monitor"
GRANT = f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'"
OURS = "SELECT pid, application_name FROM pg_stat_activity WHERE usename = 'pgairlock_monitor'"


def let_in(cluster):
    """As its documentation has it: the role, and a line of pg_hba.conf."""
    hba = cluster.data / "pg_hba.conf"
    hba.write_text(hba.read_text() + f"host postgres {USER} 127.0.0.1/32 scram-sha-256\nhost postgres {USER} ::1/128 scram-sha-256\n")
    cluster.sql("SELECT pg_reload_conf()")


@pytest.fixture
def password_file(directory):
    tell_password(PASSWORD)
    path = directory / "monitor-password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def monitored(start, password_file):
    """A proxy that asks its hosts often."""
    def make(hosts, upstream=None, **tables):
        keys = {"monitor_user": USER, "monitor_password_file": str(password_file), "monitor_interval": "300ms"}
        return start(hosts, admin=ADMIN, upstream={**keys, **(upstream or {})}, **tables)
    return make


@pytest.fixture
def primary(directory, template, pki):
    made = Cluster(directory / "primary", template, pki.server, pki.people.cert).start()
    made.sql(GRANT)
    let_in(made)
    yield made
    made.stop()


@pytest.fixture
def standby(directory, primary):
    made = primary.standby(directory / "standby")
    until(lambda: made.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", USER), what="the role has come")
    yield made
    made.stop()


def hosts(proxy) -> dict[str, dict]:
    return {host["address"]: host for host in get(proxy.http, "/api/hosts.json")["hosts"]}


def role(proxy, cluster):
    return hosts(proxy).get(cluster.host, {}).get("role")


def wait_for_role(proxy, cluster, wanted):
    until(lambda: role(proxy, cluster) == wanted, what=f"{cluster.host} is a {wanted}")


def monitor_answers(proxy, cluster):
    monitor = hosts(proxy).get(cluster.host, {}).get("monitor")
    return monitor and monitor["answered"] and not monitor["error"]


def only(wanted) -> dict[str, float]:
    return {name: float(name == wanted) for name in ("primary", "standby", "unknown")}


def role_metrics(proxy, cluster):
    return {labels["role"]: value for labels, value in scrape(proxy).of("upstream_host_role", upstream="orders", address=cluster.host)}


# --- roles, before any client comes


def test_roles_are_known_before_a_client_comes_and_a_promotion_is_seen_without_one(monitored, primary, standby):
    proxy = monitored([primary.host, standby.host])
    wait_for_role(proxy, primary, "primary")
    wait_for_role(proxy, standby, "standby")
    assert hosts(proxy)[standby.host]["role_source"] == "monitor"
    assert hosts(proxy)[standby.host]["up"] is True
    assert role_metrics(proxy, primary) == only("primary") and role_metrics(proxy, standby) == only("standby")
    assert scrape(proxy)("upstream_host_up", upstream="orders", address=standby.host) == 1
    known = {row[0]: row[1:] for row in rows(proxy.console, "SELECT host || ':' || port, role, role_source FROM hosts")}
    assert known == {primary.host: ["primary", "monitor"], standby.host: ["standby", "monitor"]}
    assert [{"primary", "standby"} & set(row) for row in rows(proxy.console, "SHOW HOSTS")] == [{"primary"}, {"standby"}]
    asked = {row[0]: row[1:] for row in rows(proxy.console, "SELECT address, role, in_recovery, read_only, monitor_error FROM monitored_hosts")}
    assert asked == {primary.host: ["primary", "f", "f", ""], standby.host: ["standby", "t", "t", ""]}

    standby.promote()
    wait_for_role(proxy, standby, "primary")
    event = proxy.event("host_role_changed", upstream_addr=standby.host)
    assert (event["upstream"], event["role_before"], event["role"], event["source"]) == ("orders", "standby", "primary", "monitor")
    assert event["session"] is None and event["host"] == standby.host
    assert role_metrics(proxy, standby) == only("primary")


def test_one_session_for_the_process_and_none_of_it_is_a_clients(monitored, connect, primary):
    """Whatever the threads, and however often it asks; nothing of it is in the audit's sessions, the inventory or the console."""
    before = len(primary.sql(OURS))
    proxy = monitored([primary.host], runtime={"threads": 4})
    until(lambda: monitor_answers(proxy, primary), what="an answer")
    (pid, name), = primary.sql(OURS)
    assert before == 0 and name == "pgairlock monitor"
    connect(proxy).close()
    proxy.event("disconnected")
    fds = len(proxy.fds())
    first = hosts(proxy)[primary.host]["monitor"]["answered"]
    for _ in range(10):
        last = hosts(proxy)[primary.host]["monitor"]["answered"]
        until(lambda: hosts(proxy)[primary.host]["monitor"]["answered"] != last, what="another answer")
    assert hosts(proxy)[primary.host]["monitor"]["answered"] > first
    assert primary.sql(OURS) == [(pid, name)]  # still the same one
    assert len(proxy.fds()) <= fds + 1  # the connection that asks for them
    open_sessions(proxy.console, 0)
    assert USER not in proxy.audit_text()
    clients = get(proxy.http, "/api/clients.json")
    assert USER not in str(clients)
    proxy.stop()
    until(lambda: not primary.sql(OURS), what="it has left")
    log = primary.log_file.read_text()
    assert "unexpected EOF" not in log and "could not receive data" not in log


def test_each_address_has_a_session_of_its_own_and_one_that_is_named_twice_has_one(monitored, primary):
    addresses = {f"127.0.0.1:{primary.port}", f"[::1]:{primary.port}"}
    proxy = monitored([*sorted(addresses), f"localhost:{primary.port}"])
    until(lambda: all((hosts(proxy)[one]["monitor"] or {}).get("answered") for one in addresses), what="both answer")
    shown = rows(proxy.console, "SELECT address, role FROM monitored_hosts ORDER BY address")
    assert shown == [[one, "primary"] for one in sorted(addresses)]
    assert sorted(primary.sql("SELECT client_addr::text FROM pg_stat_activity WHERE usename = %s", USER)) == [("127.0.0.1/32",), ("::1/128",)]


@pytest.mark.parametrize("sslmode", ["disable", "prefer"])
def test_where_clients_go_in_clear_a_password_is_proved_and_not_told(monitored, primary, sslmode):
    proxy = monitored([primary.host], upstream={"sslmode": sslmode, "sslrootcert": None})
    wait_for_role(proxy, primary, "primary")
    assert primary.sql("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = %s", USER) == [(sslmode == "prefer",)]


def test_where_one_encryption_is_refused_and_the_other_is_not_it_goes_on_asking(monitored, primary):
    """A server that refuses us altogether is left alone for 30 s; this one does not."""
    hba = primary.data / "pg_hba.conf"
    hba.write_text(f"hostnossl postgres {USER} all reject\n" + hba.read_text())
    primary.sql("SELECT pg_reload_conf()")
    proxy = monitored([primary.host], upstream={"sslmode": "allow", "sslrootcert": None})
    for _ in range(2):
        wait_for_role(proxy, primary, "primary")
        answered = hosts(proxy)[primary.host]["monitor"]["answered"]
        until(lambda: hosts(proxy)[primary.host]["monitor"]["answered"] > answered, what="it is asked again")
        primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", USER)
        until(lambda: monitor_answers(proxy, primary), what="a new session")


def test_a_reload_begins_and_ends_it(run_proxy, pki, primary, password_file):
    asked = {"monitor_user": USER, "monitor_password_file": str(password_file)}
    proxy = run_proxy(configuration(pki, [primary.host], admin=ADMIN))
    assert hosts(proxy)[primary.host]["monitor"] is None
    for _ in range(2):
        proxy.write_config(configuration(pki, [primary.host], admin=ADMIN, upstream=asked))
        proxy.signal(signal.SIGHUP)
        until(lambda: monitor_answers(proxy, primary), what="it is asked")
        assert len(primary.sql(OURS)) == 1
        proxy.write_config(configuration(pki, [primary.host], admin=ADMIN))
        proxy.signal(signal.SIGHUP)
        until(lambda: hosts(proxy)[primary.host]["monitor"] is None and not primary.sql(OURS), what="it has left")


def test_after_a_promotion_the_first_client_finds_the_new_primary(monitored, connect, primary, standby):
    proxy = monitored([primary.host, standby.host], upstream={"target_session_attrs": "read-write"})
    wait_for_role(proxy, primary, "primary")
    wait_for_role(proxy, standby, "standby")
    primary.stop()
    until(lambda: hosts(proxy)[primary.host]["up"] is False, what="it is gone")
    standby.promote()
    wait_for_role(proxy, standby, "primary")
    with connect(proxy, "scram_user", sslmode="require").cursor() as cursor:
        cursor.execute("CREATE TABLE written ()")
    event = proxy.event("connected")
    assert (event["upstream_addr"], event["failed_attempts"]) == (standby.host, 0)


def test_a_session_that_the_server_ends_is_made_anew(monitored, primary):
    proxy = monitored([primary.host])
    until(lambda: monitor_answers(proxy, primary), what="an answer")
    for _ in range(3):
        (pid, _), = primary.sql(OURS)
        primary.sql("SELECT pg_terminate_backend(%s)", pid)
        until(lambda: [row[0] for row in primary.sql(OURS)] not in ([], [pid]), what="another session")
        until(lambda: monitor_answers(proxy, primary), what="an answer")
    assert role(proxy, primary) == "primary"
    assert "host_role_changed" not in proxy.audit_text()


def test_a_server_that_was_away_is_asked_again(monitored, primary):
    proxy = monitored([primary.host])
    wait_for_role(proxy, primary, "primary")
    primary.stop()
    until(lambda: hosts(proxy)[primary.host]["up"] is False, what="it is told to be down, and no client came")
    assert hosts(proxy)[primary.host]["monitor"]["error"]
    assert scrape(proxy)("upstream_host_up", upstream="orders", address=primary.host) == 0
    primary.start_again()
    until(lambda: hosts(proxy)[primary.host]["up"] and monitor_answers(proxy, primary), what="it is up again")


def test_a_role_without_rights_to_write_is_not_taken_for_a_read_only_server(monitored, primary):
    primary.sql(f"ALTER ROLE {USER} SET default_transaction_read_only = on")
    proxy = monitored([primary.host])
    until(lambda: monitor_answers(proxy, primary), what="an answer")
    assert hosts(proxy)[primary.host]["monitor"]["read_only"] is False
    primary.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    primary.sql(f"ALTER ROLE {USER} RESET default_transaction_read_only")
    primary.sql("SELECT pg_reload_conf()")
    primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", USER)
    until(lambda: (hosts(proxy)[primary.host]["monitor"] or {}).get("read_only"), what="the whole server is read-only")
    assert role(proxy, primary) == "primary"


# --- what is wrong with it


def test_a_wrong_password_is_told_once_with_what_is_needed_and_a_right_one_is_taken_up(monitored, connect, primary, password_file):
    password_file.write_text("Secret-wrong-monitor-5aa1\n")
    tell_password("Secret-wrong-monitor-5aa1")
    proxy = monitored([primary.host])
    line = proxy.wait_for_log(r"the monitor cannot log in to .*28P01")
    until(lambda: "28P01" in ((hosts(proxy)[primary.host]["monitor"] or {}).get("error") or ""), what="it is shown")
    connect(proxy).close()  # clients are not concerned
    proxy.event("connected")
    assert proxy.log().count("the monitor cannot log in") == 1
    assert f"CREATE ROLE {USER} LOGIN" in proxy.log() and line
    password_file.write_text(PASSWORD + "\n")
    proxy.signal(signal.SIGHUP)
    wait_for_role(proxy, primary, "primary")
    assert proxy.log().count("the monitor cannot log in") == 1


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_password_file_that_others_may_read_is_refused(run_proxy, pki, cluster, password_file, mode):
    password_file.chmod(mode)
    if mode == 0o640 and os.getuid() == 0:
        pytest.skip("root's files may be read by a group, as PostgreSQL has it")
    upstream = {"monitor_user": USER, "monitor_password_file": str(password_file)}
    proxy = run_proxy(configuration(pki, [cluster.host], upstream=upstream), wait=False)
    proxy.expect_exit(2)
    assert "monitor_password_file" in proxy.log() or "monitor-password" in proxy.log()


def test_no_session_for_clients_is_lost_where_the_monitor_finds_no_slot(monitored, connect, primary):
    primary.sql(f"ALTER ROLE {USER} CONNECTION LIMIT 0")
    proxy = monitored([primary.host])
    until(lambda: "53300" in ((hosts(proxy).get(primary.host, {}).get("monitor") or {}).get("error") or ""), what="no slot")
    session = connect(proxy)
    with session.cursor() as cursor:
        cursor.execute("SELECT 1")
    primary.sql(f"ALTER ROLE {USER} CONNECTION LIMIT 1")
    wait_for_role(proxy, primary, "primary")


def test_a_host_that_swallows_everything_does_not_hold_up_the_others(monitored, fake, primary):
    """One takes the connection and is silent, another is silent after TLS."""
    hole = fake(lambda peer: peer.until_closed())
    proxy = monitored([hole.host, primary.host], upstream={"connect_timeout": "60s"})
    wait_for_role(proxy, primary, "primary")
    until(lambda: len(hole.peers) == 1, what="it is asked")
    answered = hosts(proxy)[primary.host]["monitor"]["answered"]
    until(lambda: hosts(proxy)[primary.host]["monitor"]["answered"] > answered, what="the other one is asked on and on")
    assert len(hole.peers) == 1 and hosts(proxy)[hole.host]["role"] is None


def test_a_server_with_another_certificate_hears_no_password(monitored, fake, pki):
    def script(peer):
        peer.open(server_context(pki.proxy))
        peer.until_closed()
    liar = fake(script)
    proxy = monitored([liar.host])
    until(lambda: "certificate refused" in ((hosts(proxy).get(liar.host, {}).get("monitor") or {}).get("error") or ""),
          what="it is refused")


@pytest.mark.parametrize("asked", [3, 5])
def test_the_password_is_told_to_a_verified_server_only_and_never_as_md5(monitored, fake, server_tls, asked):
    heard = []

    def script(peer):
        peer.open(server_tls)
        peer.send(messages.authentication(asked, b"salt" if asked == 5 else b""))
        try:
            heard.append(peer.message())
        except (EOFError, OSError):
            heard.append(None)

    server = fake(script)
    monitored([server.host])
    until(lambda: heard, what="an answer to what it asks for")
    assert heard[0] == ((b"p", PASSWORD.encode() + b"\0") if asked == 3 else None)


def test_a_server_that_answers_nonsense_or_without_end_is_none(monitored, fake, server_tls, primary):
    def script(peer):
        peer.open(server_tls)
        peer.ready()
        peer.message()
        peer.send(messages.message(b"D", b"\0\1" + (1000).to_bytes(4, "big") + b"x" * 1000) * 100)
        peer.until_closed()

    server = fake(script)
    proxy = monitored([server.host, primary.host])
    until(lambda: "longer than it may be" in ((hosts(proxy).get(server.host, {}).get("monitor") or {}).get("error") or ""),
          what="it is not believed")
    assert hosts(proxy)[server.host]["role"] is None
    wait_for_role(proxy, primary, "primary")


# --- a fake Aurora, and people who may create functions and operators

AURORA = """
SET allow_system_table_mods = on;
CREATE FUNCTION pg_catalog.aurora_db_instance_identifier() RETURNS text LANGUAGE sql AS $$ SELECT 'orders-1'::text $$;
CREATE FUNCTION pg_catalog.aurora_replica_status(OUT server_id text, OUT session_id text, OUT durable_lsn bigint,
  OUT replica_lag_in_msec double precision, OUT last_update_timestamp timestamptz) RETURNS SETOF record LANGUAGE sql AS $$
  VALUES ('orders-1', 'MASTER_SESSION_ID', 1::bigint, NULL::float8, pg_catalog.now()), ('orders-2', '5c1f', 1, 17.5, pg_catalog.now()),
         ('orders-3', '5c20', 1, 17.5, pg_catalog.now() - interval '301 s') $$;
"""

HOSTILE = """
CREATE TABLE public.taken (what text); GRANT INSERT, SELECT ON public.taken TO PUBLIC;
CREATE SCHEMA hostile; GRANT USAGE ON SCHEMA hostile TO PUBLIC;
CREATE FUNCTION hostile.taken(what text) RETURNS void LANGUAGE sql AS $$ INSERT INTO public.taken VALUES (what) $$;
CREATE FUNCTION hostile.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS $$ SELECT hostile.taken('pg_is_in_recovery'); SELECT true $$;
CREATE FUNCTION hostile.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT hostile.taken('current_setting'); SELECT 'on'::text $$;
CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT hostile.taken('now'); SELECT pg_catalog.now() $$;
CREATE FUNCTION hostile.date_part(text, interval) RETURNS float8 LANGUAGE sql AS $$ SELECT hostile.taken('date_part'); SELECT 0::float8 $$;
CREATE FUNCTION hostile.aurora_db_instance_identifier() RETURNS text LANGUAGE sql AS $$ SELECT hostile.taken('identifier'); SELECT 'evil'::text $$;
CREATE FUNCTION hostile.aurora_replica_status(OUT server_id text, OUT session_id text, OUT replica_lag_in_msec float8,
  OUT last_update_timestamp timestamptz) RETURNS SETOF record LANGUAGE sql AS $$
  SELECT hostile.taken('status'); VALUES ('evil'::text, 'MASTER_SESSION_ID'::text, 0::float8, pg_catalog.now()) $$;
CREATE VIEW hostile.pg_settings AS SELECT 'default_transaction_read_only'::text AS name, 'default'::text AS source,
  hostile.taken('pg_settings')::text AS setting;
CREATE FUNCTION hostile.same(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT hostile.taken('=') ; SELECT true $$;
CREATE FUNCTION hostile.less(timestamptz, timestamptz) RETURNS interval LANGUAGE sql AS $$ SELECT hostile.taken('-'); SELECT interval '0' $$;
CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.same);
CREATE OPERATOR hostile.- (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = hostile.less);
GRANT SELECT ON ALL TABLES IN SCHEMA hostile TO PUBLIC;
ALTER ROLE pgairlock_monitor SET search_path = hostile, pg_catalog;
"""


def test_auroras_topology_is_read_and_nothing_of_the_search_path_is_run(monitored, connect, primary):
    primary.sql(HOSTILE)
    proxy = monitored([primary.host])
    until(lambda: monitor_answers(proxy, primary), what="an answer")
    assert hosts(proxy)[primary.host]["monitor"]["instance"] is None  # it is no Aurora, whatever somebody's schema has
    primary.sql(AURORA)
    until(lambda: hosts(proxy)[primary.host]["monitor"]["instance"], what="it is Aurora now")
    monitor = hosts(proxy)[primary.host]["monitor"]
    assert monitor["instance"] == "orders-1" and monitor["in_recovery"] is False
    assert monitor["cluster"] == [{"id": "orders-1", "writer": True, "lag_ms": 0}, {"id": "orders-2", "writer": False, "lag_ms": 17.5}]
    assert primary.sql("SELECT * FROM taken") == []
    assert role(proxy, primary) == "primary"
    # And these would have been called by who does not qualify.
    session = connect(primary.address, USER, password=PASSWORD, sslmode="require")
    session.autocommit = False
    with session.cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        assert cursor.fetchone() == (True,)
        cursor.execute("SELECT what FROM public.taken")
        assert cursor.fetchall() == [("pg_is_in_recovery",)]


# --- on_demotion


def test_sessions_on_a_demoted_server_end_once_they_are_idle(monitored, connect, client, primary):
    """A server that takes no writes any more, and stays: as Aurora's old writer, which no standby of PostgreSQL can become without a
    restart. It says so as a whole."""
    proxy = monitored([primary.host], upstream={"target_session_attrs": "read-write", "on_demotion": "close"})
    wait_for_role(proxy, primary, "primary")
    idle, in_transaction = client(proxy), connect(proxy)
    idle.login()
    in_transaction.autocommit = False
    with in_transaction.cursor() as cursor:
        cursor.execute("SELECT 1")
    asleep = primary.put_to_sleep(client(proxy))

    primary.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    primary.sql("SELECT pg_reload_conf()")
    told = idle.fatal()
    assert (told.sqlstate, told.message) == ("57P01", "terminating connection due to administrator command")
    ended = proxy.event("disconnected")
    assert (ended["reason"], ended["sqlstate"]) == ("host_demoted", "57P01")
    # Who is at work is not disturbed.
    with in_transaction.cursor() as cursor:
        cursor.execute("SELECT 2")
        assert cursor.fetchone() == (2,)
    assert len(proxy.events("disconnected")) == 1
    in_transaction.rollback()
    assert [event["reason"] for event in proxy.events("disconnected", 2)] == ["host_demoted"] * 2
    primary.sql("SELECT pg_cancel_backend(%s)", asleep.backend_pid)
    assert [event["reason"] for event in proxy.events("disconnected", 3)] == ["host_demoted"] * 3


def test_what_a_client_was_told_is_why_its_session_ended_whatever_comes_next(monitored, client, primary):
    proxy = monitored([primary.host], upstream={"target_session_attrs": "read-write", "on_demotion": "close"},
                      runtime={"drain_timeout": "1s"})
    wait_for_role(proxy, primary, "primary")
    idle = client(proxy)
    idle.login()
    primary.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    primary.sql("SELECT pg_reload_conf()")
    assert idle.error().sqlstate == "57P01"
    proxy.stop()  # a drain, while the client has yet to close
    ended = proxy.event("disconnected")
    assert (ended["reason"], ended["sqlstate"]) == ("host_demoted", "57P01")


# As Aurora's old writer, which is a reader within a second and keeps its sessions: the planner takes the body of an SQL function.
READER = "CREATE OR REPLACE FUNCTION pg_catalog.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS $$ SELECT true $$"


def test_sessions_on_a_writer_that_has_become_a_reader_end_and_others_stay(monitored, connect, primary, standby):
    proxy = monitored([primary.host, standby.host], upstream={"target_session_attrs": "primary", "on_demotion": "close"})
    wait_for_role(proxy, primary, "primary")
    wait_for_role(proxy, standby, "standby")
    sessions = [connect(proxy) for _ in range(3)]
    standby.promote()
    wait_for_role(proxy, standby, "primary")
    # That alone says nothing of the other one, which still takes writes.
    with sessions[0].cursor() as cursor:
        cursor.execute("CREATE TABLE written ()")
    assert "host_demoted" not in proxy.audit_text()

    primary.sql("SET allow_system_table_mods = on; " + READER)
    change = proxy.event("host_role_changed", upstream_addr=primary.host)
    assert (change["role_before"], change["role"], change["source"]) == ("primary", "standby", "monitor")
    assert [event["reason"] for event in proxy.events("disconnected", 3)] == ["host_demoted"] * 3
    session = connect(proxy)
    assert proxy.events("connected", 4)[3]["upstream_addr"] == standby.host
    with session.cursor() as cursor:
        cursor.execute("CREATE TABLE written_too ()")
    assert len(proxy.events("disconnected", 3)) == 3


def test_without_on_demotion_sessions_stay(monitored, connect, primary):
    proxy = monitored([primary.host], upstream={"target_session_attrs": "read-write"})
    wait_for_role(proxy, primary, "primary")
    session = connect(proxy)
    primary.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    primary.sql("SELECT pg_reload_conf()")
    until(lambda: hosts(proxy)[primary.host]["monitor"]["read_only"], what="it is seen")
    answered = hosts(proxy)[primary.host]["monitor"]["answered"]
    until(lambda: hosts(proxy)[primary.host]["monitor"]["answered"] > answered, what="and once more")
    with session.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert "host_demoted" not in proxy.audit_text()
