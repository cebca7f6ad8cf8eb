"""The dashboard's server side: that its JSON agrees with the report, the console and the metrics of the same moment; events as they happen; readers that do
not read; who may; and a fleet whose database goes away."""

import base64
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time

import psycopg2
import pytest

from harness import programs
from harness.config import configuration
from harness.http import EventStream, ask, scrape
from harness.waiting import PATIENCE, until

ADMIN = {"http": "127.0.0.1:0"}
TOKEN = "0123456789abcdef0123456789abcdef"


def get(address, path, **headers):
    status, answered, body = ask(address, path, **headers)
    assert status == 200, (path, body)
    assert answered["content-type"] == "application/json; charset=utf-8"
    return json.loads(body)


def wait_for(address, path, condition, **headers):
    """The first answer that is as it should be; until there is one, 503 says that there is none yet."""
    def look():
        status, answered, body = ask(address, path, **headers)
        if status == 503:
            assert answered["retry-after"] == "1" and json.loads(body)["error"]
            return None
        assert status == 200, body
        found = json.loads(body)
        return found if condition(found) else None
    return until(look, what=path)


def console(proxy, sql):
    folder, _, port = proxy.console.rpartition("/.s.PGSQL.")
    out = programs.run([programs.postgres_bin() / "psql", "-X", "-At", "-h", folder, "-p", port, "-c", sql, "pgairlock"]).stdout
    return [line.split("|") for line in out.splitlines()]


def report(*arguments):
    return json.loads(programs.run([programs.PGAIRLOCK, "report", "--format", "json", *arguments]).stdout)


def established(ours: int, theirs: int) -> bool:
    """Whether the side at port `ours` has a connection to port `theirs`, by proc(5)."""
    with open("/proc/net/tcp") as table:
        lines = [line.split() for line in table.readlines()[1:]]
    return any(local.endswith(f":{ours:04X}") and remote.endswith(f":{theirs:04X}") and state == "01" for _, local, remote, state, *_ in lines)


def token_file(directory):
    path = directory / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


def basic(password, user="anybody"):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def stream():
    """Event streams, closed at the end of the test."""
    made = []

    def make(address, **headers):
        made.append(EventStream(address, **headers))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def dashboard(directory):
    """`pgairlock dashboard` as a process; gives its address."""
    processes = []

    def make(*arguments, listen="127.0.0.1:0"):
        out = directory / f"dashboard{len(processes)}.out"
        with open(out, "wb") as to:
            process = subprocess.Popen(programs.with_death_signal([programs.PGAIRLOCK, "dashboard", "--listen", listen, *map(str, arguments)]),
                                       stdin=subprocess.DEVNULL, stdout=to, stderr=subprocess.STDOUT)
        processes.append(process)
        place = until(lambda: re.search(r"dashboard at (\S+)\n", out.read_text()), what="the dashboard listens").group(1)
        if place.startswith("unix:"):
            return place.removeprefix("unix:")
        host, _, port = place.rpartition(":")
        return host, int(port)

    make.processes = processes
    yield make
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0


# --- a running proxy


def test_what_is_open_now_agrees_with_the_console_and_the_metrics(start, connect):
    proxy = start(admin=ADMIN)
    for sslmode in ("disable", "disable", "require"):
        connect(proxy, sslmode=sslmode, application_name=f"as {sslmode}")
    until(lambda: console(proxy, "SELECT count(*) FROM pg_stat_activity") == [["3"]], what="three sessions")
    overview = wait_for(proxy.http, "/api/overview.json", lambda one: one["now"]["sessions"]["total"] == 3)
    sessions = overview["now"]["sessions"]
    assert sessions["plain"] == 2 and sum(sessions[mode] for mode in ("plain", "tls_not_verifying", "verifying", "unknown")) == 3
    assert overview["kind"] == "proxy" and overview["proxy"]["pid"] == proxy.process.pid and overview["proxy"]["phase"] == "serving"
    assert overview["now"]["by_listener"][0]["sessions"] == scrape(proxy)("client_connections", listener="legacy") == 3
    assert overview["now"]["login_ms"]["of"] == 3 and overview["now"]["login_ms"]["p99"] > 0

    told = get(proxy.http, "/api/sessions.json")
    assert (told["total"], told["left_out"]) == (3, 0)
    columns = ("session", "pid", "usename", "application_name", "ssl", "cipher", "sslmode_min", "verifies", "weak", "upstream_addr", "state")
    wanted = console(proxy, f"SELECT {', '.join(columns)} FROM open_sessions ORDER BY pid")
    as_console = [["" if value is None else {True: "t", False: "f"}.get(value, str(value)) if isinstance(value, bool) else str(value)
                   for value in (one[column] for column in columns)] for one in sorted(told["sessions"], key=lambda one: one["pid"])]
    assert as_console == wanted
    assert all(one["weak"] for one in told["sessions"] if not one["ssl"])


