"""`pgairlock-bench replay`: real conversations that were recorded, played again to the tests' own servers."""

import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
from html.parser import HTMLParser
from pathlib import Path

import psycopg2
import pytest

from harness import messages, pcapng_file, programs
from harness.cluster import PASSWORDS
from harness.pcapng_file import CLIENT, SERVER, Conversation
from harness.recorder import Recorder
from harness.waiting import PATIENCE, until

BENCH = Path(programs.PGAIRLOCK).parents[1] / "bench/pgairlock-bench"
pytestmark = pytest.mark.skipif(programs.sanitized(), reason="the sanitizers' builds are of the proxy")

START = 1_772_330_400_000_000_000  # 2026-03-01T02:00:00Z
MS = 1_000_000
READY = messages.READY_FOR_QUERY
CANCEL_REQUEST = b"\x04\xd2\x16\x2e"
KEY_DATA = re.compile(rb"K\0\0\0\x0c(....)....", re.S)


class CaptureFile(pcapng_file.CaptureFile):
    """One that is closed in order."""
    dropped = 0

    def close(self) -> None:
        self.statistics(START, self.dropped)
        super().close()


def bench(*arguments, **options) -> subprocess.CompletedProcess:
    return programs.run([BENCH, "replay", *arguments], check=False, **options)


def conninfo(name, cluster, **settings) -> str:
    host, port = cluster.address
    settings = {"host": host, "port": port, "sslmode": "disable", **settings}
    return f"{name}=" + " ".join(f"{key}='{value}'" for key, value in settings.items())


def report(*arguments, code=0, **options) -> dict:
    done = bench(*arguments, "--format", "json", **options)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def recorder(cluster):
    made = Recorder(cluster.address)
    yield made
    made.close()


@pytest.fixture
def environment(recorder):
    """Of clients that are recorded."""
    return {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(recorder.port), "PGUSER": "trust_user", "PGDATABASE": "postgres",
            "PGSSLMODE": "disable"}


@pytest.fixture
def tables(cluster):
    """Of pgbench, on a server of which nothing else knows them."""
    programs.run([programs.postgres_bin() / "pgbench", "-i", "-q", "-h", str(cluster.directory), "-p", str(cluster.port),
                  "-U", "trust_user", "postgres"])
    yield
    cluster.sql("DROP TABLE IF EXISTS pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers, replayed")


def without_keys(data: bytes) -> bytes:
    """As captures are written, whatever their payload."""
    if data[4:8] == CANCEL_REQUEST:
        return data[:12] + bytes(len(data) - 12)
    return KEY_DATA.sub(lambda found: found[0][:9] + bytes(4), data)


@pytest.fixture
def captured(directory, recorder):
    """What was recorded, as a capture."""
    def write(payload="full", **options) -> Path:
        recorder.close()
        for connection in recorder.connections:
            connection.said = [(at, side, without_keys(data)) for at, side, data in connection.said]
        path = directory / "capture-20260301T020000Z-1.pcapng"
        with CaptureFile(path, comments=[f"capture 1 by uid 0; payload={payload}"]) as file:
            recorder.write(file, **options)
        return path
    return write


def psql(environment, *commands, check=True) -> None:
    arguments = [argument for command in commands for argument in ("-c", command)]
    programs.run([programs.postgres_bin() / "psql", "-X", "-q", "-o", os.devnull, *arguments], env=environment, check=check)


def first_difference(document, session=0, target=0) -> dict:
    return document["sessions"][session]["targets"][target]["first_difference"]


# --- The same server says the same

def test_psql(cluster, environment, captured):
    psql(environment, "SELECT generate_series(1, 10)", "\\d pg_class", "SELECT 1/0", "SHOW server_version", "", check=False)
    done = bench(captured(), conninfo("same", cluster), "--speed", "max", "--rows-hash")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("left out: nothing\n")
    assert "same (127.0.0.1:" in done.stdout and "1 session same, 0 different, 0 left out" in done.stdout


