"""The audit file: every event of the contract with its fields, and nothing secret in it."""

import re
import signal
import ssl
from datetime import datetime, timedelta, timezone

import psycopg2
import pytest

from harness import messages
from harness.cluster import WRONG_PASSWORD
from harness.fake_upstream import accepting, server_context
from harness.messages import ErrorResponse
from harness.waiting import until
from harness.wire import tls_context

ALWAYS = "ts event session listener upstream client_addr client_port client_process".split()
IDENTITY = "datname usename application_name".split()
CONNECTED = """datname usename application_name replication protocol ssl version cipher bits sni alpn negotiation client_dn resumed
               certificate_shown sslmode_min sslmode_max verifies weak evidence auth_method backend_pid upstream_addr upstream_ssl
               upstream_version upstream_cipher upstream_issuer upstream_anchor upstream_not_after upstream_sslmode timings_us""".split()
DISCONNECTED = [*IDENTITY, *"duration_us bytes_from_client bytes_from_server reason sqlstate".split()]
TLS_FAILED = "alert certificate_shown sni evidence error reason".split()
AUTH_FAILED = [*IDENTITY, *"auth_method sqlstate message reason".split()]

SCALE = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


def assert_has(event, fields) -> None:
    missing = [name for name in (*ALWAYS, *fields) if name not in event]
    assert not missing, f"{event['event']} lacks {missing}: {event}"


# --- connected


@pytest.mark.parametrize("how", ["plain", "sslrequest", "direct", "gssenc+plain", "gssenc+sslrequest", "gssenc+direct"])
def test_connected_tells_who_came_and_how(start, client, cluster, pki, how):
    proxy = start()
    raw = client(proxy).negotiate(how, tls_context(alpn=["postgresql"]))
    pid = raw.login(application_name="audited app").backend_pid
    event = proxy.event("connected")
    assert_has(event, CONNECTED)
    assert_recent(event["ts"])
    encrypted = raw.tls is not None
    assert {name: event[name] for name in ("listener", "upstream", "client_addr", "client_port", "datname", "usename", "application_name",
                                           "backend_pid", "negotiation", "ssl", "upstream_addr", "upstream_ssl", "upstream_sslmode")} == {
        "listener": "legacy", "upstream": "orders", "client_addr": "127.0.0.1", "client_port": raw.port, "datname": "postgres",
        "usename": "trust_user", "application_name": "audited app", "backend_pid": pid, "negotiation": how, "ssl": encrypted,
        "upstream_addr": cluster.host, "upstream_ssl": True, "upstream_sslmode": "verify-full"}
    assert event["protocol"] == "3.0"
    assert not event["replication"]
    if encrypted:
        assert (event["version"], event["cipher"], event["bits"]) == (raw.tls.version(), raw.tls.cipher()[0], raw.tls.cipher()[2])
        assert (event["sni"], event["alpn"], event["resumed"]) == ("localhost", "postgresql", False)
        assert event["certificate_shown"]
    else:
        for name in ("version", "cipher", "bits", "sni", "alpn", "certificate_shown", "client_dn"):
            assert not event[name], (name, event[name])


