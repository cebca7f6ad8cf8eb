"""Whoever talks to the console unchanged: psql's own commands, drivers of other languages, tools that are made for PgBouncer."""

import fcntl
import json
import os
import pty
import re
import select
import socket
import subprocess
import termios
import urllib.request
from pathlib import Path

import psycopg2
import pytest

from harness import programs
from harness.programs import REPOSITORY
from harness.waiting import PATIENCE, until

DATABASE = ["-U", "somebody", "-d", "pgairlock"]


def folder_of(proxy):
    return os.path.dirname(proxy.console)


def psql(proxy, *commands, check=True):
    """Formatted as to people."""
    command = [programs.postgres_bin() / "psql", "-X", "-h", folder_of(proxy), "-p", "6434", *DATABASE]
    for one in commands:
        command += ["-c", one]
    return programs.run(command, check=check)


def connected(proxy):
    connection = psycopg2.connect(host=folder_of(proxy), port=6434, dbname="pgairlock", user="somebody")
    connection.autocommit = True
    return connection


def open_sessions(proxy, count):
    connection = connected(proxy)
    cursor = connection.cursor()

    def are_seen():
        cursor.execute("SELECT count(*) FROM pg_stat_activity")
        return cursor.fetchone()[0] == count
    until(are_seen, what=f"{count} open sessions")
    connection.close()


# --- psql


def test_psql_describes_a_relation_by_its_name(start):
    shown = psql(start(), "\\d pg_stat_ssl").stdout
    assert 'View "public.pg_stat_ssl"' in shown
    assert re.search(r"^ pid +\| integer", shown, re.M) and re.search(r"^ ssl +\| boolean", shown, re.M), shown


def test_psql_describes_every_relation_with_types_that_it_really_has(start):
    proxy = start()
    connection = connected(proxy)
    cursor = connection.cursor()
    cursor.execute("SELECT relname FROM pg_class WHERE relnamespace = 2200")
    names = [name for name, in cursor.fetchall()]
    assert {"pg_stat_activity", "sessions", "clients", "events", "upstream_certificates"} <= set(names)
    for name in names:
        cursor.execute("SELECT attname, atttypid FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relname = %s ORDER BY attnum", (name,))
        described = cursor.fetchall()
        cursor.execute(f"SELECT * FROM {name} LIMIT 0")
        assert described == [(column.name, column.type_code) for column in cursor.description], name
        cursor.execute(f"SELECT {', '.join(column for column, _ in described)} FROM {name} LIMIT 0")
        assert described == [(column.name, column.type_code) for column in cursor.description], name
        shown = psql(proxy, f"\\d {name}", f"\\d+ {name}").stdout
        assert shown.count(f'View "public.{name}"') == 2 and "???" not in shown
    connection.close()


@pytest.mark.parametrize("command, shows", [
    ("\\d", "pg_stat_activity"), ("\\d+", "permanent"), ("\\d s*", 'View "public.sessions"'), ("\\dt", "Did not find any relations"),
    ("\\dv", "upstream_certificates"), ("\\dv+", "permanent"), ("\\ds", "Did not find any relations"), ("\\di", "Did not find any relations"),
    ("\\l", "UTF8"), ("\\l+", "pg_default"), ("\\dn", "public"), ("\\dn+", "public"), ("\\du", "pgairlock"), ("\\du+", "pgairlock"),
    ("\\dg", "pgairlock"), ("\\df", "(0 rows)"), ("\\dx", "(0 rows)"), ("\\db", "pg_default"), ("\\dT", "(0 rows)"), ("\\dm", "Did not find any relations"),
    ("\\conninfo", 'database "pgairlock" as user "somebody"'), ("\\encoding", "UTF8"), ("SHOW ALL", "standard_conforming_strings"),
    ("SELECT usename, ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) \\gdesc", "boolean"), ("SELECT 1 AS n \\gdesc", "integer"),
])
def test_what_psql_asks_for_its_backslash_commands_is_answered(start, command, shows):
    if command.endswith("\\gdesc"):
        proxy = start()
        done = programs.run([programs.postgres_bin() / "psql", "-X", "-h", folder_of(proxy), "-p", "6434", *DATABASE], input=command + "\n")
    else:
        done = psql(start(), command)
    assert shows in done.stdout + done.stderr and "ERROR" not in done.stderr, done


