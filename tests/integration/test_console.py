"""The console: who may speak to it, what psql, drivers and raw clients are told, and that nothing about it stops the proxy."""

import os
import signal
import socket
import subprocess

import psycopg2
import pytest

from harness import messages, programs
from harness.waiting import PATIENCE, until
from harness.wire import Client

NOBODY = 65534
MAX_SESSIONS = 32


def psql(console, sql, *arguments, user=None, check=True):
    """`user`: the number of another one than ours."""
    folder, _, port = console.rpartition("/.s.PGSQL.")
    command = [programs.postgres_bin() / "psql", "-X", "-At", "-h", folder, "-p", port, "-c", sql, *arguments, "pgairlock"]
    if user is not None:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--", *command]
    return programs.run(command, check=check)


def refusal(console, sql="SHOW VERSION", **options):
    done = psql(console, sql, "-v", "VERBOSITY=verbose", check=False, **options)
    assert done.returncode != 0, done.stdout
    return done.stderr


@pytest.fixture
def talk(client):
    """A raw client of the console that is in."""
    def make(console, **parameters):
        raw = client(console)
        raw.login("somebody", **parameters)
        return raw
    return make


@pytest.fixture
def others(directory):
    """A console in a folder that other users can enter. The tests that need another user need root."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    return f"{directory}/console/.s.PGSQL.7000"


# --- what it says


def test_psql_asks_what_runs(start):
    proxy = start()
    assert psql(proxy.console, "SHOW VERSION").stdout.startswith("pgairlock ")
    assert "CAPTURE START" in psql(proxy.console, "show help;").stdout
    assert psql(proxy.console, "CAPTURE STATUS").stdout == ""
    assert psql(proxy.console, "SET a = b; SELECT 1; SHOW timezone").stdout == "SET\n1\nUTC\n"


def test_psql_is_shown_where_a_statement_is_wrong(start):
    told = refusal(start().console, "CAPTURE START (FOR '1m', USRE 'x')")
    assert "42601" in told and "did you mean USER?" in told
    assert told.splitlines()[2].index("^") == told.splitlines()[1].index("USRE")


def test_a_driver_goes_on_after_an_error(start):
    connection = psycopg2.connect(host=os.path.dirname(start().console), port=6434, dbname="pgairlock", user="any")
    connection.autocommit = True
    cursor = connection.cursor()
    with pytest.raises(psycopg2.errors.SyntaxError, match="SHOW HELP"):
        cursor.execute("HOLD")
    with pytest.raises(psycopg2.errors.InvalidParameterValue):
        cursor.execute("CAPTURE START (FOR 'soon')")
    cursor.execute("SHOW VERSION")
    assert cursor.fetchone()[0].startswith("pgairlock ")
    connection.close()


def test_a_transaction_is_what_drivers_expect_of_one(start):
    connection = psycopg2.connect(host=os.path.dirname(start().console), port=6434, dbname="pgairlock", user="any")
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    assert connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INTRANS
    with pytest.raises(psycopg2.errors.ActiveSqlTransaction):
        cursor.execute("CAPTURE START TO STDOUT")
    with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
        cursor.execute("SELECT 1")
    connection.rollback()
    cursor.execute("SELECT 1")
    connection.commit()
    assert connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE
    connection.close()


def test_functions_are_refused_and_the_session_goes_on(start, talk):
    raw = talk(start().console)
    raw.send(messages.message(b"F", b"\0\0\0\1"))
    with pytest.raises(messages.ErrorResponse) as told:
        raw.rows()
    assert (told.value.severity, told.value.sqlstate) == ("ERROR", "0A000")
    assert raw.query("SELECT 1") == [[b"1"]]


def test_statements_behind_a_wrong_one_are_not_done(start, talk):
    raw = talk(start().console)
    raw.send(messages.query("SELECT 1; CAPTURE STOP 99; SELECT 2"))
    kinds = []
    while not kinds or kinds[-1] != b"Z":
        kinds.append(raw.message()[0])
    assert b"".join(kinds) == b"TDCEZ"


def test_queries_that_come_together_or_in_pieces_are_answered_alike(start, client):
    proxy = start()
    raw = client(proxy.console, chunk=1)
    raw.login("somebody")
    raw.send(messages.query("SELECT 1") * 3)
    assert [raw.rows() for _ in range(3)] == [[[b"1"]]] * 3
    raw.send(messages.query(";"))
    assert raw.message()[0] == b"I"


def test_a_newer_protocol_and_unknown_options_are_negotiated(start, client):
    proxy = start()
    raw = client(proxy.console)
    raw.send(messages.startup("any", version=3 << 16 | 9999, **{"_pq_.something": "on"}))
    kind, body = raw.message()
    assert kind == b"v" and body == b"\0\0\0\2\0\0\0\1_pq_.something\0"
    raw.finish_login("any")
    assert raw.query("SELECT 1") == [[b"1"]]


# --- openings that are none


def test_tls_is_declined_as_it_is_on_every_unix_socket(start, client):
    raw = client(start().console)
    raw.send(messages.GSSENC_REQUEST)
    assert raw.receive(1) == b"N"
    assert raw.request_tls() == b"N"
    raw.login("any")
    assert raw.query("SELECT 1") == [[b"1"]]


@pytest.mark.parametrize("garbage", [
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\0\0\0\x04",
    b"\0\0\0\x08\0\x02\0\0",
    b"\xff" * 64,
    messages.startup("any")[:-1] + b"x",
])
def test_what_is_no_opening_ends_its_connection_alone(start, client, talk, garbage):
    proxy = start()
    other = talk(proxy.console)
    raw = client(proxy.console)
    raw.send(garbage)
    raw.sock.shutdown(socket.SHUT_WR)
    while raw.receive_some():
        pass
    assert other.query("SELECT 1") == [[b"1"]]


def test_what_is_no_message_ends_its_session_alone(start, talk):
    proxy = start()
    other = talk(proxy.console)
    for garbage in (b"Q\0\0\0\3", b"Q\x7f\xff\xff\xff", messages.message(b"!")):
        raw = talk(proxy.console)
        raw.send(garbage)
        assert raw.fatal().sqlstate == "08P01"
    assert other.query("SELECT 1") == [[b"1"]]


def test_a_client_that_says_nothing_holds_nobody_up_and_is_let_go(start, client, talk):
    proxy = start()
    silent, half = client(proxy.console), client(proxy.console)
    half.send(messages.startup("any")[:20])
    assert talk(proxy.console).query("SELECT 1") == [[b"1"]]
    silent.expect_closed()
    half.expect_closed()
    assert proxy.process.poll() is None


def test_a_client_that_does_not_read_holds_nobody_up_and_is_let_go(start, talk):
    proxy = start()
    other, deaf = talk(proxy.console), talk(proxy.console)
    deaf.sock.settimeout(1)
    with pytest.raises((TimeoutError, ConnectionError)):
        while True:
            deaf.send(messages.query("SHOW HELP") * 100)
    assert other.query("SELECT 1") == [[b"1"]]

    def is_let_go():
        try:
            deaf.send(messages.query("SHOW HELP"))
        except TimeoutError:
            return False
        except ConnectionError:
            return True
    until(is_let_go, what="the end of a client that does not read")
    assert other.query("SELECT 1") == [[b"1"]]


# --- how many


def test_the_thirty_third_client_is_told_so_and_gets_in_when_another_has_left(start, client, talk):
    proxy = start()
    clients = [talk(proxy.console) for _ in range(MAX_SESSIONS)]
    late = client(proxy.console)
    late.send(messages.startup("any"))
    assert late.fatal().sqlstate == "53300"
    assert all(raw.query("SELECT 1") == [[b"1"]] for raw in clients)
    clients[0].close()

    def gets_in():
        raw = client(proxy.console)
        raw.send(messages.startup("any"))
        return raw.message()[0] == b"R"
    until(gets_in)


def test_clients_beyond_what_can_be_told_are_closed_at_once_and_nobody_else(start, client, talk):
    proxy = start()
    clients = [talk(proxy.console) for _ in range(MAX_SESSIONS)]
    waiting = [client(proxy.console) for _ in range(8)]
    one_more = client(proxy.console)
    one_more.expect_closed()
    waiting[0].send(messages.startup("any"))
    assert waiting[0].fatal().sqlstate == "53300"
    assert all(raw.query("SELECT 1") == [[b"1"]] for raw in clients)


@pytest.fixture
def as_user(others, client):
    """A raw client of the console, of another user than ours."""
    def make(uid):
        os.seteuid(uid)
        try:
            return client(others)
        finally:
            os.seteuid(0)
    return make


def test_one_user_takes_eight_places_and_readers_leave_some_for_who_commands(start, others, as_user, talk):
    users = [NOBODY, 1, 2]
    start(admin={"console": f"unix:{others}", "console_readers": [*users, 3]})
    readers = []
    for uid in users:
        for _ in range(8):
            readers.append(as_user(uid))
            readers[-1].login("any")
        assert "8 of one user" in refusal(others, user=uid)
    assert "24 of those who may only read" in refusal(others, user=3)
    commanders = [talk(others) for _ in range(MAX_SESSIONS - len(readers))]
    assert all(raw.query("SELECT 1") == [[b"1"]] for raw in commanders + readers)
    readers[0].close()
    until(lambda: psql(others, "SELECT 1", check=False).returncode == 0)


# --- who


def test_a_stranger_is_told_who_may(start, others):
    proxy = start(admin={"console": f"unix:{others}", "console_readers": [1]})
    told = refusal(others, user=NOBODY)
    assert "FATAL" in told and f"uid {NOBODY}" in told and "admin.console_uids" in told
    proxy.wait_for_log(f"console: refused: uid {NOBODY}")
    assert psql(others, "SELECT 1").stdout == "1\n"


def test_a_reader_reads_and_does_not_command(start, others):
    start(admin={"console": f"unix:{others}", "console_readers": [NOBODY]})
    assert psql(others, "SELECT 1", user=NOBODY).stdout == "1\n"
    assert psql(others, "CAPTURE STATUS", user=NOBODY).stdout == ""
    for command in ("CAPTURE START", "CAPTURE START TO STDOUT", "CAPTURE STOP"):
        assert "42501" in refusal(others, command, user=NOBODY)


def test_a_reload_says_who_may_from_now_on(start, others):
    proxy = start(admin={"console": f"unix:{others}"})
    assert oct(os.stat(others).st_mode & 0o777) == "0o600"
    assert "Permission denied" in refusal(others, user=NOBODY)
    text = proxy.config_file.read_text()
    proxy.write_config(text + f"console_uids = [{NOBODY}]\n")
    proxy.signal(signal.SIGHUP)
    proxy.event("reloaded")
    until(lambda: "no capture" in refusal(others, "CAPTURE STOP", user=NOBODY))
    proxy.write_config(text)
    proxy.signal(signal.SIGHUP)
    until(lambda: oct(os.stat(os.path.dirname(others)).st_mode & 0o777) == "0o700" and oct(os.stat(others).st_mode & 0o777) == "0o600")
    assert "Permission denied" in refusal(others, user=NOBODY)


def test_a_folder_that_is_not_ours_is_left_as_it_is_with_a_word_about_it(start, directory):
    folder = directory / "theirs"
    folder.mkdir(mode=0o700)
    proxy = start(admin={"console": f"unix:{folder}/.s.PGSQL.7000", "console_uids": [NOBODY]})
    proxy.wait_for_log(f"chmod o.x {folder}")
    assert oct(folder.stat().st_mode & 0o777) == "0o700"


def test_the_default_console_is_for_nobody_else(start):
    proxy = start()
    folder = os.path.dirname(proxy.console)
    assert oct(os.stat(folder).st_mode & 0o777) == "0o700"
    assert oct(os.stat(proxy.console).st_mode & 0o777) == "0o600"


# --- the socket


def test_the_socket_of_a_dead_process_is_replaced(start, run_proxy, pki, cluster):
    proxy = start()
    proxy.kill()
    proxy.expected_exit = -signal.SIGKILL
    assert os.path.exists(proxy.console)
    again = start(runtime={"state_dir": str(proxy.state_dir)})
    assert psql(proxy.console, "SELECT 1").stdout == "1\n"
    again.stop()
    assert not os.path.exists(proxy.console)


def test_the_socket_of_a_living_process_is_left_alone(start, connect, directory):
    console = f"{directory}/console/.s.PGSQL.6434"
    first = start(admin={"console": f"unix:{console}"})
    second = start(admin={"console": f"unix:{console}"})
    second.wait_for_log("error no console: .*another process is listening there")
    connect(second).close()
    second.stop()
    assert psql(console, "SELECT 1").stdout == "1\n"
    first.stop()
    assert not os.path.exists(console)


@pytest.mark.parametrize("kind", ["file", "folder in the way", "path too long"])
def test_a_console_that_cannot_be_stops_no_start(start, connect, directory, kind):
    path = directory / "x" / ".s.PGSQL.6434"
    if kind == "file":
        path.parent.mkdir()
        path.write_text("precious")
    elif kind == "folder in the way":
        path.parent.write_text("a file")
    else:
        path = directory / ("x" * 100) / ".s.PGSQL.6434"
    proxy = start(admin={"console": f"unix:{path}"})
    proxy.wait_for_log("error no console: ")
    connect(proxy).close()
    assert kind != "file" or path.read_text() == "precious"


def test_no_console_is_made_when_it_is_off(start, connect):
    proxy = start(admin={"console": ""})
    connect(proxy).close()
    assert not os.path.exists(os.path.dirname(proxy.console))
    done = programs.pgairlock("capture", "status", "--config", str(proxy.config_file))
    assert done.returncode == 2 and "admin.console" in done.stderr and "is off" in done.stderr


def test_it_answers_while_the_proxy_drains(start, client):
    proxy = start(runtime={"drain_timeout": "1h"})
    raw = client(proxy)
    raw.login()
    proxy.signal(signal.SIGTERM)
    proxy.event("stopping")
    assert psql(proxy.console, "SELECT 1").stdout == "1\n"
    raw.send(messages.TERMINATE)
    raw.close()
    proxy.expect_exit(0)
    assert not os.path.exists(proxy.console)


def test_an_open_console_does_not_keep_the_proxy_from_ending(start, talk):
    proxy = start(runtime={"drain_timeout": "1h"})
    raw = talk(proxy.console)
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    raw.expect_closed()


def test_nothing_is_left_of_clients_that_are_gone(start, talk):
    proxy = start()
    before = len(proxy.fds())
    for _ in range(3):
        clients = [talk(proxy.console) for _ in range(10)]
        for raw in clients:
            raw.abort()
    until(lambda: len(proxy.fds()) == before, what="the descriptors of clients that are gone")
