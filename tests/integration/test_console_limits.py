"""What ends a question on the console before it is answered, and how much memory answers may take."""

import os
import signal
import socket
import struct
import subprocess
import threading

import psycopg2
import pytest

from harness import messages, programs
from harness.waiting import PATIENCE, until

NOBODY = 65534
ENDLESS = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x"


def connected(proxy, **parameters):
    connection = psycopg2.connect(host=os.path.dirname(proxy.console), port=6434, dbname="pgairlock", user="somebody", **parameters)
    connection.autocommit = True
    return connection


def one(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


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


def asks_without_end(raw):
    raw.send(messages.query(ENDLESS))


class Repeated:
    """Does something again and again from another thread: it cannot be seen from outside when a question begins."""

    def __init__(self, action):
        self.action, self.over = action, threading.Event()
        self.thread = threading.Thread(target=self.repeat)

    def repeat(self):
        while not self.over.wait(0.05):
            self.action()

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_a_cancel_request_ends_the_question_that_runs_and_the_session_goes_on(start):
    proxy = start()
    connection, other = connected(proxy), connected(proxy)
    with Repeated(connection.cancel):
        with pytest.raises(psycopg2.errors.QueryCanceled, match="due to user request"):
            one(connection, ENDLESS)
    assert one(connection, "SELECT count(*) FROM open_sessions") == 0
    assert one(other, "SELECT count(*) FROM open_sessions") == 0
    connection.close()
    other.close()


def test_a_question_that_waits_behind_another_is_cancelled_as_well(start, talk):
    proxy = start()
    busy, waiting = talk(proxy.console), connected(proxy)
    asks_without_end(busy)
    with Repeated(waiting.cancel):
        with pytest.raises(psycopg2.errors.QueryCanceled, match="due to user request"):
            one(waiting, ENDLESS)
    busy.close()
    waiting.close()


def test_a_cancel_request_with_a_wrong_key_ends_nothing(start):
    proxy = start()
    connection = connected(proxy, options="-c statement_timeout=1s")
    pid = connection.get_backend_pid()

    def wrong_cancel():
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(PATIENCE)
            raw.connect(proxy.console)
            raw.sendall(struct.pack(">iiII", 16, 80877102, pid, 1))
            assert raw.recv(1) == b""
    with Repeated(wrong_cancel):
        with pytest.raises(psycopg2.errors.QueryCanceled, match="due to statement timeout"):
            one(connection, ENDLESS)
    connection.close()


def test_a_cancel_request_is_heard_where_all_places_are_taken(start, talk, others):
    """One user has eight: the request that makes one free is let in as the ninth."""
    proxy = start(admin={"console": f"unix:{others}", "console_uids": [NOBODY]})
    folder, _, port = others.rpartition("/.s.PGSQL.")
    program = """
import psycopg2, sys, threading
made = [psycopg2.connect(host=sys.argv[1], port=sys.argv[2], dbname="pgairlock", user="x") for _ in range(8)]
try:
    psycopg2.connect(host=sys.argv[1], port=sys.argv[2], dbname="pgairlock", user="x")
except psycopg2.OperationalError as error:
    print("too many connections" in str(error))
over = threading.Event()
def repeat():
    while not over.wait(0.05):
        made[0].cancel()
thread = threading.Thread(target=repeat)
thread.start()
try:
    made[0].cursor().execute(sys.argv[3])
except psycopg2.errors.QueryCanceled as error:
    print(str(error).strip())
over.set()
thread.join()
"""
    done = programs.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--", "/usr/bin/python3", "-c", program,
                         folder, port, ENDLESS])
    assert done.stdout.splitlines() == ["True", "canceling statement due to user request"]