def test_connected_describes_the_upstream_certificate_and_tls_session(start, client, cluster, pki):
    proxy = start()
    raw = client(proxy)
    raw.login()
    ((version, cipher),) = raw.query("SELECT version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    event = proxy.event("connected")
    assert (event["upstream_version"], event["upstream_cipher"]) == (version.decode(), cipher.decode())
    assert "Test New CA" in event["upstream_issuer"]
    assert "Test New CA" in event["upstream_anchor"]
    assert event["upstream_not_after"] == f"{pki.server.not_after:%Y-%m-%dT%H:%M:%SZ}"


def test_connected_times_the_phases(start, client):
    proxy = start()
    client(proxy).negotiate("sslrequest").login()
    timings = proxy.event("connected")["timings_us"]
    assert len(timings) >= 3
    assert all(isinstance(value, int) and 0 <= value < 20_000_000 for value in timings.values())
    assert any(timings.values())


@pytest.mark.parametrize("user, method", [("md5_user", "md5"), ("password_user", "password"), ("scram_user", "scram-sha-256")])
def test_connected_names_the_authentication_method(start, client, user, method):
    proxy = start()
    client(proxy).negotiate("sslrequest").login(user)
    assert proxy.event("connected")["auth_method"] == method


def test_connected_without_tls_upstream_says_so(start, client, clear_cluster):
    proxy = start([clear_cluster.host], upstream={"sslmode": "prefer"})
    client(proxy).login()
    event = proxy.event("connected")
    assert (event["upstream_ssl"], event["upstream_sslmode"]) == (False, "prefer")
    assert not event["upstream_version"] and not event["upstream_issuer"]


def test_the_database_defaults_to_the_users_name_as_in_postgresql(start, client, fake, pki):
    proxy = start([fake(accepting(server_context(pki.server))).host])
    client(proxy).login(database="")
    assert proxy.event("connected")["datname"] == "trust_user"


def test_replication_connections_are_marked(start, client):
    proxy = start()
    client(proxy).login("repl_user", replication="true")
    assert proxy.event("connected")["replication"]


def test_sessions_are_unique_over_restarts(start, client):
    ids = set()
    for _ in range(2):
        proxy = start()
        for _ in range(3):
            client(proxy).login()
        ids |= {event["session"] for event in proxy.events("connected", 3)}
    assert len(ids) == 6


def test_unusual_names_are_valid_json(start, client, fake, pki):
    proxy = start([fake(accepting(server_context(pki.server))).host])
    name = 'quote" back\\slash \n\x01 ünïcödé \U0001f418'
    client(proxy).login(application_name=name)
    raw = client(proxy)
    raw.send(messages.startup(application_name="MARK").replace(b"MARK", b"\xff\xfe\xc3\x28"))
    raw.finish_login()
    events = proxy.events("connected", 2)
    assert events[0]["application_name"] == name
    assert events[1]["application_name"] == r"\xff\xfe\xc3("


def test_no_line_holds_what_a_terminal_obeys(start, client, fake, pki):
    proxy = start([fake(accepting(server_context(pki.server))).host])
    name = "\x1b]0;pwned\x07 \x9b31m \u202eexe \x7f"
    client(proxy).login(application_name=name)
    assert proxy.event("connected")["application_name"] == name
    assert not [c for c in proxy.audit_text().replace("\n", "") if c in name.replace(" ", "") and not c.isalnum() and c not in "];"]


# --- what is known about the client's sslmode


def known(event):
    return event["sslmode_min"], event["sslmode_max"], event["verifies"], event["weak"]


def test_clear_without_sslrequest_is_at_most_allow(start, client):
    proxy = start()
    client(proxy).login()
    event = proxy.event("connected")
    assert known(event) == ("disable", "allow", "no", True)
    assert event["evidence"]


def test_clear_after_no_is_at_most_prefer(start, client):
    proxy = start(tls={"mode": "disable"})
    client(proxy).negotiate("sslrequest-refused").login()
    event = proxy.event("connected")
    assert event["negotiation"] == "sslrequest-refused"
    assert event["sslmode_min"] != "disable"
    assert known(event)[1:] == ("prefer", "no", True)


@pytest.mark.parametrize("how", ["sslrequest", "direct"])
def test_tls_with_a_distributed_certificate_proves_nothing_about_verification(start, client, how):
    proxy = start()
    client(proxy).negotiate(how).login()
    event = proxy.event("connected")
    assert known(event)[1:] == ("verify-full", "unknown", False)
    assert SCALE.index(event["sslmode_min"]) <= SCALE.index("prefer")


@pytest.mark.parametrize("how", ["sslrequest", "direct"])
def test_tls_with_an_undistributed_certificate_proves_at_most_require(start, client, how):
    proxy = start(tls={"trust": "undistributed"})
    client(proxy).negotiate(how).login()
    assert known(proxy.event("connected"))[1:] == ("require", "no", True)


def test_tls_right_after_a_refused_clear_attempt_is_allow(start, connect):
    proxy = start(tls={"mode": "require"})
    connect(proxy, sslmode="allow")
    event = proxy.event("connected")
    assert (event["ssl"], *known(event)) == (True, "allow", "allow", "no", True)


def test_clear_right_after_a_login_refused_over_tls_is_prefer(start, connect):
    """libpq's default: SCRAM fails over TLS, then succeeds in clear without a word."""
    proxy = start(auth={"scram": "passthrough"})
    connect(proxy, "scram_user", sslmode="prefer")
    event = proxy.event("connected")
    assert (event["ssl"], *known(event)) == (False, "prefer", "prefer", "no", True)
    assert proxy.event("auth_failed")["ssl"] is True


def test_clear_right_after_a_refused_certificate_is_not_called_allow(start, connect, pki):
    """libpq's prefer with a root certificate verifies, and then falls back to clear text."""
    proxy = start()
    connect(proxy, sslmode="prefer", sslrootcert=str(pki.old.cert), host="localhost")
    proxy.event("tls_failed")
    event = proxy.event("connected")
    assert (event["ssl"], event["weak"], event["sslmode_max"]) == (False, True, "prefer")


# --- tls_failed


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_does_not_trust_us_is_recorded_with_its_alert(start, client, pki, maximum):
    proxy = start()
    raw = client(proxy)
    with pytest.raises(ssl.SSLCertVerificationError):
        raw.negotiate("sslrequest", tls_context(ca=pki.old.cert, maximum=maximum))
    raw.close()
    event = proxy.event("tls_failed", client_port=raw.port)
    assert_has(event, TLS_FAILED)
    assert str(event["alert"]).replace(" ", "_") in ("48", "unknown_ca")
    assert event["sni"] == "localhost"
    assert event["certificate_shown"] and event["error"] and event["evidence"]


def test_libpq_that_does_not_trust_us_is_recorded(start, connect, pki):
    proxy = start()
    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        connect(proxy, sslmode="verify-full", sslrootcert=str(pki.old.cert), host="localhost")
    assert proxy.event("tls_failed")["alert"]


def test_libpq_that_does_not_find_its_name_completes_the_handshake_and_closes(start, connect, pki):
    leaf = pki.leaf(pki.front, "proxy.elsewhere", ("DNS:elsewhere.test",))
    proxy = start(tls={"cert_file": str(leaf.cert), "key_file": str(leaf.key)})
    with pytest.raises(psycopg2.OperationalError, match="does not match host name"):
        connect(proxy, sslmode="verify-full", sslrootcert=str(pki.front.cert), host="localhost")
    event = proxy.event("tls_failed")
    assert not event["alert"]
    assert event["evidence"]


@pytest.mark.parametrize("end", ["close", "close_notify"])
def test_a_close_after_the_handshake_without_a_startup_message_is_a_refusal(start, client, end):
    proxy = start()
    raw = client(proxy).negotiate("sslrequest")
    if end == "close_notify":
        raw.close_notify()
    raw.close()
    event = proxy.event("tls_failed", client_port=raw.port)
    assert event["evidence"]
    assert not event["alert"]


def test_no_client_hello_after_s_is_recorded_as_a_misconfigured_client(start, client):
    proxy = start()
    raw = client(proxy)
    raw.request_tls()
    raw.close()
    event = until(lambda: [event for event in proxy.all_events() if event["event"] in ("tls_failed", "rejected")])[0]
    assert event["client_port"] == raw.port
    assert event["evidence"]


def test_a_close_after_no_is_recorded(start, client):
    """At least `require`: the operator must know that this client cannot work here."""
    proxy = start(tls={"mode": "disable"})
    raw = client(proxy).negotiate("sslrequest-refused")
    raw.close()
    event = until(lambda: [event for event in proxy.all_events() if event["event"] in ("tls_failed", "rejected")])[0]
    assert (event["client_port"], event["sslmode_min"]) == (raw.port, "require")


def test_a_probe_of_the_port_without_a_byte_is_no_tls_failure(start, client):
    proxy = start()
    client(proxy).close()
    client(proxy).login()
    proxy.event("connected")
    assert not [event for event in proxy.all_events() if event["event"] in ("tls_failed", "auth_failed", "upstream_failed")]


# --- the others


def test_disconnected_counts_and_names_the_end(start, client, cluster):
    proxy = start()
    reasons = {}
    for end in ("terminate", "close", "server"):
        raw = client(proxy)
        pid = raw.login(application_name="counted").backend_pid
        raw.query("SELECT repeat('c', 100000)")
        if end == "terminate":
            raw.send(messages.TERMINATE)
        elif end == "server":
            cluster.sql("SELECT pg_terminate_backend(%s)", pid)
            while raw.receive_some():
                pass
        raw.close()
        event = proxy.event("disconnected", client_port=raw.port)
        assert_has(event, DISCONNECTED)
        assert (event["usename"], event["application_name"]) == ("trust_user", "counted")
        assert 100_000 < event["bytes_from_server"] < 110_000
        assert 0 < event["bytes_from_client"] < 1000
        assert 0 < event["duration_us"] < 10_000_000
        assert event["session"] == proxy.event("connected", client_port=raw.port)["session"]
        reasons[end] = event["reason"]
    assert all(reasons.values())
    # Terminate may be reported either way: who closes first is a race, as nobody looks at messages any more.
    assert reasons["server"] != reasons["close"]


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_auth_failed_says_who_and_why(start, client, how):
    proxy = start()
    with pytest.raises(ErrorResponse):
        client(proxy).negotiate(how).login("md5_user", WRONG_PASSWORD)
    event = proxy.event("auth_failed")
    assert_has(event, AUTH_FAILED)
    assert (event["usename"], event["sqlstate"], event["auth_method"]) == ("md5_user", "28P01", "md5")
    assert "password authentication failed" in event["message"]


def test_rejected_says_why(start, client):
    proxy = start()
    raw = client(proxy)
    raw.send(messages.startup()[:-1] + b"x")
    raw.fatal()
    event = proxy.event("rejected")
    assert_has(event, ["reason", "sqlstate"])
    assert event["sqlstate"] == "08P01" and event["reason"]


def test_upstream_failed_says_where_and_why(start, client, fake, pki):
    server = fake(accepting(server_context(pki.leaf(pki.old, "server.old", ("IP:127.0.0.1",)))))
    proxy = start([server.host])
    with pytest.raises(ErrorResponse):
        client(proxy).login()
    event = proxy.event("upstream_failed")
    assert_has(event, "upstream_addr error verify_error sqlstate".split())
    assert (event["upstream_addr"], event["sqlstate"]) == (server.host, "57P03")
    assert "issuer" in event["verify_error"] or "certificate" in event["verify_error"]


def test_cancel_says_whether_it_matched(start, client, cluster):
    proxy = start()
    login = client(proxy).login()
    for key, matched in ((login.key, True), (bytes(4), False)):
        raw = client(proxy)
        raw.send(messages.cancel_request(login.backend_pid, key))
        event = proxy.event("cancel", matched=matched)
        assert_has(event, "ssl matched upstream_addr".split())
        assert (event["ssl"], event["client_port"]) == (False, raw.port)
        assert not matched or event["upstream_addr"] == cluster.host


def test_started_and_stopping_frame_a_run(start):
    proxy = start()
    proxy.event("started")
    proxy.stop()
    events = proxy.all_events()
    assert (events[0]["event"], events[-1]["event"]) == ("started", "stopping")


def test_events_are_on_disk_without_waiting_for_more(start, client):
    proxy = start()
    raw = client(proxy)
    raw.login()
    proxy.event("connected")
    assert raw.query("SELECT 1") == [[b"1"]]


# --- the file


def test_sigusr1_reopens_the_file(start, client):
    proxy = start()
    client(proxy).login(application_name="before")
    proxy.event("connected")
    file = proxy.state_dir / "audit.jsonl"
    file.rename(proxy.state_dir / "audit.jsonl.1")
    proxy.signal(signal.SIGUSR1)
    until(file.exists)
    client(proxy).login(application_name="after")
    until(lambda: '"after"' in file.read_text())
    assert '"before"' not in file.read_text()
    assert '"after"' not in (proxy.state_dir / "audit.jsonl.1").read_text()


def test_the_file_can_be_named_sent_to_stdout_or_turned_off(start, client, directory):
    named = start(audit={"file": str(directory / "named.jsonl")})
    client(named).login()
    until(lambda: '"connected"' in (directory / "named.jsonl").read_text())
    stdout = start(audit={"file": "-"})
    client(stdout).login()
    until(lambda: '"connected"' in stdout.stdout())
    off = start(audit={"file": ""})
    client(off).login()
    off.stop()
    assert not list(off.state_dir.glob("*.jsonl"))


def test_a_new_run_appends(start, run_proxy, client):
    first = start(runtime={"state_dir": None})
    client(first).login()
    first.stop()
    second = run_proxy(first.config_file.read_text())
    client(second).login()
    until(lambda: len(first.all_events()) >= 6)
    assert [event["event"] for event in first.all_events()].count("started") == 2


@pytest.mark.parametrize("how", ["plain", "sslrequest"])
def test_no_secret_is_ever_written(start, client, how):
    """Passwords are looked for after every test; here also SASL messages and cancel keys, at the most talkative level."""
    proxy = start(log={"level": "trace"})
    secrets = []
    for user in ("md5_user", "password_user", "scram_user"):
        raw = client(proxy).negotiate(how)
        spied, send = [], raw.send
        raw.send = lambda data, send=send, spied=spied: (spied.append(data), send(data))[1]
        login = raw.login(user)
        secrets += [login.key.hex(), str(int.from_bytes(login.key, "big")), str(int.from_bytes(login.key, "big", signed=True))]
        for sent in spied[1:]:
            text = sent[5:].decode(errors="replace")
            secrets += [part.partition("=")[2] or part for part in re.findall(r"md5[0-9a-f]{32}|(?<![a-z])[rp]=[^,]{12,}", text)]
        raw2 = client(proxy)
        raw2.send(messages.cancel_request(login.backend_pid, login.key))
        raw2.expect_closed()
    with pytest.raises(ErrorResponse):
        client(proxy).negotiate(how).login("scram_user", WRONG_PASSWORD)
    proxy.events("cancel", 3)
    proxy.event("auth_failed")
    proxy.stop()
    written = (proxy.log() + proxy.stdout() + proxy.audit_text()).lower()
    wanted = [secret for secret in secrets if len(secret) >= 6]
    assert len(wanted) > 8
    for secret in wanted:
        assert not re.search(rf"(?<![0-9a-z]){re.escape(secret.lower())}(?![0-9a-z])", written), secret


def assert_recent(text: str) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text), text
    then = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    assert abs(datetime.now(timezone.utc) - then) < timedelta(minutes=1)
