"""What a client is told makes it do the right thing: with PostgreSQL's own clients, which act on SQLSTATEs."""

import json
import signal
import socket

import pytest

from conftest import client_environment
from harness import messages, programs
from harness.fake_upstream import accepting, server_context
from harness.waiting import PATIENCE, until


def psql(proxies, sslmode="disable", *, user="trust_user"):
    """psql -h a,b -p 1,2: which server it has reached, or its error."""
    environment = client_environment(proxies[0], user, sslmode) | {
        "PGHOST": ",".join("127.0.0.1" for _ in proxies), "PGPORT": ",".join(str(proxy.address[1]) for proxy in proxies)}
    return programs.run([programs.postgres_bin() / "psql", "-X", "-A", "-t", "-c", "SELECT 'in'"], env=environment, check=False)


def pg_isready(proxy):
    return programs.run([programs.postgres_bin() / "pg_isready", "-t", str(PATIENCE)], env=client_environment(proxy, "trust_user", "prefer"),
                        check=False)


@pytest.fixture
def nobody():
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{probe.getsockname()[1]}"


def silent_end(peer):
    peer.packet()


def end_in_login(context):
    def script(peer):
        peer.open(context)
    return script


@pytest.mark.parametrize("why", ["refused", "unresolved", "ends", "ends in login", "another CA", "no TLS"])
@pytest.mark.parametrize("sslmode", ["disable", "prefer"])
def test_without_a_server_libpq_goes_to_its_next_host_and_never_back_in_clear(start, fake, server_tls, nobody, pki, cluster, clear_cluster,
                                                                              why, sslmode):
    hosts = {"refused": lambda: nobody, "unresolved": lambda: "nowhere.invalid:5432", "ends": lambda: fake(silent_end).host,
             "ends in login": lambda: fake(end_in_login(server_tls)).host, "another CA": lambda: cluster.host,
             "no TLS": lambda: clear_cluster.host}
    roots = {"sslrootcert": [str(pki.old.cert)]} if why == "another CA" else {}
    broken, other = start([hosts[why]()], upstream=roots), start()
    result = psql([broken, other], sslmode)
    assert result.stdout == "in\n", result.stderr
    failed = broken.event("upstream_failed")
    assert (failed["sqlstate"], failed["ssl"]) == ("57P03", sslmode == "prefer")
    assert psql([broken], sslmode).returncode == 2
    ready = pg_isready(broken)
    assert "rejecting connections" in ready.stdout, ready
    assert [event["ssl"] for event in broken.events("upstream_failed", 3)] == [sslmode == "prefer"] * 2 + [True]
    assert "accepting connections" in pg_isready(other).stdout


def test_a_proxy_that_drains_sends_libpq_to_the_next_host(start, client):
    """It had connected before the drain began, and asks only now."""
    draining, other = start(runtime={"drain_timeout": "20s"}), start()
    held, waiting = client(draining), client(draining)
    held.login()
    waiting.sock.sendall(messages.startup()[:5])
    draining.signal(signal.SIGTERM)
    draining.event("stopping")
    waiting.sock.sendall(messages.startup()[5:])
    error = waiting.fatal()
    assert (error.sqlstate, error.message) == ("57P03", "pgairlock is shutting down")
    assert psql([draining, other]).stdout == "in\n"  # where it no longer listens, that is no news


def test_an_answer_about_a_certificate_with_very_many_names_is_read_by_libpq(start, fake, pki):
    """libpq takes an ErrorResponse above 30,000 bytes for one of protocol 2, and shows nothing of it."""
    names = [f"DNS:host-{number}.of-a-rather-long-domain.example" for number in range(900)]
    proxy = start([fake(accepting(server_context(pki.leaf(pki.new, "many", names)))).host])
    result = psql([proxy])
    assert "and 880 others" in result.stderr, result.stderr
    assert len(str(proxy.event("upstream_failed"))) < 10_000
    assert all(len(line) < 10_000 for line in proxy.log().splitlines())


def denied_in_tls(proxy, client):
    """A login over TLS that the limit refuses, and the same in clear right after it, as libpq's prefer does: what the audit has of both."""
    for how in "sslrequest", "plain":
        raw = client(proxy)
        with pytest.raises(messages.ErrorResponse) as told:
            raw.negotiate(how).login("trust_user")
        assert told.value.sqlstate == "53300"
        raw.close()
    return proxy.events("rejected", 2)


@pytest.mark.parametrize("limit", [{"upstream": {"max_user_connections": 1}}, {"upstream": {"max_db_connections": 1}},
                                   {"listener": {"max_connections": 1}},
                                   {"runtime": {"max_connections": 2, "reserved_connections": 1, "reserved_users": ["repl_user"]}}],
                         ids=lambda limit: "+".join(*limit.values()))
@pytest.mark.parametrize("process_owner", [True, False])
def test_who_comes_back_in_clear_from_a_limit_is_known_for_a_fallback(start, client, limit, process_owner):
    proxy = start(audit={"process_owner": process_owner}, **limit)
    held = client(proxy)
    held.login("trust_user")
    in_tls, in_clear = denied_in_tls(proxy, client)
    assert (in_tls["ssl"], in_tls["evidence"]) == (True, ["tls_startup"])
    assert (in_clear["ssl"], in_clear["evidence"]) == (False, ["clear_startup_after_tls_login"])


def test_libpq_that_is_denied_in_clear_and_comes_back_with_tls_is_known_for_allow(start, pg):
    proxy = start()
    denied = pg("psql", proxy, "-XAtc", "SELECT 1", "dbname=postgres password=wrong", sslmode="allow", user="scram_user", check=False)
    assert "password authentication failed" in denied.stderr
    assert [event["evidence"] for event in proxy.events("auth_failed", 2)] == [["clear_startup"], ["tls_startup", "tls_after_clear_refused"]]


def test_libpq_that_a_limit_refuses_falls_back_and_the_report_says_so(start, client, pg):
    proxy = start(upstream={"max_user_connections": 1})
    held = client(proxy)
    held.login("trust_user", application_name="the one inside")
    refused = pg("psql", proxy, "-XAtc", "SELECT 1", sslmode="prefer", user="trust_user", check=False)
    assert refused.stderr.count("too many connections for role") == 2, refused.stderr  # over TLS, and in clear
    assert [event["evidence"] for event in proxy.events("rejected", 2)] == [["tls_startup"], ["clear_startup_after_tls_login"]]

    def reported():
        made = programs.run([programs.PGAIRLOCK, "report", "--format", "json", "--state-dir", proxy.state_dir])
        return next((one for one in json.loads(made.stdout)["clients"] if one["application_name"] == "psql" and one["falls_back"]), None)
    row = until(reported, what="the refused client in the report")
    assert (row["action"], row["also"], row["sslmode_max"]) == ("repair fallback", "let in", "prefer")
    assert row["failure"]["what"] == "refused by the proxy" and "too many connections for role" in row["failure"]["error"]
