"""Certificates that end, or do not begin yet: every kind of certificate in use is told of, at its moments and once."""

import json
import signal
from datetime import datetime

import pytest

from harness import programs
from harness.clock import DAY, Clock
from harness.config import configuration
from harness.fake_upstream import accepting, server_context
from harness.http import ask, scrape
from harness.pki import HERE
from harness.waiting import until

ADMIN = {"http": "127.0.0.1:0"}
# (days left, what is told): every moment, and the time before the first.
AGES = [(40, None), (20, "begins"), (5, "week"), (0.3, "day"), (-2, "ended")]


def told(proxy, **fields) -> list[dict]:
    return [event for event in proxy.all_events()
            if event["event"] == "certificate_expiring" and all(event[key] == value for key, value in fields.items())]


def report(proxy) -> dict:
    done = programs.pgairlock("report", "--state-dir", proxy.state_dir, "--format", "json")
    return json.loads(done.stdout) if done.returncode == 0 else {"upstream_certificates": []}


def moments(proxy, **fields) -> list[str]:
    return [event["moment"] for event in told(proxy, **fields)]


@pytest.fixture
def last(pki):
    """An alert's anchor, which is looked at behind all others of the configuration: once it is told, nothing else is to come."""
    made = []

    def make():
        anchor = pki.authority(f"Marker {len(made)}", days=(-30, 3.5))
        made.append(anchor)
        return [{"name": "page", "on": "console_command", "webhook": "https://127.0.0.1:1/", "sslrootcert": [str(anchor.cert)]}]
    return make


def looked_through(proxy) -> None:
    """The configuration's certificates."""
    proxy.events("certificate_expiring", alert="page")


@pytest.fixture
def aging(pki, last):
    """A configuration whose certificates of every kind end in so many days."""
    def make(hosts, days) -> dict:
        span = (-30, days)
        middle = pki.authority(f"Middle {days}", days=span, issuer=pki.front)
        own = pki.leaf(middle, f"own.{days}", HERE, days=span)
        chain = pki.bundle(f"chain-{days}.pem", own, middle)
        inner = pki.authority(f"Inner {days}", days=span, issuer=pki.people)
        mine = pki.leaf(inner, f"mine.{days}", days=span)
        candidate = pki.leaf(pki.front, f"next.{days}", HERE, days=span)
        return configuration(
            pki, hosts,
            tls={"cert_file": str(chain), "key_file": str(own.key), "client_cert": "request",
                 "ca_file": str(pki.authority(f"Clients {days}", days=span).cert)},
            upstream={"sslrootcert": [str(pki.new.cert), str(pki.authority(f"Anchor {days}", days=span).cert)],
                      "sslrootcert_candidate": [str(pki.authority(f"Candidate {days}", days=span).cert)],
                      "sslcert": str(pki.bundle(f"mine-{days}.pem", mine, inner)), "sslkey": str(mine.key)},
            audit={"probe": {"enabled": True, "kinds": ["candidate"], "window": ["2001-01-01T00:00Z/2001-01-02T00:00Z"],
                             "candidate_cert_file": str(candidate.cert), "candidate_key_file": str(candidate.key)}},
            alert=last())
    return make


@pytest.mark.parametrize("days, moment", AGES)
def test_every_kind_of_certificate_in_use_is_told_of_once(run_proxy, aging, cluster, days, moment):
    proxy = run_proxy(aging([cluster.host], days))
    looked_through(proxy)
    proxy.signal(signal.SIGHUP)  # nothing is told twice
    proxy.event("reloaded")
    found = {(event["certificate_kind"], event["subject"].removesuffix(f".{days}").removesuffix(f" {days}")) for event in told(proxy, alert=None)}
    assert found == (set() if moment is None else {
        ("listener", "CN=own"), ("intermediate", "CN=Middle"), ("client_ca", "CN=Clients"), ("candidate_certificate", "CN=next"),
        ("anchor", "CN=Anchor"), ("candidate", "CN=Candidate"), ("client_certificate", "CN=mine"), ("intermediate", "CN=Inner")})
    assert set(moments(proxy, alert=None)) == ({moment} if moment else set()) and len(told(proxy, alert=None)) == len(found)
    for event in told(proxy, alert=None):
        assert event["days_left"] in (int(days), int(days) - 1) and event["file"].endswith((".pem", ".crt"))
        of_listener = event["certificate_kind"] in ("listener", "client_ca", "candidate_certificate") or event["subject"].startswith("CN=Middle")
        assert (event["listener"], event["upstream"]) == (("legacy", None) if of_listener else (None, "orders"))
        assert f"{event['subject']} ({event['file']}): {event['message']}" in proxy.log()