def test_psycopg2(cluster, environment, recorder, captured):
    connection = psycopg2.connect(host="127.0.0.1", port=recorder.port, user="trust_user", dbname="postgres", sslmode="disable")
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT generate_series(1, %s)", (100,))
        assert len(cursor.fetchall()) == 100
        with pytest.raises(psycopg2.errors.UndefinedTable):
            cursor.execute("SELECT * FROM nowhere")
    connection.rollback()
    with connection, connection.cursor("named") as cursor:
        cursor.execute("SELECT generate_series(1, 5000)")
        assert len(cursor.fetchall()) == 5000
    connection.close()
    document = report(captured(), conninfo("same", cluster), "--rows-hash")
    assert document["left_out"] == []
    assert document["sessions"][0]["targets"][0]["played"] == document["sessions"][0]["statements"] > 8


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench_with_writes(cluster, tables, environment, captured, protocol):
    pgbench = [programs.postgres_bin() / "pgbench", "-n", "-M", protocol, "-c", "3", "-t", "20"]
    programs.run(pgbench, env=environment)
    before = cluster.sql("SELECT count(*) FROM pgbench_history")[0][0]
    document = report(captured(), conninfo("same", cluster), "--writes", "--speed", "max")
    assert document["left_out"] == []
    assert [session["targets"][0]["verdict"] for session in document["sessions"]] == ["same"] * len(document["sessions"])
    assert cluster.sql("SELECT count(*) FROM pgbench_history")[0][0] == before + 60
    captured_row, here = document["latency"]
    assert captured_row["answers"] == here["answers"] > 60 * 7
    assert here["median_ms"] > 0 and here["p99_ms"] >= here["median_ms"]


def test_pg_dump(cluster, tables, environment, captured):
    programs.run([programs.postgres_bin() / "pg_dump", "-t", "pgbench_*", "-f", os.devnull], env=environment)
    document = report(captured(), conninfo("same", cluster), "--speed", "max", "--rows-hash")
    session, = document["sessions"]
    assert session["targets"][0]["verdict"] == "same"
    assert session["targets"][0]["played"] == session["statements"] - session["writes"] > 50


def test_copy_in_both_directions(cluster, tables, environment, directory, captured):
    rows = directory / "rows"
    rows.write_text("".join(f"{i}\n" for i in range(200_000)))
    psql(environment, "CREATE TABLE replayed (id int)", f"\\copy replayed FROM '{rows}'", "\\copy replayed TO '/dev/null'",
         "COPY replayed TO STDOUT (FORMAT binary)", "DROP TABLE replayed")
    document = report(captured(), conninfo("same", cluster), "--writes", "--speed", "max", "--rows-hash")
    assert document["left_out"] == []


