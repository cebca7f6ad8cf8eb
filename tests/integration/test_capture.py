"""Captures of real sessions, read by tshark and as bytes."""

import io
import json
import re
import signal
import ssl
import struct
import threading
from datetime import datetime, timedelta, timezone

import psycopg2
import pytest

from harness import front, messages, programs
from harness.capture import (DAY, INTERFACE, JOURNAL, PACKET, SECTION, STATISTICS, blocks, capture, files, kinds, raw, started, tshark, tshark_program,
                             values, wait_for_bytes, wait_for_event, window)
from harness.cluster import PASSWORDS, WRONG_PASSWORD
from harness.config import configuration, to_toml
from harness.fake_upstream import accepting, server_context
from harness.waiting import until
from harness.wire import tls_context


def end_of_session(proxy) -> dict:
    event = proxy.events("disconnected")[-1]
    wait_for_event(proxy, "disconnected", event["session"])
    return event


@pytest.mark.parametrize("how", ["plain", "sslrequest", "direct", "sslrequest-refused"])
def test_a_session_opens_decoded_in_tshark(start, client, how):
    refused = how == "sslrequest-refused"
    proxy = start(capture=capture(), tls={"mode": "disable"} if refused else None)
    started(proxy)
    one = client(proxy).negotiate(how, tls_context(alpn=["postgresql"]) if how == "direct" else None)
    one.login(application_name="the app")
    one.query("SELECT 42 AS answer")
    one.send(messages.TERMINATE)
    one.close()
    end_of_session(proxy)
    path = files(proxy)[0]
    queries = values(path, "pgsql.query", filter="pgsql.query")
    assert queries == ["SELECT ** AS answer"] * 2
    assert values(path, "frame.interface_name", filter="pgsql.query") == ["legacy client leg", "legacy server leg"]
    comments = values(path, "frame.comment")
    assert any('user=trust_user database=postgres application_name="the app"' in comment for comment in comments), comments
    ports = {tuple(row) for row in tshark(path, "tcp.srcport", "tcp.dstport", filter="pgsql.query")}
    assert {port for _, port in ports} == {"5432"}


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_behind_a_front_packets_are_the_clients_whom_the_header_names(start, client, address):
    proxy = start(capture=capture(), listener={"proxy_protocol": "require", "trusted_proxies": ["127.0.0.1"], "allow": ["192.0.2.0/24", "2001:db8::/32"]})
    started(proxy)
    one = client(proxy)
    one.send(front.v2(address, port=50007))
    one.login()
    one.query("SELECT 42 AS answer")
    one.send(messages.TERMINATE)
    one.close()
    end_of_session(proxy)
    source = "ipv6.src" if ":" in address else "ip.src"
    rows = tshark(files(proxy)[0], source, "tcp.srcport", filter='pgsql.query && frame.interface_name == "legacy client leg"')
    assert [tuple(row) for row in rows] == [(address, "50007")]


# --- What is kept, and what is not

SECRETS = {
    "literal": "planted-literal-1c9e", "bind": "planted-bind-77aa", "row": "planted-row-0b52", "copy": "planted-copy-91df",
    "notify": "planted-notify-3e3e", "detail": "planted-detail-5a5a", "role": "planted-role-password-8d21",
}
# What a payload may hold of these: passwords never.
HELD = {"headers": set(), "redacted": set(), "full": set(SECRETS) - {"role"}}


def leave_secrets(connection) -> None:
    """Says each of them in the way that it is named for."""
    connection.cursor().execute(f"SELECT length('{SECRETS['literal']}')")
    cursor = connection.cursor()
    cursor.execute("CREATE TEMP TABLE kept (word text PRIMARY KEY)")
    cursor.execute("INSERT INTO kept VALUES (%s)", (SECRETS["row"],))
    cursor.execute("SELECT word FROM kept")
    with cursor.connection.cursor() as copying:
        copying.copy_expert("COPY kept FROM STDIN", io.StringIO(SECRETS["copy"] + "\n"))
    cursor.execute("LISTEN heard")
    cursor.execute(f"NOTIFY heard, '{SECRETS['notify']}'")
    cursor.execute("INSERT INTO kept VALUES (%s)", (SECRETS["detail"],))
    with pytest.raises(psycopg2.errors.UniqueViolation):
        cursor.execute("INSERT INTO kept VALUES (%s)", (SECRETS["detail"],))
    with pytest.raises(psycopg2.Error):
        cursor.execute(f"ALTER ROLE nobody_at_all PASSWORD '{SECRETS['role']}'")


