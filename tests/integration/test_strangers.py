"""Those who come and do not log in: what they hold, how long, and that nobody else pays for it."""

import socket
import time

import pytest

from harness import messages
from harness.messages import ErrorResponse
from harness.waiting import until

STRANGERS = 32  # of addresses outside `allow`, all together
LONG = "1200s"  # no wait of this test


def silent(proxy, count, source="127.0.0.1"):
    """Connections that say nothing, once the proxy has taken or closed them all."""
    crowd = []
    for _ in range(count):
        crowd.append(socket.create_connection(proxy.address, source_address=(source, 0)))
    return crowd


def open_ones(crowd):
    """Those that the proxy has not closed."""
    return [sock for sock in crowd if not is_closed(sock)]


def is_closed(sock):
    sock.setblocking(False)
    try:
        return sock.recv(1 << 16, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def close_all(crowd):
    for sock in crowd:
        sock.close()


@pytest.fixture
def crowd():
    """Silent ones, closed at the end."""
    all_of_them = []

    def make(proxy, count, source="127.0.0.1"):
        made = silent(proxy, count, source)
        all_of_them.extend(made)
        return made

    yield make
    close_all(all_of_them)


# --- Connections that do not log in


def test_silent_connections_keep_nobody_out(start, client, crowd):
    proxy = start(runtime={"max_connections": 100, "client_opening_timeout": LONG, "client_login_timeout": LONG})
    waiting = crowd(proxy, 300)
    client(proxy).login()
    client(proxy, source="127.0.0.2").login()
    client(proxy, source="127.0.0.2").negotiate("sslrequest").login()
    assert len(open_ones(waiting)) == 300


def test_half_open_handshakes_keep_nobody_out(start, client, crowd):
    proxy = start(runtime={"max_connections": 20, "client_opening_timeout": LONG, "client_login_timeout": LONG})
    for sock in crowd(proxy, 60):
        sock.sendall(messages.SSL_REQUEST)
        assert sock.recv(1) == b"S"
        sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01")
    client(proxy).login()
    client(proxy, source="127.0.0.2").negotiate("sslrequest").login()


def test_a_cancel_request_finds_a_place_when_there_is_none_left(start, client, cluster, crowd):
    """Beside 300 who wait for nothing: that is what it is sent for."""
    proxy = start(runtime={"max_connections": 1, "client_opening_timeout": LONG, "client_login_timeout": LONG})
    session = client(proxy)
    login = session.login()
    crowd(proxy, 300)
    session.send(messages.query("SELECT pg_sleep(600)"))
    cluster.wait_until_asleep(login.backend_pid)
    with pytest.raises(ErrorResponse) as full:
        client(proxy, source="127.0.0.2").login()
    assert full.value.sqlstate == "53300"
    client(proxy, source="127.0.0.2").send(messages.cancel_request(login.backend_pid, login.key))
    with pytest.raises(ErrorResponse) as cancelled:
        session.rows()
    assert cancelled.value.sqlstate == "57014"


def test_a_cancel_request_finds_a_place_when_others_have_all_before_the_login(start, client, cluster, crowd):
    proxy = start(runtime={"max_connections_before_login": 20, "client_opening_timeout": LONG, "client_login_timeout": LONG})
    session = client(proxy)
    login = session.login()
    for source in ("127.0.0.2", "127.0.0.3"):
        crowd(proxy, 60, source)
    session.send(messages.query("SELECT pg_sleep(600)"))
    cluster.wait_until_asleep(login.backend_pid)
    client(proxy).send(messages.cancel_request(login.backend_pid, login.key))
    with pytest.raises(ErrorResponse) as cancelled:
        session.rows()
    assert cancelled.value.sqlstate == "57014"


def test_the_limit_before_the_login_is_told_by_its_name_and_frees_its_places(start, client, crowd):
    proxy = start(runtime={"max_connections_before_login": 4, "client_opening_timeout": LONG, "client_login_timeout": LONG})
    waiting = crowd(proxy, 2)
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).login()
    assert (refused.value.sqlstate, refused.value.detail) == (
        "53300", "One address may take half of pgairlock's max_connections_before_login, and has.")
    for _ in range(6):  # one after the other: who has logged in holds no such place
        client(proxy, source="127.0.0.2").login()
    # The last of them is in before its place is free: then one of the crowd finds none, until the next crowd comes.
    full = until(lambda: waiting.extend(crowd(proxy, 2, "127.0.0.2")) or refusal(client(proxy, source="127.0.0.3")),
                 what="a limit that is reached")
    assert full.detail == "pgairlock's max_connections_before_login is reached."
    close_all(waiting)
    until(lambda: logs_in(client(proxy)), what="a place before the login")