def test_sessions_that_were_open_side_by_side(cluster, environment, recorder, captured):
    """Each waits for the other's lock, in the capture and again."""
    first, second = (psycopg2.connect(host="127.0.0.1", port=recorder.port, user="trust_user", dbname="postgres",
                                      sslmode="disable") for _ in range(2))
    first.cursor().execute("SELECT pg_advisory_lock(4711)")
    waiting = subprocess.Popen([programs.postgres_bin() / "psql", "-X", "-q", "-c", "SELECT pg_advisory_lock(4711)"],
                               env=environment, stdout=subprocess.DEVNULL)
    until(lambda: cluster.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
    second.cursor().execute("SELECT 1")
    first.close()
    assert waiting.wait(PATIENCE) == 0
    second.close()
    path = captured()
    assert report(path, conninfo("same", cluster), "--writes")["targets"][0]["same"] == 3
    # Others might wait for it: without --writes no such lock is taken.
    assert [session["calls"] for session in report(path, conninfo("same", cluster))["sessions"]] == [1, 0, 1]


# --- Where it differs

def test_a_missing_table_is_said(cluster, clear_cluster, tables, environment, captured):
    psql(environment, "SELECT 1", "SELECT count(*) FROM pgbench_branches", "SELECT 2")
    path = captured()
    document = report(path, conninfo("old", cluster), conninfo("new", clear_cluster), code=1)
    assert [target["different"] for target in document["targets"]] == [0, 1]
    assert document["targets"][1]["unlike_first"] == 1
    found = first_difference(document, target=1)
    assert found["statement"] == 2
    assert found["sql"] == "SELECT count(*) FROM pgbench_branches"
    assert found["was"] == "SELECT 1"
    assert found["is"] == 'ERROR 42P01: relation "pgbench_branches" does not exist'
    done = bench(path, conninfo("new", clear_cluster))
    assert done.returncode == 1
    assert "different in 1 of 3 statements, first in statement 2\n    SELECT count(*) FROM pgbench_branches\n    was SELECT 1\n" \
        in done.stdout


def test_pgbench_and_a_missing_table(cluster, clear_cluster, tables, environment, captured):
    programs.run([programs.postgres_bin() / "pgbench", "-n", "-S", "-c", "2", "-t", "5"], env=environment)
    document = report(captured(), conninfo("old", cluster), conninfo("new", clear_cluster), "--speed", "max", code=1)
    old, new = document["targets"]
    assert old["different"] == 0 and old["same"] == len(document["sessions"]) and new["different"] >= 2
    found = [first_difference(document, session, 1) for session in range(len(document["sessions"]))]
    assert all("pgbench_" in one["sql"] and "ERROR 42P01" in one["is"] for one in found if one)


def test_pg_dump_and_a_missing_table(cluster, tables, environment, captured):
    """The table is dropped behind the dump: all other OIDs are what they were."""
    programs.run([programs.postgres_bin() / "pg_dump", "-t", "pgbench_*", "-f", os.devnull], env=environment)
    path = captured()
    assert report(path, conninfo("same", cluster), "--speed", "max")["targets"][0]["same"] == 1
    cluster.sql("DROP TABLE pgbench_tellers")
    found = first_difference(report(path, conninfo("new", cluster), "--speed", "max", code=1))
    assert found["statement"] > 1 and found["sql"].startswith("SELECT c.oid")
    assert (found["was"].split()[:2], found["is"].split()[:2]) == (["SELECT", "4"], ["SELECT", "3"])


def test_copy_into_a_missing_table(cluster, clear_cluster, tables, environment, captured):
    """Its data is not sent, and what follows is played."""
    cluster.sql("CREATE TABLE replayed (id int); GRANT ALL ON replayed TO PUBLIC")
    programs.run([programs.postgres_bin() / "psql", "-X", "-q", "-c", "COPY replayed FROM STDIN", "-c", "SELECT 1"],
                 env=environment, input="1\n2\n")
    document = report(captured(), conninfo("new", clear_cluster), "--writes", code=1)
    target = document["sessions"][0]["targets"][0]
    assert (target["played"], target["different"], target["not_played"]) == (2, 1, 0)
    assert target["first_difference"]["is"].startswith("ERROR 42P01")


def test_a_server_that_wants_data_that_there_is_none_of(cluster, clear_cluster, environment, captured):
    psql(environment, "COPY replayed FROM STDIN", "SELECT 1", check=False)
    clear_cluster.sql("CREATE TABLE replayed (id int); GRANT ALL ON replayed TO PUBLIC")
    try:
        document = report(captured(), conninfo("new", clear_cluster), "--writes", code=1)
    finally:
        clear_cluster.sql("DROP TABLE replayed")
    found = first_difference(document)
    assert found["was"].startswith("ERROR 42P01") and found["is"].startswith("ERROR 57014")
    assert document["sessions"][0]["targets"][0]["played"] == 2


def test_rows_are_compared_by_their_hash(cluster, clear_cluster, environment, captured):
    psql(environment, "SELECT current_setting('port')")
    path = captured()
    assert report(path, conninfo("other", clear_cluster))["same"]
    found = first_difference(report(path, conninfo("other", clear_cluster), "--rows-hash", code=1))
    assert found["was"].startswith("SELECT 1, rows hash ") and found["is"].startswith("SELECT 1, rows hash ")


@pytest.mark.parametrize("settings, said, why", [
    ({"dbname": "nowhere"}, "no such database (3D000)", 'FATAL 3D000: database "nowhere" does not exist'),
    ({"user": "nobody_is_this"}, "not let in: no such user, or not from here (28000)", "FATAL 28000: "),
    ({"user": "scram_user", "password": "wrong"}, "wrong password, or no such user (28P01)",
     'FATAL 28P01: password authentication failed for user "scram_user"'),
    ({"user": "scram_user"}, "the server cannot be given what it asks for", "the server asks for a password"),
    ({"port": 1}, "no connection", "Connection refused"),
])
def test_a_server_that_does_not_let_in(cluster, environment, captured, settings, said, why):
    psql(environment, "SELECT 1")
    path = captured()
    document = report(path, conninfo("other", cluster, **settings), code=1)
    assert (document["targets"][0]["not_played"], document["targets"][0]["different"], document["targets"][0]["same"]) == (1, 0, 0)
    played = document["sessions"][0]["targets"][0]
    assert played["verdict"] == "not played" and played["not_played"] == 1 and played["first_difference"] is None
    assert played["why_not_played"].startswith(said) and why in played["why_not_played"]
    assert document["left_out"][0] == f"1 session not played at other: {said}"
    done = bench(path, conninfo("other", cluster, **settings))
    assert "): 1 session not played; 0 sessions same, 0 different, 0 left out" in done.stdout


def passwords(directory, cluster, *lines) -> Path:
    host, port = cluster.address
    path = directory / "passwords"
    path.write_text("# of a test\n" + "".join(f"{host}:{port}:{line}\n" for line in lines))
    path.chmod(0o600)
    return path


def test_each_user_has_its_own_password(cluster, environment, directory, captured):
    """Two users are captured; the file has their passwords, and what is not in it has PGPASSWORD."""
    for user in ("scram_user", "md5_user"):
        psql({**environment, "PGUSER": user, "PGPASSWORD": PASSWORDS[user]}, "SELECT 1")
    path = captured()
    others = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    both = passwords(directory, cluster, f"postgres:scram_user:{PASSWORDS['scram_user']}", f"*:md5_user:{PASSWORDS['md5_user']}")
    assert report(path, conninfo("same", cluster), "--passfile", both, env=others)["targets"][0]["same"] == 2
    assert report(path, conninfo("same", cluster), env={**others, "PGPASSFILE": both})["targets"][0]["same"] == 2
    (directory / ".pgpass").write_text(both.read_text())
    (directory / ".pgpass").chmod(0o600)
    assert report(path, conninfo("same", cluster), env={**others, "HOME": directory})["targets"][0]["same"] == 2
    one = passwords(directory, cluster, f"postgres:scram_user:{PASSWORDS['scram_user']}", "elsewhere:md5_user:wrong")
    rest = {**others, "PGPASSWORD": PASSWORDS["md5_user"]}
    assert report(path, conninfo("same", cluster), "--passfile", one, env=rest)["targets"][0]["same"] == 2
    document = report(path, conninfo("same", cluster), "--passfile", one, env={**others, "PGPASSWORD": "wrong"}, code=1)
    assert [session["targets"][0]["verdict"] for session in document["sessions"]] == ["same", "not played"]
    one.chmod(0o640)
    done = bench(path, conninfo("same", cluster), "--passfile", one, env=rest)
    assert done.returncode == 1 and "1 session not played; 1 session same" in done.stdout
    assert f'WARNING: password file "{one}" has group or world access; permissions should be u=rw (0600) or less' in done.stderr


def test_a_server_that_says_nothing(cluster, clear_cluster, environment, captured):
    """What waits longer than --timeout ends."""
    psql(environment, "SELECT 1 FROM pg_sleep(0)", "SELECT pg_advisory_lock(4712)")
    holder = clear_cluster.admin()
    holder.cursor().execute("SELECT pg_advisory_lock(4712)")
    document = report(captured(), conninfo("other", clear_cluster), "--writes", "--timeout", "1s", code=1)
    holder.close()
    assert first_difference(document)["is"] == "no answer within 1 s"
    assert first_difference(document)["statement"] == 2


# --- What is not played is said

def test_writes_are_left_out_unless_asked_for(cluster, tables, environment, captured):
    psql(environment, "CREATE TABLE replayed (id int)", "INSERT INTO replayed VALUES (1)", "SELECT 1", "DROP TABLE replayed")
    path = captured()
    done = bench(path, conninfo("same", cluster))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("left out, or not compared:\n  3 of 4 statements may write and were left out; --writes plays them\n")
    assert "default_transaction_read_only=on" in done.stdout
    document = report(path, conninfo("same", cluster), "--only-select")
    assert document["sessions"][0]["writes"] == 3 and document["sessions"][0]["targets"][0]["played"] == 1
    assert report(path, conninfo("same", cluster), "--writes")["sessions"][0]["targets"][0]["played"] == 4


def test_a_function_that_writes_is_left_out_or_meets_a_read_only_session(cluster, environment, captured):
    """A view calls it without a name in the statement."""
    cluster.sql("CREATE TABLE replayed (id int); GRANT ALL ON replayed TO PUBLIC; "
                "CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO replayed VALUES (1) RETURNING id'; "
                "CREATE VIEW hidden AS SELECT writes(); GRANT ALL ON hidden TO PUBLIC")
    try:
        psql({**environment, "PGOPTIONS": "-c default_transaction_read_only=off"}, "SELECT writes()", "SELECT * FROM hidden",
             'SET "default_transaction_read_only" = off', "SELECT \"pg_terminate_backend\"(0)",
             "COPY (SELECT x.to stdout FROM (SELECT 1 AS \"to\") x) TO PROGRAM 'true'", "SHOW default_transaction_read_only", check=False)
        path = captured()
        document = report(path, conninfo("same", cluster), code=1)
        session, = document["sessions"]
        assert (session["statements"], session["calls"], session["writes"], session["targets"][0]["played"]) == (6, 2, 2, 2)
        assert first_difference(document)["statement"] == 2 and first_difference(document)["is"].startswith("ERROR 25006")
        assert "2 of 6 statements call functions that are not known to read only, and were left out; --writes plays them" in document["left_out"]
        assert any("could lift the read-only mode" in text for text in document["left_out"])
        assert cluster.sql("SELECT count(*) FROM replayed") == [(2,)]
    finally:
        cluster.sql("DROP VIEW hidden; DROP FUNCTION writes; DROP TABLE replayed")


def test_a_reset_does_not_lift_the_read_only_mode(cluster, environment, captured):
    """Before PostgreSQL 16 RESET transaction_read_only would, for the transaction that it stands in."""
    cluster.sql("CREATE TABLE replayed (id int); GRANT ALL ON replayed TO PUBLIC; "
                "CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO replayed VALUES (1) RETURNING id'; "
                "CREATE VIEW hidden AS SELECT writes(); GRANT ALL ON hidden TO PUBLIC")
    try:
        psql(environment, "BEGIN", "RESET transaction_read_only", "SELECT * FROM hidden", "COMMIT")
        document = report(captured(), conninfo("same", cluster), code=1)
        assert document["sessions"][0]["writes"] == 1
        assert first_difference(document)["statement"] == 3 and first_difference(document)["is"].startswith("ERROR 25006")
        assert cluster.sql("SELECT count(*) FROM replayed") == [(1,)]
    finally:
        cluster.sql("DROP VIEW hidden; DROP FUNCTION writes; DROP TABLE replayed")


def test_what_stands_on_what_was_left_out_is_left_out_with_it(cluster, environment, captured):
    psql(environment, "PREPARE w AS SELECT nextval('pg_catalog.nowhere')", "EXECUTE w", "DEALLOCATE w", "SELECT 1", check=False)
    document = report(captured(), conninfo("same", cluster))
    assert (document["sessions"][0]["calls"], document["sessions"][0]["targets"][0]["played"]) == (3, 1)


def test_output_is_a_new_file_of_its_owner(cluster, environment, directory, captured):
    psql(environment, "SELECT 1")
    path, output, link = captured(), directory / "report", directory / "link"
    link.symlink_to(directory / "elsewhere")
    assert bench(path, conninfo("same", cluster), "--output", output).returncode == 0
    assert output.stat().st_mode & 0o777 == 0o600
    before = output.read_text()
    for taken in (output, link):
        done = bench(path, conninfo("same", cluster), "--output", taken)
        assert done.returncode == 2 and "it exists already, and is not overwritten" in done.stderr
    assert output.read_text() == before and not (directory / "elsewhere").exists()


@pytest.mark.parametrize("payload", ["redacted", "headers"])
def test_a_capture_with_blanks_is_refused_for_statements(cluster, environment, captured, payload):
    psql(environment, "SELECT nobody_says_this", check=False)
    path = captured(payload)
    before = cluster.log_file.read_text(errors="replace").count("nobody_says_this")
    for option in ("--writes", "--rows-hash"):
        done = bench(path, conninfo("same", cluster), option)
        assert done.returncode == 2
        assert f"{option} needs a capture with payload=full: in this one, payload={payload}" in done.stderr
    done = bench(path, conninfo("same", cluster))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"left out, or not compared:\n  payload={payload}: ")
    assert "openings only" in done.stdout and "1 session same" in done.stdout
    assert cluster.log_file.read_text(errors="replace").count("nobody_says_this") == before


