"""A wall clock that somebody sets while the proxy runs: what it must not decide (test_chaos.py has it jump under load)."""

import signal
from datetime import datetime, timedelta

from harness.clock import DAY, Clock
from harness.config import configuration
from harness.waiting import until
from test_inventory import rows


def users(proxy) -> dict[str, int]:
    return {row["usename"]: row["connections"] for row in rows(proxy.state_dir, "SELECT usename, connections FROM clients")}


def test_a_clock_that_was_set_ahead_makes_nobody_old(run_proxy, pki, cluster, client, directory):
    """Not even for a reload that changes the retention, which is taken at its word."""
    clock = Clock(directory)
    config = configuration(pki, [cluster.host], upstream={"sslmode": "require", "sslrootcert": None}, audit={"inventory_retention": "400d"})
    proxy = run_proxy(config, environment=clock.environment)
    client(proxy).login("trust_user")
    until(lambda: users(proxy) == {"trust_user": 1}, what="it is stored")
    clock.set(500 * DAY)
    config["audit"]["inventory_retention"] = "399d"
    proxy.write_config(config)
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log("reloaded: SIGHUP")
    began = datetime.fromisoformat(proxy.event("started")["ts"])
    assert datetime.fromisoformat(proxy.event("reloaded")["ts"]) - began > timedelta(days=499)
    for count in (1, 2):  # the retention is obeyed with the first at the latest
        client(proxy).login("scram_user")
        until(lambda: users(proxy).get("scram_user") == count, what="it is stored")
    assert users(proxy) == {"trust_user": 1, "scram_user": 2}