@pytest.mark.parametrize("days, moment", AGES)
def test_what_servers_show_is_told_of_once_with_what_stands_behind_it(run_proxy, pki, last, fake, connect, directory, days, moment):
    middle = pki.authority(f"Behind {days}", days=(-30, days), issuer=pki.new)
    leaf = pki.leaf(middle, f"server.{days}", HERE, days=(-30, days))
    good = pki.leaf(pki.new, f"server.ends.{days}", HERE, days=(-1, 3))
    chain = pki.bundle(f"server-{days}.pem", leaf, middle)
    context = server_context(leaf)
    context.load_cert_chain(chain, leaf.key)
    hosts = [fake(accepting(context)).host, fake(accepting(server_context(good))).host]
    config = configuration(pki, hosts[:1], upstream={"sslmode": "require", "sslrootcert": None}, alert=last())
    config["upstream"]["other"] = {**config["upstream"]["orders"], "hosts": hosts[1:]}
    config["listener"].append({**config["listener"][0], "name": "second", "upstream": "other"})
    proxy = run_proxy(config, listeners=2)
    for _ in range(3):
        connect(proxy.addresses[0])
    connect(proxy.addresses[1])
    # Servers are looked at in the order of their upstreams' names.
    proxy.events("certificate_expiring", upstream="other")
    expected = [("server", f"CN=server.{days}", moment), ("server_intermediate", f"CN=Behind {days}", moment)] if moment else []
    assert [(event["certificate_kind"], event["subject"], event["moment"]) for event in told(proxy, upstream="orders")] == expected
    assert all(event["upstream_addr"] == hosts[0] and event["file"] is None for event in told(proxy, upstream="orders"))
    until(lambda: len(report(proxy)["upstream_certificates"]) == 2, what="the inventory has both")
    subjects = {one["subject"] for one in report(proxy)["certificates_expiring"]}
    assert subjects == {f"CN=server.ends.{days}"} | ({f"CN=server.{days}"} if moment else set())
    failed = programs.pgairlock("report", "--state-dir", proxy.state_dir, "--fail-on", "expiring")
    assert failed.returncode == 1 and "--fail-on expiring: " in failed.stderr and ", in 2 days" in failed.stdout


def test_a_report_passes_while_every_server_lasts(start, connect):
    proxy = start()
    connect(proxy)
    until(lambda: programs.pgairlock("report", "--state-dir", proxy.state_dir, "--fail-on", "expiring").returncode == 0,
          what="the inventory has the certificate, and it lasts")


def test_one_that_does_not_begin_yet_is_told_with_the_clock(start, pki, last):
    later = pki.leaf(pki.front, "proxy.later", HERE, days=(2, 300))
    proxy = start(tls={"cert_file": str(later.cert), "key_file": str(later.key)}, alert=last())
    event = proxy.event("certificate_expiring", listener="legacy")
    assert event["moment"] == "not_yet_valid" and event["subject"] == "CN=proxy.later"
    assert "is not valid before " + event["not_before"] in event["message"] and "this host's clock says" in event["message"]
    proxy.signal(signal.SIGHUP)
    proxy.event("reloaded")
    looked_through(proxy)
    assert moments(proxy, listener="legacy") == ["not_yet_valid"]


def test_of_a_bundle_those_that_connections_need_are_told_and_the_others_are_a_number(start, pki, connect):
    """Of anchors, candidates and client CAs alike."""
    stale = pki.authority("Test Stale CA", days=(-100, -10))
    bundle = str(pki.bundle("all.pem", stale, pki.old, pki.new, pki.people))
    mine = pki.leaf(pki.people, "trust_user", days=(-1, 4200))
    proxy = start(tls={"client_cert": "request", "ca_file": bundle}, upstream={"sslrootcert": [bundle], "sslrootcert_candidate": [bundle]},
                  audit={"expiry_warning": "3650d"})
    for what in ("trust anchors", "trust anchors of the candidate", "CAs of clients' certificates"):
        proxy.wait_for_log(rf"info \S+ \"\w+\": of the {what} in \S+all.pem that no connection has needed so far, 1 have ended and 3 end soon")
    assert not [event for event in told(proxy) if event["certificate_kind"] not in ("listener", "server")]
    connect(proxy, sslmode="require", sslcert=str(mine.cert), sslkey=str(mine.key))
    found = {kind: proxy.event("certificate_expiring", certificate_kind=kind) for kind in ("anchor", "candidate", "client_ca", "server")}
    assert [found[kind]["subject"] for kind in ("anchor", "candidate", "client_ca")] == ["CN=Test New CA", "CN=Test New CA", "CN=Test People CA"]
    proxy.wait_for_log("of the trust anchors in \\S+ that no connection has needed so far, 1 have ended and 2 end soon")


