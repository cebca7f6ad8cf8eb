"""CancelRequest: in clear and in TLS, to the server that owns the key, verified as the session's connection, and nobody else's."""

import os
import signal
import socket
import struct
import subprocess
import threading
import time

import psycopg2
import pytest

from conftest import client_environment
from harness import messages, programs
from harness.fake_upstream import accepting, server_context
from harness.messages import ErrorResponse
from harness.waiting import PATIENCE, until

WAYS = ["plain", "sslrequest", "direct"]


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_psycopg2_cancels(start, connect, cluster, sslmode):
    proxy = start()
    connection = connect(proxy, sslmode=sslmode)
    pid = connection.info.backend_pid
    threading.Thread(target=lambda: (cluster.wait_until_asleep(pid), connection.cancel())).start()
    with pytest.raises(psycopg2.errors.QueryCanceled), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(600)")
    event = proxy.event("cancel")
    assert (event["matched"], event["ssl"]) == (True, False)


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_ctrl_c_in_psql_cancels(start, cluster, sslmode):
    proxy = start()
    psql = subprocess.Popen([programs.postgres_bin() / "psql", "-X", "-c", "SELECT pg_sleep(600) AS cancelled_by_hand"],
                            env=client_environment(proxy, "trust_user", sslmode), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: cluster.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%cancelled_by_hand' AND wait_event = 'PgSleep'"))
    os.kill(psql.pid, signal.SIGINT)
    _, error = psql.communicate(timeout=PATIENCE)
    assert "canceling statement due to user request" in error


@pytest.mark.parametrize("chunk", [None, 1], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("mode", ["allow", "require"])
@pytest.mark.parametrize("how", WAYS)
def test_a_cancel_request_is_taken_however_it_comes(start, client, cluster, how, mode, chunk):
    proxy = start(tls={"mode": mode})
    session = client(proxy).negotiate("sslrequest")
    login = cluster.put_to_sleep(session)
    cancel(client, proxy, login, how, chunk)
    with pytest.raises(ErrorResponse) as cancelled:
        session.rows()
    assert cancelled.value.sqlstate == "57014"
    event = proxy.event("cancel")
    assert (event["matched"], event["ssl"]) == (True, how != "plain")


def test_terminate_behind_a_cancel_request_is_ignored(start, client, cluster):
    proxy = start()
    session = client(proxy)
    login = cluster.put_to_sleep(session)
    raw = client(proxy)
    raw.send(messages.cancel_request(login.backend_pid, login.key) + messages.TERMINATE)
    with pytest.raises(ErrorResponse) as cancelled:
        session.rows()
    assert cancelled.value.sqlstate == "57014"


@pytest.mark.parametrize("change", [lambda pid, key: (pid, bytes(b ^ 1 for b in key)), lambda pid, key: (pid ^ 1, key),
                                    lambda pid, key: (pid, key + b"\0\0\0\0")], ids=["key", "pid", "length"])
def test_a_wrong_key_goes_nowhere(start, client, fake, pki, change):
    server = fake(accepting(server_context(pki.server), pid=77, key=b"keys"))
    proxy = start([server.host])
    client(proxy).login()
    pid, key = change(77, b"keys")
    raw = client(proxy)
    raw.send(messages.cancel_request(pid, key))
    raw.expect_closed()
    assert proxy.event("cancel")["matched"] is False
    assert len(server.peers) == 1


def test_the_key_of_an_ended_session_goes_nowhere(start, client, fake, pki):
    server = fake(accepting(server_context(pki.server), pid=77, key=b"keys"))
    proxy = start([server.host])
    session = client(proxy)
    login = session.login()
    session.send(messages.TERMINATE)
    session.close()
    proxy.event("disconnected")
    cancel(client, proxy, login, "plain")
    assert proxy.event("cancel")["matched"] is False
    assert len(server.peers) == 1


@pytest.mark.parametrize("length", [4, 32, 256])
def test_keys_of_every_length_reach_the_server_over_verified_tls(start, client, fake, pki, length):
    key = bytes(range(256))[:length]
    server = fake(accepting(server_context(pki.server), pid=88, key=key))
    proxy = start([server.host])
    session = client(proxy)
    login = session.login()
    assert login.key == key
    cancel(client, proxy, login, "plain")
    until(lambda: len(server.peers) == 2 and server.peers[1].cancel)
    assert server.peers[1].opening == ["SSLRequest", "tls", "CancelRequest"]
    assert server.peers[1].cancel == (88, key)


def test_a_cancel_request_goes_to_the_address_of_its_session(start, client, fake, pki):
    """Two servers behind one upstream: the key belongs to the second, which answered when the first did not."""
    context, down = server_context(pki.server), threading.Event()
    down.set()
    decent = accepting(context, pid=5, key=b"aaaa")

    def sometimes(peer):
        if not down.is_set():
            decent(peer)

    first, second = fake(sometimes), fake(accepting(context, pid=6, key=b"bbbb"))
    proxy = start([first.host, second.host])
    session = client(proxy)
    login = session.login()
    down.clear()
    before = len(first.peers)
    cancel(client, proxy, login, "plain")
    until(lambda: any(peer.cancel for peer in second.peers))
    assert len(first.peers) == before
    assert proxy.event("cancel")["upstream_addr"] == second.host


def test_a_cancel_request_never_goes_to_a_server_that_no_longer_verifies(start, client, fake, pki):
    good, bad = server_context(pki.server), server_context(pki.leaf(pki.old, "server.impostor", ("IP:127.0.0.1",)))
    contexts = [good, bad]

    def script(peer):
        accepting(contexts[min(len(server.peers), 2) - 1], key=b"keys")(peer)

    server = fake(script)
    proxy = start([server.host])
    session = client(proxy)
    cancel(client, proxy, session.login(), "plain")
    until(lambda: len(server.peers) == 2 and server.peers[1].ended)
    assert server.peers[1].cancel is None
    assert session.query("SELECT 1") == []


def test_a_cancel_request_gets_no_answer(start, client):
    proxy = start()
    session = client(proxy)
    login = session.login()
    raw = cancel(client, proxy, login, "plain")
    raw.expect_closed()
    assert session.query("SELECT 1") == [[b"1"]]


@pytest.mark.parametrize("how", WAYS)
def test_a_server_that_is_slow_to_close_has_got_it_all_the_same(start, client, fake, pki, how):
    """Longer than connect_timeout and than client_login_timeout, which end nothing but the wait."""
    server = fake(answering_cancel(pki, lambda peer: peer.until_closed()))
    proxy = start([server.host], runtime={"client_login_timeout": "5s"}, upstream={"connect_timeout": "3s"})
    raw = cancel(client, proxy, client(proxy).login(), how)
    raw.expect_closed()
    assert_one_cancel(proxy, server)


def test_the_login_timeout_does_not_end_a_cancel(start, client, fake, pki):
    def slow(peer):
        time.sleep(4)
    server = fake(answering_cancel(pki, slow))
    proxy = start([server.host], runtime={"client_login_timeout": "3s"})
    raw = cancel(client, proxy, client(proxy).login(), "plain")
    raw.expect_closed()
    assert_one_cancel(proxy, server)


def test_a_server_that_resets_has_got_it_all_the_same(start, client, fake, pki):
    server = fake(answering_cancel(pki, reset))
    proxy = start([server.host])
    raw = cancel(client, proxy, client(proxy).login(), "plain")
    raw.expect_closed()
    assert_one_cancel(proxy, server)


def test_the_end_of_a_drain_reaches_the_server_of_a_cancel(start, client, fake, pki):
    """Who waits for its close would wait for connect_timeout otherwise."""
    server = fake(answering_cancel(pki, lambda peer: peer.until_closed()))
    proxy = start([server.host], runtime={"drain_timeout": "500ms"}, upstream={"connect_timeout": "30s"})
    raw = cancel(client, proxy, client(proxy).login(), "plain")
    until(lambda: server.peers[-1].cancel)
    proxy.signal(signal.SIGTERM)
    raw.expect_closed()
    proxy.expect_exit(0, timeout=25)
    assert_one_cancel(proxy, server)
    assert server.peers[-1].ended is None  # closed by us, in order


def test_the_end_of_a_drain_reaches_a_cancel_that_is_still_connecting(start, client, fake, pki):
    server = fake(answering_cancel(pki, reset, before_tls=lambda peer: peer.until_closed()))
    proxy = start([server.host], runtime={"drain_timeout": "500ms"}, upstream={"connect_timeout": "30s"})
    raw = cancel(client, proxy, client(proxy).login(), "plain")
    until(lambda: len(server.peers) == 2)
    proxy.signal(signal.SIGTERM)
    raw.expect_closed()
    proxy.expect_exit(0, timeout=25)
    event = the_only_end(proxy, raw)
    assert (event["event"], event["matched"]) == ("cancel", True)
    assert "shutting down" in event["error"]


@pytest.mark.parametrize("failure", ["closes", "resets", "hangs"])
def test_a_cancel_request_that_was_not_delivered_says_why(start, client, fake, pki, failure):
    does = {"closes": lambda peer: None, "resets": reset, "hangs": lambda peer: peer.until_closed()}[failure]
    server = fake(answering_cancel(pki, reset, before_tls=does))
    proxy = start([server.host], upstream={"connect_timeout": "3s"})
    raw = cancel(client, proxy, client(proxy).login(), "plain")
    raw.expect_closed()
    event = the_only_end(proxy, raw)
    assert (event["event"], event["matched"], event["upstream_addr"]) == ("cancel", True, server.host)
    assert event["error"]
    proxy.wait_for_log("cancel request not delivered to " + server.host)


@pytest.mark.parametrize("leave", ["close", "abort"])
def test_a_client_that_does_not_wait_is_obeyed_all_the_same(start, client, fake, pki, leave):
    """libpq's PQcancel waits for our close; others do not."""
    server = fake(answering_cancel(pki, lambda peer: time.sleep(0.3)))
    proxy = start([server.host])
    raw = cancel(client, proxy, client(proxy).login(), "plain")
    until(lambda: len(server.peers) == 2)
    getattr(raw, leave)()
    assert_one_cancel(proxy, server, raw)


def test_a_client_that_stays_gets_no_answer(start, client, fake, pki):
    """Neither at the login timeout nor later: it has sent its request and does nothing more."""
    server = fake(answering_cancel(pki, lambda peer: time.sleep(0.3)))
    proxy = start([server.host], runtime={"client_login_timeout": "3s"})
    raw = cancel(client, proxy, client(proxy).login(), "plain")
    time.sleep(4)
    raw.expect_closed()
    assert_one_cancel(proxy, server, raw)


# --- Helpers


def answering_cancel(pki, script, *, before_tls=None):
    """A decent server whose connections for a cancel are `script`'s, or as far as the SSLRequest `before_tls`'s."""
    context, decent = server_context(pki.server), accepting(server_context(pki.server), pid=77, key=b"keys")
    first = threading.Lock()

    def serve(peer):
        if first.acquire(blocking=False):
            return decent(peer)
        assert peer.packet() == "SSLRequest"
        if before_tls:
            return before_tls(peer)
        peer.send(b"S")
        peer.start_tls(context)
        assert peer.packet() == "CancelRequest"
        return script(peer)
    return serve


def reset(peer):
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()


def the_only_end(proxy, raw):
    """The one event of that connection, also after everything else that it could still bring."""
    proxy.stop()
    ends = [event for event in proxy.all_events() if event.get("client_port") == raw.port]
    assert len(ends) == 1, ends
    return ends[0]


def assert_one_cancel(proxy, server, raw=None):
    proxy.stop()
    assert server.peers[1].cancel == (77, b"keys")
    events = proxy.all_events()
    cancels = [event for event in events if event["event"] == "cancel"]
    assert len(cancels) == 1, events
    assert (cancels[0]["matched"], cancels[0]["error"], cancels[0]["upstream_addr"]) == (True, None, server.host)
    assert not [event for event in events if event["event"] not in ("cancel", "connected", "disconnected", "started", "stopping", "upstream_certificate", "new_weak_client")]


def cancel(client, proxy, login, how, chunk=None):
    raw = client(proxy, chunk=chunk).negotiate(how)
    raw.send(messages.cancel_request(login.backend_pid, login.key))
    return raw