def test_clients_agree_with_the_report_and_the_metrics(start, connect):
    proxy = start(admin=ADMIN)
    for application in ("one", "two"):
        connect(proxy, application_name=application).close()
    still_open = connect(proxy, sslmode="require", application_name="three")

    # The days of a rotation are counted with the first look, and then once a minute.
    until(lambda: report("--state-dir", proxy.state_dir)["summary"]["connections"] == 3, what="all has been written down")

    def comparable(client):
        return {key: value for key, value in client.items() if key not in ("key", "explain", "trend", "sessions_open")}

    def agreed():
        found = wait_for(proxy.http, "/api/clients.json", lambda one: one["summary"]["connections"] == 3)
        by_report = report("--state-dir", proxy.state_dir)
        return [comparable(client) for client in found["clients"]] == by_report["clients"] and (found, by_report)
    told, wanted = until(agreed, what="both say the same")
    for key in ("clients", "plain", "tls_not_verifying", "verifying", "unknown", "weak", "breaks_on_ca_rotation", "actions"):
        assert told["summary"][key] == wanted["summary"][key], key
    assert len({client["key"] for client in told["clients"]}) == 3
    assert {client["application_name"]: client["sessions_open"] for client in told["clients"]} == {"one": 0, "two": 0, "three": 1}
    assert {client["trend"] for client in told["clients"]} == {"new"}
    assert all(client["explain"] for client in told["clients"])

    overview = wait_for(proxy.http, "/api/overview.json", lambda one: one["clients"] and one["clients"]["total"] == 3)
    clients = overview["clients"]
    assert clients["plain"] == 2 and clients["plain"] + clients["tls_not_verifying"] + clients["verifying"] + clients["unknown"] == 3
    metrics = until(lambda: (now := scrape(proxy)).of("clients") and now("clients") == 3 and now, what="they are counted for metrics too")
    for state in ("plain", "tls_not_verifying", "verifying", "unknown"):
        assert metrics("clients", upstream="orders", state=state) == clients[state], state
    assert metrics("clients_not_ready", upstream="orders") == clients["not_ready"]

    rotation = wait_for(proxy.http, "/api/rotation.json", lambda one: one["days"] and one["days"][-1]["clients"] == 3)
    today = rotation["days"][-1]
    assert today["not_ready"] == today["unknown"] + today["breaks"] == clients["not_ready"]
    assert today["ready"] + today["not_ready"] == 3 and today["in_clear"] == 2
    assert set(rotation["last_not_ready"]) <= {client["key"] for client in told["clients"]}
    still_open.close()


def test_without_an_inventory_clients_are_not_known_and_no_metric_says_none(start, connect):
    proxy = start(admin=ADMIN, audit={"inventory": ""})
    connect(proxy)
    status, _, body = ask(proxy.http, "/api/clients.json")
    assert status == 503 and "audit.inventory is off" in json.loads(body)["error"]
    overview = get(proxy.http, "/api/overview.json")
    assert overview["clients"] is None and any("audit.inventory is off" in sentence for sentence in overview["unknown"])
    assert scrape(proxy).of("clients") == [] and scrape(proxy).of("clients_not_ready") == []
    certificates = wait_for(proxy.http, "/api/certificates.json", lambda one: one["server"])
    assert certificates["upstream"] is None and certificates["anchors"]


def test_certificates_and_hosts_are_those_of_the_proxy(start, connect, pki, cluster):
    proxy = start(admin=ADMIN)
    connect(proxy)
    certificates = wait_for(proxy.http, "/api/certificates.json", lambda one: one["upstream"])
    shown = certificates["upstream"][0]
    assert shown["current"] and 0 < shown["days_left"] and shown["chain"] is None
    metrics = scrape(proxy)
    served = certificates["server"][0]
    assert served["listener"] == "legacy" and served["days_left"] > 0 and served["sans"] and served["trust"] in ("distributed", "undistributed")
    assert metrics("server_certificate_not_after_timestamp_seconds", key_type=served["key_type"]) > time.time()
    anchor = certificates["anchors"][0]
    assert anchor["upstream"] == "orders" and anchor["file"] == str(pki.new.cert)
    assert anchor["candidate"] is False and anchor["subject"]

    host, = get(proxy.http, "/api/hosts.json")["hosts"]
    assert (host["upstream"], host["up"], host["verified"], host["sessions"]) == ("orders", True, True, 1)
    assert host["address"] == get(proxy.http, "/api/sessions.json")["sessions"][0]["upstream_addr"]
    assert host["subject"] == shown["subject"] and host["anchor"] and host["version"].startswith("TLSv1")
    assert host["role"] == "primary" and host["last_served"]