def test_beside_a_full_capture_a_redacted_one_is_played_as_openings_and_the_other_whole(cluster, directory):
    """Two captures that ran side by side: one session is in both, one only where its statements were blanked."""
    files = []
    for payload, sessions in (("redacted", ("a-1", "a-2")), ("full", ("a-1",))):
        path = directory / f"{payload}.pcapng"
        with CaptureFile(path, comments=[f"capture 1 by uid 0; payload={payload}"]) as file:
            for number, session in enumerate(sessions):
                talk = Conversation(file, session=session, client=("10.0.0.7", 4000 + number)).open(START)
                talk.say(START + MS, CLIENT, messages.startup("trust_user", "postgres"))
                talk.say(START + 2 * MS, SERVER, messages.AUTHENTICATION_OK + READY)
                asks(talk, 100, "SELECT 1" if payload == "full" else "SELECT *", messages.message(b"D", b"\0\1\0\0\0\1x") + complete("SELECT 1"))
                talk.close(START + 300 * MS)
        files.append(path)
    for given in (files, files[::-1], [directory], [directory, *files], [files[0], files[1], f"{directory}/./full.pcapng"]):
        document = report(*given, conninfo("same", cluster))
        told = {session["session"]: (session["openings"], session["statements"], session["targets"][0]["verdict"])
                for session in document["sessions"]}
        assert told == {"a-1": (False, 1, "same"), "a-2": (True, 0, "same")}, given
        assert any(line.startswith("1 session in several of these captures: it is played once") for line in document["left_out"])
    assert not report(*files, conninfo("same", cluster), "--openings")["sessions"][0]["statements"]


