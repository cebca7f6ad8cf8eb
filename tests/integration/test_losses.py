"""What is lost, or only kept in memory, is told on every surface: log, audit, metrics, console, dashboard, alerts, inventory."""

import os
import resource
import sqlite3

from harness.http import scrape
from harness.waiting import until
from harness.webhook import Webhook
from test_console_sql import rows
from test_dashboard import ADMIN, get, wait_for

AT_ONCE = {"group_wait": "0s", "group_interval": "0s"}
UNLIMITED = resource.RLIM_INFINITY


def receiver_of(pki):
    return Webhook(pki.leaf(pki.people, "hooks.example", ("DNS:localhost", "IP:127.0.0.1")))


def alert(pki, receiver, on):
    return {"name": "page", "on": on, "webhook": receiver.url("localhost"), "sslrootcert": [str(pki.people.cert)], **AT_ONCE}


def stats(proxy):
    return {name: int(value) for name, value in rows(proxy.console, "SELECT name, value FROM stats")}


def test_events_that_a_full_disk_cost_are_told_everywhere_while_it_is_full(start, connect, pki):
    receiver = receiver_of(pki)
    proxy = start(admin=ADMIN, alert=[alert(pki, receiver, "events_dropped")])
    connect(proxy).close()
    proxy.event("disconnected")
    resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, (1, UNLIMITED))
    connect(proxy).close()
    dropped = until(lambda: (now := scrape(proxy)("audit_events_dropped_total")) >= 2 and now, what="the loss is counted")
    message, *_ = receiver.messages()
    assert message["kind"] == "events_dropped" and "events are not in the audit" in message["text"]
    assert scrape(proxy)("audit_events_total", event="events_dropped") >= 1
    assert stats(proxy)["events_lost"] == dropped and stats(proxy)["events_events_dropped"] >= 1
    assert any(one["what"] == "events_dropped" for one in get(proxy.http, "/api/overview.json")["warnings"])
    resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
    connect(proxy).close()
    told = proxy.event("events_dropped")
    assert told["count"] == scrape(proxy)("audit_events_dropped_total") == stats(proxy)["events_lost"]
    wait_for(proxy.http, "/api/overview.json", lambda one: one["proxies"] and one["proxies"][0]["events_dropped"] == told["count"])
    receiver.close()


def test_an_inventory_that_cannot_be_shared_is_told_everywhere_until_it_can(start, connect, fleet_database):
    fleet_database.sql("ALTER SCHEMA pgairlock OWNER TO postgres")
    fleet_database.cluster.shut_down()
    proxy = start(admin=ADMIN, audit={"inventory": fleet_database.url})
    connect(proxy).close()
    assert "has not been shared in postgresql://" in proxy.event("inventory_failed")["message"]
    # The event is written down a moment before this.
    overview = wait_for(proxy.http, "/api/overview.json",
                        lambda one: any("whoever looks there does not see" in sentence for sentence in one["unknown"]))
    assert any(one["what"] == "inventory_unshared" and one["since"] for one in overview["warnings"])
    fleet_database.start_again()
    proxy.wait_for_log("cannot be shared in .*: .*permission denied for schema pgairlock")
    fleet_database.sql("ALTER SCHEMA pgairlock OWNER TO pgairlock")
    proxy.wait_for_log("inventory: shared in")
    connect(proxy).close()
    until(lambda: not any(one["what"] == "inventory_unshared" for one in get(proxy.http, "/api/overview.json")["warnings"]), what="it is over")


def test_an_inventory_that_cannot_be_written_is_told_everywhere_until_it_can(start, connect, pki):
    receiver = receiver_of(pki)
    proxy = start(admin=ADMIN, alert=[alert(pki, receiver, "inventory_failed")])
    connect(proxy).close()
    until(lambda: scrape(proxy).of("clients"), timeout=150, what="clients are counted")
    assert stats(proxy)["inventory_unwritten"] == 0
    other = sqlite3.connect(proxy.state_dir / "inventory.db", isolation_level=None, timeout=60)
    other.execute("BEGIN IMMEDIATE")
    connect(proxy).close()
    assert "cannot be written: database is locked" in proxy.event("inventory_failed")["message"]
    message, *_ = receiver.messages()
    assert message["kind"] == "inventory_failed"
    overview = wait_for(proxy.http, "/api/overview.json",
                        lambda one: any("has not been written since 20" in sentence for sentence in one["unknown"]))
    warning, = (one for one in overview["warnings"] if one["what"] == "inventory_unwritten")
    assert warning["severity"] == "critical" and warning["since"]
    now = scrape(proxy)
    assert now.of("clients") == [] and now.of("clients_not_ready") == []
    assert stats(proxy)["inventory_unwritten"] > 0
    other.execute("ROLLBACK")
    other.close()
    proxy.wait_for_log("inventory: .* can be written again")
    until(lambda: scrape(proxy).of("clients"), what="clients are known again")
    wait_for(proxy.http, "/api/overview.json", lambda one: not any(warning["what"] == "inventory_unwritten" for warning in one["warnings"]))
    assert stats(proxy)["inventory_unwritten"] == 0
    assert len(proxy.events("inventory_failed")) == 1
    receiver.close()


def test_an_inventory_that_is_written_over_while_it_is_in_use_is_told(start, connect):
    proxy = start(admin=ADMIN)
    connect(proxy).close()
    proxy.event("disconnected")
    path = proxy.state_dir / "inventory.db"
    until(lambda: sqlite3.connect(path).execute("SELECT count(*) FROM clients").fetchone() == (1,), what="it is written")
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.write(os.urandom(size))
    connect(proxy).close()
    assert "was damaged while it was in use" in proxy.event("inventory_failed")["message"]
    proxy.wait_for_log("was damaged while it was in use, and is opened anew")
    connect(proxy).close()
    proxy.stop()
    assert sqlite3.connect(path).execute("SELECT sum(unclean_ends) > 0 FROM proxies").fetchone() == (1,)
