"""Which server is the primary, by what logins are told of it: in the audit and as a metric, through a promotion."""

import re

import pytest
from psycopg2 import OperationalError

from harness.cluster import WRONG_PASSWORD, Cluster
from harness.config import configuration
from harness.fake_upstream import accepting
from harness.http import scrape
from harness.waiting import until
from test_console_sql import rows
from test_dashboard import get
from test_health import ask

ADMIN = {"http": "127.0.0.1:0"}


def roles(proxy, address) -> dict[str, float]:
    return {labels["role"]: value for labels, value in scrape(proxy).of("upstream_host_role", upstream="orders", address=address)}


def only(role) -> dict[str, float]:
    return {name: float(name == role) for name in ("primary", "standby", "unknown")}


@pytest.fixture
def pair(directory, template, pki):
    """A primary and its standby."""
    primary = Cluster(directory / "primary", template, pki.server, pki.people.cert).start()
    standby = None
    try:
        standby = primary.standby(directory / "standby")
        yield primary, standby
    finally:
        for cluster in (standby, primary):
            if cluster:
                cluster.stop()


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_a_promotion_is_seen_at_the_next_login(start, connect, pair, sslmode):
    primary, standby = pair
    to_primary, to_standby = start([primary.host], admin=ADMIN), start([standby.host], admin=ADMIN)
    assert roles(to_standby, standby.host) == {}  # nobody has asked it
    connect(to_primary, sslmode=sslmode).close()
    stays = connect(to_standby, sslmode=sslmode)
    # A client is in a moment before that is counted.
    until(lambda: roles(to_primary, primary.host) == only("primary"), what="a primary")
    until(lambda: roles(to_standby, standby.host) == only("standby"), what="a standby")
    assert to_primary.event("connected")["upstream_role"] == "primary"
    assert to_standby.event("connected")["upstream_role"] == "standby"

    standby.promote()
    # The session that was there is told, and is not what we look at.
    with stays.cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        assert cursor.fetchone() == (False,)
    assert roles(to_standby, standby.host) == only("standby")
    connect(to_standby, sslmode=sslmode).close()
    until(lambda: roles(to_standby, standby.host) == only("primary"), what="the promotion")
    assert [event["upstream_role"] for event in to_standby.events("connected", 2)] == ["standby", "primary"]


def test_a_refused_login_tells_nothing_and_changes_nothing(start, connect, pair):
    _, standby = pair
    proxy = start([standby.host], admin=ADMIN)
    with pytest.raises(OperationalError):
        connect(proxy, "scram_user", password=WRONG_PASSWORD)
    until(lambda: roles(proxy, standby.host) == only("unknown"), what="the address, without a role")
    connect(proxy, "scram_user").close()
    until(lambda: roles(proxy, standby.host) == only("standby"), what="a standby")
    with pytest.raises(OperationalError):
        connect(proxy, "scram_user", password=WRONG_PASSWORD)
    proxy.events("auth_failed", 2)
    assert roles(proxy, standby.host) == only("standby")


def test_a_server_that_reports_none_has_none(start, client, fake, server_tls):
    """As PostgreSQL before 14."""
    server = fake(accepting(server_tls))
    proxy = start([server.host], admin=ADMIN)
    client(proxy).login()
    assert proxy.event("connected")["upstream_role"] is None
    assert roles(proxy, server.host) == only("unknown")


def test_a_connection_that_was_ready_and_a_replication_login_are_told_as_well(start, connect, client, pair):
    """Connections of `prewarm` log in with the client; a walsender reports itself too."""
    _, standby = pair
    proxy = start([standby.host], admin=ADMIN, runtime={"threads": 1}, upstream={"prewarm": 1})
    until(lambda: [value for _, value in scrape(proxy).of("prewarm_connections", state="ready")] == [1], what="one is ready")
    connect(proxy).close()
    first = proxy.event("connected")
    assert (first["upstream_prewarmed"], first["upstream_role"]) == (True, "standby")
    client(proxy).login("repl_user", replication="true")
    assert proxy.events("connected", 2)[1]["upstream_role"] == "standby"


def test_what_one_upstream_finds_out_of_an_address_makes_its_role_doubtful_for_all(run_proxy, pki, connect, pair):
    """The same server is in two upstreams; it stops, and only the one that has clients hears of it."""
    primary, standby = pair
    config = configuration(pki, [primary.host], admin=ADMIN)
    config["upstream"]["ro"] = dict(config["upstream"]["orders"], hosts=[primary.host, standby.host])
    config["listener"].append(dict(config["listener"][0], name="readers", upstream="ro"))
    proxy = run_proxy(config, listeners=2)

    def shown() -> dict[tuple, tuple]:
        return {(host["upstream"], host["address"]): (host["up"], host["role"], host["role_doubtful"])
                for host in get(proxy.http, "/api/hosts.json")["hosts"]}

    def listed() -> list[list]:
        return rows(proxy.console, "SELECT upstream, role, role_doubtful FROM hosts WHERE role = 'primary' ORDER BY upstream, role_doubtful DESC")
    for address in proxy.addresses:
        connect(address).close()
    until(lambda: shown() == {("orders", primary.host): (True, "primary", False), ("ro", primary.host): (True, "primary", False),
                              ("ro", standby.host): (None, None, None)}, what="both know it")
    primary.stop()
    standby.promote()
    connect(proxy.addresses[1]).close()
    until(lambda: shown() == {("orders", primary.host): (False, "primary", True), ("ro", primary.host): (False, "primary", True),
                              ("ro", standby.host): (True, "primary", False)}, what="both doubt it")
    assert listed() == [["orders", "primary", "t"], ["ro", "primary", "t"], ["ro", "primary", "f"]]
    assert roles(proxy, primary.host) == only("unknown")
    assert scrape(proxy)("upstream_host_up", upstream="orders", address=primary.host) == 0


def test_upstreamz_counts_no_server_of_another_kind(start, connect, pair):
    """Clients want a standby. It stops: all of them are refused, and that the primary answers is of no use to them."""
    primary, standby = pair
    proxy = start([primary.host, standby.host], admin=ADMIN, upstream={"target_session_attrs": "standby"})
    status, _, body = ask(proxy.http, "/upstreamz")
    assert (status, "whether it is a standby is not known" in body) == (200, True)
    connect(proxy).close()
    until(lambda: ask(proxy.http, "/upstreamz")[2].endswith("orders: verified 0 s ago\n"), what="a login has told")
    standby.stop()
    with pytest.raises(OperationalError, match="could not connect to upstream"):
        connect(proxy)
    until(lambda: ask(proxy.http, "/upstreamz")[0] == 503, what="it is told")
    assert re.search("orders: not verified: no host is a standby: .*server is not in hot standby mode", ask(proxy.http, "/upstreamz")[2])
    standby.start_again()
    until(lambda: connects(connect, proxy), what="a client is let in")
    until(lambda: ask(proxy.http, "/upstreamz")[0] == 200, what="it serves")


def connects(connect, proxy) -> bool:
    try:
        connect(proxy).close()
    except OperationalError:
        return False
    return True