def refusal(raw):
    try:
        raw.login()
    except ErrorResponse as refused:
        return refused
    return None


def logs_in(raw):
    try:
        return raw.login()
    except ErrorResponse:
        raw.close()
        return None


# --- Deadlines of the opening


def nothing(_raw):
    pass


def half_a_startup_packet(raw):
    raw.send(messages.startup()[:9])


def no_client_hello(raw):
    assert raw.request_tls() == b"S"


def half_a_client_hello(raw):
    assert raw.request_tls() == b"S"
    raw.send_raw(b"\x16\x03\x01\x02\x00\x01\x00\x01")


def no_startup_in_tls(raw):
    raw.negotiate("sslrequest")


@pytest.mark.parametrize("state", [nothing, half_a_startup_packet, no_client_hello, half_a_client_hello, no_startup_in_tls])
def test_a_client_that_does_not_go_on_is_let_go_long_before_the_login_timeout(start, client, state):
    proxy = start(runtime={"client_opening_timeout": "1s", "client_login_timeout": LONG})
    raw = client(proxy)
    state(raw)
    while raw.receive_some():
        pass
    event = proxy.event("rejected")
    assert (event["reason"], event["sqlstate"]) == ("opening_timeout", "57014")


def test_the_opening_timeout_is_for_each_step_and_not_for_the_login(start, client):
    proxy = start(runtime={"client_opening_timeout": "12s", "client_login_timeout": LONG})
    raw = client(proxy)
    time.sleep(7)
    assert raw.request_tls() == b"S"
    time.sleep(7)
    raw.start_tls()
    raw.send(messages.startup("md5_user"))
    kind, body = raw.message()
    assert kind == b"R"
    time.sleep(12.5)
    assert raw.is_silent(0)


# --- Addresses outside `allow`


def test_strangers_hold_few_places_and_not_for_long(start, client, crowd):
    proxy = start(listener={"allow": ["127.0.0.1"]}, runtime={"client_opening_timeout": LONG, "client_login_timeout": LONG})
    waiting = crowd(proxy, 200, "127.0.0.2")
    until(lambda: len(open_ones(waiting)) <= STRANGERS, what="the end of all strangers but a few")
    proxy.events("rejected", 1, reason="too_many_refusals")
    login = client(proxy).login()
    until(lambda: all_told(waiting), what="the end of the others")
    until(lambda: cancels(client(proxy, source="127.0.0.3"), proxy, login), what="a stranger's cancel request, once there is room")


def all_told(crowd):
    """They read what they were told, to the end."""
    for sock in open_ones(crowd):
        try:
            sock.recv(1 << 16)
        except BlockingIOError:
            pass
    return not open_ones(crowd)


def cancels(raw, proxy, login):
    raw.send(messages.cancel_request(login.backend_pid, login.key))
    raw.receive_some()
    return [event for event in proxy.all_events() if event["event"] == "cancel" and event["matched"]]


