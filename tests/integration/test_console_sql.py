"""SQL on the console: what it shows of real sessions, to real clients; commands and who may give them; and hostile peers."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading

import asyncpg
import psycopg
import psycopg2
import pytest

from harness import messages, programs
from harness.waiting import PATIENCE, until
from harness.wire import Client

NOBODY = 65534

# Verbatim from the Amazon RDS user guide, "Using SSL/TLS with a PostgreSQL DB instance".
AWS = """select datname, usename, ssl, client_addr
from pg_stat_ssl inner join pg_stat_activity on pg_stat_ssl.pid = pg_stat_activity.pid
where ssl is true and usename<>'rdsadmin';"""


def psql(console, sql, *arguments, user=None, check=True):
    folder, _, port = console.rpartition("/.s.PGSQL.")
    command = [programs.postgres_bin() / "psql", "-X", "-At", "-h", folder, "-p", port, "-c", sql, *arguments, "pgairlock"]
    if user is not None:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--", *command]
    return programs.run(command, check=check)


def rows(console, sql):
    return [line.split("|") for line in psql(console, sql).stdout.splitlines()]


def sqlstate(console, sql, **options):
    done = psql(console, sql, "-v", "VERBOSITY=sqlstate", check=False, **options)
    assert done.returncode != 0, done.stdout
    return done.stderr.strip().rpartition(" ")[2]


def open_sessions(console, count):
    """Waits until so many are seen: a client knows of its login a moment before the console does."""
    until(lambda: rows(console, "SELECT count(*) FROM pg_stat_activity") == [[str(count)]], what=f"{count} open sessions")


def where(proxy):
    return {"host": os.path.dirname(proxy.console), "port": 6434, "user": "somebody"}


@pytest.fixture
def talk(client):
    def make(console, **parameters):
        raw = client(console)
        raw.login("somebody", **parameters)
        return raw
    return make


@pytest.fixture
def others(directory):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    return f"{directory}/console/.s.PGSQL.7000"


# --- what it shows


def test_the_query_of_amazons_guide_works_as_it_is_written(start, connect):
    proxy = start()
    plain = connect(proxy)
    tls = connect(proxy, sslmode="require")
    open_sessions(proxy.console, 2)
    assert rows(proxy.console, AWS) == [["postgres", "trust_user", "t", "127.0.0.1"]]
    tls.close()
    until(lambda: psql(proxy.console, AWS).stdout == "")
    plain.close()


def test_a_session_is_shown_from_its_login_to_its_end_and_then_as_one_that_ended(start, connect):
    proxy = start()
    connection = connect(proxy, application_name="report", sslmode="require")
    pid = connection.get_backend_pid()
    open_sessions(proxy.console, 1)
    [[name, user, application, addr, state, backend]] = rows(
        proxy.console, "SELECT session, usename, application_name, client_addr, state, backend_pid FROM pg_stat_activity")
    assert (user, application, addr, state, backend) == ("trust_user", "report", "127.0.0.1", "idle", str(pid))
    connected = proxy.event("connected")
    assert connected["session"] == name
    with connection.cursor() as cursor:
        cursor.execute("SELECT repeat('x', 100000)")
    until(lambda: int(rows(proxy.console, "SELECT bytes_from_server FROM open_sessions")[0][0]) > 100_000, what="what it was sent is counted")
    assert rows(proxy.console, "SELECT count(*) FROM sessions") == [["0"]]
    connection.close()
    ended = proxy.event("disconnected")
    until(lambda: rows(proxy.console, "SELECT count(*) FROM sessions") == [["1"]])
    assert rows(proxy.console, "SELECT session, usename, ssl, version, bytes_from_server, reason FROM sessions") == [
        [name, "trust_user", "t", connected["version"], str(ended["bytes_from_server"]), ended["reason"]]]
    assert rows(proxy.console, "SELECT count(*) FROM pg_stat_activity") == [["0"]]


def test_a_transaction_and_a_query_at_work_are_seen(start, connect, client):
    proxy = start()
    connection = connect(proxy)
    connection.autocommit = False
    connection.cursor().execute("SELECT 1")
    until(lambda: rows(proxy.console, "SELECT state FROM pg_stat_activity") == [["idle in transaction"]])
    connection.rollback()
    until(lambda: rows(proxy.console, "SELECT state FROM pg_stat_activity") == [["idle"]])
    raw = client(proxy)
    raw.login()
    raw.send(messages.query("SELECT pg_sleep(1000)"))
    until(lambda: rows(proxy.console, "SELECT state FROM pg_stat_activity ORDER BY pid") == [["idle"], ["active"]])


def test_the_inventory_is_asked_and_its_lack_is_told(start, connect):
    proxy = start()
    connect(proxy).close()
    until(lambda: rows(proxy.console, "SELECT usename, plain > 0 FROM clients") == [["trust_user", "1"]])
    assert rows(proxy.console, "SELECT count(*) FROM clients c JOIN evidence e ON e.client = c.id WHERE e.evidence = 'clear_startup'") == [["1"]]
    assert len(rows(proxy.console, "SELECT sha256 FROM upstream_certificates WHERE not_after > now()")) == 1
    assert len(rows(proxy.console, "SHOW CERTIFICATES")) == 1
    without = start(audit={"inventory": ""})
    assert sqlstate(without.console, "SELECT * FROM clients") == "57P03"
    assert rows(without.console, "SELECT count(*) FROM sessions") == [["0"]]


def test_an_inventory_that_is_away_is_told_and_holds_up_nothing_else(start, directory, connect):
    proxy = start(audit={"inventory": str(directory / "missing" / "inventory.db")})
    connect(proxy).close()
    assert sqlstate(proxy.console, "SELECT * FROM clients") == "57P03"
    until(lambda: rows(proxy.console, "SELECT count(*) FROM sessions") == [["1"]])


def test_counters_events_and_configuration_are_asked(start, connect):
    proxy = start()
    connect(proxy).close()
    proxy.event("disconnected")
    until(lambda: rows(proxy.console, "SELECT event, usename FROM events WHERE event IN ('connected', 'disconnected') ORDER BY ts")
          == [["connected", "trust_user"], ["disconnected", "trust_user"]])
    stats = dict(rows(proxy.console, "SELECT name, value FROM stats"))
    assert (stats["sessions"], stats["events_connected"], stats["sessions_open"]) == ("1", "1", "0")
    assert int(stats["bytes_from_server"]) >= 0
    config = dict(rows(proxy.console, "SELECT key, setting FROM config"))
    assert config["runtime.max_connections"] == "10000"
    assert any(key.startswith("upstream.") and key.endswith(".sslmode") for key in config)


def test_no_secret_is_in_the_configuration_that_is_shown(run_proxy, pki, cluster):
    from harness.config import configuration
    proxy = run_proxy(configuration(pki, [cluster.host], audit={"inventory": "postgresql://spy:hush@127.0.0.1:1/x?password=hush2"}))
    text = psql(proxy.console, "SELECT * FROM config").stdout + psql(proxy.console, "SHOW CONFIG").stdout
    assert "127.0.0.1:1/x" in text and "hush" not in text


# --- its clients


def test_psql_lists_expands_and_watches(start, connect):
    proxy = start()
    connection = connect(proxy)
    open_sessions(proxy.console, 1)
    listed = psql(proxy.console, "\\d").stdout
    assert "public|pg_stat_activity|view|pgairlock" in listed and "public|clients|view|pgairlock" in listed
    assert "usename | trust_user" in psql(proxy.console, "SELECT usename FROM pg_stat_activity", "-x", "--no-align").stdout.replace("|", " | ")
    folder, _, port = proxy.console.rpartition("/.s.PGSQL.")
    watching = subprocess.Popen([programs.postgres_bin() / "psql", "-X", "-At", "-h", folder, "-p", port, "pgairlock"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    watching.stdin.write("SELECT usename FROM pg_stat_activity \\watch 0.1\n")
    watching.stdin.flush()
    seen = 0
    while seen < 3:
        seen += watching.stdout.readline().strip() == "trust_user"
    watching.send_signal(signal.SIGINT)
    watching.stdin.close()
    watching.wait(PATIENCE)
    watching.stdout.close()
    connection.close()


def test_what_is_not_there_is_an_error_and_never_the_end(start):
    connection = psycopg2.connect(dbname="pgairlock", **where(start()))
    connection.autocommit = True
    cursor = connection.cursor()
    for sql, state in [("SELECT * FROM nobody", "42P01"), ("SELECT nobody FROM sessions", "42703"), ("SELECT 1 +", "42601"),
                       ("SELECT * FROM pg_catalog.pg_ts_config", "42P01"), ("SELECT nobody(1)", "42883"), ("NONSENSE", "42601"),
                       ("PAUSE", "0A000"), ("PRAGMA user_version", "42601"), ("ATTACH 'x' AS y", "42601"), ("SHOW nothing", "42704"),
                       ("SELECT * FROM sqlite_master", "42P01"), ("INSERT INTO sessions VALUES (1)", "42601"),
                       ("WITH x AS (SELECT 1) DELETE FROM sessions", "42601"), ("SELECT load_extension('x')", "42883")]:
        with pytest.raises(psycopg2.Error) as told:
            cursor.execute(sql)
        assert told.value.pgcode == state, (sql, told.value)
    with pytest.raises(psycopg2.errors.SyntaxError, match="SHOW HELP"):
        cursor.execute("NONSENSE")
    cursor.execute("SELECT 1")
    connection.close()


def test_psycopg_3_with_parameters_in_text_and_in_binary(start, connect):
    proxy = start()
    through = connect(proxy)
    open_sessions(proxy.console, 1)
    with psycopg.connect(dbname="pgairlock", autocommit=True, **where(proxy)) as connection:
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            cursor.execute("SELECT pid, usename, client_addr, client_port, backend_start, datid, query FROM pg_stat_activity WHERE usename = %s"
                           " AND backend_start > %s", ("trust_user", "2020-01-01"))
            pid, usename, addr, port, since, datid, query = cursor.fetchone()
            assert isinstance(pid, int) and (usename, str(addr), datid, query) == ("trust_user", "127.0.0.1", None, "")
            assert isinstance(port, int) and since.year >= 2026
            cursor.execute("SELECT ssl, weak FROM pg_stat_ssl WHERE pid = %s", (pid,))
            assert cursor.fetchone() == (False, True)
            cursor.execute("SELECT count(*), now() - max(backend_start) FROM pg_stat_activity LIMIT %s", (1,))
            count, age = cursor.fetchone()
            assert count == 1 and age.total_seconds() >= 0
        for _ in range(7):  # prepares it by itself
            assert connection.execute("SELECT usename FROM open_sessions WHERE pid = %s", (pid,)).fetchall() == [("trust_user",)]
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM nobody WHERE a = %s", (1,))
        assert connection.execute("SHOW VERSION").fetchone()[0].startswith("pgairlock ")
    with psycopg.connect(dbname="pgairlock", **where(proxy)) as connection:  # in a transaction
        with connection.cursor(name="by_parts") as cursor:
            with pytest.raises(psycopg.errors.SyntaxError):
                cursor.execute("SELECT * FROM pg_stat_activity")  # DECLARE
        connection.rollback()
        assert connection.execute("SELECT usename FROM pg_stat_activity").fetchall() == [("trust_user",)]
    through.close()


def test_asyncpg_which_asks_for_everything_in_binary(start, connect):
    proxy = start()
    through = connect(proxy, sslmode="require")
    open_sessions(proxy.console, 1)

    async def ask():
        connection = await asyncpg.connect(database="pgairlock", **where(proxy))
        row = await connection.fetchrow("SELECT a.pid, a.usename, a.client_addr, a.backend_start, s.ssl, s.version, s.bits, a.backend_pid "
                                        "FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) WHERE a.usename = $1", "trust_user")
        assert row["ssl"] is True and row["usename"] == "trust_user" and str(row["client_addr"]) == "127.0.0.1"
        assert row["backend_start"].year >= 2026 and row["bits"] >= 128 and row["backend_pid"] == through.get_backend_pid()
        assert await connection.fetchval("SELECT usename FROM open_sessions WHERE pid = $1", row["pid"]) == "trust_user"
        assert await connection.fetchval("SELECT count(*) FROM pg_stat_activity") == 1
        assert await connection.fetchval("SELECT version()") == (await connection.fetchrow("SELECT version() AS v"))["v"]
        assert [r["key"] for r in await connection.fetch("SELECT key FROM config LIMIT $1", 2)] == ["log.level", "log.format"]
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.fetch("SELECT * FROM nobody")
        with pytest.raises(asyncpg.UndefinedColumnError):
            await connection.fetch("SELECT nobody FROM sessions WHERE pid = $1", 1)
        async with connection.transaction():
            found = [r["name"] async for r in connection.cursor("SELECT name FROM stats", prefetch=2)]
        assert "sessions_open" in found and len(found) > 10
        assert (await connection.fetch("SHOW CLIENTS"))[0]["user"] == "trust_user"
        await connection.execute("SET application_name = 'x'")
        await connection.reset()
        await connection.close()
    asyncio.run(ask())
    through.close()


JAVA = """
import java.sql.*;
public class Ask {
    public static void main(String[] arguments) throws Exception {
        try (Connection c = DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + arguments[0] + "/pgairlock", "somebody", "")) {
            for (int i = 0; i < 8; ++i) {
                try (PreparedStatement s = c.prepareStatement(
                         "SELECT pid, usename, client_port, ssl, backend_start FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE usename = ?")) {
                    s.setString(1, "trust_user");
                    ResultSet r = s.executeQuery();
                    while (r.next())
                        System.out.println(r.getString(2) + " " + (r.getInt(3) > 0) + " " + r.getBoolean(4) + " " + (r.getTimestamp(5).getTime() > 0));
                }
            }
            try (Statement s = c.createStatement()) {
                s.executeQuery("SELECT * FROM nobody");
            } catch (SQLException e) {
                System.out.println(e.getSQLState());
            }
            System.out.println(c.isValid(10) + " " + c.getMetaData().getDatabaseProductName());
        }
    }
}
"""
JDBC = "/usr/share/java/postgresql.jar"


@pytest.fixture
def over_tcp():
    """A console behind a TCP port, for a driver that knows no UNIX-domain sockets."""
    listeners = []

    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def make(console):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                server = socket.socket(socket.AF_UNIX)
                server.connect(console)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()
        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    yield make
    for listener in listeners:
        listener.close()


@pytest.mark.skipif(not (shutil.which("java") and os.path.exists(JDBC)), reason="no Java, or no pgjdbc")
def test_pgjdbc_with_prepared_statements(start, connect, over_tcp, directory):
    proxy = start()
    through = connect(proxy, sslmode="require")
    open_sessions(proxy.console, 1)
    (directory / "Ask.java").write_text(JAVA)
    done = programs.run(["java", "-cp", JDBC, str(directory / "Ask.java"), str(over_tcp(proxy.console))])
    assert done.stdout.splitlines() == ["trust_user true true true"] * 8 + ["42P01", "true PostgreSQL"]
    through.close()


# --- SHOW


def columns(console, sql):
    connection = psycopg2.connect(host=os.path.dirname(console), port=6434, dbname="pgairlock", user="any")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found = [column.name for column in cursor.description], cursor.fetchall()
    connection.close()
    return found


def test_show_has_the_columns_that_pgbouncers_users_read(start, connect):
    proxy = start()
    connection = connect(proxy, application_name="x")
    open_sessions(proxy.console, 1)
    for command, wanted in [("CLIENTS", {"type", "user", "database", "state", "addr", "port", "application_name", "tls", "connect_time"}),
                            ("SERVERS", {"type", "user", "database", "state", "addr", "remote_pid"}),
                            ("POOLS", {"database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "maxwait", "maxwait_us", "pool_mode"}),
                            ("STATS", {"database", "total_received", "total_sent", "total_query_count"}),
                            ("STATS_TOTALS", {"database", "bytes_received", "bytes_sent", "query_count"}),
                            ("DATABASES", {"name", "host", "port", "database", "pool_size", "max_connections", "current_connections"}),
                            ("HOSTS", {"upstream", "host", "port"})]:
        names, found = columns(proxy.console, f"SHOW {command}")
        assert wanted <= set(names), command
        assert len(found) == 1, command
    names, found = columns(proxy.console, "SHOW LISTS")
    assert names == ["list", "items"] and dict(found)["used_clients"] == 1
    names, found = columns(proxy.console, "SHOW CONFIG")
    assert names == ["key", "value", "default", "changeable"] and len(found) > 50
    assert columns(proxy.console, "SHOW CAPTURES")[1] == []
    help_ = psql(proxy.console, "SHOW HELP").stdout
    for word in ("SHOW CLIENTS", "SHOW STATS_TOTALS", "KILL", "RELOAD", "DRAIN", "SHUTDOWN", "pg_stat_activity"):
        assert word in help_
    connection.close()


@contextlib.contextmanager
def connection_to(proxy):
    connection = psycopg2.connect(dbname="pgairlock", **where(proxy))
    connection.autocommit = True
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize("word", ["PAUSE", "PAUSE orders", "RESUME", "DISABLE orders", "ENABLE orders", "RECONNECT", "SUSPEND", "WAIT_CLOSE", "KILL_CLIENT 7",
                                  "SHUTDOWN WAIT_FOR_SERVERS", "SHUTDOWN WAIT_FOR_CLIENTS", "SHOW ACTIVE_SOCKETS", "SHOW SOCKETS", "SHOW FDS", "SHOW MEM",
                                  "SHOW DNS_HOSTS", "SHOW DNS_ZONES", "SHOW PEERS", "SHOW PEER_POOLS", "SHOW STATE", "SHOW STATS_AVERAGES"])
def test_a_word_that_only_pgbouncer_has_is_told_what_there_is_instead(start, word):
    with connection_to(start()) as connection:
        with pytest.raises(psycopg2.errors.FeatureNotSupported) as told:
            connection.cursor().execute(word)
        assert f"{' '.join(word.split()[:2]) if word.startswith(('SHOW', 'SHUT')) else word.split()[0]} is PgBouncer's: " in told.value.diag.message_primary
        assert told.value.diag.message_hint
        connection.cursor().execute("SELECT 1")


def test_kill_without_a_session_says_what_it_takes(start):
    with connection_to(start()) as connection:
        for sql in ("KILL", "KILL orders"):
            with pytest.raises(psycopg2.errors.SyntaxError) as told:
                connection.cursor().execute(sql)
            assert "KILL 'session' or KILL pid" in told.value.diag.message_hint


def test_everything_that_show_help_names_can_be_asked(start):
    with connection_to(start()) as connection:
        cursor = connection.cursor()
        cursor.execute("SHOW HELP")
        rows = cursor.fetchall()
        asked = [part for command, _ in rows for part in command.split(" | ") if part.startswith("SHOW ")]
        relations = next(meaning for command, meaning in rows if command.startswith("SELECT"))
        asked += [f"SELECT * FROM {name} LIMIT 0" for name in relations.removeprefix("SQL over ").split(", ")]
        assert len(asked) > 25
        for sql in asked:
            cursor.execute(sql)


# --- commands


def test_kill_ends_one_session_and_says_so_to_its_client_and_in_the_audit(start, connect, client):
    proxy = start()
    victim, other = client(proxy), connect(proxy)
    victim.login()
    open_sessions(proxy.console, 2)
    name = proxy.event("connected", client_port=victim.port)["session"]
    assert psql(proxy.console, f"KILL '{name}'").stdout == "KILL\n"
    assert victim.fatal().sqlstate == "57P01"
    command = proxy.event("console_command")
    assert command["message"] == f"KILL {name}" and command["by"].startswith(f"uid {os.geteuid()}")
    ended = proxy.event("disconnected", session=name)
    assert (ended["reason"], ended["sqlstate"]) == ("killed", "57P01")
    open_sessions(proxy.console, 1)
    other.cursor().execute("SELECT 1")
    assert sqlstate(proxy.console, f"KILL '{name}'") == "42704"
    [[pid]] = rows(proxy.console, "SELECT pid FROM pg_stat_activity")
    psql(proxy.console, f"KILL {pid}")
    open_sessions(proxy.console, 0)


def test_reload_is_obeyed_and_written_down(start):
    proxy = start()
    psql(proxy.console, "RELOAD")
    assert proxy.event("reloaded")["message"] == "the console's RELOAD"
    command = proxy.event("console_command")
    assert command["message"] == "RELOAD" and re.match(rf"uid {os.geteuid()}( |$)", command["by"])


def test_what_the_configuration_says_is_not_set_on_the_console(start):
    proxy = start()
    assert sqlstate(proxy.console, "SET max_client_conn = 500") == "0A000"
    assert sqlstate(proxy.console, "SET runtime.drain_timeout = '1s'") == "0A000"
    for of_drivers in ("extra_float_digits = 3", "client_encoding = 'UTF8'", "app.user_id = '7'"):
        assert psql(proxy.console, f"SET {of_drivers}").stdout == "SET\n"


def test_drain_lets_sessions_end_and_then_ends_the_process(start, client):
    proxy = start(runtime={"drain_timeout": "1h"})
    raw = client(proxy)
    raw.login()
    open_sessions(proxy.console, 1)
    assert psql(proxy.console, "DRAIN").stdout == "DRAIN\n"
    proxy.event("stopping")
    assert rows(proxy.console, "SELECT count(*) FROM pg_stat_activity") == [["1"]]
    assert sqlstate(proxy.console, "DRAIN") == "55000" and sqlstate(proxy.console, "RELOAD") == "55000"
    assert raw.query("SELECT 1") == [[b"1"]]
    raw.send(messages.TERMINATE)
    raw.close()
    proxy.expect_exit(0)
    command = proxy.event("console_command")
    assert command["message"] == "DRAIN" and re.match(rf"uid {os.geteuid()}( |$)", command["by"])


def test_shutdown_ends_everything_at_once(start, client):
    proxy = start(runtime={"drain_timeout": "1h"})
    raw = client(proxy)
    raw.login()
    assert psql(proxy.console, "SHUTDOWN").stdout == "SHUTDOWN\n"
    proxy.expect_exit(0)
    assert proxy.event("console_command")["message"] == "SHUTDOWN"


def test_readers_read_and_each_command_is_refused(start, others, client):
    proxy = start(admin={"console": f"unix:{others}", "console_readers": [NOBODY]})
    raw = client(proxy)
    raw.login()
    until(lambda: psql(others, "SELECT count(*) FROM pg_stat_activity", user=NOBODY).stdout == "1\n")
    for command in ("KILL 1", "KILL 'x'", "RELOAD", "DRAIN", "SHUTDOWN", "UPGRADE", "CAPTURE START", "CAPTURE STOP"):
        assert sqlstate(others, command, user=NOBODY) == "42501", command
    for question in ("SHOW CLIENTS", "SHOW CONFIG", "SELECT * FROM sessions", "SHOW HELP", "CAPTURE STATUS"):
        psql(others, question, user=NOBODY)
    assert raw.query("SELECT 1") == [[b"1"]]
    assert proxy.events("console_command", 0) == []


# --- hostile peers


def test_a_question_without_an_end_is_ended_and_keeps_nobody_from_asking(start, talk):
    proxy = start()
    endless, other = talk(proxy.console), talk(proxy.console)
    endless.send(messages.query("WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x"))
    assert other.query("SELECT 1") == [[b"1"]]
    with pytest.raises(messages.ErrorResponse) as told:
        endless.rows()
    assert told.value.sqlstate == "57014"
    assert endless.query("SELECT 1") == [[b"1"]]


def test_giant_statements_and_results_are_refused(start, talk):
    proxy = start()
    raw = talk(proxy.console)
    for sql in ("SELECT length('" + "x" * 40_000 + "')", "SELECT " + "(" * 30_000 + "1" + ")" * 30_000, "SELECT 1" + "::text" * 5000,
                "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT n FROM x"):
        with pytest.raises(messages.ErrorResponse) as told:
            raw.query(sql)
        assert told.value.severity == "ERROR", told.value
    assert raw.query("SELECT 1") == [[b"1"]]
    raw.send(b"Q" + struct.pack(">i", 1 << 30))
    assert raw.fatal().sqlstate == "08P01"
    assert talk(proxy.console).query("SELECT 1") == [[b"1"]]


def test_a_client_that_reads_no_rows_is_let_go(start, talk):
    proxy = start()
    other, deaf = talk(proxy.console), talk(proxy.console)
    many = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x LIMIT 90000) SELECT n, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' FROM x"
    for _ in range(3):
        deaf.send(messages.query(many))
    assert other.query("SELECT 1") == [[b"1"]]

    def is_let_go():
        try:
            deaf.send(messages.message(b"S"))
        except ConnectionError:
            return True
        return False
    until(is_let_go, what="the end of a client that reads no rows")
    assert other.query("SELECT 1") == [[b"1"]]


def test_half_messages_and_wrong_ones_of_the_extended_protocol_end_at_sync(start, talk):
    proxy = start()
    raw = talk(proxy.console)
    parse = messages.message(b"P", b"s\0SELECT $1 FROM config\0\0\0")
    for wrong in (messages.message(b"P", b"\0"), messages.message(b"B", b"\0"), messages.message(b"B", b"\0none\0\0\0\0\0\0\0"),
                  messages.message(b"D", b"Pnone\0"), messages.message(b"D", b""), messages.message(b"E", b"none\0\0\0\0\0"),
                  messages.message(b"E", b""), messages.message(b"C", b"X"), messages.message(b"B", b"\0s\0\0\0\x7f\xff\0\0"),
                  messages.message(b"B", b"\0s\0\0\1\0\1\0\1\xff\xff\xff\xfe")):
        raw.send(parse + wrong + messages.query("SHOW HELP") + messages.message(b"S"))
        kinds = []
        while not kinds or kinds[-1] != b"Z":
            kinds.append(raw.message()[0])
        assert b"".join(kinds) == b"1EZ", wrong
    raw.send(messages.message(b"P", b"\0SELECT 1")[:7])
    raw.sock.shutdown(socket.SHUT_WR)
    raw.expect_closed()
    assert talk(proxy.console).query("SELECT 1") == [[b"1"]]


def test_describe_execute_and_pipelines_message_by_message(start, talk):
    proxy = start()
    raw = talk(proxy.console)
    raw.send(messages.message(b"P", b"s\0SELECT name, value FROM stats WHERE value > $1 OR value = 0\0\0\0") + messages.message(b"D", b"Ss\0")
             + messages.message(b"B", b"p\0s\0\0\0\0\1\0\0\0\2-1\0\1\0\1") + messages.message(b"D", b"Pp\0")
             + messages.message(b"E", b"p\0\0\0\0\1") + messages.message(b"E", b"p\0\0\0\0\0") + messages.message(b"C", b"Ss\0") + messages.message(b"S"))
    got = []
    while not got or got[-1][0] != b"Z":
        got.append(raw.message())
    kinds = b"".join(kind for kind, _ in got)
    assert kinds.startswith(b"1tT2TDs") and kinds.endswith(b"C3Z") and set(kinds[7:-3]) == {ord("D")}
    assert got[1][1] == b"\0\1" + struct.pack(">I", 20)
    name, value = messages.parse_row(got[5][1])
    assert name == b"sessions_open" and value == b"\0" * 8


def test_sql_is_answered_while_the_proxy_drains_and_with_many_clients(start, client, talk):
    proxy = start(runtime={"drain_timeout": "1h"})
    sessions = [client(proxy) for _ in range(50)]
    for raw in sessions:
        raw.login()
    open_sessions(proxy.console, 50)
    consoles = [talk(proxy.console) for _ in range(20)]
    for raw in consoles:
        raw.send(messages.query("SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)") * 5)
    for raw in consoles:
        assert [raw.rows() for _ in range(5)] == [[[b"50"]]] * 5
    proxy.signal(signal.SIGTERM)
    proxy.event("stopping")
    assert consoles[0].query("SELECT count(*) FROM open_sessions") == [[b"50"]]
    for raw in sessions:
        raw.send(messages.TERMINATE)
        raw.close()
    proxy.expect_exit(0)
