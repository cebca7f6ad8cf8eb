"""Health checks: over HTTP, by `pgairlock health`, by pg_isready and by port checks; what strangers may do to all that."""

import re
import signal
import socket
import sqlite3
import time

import psycopg2
import pytest

from conftest import client_environment
from harness import programs
from harness.http import ask, exchange, read_all, scrape
from harness.waiting import PATIENCE, until
from test_metrics import ADMIN, connect

PATHS = ("/livez", "/startupz", "/readyz", "/upstreamz")
TOKEN = "0123456789abcdef0123456789abcdef"
MAX_CONNECTIONS = 64


@pytest.fixture
def token_file(directory):
    path = directory / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


def health(*arguments):
    return programs.run([programs.PGAIRLOCK, "health", *arguments], check=False)


def clients_of(proxy) -> list[tuple]:
    with sqlite3.connect(f"file:{proxy.state_dir}/inventory.db?mode=ro", uri=True) as inventory:
        return inventory.execute("SELECT application_name, connections, failures FROM clients").fetchall()


# --- what the answers mean


def test_one_that_serves_says_so_everywhere(start):
    proxy = start(admin=ADMIN)
    for path in PATHS:
        status, headers, body = ask(proxy.http, path)
        assert (status, body.split(":")[0].strip()) == (200, "ok"), (path, body)
        assert headers["cache-control"] == "no-store"
    assert "orders: verified" in ask(proxy.http, "/upstreamz")[2]


def test_readiness_does_not_depend_on_the_database_and_upstreamz_says_why(start):
    proxy = start(["127.0.0.1:1"], admin=ADMIN)
    assert [ask(proxy.http, path)[0] for path in PATHS] == [200, 200, 200, 503]
    body = ask(proxy.http, "/upstreamz")[2]
    assert "1 of 1 upstreams" in body and "orders: not verified: " in body and "refused" in body


def test_a_server_that_is_not_to_be_trusted_is_no_upstream(start, pki):
    proxy = start(upstream={"sslrootcert": [str(pki.old.cert)]}, admin=ADMIN)
    status, _, body = ask(proxy.http, "/upstreamz")
    assert status == 503 and "certificate refused" in body