def test_of_a_stranger_no_name_is_kept(start, client):
    proxy = start(listener={"allow": ["127.0.0.1"]})
    stranger = client(proxy, source="127.0.0.2").negotiate("sslrequest")
    with pytest.raises(ErrorResponse) as refused:
        stranger.login("somebody", application_name="an application")
    assert refused.value.sqlstate == "28000"
    event = proxy.event("rejected")
    assert [event[name] for name in ("usename", "datname", "application_name")] == [None] * 3
    assert (event["client_addr"], event["reason"]) == ("127.0.0.2", "address_not_allowed")
    proxy.stop()
    assert "somebody" not in proxy.audit_text() + proxy.log()
    assert "localhost" not in proxy.audit_text()


# --- Cancel requests that match nothing


def test_guesses_at_cancel_keys_are_limited_for_the_address_that_makes_them(start, client, cluster):
    proxy = start()
    session = client(proxy)
    login = session.login()
    guesses = [client(proxy, source="127.0.0.2") for _ in range(600)]
    for number, raw in enumerate(guesses):
        raw.send(messages.cancel_request(login.backend_pid, number.to_bytes(4, "big")))
    for raw in guesses:
        raw.expect_closed()
    events = proxy.events("cancel", len(guesses))
    assert {event["matched"] for event in events} == {False}
    assert sum(event["limited"] for event in events) > 0
    assert sum(not event["limited"] for event in events) >= 100
    proxy.wait_for_log("too many cancel requests that match no session")
    session.send(messages.query("SELECT pg_sleep(600)"))
    cluster.wait_until_asleep(login.backend_pid)
    client(proxy, source="127.0.0.3").send(messages.cancel_request(login.backend_pid, login.key))
    with pytest.raises(ErrorResponse) as cancelled:
        session.rows()
    assert cancelled.value.sqlstate == "57014"


def test_an_address_cancels_its_own_sessions_however_many_requests_missed(start, client, cluster):
    """Beside an application all clients have one address."""
    proxy = start()
    session = client(proxy)
    login = cluster.put_to_sleep(session)
    crowd = [client(proxy) for _ in range(600)]
    for number, raw in enumerate(crowd):
        key = login.key if number == 500 else number.to_bytes(4, "big")
        raw.send(messages.cancel_request(login.backend_pid, key))
    with pytest.raises(ErrorResponse) as cancelled:
        session.rows()
    assert cancelled.value.sqlstate == "57014"
    for raw in crowd:
        raw.expect_closed()
    events = proxy.events("cancel", len(crowd))
    assert [event["limited"] for event in events if event["matched"]] == [False]
    assert sum(event["limited"] for event in events) > 0


# --- First bytes of other protocols


@pytest.mark.parametrize("first, name, hint", [
    (b"GET / HTTP/1.1\r\nHost: db\r\n\r\n", "http", "HTTP: is a health check pointed at the PostgreSQL port"),
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", "ssh", "SSH"),
    (b"PROXY TCP4 10.0.0.1 10.0.0.2 50000 5432\r\n" + messages.SSL_REQUEST, "proxy_protocol", "PROXY protocol header"),
    (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + messages.SSL_REQUEST, "proxy_protocol", "PROXY protocol header"),
    (b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0", "rdp", "RDP"),
    (b"\x20\0\0\x01\x05\xae\xff\x19\0\0\0\x01\xff" + bytes(23), "mysql", "MySQL"),
], ids=["http", "ssh", "proxy v1", "proxy v2", "rdp", "mysql"])
def test_another_protocol_is_called_by_its_name(start, client, first, name, hint):
    proxy = start()
    client(proxy).send_raw(first)
    event = proxy.event("rejected")
    assert (event["reason"], event["looks_like"], event["negotiation"]) == ("startup_length", name, None)
    proxy.wait_for_log("this looks like a?n? ?" + hint)


def test_garbage_is_called_nothing(start, client):
    proxy = start()
    client(proxy).send_raw(b"\xff" * 64)
    event = proxy.event("rejected")
    assert (event["reason"], event["looks_like"], event["negotiation"]) == ("startup_length", None, "plain")
