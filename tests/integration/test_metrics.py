"""Metrics over HTTP: that they are true, by a load whose truth is known; their form, by promtool; and that docs/metrics.md has them all."""

import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg2
import pytest

from harness import programs
from harness.cluster import PASSWORDS
from harness.http import ask, scrape
from harness.prometheus import RULES, Prometheus
from harness.waiting import PATIENCE, until

REPOSITORY = Path(__file__).parents[2]
ADMIN = {"http": "127.0.0.1:0"}
ROW = re.compile(r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \|", re.MULTILINE)


def connect(proxy, sslmode="disable", user="trust_user", password=None, **more):
    host, port = proxy.address
    return psycopg2.connect(host=host, port=port, user=user, password=password or PASSWORDS.get(user), dbname="postgres", sslmode=sslmode,
                            gssencmode="disable", connect_timeout=PATIENCE, **more)


def console(proxy, statement):
    folder, _, port = proxy.console.rpartition("/.s.PGSQL.")
    programs.run([programs.postgres_bin() / "psql", "-X", "-At", "-h", folder, "-p", port, "-c", statement, "pgairlock"])


def documented() -> dict[str, str]:
    return dict(ROW.findall((REPOSITORY / "docs/metrics.md").read_text()))


def promtool(*arguments, **options):
    if shutil.which("promtool") is None:
        pytest.skip("promtool (Debian: prometheus) is not installed")
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False, **options)


def test_numbers_are_those_of_what_happened(start, pki):
    """Before anything has happened every one of them is there, and zero."""
    proxy = start(admin=ADMIN)
    before = scrape(proxy)
    for name in ("client_connections_total", "client_connections", "client_rejections_total", "login_failures_total",
                 "client_tls_handshake_failures_total", "login_seconds_count", "relay_bytes_total"):
        assert before(name, listener="legacy") == 0, name
    assert before("upstream_connections_total", upstream="orders") == 0

    open_sessions = [connect(proxy) for _ in range(3)] + [connect(proxy, "require") for _ in range(2)]
    for _ in range(4):
        connect(proxy, "require").close()
    for _ in range(2):
        with pytest.raises(psycopg2.OperationalError):
            connect(proxy, user="scram_user", password="wrong")
    with pytest.raises(psycopg2.OperationalError):
        connect(proxy, "verify-full", sslrootcert=str(pki.people.cert))
    proxy.events("disconnected", 4)
    proxy.events("auth_failed", 2)
    proxy.event("tls_failed")

    now = scrape(proxy)
    assert now("client_connections_total", listener="legacy", ssl="false") == 3
    assert now("client_connections_total", listener="legacy", ssl="true") == 6
    connected = proxy.events("connected", 9)
    for verifies in ("no", "yes", "unknown"):
        assert now("client_connections_total", verifies=verifies) == sum(event["verifies"] == verifies for event in connected), verifies
    assert now("client_connections", listener="legacy") == 5
    assert now("client_tls_handshake_failures_total") == now("client_tls_handshake_failures_total", alert="unknown_ca") == 1
    failures = proxy.events("auth_failed", 2)
    assert now("login_failures_total", listener="legacy") == len(failures)
    assert now("login_failures_total", reason="server_denied") == sum(event["reason"] == "server_denied" for event in failures)
    assert now("upstream_connections_total", upstream="orders", result="verified") == 9 + len(failures)
    assert now("upstream_connections_total", upstream="orders") == 9 + len(failures)
    assert now("login_seconds_count", listener="legacy") == 9
    assert now("login_seconds_bucket", listener="legacy", le="+Inf") == 9
    assert now("tls_handshake_seconds_count", leg="client") == 6
    assert now("tls_handshake_seconds_count", leg="server") == 9
    took = sum(event["timings_us"]["total"] for event in connected) / 1e6
    assert now("login_seconds_sum", listener="legacy") == pytest.approx(took, abs=1e-6)
    for event in ("connected", "disconnected", "auth_failed", "tls_failed"):
        assert now("audit_events_total", event=event) == len(proxy.events(event)), event
    assert now("audit_events_dropped_total") == 0

    for session in open_sessions:
        session.close()
    proxy.events("disconnected", 9)
    assert scrape(proxy)("client_connections", listener="legacy") == 0