def test_without_a_password_the_advice_names_the_file_and_the_line_that_it_lacks(cluster, environment, directory, captured):
    psql(environment, "SELECT 1")
    host, port = cluster.address
    others = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    file = passwords(directory, cluster, "elsewhere:scram_user:wrong")
    document = report(captured(), conninfo("same", cluster, user="scram_user"), "--passfile", file, env=others, code=1)
    why = document["sessions"][0]["targets"][0]["why_not_played"]
    assert f"a line of the password file ({file}) for {host}:{port}:postgres:scram_user, or PGPASSWORD" in why


def test_blanked_statements_are_not_sent(cluster, directory):
    path = directory / "capture.pcapng"
    with CaptureFile(path, comments=["payload=full"]) as file:
        talk = logged_in(file)
        asks(talk, 100, "ALTER ROLE trust_user PASSWORD '******'", complete("ALTER ROLE"))
        asks(talk, 200, "SELECT 1", messages.message(b"D", b"\0\1\0\0\0\1x") + complete("SELECT 1"))
        talk.close(START + 300 * MS)
    document = report(path, conninfo("same", cluster), "--writes")
    assert document["left_out"] == ["1 of 2 statements hold, or may hold, what the capture has blanked, and were left out"]
    assert cluster.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'trust_user'") == [(None,)]