def bind_secret(one) -> None:
    """By the extended protocol, which psycopg2 does not speak."""
    value = SECRETS["bind"].encode()
    one.send(messages.message(b"P", b"\0SELECT $1::text\0" + struct.pack("!H", 0)) +
             messages.message(b"B", b"\0\0" + struct.pack("!HHi", 0, 1, len(value)) + value + struct.pack("!H", 0)) +
             messages.message(b"E", b"\0" + struct.pack("!I", 0)) + messages.message(b"S"))
    assert one.rows() == [[value]]


@pytest.mark.parametrize("payload", ["headers", "redacted", "full"])
@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_no_payload_holds_what_it_may_not(start, connect, client, payload, sslmode):
    proxy = start(capture=capture(payload=payload))
    started(proxy)
    connection = connect(proxy, "scram_user", sslmode=sslmode)
    key = connection.info.backend_pid
    leave_secrets(connection)
    connection.close()
    with client(proxy) as one:
        login = one.login("md5_user")
        bind_secret(one)
    wait_for_event(proxy, "disconnected", proxy.events("disconnected", 2)[-1]["session"])
    data = raw(proxy)
    for name, secret in SECRETS.items():
        there = secret.encode() in data
        assert there == (name in HELD[payload]), f"{name} in {payload}"
    for password in PASSWORDS.values():
        assert password.encode() not in data
    assert login.key not in data
    assert (b"CREATE TEMP TABLE kept" in data) == (payload != "headers")
    assert key


def test_with_allow_secrets_a_full_capture_holds_all(start, client):
    proxy = start(capture=capture(payload="full", allow_secrets=True))
    started(proxy)
    with client(proxy) as one:
        login = one.login("password_user")
    end_of_session(proxy)
    assert PASSWORDS["password_user"].encode() in raw(proxy)
    assert login.key in raw(proxy)


def test_a_bridged_login_is_two_conversations_without_the_password(start, client):
    proxy = start(capture=capture(payload="full"), auth={"scram": "bridge"})
    started(proxy)
    one = client(proxy).negotiate("sslrequest")
    login = one.login("scram_user")
    assert login.asked == [messages.CLEARTEXT, messages.OK]
    one.query("SELECT 'after the login'")
    one.close()
    end_of_session(proxy)
    path = files(proxy)[0]
    asked = tshark(path, "frame.interface_name", "pgsql.authtype", filter="pgsql.authtype")
    assert ["legacy client leg", "3"] in asked and ["legacy server leg", "10"] in asked, asked
    assert ["legacy server leg", "3"] not in asked and ["legacy client leg", "10"] not in asked
    assert values(path, "pgsql.query", filter="pgsql.query") == ["SELECT 'after the login'"] * 2
    assert PASSWORDS["scram_user"].encode() not in raw(proxy)


def test_the_same_bytes_have_the_same_packet_id_on_both_legs(start, client):
    proxy = start(capture=capture(payload="full"))
    started(proxy)
    with client(proxy) as one:
        one.login()
        for number in range(5):
            one.query(f"SELECT 'number {number}'")
    end_of_session(proxy)
    rows = tshark(files(proxy)[0], "pgsql.query", "frame.packet_id", "frame.interface_name", filter="pgsql.query")
    by_query = {}
    for query, number, interface in rows:
        by_query.setdefault(query, []).append((number, interface))
    assert len(by_query) == 5
    for pair in by_query.values():
        assert len({number for number, _ in pair}) == 1 and len({interface for _, interface in pair}) == 2, pair
    assert len({pair[0][0] for pair in by_query.values()}) == 5