def test_bytes_are_counted_while_a_session_runs_and_agree_with_its_end(start):
    proxy = start(admin=ADMIN)
    session = connect(proxy)
    session.autocommit = True
    cursor = session.cursor()
    cursor.execute("SELECT repeat('x', 1000000)")
    cursor.fetchall()
    meanwhile = scrape(proxy)
    assert meanwhile("relay_bytes_total", listener="legacy", direction="from_server") > 1_000_000
    sent = meanwhile("relay_bytes_total", listener="legacy", direction="from_client")
    cursor.execute("SELECT length(%s)", ("y" * 50_000,))
    assert scrape(proxy)("relay_bytes_total", listener="legacy", direction="from_client") > sent + 50_000
    session.close()
    end = proxy.event("disconnected")
    after = scrape(proxy)
    assert after("relay_bytes_total", direction="from_client") == end["bytes_from_client"]
    assert after("relay_bytes_total", direction="from_server") == end["bytes_from_server"]


def test_whoever_is_refused_is_counted_by_reason(start, client):
    proxy = start(admin=ADMIN, runtime={"max_connections": 1}, tls={"mode": "require"})
    held = connect(proxy, "require")
    with pytest.raises(psycopg2.OperationalError, match="too many clients"):
        connect(proxy, "require")
    for _ in range(2):
        with pytest.raises(psycopg2.OperationalError):
            connect(proxy, "disable")
    proxy.events("rejected", 3)
    now = scrape(proxy)
    assert now("client_rejections_total", listener="legacy", reason="too_many_connections") == 1
    assert now("client_rejections_total", listener="legacy", reason="tls_required") == 2
    assert now("client_rejections_total") == 3
    held.close()


def test_servers_that_are_not_there_or_not_to_be_trusted_are_counted_by_reason(start, cluster, pki):
    gone, stranger = start(["127.0.0.1:1"], admin=ADMIN), start(upstream={"sslrootcert": [str(pki.old.cert)]}, admin=ADMIN)
    for proxy, reason in ((gone, "server_not_reached"), (stranger, "server_certificate_rejected")):
        with pytest.raises(psycopg2.OperationalError):
            connect(proxy)
        proxy.event("upstream_failed")
        now = scrape(proxy)
        assert now("upstream_connections_total", upstream="orders", result=reason) == now("upstream_connections_total") == 1
        assert now("login_failures_total", listener="legacy", reason=reason) == 1
    assert scrape(gone)("upstream_host_up", upstream="orders", address="127.0.0.1:1") == 0
    well = start(admin=ADMIN)
    connect(well).close()
    connected = well.event("connected")
    assert scrape(well)("upstream_host_up", upstream="orders", address=connected["upstream_addr"]) == 1


def test_certificates_tell_when_they_end(start, pki):
    from datetime import datetime, timezone

    def end_of(certificate) -> float:
        text = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", str(certificate)], capture_output=True, text=True, check=True)
        return datetime.strptime(text.stdout.strip().split("=")[1], "%b %d %H:%M:%S %Y %Z").replace(tzinfo=timezone.utc).timestamp()

    proxy = start(admin=ADMIN)
    connect(proxy).close()
    address = proxy.event("connected")["upstream_addr"]
    now = scrape(proxy)
    assert now("upstream_certificate_not_after_timestamp_seconds", upstream="orders", address=address) == end_of(pki.server.cert)
    shown = now.of("server_certificate_not_after_timestamp_seconds", listener="legacy")
    assert [value for _, value in shown] == [end_of(pki.proxy.cert)]


def test_reloads_are_counted_and_the_socket_stays(start):
    proxy = start(admin=ADMIN)
    where = proxy.http
    connect(proxy).close()
    proxy.event("disconnected")
    good = proxy.config_file.read_text()
    assert scrape(proxy)("config_last_reload_successful") == 1
    proxy.write_config("nonsense = 1\n")
    proxy.signal(signal.SIGHUP)
    proxy.events("reload_failed")
    now = scrape(proxy)
    assert (now("config_last_reload_successful"), now("reloads_total", result="failure"), now("reloads_total", result="success")) == (0, 1, 0)
    proxy.write_config(good.replace('name = "legacy"', 'name = "renamed"'))
    proxy.events("reloaded")  # what has failed is tried again
    now = scrape(proxy)
    assert (now("config_last_reload_successful"), now("reloads_total", result="failure"), now("reloads_total", result="success")) == (1, 1, 1)
    assert now("client_connections_total", listener="renamed") == 0
    assert now("client_connections_total", listener="legacy") == 1  # a counter does not go away
    assert proxy.http == where


def test_another_http_address_waits_for_a_restart_and_a_token_does_not(start, directory):
    proxy = start(admin=ADMIN)
    token = directory / "token"
    token.write_text("0123456789abcdef\n")
    token.chmod(0o600)
    text = proxy.config_file.read_text()
    proxy.write_config(text.replace("[admin]", f'[admin]\nhttp_token_file = "{token}"').replace('http = "127.0.0.1:0"', 'http = "127.0.0.1:1"'))
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log("admin.http has changed: that needs a restart")
    proxy.events("reloaded")
    assert ask(proxy.http, "/metrics")[0] == 401
    assert ask(proxy.http, "/metrics", Authorization="Bearer 0123456789abcdef")[0] == 200