def test_what_is_missing_in_the_capture_is_said(cluster, environment, captured):
    psql(environment, "SELECT 1", "SELECT 2", "SELECT 3")
    document = report(captured(lose=lambda place: place == 4), conninfo("same", cluster))
    assert document["sessions"][0]["cut"] == "bytes are missing in the capture"
    assert "1 session played in part: bytes are missing in the capture" in document["left_out"]
    assert document["sessions"][0]["targets"][0]["played"] < 3


def test_what_the_capture_says_that_it_lacks_is_said_first(cluster, directory):
    path = directory / "capture-20260301T020000Z-2.pcapng"
    with CaptureFile(path, comments=["payload=full"]) as file:
        talk = logged_in(file)
        asks(talk, 100, "SELECT 1", messages.message(b"D", b"\0\1\0\0\0\1x") + complete("SELECT 1"))
        talk.close(START + 300 * MS)
        file.event(START, event="capture_absence", capture=1, session="a-9", reason="no_memory")
        file.event(START, event="capture_absence", capture=1, session=None, left_out=3, not_entered=1, entries_dropped=0)
        file.dropped = 40
    done = bench(path, conninfo("same", cluster))
    assert done.returncode == 0, done.stdout + done.stderr
    said = ["not in the capture: 1 session left out for lack of memory",
            "not in the capture: 2 sessions left out of the capture, or not whole in it, without an entry in these files that says which",
            "not in the capture: 1 session open before the capture, and not in it, without an entry in these files that says which",
            "40 packets found no room and were dropped (orders client leg)",
            f"file 1 of {directory}/capture-20260301T020000Z-*.pcapng is not among these: the ring has removed them, or they were not given"]
    assert done.stdout.startswith("left out, or not compared:\n  " + "\n  ".join(said) + "\n\n")
    assert report(path, conninfo("same", cluster))["left_out"] == said


def test_a_session_that_had_begun_before(cluster, directory):
    path = directory / "capture.pcapng"
    with CaptureFile(path, comments=["payload=full"]) as file:
        talk = Conversation(file, session="a-1", joined="true").open(START)
        asks(talk, 100, "SELECT 1", complete("SELECT 1"))
    document = report(path, conninfo("same", cluster), code=1)
    assert document["left_out"] == ["1 session left out: was open before the capture began"]


# --- How it is played