def test_psql_shows_a_row_as_a_list_and_ends_well_whatever_it_asks(start):
    proxy = start()
    assert "-[ RECORD 1 ]" in psql(proxy, "\\x", "SELECT name FROM stats LIMIT 1").stdout
    connection = connected(proxy)
    for command in ("\\dp", "\\z", "\\dC", "\\dd", "\\dy", "\\dO", "\\dL", "\\dA", "\\do", "\\da", "\\dD", "\\des", "\\det", "\\dew", "\\drds", "\\dF",
                    "\\dRp", "\\dRs", "\\dX", "\\dP", "\\dl", "\\dconfig", "\\sf now", "\\sv sessions", "\\dAc", "\\copy (SELECT 1) TO STDOUT"):
        # Answered or refused, and then asked on: -c commands share one connection.
        done = psql(proxy, command, "SELECT 'still here'", check=False)
        assert "still here" in done.stdout and "connection" not in done.stderr, (command, done)
    connection.close()


def test_psql_completes_names_of_relations_columns_and_settings(start):
    proxy = start()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="dumb", PAGER="cat", INPUTRC="/dev/null")
        binary = str(programs.postgres_bin() / "psql")
        os.execv(binary, ["psql", "-X", "-h", folder_of(proxy), "-p", "6434", *DATABASE])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, b"\x18\0\xff\0\0\0\0\0")
    seen = b""

    def shows(text):
        nonlocal seen
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 65536)
        return text in seen
    try:
        until(lambda: shows(b"=>") or shows(b"=#"), what="psql's prompt")
        for typed, completed in [(b"SELECT * FROM pg_stat_ac\t", b"pg_stat_activity"), (b"SELECT * FROM pg_stat_activity WHERE backend_st\t", b"backend_start"),
                                 (b"\\d upstream_c\t", b"upstream_certificates"), (b"SHOW standard_c\t", b"standard_conforming_strings")]:
            seen = b""
            os.write(terminal, typed)
            until(lambda: shows(completed), what=f"{completed} behind {typed}")
            os.write(terminal, b"\x15")  # forget the line
        os.write(terminal, b"\\q\r")
        until(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, what="psql's end")
    finally:
        os.close(terminal)


# --- DBeaver


# What its PostgreSQL plugin asks when it connects and when its tree is opened.
DBEAVER = [
    "SET application_name = 'DBeaver 24.2.0 - Main <postgres>'", "SET extra_float_digits = 3", "SET search_path = public",
    "SHOW search_path", "SELECT current_schema(), session_user", "SELECT version()", "SELECT current_database()",
    "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE 1=1 AND datallowconn AND NOT datistemplate OR db.datname ='pgairlock'",
    "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datname='pgairlock'",
    "select * from pg_catalog.pg_settings where name='standard_conforming_strings'",
    "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n\n"
    "LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass\n ORDER BY nspname",
    "SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description\n"
    "FROM pg_catalog.pg_type t\nLEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem \nLEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid\n"
    "LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid\n"
    "WHERE t.typname IS NOT NULL\nAND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C')",
    "SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,  pg_catalog.pg_get_partkeydef(c.oid) as partition_key \n"
    "FROM pg_catalog.pg_class c\nLEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass\n"
    "WHERE c.relnamespace=2200 AND c.relkind not in ('i','I','c')",
    "SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid\n"
    "FROM pg_catalog.pg_attribute a\nINNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)\n"
    "LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)\n"
    "LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)\n"
    "LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid\n"
    "WHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') AND c.oid=16384\nORDER BY a.attnum",
    "SELECT a.oid,a.*,pd.description FROM pg_catalog.pg_roles a \nleft join pg_catalog.pg_shdescription pd on a.oid = pd.objoid \nORDER BY a.rolname",
    "SELECT t.oid,t.*,pg_tablespace_location(t.oid) loc FROM pg_catalog.pg_tablespace t ORDER BY t.oid",
    "SELECT sa.* FROM pg_catalog.pg_stat_activity sa",
]
# Those of what it does not have.
DBEAVER_REFUSED = [
    "SELECT * FROM pg_catalog.pg_enum e JOIN pg_catalog.pg_ts_config t ON true", "SELECT l.oid,l.* FROM pg_catalog.pg_available_extensions l",
    "SELECT x.oid,x.* FROM information_schema.tables x",
]


