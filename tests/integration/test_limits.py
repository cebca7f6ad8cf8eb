"""Limits of logins: each by itself and all together, who is told what, who waits for whom; and that the numbers agree everywhere."""

import queue
import signal
import threading
import time

import psycopg2
import pytest

from harness import messages, programs
from harness.cluster import PASSWORDS as ACCOUNTS
from harness.cluster import Cluster
from harness.config import configuration
from harness.http import scrape
from harness.messages import ErrorResponse
from harness.scram import PLAIN, ScramServer
from harness.waiting import PATIENCE, until

ADMIN = {"http": "127.0.0.1:0"}
WAYS = ["plain", "sslrequest"]


def reload(proxy, config) -> None:
    count = sum(one["event"] == "reloaded" for one in proxy.all_events())
    proxy.write_config(config)
    proxy.signal(signal.SIGHUP)
    proxy.events("reloaded", count + 1)


def console(proxy, statement) -> list[list[str]]:
    folder, _, port = proxy.console.rpartition("/.s.PGSQL.")
    result = programs.run([programs.postgres_bin() / "psql", "-X", "-At", "-F", "\t", "-h", folder, "-p", port, "-c", statement, "pgairlock"])
    return [line.split("\t") for line in result.stdout.splitlines()]


@pytest.fixture
def enter(client):
    """Logs in and stays."""
    def make(where, user="trust_user", *, how="plain", source=None, database="postgres", **parameters):
        raw = client(where, source=source).negotiate(how)
        raw.login(user, database=database, **parameters)
        return raw
    return make


@pytest.fixture
def refused(enter):
    """The ErrorResponse of somebody who is not let in, which is FATAL 53300."""
    def make(where, user="trust_user", **options) -> ErrorResponse:
        with pytest.raises(ErrorResponse) as told:
            enter(where, user, **options)
        assert (told.value.severity, told.value.sqlstate) == ("FATAL", "53300")
        return told.value
    return make


def leave(proxy, raw, count=1) -> None:
    """Until the place is free."""
    raw.send(messages.TERMINATE)
    raw.close()
    proxy.events("disconnected", count)


def told(error: ErrorResponse) -> tuple[str, str]:
    return error.message, error.detail + error.hint


# --- how many


@pytest.mark.parametrize("how", WAYS)
def test_a_listener_has_its_own_max_connections(start, enter, refused, how):
    proxy = start(listener={"max_connections": 2})
    first = enter(proxy, how=how)
    enter(proxy, how=how)
    message, more = told(refused(proxy, how=how))
    assert message == "sorry, too many clients already"
    assert 'max_connections of listener "legacy" is reached: 2.' in more
    assert proxy.event("rejected")["reason"] == "too_many_connections"
    leave(proxy, first)
    enter(proxy, how=how)


def test_a_full_listener_leaves_others_alone(run_proxy, pki, cluster, enter, refused):
    config = configuration(pki, [cluster.host], listener={"max_connections": 1})
    config["listener"].append({"name": "other", "listen": ["127.0.0.1:0"], "upstream": "orders"})
    proxy = run_proxy(config, listeners=2)
    full, other = proxy.addresses
    enter(full)
    refused(full)
    enter(other)
    enter(other)


@pytest.mark.parametrize("how", WAYS)
def test_the_last_places_are_for_reserved_users(start, enter, refused, how):
    proxy = start(runtime={"max_connections": 3, "reserved_connections": 2, "reserved_users": ["repl_user"]})
    enter(proxy, how=how)
    message, more = told(refused(proxy, how=how))
    assert message == "remaining connection slots are reserved"
    assert "The last 2 of pgairlock's max_connections are left for reserved_users." in more
    assert "repl_user" not in more
    assert proxy.event("rejected")["reason"] == "reserved_connections"
    privileged = enter(proxy, "repl_user", how=how)
    enter(proxy, "repl_user", how=how)
    assert told(refused(proxy, "repl_user", how=how))[0] == "sorry, too many clients already"
    leave(proxy, privileged)
    refused(proxy, how=how)
    enter(proxy, "repl_user", how=how)