def test_copy_of_many_bytes_is_whole(start, connect):
    proxy = start(capture=capture(payload="full"))
    started(proxy)
    connection = connect(proxy, sslmode="require")
    lines = "".join(f"{number}\t{'x' * 100}\n" for number in range(30_000))
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE many (number int, word text)")
        cursor.copy_expert("COPY many FROM STDIN", io.StringIO(lines))
        out = io.StringIO()
        cursor.copy_expert("COPY many TO STDOUT", out)
    assert out.getvalue() == lines
    connection.close()
    end_of_session(proxy)
    stopped = stop(proxy)
    assert stopped["dropped"] == 0
    # Nothing is missing to TCP: no gap, and what came in is what was sent.
    path = files(proxy)[0]
    assert values(path, "tcp.analysis.lost_segment") == values(path, "tcp.analysis.ack_lost_segment") == []
    follow = programs.run([tshark_program(), "-n", "-r", path, "-q", "-z", "follow,tcp,ascii,0"]).stdout
    assert f"29999.{'x' * 100}" in follow  # tshark shows a tab as a dot


def stop(proxy) -> dict:
    """Ends the process, and with it the capture."""
    proxy.stop()
    return proxy.events("capture_stopped")[-1]


def test_the_files_of_a_capture_are_ours_alone_and_its_beginning_and_end_are_audited(start, client):
    proxy = start(capture=capture(payload="headers", users=["trust_user"], listeners=["legacy"]))
    event = started(proxy)
    assert event["capture"] == 1 and event["by"].startswith("window 20") and event["payload"] == "headers"
    assert event["trigger"] == "all" and event["filter"] == "listener=legacy user=trust_user" and event["until"]
    assert event["where"] == str(proxy.state_dir / "captures") and event["session"] is None
    assert (proxy.state_dir / "captures").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in files(proxy)] == [0o600]
    with client(proxy) as one:
        one.login()
    end_of_session(proxy)
    stopped = stop(proxy)
    assert stopped["reason"] == "shutdown" and stopped["sessions"] == 1 and stopped["dropped"] == 0
    assert stopped["bytes"] == sum(path.stat().st_size for path in files(proxy))
    assert kinds(files(proxy)[0]).count(PACKET) == stopped["packets"] > 10
    assert kinds(files(proxy)[0])[-1] == STATISTICS


def test_the_audit_events_of_a_session_stand_in_the_file(start, client):
    proxy = start(capture=capture())
    started(proxy)
    with client(proxy) as one:
        one.login()
    session = end_of_session(proxy)["session"]
    entries = [block for kind, block in blocks(raw(proxy)) if kind == JOURNAL]
    assert [b"PGAIRLOCK_EVENT=connected" in entry for entry in entries] == [True, False]
    for entry in entries:
        assert f"PGAIRLOCK_SESSION={session}\n".encode() in entry
        line = re.search(rb"^MESSAGE=(.*)$", entry, re.MULTILINE).group(1)
        event = json.loads(line)
        written = proxy.event(event["event"])
        assert {**event, "client_process": None} == {**written, "client_process": None}


# --- Which sessions

def test_filters_leave_other_sessions_out(start, client):
    proxy = start(capture=capture(users=["md5_user"], databases=["postgres"], application_names=["wanted"], client_addrs=["127.0.0.0/8"]))
    started(proxy)
    for user, name in [("trust_user", "wanted"), ("md5_user", "other"), ("md5_user", "wanted")]:
        with client(proxy) as one:
            one.login(user, application_name=name)
            one.query("SELECT 1")
    wait_for_event(proxy, "disconnected")
    assert stop(proxy)["sessions"] == 1
    comments = [comment for comment in values(files(proxy)[0], "frame.comment")]
    assert comments and all("user=md5_user" in comment and "application_name=wanted" in comment for comment in comments)


def test_filters_on_other_addresses_and_listeners_leave_all_out(start, client):
    proxy = start(capture=capture(client_addrs=["10.0.0.0/8"]))
    started(proxy)
    with client(proxy) as one:
        one.login()
    proxy.event("disconnected")
    assert stop(proxy)["packets"] == 0


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_trigger_failures_keeps_a_refused_certificate_with_its_records(start, client, pki, maximum):
    proxy = start(capture=capture(trigger="failures"))
    started(proxy)
    with client(proxy) as good:
        good.negotiate("sslrequest").login()
    bad = client(proxy)
    with pytest.raises(ssl.SSLCertVerificationError):
        bad.negotiate("sslrequest", tls_context(ca=pki.old.cert, maximum=maximum))
    bad.close()
    wait_for_event(proxy, "tls_failed")
    assert stop(proxy)["sessions"] == 1
    path = files(proxy)[0]
    assert values(path, "tls.handshake.type", filter="tls.handshake.type")[0] == "1"  # ClientHello
    if maximum == ssl.TLSVersion.TLSv1_2:
        assert "48" in values(path, "tls.alert_message.desc")
    comments = values(path, "frame.comment")
    assert any("tls_failed" in comment and "unknown_ca (48): the client does not trust the CA" in comment for comment in comments), comments
    assert any("content=tls-records" in comment for comment in comments)