def test_dbeavers_first_questions_are_answered_or_refused_as_what_is_not_there(start):
    connection = connected(start())
    cursor = connection.cursor()
    for question in DBEAVER:
        cursor.execute(question)
        assert question.startswith("SET") or cursor.description, question
    for question in DBEAVER_REFUSED:
        with pytest.raises(psycopg2.errors.UndefinedTable):
            cursor.execute(question)
    connection.close()


# --- drivers in their own languages


NODE = """
import pg from '%s/pg/lib/index.js'
const client = new pg.Client({ host: process.argv[2], port: 6434, user: 'somebody', database: 'pgairlock' })
await client.connect()
const told = async (...query) => { try { return (await client.query(...query)).rows } catch (error) { return error.code } }
console.log(JSON.stringify([
    await told('SELECT usename, client_addr, ssl, backend_start > $2 AS recent FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE usename = $1',
               ['trust_user', '2020-01-01']),
    await told({ name: 'kept', text: 'SELECT count(*) FROM pg_stat_activity WHERE usename = $1', values: ['trust_user'] }),
    await told({ name: 'kept', text: 'SELECT count(*) FROM pg_stat_activity WHERE usename = $1', values: ['nobody'] }),
    await told('SELECT * FROM nobody'), await told('BEGIN'), await told('SELECT 1 AS n'), await told('ROLLBACK'),
    (await told('SHOW CLIENTS'))[0].user,
]))
await client.end()
"""


def node_modules() -> Path | None:
    """Made by `npm ci` of tests/drivers/node; tests/drivers/build-compiled does that."""
    given = os.environ.get("DRIVERS_NODE_MODULES")
    found = Path(given) if given else REPOSITORY / "build/drivers/node/node_modules"
    return found if (found / "pg").is_dir() else None


def test_node_postgres(start, connect, directory):
    if not node_modules():
        pytest.skip("no node-postgres: tests/drivers/build-compiled installs it")
    proxy = start()
    through = connect(proxy, sslmode="require")
    open_sessions(proxy, 1)
    (directory / "ask.mjs").write_text(NODE % node_modules())
    rows, first, second, missing, begun, n, ended, user = json.loads(programs.run(["node", str(directory / "ask.mjs"), folder_of(proxy)]).stdout)
    assert [(row["usename"], row["client_addr"], row["ssl"]) for row in rows] == [("trust_user", "127.0.0.1", True)]
    assert (first, second, missing, begun, ended, user) == ([{"count": "1"}], [{"count": "0"}], "42P01", [], [], "trust_user")
    assert n == [{"n": 1}]
    through.close()