def test_a_host_that_does_not_serve_is_down_since_and_why(start):
    proxy = start(["127.0.0.1:1"], admin=ADMIN)
    before, = get(proxy.http, "/api/hosts.json")["hosts"]
    assert before["up"] is None and before["last_served"] is None and before["verified"] is None
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(host=proxy.address[0], port=proxy.address[1], user="trust_user", dbname="postgres", sslmode="disable")
    host, = get(proxy.http, "/api/hosts.json")["hosts"]
    assert host["up"] is False and host["since"] and "refused" in host["error"]
    assert any(warning["what"] == "host_down" for warning in get(proxy.http, "/api/overview.json")["warnings"])


def test_events_tell_what_happens_as_it_happens(start, connect, stream):
    proxy = start(admin=ADMIN)
    connect(proxy, application_name="before").close()
    proxy.event("disconnected")
    reader = stream(proxy.http)
    assert reader.status == 200 and reader.answer.getheader("Content-Type") == "text/event-stream"
    first = reader.next()
    assert first[0] == "now" and first[1]["kind"] == "proxy" and first[1]["now"]["history"]
    assert reader.next()[0] == "versions"
    # What was before, and then what comes.
    names = []
    while "disconnected" not in names:
        names.append(reader.next("audit")[1]["event"])
    assert names[0] == "started" and "connected" in names
    session = connect(proxy, application_name="<b>after</b>")
    event = {}
    while event.get("event") != "connected":
        name, event, number = reader.next("audit")
    assert event["application_name"] == "<b>after</b>"
    written = proxy.events("connected", 2)[-1]
    assert event == {key: value for key, value in written.items() if key in event} and event["session"] == written["session"]
    until(lambda: reader.next("now")[1]["now"]["sessions"]["total"] == 1, what="the session is in `now`")
    assert len(reader.next("now")[1]["now"]["history"]) == 1
    versions = reader.next("versions")[1]
    assert set(versions) == {"sessions", "clients", "certificates", "hosts", "rotation"}
    session.close()

    # Somebody who was away misses nothing, and hears nothing twice.
    proxy.events("disconnected", 2)
    again = stream(proxy.http, Last_Event_ID=str(number))
    event, last = {}, number
    while event.get("event") != "disconnected":
        name, event, later = again.next("audit")
        assert later == last + 1
        last = later
    assert event["application_name"] == "<b>after</b>"
    # A number of another process is none of ours.
    other = stream(proxy.http, Last_Event_ID="17")
    assert other.next("audit")[1]["event"] == "started"


def test_a_reader_that_goes_makes_room_and_streams_never_take_all_places(start, stream):
    proxy = start(admin=ADMIN)
    readers = [stream(proxy.http) for _ in range(16)]
    assert {reader.status for reader in readers} == {200}
    for reader in readers:
        reader.next("now")
    assert stream(proxy.http).status == 503
    assert ask(proxy.http, "/livez")[0] == 200 and scrape(proxy)("build_info") == 1
    readers[5].close()
    until(lambda: (one := stream(proxy.http)).status == 200 or one.close(), what="a place is free again")


def test_a_reader_that_does_not_read_is_closed(start, connect):
    """It is sent more than the kernel keeps for it, and no more than a bound is kept here."""
    proxy = start(admin=ADMIN)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(PATIENCE)
        slow.connect(proxy.http)
        slow.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(1)

        def is_closed():
            for _ in range(40):
                connect(proxy, application_name="x" * 60).close()
            return not established(proxy.http[1], slow.getsockname()[1])
        until(is_closed, timeout=PATIENCE * 4, what="it is given up")
    assert ask(proxy.http, "/livez")[0] == 200