def test_trigger_failures_keeps_a_refused_login_with_what_came_before(start, client):
    proxy = start(capture=capture(trigger="failures", payload="full"))
    started(proxy)
    with client(proxy) as one, pytest.raises(messages.ErrorResponse):
        one.negotiate("sslrequest").login("scram_user", WRONG_PASSWORD)
    wait_for_event(proxy, "auth_failed")
    assert stop(proxy)["sessions"] == 1
    path = files(proxy)[0]
    assert set(values(path, "pgsql.code", filter="pgsql.code")) == {"28P01"}
    assert values(path, "tls.handshake.type", filter="tls.handshake.type")[0] == "1"
    assert any("auth_failed" in comment for comment in values(path, "frame.comment"))
    assert WRONG_PASSWORD.encode() not in raw(proxy)


def test_a_server_whose_certificate_is_refused_is_in_the_file(start, client, fake, pki):
    server = fake(accepting(server_context(pki.leaf(pki.old, "server.old", ["DNS:localhost", "IP:127.0.0.1"]))))
    proxy = start([server.host], capture=capture())
    started(proxy)
    with client(proxy) as one, pytest.raises(messages.ErrorResponse):
        one.login()
    wait_for_event(proxy, "upstream_failed")
    stop(proxy)
    path = files(proxy)[0]
    rows = tshark(path, "frame.interface_name", "tls.handshake.type", filter="tls.handshake.type")
    assert {interface for interface, _ in rows} == {"legacy server leg"}
    assert any("upstream_failed" in comment and "certificate" in comment for comment in values(path, "frame.comment"))


def test_a_handshake_that_went_well_leaves_no_records(start, client):
    proxy = start(capture=capture())
    started(proxy)
    with client(proxy) as one:
        one.negotiate("sslrequest").login()
    end_of_session(proxy)
    assert tshark(files(proxy)[0], "frame.number", filter="tls") == []


def test_a_session_that_was_open_before_enters_where_messages_end(start, client, cluster):
    proxy = start()
    one = client(proxy).negotiate("sslrequest")
    one.login("md5_user")
    one.query("SELECT 'before'")
    busy = client(proxy)
    cluster.put_to_sleep(busy)
    reload(proxy, capture=capture(payload="full"))
    started(proxy)
    one.query("SELECT 'first'")
    one.query("SELECT 'second'")
    one.close()
    end_of_session(proxy)
    path = files(proxy)[0]
    queries = values(path, "pgsql.query", filter="pgsql.query")
    assert "SELECT 'before'" not in queries and queries.count("SELECT 'second'") == 2
    comments = values(path, "frame.comment")
    assert all("joined=true" in comment and "user=md5_user" in comment for comment in comments), comments
    assert PASSWORDS["md5_user"].encode() not in raw(proxy)
    busy.close()


def test_a_cancel_request_is_in_the_file_without_its_key(start, client, cluster):
    proxy = start(capture=capture(payload="full"))
    started(proxy)
    one = client(proxy)
    login = cluster.put_to_sleep(one)
    with client(proxy) as other:
        other.send(messages.cancel_request(login.backend_pid, login.key))
        other.expect_closed()
    with pytest.raises(messages.ErrorResponse, match="57014"):
        one.rows()
    wait_for_event(proxy, "cancel")
    one.close()
    end_of_session(proxy)
    assert login.key not in raw(proxy)
    assert set(values(files(proxy)[0], "pgsql.code", filter="pgsql.code")) == {"57014"}


# --- Where from