def test_whoever_claims_a_reserved_name_and_fails_gives_the_place_back(start, client, enter):
    proxy = start(runtime={"max_connections": 2, "reserved_connections": 1, "reserved_users": ["md5_user"]})
    enter(proxy)
    wrong = client(proxy)
    with pytest.raises(ErrorResponse) as failed:
        wrong.login("md5_user", "Secret-wrong-aa41be")
    assert failed.value.sqlstate == "28P01"
    wrong.close()
    until(lambda: can_enter(enter, proxy, "md5_user"), what="its place is free")
    assert not can_enter(enter, proxy, "md5_user")


def test_a_user_has_a_limit_over_all_databases(start, enter, refused):
    proxy = start(upstream={"max_user_connections": 2})
    first = enter(proxy)
    enter(proxy, database="template1")
    message, more = told(refused(proxy, application_name="third"))
    assert message == 'too many connections for role "trust_user"'
    assert 'max_user_connections of upstream "orders"' in more and 'listener "legacy"' in more
    assert proxy.event("rejected")["reason"] == "too_many_user_connections"
    assert proxy.event("rejected")["usename"] == "trust_user"
    enter(proxy, "md5_user")
    leave(proxy, first)
    enter(proxy)


def test_a_database_has_a_limit_over_all_users_but_those_reserved_for(start, enter, refused):
    proxy = start(runtime={"reserved_users": ["repl_user"]}, upstream={"max_db_connections": 2})
    enter(proxy)
    enter(proxy, "md5_user")
    message, more = told(refused(proxy, "scram_user"))
    assert message == 'too many connections for database "postgres"'
    assert "Raise upstream.orders.max_db_connections." in more
    assert proxy.event("rejected")["reason"] == "too_many_db_connections"
    enter(proxy, database="template1")
    enter(proxy, "repl_user")


def test_physical_replication_has_no_database(start, client, enter, refused):
    proxy = start(upstream={"max_db_connections": 1})
    enter(proxy, "repl_user")
    assert enter(proxy, "repl_user", replication="true").query("IDENTIFY_SYSTEM")
    refused(proxy, "repl_user", replication="database")


# --- how fast


@pytest.mark.parametrize("how", WAYS)
def test_an_address_begins_logins_at_a_rate_after_a_burst(start, enter, refused, how):
    # One in a thousand seconds would be a clearer test; a rate is a whole number.
    proxy = start(listener={"login_rate_per_address": 1})
    begin = time.monotonic()
    let_in = 0
    try:
        for _ in range(100):
            enter(proxy, how=how).close()
            let_in += 1
    except ErrorResponse as error:
        assert error.sqlstate == "53300"
        message, more = told(error)
    assert 5 <= let_in <= 6 + time.monotonic() - begin
    assert message == "too many logins of one address"
    assert 'login_rate_per_address of listener "legacy" is 1 a second.' in more
    assert proxy.events("rejected")[0]["reason"] == "login_rate"
    for _ in range(5):
        enter(proxy, how=how, source="127.0.0.2").close()
    until(lambda: can_enter(enter, proxy), what="another login of the first address")


def can_enter(enter, where, *arguments, **options) -> bool:
    try:
        enter(where, *arguments, **options)
        return True
    except ErrorResponse:
        return False


def test_cancel_requests_are_no_logins(start, client, cluster, refused):
    proxy = start(listener={"login_rate_per_address": 1, "max_connections": 1})
    session = client(proxy)
    login = cluster.put_to_sleep(session)
    until(lambda: refused(proxy).message == "too many logins of one address", what="its rate is used up")
    client(proxy).send(messages.cancel_request(login.backend_pid, login.key))
    with pytest.raises(ErrorResponse) as cancelled:
        session.rows()
    assert cancelled.value.sqlstate == "57014"


# --- how many at a host at once


# A server may take longer than that to let somebody in, and the login counts all the same.
PATIENT = {"connect_timeout": "60s"}


class Slow:
    """A fake server that lets nobody in before the test does, in the order in which they came."""

    def __init__(self, fake, tls):
        self.tls = tls
        self.came = []  # application names
        self.gates = queue.Queue()
        self.server = fake(self._script)

    def _script(self, peer):
        peer.open(self.tls)
        gate = threading.Event()
        self.came.append(peer.startup["application_name"])
        self.gates.put((peer, gate))
        peer.send(messages.AUTHENTICATION_OK)  # it is alive
        gate.wait(PATIENCE)
        peer.send(messages.backend_key_data(4711, b"keys") + messages.READY_FOR_QUERY)
        peer.serve()

    def let_one_in(self):
        self.gates.get(timeout=PATIENCE)[1].set()

    def let_all_in(self):
        while not self.gates.empty():
            self.let_one_in()


