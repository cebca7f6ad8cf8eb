"""scripts/soak: for an hour, or as long as it is told, the proxy's edges are broken at random while applications work through it. At the end its
memory, descriptors and threads must be what they were after the first round."""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from harness import edges, messages, programs
from harness.clock import LASTING
from harness.cluster import Cluster, make_template
from harness.config import configuration
from harness.load import Load
from harness.pki import HERE, Pki
from harness.proxy import Proxy
from harness.waiting import until
from harness.wire import Client

def all_edges(root: Path) -> list[edges.Edge]:
    """But those that need a proxy of their own."""
    return [edges.FullDisk(), edges.LockedInventory(), edges.NoDescriptors(), edges.NoMemory(), edges.Reloads(), edges.SlowReaders(),
            edges.Strangers(), edges.Cancels(), edges.Probes(), edges.ClockJumps(root), edges.ReturningHost()]


def seconds(text: str) -> float:
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def leaves(client: Client) -> None:
    client.close()


def resets(client: Client) -> None:
    client.abort()


def is_cut_off(client: Client) -> None:
    """Its server ends it in the middle of an answer."""
    client.send(messages.query("SELECT pg_terminate_backend(pg_backend_pid()), repeat('x', 100000)"))
    while client.sock.recv(1 << 16):
        pass


def reads_nothing(client: Client) -> None:
    client.send(messages.query("SELECT repeat('x', 1000) FROM generate_series(1, 10000)"))


def is_cancelled(client: Client) -> None:
    client.send(messages.query("SELECT pg_sleep(600)"))
    with Client(client.sock.getpeername()) as other:
        other.send(messages.cancel_request(client.who.backend_pid, client.who.key))
        other.expect_closed()
    client.abort()


def lives_and_dies(address) -> None:
    """A client with any end that there is."""
    end = random.choice([leaves, resets, is_cut_off, reads_nothing, is_cancelled])
    client = Client(address)
    try:
        if random.random() < 0.5:
            client.negotiate("sslrequest")
        client.who = client.login("trust_user")
        end(client)
    except (OSError, AssertionError):
        pass
    finally:
        client.abort()


def usage(proxy: Proxy) -> dict[str, int]:
    """At rest: without clients, and with its buffers given back."""
    until(lambda: proxy.sockets() == 0, what="every connection is closed")
    return {"memory (KiB)": proxy.rss_kib(), "descriptors": len(proxy.fds()), "threads": len(os.listdir(f"/proc/{proxy.process.pid}/task"))}


def a_round(proxy: Proxy, edge) -> int:
    """How many sessions and logins it cost that it had not to."""
    load = Load(proxy.address)
    try:
        for _ in range(20):
            lives_and_dies(proxy.address)
        with ExitStack() as stack:
            if edge.excuses_logins:
                stack.enter_context(load.excused_logins())
            stack.enter_context(edge.broken(proxy, load))
        load.goes_on()
    finally:
        load.stop()
    print(f"{type(edge).__name__}: {load.figures()}", *load.disturbed[:3], *load.failed[:3], sep="\n  ", flush=True)
    return len(load.disturbed) + len(load.failed)


def grew(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """A quarter more memory is what allocators and full tables may do."""
    allowed = {"memory (KiB)": before["memory (KiB)"] * 5 // 4, "descriptors": before["descriptors"], "threads": before["threads"]}
    return [name for name, most in allowed.items() if after[name] > most]


def soak(root: Path, duration: float) -> int:
    (root / "pki").mkdir()
    pki = Pki(root / "pki")
    authority = pki.authority("Test Lasting CA", days=LASTING)
    server = pki.leaf(authority, "server.lasting", HERE, days=LASTING)
    cluster = Cluster(root / "cluster", make_template(root / "template"), server, pki.people.cert).start()
    config = configuration(pki, [cluster.host], upstream={"sslrootcert": [str(authority.cert)]})
    made = all_edges(root)
    for edge in made:
        edge.configure(config)
    environment = {name: value for edge in made for name, value in edge.environment.items()}
    proxy = Proxy(root / "proxy", config, environment=environment).wait_until_listening()
    try:
        harm = sum(a_round(proxy, edge) for edge in made)
        before, end = usage(proxy), time.monotonic() + duration
        print(f"after the first round: {before}", flush=True)
        while time.monotonic() < end:
            harm += a_round(proxy, random.choice(made))
        after = usage(proxy)
        begun = time.monotonic()
        proxy.stop()
        print(f"at the end: {after}; ended within {time.monotonic() - begun:.1f} s of SIGTERM; harm done: {harm}")
        more = grew(before, after)
        print("grew: " + ", ".join(more) if more else "nothing grew")
        return 1 if harm or more else 0
    finally:
        proxy.kill()
        for edge in made:
            edge.close()
        cluster.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=seconds, default="1h", metavar="TIME", help="90s, 10m, 8h; default 1h. A round that was begun is ended")
    parser.add_argument("--seed", type=int, help="of the order of things; default: another each time")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    print(f"seed {seed}, {programs.PGAIRLOCK}")
    random.seed(seed)
    root = Path(tempfile.mkdtemp(prefix="pgairlock-soak-"))
    root.chmod(0o755)
    os.environ["HOME"] = str(root)
    try:
        return soak(root, options.duration)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
