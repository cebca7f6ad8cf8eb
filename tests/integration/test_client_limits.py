"""Who may come in, how many, and for how long without logging in."""

import time

import psycopg2
import pytest

from harness import messages
from harness.messages import ErrorResponse
from harness.waiting import until


def test_addresses_outside_allow_are_refused_and_audited(start, client):
    proxy = start(listener={"allow": ["10.0.0.0/8", "127.0.0.9"]})
    raw = client(proxy)
    raw.send(messages.startup())
    assert raw.fatal().sqlstate == "28000"
    event = proxy.event("rejected")
    assert (event["client_addr"], event["client_port"], event["sqlstate"]) == ("127.0.0.1", raw.port, "28000")
    client(proxy, source="127.0.0.9").login()


def test_the_connection_limit_holds_and_frees_places(start, client):
    proxy = start(runtime={"max_connections": 2})
    first, second = client(proxy), client(proxy)
    first.login()
    second.login()
    third = client(proxy)
    with pytest.raises(ErrorResponse) as refused:
        third.login()
    assert (refused.value.severity, refused.value.sqlstate) == ("FATAL", "53300")
    third.close()
    assert proxy.event("rejected")["sqlstate"] == "53300"
    first.send(messages.TERMINATE)
    first.close()
    until(lambda: can_log_in(client, proxy), what="a free place")


def test_a_refused_client_that_does_not_close_takes_no_place(start, client):
    """Otherwise a crowd of refused clients keeps everybody out."""
    proxy = start(runtime={"max_connections": 1})
    first, refused = client(proxy), client(proxy)
    first.login()
    with pytest.raises(ErrorResponse):
        refused.login()
    first.send(messages.TERMINATE)
    first.close()
    proxy.event("disconnected")
    client(proxy).login()


def test_the_place_of_a_client_that_is_reported_gone_is_free(start, client):
    proxy = start(runtime={"max_connections": 1})
    for times in range(1, 201):
        raw = client(proxy)
        raw.login()
        raw.send(messages.TERMINATE)
        raw.close()
        until(lambda: proxy.audit_text().count('"event":"disconnected"') == times, interval=0)


def test_a_tls_client_can_read_that_there_are_too_many_connections(start, client, connect):
    proxy = start(runtime={"max_connections": 1})
    client(proxy).login()
    with pytest.raises(psycopg2.OperationalError, match="too many"):
        connect(proxy, sslmode="require")


def test_the_limit_per_address_counts_addresses_apart(start, client):
    proxy = start(runtime={"max_connections_per_address": 1})
    client(proxy, source="127.0.0.1").login()
    client(proxy, source="127.0.0.2").login()
    with pytest.raises(ErrorResponse) as refused:
        client(proxy, source="127.0.0.2").login()
    assert refused.value.sqlstate == "53300"


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
def test_a_client_that_stops_before_logging_in_is_cut_off(start, client, state):
    proxy = start(runtime={"client_login_timeout": "5s"})
    raw = client(proxy)
    begin = time.monotonic()
    state(raw)
    while raw.receive_some():
        pass
    assert time.monotonic() - begin > 3


def test_a_client_that_owes_its_password_is_told_of_the_timeout(start, client):
    proxy = start(runtime={"client_login_timeout": "5s"})
    raw = client(proxy)
    raw.send(messages.startup("md5_user"))
    assert raw.message()[0] == b"R"
    error = raw.fatal()
    assert "time" in error.message.lower()


def test_the_login_timeout_does_not_end_sessions(start, client):
    raw = client(start(runtime={"client_login_timeout": "5s"}))
    raw.login()
    raw.query("SELECT pg_sleep(6)")
    assert raw.query("SELECT 1") == [[b"1"]]


def can_log_in(client, proxy):
    raw = client(proxy)
    try:
        return raw.login()
    except ErrorResponse:
        raw.close()
        return None
