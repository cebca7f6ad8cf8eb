"""Whoever asks without an end, and a process without descriptors: HTTP, console and listeners go on or come back."""

import os
import resource
import socket
import subprocess

import psycopg2
import pytest

from harness import messages
from harness.http import ask
from harness.waiting import until
from test_console_limits import ENDLESS, LARGE, NOBODY, connected, one

ADMIN = {"http": "127.0.0.1:0"}
MAX_CONNECTIONS = 64  # of HTTP
LONG_LIKE = "SELECT printf('%.*c', 250000, 'a') LIKE ('%' || printf('%.*c', 998, 'a') || 'b')"


def is_answered(question) -> bool:
    try:
        return question()
    except (OSError, EOFError, AssertionError, messages.ErrorResponse, psycopg2.Error):
        return False


def test_without_descriptors_http_console_and_listeners_come_back_and_sessions_go_on(start, client):
    proxy = start(admin=ADMIN, runtime={"threads": 2})
    established, asking = client(proxy), connected(proxy)
    established.login()
    assert one(asking, "SELECT count(*) FROM open_sessions") == 1
    _, most = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (len(proxy.fds()), most))
    # Each has some descriptors in reserve, so it takes more than one to be out of them.
    crowd = [socket.create_connection(proxy.http) for _ in range(MAX_CONNECTIONS)]
    crowd += [client(proxy).sock for _ in range(20)]
    knocking = socket.socket(socket.AF_UNIX)
    knocking.connect(proxy.console)
    proxy.wait_for_log("cannot accept a connection on .*: Too many open files")
    assert established.query("SELECT 1") == [[b"1"]]
    assert one(asking, "SELECT count(*) FROM open_sessions") == 1  # who is there is answered
    assert established.query("SELECT 2") == [[b"2"]]
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (most, most))
    for one_of_them in (*crowd, knocking):
        one_of_them.close()
    until(lambda: is_answered(lambda: ask(proxy.http, "/livez")[0] == 200), what="HTTP again")

    def console_answers():
        with connected(proxy, connect_timeout=5) as again:
            return one(again, "SELECT count(*) FROM open_sessions") >= 1
    until(lambda: is_answered(console_answers), what="a console again")

    def login():
        client(proxy, timeout=5).login()
        return True
    until(lambda: is_answered(login), what="a listener again")
    assert established.query("SELECT 3") == [[b"3"]]
    asking.close()


def test_an_address_that_takes_all_places_of_http_loses_its_own_and_no_others(start):
    proxy = start(admin=ADMIN)
    quiet = socket.create_connection(proxy.http, source_address=("127.0.0.2", 0))
    quiet.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert quiet.recv(4096).startswith(b"HTTP/1.1 200")
    crowd = [socket.create_connection(proxy.http, source_address=("127.0.0.3", 0)) for _ in range(MAX_CONNECTIONS + 8)]
    for connection in crowd:
        try:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        except OSError:
            pass  # its place is somebody else's already
    for _ in range(20):
        other = socket.create_connection(proxy.http, source_address=("127.0.0.4", 0))
        other.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert other.recv(4096).startswith(b"HTTP/1.1 200")
        other.close()
    # The first of all, and idle for longest: it was not its address that took too many.
    quiet.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert quiet.recv(4096).startswith(b"HTTP/1.1 200")
    quiet.close()
    for connection in crowd:
        connection.close()


READER = """
import psycopg2, sys
connection = psycopg2.connect(host=sys.argv[1], port=sys.argv[2], dbname="pgairlock", user="x")
connection.autocommit = True
cursor = connection.cursor()
print("connected", flush=True)
while True:
    try:
        cursor.execute(sys.argv[3])
    except (psycopg2.errors.QueryCanceled, psycopg2.errors.OutOfMemory):
        pass
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
@pytest.mark.parametrize("question", [LONG_LIKE, ENDLESS, LARGE], ids=["a long LIKE", "without an end", "a large result"])
def test_readers_that_ask_for_much_keep_whoever_commands_waiting_for_nothing(start, directory, question):
    socket_path = f"{directory}/console/.s.PGSQL.7000"
    proxy = start(admin={**ADMIN, "console": f"unix:{socket_path}", "console_readers": [NOBODY]})
    readers = [subprocess.Popen(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--", "/usr/bin/python3", "-c", READER,
                                 f"{directory}/console", "7000", question], stdout=subprocess.PIPE, text=True) for _ in range(6)]
    try:
        for reader in readers:
            assert reader.stdout.readline() == "connected\n"
        root = psycopg2.connect(host=f"{directory}/console", port=7000, dbname="pgairlock", user="root", options="-c statement_timeout=9s")
        root.autocommit = True
        for _ in range(20):
            # Behind one of the readers it would come to its own end first.
            assert one(root, "SELECT count(*) FROM open_sessions") == 0
        with root.cursor() as cursor:
            cursor.execute("RELOAD")
        assert ask(proxy.http, "/metrics")[0] == 200
        root.close()
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
            reader.stdout.close()
