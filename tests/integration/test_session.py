"""Logging in and working through the proxy with psql, psycopg2, pgbench and the raw client; how sessions end."""

import hashlib
import random
import socket
import threading
import time

import psycopg2
import psycopg2.errors
import pytest

from harness import messages, programs
from harness.cluster import WRONG_PASSWORD
from harness.fake_upstream import server_context
from harness.messages import ErrorResponse
from harness.waiting import PATIENCE, until

SSLMODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
TLS_WAYS = ["sslrequest", "direct"]


@pytest.fixture
def as_libpq(pki):
    """Connection options of a libpq client in a given sslmode."""
    def options(sslmode):
        return {"sslmode": sslmode, "host": "localhost", **({"sslrootcert": str(pki.front.cert)} if "verify" in sslmode else {})}
    return options


# --- every program, every client mode, every authentication


@pytest.mark.parametrize("sslmode", SSLMODES)
@pytest.mark.parametrize("user", ["trust_user", "md5_user", "password_user", "scram_user"])
def test_psycopg2_logs_in(start, connect, as_libpq, user, sslmode):
    proxy = start()
    connection = connect(proxy, user, **as_libpq(sslmode))
    assert connection.info.ssl_in_use == (sslmode not in ("disable", "allow"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert cursor.fetchone() == (user, True)
    assert proxy.event("connected")["usename"] == user


@pytest.mark.parametrize("sslmode", SSLMODES)
@pytest.mark.parametrize("user", ["trust_user", "md5_user", "password_user", "scram_user"])
def test_psql_logs_in(start, pg, as_libpq, user, sslmode):
    done = pg("psql", start(), "-X", "-At", "-c", "SELECT current_user", user=user, **as_libpq(sslmode))
    assert done.stdout == f"{user}\n"


@pytest.mark.parametrize("user", ["trust_user", "md5_user", "password_user", "scram_user"])
@pytest.mark.parametrize("how", ["plain", *TLS_WAYS])
def test_a_client_without_channel_binding_logs_in(start, client, user, how):
    """gs2 flag n: asyncpg, node-postgres, lib/pq, older pgjdbc."""
    raw = client(start()).negotiate(how)
    login = raw.login(user, gs2="n")
    assert "SCRAM-SHA-256-PLUS" not in login.mechanisms
    assert raw.query("SELECT current_user") == [[user.encode()]]


def test_passthrough_tells_libpq_over_tls_what_to_set_and_that_helps(start, connect):
    proxy = start(auth={"scram": "passthrough"})
    with pytest.raises(psycopg2.OperationalError, match="channel_binding=disable"):
        connect(proxy, "scram_user", sslmode="require")
    connect(proxy, "scram_user", sslmode="require", channel_binding="disable")


def test_flag_y_is_accepted_where_the_upstream_leg_is_clear(start, client, clear_cluster):
    client(start([clear_cluster.host], upstream={"sslmode": "disable"})).negotiate("sslrequest").login("scram_user", gs2="y")


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
@pytest.mark.parametrize("user", ["md5_user", "password_user", "scram_user"])
def test_a_wrong_password_is_28p01(start, client, user, how):
    proxy = start()
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).negotiate(how).login(user, WRONG_PASSWORD)
    assert refused.value.sqlstate == "28P01"
    event = proxy.event("auth_failed")
    assert (event["sqlstate"], event["usename"]) == ("28P01", user)


def test_an_unknown_database_is_reported_as_the_server_does(start, client):
    with pytest.raises(ErrorResponse) as refused:
        client(start()).login(database="nowhere")
    assert refused.value.sqlstate == "3D000"


def test_startup_parameters_arrive(start, client):
    raw = client(start())
    raw.login(application_name="the test", options="-c work_mem=1234kB")
    assert raw.query("SHOW application_name") == [[b"the test"]]
    assert raw.query("SHOW work_mem") == [[b"1234kB"]]


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_pgbench_runs(start, pg, sslmode):
    proxy = start()
    pg("pgbench", proxy, "-i", "-q", "-s", "1", sslmode=sslmode, user="md5_user")
    for arguments in (["-S", "-c", "8", "-j", "2", "-T", "1"], ["-S", "-C", "-c", "4", "-j", "2", "-t", "10"],
                      ["-c", "4", "-t", "20", "-M", "prepared"]):
        done = pg("pgbench", proxy, *arguments, sslmode=sslmode, user="md5_user")
        assert "aborted" not in done.stderr


# --- data


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_a_large_result_arrives_unchanged(start, connect, sslmode):
    with connect(start(), sslmode=sslmode).cursor() as cursor:
        cursor.execute("SELECT md5(i::text) || repeat('x', i % 900) FROM generate_series(1, 60000) i")
        digest = hashlib.md5("".join(row[0] for row in cursor).encode()).hexdigest()
        cursor.execute("SELECT md5(string_agg(md5(i::text) || repeat('x', i % 900), '' ORDER BY i)) FROM generate_series(1, 60000) i")
        assert cursor.fetchone() == (digest,)


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_a_large_parameter_arrives_unchanged(start, connect, sslmode):
    data = random.Random(1).randbytes(12 << 20)
    with connect(start(), sslmode=sslmode).cursor() as cursor:
        cursor.execute("SELECT encode(sha256(%s), 'hex')", (psycopg2.Binary(data),))
        assert cursor.fetchone() == (hashlib.sha256(data).hexdigest(),)


class HashingFile:
    """What copy_expert writes to."""

    def __init__(self):
        self.hash, self.size = hashlib.md5(), 0

    def write(self, data):
        self.hash.update(data)
        self.size += len(data)


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_copy_in_and_out_of_tens_of_megabytes(start, connect, directory, sslmode):
    numbers = random.Random(2)
    lines = "".join(f"{i}\t{numbers.randbytes(100).hex()}\n" for i in range(170_000)).encode()
    assert len(lines) > 30 << 20
    (directory / "lines").write_bytes(lines)
    with connect(start(), sslmode=sslmode).cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE lines (id int, text text)")
        with open(directory / "lines", "rb") as file:
            cursor.copy_expert("COPY lines FROM STDIN", file)
        out = HashingFile()
        cursor.copy_expert("COPY (SELECT * FROM lines ORDER BY id) TO STDOUT", out)
    assert (out.size, out.hash.hexdigest()) == (len(lines), hashlib.md5(lines).hexdigest())


def test_a_failed_copy_leaves_a_usable_session(start, connect, directory):
    (directory / "bad").write_bytes(b"1\n2\nnot a number\n" + b"3\n" * 500_000)
    with connect(start()).cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE n (i int)")
        with open(directory / "bad", "rb") as file, pytest.raises(psycopg2.errors.InvalidTextRepresentation):
            cursor.copy_expert("COPY n FROM STDIN", file)
        cursor.execute("SELECT count(*) FROM n")
        assert cursor.fetchone() == (0,)


def test_data_flows_both_ways_at_once(start, client):
    """Pipelined queries whose results are read only afterwards: each pump must run on its own."""
    raw = client(start())
    raw.login()
    writer = threading.Thread(target=raw.send, args=(messages.query("SELECT repeat('y', 100000)") * 300,))
    writer.start()
    total = sum(len(raw.rows()[0][0]) for _ in range(300))
    writer.join()
    assert total == 300 * 100_000


def test_notifications_arrive(start, connect):
    proxy = start()
    listening, notifying = connect(proxy, sslmode="require"), connect(proxy)
    listening.cursor().execute("LISTEN news")
    notifying.cursor().execute("NOTIFY news, 'hello'")

    def notified():
        listening.poll()
        return [notice.payload for notice in listening.notifies]

    assert until(notified) == ["hello"]


# --- backpressure


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_a_client_that_does_not_read_costs_no_memory(start, client, how):
    proxy = start()
    raw = client(proxy, receive_buffer=65536).negotiate(how)
    raw.login()
    before = proxy.rss_kib()
    raw.send(messages.query("SELECT repeat('z', 1000000) FROM generate_series(1, 200)"))
    most = before
    for _ in range(30):
        time.sleep(0.1)
        most = max(most, proxy.rss_kib())
    total = sum(len(row[0]) for row in raw.rows())
    assert total == 200_000_000
    assert programs.sanitized() or most - before < 16 * 1024, f"{before} -> {most} KiB"


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_a_server_that_does_not_read_costs_no_memory(start, client, fake, pki, how):
    context, go_on = server_context(pki.server), threading.Event()

    def script(peer):
        peer.packet()
        peer.send(b"S")
        peer.start_tls(context)
        peer.packet()
        peer.ready()
        go_on.wait(PATIENCE)
        peer.received = len(peer.until_closed())

    server = fake(script)
    proxy = start([server.host])
    raw = client(proxy, timeout=1).negotiate(how)
    raw.login()
    before, sent = proxy.rss_kib(), 0
    with pytest.raises(socket.timeout):
        while sent < 200 << 20:
            raw.send(b"d" * 65536)
            sent += 65536
    assert programs.sanitized() or proxy.rss_kib() - before < 16 * 1024
    go_on.set()


# --- how sessions end


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_terminate_ends_the_backend(start, client, cluster, how):
    raw = client(start()).negotiate(how)
    pid = raw.login().backend_pid
    raw.send(messages.TERMINATE)
    raw.expect_closed()
    until(lambda: not cluster.has_backend(pid))


@pytest.mark.parametrize("end", ["close", "abort"])
@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_a_client_that_just_disappears_ends_the_backend(start, client, cluster, how, end):
    proxy = start()
    raw = client(proxy).negotiate(how)
    pid = raw.login().backend_pid
    getattr(raw, end)()
    until(lambda: not cluster.has_backend(pid))
    assert proxy.event("disconnected")


def test_a_reset_in_the_middle_of_a_result_ends_the_backend(start, client, cluster):
    raw = client(start())
    pid = raw.login().backend_pid
    raw.send(messages.query("SELECT repeat('z', 1000000) FROM generate_series(1, 1000)"))
    raw.receive(100_000)
    raw.abort()
    until(lambda: not cluster.has_backend(pid))


def test_a_half_closed_client_still_gets_its_result(start, client):
    raw = client(start())
    raw.login()
    raw.send(messages.query("SELECT repeat('h', 3000000) FROM pg_sleep(0.3)"))
    raw.sock.shutdown(socket.SHUT_WR)
    assert len(raw.rows()[0][0]) == 3_000_000
    raw.expect_closed()


def test_a_tls_client_that_said_close_notify_still_gets_its_result(start, client):
    raw = client(start()).negotiate("sslrequest")
    raw.login()
    raw.send(messages.query("SELECT repeat('h', 3000000) FROM pg_sleep(0.3)"))
    raw.close_notify()
    assert len(raw.rows()[0][0]) == 3_000_000


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_a_session_that_the_server_terminates_is_told_so(start, client, cluster, how):
    """With the raw client: libpq itself misses the message over TLS when it writes before it reads."""
    proxy = start()
    raw = client(proxy).negotiate(how)
    cluster.sql("SELECT pg_terminate_backend(%s)", raw.login().backend_pid)
    assert raw.fatal().sqlstate == "57P01"
    raw.close()
    assert proxy.event("disconnected")


def test_a_server_that_resets_closes_the_client(start, client, fake, pki):
    context = server_context(pki.server)

    def script(peer):
        peer.packet()
        peer.send(b"S")
        peer.start_tls(context)
        peer.packet()
        peer.ready()
        peer.message()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    raw = client(start([fake(script).host]))
    raw.login()
    raw.send(messages.query("SELECT 1"))
    raw.expect_closed()


def test_an_idle_session_ends_after_idle_timeout_and_a_busy_one_does_not(start, client, cluster):
    proxy = start(listener={"idle_timeout": "4s"})
    idle, busy = client(proxy), client(proxy)
    begin = time.monotonic()
    pid = idle.login().backend_pid
    busy.login()
    while idle.is_silent(0.1):
        busy.query("SELECT 1")
    assert time.monotonic() - begin > 3
    while idle.receive_some():
        pass
    until(lambda: not cluster.has_backend(pid))
    assert busy.query("SELECT 2") == [[b"2"]]
    assert "idle" in proxy.event("disconnected", client_port=idle.port)["reason"]


def test_nodelay_keeps_small_round_trips_fast(start, client):
    """Nagle against delayed acknowledgement would cost 40 ms a query."""
    raw = client(start()).negotiate("sslrequest")
    raw.login()
    spent = []
    for _ in range(200):
        begin = time.monotonic()
        raw.query("SELECT 1")
        spent.append(time.monotonic() - begin)
    assert min(spent[100:]) < 0.035  # the first are acknowledged at once in any case
