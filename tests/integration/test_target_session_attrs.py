"""target_session_attrs, load_balance_hosts and wait_for_host before real primaries and standbys: no session on a wrong host, for any kind of
login, through promotion, switchover and crash."""

import contextlib
import copy
import signal
import threading
import time

import psycopg2
import pytest
from psycopg2 import OperationalError

from harness import messages
from harness.cluster import PASSWORDS, Cluster
from harness.config import configuration
from harness.http import ask, scrape
from harness.waiting import PATIENCE, until

ADMIN = {"http": "127.0.0.1:0"}
NOBODY = ["127.0.0.1:1"]
LOOK = 3  # what others were told within these seconds, nobody who would be lost by a look looks for

# What logs in how: the user, [auth], and whether it can be repeated at another server without asking the client.
LOGINS = {
    "trust": ("trust_user", {}, True),
    "password": ("password_user", {}, True),
    "bridge": ("scram_user", {"scram": "bridge"}, True),
    "terminate": ("scram_user", {"scram": "terminate"}, True),
    "md5": ("md5_user", {}, False),
    "scram": ("scram_user", {"scram": "passthrough"}, False),
}
AUTO = {"auto": ("scram_user", {}, False)}


class Pair:
    """A primary and its standby, which may be each other."""

    def __init__(self, directory, template, pki):
        self.primary = Cluster(directory / "a", template, pki.server, pki.people.cert).start()
        self.standby = self.primary.standby(directory / "b")

    def switch_over(self) -> None:
        """The primary leaves as it should, and comes back as a standby of the other one."""
        self.primary.process.send_signal(signal.SIGINT)
        self.primary.process.wait(PATIENCE)
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary
        with open(self.standby.data / "postgresql.auto.conf", "a", encoding="utf-8") as file:
            file.write(f"primary_conninfo = 'host={self.primary.directory} port={self.primary.port} user=postgres'\n"
                       "recovery_target_timeline = 'latest'\n")
        (self.standby.data / "standby.signal").touch()
        self.standby.start_again()

    def stop(self) -> None:
        for cluster in (self.standby, self.primary):
            cluster.stop()


@pytest.fixture
def pair(directory, template, pki):
    made = Pair(directory, template, pki)
    yield made
    made.stop()


@pytest.fixture
def tables(directory):
    """Those of a proxy whose clients log in in one of these ways."""
    def make(how, **upstream) -> dict:
        auth = dict((LOGINS | AUTO)[how][1])
        if how == "terminate":
            users = directory / "userlist.txt"
            users.write_text(f'"scram_user" "{PASSWORDS["scram_user"]}"\n')
            users.chmod(0o600)
            auth["users_file"] = str(users)
        return {"auth": auth, "upstream": upstream, "admin": ADMIN}
    return make