@pytest.fixture
def slow(fake, server_tls):
    made = Slow(fake, server_tls)
    yield made
    made.let_all_in()


def logins(proxy, state, upstream="orders") -> int:
    return scrape(proxy)("upstream_logins", upstream=upstream, state=state)


@pytest.mark.parametrize("how", WAYS)
def test_logins_wait_in_order_for_their_turn_at_a_host(start, client, slow, how):
    proxy = start([slow.server.host], admin=ADMIN, upstream={**PATIENT, "max_logins_in_flight": 2})
    clients = []
    for number in range(6):
        clients.append(client(proxy).negotiate(how))
        clients[-1].send(messages.startup(application_name=f"client {number}"))
        until(lambda: logins(proxy, "in_flight") + logins(proxy, "waiting") == number + 1, what="it waits or is under way")
    until(lambda: len(slow.came) == 2, what="two are at the server")
    assert (logins(proxy, "in_flight"), logins(proxy, "waiting")) == (2, 4)
    assert console(proxy, "SELECT logins_in_flight, logins_waiting FROM hosts") == [["2", "4"]]
    assert ["login_clients", "6"] in console(proxy, "SHOW LISTS")
    for done in range(1, 7):
        slow.let_one_in()
        proxy.events("connected", done)
        until(lambda: len(slow.came) == min(6, done + 2), what="the next one is at the server")
    assert set(slow.came[:2]) == {"client 0", "client 1"}
    assert slow.came[2:] == [f"client {number}" for number in range(2, 6)]
    until(lambda: logins(proxy, "in_flight") == 0, what="none is under way")
    waited = {event["application_name"]: event["timings_us"]["turn"] for event in proxy.events("connected", 6)}
    assert waited["client 5"] > 0
    assert len(slow.server.peers) == 6


def test_a_login_whose_key_we_derive_leaves_its_turn_to_others(start, client, fake, server_tls):
    """It has sent its password; the server gets our proof and says nothing more, for as long as it has time."""
    proofs = []

    def script(peer):
        peer.open(server_tls)
        server = ScramServer(ACCOUNTS["scram_user"])
        _, first = peer.sasl(PLAIN)
        peer.send(messages.authentication(messages.SASL_CONTINUE, server.first(first)))
        proofs.append(server.final(peer.message()[1]))
        peer.until_closed()
    server = fake(script)
    proxy = start([server.host], auth={"scram": "bridge"}, upstream={"connect_timeout": "600s", "max_logins_in_flight": 1})
    for number in (1, 2):
        raw = client(proxy)
        assert raw.begin_login("scram_user")[0] == messages.CLEARTEXT
        raw.send(messages.password(ACCOUNTS["scram_user"]))
        until(lambda: len(proofs) == number, what="the server has our proof")


def test_no_login_is_made_for_a_client_that_left_while_it_waited(start, client, slow):
    proxy = start([slow.server.host], admin=ADMIN, upstream={**PATIENT, "max_logins_in_flight": 1})
    first, gone, last = (client(proxy) for _ in range(3))
    for number, raw in enumerate((first, gone, last)):
        raw.send(messages.startup(application_name=f"client {number}"))
        until(lambda: logins(proxy, "in_flight") + logins(proxy, "waiting") == number + 1, what="it waits or is under way")
    gone.abort()
    assert proxy.event("auth_failed", application_name="client 1")["reason"] == "client_left"
    until(lambda: logins(proxy, "waiting") == 1, what="its place is free")
    slow.let_one_in()
    proxy.event("connected", application_name="client 0")
    until(lambda: len(slow.came) == 2, what="the last one is at the server")
    slow.let_one_in()
    proxy.event("connected", application_name="client 2")
    assert slow.came == ["client 0", "client 2"]