def test_psql_is_interrupted_by_ctrl_c(start):
    proxy = start()
    folder, _, port = proxy.console.rpartition("/.s.PGSQL.")
    psql = subprocess.Popen([programs.postgres_bin() / "psql", "-X", "-At", "-h", folder, "-p", port, "pgairlock"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    psql.stdin.write(f"SELECT 'begun';\n{ENDLESS};\n")
    psql.stdin.flush()
    assert psql.stdout.readline() == "begun\n"
    told = []

    def interrupt():
        if not told:
            psql.send_signal(signal.SIGINT)
    with Repeated(interrupt):
        told.append(psql.stdout.readline())
        while "ERROR" not in told[-1] and told[-1]:
            told.append(psql.stdout.readline())
    psql.stdin.close()
    told.append(psql.stdout.read())
    psql.wait(PATIENCE)
    psql.stdout.close()
    assert "canceling statement due to user request" in "".join(told), told


def test_statement_timeout_is_kept_for_the_session_the_transaction_and_from_the_start(start):
    proxy = start()
    connection = connected(proxy)
    cursor = connection.cursor()
    cursor.execute("SET statement_timeout = '200ms'")
    assert one(connection, "SHOW statement_timeout") == "200ms"
    with pytest.raises(psycopg2.errors.QueryCanceled, match="due to statement timeout"):
        cursor.execute(ENDLESS)
    cursor.execute("SET SESSION statement_timeout TO 5000")
    assert one(connection, "SHOW statement_timeout") == "5s"
    cursor.execute("BEGIN")
    cursor.execute("SET LOCAL statement_timeout = 100")
    with pytest.raises(psycopg2.errors.QueryCanceled):
        cursor.execute(ENDLESS)
    cursor.execute("ROLLBACK")
    assert one(connection, "SHOW statement_timeout") == "5s"
    for wrong in ("'soon'", "-1", "'1 fortnight'"):
        with pytest.raises(psycopg2.errors.InvalidParameterValue):
            cursor.execute(f"SET statement_timeout = {wrong}")
    cursor.execute("RESET statement_timeout")
    assert one(connection, "SHOW statement_timeout") == "0"
    cursor.execute("SET statement_timeout = '1min'; DISCARD ALL")
    assert one(connection, "SHOW statement_timeout") == "0"
    connection.close()
    with_options = connected(proxy, options="-c statement_timeout=150")
    assert one(with_options, "SHOW statement_timeout") == "150ms"
    with pytest.raises(psycopg2.errors.QueryCanceled):
        one(with_options, ENDLESS)
    with_options.cursor().execute("SET statement_timeout = DEFAULT")
    assert one(with_options, "SHOW statement_timeout") == "150ms"
    with_options.close()


def test_a_function_that_is_long_in_itself_ends_with_its_statement(start):
    """One LIKE of 250 million steps, for each of a thousand rows."""
    proxy = start()
    text = f"replace('{'x' * 250}', 'x', '{'a' * 1000}')"
    like = f"{text} LIKE '%{'a' * 998}b'"
    with connected(proxy, options="-c statement_timeout=300ms") as connection:
        rows = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 1000)"
        with pytest.raises(psycopg2.errors.QueryCanceled):
            one(connection, f"{rows} SELECT sum({like}) FROM x")
        connection.rollback()
        assert one(connection, "SET statement_timeout = '30s'; SELECT 1") == 1
    assert proxy.process.poll() is None


def test_a_client_that_leaves_takes_its_question_with_it(start, talk):
    """Were the four questions answered to their ends of 10 s, one after the other, the fifth would be told that it took too long."""
    proxy = start()
    leaving = [talk(proxy.console) for _ in range(4)]
    for raw in leaving:
        asks_without_end(raw)
    for raw in leaving:
        raw.sock.close()
    staying = connected(proxy, options="-c statement_timeout=9s")
    assert one(staying, "SELECT count(*) FROM open_sessions") == 0
    staying.close()


def test_a_client_that_only_says_its_last_still_gets_its_answer(start, talk):
    proxy = start()
    raw = talk(proxy.console)
    raw.send(messages.query("WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x LIMIT 300000) SELECT count(*) FROM x"))
    raw.sock.shutdown(socket.SHUT_WR)
    assert raw.rows() == [[b"300000"]]


LARGE = f"WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x LIMIT 60000) SELECT n || '{' ' * 400}' FROM x"


@pytest.mark.skipif(programs.sanitized(), reason="what takes a moment takes longer than the limit of 10 s with a sanitizer")
def test_results_of_all_clients_together_are_bounded_and_small_ones_go_on(start, talk):
    """Each client keeps a portal of about 25 MB open, of which it takes one row: a user's share of the stock is 64 MiB."""
    proxy = start()
    refused = 0
    keeping = [talk(proxy.console) for _ in range(6)]
    for raw in keeping:
        raw.send(messages.query("BEGIN"))
        raw.rows()
        raw.send(messages.message(b"P", b"\0" + LARGE.encode() + b"\0\0\0") + messages.message(b"B", b"\0\0\0\0\0\0\0\0")
                 + messages.message(b"E", b"\0\0\0\0\1") + messages.message(b"S"))
        kinds = b""
        while not kinds.endswith(b"Z"):
            kind, body = raw.message()
            kinds += kind
            if kind == b"E":
                assert b"C53200" in body
        assert kinds in (b"12DsZ", b"12EZ"), kinds
        refused += kinds == b"12EZ"
    assert 1 <= refused <= 5
    small = connected(proxy)
    assert one(small, "SELECT count(*) FROM open_sessions") == 0
    small.close()
    for raw in keeping:
        raw.close()
    again = connected(proxy)

    def is_answered():
        with again.cursor() as cursor:
            try:
                cursor.execute(LARGE)
            except psycopg2.errors.OutOfMemory:
                return False
            return cursor.rowcount == 60000
    until(is_answered, what="memory that was given back")
    again.close()


@pytest.mark.skipif(programs.sanitized(), reason="what takes a moment takes longer than the limit of 10 s with a sanitizer")
def test_a_large_result_is_read_in_binary_and_in_parts(start, talk):
    proxy = start()
    raw = talk(proxy.console)
    raw.send(messages.message(b"P", b"\0" + LARGE.encode() + b"\0\0\0") + messages.message(b"B", b"\0\0\0\0\0\0\0\1\0\1")
             + messages.message(b"E", b"\0" + struct.pack(">I", 20_000)) + messages.message(b"E", b"\0" + struct.pack(">I", 0)) + messages.message(b"S"))
    kinds = []
    while not kinds or kinds[-1] != b"Z":
        kinds.append(raw.message()[0])
    assert b"".join(kinds) == b"12" + b"D" * 20_000 + b"s" + b"D" * 40_000 + b"CZ"