GO_PACKAGES = Path("/usr/share/gocode/src/github.com")
GO = {
    "lib/pq": """
package main

import (
    "database/sql"
    "fmt"
    "os"
    "time"

    "github.com/lib/pq"
)

func main() {
    db, err := sql.Open("postgres", os.Args[1])
    must(err)
    must(db.Ping())
    var user, addr string
    var tls bool
    var since time.Time
    must(db.QueryRow("SELECT usename, client_addr, ssl, backend_start FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE usename = $1 AND client_port > $2",
        "trust_user", 5).Scan(&user, &addr, &tls, &since))
    fmt.Println(user, addr, tls, since.Year() > 2020)
    _, err = db.Query("SELECT * FROM nobody")
    fmt.Println(err.(*pq.Error).Code)
    prepared, err := db.Prepare("SELECT count(*) FROM open_sessions WHERE usename = $1")
    must(err)
    var count int
    for _, name := range []string{"trust_user", "nobody"} {
        must(prepared.QueryRow(name).Scan(&count))
        fmt.Println(count)
    }
    tx, err := db.Begin()
    must(err)
    must(tx.QueryRow("SELECT count(*) FROM sessions").Scan(&count))
    must(tx.Commit())
    fmt.Println(count)
}

func must(err error) {
    if err != nil {
        panic(err)
    }
}
""",
    "jackc/pgx/v4": """
package main

import (
    "context"
    "errors"
    "fmt"
    "net"
    "os"
    "time"

    "github.com/jackc/pgconn"
    "github.com/jackc/pgx/v4"
)

func main() {
    ctx := context.Background()
    db, err := pgx.Connect(ctx, os.Args[1])
    must(err)
    var user string
    var addr net.IP
    var tls bool
    var since time.Time
    must(db.QueryRow(ctx, "SELECT usename, client_addr, ssl, backend_start FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE usename = $1 AND client_port > $2",
        "trust_user", 5).Scan(&user, &addr, &tls, &since))
    fmt.Println(user, addr, tls, since.Year() > 2020)
    var missing *pgconn.PgError
    _, err = db.Exec(ctx, "SELECT * FROM nobody")
    errors.As(err, &missing)
    fmt.Println(missing.Code)
    batch := &pgx.Batch{}
    for _, name := range []string{"trust_user", "nobody"} {
        batch.Queue("SELECT count(*) FROM open_sessions WHERE usename = $1", name)
    }
    results := db.SendBatch(ctx, batch)
    var count int
    for i := 0; i < 2; i++ {
        must(results.QueryRow().Scan(&count))
        fmt.Println(count)
    }
    must(results.Close())
    tx, err := db.Begin(ctx)
    must(err)
    must(tx.QueryRow(ctx, "SELECT count(*) FROM sessions").Scan(&count))
    must(tx.Commit(ctx))
    fmt.Println(count)
}

func must(err error) {
    if err != nil {
        panic(err)
    }
}
""",
}


@pytest.mark.parametrize("package", GO)
def test_drivers_for_go(start, connect, directory, package):
    if not (os.access("/usr/bin/go", os.X_OK) and (GO_PACKAGES / package).is_dir()):
        pytest.skip("no golang-go, or not Debian's package of the driver")
    proxy = start()
    through = connect(proxy, sslmode="require")
    open_sessions(proxy, 1)
    (directory / "ask.go").write_text(GO[package])
    # Beside what tests/drivers/build-compiled has built: the driver itself takes longest.
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "CGO_ENABLED": "0",
                   "GOCACHE": os.environ.get("DRIVERS_GO_CACHE", str(REPOSITORY / "build/drivers/go/cache"))}
    subprocess.run(["/usr/bin/go", "build", "-o", str(directory / "ask"), str(directory / "ask.go")], env=environment, check=True, timeout=900)
    done = programs.run([str(directory / "ask"), f"host={folder_of(proxy)} port=6434 user=somebody dbname=pgairlock sslmode=disable"])
    assert done.stdout.splitlines() == ["trust_user 127.0.0.1 true true", "42P01", "1", "0", "0"]
    through.close()


# --- what is made for PgBouncer