def test_the_turn_of_a_client_that_leaves_goes_to_the_next(start, client, slow):
    proxy = start([slow.server.host], upstream={**PATIENT, "max_logins_in_flight": 1})
    first, second = client(proxy), client(proxy)
    first.send(messages.startup(application_name="first"))
    until(lambda: slow.came == ["first"], what="the first is at the server")
    second.send(messages.startup(application_name="second"))
    first.abort()
    until(lambda: slow.came == ["first", "second"], what="the second is at the server")
    proxy.event("auth_failed", application_name="first")


def test_whoever_waits_too_long_is_told_for_what(run_proxy, client, pki, slow):
    config = configuration(pki, [slow.server.host], upstream={**PATIENT, "max_logins_in_flight": 1})
    proxy = run_proxy(config)
    first = client(proxy)
    first.send(messages.startup(application_name="first"))
    until(lambda: slow.came == ["first"], what="the first is at the server")
    config["runtime"]["client_login_timeout"] = "2s"
    reload(proxy, config)
    raw = client(proxy)
    begin = time.monotonic()
    raw.send(messages.startup(application_name="late"))
    error = raw.fatal()
    assert time.monotonic() - begin > 1.9
    assert (error.sqlstate, error.message) == ("57014", "canceling authentication due to timeout")
    assert f'waited for its turn at {slow.server.host}, where max_logins_in_flight of upstream "orders"' in error.detail
    assert "upstream.orders.max_logins_in_flight" in error.hint
    assert proxy.event("rejected")["reason"] == "login_timeout"
    assert slow.came == ["first"]


def hangs_after_tls(tls):
    def script(peer):
        peer.open(tls)
        peer.until_closed()
    return script


def test_a_host_that_answers_nobody_is_not_tried_by_each_in_turn(start, client, fake, server_tls):
    server = fake(hangs_after_tls(server_tls))
    proxy = start([server.host], admin=ADMIN, upstream={"max_logins_in_flight": 1, "connect_timeout": "3s"})
    clients = [client(proxy) for _ in range(5)]
    for number, raw in enumerate(clients):
        raw.send(messages.startup())
        until(lambda: logins(proxy, "in_flight") + logins(proxy, "waiting") == number + 1, what="it waits or is under way")
    for raw in clients:
        error = raw.fatal()
        assert error.sqlstate == "57P03"
        assert "timeout expired: no answer to the StartupMessage" in error.message
    assert len(server.peers) == 1
    assert len(proxy.events("upstream_failed", 5)) == 5


def test_whoever_waits_for_a_host_that_answers_nobody_goes_to_the_next(start, client, fake, server_tls, cluster):
    server = fake(hangs_after_tls(server_tls))
    proxy = start([server.host, cluster.host], admin=ADMIN, upstream={"max_logins_in_flight": 1, "connect_timeout": "3s"})
    clients = [client(proxy) for _ in range(5)]
    for number, raw in enumerate(clients):
        raw.send(messages.startup())
        until(lambda: logins(proxy, "in_flight") + logins(proxy, "waiting") == number + 1, what="it waits or is under way")
    for raw in clients:
        raw.finish_login()
        assert raw.query("SELECT 1") == [[b"1"]]
    assert len(server.peers) == 1
    assert {event["upstream_addr"] for event in proxy.events("connected", 5)} == {cluster.host}


@pytest.mark.parametrize("how", WAYS)
def test_a_client_that_keeps_the_server_waiting_keeps_nobody_else(start, client, how):
    """Else a hundred that stop at the password prompt would keep everybody out."""
    proxy = start(upstream={"max_logins_in_flight": 1})
    silent = [client(proxy).negotiate(how) for _ in range(3)]
    for raw in silent:
        raw.begin_login("md5_user")
    client(proxy).login("scram_user")
    for raw in silent:
        raw.close()


def test_bytes_one_by_one_keep_no_turn(start, client):
    """Whoever is asked for a password has a second for all of it."""
    proxy = start(upstream={"max_logins_in_flight": 1})
    dribbling = [client(proxy) for _ in range(3)]
    over = threading.Event()

    def dribble(raw):
        raw.begin_login("md5_user")
        raw.send(b"p" + (5000).to_bytes(4, "big"))
        while not over.wait(0.2):
            raw.send(b"x")
    threads = [threading.Thread(target=dribble, args=(raw,)) for raw in dribbling]
    for thread in threads:
        thread.start()
    try:
        client(proxy).login("scram_user")
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_a_login_that_hangs_at_its_server_keeps_nobody_elses_turn_and_is_not_ended_for_it(start, client, slow):
    proxy = start([slow.server.host], upstream={"max_logins_in_flight": 1, "connect_timeout": "1s"})
    first, second = client(proxy), client(proxy)
    first.send(messages.startup(application_name="first"))
    until(lambda: slow.came == ["first"], what="the first is at the server")
    second.send(messages.startup(application_name="second"))
    until(lambda: slow.came == ["first", "second"], what="the second is at the server")
    slow.let_one_in()
    proxy.event("connected", application_name="first")
    slow.let_one_in()
    proxy.event("connected", application_name="second")