def test_however_many_ask_one_connection_is_made(start, fake, server_tls):
    """The server sees each of them."""
    seen = []

    def script(peer):
        seen.append(peer)
        peer.open(server_tls)

    proxy = start([fake(script).host], admin=ADMIN)
    first = socket.create_connection(proxy.http, timeout=PATIENCE)
    others = [socket.create_connection(proxy.http, timeout=PATIENCE) for _ in range(20)]
    for one in (first, *others):
        one.sendall(b"GET /upstreamz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert all(read_all(one).startswith(b"HTTP/1.1 200 ") for one in (first, *others))
    assert ask(proxy.http, "/upstreamz")[0] == 200
    assert len(seen) == 1


def test_a_login_is_as_good_as_a_connection_of_our_own(start, cluster):
    proxy = start(admin=ADMIN)
    connect(proxy).close()
    proxy.event("connected")
    assert ask(proxy.http, "/upstreamz")[0] == 200
    assert scrape(proxy)("upstream_connections_total") == 1


def test_one_that_is_full_is_not_ready_and_alive(start):
    proxy = start(admin=ADMIN, runtime={"max_connections": 2})
    sessions = [connect(proxy), connect(proxy)]
    status, _, body = ask(proxy.http, "/readyz")
    assert status == 503 and "full" in body
    assert ask(proxy.http, "/livez")[0] == 200
    sessions.pop().close()
    until(lambda: ask(proxy.http, "/readyz")[0] == 200, what="there is room again")


def test_one_that_drains_is_alive_and_not_ready(start):
    proxy = start(admin=ADMIN, runtime={"drain_timeout": "60s"})
    held, where = connect(proxy), proxy.http
    proxy.signal(signal.SIGTERM)
    proxy.event("stopping")
    status, _, body = ask(where, "/readyz")
    assert (status, body) == (503, "draining\n")
    assert ask(where, "/livez")[0] == ask(where, "/startupz")[0] == 200
    held.close()
    proxy.expect_exit(0)


def test_a_scrape_waits_for_no_session(start):
    """Sessions in the middle of a query, and clients that say nothing."""
    proxy = start(admin=ADMIN, runtime={"threads": 1})
    session = psycopg2.connect(host=proxy.address[0], port=proxy.address[1], user="trust_user", dbname="postgres", sslmode="disable",
                               gssencmode="disable", async_=1)
    silent = [socket.create_connection(proxy.address) for _ in range(20)]
    until(lambda: session.poll() == psycopg2.extensions.POLL_OK, what="logged in")
    session.cursor().execute("SELECT pg_sleep(600)")
    # A client knows of its login a moment before it is counted.
    until(lambda: scrape(proxy)("client_connections", listener="legacy") == 1, what="it is counted")
    session.close()
    for one in silent:
        one.close()


# --- the command


def test_the_command_asks_by_configuration_or_url(start, run_proxy, directory, pki, cluster):
    from harness.config import configuration
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    proxy = start(admin={"http": f"127.0.0.1:{port}"})
    assert proxy.http == ("127.0.0.1", port)
    url = f"http://127.0.0.1:{port}"
    for arguments, said in ((("--config", str(proxy.config_file)), "livez: ok"), (("--url", url), "livez: ok"), (("readyz", "--url", url), "readyz: ok"),
                            (("--ready", "--url", f"{url}/"), "readyz: ok"), (("--upstream", "--url", url), "upstreamz: ok"),
                            (("startupz", "--url", url), "startupz: ok")):
        done = health(*arguments)
        assert done.returncode == 0 and done.stdout.startswith(said), (arguments, done)
        assert done.stdout.count("\n") == 1
    path = str(directory / "http.sock")
    there = run_proxy(configuration(pki, [cluster.host], admin={"http": f"unix:{path}"}))
    assert there.http == path
    assert health("--ready", "--url", f"unix:{path}").returncode == 0
    assert health("--ready", "--config", str(there.config_file)).returncode == 0
    assert ask(path, "/metrics")[0] == 200
    import stat
    from pathlib import Path
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_with_the_token_the_command_has_the_reasons(start, token_file):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    proxy = start(["127.0.0.1:1"], admin={"http": f"127.0.0.1:{port}", "http_token_file": str(token_file)})
    url = f"http://127.0.0.1:{port}"
    assert "Connection refused" not in health("upstreamz", "--url", url).stdout
    for arguments in (("--url", url, "--token-file", str(token_file)), ("--config", str(proxy.config_file))):
        assert re.search(r"30 s; orders: .*Connection refused", health("upstreamz", *arguments).stdout), arguments
    assert health("upstreamz", "--url", url, "--token-file", "/nowhere").returncode == 2
    token_file.chmod(0o000)  # whoever may not read it: its reasons are lost, and not its answer
    assert health("livez", "--config", str(proxy.config_file)).stdout == "livez: ok\n"


def test_the_command_says_that_a_listener_is_no_http(start):
    proxy = start()
    done = health("--url", "http://127.0.0.1:%d" % proxy.address[1])
    assert done.returncode == 1 and "is that admin.http, and not a listener?" in done.stdout, done


def test_the_command_says_no_by_its_exit_code(start):
    proxy = start(["127.0.0.1:1"], admin=ADMIN)
    url = "http://127.0.0.1:%d" % proxy.http[1]
    no = health("upstreamz", "--url", url)
    assert no.returncode == 1 and no.stdout.startswith("upstreamz: 1 of 1 upstreams") and no.stdout.count("\n") == 1
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    gone = health("--url", url)
    assert gone.returncode == 1 and "no answer" in gone.stdout


@pytest.mark.parametrize("arguments", [(), ("livez",), ("--url", "db.example.com:80"), ("--url", "http://"), ("nonsense", "--url", "127.0.0.1:1"),
                                       ("--url", "127.0.0.1:1", "--config", "x"), ("--config", "/nowhere/x.toml")])
def test_the_command_tells_a_wrong_use_from_a_no(arguments):
    assert health(*arguments).returncode == 2


def test_the_command_needs_http_to_be_configured(start):
    proxy = start()
    done = health("--config", str(proxy.config_file))
    assert done.returncode == 2 and "admin.http" in done.stderr


# --- nobody's application


def test_no_health_check_becomes_a_client(start):
    """Of those who came, one was an application."""
    proxy = start(admin=ADMIN)
    for user in ("scram_user", "md5_user", "trust_user"):
        for password in ({}, {"PGPASSWORD": ""}):  # with one it logs in
            ready = programs.run([programs.postgres_bin() / "pg_isready", "-t", str(PATIENCE)],
                                 env=client_environment(proxy, user, "prefer") | password, check=False)
            assert "accepting connections" in ready.stdout, ready
    for _ in range(3):
        socket.create_connection(proxy.address).close()
    for path in PATHS:
        assert ask(proxy.http, path)[0] == 200
    assert health("--ready", "--url", "http://127.0.0.1:%d" % proxy.http[1]).returncode == 0
    proxy.events("auth_failed", 2, application_name="pg_isready")
    proxy.events("disconnected", 4, application_name="pg_isready")
    connect(proxy, application_name="application").close()
    until(lambda: ("application", 1, 0) in clients_of(proxy), what="the application is in the inventory")
    assert clients_of(proxy) == [("application", 1, 0)]


def test_one_that_asks_something_is_a_client_whatever_it_calls_itself(start):
    proxy = start()
    session = connect(proxy, application_name="pg_isready")
    session.cursor().execute("SELECT 1")
    session.close()
    until(lambda: clients_of(proxy) == [("pg_isready", 1, 0)], what="it is in the inventory")


def test_pg_isready_is_refused_by_one_that_drains_or_has_no_server(start):
    proxy = start(["127.0.0.1:1"])
    ready = programs.run([programs.postgres_bin() / "pg_isready", "-t", str(PATIENCE)], env=client_environment(proxy, "trust_user", "prefer"),
                         check=False)
    assert (ready.returncode, "rejecting connections" in ready.stdout) == (1, True)
    proxy.events("upstream_failed", 1)


# --- strangers


def test_port_checks_leave_no_trace_in_the_log(start):
    proxy = start(admin=ADMIN)
    where = proxy.http
    before = proxy.log()
    for said in (b"", b"G", b"GET /livez HTTP/1.1\r\nHost: loc", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n\r\n", b"\0" * 100):
        with socket.create_connection(where, timeout=PATIENCE) as connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            answer = read_all(connection)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 "), (said, answer)
    assert ask(where, "/livez")[0] == 200
    assert proxy.log() == before


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_whoever_wants_more_than_to_look_is_told_405(start, method):
    proxy = start(admin=ADMIN)
    answer = exchange(proxy.http, f"{method} /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello".encode())
    assert answer.startswith(b"HTTP/1.1 405 ") and b"\r\nAllow: GET, HEAD\r\n" in answer and b"Connection: close" in answer
    assert answer.count(b"HTTP/1.1") == 1  # the body was no second request


def test_head_has_the_header_and_no_body(start):
    proxy = start(admin=ADMIN)
    status, headers, body = ask(proxy.http, "/metrics", "HEAD")
    assert (status, body) == (200, "") and int(headers["content-length"]) > 1000


@pytest.mark.parametrize("host,status", [("localhost", 200), ("LocalHost:1", 200), ("127.0.0.1:6433", 200), ("[::1]:80", 200), ("10.1.2.3", 200),
                                         ("rebound.example.com", 421), ("localhost.example.com", 421), ("127.0.0.1.example.com", 421),
                                         ("localhost:x", 421), ("[localhost]", 421), ("127.0.0.1@example.com", 421), ("airlock-7", 200), ("", 421)])
def test_a_name_that_is_not_ours_is_not_answered(start, host, status):
    """A page in somebody's browser may be made to ask us under a name of its own."""
    proxy = start(admin=ADMIN, runtime={"name": "airlock-7"})
    answer = exchange(proxy.http, f"GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer


def test_a_request_has_one_host(start):
    proxy = start(admin=ADMIN)
    assert exchange(proxy.http, b"GET /livez HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert exchange(proxy.http, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    old = exchange(proxy.http, b"GET /livez HTTP/1.0\r\n\r\n")
    assert old.startswith(b"HTTP/1.1 200 ") and b"Connection: close" in old


def test_requests_in_a_row_are_answered_in_order(start):
    proxy = start(admin=ADMIN)
    row = b"".join(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path for path in (b"/livez", b"/nowhere", b"/readyz?x=1", b"/startupz"))
    answer = exchange(proxy.http, row * 20 + b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 404, 200, 200] * 20 + [200]


@pytest.mark.parametrize("request_", [b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                      b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
                                      b"GET /livez HTTP/1.1\r\nX: " + b"y" * 1_000_000],
                         ids=["path", "many fields", "one field"])
def test_a_giant_header_is_refused_and_costs_nothing(start, request_):
    proxy = start(admin=ADMIN)
    before = proxy.rss_kib()
    answers = []
    for _ in range(20):
        with socket.create_connection(proxy.http, timeout=PATIENCE) as connection:
            try:
                connection.sendall(request_)
                answers.append(read_all(connection)[:13])
            except ConnectionError:
                answers.append(b"")  # it closed while we were still talking
    assert set(answers) <= {b"HTTP/1.1 431 ", b"HTTP/1.1 400 ", b""} and answers
    assert proxy.rss_kib() < before + 20_000
    assert ask(proxy.http, "/livez")[0] == 200


def test_a_slow_request_is_ended_and_keeps_nobody_out(start):
    """More of them than there are places: whoever comes next takes the place of the one that has been silent for longest."""
    proxy = start(admin=ADMIN)
    slow = []
    for _ in range(2 * MAX_CONNECTIONS):
        connection = socket.create_connection(proxy.http, timeout=PATIENCE)
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: local")
        slow.append(connection)
    assert ask(proxy.http, "/livez")[0] == 200
    assert scrape(proxy)("process_open_fds") < MAX_CONNECTIONS + 100
    began = time.monotonic()
    for connection in slow:
        try:
            assert read_all(connection) == b""  # without a word
        except ConnectionError:
            pass
        connection.close()
    assert time.monotonic() - began < PATIENCE


def asks_and_reads_nothing(connection):
    """As often as the proxy takes it."""
    connection.setblocking(False)
    try:
        while True:
            connection.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
    except BlockingIOError:
        pass


def asks_what_hangs(connection):
    connection.sendall(b"GET /upstreamz HTTP/1.1\r\nHost: localhost\r\n\r\n")


@pytest.mark.parametrize("attack", [asks_what_hangs, asks_and_reads_nothing])
def test_whoever_takes_all_places_keeps_no_probe_from_being_answered(start, attack):
    """The database takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as hangs:
        proxy = start([f"127.0.0.1:{hangs.getsockname()[1]}"], admin=ADMIN)
        crowd = []
        for _ in range(MAX_CONNECTIONS + 8):
            connection = socket.create_connection(proxy.http, timeout=PATIENCE)
            try:
                attack(connection)
            except OSError:
                pass  # its place is somebody else's already
            crowd.append(connection)
        for path in ("/livez", "/readyz") * 15:
            assert ask(proxy.http, path)[0] == 200
            time.sleep(0.1)
        for connection in crowd:
            connection.close()


@pytest.mark.parametrize("coding", ["chunked", "xchunked", "identity"])
def test_what_follows_a_body_that_is_not_understood_is_no_request(start, coding):
    proxy = start(admin=ADMIN)
    hidden = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = exchange(proxy.http, f"GET /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {coding}\r\n\r\n{hidden}".encode())
    assert answer.startswith(b"HTTP/1.1 501 ") and answer.count(b"HTTP/1.1") == 1


def test_one_byte_at_a_time_does_not_stretch_the_deadline(start):
    proxy = start(admin=ADMIN)
    with socket.create_connection(proxy.http, timeout=PATIENCE) as connection:
        began = time.monotonic()
        connection.settimeout(0.2)
        ended = False
        while not ended and time.monotonic() - began < PATIENCE:
            try:
                connection.sendall(b"x")
                ended = connection.recv(1) == b""
            except TimeoutError:
                pass
            except OSError:
                ended = True
        assert ended


# --- the token


def test_beyond_loopback_http_needs_a_token(pki, run_proxy, directory, cluster):
    from harness.config import configuration
    refused = run_proxy(configuration(pki, [cluster.host], admin={"http": "0.0.0.0:6433"}), wait=False)
    refused.expect_exit(2)
    assert "admin.http" in refused.log() and "http_token_file" in refused.log()


def test_with_a_token_health_is_open_and_the_rest_is_not(start, token_file):
    proxy = start(admin={"http": "0.0.0.0:0", "http_token_file": str(token_file)})
    where = ("127.0.0.1", proxy.http[1])
    assert [ask(where, path)[0] for path in PATHS] == [200] * 4
    assert "orders" not in ask(where, "/upstreamz")[2]
    assert "orders" in ask(where, "/upstreamz", Authorization=f"Bearer {TOKEN}")[2]
    for path in ("/metrics", "/nowhere"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer "},
                        {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}):
            status, answer, body = ask(where, path, **headers)
            assert status == 401 and answer["www-authenticate"].startswith("Bearer") and ", Basic" in answer["www-authenticate"] and "pgairlock_" not in body, (path, headers)
    assert ask(where, "/metrics", Authorization=f"bearer {TOKEN}")[0] == 200
    assert ask(where, "/nowhere", Authorization=f"Bearer {TOKEN}")[0] == 404
    for authorization, status in ((f"Bearer {TOKEN}", 200), ("Bearer wrong", 421), (f"Basic {TOKEN}", 421)):
        scraped = f"GET /metrics HTTP/1.1\r\nHost: orders-proxy:6433\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
        assert exchange(where, scraped.encode()).startswith(f"HTTP/1.1 {status} ".encode()), authorization
    told = ask(where, "/metrics")[2]
    for word in ("admin.http_token_file", "Authorization: Bearer TOKEN", "curl -H", "Without it: /livez, /startupz, /readyz, /upstreamz"):
        assert word in told
    assert TOKEN not in proxy.log()


@pytest.mark.parametrize("path, meant", [("/healthz", "/livez"), ("/ready", "/readyz"), ("/metric", "/metrics"), ("/livez/", "/livez")])
def test_a_path_that_is_not_there_is_told_which_are(start, path, meant):
    status, _, body = ask(start(admin=ADMIN).http, path)
    assert status == 404 and f"did you mean {meant}?" in body
    assert [line.split()[0] for line in body.splitlines()[1:]] == ["/livez", "/startupz", "/readyz", "/upstreamz", "/metrics", "/", "/api/"]


def test_a_new_token_counts_from_the_reload_on(start, token_file):
    proxy = start(admin={**ADMIN, "http_token_file": str(token_file)})
    assert ask(proxy.http, "/metrics", Authorization=f"Bearer {TOKEN}")[0] == 200
    token_file.write_text(TOKEN[::-1] + "\n")
    proxy.signal(signal.SIGHUP)
    proxy.events("reloaded")
    assert ask(proxy.http, "/metrics", Authorization=f"Bearer {TOKEN}")[0] == 401
    assert ask(proxy.http, "/metrics", Authorization=f"Bearer {TOKEN[::-1]}")[0] == 200


@pytest.mark.parametrize("content,mode", [("", 0o600), ("short\n", 0o600), ("0123456789abcdef 0123\n", 0o600), (TOKEN, 0o644)])
def test_a_token_that_is_none_or_open_to_others_is_a_mistake(pki, run_proxy, cluster, token_file, content, mode):
    from harness.config import configuration
    token_file.write_text(content)
    token_file.chmod(mode)
    proxy = run_proxy(configuration(pki, [cluster.host], admin={**ADMIN, "http_token_file": str(token_file)}), wait=False)
    proxy.expect_exit(2)
    assert "http_token_file" in proxy.log() or str(token_file) in proxy.log()


# --- nothing about it stops the proxy


def test_a_port_that_is_taken_is_an_error_in_the_log_and_no_end(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        proxy = start(admin={"http": "127.0.0.1:%d" % taken.getsockname()[1]})
        proxy.wait_for_log("error .*no http: ")
        connect(proxy).close()
        proxy.event("connected")


def test_without_the_key_nothing_listens(start):
    proxy = start()
    connect(proxy).close()
    proxy.event("connected")
    assert "http at" not in proxy.log()