def test_prewarmed_connections_are_told(start):
    proxy = start(admin=ADMIN, runtime={"threads": 2}, upstream={"prewarm": 2})
    until(lambda: scrape(proxy).of("prewarm_connections", upstream="orders", state="wanted"), what="they are counted")
    assert scrape(proxy)("prewarm_connections", upstream="orders", state="wanted") == 4
    until(lambda: scrape(proxy)("prewarm_connections", upstream="orders", state="ready") == 4, what="four are ready")


def test_what_captures_write_is_counted_and_never_falls(start):
    proxy = start(admin=ADMIN)
    assert scrape(proxy)("capture_bytes_total") == 0
    console(proxy, "CAPTURE START")
    connect(proxy).close()
    proxy.event("disconnected")
    console(proxy, "CAPTURE STOP")
    stopped = proxy.event("capture_stopped")
    until(lambda: scrape(proxy)("capture_bytes_total") >= stopped["bytes"] > 0, what="the bytes of a capture that is over")
    assert scrape(proxy)("capture_dropped_total") == 0


def test_while_draining_metrics_go_on(start):
    proxy = start(admin=ADMIN, runtime={"drain_timeout": "60s"})
    held = connect(proxy)
    proxy.event("connected")
    where = proxy.http
    proxy.signal(signal.SIGTERM)
    proxy.event("stopping")
    assert scrape(proxy)("client_connections", listener="legacy") == 1
    assert ask(where, "/readyz")[0] == 503
    assert ask(where, "/livez")[0] == 200
    held.close()
    proxy.expect_exit(0)


# --- form


def test_the_process_tells_what_every_process_tells(start):
    proxy = start(admin=ADMIN)
    now = scrape(proxy)
    assert now("process_resident_memory_bytes") == pytest.approx(proxy.rss_kib() * 1024, rel=0.2)
    assert now("process_open_fds") == pytest.approx(len(proxy.fds()), abs=5)
    assert now("process_cpu_seconds_total") > 0
    assert now("process_start_time_seconds") > 1.7e9


