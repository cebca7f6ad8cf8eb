"""What a client is told makes it do the right thing: with PostgreSQL's own clients, which act on SQLSTATEs."""

import signal
import socket

import pytest

from conftest import client_environment
from harness import messages, programs
from harness.fake_upstream import accepting, server_context
from harness.waiting import PATIENCE


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