def test_prometheus_pgbouncer_exporter_shows_our_numbers(start, connect):
    """Debian's 1.7. It asks for total_requests, which PgBouncer itself has had no more since 1.8."""
    exporter = Path("/usr/bin/prometheus-pgbouncer-exporter")
    if not exporter.exists():
        pytest.skip("no prometheus-pgbouncer-exporter")
    proxy = start()
    through = [connect(proxy) for _ in range(3)]
    open_sessions(proxy, 3)
    with through[0].cursor() as cursor:
        cursor.execute("SELECT repeat('x', 100000)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([exporter, "--pgbouncer-host", folder_of(proxy), "--pgbouncer-port", "6434", "--pgbouncer-user", "exporter",
                           "--host", "127.0.0.1", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            def page():
                assert running.poll() is None, "the exporter has given up"
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
                        return answer.read().decode()
                except OSError:  # not yet
                    return None
            text = until(page, what="the exporter's page")
            numbers = dict(re.findall(r"^(pgbouncer_\S+) (\S+)$", text, re.M))
            assert numbers['pgbouncer_active_clients{database="postgres",user="trust_user"}'] == "3.0"
            assert float(numbers["pgbouncer_used_clients"]) == 3 and float(numbers["pgbouncer_databases"]) == 1
            assert float(numbers['pgbouncer_sent_bytes_total{database="orders"}']) > 100_000
            assert numbers['pgbouncer_requests_total{database="orders"}'] == "NaN", "nobody knows"
            assert float(numbers['pgbouncer_pool_size{database="orders"}']) == 0
        finally:
            running.terminate()
            running.wait(PATIENCE)
    for connection in through:
        connection.close()


@pytest.fixture
def pgbouncer(directory):
    """A real one, which serves nobody."""
    binary = Path("/usr/sbin/pgbouncer")
    if not binary.exists():
        pytest.skip("no pgbouncer")
    (directory / "pgbouncer.ini").write_text(
        f"[databases]\npostgres = host=127.0.0.1 port=1\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = {directory}\nlisten_port = 6432\n"
        "auth_type = any\nadmin_users = any\n")
    command = [binary, directory / "pgbouncer.ini"]
    if os.geteuid() == 0:  # which it refuses to be
        directory.chmod(0o777)
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", *command]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        def connect():
            try:
                return psycopg2.connect(host=str(directory), port=6432, dbname="pgbouncer", user="any")
            except psycopg2.OperationalError:
                return None
        connection = until(connect, what="PgBouncer")
        connection.autocommit = True
        yield connection
        connection.close()
        running.terminate()
        running.wait(PATIENCE)


def test_show_begins_with_the_columns_of_pgbouncer_in_its_order(start, pgbouncer):
    connection = connected(start())

    def columns(of, what):
        with of.cursor() as cursor:
            cursor.execute(f"SHOW {what}")
            return [column.name for column in cursor.description]
    for what in ("CLIENTS", "SERVERS", "POOLS", "LISTS", "STATS", "STATS_TOTALS", "DATABASES", "CONFIG", "USERS", "TOTALS", "VERSION"):
        theirs, ours = columns(pgbouncer, what), columns(connection, what)
        assert ours[:len(theirs)] == theirs, what
    with pgbouncer.cursor() as theirs, connection.cursor() as ours:
        theirs.execute("SHOW LISTS")
        ours.execute("SHOW LISTS")
        assert [name for name, _ in ours.fetchall()] == [name for name, _ in theirs.fetchall()]
    connection.close()


def test_show_of_a_name_that_is_not_there_names_the_one_that_was_meant(start):
    connection = connected(start())
    cursor = connection.cursor()
    for wrong, meant in [("CLIENT", "SHOW CLIENTS"), ("POOL", "SHOW POOLS"), ("STAT", "SHOW STATS"), ("HLEP", "SHOW HELP"), ("CAPTURE", "SHOW CAPTURES")]:
        with pytest.raises(psycopg2.errors.UndefinedObject) as told:
            cursor.execute(f"SHOW {wrong}")
        assert told.value.diag.message_hint == f"Perhaps you meant {meant}.", wrong
    with pytest.raises(psycopg2.errors.UndefinedObject, match="SHOW HELP") as told:
        cursor.execute("SHOW zzzzzzzzzz")
    assert told.value.diag.message_hint is None
    connection.close()


def test_nan_is_a_number_to_every_driver(start):
    import psycopg
    proxy = start()
    for binary in (False, True):
        with psycopg.connect(host=folder_of(proxy), port=6434, user="x", dbname="pgairlock", autocommit=True) as connection:
            [value] = connection.cursor(binary=binary).execute("SELECT float8 'NaN' AS unknown").fetchone()
            assert isinstance(value, float) and value != value