def port(connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT inet_server_port()")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("how", LOGINS)
def test_no_login_ends_at_a_wrong_host(start, connect, pair, tables, how):
    user, _, repeatable = LOGINS[how]
    proxy = start([pair.standby.host, pair.primary.host], **tables(how, target_session_attrs="read-write"))
    if repeatable:
        assert port(connect(proxy, user)) == pair.primary.port
        assert proxy.event("connected")["failed_attempts"] == 1
    else:
        with pytest.raises(OperationalError, match="session is read-only"):
            connect(proxy, user)
        event = proxy.event("upstream_failed")
        assert (event["reason"], event["sqlstate"], event["upstream_addr"]) == ("no_wanted_host", "57P03", pair.standby.host)
    # What that one has found out, the next ones know.
    for _ in range(3):
        assert port(connect(proxy, user)) == pair.primary.port
    assert [event["failed_attempts"] for event in proxy.events("connected", 3 + repeatable)][repeatable:] == [0, 0, 0]


def test_each_kind_of_server_is_found_in_every_order(start, connect, pair):
    wanted = {"read-write": pair.primary, "primary": pair.primary, "read-only": pair.standby, "standby": pair.standby,
              "prefer-standby": pair.standby}
    for attrs, cluster in wanted.items():
        for hosts in ([pair.primary.host, pair.standby.host], [pair.standby.host, pair.primary.host]):
            proxy = start(hosts, upstream={"target_session_attrs": attrs})
            for _ in range(2):
                connection = connect(proxy)
                assert port(connection) == cluster.port, (attrs, hosts)
            connection.close()


@pytest.mark.parametrize("attrs, message", [("standby", "server is not in hot standby mode"), ("read-only", "session is not read-only")])
def test_where_there_is_none_the_client_is_told_as_by_libpq(start, connect, cluster, attrs, message):
    proxy = start(upstream={"target_session_attrs": attrs})
    with pytest.raises(OperationalError, match=message):
        connect(proxy)
    event = proxy.event("upstream_failed")
    assert (event["sqlstate"], event["reason"]) == ("57P03", "no_wanted_host")


@pytest.mark.parametrize("how", ["scram", "md5", "trust"])
def test_a_client_with_several_proxies_goes_to_the_next_one(start, connect, cluster, tables, how):
    """libpq does so on 57P03 alone, here after it has proved its password."""
    wrong, right = (start([cluster.host], **tables(how, target_session_attrs=attrs)) for attrs in ("standby", "primary"))
    ports = ",".join(str(proxy.address[1]) for proxy in (wrong, right))
    connection = psycopg2.connect(host="127.0.0.1,127.0.0.1", port=ports, user=LOGINS[how][0], password=PASSWORDS.get(LOGINS[how][0]),
                                  dbname="postgres", sslmode="disable", gssencmode="disable")
    assert port(connection) == cluster.port
    connection.close()
    assert wrong.event("upstream_failed")["reason"] == "no_wanted_host"


def test_prefer_standby_takes_a_primary_where_nothing_else_is(start, connect, pair, tables):
    alone = start([pair.primary.host], upstream={"target_session_attrs": "prefer-standby"})
    assert port(connect(alone)) == pair.primary.port
    # One that cannot be repeated is not refused for a preference; what it finds out serves the next.
    proxy = start([pair.primary.host, pair.standby.host], **tables("scram", target_session_attrs="prefer-standby"))
    assert port(connect(proxy, "scram_user")) == pair.primary.port
    assert port(connect(proxy, "scram_user")) == pair.standby.port
    pair.standby.stop()
    assert port(connect(proxy, "scram_user")) == pair.primary.port


def test_a_role_whose_sessions_are_read_only_has_a_primary_and_nothing_to_write_to(start, connect, pair):
    pair.primary.sql("ALTER ROLE trust_user SET default_transaction_read_only = on")
    hosts = [pair.primary.host, pair.standby.host]
    assert port(connect(start(hosts, upstream={"target_session_attrs": "primary"}))) == pair.primary.port
    writing = start(hosts, upstream={"target_session_attrs": "read-write"})
    with pytest.raises(OperationalError, match="session is read-only"):
        connect(writing)
    # Others are not kept from it.
    assert port(connect(writing, "password_user")) == pair.primary.port
    assert port(connect(start([pair.primary.host], upstream={"target_session_attrs": "read-only"}))) == pair.primary.port


def test_a_session_that_asks_to_be_read_only_keeps_nobody_else_from_the_primary(start, connect, pair):
    """Nor one that others say nothing of."""
    proxy = start([pair.primary.host, pair.standby.host], upstream={"target_session_attrs": "read-write"})
    for _ in range(3):
        with pytest.raises(OperationalError, match="session is read-only"):
            connect(proxy, options="-c default_transaction_read_only=on")
        assert port(connect(proxy)) == pair.primary.port
    # What a login was told of its role, its next one is told anew, whatever was told before.
    pair.primary.sql("ALTER ROLE trust_user SET default_transaction_read_only = on")
    with pytest.raises(OperationalError, match="session is read-only"):
        connect(proxy)
    pair.primary.sql("ALTER ROLE trust_user RESET default_transaction_read_only")
    assert port(connect(proxy)) == pair.primary.port


@pytest.mark.parametrize("how", LOGINS)
def test_after_a_crash_new_sessions_land_on_the_one_that_was_promoted(start, connect, pair, tables, how, record_property):
    user = LOGINS[how][0]
    proxy = start([pair.primary.host, pair.standby.host], **tables(how, target_session_attrs="read-write"))
    assert port(connect(proxy, user)) == pair.primary.port
    pair.primary.stop()
    with pytest.raises(OperationalError, match="session is read-only"):
        connect(proxy, user)
    pair.standby.promote()
    promoted = time.monotonic()
    # It was a standby when it was last seen: somebody looks again soon.
    landed = until(lambda: attempt(connect, proxy, user), what="a session on the new primary")
    record_property("figures", f"{how}: first session on the new primary {time.monotonic() - promoted:.3f} s after its promotion")
    assert landed == pair.standby.port
    assert all(event["upstream_role"] == "primary" for event in proxy.events("connected", 2))


def attempt(connect, proxy, user):
    try:
        return port(connect(proxy, user))
    except OperationalError as error:
        assert "session is read-only" in str(error) or "in hot standby" in str(error), error
        return None


@pytest.mark.parametrize("how", LOGINS)
def test_after_a_switchover_nobody_is_left_on_the_old_primary(start, connect, pair, tables, how):
    user, _, repeatable = LOGINS[how]
    hosts = [pair.primary.host, pair.standby.host]
    proxy = start(hosts, **tables(how, target_session_attrs="primary"))
    assert port(connect(proxy, user)) == pair.primary.port
    pair.switch_over()
    if repeatable:
        assert port(connect(proxy, user)) == pair.primary.port
    else:
        with pytest.raises(OperationalError, match="server is in hot standby mode"):
            connect(proxy, user)
    assert port(connect(proxy, user)) == pair.primary.port
    assert all(event["upstream_role"] == "primary" for event in proxy.events("connected", 2))
    roles = {(labels["address"], labels["role"]): value for labels, value in scrape(proxy).of("upstream_host_role", upstream="orders")}
    assert roles[pair.primary.host, "primary"] == 1


def test_while_there_is_no_primary_a_standby_is_not_asked_by_every_client(start, client, fake, server_tls):
    standby = fake(telling(server_tls, lambda: {"in_hot_standby": "on", "default_transaction_read_only": "off"}))
    proxy = start([*NOBODY, standby.host], upstream={"target_session_attrs": "read-write"})
    began = time.monotonic()
    for _ in range(40):
        raw = client(proxy)
        raw.send(messages.startup())
        assert raw.error().sqlstate == "57P03"
    asked = sum("StartupMessage" in peer.opening for peer in standby.peers)
    assert 1 <= asked <= 2 + (time.monotonic() - began) / 0.25
    assert len(proxy.events("upstream_failed", 40)) == 40


def test_who_waits_for_a_turn_gets_one_from_those_who_were_at_the_wrong_host(start, connect, pair, tables):
    """One login at a time at each host; half of these come with a password that serves one server alone."""
    proxy = start([pair.standby.host, pair.primary.host], **tables("trust", target_session_attrs="read-write", max_logins_in_flight=1))
    landed = []

    def log_in(user):
        until(lambda: landed.append(attempt(connect, proxy, user)) or landed[-1], what="a session")
    threads = [threading.Thread(target=log_in, args=(user,)) for user in ("trust_user", "md5_user") * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert landed.count(pair.primary.port) == 16 and pair.standby.port not in landed


def test_hosts_are_tried_at_random(start, connect, pair):
    proxy = start([pair.primary.host, pair.standby.host], upstream={"load_balance_hosts": "random"})
    seen = set()
    until(lambda: seen.add(port(connect(proxy))) or len(seen) == 2, what="both of them")
    in_order = start([pair.primary.host, pair.standby.host])
    assert {port(connect(in_order)) for _ in range(8)} == {pair.primary.port}


# --- wait_for_host


@pytest.mark.parametrize("how", ["trust", "scram"])
def test_who_waits_lands_on_the_new_primary(start, connect, pair, tables, how):
    user = LOGINS[how][0]
    proxy = start([pair.primary.host], **tables(how, target_session_attrs="read-write", wait_for_host=True))
    assert port(connect(proxy, user)) == pair.primary.port
    pair.primary.stop()
    landed = []
    clients = [threading.Thread(target=lambda: landed.append(port(connect(proxy, user)))) for _ in range(5)]
    for thread in clients:
        thread.start()
    until(lambda: "does not serve" in proxy.log(), what="it is noticed")
    assert not landed
    pair.primary.start_again()
    for thread in clients:
        thread.join()
    assert landed == [pair.primary.port] * 5
    assert proxy.events("connected", 6)
    assert "upstream_failed" not in proxy.audit_text()


@pytest.mark.parametrize("how", ["trust", "bridge"])
def test_a_crash_under_load_costs_those_who_were_there_and_nobody_else(start, pair, tables, how, record_property):
    """New sessions all the time, each of which asks once where it is; they wait while nobody is the primary."""
    user = LOGINS[how][0]
    proxy = start([pair.primary.host, pair.standby.host], **tables(how, target_session_attrs="read-write", wait_for_host=True))
    before, after = pair.primary.port, pair.standby.port
    landed, lost, over = [], [], threading.Event()

    def work():
        while not over.is_set():
            try:
                connection = psycopg2.connect(host=proxy.address[0], port=proxy.address[1], user=user, password=PASSWORDS.get(user),
                                              dbname="postgres", sslmode="disable", gssencmode="disable")
                landed.append((port(connection), time.monotonic()))
                connection.close()
            except psycopg2.Error as error:
                lost.append(str(error))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(landed) > 50, what="sessions on the primary")
        pair.primary.stop()
        pair.standby.promote()
        promoted = time.monotonic()
        until(lambda: sum(where == after for where, _ in landed) > 50, what="sessions on the one that was promoted")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    first = min(when for where, when in landed if where == after)
    record_property("figures", f"{how}, under load: first session on the new primary {first - promoted:.3f} s after its promotion; "
                               f"{len(landed)} sessions, {len(lost)} lost")
    assert {where for where, _ in landed} == {before, after}
    assert len(lost) <= len(threads), lost  # each was in one session when it happened


def test_while_there_is_no_primary_those_who_can_look_again_look_for_those_who_cannot(start, connect, pair, tables):
    """Clients in clear are passed through, and their proofs fit one server; those that bind their channel are bridged."""
    proxy = start([pair.primary.host, pair.standby.host], **tables("auto", target_session_attrs="read-write", wait_for_host=True))
    assert port(connect(proxy, "scram_user")) == pair.primary.port
    pair.primary.stop()
    landed, lost = [], []

    def come(sslmode):
        try:
            landed.append(port(connect(proxy, "scram_user", sslmode=sslmode)))
        except OperationalError as error:
            lost.append((sslmode, str(error)))
    clients = [threading.Thread(target=come, args=[mode]) for mode in ["require"] * 2 + ["disable"] * 10]
    for thread in clients:
        thread.start()
        time.sleep(0.2)
    time.sleep(2 * LOOK)
    assert not landed
    pair.standby.promote()
    for thread in clients:
        thread.join()
    assert landed == [pair.standby.port] * (len(clients) - len(lost))
    assert len(lost) <= 1, lost  # where somebody's look took seconds
    assert all(event["timings_us"]["host_wait"] > 0 for event in proxy.events("connected", 1 + len(landed))[1:])


def test_where_all_would_be_lost_by_a_look_one_at_a_time_is(start, connect, pair, tables):
    proxy = start([pair.primary.host, pair.standby.host], **tables("scram", target_session_attrs="read-write", wait_for_host=True))
    assert port(connect(proxy, "scram_user")) == pair.primary.port
    pair.primary.stop()
    landed, lost = [], []

    def come():
        try:
            landed.append(port(connect(proxy, "scram_user")))
        except OperationalError as error:
            lost.append((time.monotonic(), str(error)))
    began = time.monotonic()
    clients = [threading.Thread(target=come) for _ in range(10)]
    for thread in clients:
        thread.start()
    until(lambda: len(lost) == 2, what="two have looked")
    promoted_after = time.monotonic() - began
    assert not landed
    pair.standby.promote()
    for thread in clients:
        thread.join()
    assert promoted_after >= LOOK
    assert landed == [pair.standby.port] * (len(clients) - len(lost))
    assert 2 <= len(lost) <= 4
    for _, error in lost:
        assert "session is read-only" in error and "Try again" in error


def test_who_waits_in_vain_is_told_why_in_time(start, connect):
    proxy = start(NOBODY, upstream={"wait_for_host": True}, runtime={"client_login_timeout": "3s"})
    began = time.monotonic()
    with pytest.raises(OperationalError, match="could not connect to upstream"):
        connect(proxy)
    assert time.monotonic() - began > 2
    assert proxy.event("upstream_failed")["sqlstate"] == "57P03"
    at_once = start(NOBODY, runtime={"client_login_timeout": "600s"})
    with pytest.raises(OperationalError, match="could not connect to upstream"):
        connect(at_once)


def test_who_leaves_while_it_waits_is_noticed(start, client):
    proxy = start(NOBODY, upstream={"wait_for_host": True}, runtime={"client_login_timeout": "600s"})
    waits = client(proxy)
    waits.send(messages.startup())
    until(lambda: "does not serve" in proxy.log(), what="it waits")
    waits.close()
    assert proxy.event("auth_failed")["reason"] == "client_left"


def test_a_server_that_is_starting_up_is_waited_for(start, client, fake, server_tls):
    """57P03 is PostgreSQL's word while it starts, recovers and shuts down."""
    state = {"up": False}

    def script(peer):
        peer.open(server_tls)
        if state["up"]:
            peer.ready()
            peer.serve()
        else:
            peer.send(messages.error_response("57P03", "the database system is starting up"))
            state["asked"] = True
    server = fake(script)
    proxy = start([server.host], upstream={"wait_for_host": True})
    waits = client(proxy)
    waits.send(messages.startup())
    until(lambda: "asked" in state, what="it was asked")
    state["up"] = True
    waits.receive(9)
    assert proxy.event("connected")


# --- servers that do not say what they are


def telling(context, told, answers=None):
    """A server that reports `told`, and answers queries by `answers`; what it was asked is in peer.asked."""
    def script(peer):
        peer.asked = []
        packet = peer.packet()
        if packet == "SSLRequest":
            peer.send(b"S")
            peer.start_tls(context)
            peer.packet()
        peer.send(messages.AUTHENTICATION_OK + b"".join(messages.parameter_status(*one) for one in told().items())
                  + messages.backend_key_data(4711, b"\1\2\3\4") + messages.READY_FOR_QUERY)
        while True:
            kind, body = peer.message()
            peer.asked.append((kind, body))
            if kind == b"X":
                return
            value = (answers or {}).get(body.rstrip(b"\0").decode())
            row = b"" if value is None else (messages.message(b"T", b"\0\0") +
                                             messages.message(b"D", b"\0\1" + len(value).to_bytes(4, "big") + value.encode()))
            peer.send(row + messages.message(b"C", b"SHOW\0") + messages.READY_FOR_QUERY)
    return script


SHOW = "SHOW transaction_read_only"


def test_a_server_before_14_is_asked_and_the_client_does_not_hear_of_it(start, client, fake, server_tls):
    standby = fake(telling(server_tls, dict, {SHOW: "on"}))
    primary = fake(telling(server_tls, dict, {SHOW: "off"}))
    proxy = start([standby.host, primary.host], upstream={"target_session_attrs": "read-write"})
    login = client(proxy).login()
    assert "T" not in "".join(map(str, login.kinds)) and "D" not in "".join(map(str, login.kinds))
    assert proxy.event("connected")["upstream_addr"] == primary.host
    assert primary.peers[0].asked == [(b"Q", SHOW.encode() + b"\0")]
    until(lambda: standby.peers[0].asked == [(b"Q", SHOW.encode() + b"\0"), (b"X", b"")], what="it was left with Terminate")


def test_a_server_that_does_not_answer_the_question_is_not_taken_for_what_is_wanted(start, client, fake, server_tls):
    server = fake(telling(server_tls, dict))
    proxy = start([server.host], upstream={"target_session_attrs": "primary"})
    raw = client(proxy)
    raw.send(messages.startup())
    assert raw.receive(1) == b"E"
    assert proxy.event("upstream_failed")["reason"] == "no_wanted_host"


@pytest.mark.parametrize("size, count", [(2_000_000, 1), (8_000, 100_000)], ids=["one that is long", "without end"])
def test_notices_instead_of_an_answer_are_neither_kept_nor_passed_on(start, client, fake, server_tls, size, count):
    def script(peer):
        peer.open(server_tls)
        peer.send(messages.AUTHENTICATION_OK + messages.READY_FOR_QUERY)
        peer.message()
        notice = messages.message(b"N", b"SNOTICE\0C00000\0M" + b"x" * size + b"\0\0")
        with contextlib.suppress(OSError):
            for _ in range(count):
                peer.send(notice)
            peer.until_closed()
    server = fake(script)
    proxy = start([server.host], upstream={"target_session_attrs": "primary"})
    raw = client(proxy)
    raw.send(messages.startup())
    error = raw.fatal()
    assert (error.sqlstate, "server is in hot standby mode" in error.message) == ("57P03", True)
    assert proxy.event("upstream_failed")["reason"] == "no_wanted_host"


# --- prewarm


def test_connections_that_are_ready_are_dropped_when_their_host_is_another_kind(start, client, fake, server_tls):
    roles = {"a": "off", "b": "on"}

    def reports(name):
        return telling(server_tls, lambda: {"in_hot_standby": roles[name], "default_transaction_read_only": "off"})
    first, second = fake(reports("a")), fake(reports("b"))
    proxy = start([first.host, second.host], admin=ADMIN, runtime={"threads": 1},
                  upstream={"target_session_attrs": "read-write", "prewarm": 2})
    until(lambda: scrape(proxy)("prewarm_connections", state="ready") == 2, what="two are ready")
    roles.update(a="on", b="off")  # nobody has logged in: nobody knows
    client(proxy).login()
    assert proxy.event("connected")["upstream_addr"] == second.host
    # Both of the other one are gone, and new ones lead to where the primary is.
    until(lambda: len(first.peers) >= 2 and all(peer.sock.fileno() < 0 for peer in first.peers[:2]), what="they are closed")
    until(lambda: len(second.peers) == 3, what="others are made")
    client(proxy).login()
    second_login = proxy.events("connected", 2)[1]
    assert (second_login["upstream_addr"], second_login["upstream_prewarmed"]) == (second.host, True)


def test_an_ending_makes_a_role_doubtful_and_no_session_is_lost_by_it(start, connect, pair):
    """As when a server restarts: who comes next looks for itself, in the order in which hosts were known."""
    proxy = start([pair.standby.host, pair.primary.host], upstream={"target_session_attrs": "read-write"})
    stays = connect(proxy)
    pid = stays.get_backend_pid()
    pair.primary.sql("SELECT pg_terminate_backend(%s)", pid)
    proxy.event("disconnected")
    assert port(connect(proxy)) == pair.primary.port
    assert proxy.events("connected", 2)[1]["failed_attempts"] == 0


def test_a_session_that_was_refused_to_write_makes_its_role_doubtful(start, connect, cluster):
    """As one that Aurora leaves on an old writer: its pool closes it. That others are in order makes no doubt."""
    def doubts() -> int:
        return proxy.log().count("may be another by now (ending)")
    proxy = start(upstream={"target_session_attrs": "primary"}, log={"level": "debug"})

    def fail(statement, sqlstate):
        with connect(proxy) as connection, connection.cursor() as cursor:
            with pytest.raises(psycopg2.Error) as error:
                cursor.execute(statement)
            assert error.value.pgcode == sqlstate
            connection.rollback()
        connection.close()
    fail("SELECT 1 / 0", "22012")
    proxy.events("disconnected", 1)
    assert doubts() == 0
    fail("SET TRANSACTION READ ONLY; CREATE TABLE t ()", "25006")
    until(lambda: doubts() == 1, what="it is in doubt")
    assert port(connect(proxy)) == cluster.port


def test_a_client_that_logs_out_makes_no_role_doubtful(start, connect, client, cluster):
    """Not where its server closes first, either: drivers wait for that."""
    def doubts() -> int:
        return proxy.log().count("may be another by now (ending)")
    proxy = start(upstream={"target_session_attrs": "primary"}, log={"level": "debug"})
    for _ in range(20):
        connect(proxy).close()
        waits = client(proxy)
        waits.login("trust_user", database="postgres")
        waits.send(messages.TERMINATE)
        waits.expect_closed()
        waits.close()
    reasons = {event["reason"] for event in proxy.events("disconnected", 40)}
    assert "server_closed" in reasons
    assert doubts() == 0
    stays = connect(proxy)
    cluster.sql("SELECT pg_terminate_backend(%s)", stays.get_backend_pid())
    until(lambda: doubts() == 1, what="one that was ended does")


def test_a_proxy_that_drains_lets_nobody_wait(start, client):
    proxy = start(NOBODY, upstream={"wait_for_host": True}, runtime={"drain_timeout": "600s", "client_login_timeout": "600s"})
    waits = client(proxy)
    waits.send(messages.startup())
    until(lambda: "does not serve" in proxy.log(), what="it waits")
    proxy.signal(signal.SIGTERM)
    kind, body = waits.message()
    assert kind == b"E" and b"57P03" in body and b"shutting down" in body
    waits.close()
    proxy.process.wait(PATIENCE)
    event = proxy.event("rejected")
    assert (event["reason"], event["sqlstate"]) == ("shutting_down", "57P03")


def test_an_outage_of_one_upstream_keeps_no_client_of_another_out(run_proxy, pki, client, connect, cluster):
    """However many wait for a host: they take no places before the login, and not all of max_connections."""
    places = {"max_connections": 20, "max_connections_before_login": 8, "client_login_timeout": "600s"}
    config = configuration(pki, NOBODY, upstream={"wait_for_host": True}, runtime=places, admin=ADMIN)
    config["listener"].append({**copy.deepcopy(config["listener"][0]), "name": "healthy", "upstream": "stock"})
    config["upstream"]["stock"] = {**copy.deepcopy(config["upstream"]["orders"]), "hosts": [cluster.host], "wait_for_host": False}
    proxy = run_proxy(config, listeners=2)
    down, healthy = proxy.addresses[:2]
    crowd = []
    for number in range(1, 18):  # three quarters of 20 may wait, half of these of one address
        crowd.append(client(down, source=f"127.0.0.{2 + number % 2}"))
        crowd[-1].send(messages.startup(user="trust_user", database="postgres"))
        if number <= 15:
            until(lambda: scrape(proxy)("upstream_logins", upstream="orders", state="waiting_for_host") == number, what="it waits")
        else:
            kind, body = crowd[-1].message()
            assert kind == b"E" and b"57P03" in body and b"could not connect" in body
    assert ask(proxy.http, "/readyz")[0] == 200
    assert [port(connect(healthy)) for _ in range(3)] == [cluster.port] * 3
