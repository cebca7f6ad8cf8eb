"""The console while other things fail or end: the inventory, the drain, the process."""

import os
import signal

import psycopg2
import pytest

from harness import messages
from harness.waiting import until


def connected(proxy):
    connection = psycopg2.connect(host=os.path.dirname(proxy.console), port=6434, dbname="pgairlock", user="somebody")
    connection.autocommit = True
    return connection


def ask(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def damage(path, how):
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if how == "removed":
        path.unlink()
    elif how == "a folder":
        path.unlink()
        path.mkdir()
    elif how == "empty":
        (path.parent / "new").write_bytes(b"")
        (path.parent / "new").rename(path)
    else:
        (path.parent / "new").write_bytes(os.urandom(65536) if how == "noise" else path.read_bytes()[:3000])
        (path.parent / "new").rename(path)


@pytest.mark.parametrize("how", ["removed", "a folder", "empty", "noise", "cut off"])
def test_an_inventory_that_is_damaged_is_told_and_costs_the_rest_nothing_also_in_a_drain(start, connect, client, directory, how):
    path = directory / "inventory" / "inventory.db"
    path.parent.mkdir()
    proxy = start(audit={"inventory": str(path)}, runtime={"drain_timeout": "1h"})
    raw = client(proxy)
    raw.login()
    connect(proxy).close()
    proxy.event("disconnected")
    connection = connected(proxy)
    until(lambda: ask(connection, "SELECT count(*) FROM clients")[0][0] > 0, what="the inventory")
    damage(path, how)

    def look():
        # Written anew by now, or not to be read: an error that says so, and never another.
        try:
            ask(connection, "SELECT count(*) FROM clients")
        except psycopg2.errors.CannotConnectNow as told:
            assert "inventory cannot be read" in str(told)
        assert ask(connection, "SELECT count(*) FROM pg_stat_activity") == [(1,)]
        assert ask(connection, "SELECT count(*) FROM sessions") == [(1,)]
        assert ask(connection, "SHOW CLIENTS")
    look()
    proxy.signal(signal.SIGTERM)
    proxy.event("stopping")
    look()
    raw.send(messages.TERMINATE)
    raw.close()
    proxy.expect_exit(0)


def test_the_console_answers_to_the_last_of_a_drain_and_lets_go_with_the_process(start, client):
    """A session that does not end is ended by drain_timeout: until then each answer is right, and then there is none."""
    proxy = start(runtime={"drain_timeout": "2s"})
    raw = client(proxy)
    raw.login()
    connection = connected(proxy)
    until(lambda: ask(connection, "SELECT count(*) FROM open_sessions") == [(1,)])
    proxy.signal(signal.SIGTERM)
    answers = 0
    with pytest.raises(psycopg2.OperationalError):
        while True:
            assert ask(connection, "SELECT count(*) FROM open_sessions") in ([(1,)], [(0,)])
            answers += 1
    assert answers > 0
    proxy.expect_exit(0)


def test_a_process_that_ends_waits_for_no_question_and_no_reader(start, client):
    endless = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x"
    many = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x LIMIT 90000) SELECT n, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' FROM x"
    proxy = start()
    for sql in (many, endless, endless):
        raw = client(proxy.console)
        raw.login("somebody")
        raw.send(messages.query(sql))
    connection = connected(proxy)
    with connection.cursor() as cursor:
        cursor.execute("SHUTDOWN")
    proxy.expect_exit(0)
    connection.close()