def test_unix_domain_sockets_are_written_as_loopback(run_proxy, pki, cluster, client, directory):
    path = str(directory / "s")
    proxy = run_proxy(configuration(pki, [f"unix:{cluster.directory}/.s.PGSQL.{cluster.port}"], listener={"listen": [f"unix:{path}"]},
                                    upstream={"sslmode": "disable", "sslrootcert": None}, capture=capture()))
    started(proxy)
    with client(path) as one:
        one.login("postgres")
        one.query("SELECT 1")
    end_of_session(proxy)
    rows = tshark(files(proxy)[0], "ip.src", "ip.dst", "tcp.dstport", filter="pgsql.query")
    assert rows == [["127.0.0.1", "127.0.0.1", "5432"]] * 2


def test_ipv6(start, client):
    proxy = start(capture=capture(), listener={"listen": ["[::1]:0"]})
    started(proxy)
    with client(proxy) as one:
        one.login()
        one.query("SELECT 1")
    end_of_session(proxy)
    rows = tshark(files(proxy)[0], "ipv6.src", "ipv6.dst", "tcp.srcport", filter="pgsql.query and ipv6")
    assert rows == [["::1", "::1", str(one.port)]]


def test_a_key_log_lets_tshark_decrypt_the_records_of_both_legs(start, client):
    for maximum in [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]:
        proxy = start(capture=capture(payload="full", keylog=True, allow_secrets=True))
        started(proxy)
        with client(proxy) as one:
            one.negotiate("sslrequest", tls_context(maximum=maximum)).login()
            one.query("SELECT 'inside TLS'")
        end_of_session(proxy)
        path = files(proxy)[0]
        rows = tshark(path, "frame.interface_name", filter="tls && pgsql.query contains \"inside TLS\"")
        assert sorted(row[0] for row in rows) == ["legacy client leg", "legacy server leg"]
        proxy.stop()


# --- Files

def reload(proxy, **tables) -> None:
    """With other tables in the place of those that there are."""
    text = proxy.config_file.read_text()
    kept = re.sub(r"\n\[capture\]\n(?:[^\[\n][^\n]*\n)*", "\n", text)
    proxy.config_file.write_text(kept + "\n" + to_toml(tables))
    count = len([event for event in proxy.all_events() if event["event"] == "reloaded"])
    proxy.signal(signal.SIGHUP)
    proxy.events("reloaded", count + 1)


def test_every_file_of_a_ring_can_be_read_alone_and_the_oldest_goes(start, client):
    proxy = start(capture=capture(payload="full", max_file_size="64KiB", max_total_size="256KiB"))
    started(proxy)
    with client(proxy) as one:
        one.login()
        number = 0
        while len(files(proxy)) < 3 or "-1.pcapng" in str(files(proxy)[0]):
            number += 1
            one.query(f"SELECT '{number} {'y' * 1000}'")
    end_of_session(proxy)
    stop(proxy)
    left = files(proxy)
    assert sum(path.stat().st_size for path in left) <= 256 * 1024
    seen = []
    for path in left:
        assert path.stat().st_size <= 64 * 1024
        assert kinds(path)[0] == SECTION and INTERFACE in kinds(path)
        seen += values(path, "pgsql.query", filter="pgsql.query and frame.interface_name == \"legacy client leg\"")
    numbers = [int(query.split("'")[1].split()[0]) for query in seen]
    assert numbers == list(range(numbers[0], number + 1))  # sequence numbers go on


def test_every_file_of_a_ring_begins_each_direction_with_a_message(start, client):
    """Rows of several packets: a file ends within one, and the next one goes on behind it."""
    proxy = start(capture=capture(payload="full", max_file_size="300KiB", max_total_size="64MiB"))
    started(proxy)
    with client(proxy) as one:
        one.login()
        for number in range(12):
            one.query("SELECT repeat('r', 200000)")
            one.query(f"SELECT length('{'q' * 150_000}')")
            one.query(f"SELECT 'number {number}'")
    end_of_session(proxy)
    stop(proxy)
    seen = set()
    for path in files(proxy):
        packets = tshark(path, "frame.interface_name", "frame.comment", "pgsql.type", "pgsql.val.data", "_ws.malformed")
        assert not any(malformed for *_, malformed in packets), path
        for leg in ["client", "server"]:
            rows = [(types.split("\x1e"), data.split("\x1e")) for interface, _, types, data, _ in packets if interface == f"legacy {leg} leg" and types]
            if not rows:
                continue
            types = [one for types, _ in rows for one in types]
            assert abs(types.count("Simple query") - types.count("Ready for query")) <= 3, (path, leg, types)
            assert any(f"leg={leg}" in comment and "user=trust_user" in comment for _, comment, *_ in packets), (path, leg)
            seen |= {(leg, word) for _, data in rows for word in data if bytes.fromhex(word.replace(":", "")).startswith(b"number ")}
    assert len(seen) == 24
    assert len(files(proxy)) > 10