def test_cancel_requests_do_not_wait_for_a_turn(start, client, fake, server_tls):
    hold = threading.Event()
    cancelled = threading.Event()

    def script(peer):
        assert peer.packet() == "SSLRequest"
        peer.send(b"S")
        peer.start_tls(server_tls)
        if peer.packet() == "CancelRequest":
            cancelled.set()
            return
        if peer.startup["application_name"] == "held":
            hold.wait(PATIENCE)
        peer.ready(pid=77, key=b"keys")
        peer.serve()

    server = fake(script)
    proxy = start([server.host], upstream={"max_logins_in_flight": 1})
    client(proxy).login(application_name="first")
    held = client(proxy)
    held.send(messages.startup(application_name="held"))
    until(lambda: len(server.peers) == 2, what="it is under way")
    client(proxy).send(messages.cancel_request(77, b"keys"))
    assert cancelled.wait(PATIENCE)
    hold.set()


def test_a_connection_that_is_ready_is_not_used_by_one_that_has_to_wait(start, client, slow):
    proxy = start([slow.server.host], admin=ADMIN, upstream={**PATIENT, "max_logins_in_flight": 1, "prewarm": 2}, runtime={"threads": 1})
    ready = lambda: scrape(proxy)("prewarm_connections", state="ready") == 2
    until(ready, what="two are ready")
    first, second = client(proxy), client(proxy)
    first.send(messages.startup(application_name="first"))
    until(lambda: slow.came == ["first"], what="the first is at the server")
    second.send(messages.startup(application_name="second"))
    until(lambda: logins(proxy, "waiting") == 1, what="the second waits")
    until(ready, what="two are ready again")
    assert len(slow.server.peers) == 3
    slow.let_one_in()
    proxy.event("connected", application_name="first")
    until(lambda: slow.came == ["first", "second"], what="the second is at the server")
    slow.let_one_in()
    proxy.event("connected", application_name="second")


# --- reload, and all together


def test_a_reload_changes_limits_for_those_who_come_and_for_nobody_who_is_in(run_proxy, pki, cluster, enter, refused):
    def limited(listener, upstream, **runtime):
        return configuration(pki, [cluster.host], listener=listener, upstream=upstream, runtime=runtime)
    proxy = run_proxy(limited({}, {}))
    sessions = [enter(proxy) for _ in range(3)]
    for config, message in [
            (limited({"max_connections": 3}, {}), "sorry, too many clients already"),
            (limited({}, {"max_user_connections": 3}), 'too many connections for role "trust_user"'),
            (limited({}, {"max_db_connections": 2}), 'too many connections for database "postgres"'),
            (limited({}, {}, max_connections=4, reserved_connections=1, reserved_users=["repl_user"]), "remaining connection slots are reserved")]:
        reload(proxy, config)
        assert told(refused(proxy))[0] == message
    for session in sessions:
        assert session.query("SELECT 1") == [[b"1"]]
    reload(proxy, limited({}, {}))
    enter(proxy)


def test_a_reload_lets_go_those_who_wait(run_proxy, client, pki, slow):
    config = configuration(pki, [slow.server.host], upstream={**PATIENT, "max_logins_in_flight": 1}, admin=ADMIN)
    proxy = run_proxy(config)
    for name in ("a", "b", "c"):
        client(proxy).send(messages.startup(application_name=name))
    until(lambda: logins(proxy, "waiting") == 2, what="two wait")
    config["upstream"]["orders"]["max_logins_in_flight"] = 0
    reload(proxy, config)
    client(proxy).send(messages.startup(application_name="d"))
    until(lambda: len(slow.came) == 4, what="all are at the server")