def test_a_restart_tells_nothing_twice(run_proxy, aging, last, cluster, pki):
    config = aging([cluster.host], 5.5)
    first = run_proxy(config)
    looked_through(first)
    first.stop()
    state = first.state_dir
    count = len(told(first))
    assert count == 9
    config["alert"] = last()
    second = run_proxy({**config, "runtime": {**config["runtime"], "state_dir": str(state)}})
    second.state_dir = state
    second.events("certificate_expiring", 2, alert="page")
    assert len(told(second)) == count + 1


def test_the_clock_is_followed_wherever_it_goes(run_proxy, pki, last, cluster, directory):
    clock = Clock(directory)
    own = pki.leaf(pki.front, "proxy.aging", HERE, days=(-1, 40))
    config = configuration(pki, [cluster.host], tls={"cert_file": str(own.cert), "key_file": str(own.key)}, alert=last())
    proxy = run_proxy(config, environment=clock.environment)
    looked_through(proxy)
    assert moments(proxy, listener="legacy") == []
    clock.set(11 * DAY)  # nobody says so: within a minute it is seen
    proxy.event("certificate_expiring", listener="legacy", moment="begins")
    for ahead, moment in ((34, "week"), (39.5, "day"), (41, "ended")):
        clock.set(ahead * DAY)
        proxy.signal(signal.SIGHUP)
        proxy.event("certificate_expiring", listener="legacy", moment=moment)
    assert moments(proxy, listener="legacy") == ["begins", "week", "day", "ended"]
    clock.set(0)
    reloads = len(proxy.events("reloaded"))
    proxy.signal(signal.SIGHUP)
    proxy.events("reloaded", reloads + 1)
    kept = proxy.state_dir / "expiry-told"
    until(lambda: all(line.split()[3] != "listener" for line in kept.read_text().splitlines()), what="nothing is taken for told any more")
    clock.set(11 * DAY)
    proxy.signal(signal.SIGHUP)
    until(lambda: moments(proxy, listener="legacy") == ["begins", "week", "day", "ended", "begins"], what="it is told when its time comes")


def test_a_warning_of_zero_is_none(start, pki, last):
    ended = pki.leaf(pki.front, "proxy.ended", HERE, days=(-30, -1))
    proxy = start(tls={"cert_file": str(ended.cert), "key_file": str(ended.key)}, audit={"expiry_warning": "0s"}, admin=ADMIN)
    until(lambda: scrape(proxy).of("certificate_in_use_not_after_timestamp_seconds"), what="certificates were looked at")
    proxy.stop()
    assert not told(proxy)


def test_metrics_and_dashboard_have_every_end(run_proxy, aging, cluster, pki):
    config = aging([cluster.host], 6.5)
    proxy = run_proxy({**config, "admin": ADMIN})
    looked_through(proxy)
    ends = {(labels["kind"], labels["used_by"]): value for labels, value in scrape(proxy).of("certificate_in_use_not_after_timestamp_seconds")
            if not labels["file"].endswith(pki.new.cert.name)}
    events = {(event["certificate_kind"], "listener legacy" if event["listener"] else "upstream orders" if event["upstream"] else "alert page"):
              event["not_after"] for event in told(proxy) if event["certificate_kind"] != "listener"}
    assert ends == {which: datetime.fromisoformat(end.replace("Z", "+00:00")).timestamp() for which, end in events.items()} and len(ends) == 8
    status, _, body = ask(proxy.http, "/api/overview.json")
    texts = [one["text"] for one in json.loads(body)["warnings"] if one["what"] == "certificate_expiring"]
    assert status == 200 and any("anchor of upstream orders, CN=Anchor 6.5" in text for text in texts)
    assert any("client certificate of upstream orders" in text for text in texts) and len(texts) == 9