def test_promtool_finds_nothing_wrong(start, pki):
    proxy = start(admin=ADMIN)
    connect(proxy, "require").close()
    with pytest.raises(psycopg2.OperationalError):
        connect(proxy, "verify-full", sslrootcert=str(pki.people.cert))
    proxy.event("tls_failed")
    result = promtool("check", "metrics", input=ask(proxy.http, "/metrics")[2])
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_alert_rules_and_the_scrape_configuration_are_what_promtool_takes():
    folder = REPOSITORY / "deploy/prometheus"
    for arguments in (("check", "config", folder / "prometheus.yml"), ("test", "rules", folder / "pgairlock.rules.test.yml")):
        result = promtool(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr


def test_prometheus_scrapes_it_with_the_rules_loaded_and_keeps_exemplars(start, directory):
    """The real one, which asks for OpenMetrics; its numbers are those of what happened."""
    proxy = start(admin=ADMIN)
    with Prometheus(directory, proxy) as prometheus:
        for _ in range(3):
            connect(proxy).close()
        connect(proxy, "require").close()
        until(lambda: prometheus.value("sum(pgairlock_client_connections_total)") == 4, what="the logins have been scraped")
        assert prometheus.value('sum(pgairlock_client_connections_total{ssl="false"})') == 3
        assert prometheus.value("sum(pgairlock_login_seconds_count)") == 4
        until(lambda: "PgairlockClientsInClear" in prometheus.firing(), what="the alert about them")
        groups = prometheus.api("rules")["groups"]
        assert [group["name"] for group in groups] == ["pgairlock"]
        assert {rule["health"] for rule in groups[0]["rules"]} <= {"ok", "unknown"}
        sessions = {event["session"] for event in proxy.events("connected", 4)}
        found = until(lambda: prometheus.api("query_exemplars", query="pgairlock_login_seconds_bucket", start=time.time() - 600, end=time.time() + 60),
                      what="exemplars")
        assert {exemplar["labels"]["session"] for series in found for exemplar in series["exemplars"]} <= sessions
        assert not prometheus.api("targets")["activeTargets"][0]["lastError"]


def test_a_minute_of_real_traffic_raises_the_alerts_that_it_should_and_no_other(start, directory, pki):
    """Scraped every second; each alert has its cause, and the causes come one after the other."""
    proxy = start(admin=ADMIN)
    with Prometheus(directory, proxy) as prometheus:
        def raised(*names):
            until(lambda: set(names) <= prometheus.firing(), what=f"{names} among {prometheus.firing()}")
            assert prometheus.firing() == set(names)

        one = connect(proxy, "require")
        proxy.event("upstream_certificate")
        one.close()  # not before it was seen whose connection it is
        raised("PgairlockUpstreamCertificateChanged")  # it had not been seen before
        connect(proxy).close()
        raised("PgairlockUpstreamCertificateChanged", "PgairlockClientsInClear", "PgairlockClientChanged")  # the same client came with TLS before
        with pytest.raises(psycopg2.OperationalError):
            connect(proxy, "verify-full", sslrootcert=str(pki.people.cert))
        good = proxy.config_file.read_text()
        proxy.write_config("nonsense = 1\n")
        proxy.signal(signal.SIGHUP)
        proxy.events("reload_failed")
        expected = {"PgairlockUpstreamCertificateChanged", "PgairlockClientsInClear", "PgairlockClientChanged", "PgairlockCertificateRefused"}
        raised(*expected, "PgairlockReloadFailed")
        proxy.write_config(good)
        proxy.signal(signal.SIGHUP)
        proxy.events("reloaded")
        until(lambda: prometheus.firing() == expected, what="the reload's alert has ended")
        until(lambda: prometheus.value('count_over_time(up{job="pgairlock"}[5m])') >= 60, what="sixty scrapes")
        assert prometheus.value('min_over_time(up{job="pgairlock"}[5m])') == 1
        assert prometheus.value('max_over_time(scrape_duration_seconds{job="pgairlock"}[5m])') < 10
        assert prometheus.firing() == expected
        assert all(rule["health"] == "ok" for rule in prometheus.api("rules")["groups"][0]["rules"])


def test_each_alert_rule_has_cases_in_which_it_comes_and_in_which_it_does_not():
    rules = re.findall(r"alert: (\w+)", RULES.read_text())
    cases = RULES.with_name("pgairlock.rules.test.yml").read_text()
    assert len(rules) == len(set(rules)) > 15
    well = cases.partition("- name: one that is well alerts nobody")[2].partition("\n  - name:")[0]
    for rule in rules:
        assert rule in cases, f"{rule} never comes"
    for expression in re.findall(r"pgairlock_[a-z_]+|process_[a-z]+_fds|up(?=\{)", RULES.read_text()):
        assert expression in well, f"nobody says that {expression} may be well"


def test_alert_rules_speak_of_metrics_that_there_are():
    rules = (REPOSITORY / "deploy/prometheus/pgairlock.rules.yml").read_text()
    spoken_of = set(re.findall(r"\b(?:pgairlock|process)_[a-z_]+\b", rules))
    assert spoken_of and spoken_of <= set(documented()), spoken_of - set(documented())


def test_every_metric_is_documented_with_its_kind_and_no_other(start):
    text = ask(start(admin=ADMIN).http, "/metrics")[2]
    assert dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)) == documented()
    assert set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE)) == set(documented())


def test_openmetrics_when_asked_for_with_the_session_behind_a_login(start):
    proxy = start(admin=ADMIN)
    connect(proxy).close()
    session = proxy.event("connected")["session"]
    accept = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5"
    _, headers, body = ask(proxy.http, "/metrics", Accept=accept)
    assert headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith("\n# EOF\n")
    bucket = re.search(r'^pgairlock_login_seconds_bucket\{listener="legacy",le="[^"]+"\} 1 # \{session="([^"]+)"\} \S+ \S+$', body, re.MULTILINE)
    assert bucket and bucket[1] == session, body
    assert "# TYPE pgairlock_reloads counter\n" in body and 'pgairlock_reloads_total{result="success"} 0\n' in body
    families = re.findall(r"^# TYPE (\S+) ", body, re.MULTILINE)
    assert len(families) == len(set(families))
    _, headers, body = ask(proxy.http, "/metrics", Accept="text/plain")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "# EOF" not in body and "{session=" not in body and session not in body


def test_no_name_from_the_wire_becomes_a_label(start):
    proxy = start(admin=ADMIN)
    connect(proxy, application_name="from-the-wire").close()
    with pytest.raises(psycopg2.OperationalError):
        connect(proxy, user="nobody-of-that-name", password="x")
    proxy.event("auth_failed")
    for accept in ("text/plain", "application/openmetrics-text"):
        body = ask(proxy.http, "/metrics", Accept=accept)[2]
        assert not any(name in body for name in ("from-the-wire", "nobody-of-that-name", "trust_user", "postgres\""))