def test_all_limits_together_and_the_numbers_agree_everywhere(start, enter, refused):
    proxy = start(admin=ADMIN, runtime={"max_connections": 6, "reserved_connections": 1, "reserved_users": ["repl_user"]},
                  listener={"max_connections": 5, "login_rate_per_address": 1000},
                  upstream={"max_user_connections": 2, "max_db_connections": 3, "max_logins_in_flight": 1})
    for _ in range(2):
        enter(proxy)
    assert told(refused(proxy))[0] == 'too many connections for role "trust_user"'
    enter(proxy, "scram_user", how="sslrequest")
    assert told(refused(proxy, "md5_user"))[0] == 'too many connections for database "postgres"'
    assert told(refused(proxy, "md5_user", how="sslrequest"))[0] == 'too many connections for database "postgres"'
    enter(proxy, "md5_user", database="template1")
    assert told(refused(proxy, "password_user", database="template1"))[0] == "remaining connection slots are reserved"
    enter(proxy, "repl_user")
    assert told(refused(proxy, "repl_user"))[0] == "sorry, too many clients already"
    expected = {"too_many_user_connections": 1, "too_many_db_connections": 2, "reserved_connections": 1, "too_many_connections": 1}
    audited = {}
    for event in proxy.events("rejected", 5):
        audited[event["reason"]] = audited.get(event["reason"], 0) + 1
    assert audited == expected
    proxy.events("connected", 5)
    now = scrape(proxy)
    for reason, count in expected.items():
        assert now("client_rejections_total", listener="legacy", reason=reason) == count
    assert now("client_rejections_total") == 5
    assert now("client_rejections_total", reason="login_rate") == 0
    assert now("client_connections", listener="legacy") == 5
    until(lambda: dict(console(proxy, "SELECT reason, count(*) FROM events WHERE event = 'rejected' GROUP BY reason")) ==
          {reason: str(count) for reason, count in expected.items()}, what="the console has what the audit has")
    assert console(proxy, "SELECT value FROM stats WHERE name = 'events_rejected'") == [["5"]]


def test_many_who_come_at_once_only_wait(start, connect, cluster):
    """Each with a login of its own kind, through TLS or not."""
    proxy = start(admin=ADMIN, upstream={"max_logins_in_flight": 3})
    users = ["trust_user", "md5_user", "password_user", "scram_user"]
    failures = []

    def come(number):
        try:
            connection = connect(proxy, users[number % 4], sslmode=["disable", "require"][number // 4 % 2])
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_user")
                assert cursor.fetchone() == (users[number % 4],)
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not failures
    assert len(proxy.events("connected", 120)) == 120
    assert logins(proxy, "in_flight") == logins(proxy, "waiting") == 0


# --- after an outage


@pytest.fixture
def own_cluster(directory, template, pki):
    made = Cluster(directory / "own", template, pki.server, pki.people.cert).start()
    yield made
    made.stop()


def test_a_server_that_comes_back_is_asked_by_no_more_than_may_be(start, own_cluster):
    """Each login takes a second of the server: pre_auth_delay, at each start of a backend."""
    own_cluster.sql("ALTER SYSTEM SET pre_auth_delay = '1s'")
    own_cluster.shut_down()
    proxy = start([own_cluster.host], admin=ADMIN, upstream={"max_logins_in_flight": 2})
    done, refusals = [], []

    def come_until_let_in():
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                psycopg2.connect(host=proxy.address[0], port=proxy.port, user="trust_user", dbname="postgres", sslmode="disable",
                                 gssencmode="disable", connect_timeout=PATIENCE).close()
                done.append(time.monotonic())
                return
            except psycopg2.OperationalError as error:
                refusals.append(str(error))
                time.sleep(0.1)

    threads = [threading.Thread(target=come_until_let_in) for _ in range(10)]
    for thread in threads:
        thread.start()
    until(lambda: len(refusals) >= 10, what="all have been refused")
    begin = time.monotonic()
    own_cluster.start_again()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, logins(proxy, "in_flight"))
        time.sleep(0.01)
    assert len(done) == 10
    assert max(done) - begin >= 4.5  # ten logins of a second each, two at a time
    assert 1 <= most <= 2
    assert all("could not connect to upstream" in one or "starting up" in one for one in refusals), refusals