def test_head_is_answered_like_get_and_without_a_body(start):
    proxy = start(admin=ADMIN)
    wait_for(proxy.http, "/api/clients.json", lambda one: True)
    wait_for(proxy.http, "/api/rotation.json", lambda one: True)
    for path in ("/", "/page.css", "/api/overview.json", "/api/sessions.json", "/api/clients.json", "/api/certificates.json", "/api/hosts.json",
                 "/api/rotation.json", "/api/events"):
        status, headers, body = ask(proxy.http, path, method="HEAD")
        assert (status, body) == (200, ""), path
        assert headers["content-security-policy"].startswith("default-src 'none'"), path
        assert headers["cache-control"] == "no-store"
        assert path == "/api/events" or int(headers["content-length"]) > 0
    assert ask(proxy.http, "/", method="POST")[0] == 405
    assert ask(proxy.http, "/api/nothing.json")[0] == 404


def test_a_browser_sends_the_token_as_a_password(start, directory, stream):
    proxy = start(admin={**ADMIN, "http_token_file": str(token_file(directory))})
    with socket.create_connection(proxy.http, timeout=PATIENCE) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(65536), b"")).decode()
    assert answer.startswith("HTTP/1.1 401") and 'WWW-Authenticate: Bearer realm="pgairlock"' in answer
    assert 'WWW-Authenticate: Basic realm="pgairlock"' in answer
    for path in ("/", "/api/overview.json", "/metrics"):
        assert ask(proxy.http, path)[0] == 401
        assert ask(proxy.http, path, Authorization=basic("wrong" + TOKEN))[0] == 401
        for authorization in (basic(TOKEN), f"Bearer {TOKEN}"):
            assert ask(proxy.http, path, Authorization=authorization)[0] == 200
    assert stream(proxy.http, Authorization=basic(TOKEN)).next()[0] == "now"
    assert stream(proxy.http).status == 401
    assert ask(proxy.http, "/livez")[0] == 200


def test_a_reader_does_not_hold_up_the_end(start, stream):
    proxy = start(admin=ADMIN)
    reader = stream(proxy.http)
    reader.next("versions")
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)


def test_fewer_sessions_are_listed_where_fewer_are_asked_for(start, connect):
    proxy = start(admin=ADMIN)
    connections = [connect(proxy, application_name=f"one {number}") for number in range(5)]
    told = wait_for(proxy.http, "/api/sessions.json?most=3", lambda one: one["total"] == 5)
    assert (told["left_out"], len(told["sessions"])) == (2, 3)
    assert len(get(proxy.http, "/api/sessions.json")["sessions"]) == 5  # what was made for others is not it
    for wrong in ("0", "10001", "x"):
        assert ask(proxy.http, f"/api/sessions.json?most={wrong}")[0] == 400
    for connection in connections:
        connection.close()


def test_reading_the_inventory_takes_no_lock_of_its_writer_away(start, connect):
    """SQLite's locks are the process's: closing any descriptor of the file would drop them."""
    proxy = start(admin=ADMIN)
    seen = 0
    for round_ in range(5):
        connect(proxy, application_name=f"round {round_}").close()
        told = wait_for(proxy.http, "/api/clients.json", lambda one, more=seen: one["summary"]["connections"] > more)
        seen = told["summary"]["connections"]
    descriptors = [os.readlink(f"/proc/{proxy.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{proxy.process.pid}/fd")
                   if os.path.exists(f"/proc/{proxy.process.pid}/fd/{fd}")]
    assert not [name for name in descriptors if "pgairlock-report" in name]
    with sqlite3.connect(f"file:{proxy.state_dir}/inventory.db?mode=ro", uri=True) as inventory:
        assert inventory.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert "database is locked" not in proxy.log()


# --- a fleet