def test_after_kill_9_there_are_whole_blocks(start, client):
    proxy = start(capture=capture(payload="full"))
    started(proxy)
    with client(proxy) as one:
        one.login()
        for _ in range(50):
            one.query(f"SELECT '{'z' * 20_000}'")
        one.query("SELECT 'the last'")
        wait_for_bytes(proxy, b"the last")
        proxy.expected_exit = -signal.SIGKILL
        proxy.kill()
    data = raw(proxy)
    while data:
        kind, length = struct.unpack_from("<II", data)
        if len(data) < length:
            break  # the one that was being written
        assert struct.unpack_from("<I", data, length - 4)[0] == length
        data = data[length:]
    assert "SELECT 'the last'" in values(files(proxy)[0], "pgsql.query", filter="pgsql.query")


def test_a_file_that_cannot_grow_ends_the_capture_and_no_session(run_proxy, pki, cluster, client):
    limit = 1 << 20
    proxy = run_proxy(configuration(pki, [cluster.host], capture=capture(payload="full")), wrapper=["prlimit", f"--fsize={limit}", "--"])
    started(proxy)
    with client(proxy) as one:
        one.login()
        until(lambda: one.query(f"SELECT '{'w' * 50_000}'") and "capture_stopped" in proxy.audit_text(), what="the end of the capture")
        stopped = proxy.event("capture_stopped")
        assert stopped["reason"] == "disk" and "File too large" in stopped["message"]
        assert one.query("SELECT 'goes on'") == [[b"goes on"]]
    proxy.event("disconnected", reason="client_closed")
    kinds(files(proxy)[0])  # whole blocks alone
    assert files(proxy)[0].stat().st_size <= limit


def test_too_little_free_space_keeps_a_capture_from_beginning_and_no_session(start, client):
    proxy = start(capture=capture(min_free_space="1000TiB"))
    proxy.wait_for_log("not started: the file system of .* less than min_free_space")
    with client(proxy) as one:
        one.login()
    proxy.event("disconnected")


def test_a_file_that_is_deleted_ends_the_capture(start, client):
    proxy = start(capture=capture())
    started(proxy)
    files(proxy)[0].unlink()
    assert proxy.event("capture_stopped")["reason"] == "removed"
    with client(proxy) as one:
        one.login()


def test_a_folder_that_is_open_to_others_is_not_written_to(start):
    proxy = start()
    (proxy.state_dir / "captures").mkdir(mode=0o755)
    (proxy.state_dir / "captures").chmod(0o755)
    reload(proxy, capture=capture())
    proxy.wait_for_log("not started: the folder .* is open to others")
    assert files(proxy) == []


def test_files_that_go_for_max_total_size_are_told_and_named_ones_count_and_stay(start, client):
    proxy = start(capture=capture(payload="full", max_file_size="64KiB", max_total_size="512KiB"))
    started(proxy)
    with client(proxy) as one, client(proxy.console) as console:
        console.login("any")
        one.login()
        console.query("CAPTURE START (PAYLOAD full, MAX_SIZE '128KiB') TO 'incident.pcapng'")
        for _ in range(40):
            one.query(f"SELECT '{'w' * 20_000}'")
        assert proxy.event("capture_stopped")["reason"] == "size"

        def removed():
            one.query(f"SELECT '{'w' * 20_000}'")
            return "captures: removed " in proxy.log()
        until(removed)
    folder = proxy.state_dir / "captures"
    assert (folder / "incident.pcapng").stat().st_size >= 128 << 10
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    stopped = proxy.events("capture_stopped", 2)[-1]
    assert stopped["files_removed"] > 0
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 512 << 10


