"""Each edge of the proxy is broken while 50 sessions work and 20 logins a second arrive (scripts/soak does so for hours)."""

import signal
import time
from contextlib import ExitStack

import pytest

from harness import edges, programs
from harness.clock import LASTING
from harness.cluster import Cluster
from harness.config import configuration
from harness.forwarder import Forwarder
from harness.load import Load
from harness.pki import HERE

EDGES = {
    "stopped reader of the log": lambda directory: edges.StoppedReaderOfTheLog(directory),
    "no descriptors": lambda _: edges.NoDescriptors(),
    "no memory": lambda _: edges.NoMemory(),
    "no memory for sessions": lambda _: edges.NoMemoryForSessions(),
    "full disk": lambda _: edges.FullDisk(),
    "locked inventory": lambda _: edges.LockedInventory(),
    "shortened inventory": lambda _: edges.ShortenedInventory(),
    "dead host": lambda _: edges.DeadHost(),
    "silent host": lambda _: edges.SilentHost(),
    **{f"returning host ({how})": lambda _, how=how: edges.ReturningHost(how) for how in Forwarder.WAYS_TO_DIE},
    "clock jumps": lambda directory: edges.ClockJumps(directory),
    "probes": lambda _: edges.Probes(),
    "cancels": lambda _: edges.Cancels(),
    "strangers": lambda _: edges.Strangers(),
    "reloads": lambda _: edges.Reloads(),
    "slow readers": lambda _: edges.SlowReaders(),
}


@pytest.fixture(scope="module")
def authority(pki):
    return pki.authority("Test Lasting CA", days=LASTING)


@pytest.fixture(scope="module")
def cluster(root, template, pki, authority):
    """Its certificate is valid whatever the clock says."""
    made = Cluster(root / "lasting", template, pki.leaf(authority, "server.lasting", HERE, days=LASTING), pki.people.cert).start()
    yield made
    made.stop()


@pytest.fixture
def run_with(run_proxy, pki, cluster, authority):
    """A proxy with these edges, not broken yet, and its load."""
    with ExitStack() as stack:
        def run(*made):
            config = configuration(pki, [cluster.host], upstream={"sslrootcert": [str(authority.cert)]})
            config["log"] = {"level": "info"}
            for edge in made:
                edge.configure(config)
                stack.callback(edge.close)
            wrapper = next((edge.wrapper for edge in made if edge.wrapper), ())
            environment = {name: value for edge in made for name, value in edge.environment.items()}
            proxy = run_proxy(config, wrapper=wrapper, environment=environment)
            load = Load(proxy.address, sessions=20 if programs.sanitized() else 50, sslmodes=made[0].sslmodes)
            stack.callback(load.stop)
            return proxy, load
        yield run


def assert_unharmed(load) -> None:
    assert not load.disturbed, load.disturbed[:3]
    assert not load.failed, load.failed[:3]


def seconds_to_end(proxy, load) -> float:
    load.stop()
    begun = time.monotonic()
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    return time.monotonic() - begun


@pytest.mark.parametrize("name", EDGES)
def test_what_an_edge_costs(run_with, directory, record_property, name):
    if name.startswith("no memory") and programs.sanitized():
        pytest.skip("sanitizers take all the address space that there is")
    if name == "clock jumps" and programs.sanitized():
        pytest.skip("a sanitizer's library has to be loaded before the clock's")
    edge = EDGES[name](directory)
    proxy, load = run_with(edge)
    load.goes_on()
    begun = time.monotonic()
    with ExitStack() as stack:
        if edge.excuses_logins:
            stack.enter_context(load.excused_logins())
        stack.enter_context(edge.broken(proxy, load))
        noticed = time.monotonic() - begun
    load.goes_on()
    assert_unharmed(load)
    ended = seconds_to_end(proxy, load)
    record_property("figures", f"{name}: {load.figures()}; worked on for {noticed:.1f} s, ended within {ended:.1f} s of SIGTERM")


def test_it_ends_with_everything_broken_at_once(run_with, directory, record_property):
    broken = [edges.StoppedReaderOfTheLog(directory), edges.DeadHost(), edges.Strangers(), edges.SlowReaders()]
    proxy, load = run_with(*broken)
    with ExitStack() as stack:
        for edge in broken[1:]:
            stack.enter_context(edge.broken(proxy, load))
        assert_unharmed(load)
        ended = seconds_to_end(proxy, load)
    record_property("figures", f"everything: {load.figures()}; ended within {ended:.1f} s of SIGTERM")