def test_a_cancel_request_reaches_its_statement(cluster, environment, captured):
    sleeper = subprocess.Popen([programs.postgres_bin() / "psql", "-X", "-q", "-c", "SELECT pg_sleep(600)", "-c", "SELECT 1"],
                               env={**environment, "PGAPPNAME": "sleeper"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until(lambda: cluster.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'sleeper' AND wait_event = 'PgSleep'"))
    sleeper.send_signal(signal.SIGINT)
    assert b"canceling statement due to user request" in sleeper.communicate(timeout=PATIENCE)[1]
    path = captured()
    for speed in ("1", "max"):
        document = report(path, conninfo("same", cluster), "--speed", speed)
        assert document["left_out"] == [] and document["targets"][0]["same"] == 1


def test_the_clients_thinking_is_kept(cluster, directory):
    path = directory / "capture.pcapng"
    with CaptureFile(path, comments=["payload=full"]) as file:
        talk = logged_in(file)
        asks(talk, 100, "SELECT 1", complete("SELECT 1"))
        asks(talk, 1600, "SELECT 1", complete("SELECT 1"))
        talk.close(START + 1700 * MS)
    for speed, least in (("1", 1.5), ("3", 0.5)):
        begun = time.monotonic()
        bench(path, conninfo("same", cluster), "--speed", speed)
        assert time.monotonic() - begun > least


def test_several_clients(cluster, environment, captured):
    psql(environment, "SELECT 1", "SELECT 2")
    document = report(captured(), conninfo("same", cluster), "--clients", "4", "--speed", "max")
    assert document["sessions"][0]["targets"][0]["played"] == 8
    assert document["latency"][1]["answers"] == 8


def test_startup_parameters_are_as_captured_or_as_the_target_says(cluster, environment, captured):
    psql({**environment, "PGAPPNAME": "captured_app", "PGOPTIONS": "-c work_mem=3MB"}, "SHOW work_mem")
    path = captured()
    report(path, conninfo("same", cluster), "--rows-hash")
    log = cluster.log_file.read_text(errors="replace")
    assert log.count("user=trust_user database=postgres application_name=captured_app") == 2
    report(path, conninfo("same", cluster, user="clear_user", application_name="replayed_app", dbname="template1"), "--rows-hash")
    assert "user=clear_user database=template1 application_name=replayed_app" in cluster.log_file.read_text(errors="replace")


def test_one_session_of_several(cluster, environment, captured):
    psql(environment, "SELECT 1")
    psql(environment, "SELECT 1", "SELECT 2")
    path = captured()
    document = report(path, conninfo("same", cluster), "--session", "recorded-2")
    assert [session["session"] for session in document["sessions"]] == ["recorded-2"]
    assert bench(path, conninfo("same", cluster), "--session", "nobody").returncode == 2


def test_openings_with_tls_as_it_was(cluster, pki, directory):
    path = directory / "capture.pcapng"
    with CaptureFile(path, comments=["payload=headers"]) as file:
        talk = logged_in(file, ssl="true", version="TLSv1.2")
        talk.close(START + 300 * MS)
        file.event(START + 3 * MS, event="connected", session="a-1", ssl=True, version="TLSv1.2", sni=None, alpn=None,
                   negotiation="sslrequest")
    secure = conninfo("secure", cluster, sslmode="verify-full", sslrootcert=pki.new.cert, user="tls_user")
    assert report(path, secure)["targets"][0]["same"] == 1
    document = report(path, conninfo("clear", cluster), code=1)
    assert document["targets"][0]["left_out"] == 1
    assert "1 session not compared at clear: was opened with TLS, and clear has sslmode=disable" in document["left_out"]
    document = report(path, conninfo("secure", cluster, sslmode="verify-full", sslrootcert=pki.old.cert), code=1)
    assert "certificate verify failed" in first_difference(document)["is"]


def client_hello(group=None) -> bytes:
    """A ClientHello of Python's OpenSSL, with its record's header. `group`: the only one that it offers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if group:
        context.set_ecdh_curve(group)
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent).do_handshake()
    return sent.read()


def refused_certificate(path, hello: bytes) -> Path:
    """A capture of a client that said `hello` and did not trust the certificate."""
    with CaptureFile(path, comments=["payload=headers"]) as file:
        talk = Conversation(file, mapped=True, session="a-1", content="tls-records").open(START)
        talk.say(START + MS, CLIENT, messages.SSL_REQUEST).say(START + 2 * MS, SERVER, b"S").say(START + 3 * MS, CLIENT, hello)
        talk.close(START + 4 * MS)
        file.event(START + 5 * MS, event="tls_failed", session="a-1", alert=48, negotiation="sslrequest", sni=None,
                   certificate_shown="/server.crt", error="alert unknown_ca (48)", reason="tls_abandoned")
    return path


def test_the_groups_of_a_captured_client_are_offered_again(directory):
    """To a server that hears a ClientHello and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard = []

        def serve():
            for _ in range(2):
                with listener.accept()[0] as connection:
                    connection.recv(8, socket.MSG_WAITALL)
                    connection.sendall(b"S")
                    header = connection.recv(5, socket.MSG_WAITALL)
                    heard.append(connection.recv(int.from_bytes(header[3:], "big"), socket.MSG_WAITALL))

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        target = f"fake=host=127.0.0.1 port={listener.getsockname()[1]} sslmode=require"
        for group, number in (("secp384r1", 24), ("prime256v1", 23)):
            path = refused_certificate(directory / f"{group}.pcapng", client_hello(group))
            document = report(path, target, "--openings", code=1)
            assert document["sessions"][0]["targets"][0]["tls_left_out"] == []
            only_this_group = struct.pack("!HHHH", 10, 4, 2, number)
            assert only_this_group in client_hello(group) and only_this_group in heard[-1]
        server.join(PATIENCE)


def test_a_client_that_refused_the_certificate(cluster, clear_cluster, pki, directory):
    """What it trusts is in no capture: neither the same nor different, unless no certificate is shown at all."""
    path = refused_certificate(directory / "capture.pcapng", client_hello())
    said = "its client refused the handshake (alert unknown_ca (48)), and what a client trusts is not in a capture: that cannot be replayed"
    for ca in (pki.new.cert, pki.old.cert):
        document = report(path, conninfo("secure", cluster, sslmode="verify-full", sslrootcert=ca), "--openings", code=1)
        assert (document["targets"][0]["left_out"], document["targets"][0]["different"], document["targets"][0]["same"]) == (1, 0, 0)
        assert f"1 session not compared at secure: {said}" in document["left_out"]
        assert not any("groups of this OpenSSL" in text for text in document["left_out"])
    document = report(path, conninfo("clear", clear_cluster, sslmode="require"), "--openings", code=1)
    assert first_difference(document)["was"] == "the certificate was shown, and the client left: alert unknown_ca (48)"
    assert "does not support TLS" in first_difference(document)["is"]


def test_an_interrupt_ends_with_a_report(cluster, environment, captured):
    psql(environment, "SELECT 1", "SELECT pg_advisory_lock(4713)")
    path = captured()
    holder = cluster.admin()
    holder.cursor().execute("SELECT pg_advisory_lock(4713)")
    running = subprocess.Popen([BENCH, "replay", path, conninfo("same", cluster), "--writes", "--format", "json"],
                               stdout=subprocess.PIPE, text=True)
    until(lambda: cluster.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=PATIENCE)
    holder.close()
    assert running.returncode == 1
    document = json.loads(out)
    assert document["interrupted"] and document["left_out"][0].startswith("the replay was interrupted")
    assert document["sessions"][0]["targets"][0]["played"] == 1


def test_html_needs_nothing_else(cluster, environment, directory, captured):
    psql(environment, "SELECT '<script>'", "SELECT 1/0", check=False)
    output = directory / "replay.html"
    assert bench(captured(), conninfo("same", cluster), "--format", "html", "--output", output).returncode == 0
    page, tags = output.read_text(), []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed(page)
    assert not any(tag in ("script", "img", "link", "iframe") for tag, _ in tags)
    assert "default-src 'none'" in page and "<table>" in page


@pytest.mark.parametrize("arguments, said", [
    (["nowhere.pcapng", "a=host=127.0.0.1"], "cannot read nowhere.pcapng: No such file or directory"),
    (["nowhere.pcapng"], "no target"),
    (["nowhere.pcapng", "a=host=127.0.0.1", "--speed", "fast"], "--speed fast: expected a number"),
    (["nowhere.pcapng", "a=host=127.0.0.1", "--timeout", "soon"], "--timeout soon: expected a whole number"),
    (["nowhere.pcapng", "a=hast=127.0.0.1"], 'unknown keyword "hast"'),
])
def test_usage_errors(directory, arguments, said):
    done = bench(*arguments, cwd=directory)
    assert done.returncode == 2 and said in done.stderr


def test_a_file_that_is_no_capture(directory, cluster):
    path = directory / "text"
    path.write_text("select 1;\n" * 100)
    done = bench(path, conninfo("same", cluster))
    assert done.returncode == 2 and str(path) in done.stderr


# --- Captures that are written by hand

def complete(tag: str) -> bytes:
    return messages.message(b"C", tag.encode() + b"\0")


def logged_in(file, **facts) -> Conversation:
    talk = Conversation(file, session="a-1", **facts).open(START)
    talk.say(START + MS, CLIENT, messages.startup("trust_user", "postgres"))
    return talk.say(START + 2 * MS, SERVER, messages.AUTHENTICATION_OK + READY)


def asks(talk, at, sql, answer) -> None:
    talk.say(START + at * MS, CLIENT, messages.query(sql)).say(START + (at + 10) * MS, SERVER, answer + READY)