# --- Windows

def test_a_window_begins_and_ends_a_capture_by_itself(start, client):
    """Its beginning, and then its end, are moved to a moment that has not come yet."""
    proxy = start()
    with client(proxy) as one:
        one.login()
        one.query("SELECT 'before the window'")
        assert files(proxy) == []
        now = datetime.now(timezone.utc)
        reload(proxy, capture=capture(windows=[window(begin=timedelta(seconds=2), now=now)], payload="full"))
        event = started(proxy)
        until(lambda: one.query("SELECT 'in the window'") and b"in the window" in raw(proxy), what="a query in the capture")
        end = datetime.now(timezone.utc) - now + timedelta(seconds=3)
        reload(proxy, capture=capture(windows=[window(begin=timedelta(seconds=2), end=end, now=now)], payload="full"))
        stopped = proxy.event("capture_stopped")
        one.query("SELECT 'after the window'")
    proxy.event("disconnected")
    assert stopped["reason"] == "time" and stopped["by"] == event["by"]
    assert event["until"] > stopped["until"] > event["ts"]
    assert b"before the window" not in raw(proxy) and b"after the window" not in raw(proxy)


def test_a_reload_keeps_a_capture_and_one_without_its_window_ends_it(start, client):
    table = capture(payload="full")
    proxy = start(capture=table)
    started(proxy)
    reload(proxy, capture={**table, "payload": "headers"})
    with client(proxy) as one:
        one.login()
        one.query("SELECT 'still in full'")
        wait_for_bytes(proxy, b"still in full")
        reload(proxy, capture={**table, "windows": []})
        assert proxy.event("capture_stopped")["reason"] == "window"
        one.query("SELECT 'no more'")
    proxy.event("disconnected")
    assert len(proxy.events("capture_started")) == 1
    assert b"no more" not in raw(proxy)


def test_a_window_that_has_passed_is_said_and_captures_nothing(start):
    proxy = start(capture=capture(windows=[window(begin=-2 * DAY, end=-DAY)]))
    proxy.wait_for_log("all of them have passed")
    proxy.stop()
    assert files(proxy) == []
    assert "capture_started" not in proxy.audit_text()


def test_a_capture_ends_in_whole_files_while_sessions_are_cut_off(start, client):
    proxy = start(capture=capture(), runtime={"drain_timeout": "0s"})
    started(proxy)
    one = client(proxy)
    one.login()
    one.send(messages.query("SELECT pg_sleep(600)"))
    stopped = stop(proxy)
    assert stopped["reason"] == "shutdown"
    assert kinds(files(proxy)[0])[-1] == STATISTICS
    assert b"PGAIRLOCK_EVENT=disconnected" in raw(proxy)


def test_captures_that_come_and_go_under_load_cost_no_session_anything(start, pg, connect):
    proxy = start(capture={"min_free_space": "0B"})
    connect(proxy).cursor().execute("SELECT 1")
    done = []

    def work(mode, sslmode):
        """Raises, and is not done, when a transaction fails."""
        done.append(pg("pgbench", proxy, "-n", "-c", "4", "-t", "400", "-M", mode, "-f", "-", sslmode=sslmode, input="SELECT :client_id + 1;\n"))

    load = [threading.Thread(target=work, args=how) for how in [("simple", "disable"), ("extended", "require"), ("prepared", "require")]]
    for thread in load:
        thread.start()
    rounds = 0
    while any(thread.is_alive() for thread in load) or rounds < 3:
        rounds += 1
        reload(proxy, capture=capture(payload=["full", "redacted", "headers"][rounds % 3]))
        proxy.events("capture_started", rounds)
        reload(proxy, capture={"min_free_space": "0B"})
        proxy.events("capture_stopped", rounds)
    for thread in load:
        thread.join()
    assert len(done) == 3
    proxy.stop()
    assert sum(event["sessions"] for event in proxy.events("capture_stopped")) > 0
    for path in proxy.state_dir.glob("captures/*.pcapng"):
        assert kinds(path)[0] == SECTION
        assert tshark(path, "frame.number", filter="_ws.malformed") == []