def test_a_fleet_is_told_by_its_database_and_an_outage_is_said(run_proxy, pki, cluster, connect, fleet_database, dashboard, stream):
    proxies = [run_proxy(configuration(pki, [cluster.host], runtime={"name": name}, audit={"inventory": fleet_database.url}, admin=ADMIN))
               for name in ("app-1", "app-2")]
    for proxy in proxies:
        connect(proxy, application_name="fleet").close()
    until(lambda: fleet_database.total() == 2, what="the database has both")
    address = dashboard("--inventory", fleet_database.url)
    told = wait_for(address, "/api/clients.json", lambda one: one["summary"]["connections"] == 2)
    wanted = report("--inventory", fleet_database.url)
    assert told["summary"]["clients"] == wanted["summary"]["clients"]
    assert {client["sessions_open"] for client in told["clients"]} == {None}
    overview = get(address, "/api/overview.json")
    assert overview["kind"] == "fleet" and overview["now"] is None and overview["proxy"] is None
    assert sorted(one["name"] for one in overview["proxies"]) == ["app-1", "app-2"]
    assert overview["clients"]["total"] == told["summary"]["clients"]
    for path in ("/api/sessions.json", "/api/hosts.json"):
        assert ask(address, path)[0] == 404
    assert ask(address, "/")[0] == 200 and ask(address, "/livez")[0] == 200
    until(lambda: ask(address, "/readyz")[0] == 200, what="it is ready")

    fleet_database.cluster.stop()
    until(lambda: ask(address, "/readyz")[0] == 503, what="that the database is away is told")
    assert ask(address, "/livez")[0] == 200
    away = wait_for(address, "/api/overview.json", lambda one: any("cannot connect" in sentence for sentence in one["unknown"]))
    assert "what is shown of it is of 20" in away["unknown"][0]
    assert any(warning["what"] == "inventory_unread" for warning in away["warnings"])
    assert away["clients"]["total"] == overview["clients"]["total"]
    assert [client["key"] for client in get(address, "/api/clients.json")["clients"]] == [client["key"] for client in told["clients"]]
    assert "Secret" not in json.dumps(away)
    fleet_database.start_again()
    wait_for(address, "/api/overview.json", lambda one: not any("cannot connect" in sentence for sentence in one["unknown"]))
    until(lambda: ask(address, "/readyz")[0] == 200, what="it is ready again")
    reader = stream(address)
    assert reader.next()[1]["kind"] == "fleet" and reader.next()[0] == "versions"


def test_a_fleets_dashboard_says_that_its_database_was_never_there(dashboard):
    address = dashboard("--inventory", "postgresql://u:Secret-never-77a1@127.0.0.1:1/nowhere?sslmode=disable")
    overview = wait_for(address, "/api/overview.json", lambda one: any("cannot connect" in sentence for sentence in one["unknown"]))
    assert overview["clients"] is None and "nothing of it is known" in overview["unknown"][0]
    status, _, why = ask(address, "/readyz")
    assert status == 503 and "did not answer" in why and "127.0.0.1" not in why
    asked = programs.pgairlock("health", "readyz", "--url", f"http://{address[0]}:{address[1]}")
    assert asked.returncode == 1 and "did not answer" in asked.stdout + asked.stderr
    assert "Secret-never" not in json.dumps(overview)
    assert ask(address, "/api/clients.json")[0] == 503


def test_several_files_are_one_dashboard_over_a_socket_of_a_file(start, connect, dashboard, directory):
    proxies = [start(), start()]
    for proxy in proxies:
        connect(proxy).close()
        proxy.event("disconnected")
    place = str(directory / "dashboard.sock")
    address = dashboard("--state-dir", proxies[0].state_dir, "--state-dir", proxies[1].state_dir, listen=f"unix:{place}")
    assert address == place and os.stat(place).st_mode & 0o777 == 0o600
    told = wait_for(address, "/api/clients.json", lambda one: one["summary"]["connections"] == 2)
    assert len(told["proxies"]) == 2


def test_beyond_this_host_a_token_is_needed_and_the_fix_is_told(dashboard, directory, start):
    inventory = start().state_dir
    refused = programs.pgairlock("dashboard", "--state-dir", inventory, "--listen", "0.0.0.0:0")
    assert refused.returncode == 1 and "--token-file" in refused.stderr and "127.0.0.1" in refused.stderr
    address = dashboard("--state-dir", inventory, "--token-file", token_file(directory), listen="0.0.0.0:0")
    local = ("127.0.0.1", address[1])
    assert ask(local, "/api/overview.json")[0] == 401
    until(lambda: ask(local, "/readyz")[0] == 200, what="it is ready, and says so without a token")
    assert get(local, "/api/overview.json", Authorization=basic(TOKEN))["kind"] == "fleet"


@pytest.mark.parametrize("arguments, says", [
    ([], "--listen is required"),
    (["--listen", "nowhere"], "expected ADDR:PORT"),
    (["--listen", "127.0.0.1:0", "--inventory", "/nonexistent/inventory.db"], "there is no /nonexistent/inventory.db"),
    (["--listen", "127.0.0.1:0", "--token-file", "/nonexistent/token"], "--token-file: "),
    (["--listen", "127.0.0.1:0", "--inventory", "postgresql://u:Secret@Secret-broken-51c2@127.0.0.1/x?nonsense"], "--inventory"),
])
def test_what_is_written_wrong_is_said_at_once(arguments, says):
    done = programs.pgairlock("dashboard", *arguments)
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert "Secret" not in done.stderr


def test_help_teaches():
    text = programs.pgairlock("dashboard", "--help").stdout
    for part in ("--inventory", "--listen", "--token-file", "Examples:", "Exit: 0"):
        assert part in text
