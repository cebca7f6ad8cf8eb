#!/usr/bin/python3
"""How long after a failover clients are served again, and what they get meanwhile: before a real primary with two standbys that stream from it, for each
kind of login and each kind of failover.

In every failover the same five clients log in again and again, so that what is beside each other saw the same one: libpq with the three servers in its
own host list and target_session_attrs=read-write; and one before each of four proxies of its own, without and with a monitor, without and with
wait_for_host. Servers and proxies begin anew for each. The time goes from the moment in which the new primary is the only server that takes writes
to the end of the first login there, so it has the client's pause between two attempts, and one login, in it.

Failovers: `crash` (the primary is ended at once, and a standby promoted a moment later), `promotion` (a standby is promoted while the primary still
serves, which is told to end a moment later: counted from there), `switchover` (the primary is shut down, a standby promoted, and the old one comes back as a
standby, first in the list of hosts).

Exit code 1 when a client got a session that does not take writes. Ctrl-C shows what was measured so far.
"""

import argparse
import os
import signal
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path

sys.dont_write_bytecode = True
REPOSITORY = Path(__file__).resolve().parents[2]
sys.path += [str(REPOSITORY / "bench/compare"), str(REPOSITORY / "tests/integration")]

from clients import Client, Outcome, outcome  # noqa: E402
from compare import say, temporary_directory  # noqa: E402
from harness import programs  # noqa: E402
from harness.cluster import PASSWORDS  # noqa: E402
from harness.config import configuration  # noqa: E402
from harness.pki import Pki  # noqa: E402
from harness.proxy import Proxy  # noqa: E402
from harness.waiting import until  # noqa: E402
from report import Steal, machine  # noqa: E402
from servers import MONITOR_PASSWORD, MONITOR_USER, Servers  # noqa: E402

LOGINS = {  # user, [auth], and what the client's conninfo needs
    "SCRAM, passed through": ("scram_user", {"scram": "passthrough"}, "channel_binding=disable"),
    "SCRAM, bridged": ("scram_user", {"scram": "bridge"}, ""),
    "SCRAM, terminated": ("scram_user", {"scram": "terminate"}, ""),
    "md5": ("md5_user", {}, ""),
    "password": ("password_user", {}, ""),
    "trust": ("trust_user", {}, ""),
}
FAILOVERS = ["crash", "promotion", "switchover"]
DIRECT = "libpq, no proxy"
PROXIES = {  # keys of the upstream; None: with a monitor
    "proxy": {},
    "monitor": {"monitor_user": None},
    "wait_for_host": {"wait_for_host": True},
    "monitor, wait": {"monitor_user": None, "wait_for_host": True},
}
CLIENTS = [DIRECT, *PROXIES]
Results = dict[tuple[str, str], dict[str, list[Outcome]]]  # by failover and login, then by client


def main() -> int:
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the ExitStack is unwound
    programs.PGAIRLOCK = str(options.pgairlock.absolute())
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    with ExitStack() as running:
        root = temporary_directory(running, options.directory)
        os.environ["HOME"] = str(root)  # no ~/.postgresql
        (root / "pki").mkdir()
        pki = Pki(root / "pki")
        servers = Servers(root, pki)
        running.callback(servers.stop)
        steal, begun = Steal(), time.monotonic()
        results: Results = {(failover, login): {client: [] for client in CLIENTS} for failover in options.failovers for login in options.logins}
        try:
            for number in range(options.rounds):
                for failover, login in results:
                    servers.begin_anew()
                    for client, found in one_failover(options, root, pki, servers, failover, login).items():
                        results[failover, login][client].append(found)
                    say(f"{failover}, {login}: round {number + 1} of {options.rounds}, {time.monotonic() - begun:.0f} s, load {os.getloadavg()[0]:.1f}")
        except KeyboardInterrupt:
            say("interrupted: what there is so far")
            results = {key: clients for key, clients in results.items() if clients[DIRECT]}
        print(f"{machine()}; load average {os.getloadavg()[2]:.1f} in 15 minutes, time stolen by other guests {steal.percent():.1f} %\n"
              f"{programs.pgairlock('version').stdout.splitlines()[0]}; PostgreSQL {programs.postgres_version()}; {options.rounds} rounds at most\n"
              f"{options.pause_ms} ms between two attempts of a client, {options.gap} s without a primary, or with two; proxies began "
              f"{options.settle} s before\n")
        print(tables(results))
    wrong = sum(found.read_only for clients in results.values() for many in clients.values() for found in many)
    print(f"\nsessions that could not write: {wrong}")
    return 1 if wrong else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(3)")
    parser.add_argument("--logins", default=",".join(name.split()[-1] for name in LOGINS), metavar="LOGIN[,...]", help="last words of them (%(default)s)")
    parser.add_argument("--failovers", default=",".join(FAILOVERS), metavar="FAILOVER[,...]", help="(%(default)s)")
    parser.add_argument("--gap", type=float, default=1, metavar="SECONDS", help="without a primary, or with two (1)")
    parser.add_argument("--pause-ms", type=int, default=20, metavar="N", help="between two attempts of a client (20)")
    parser.add_argument("--settle", type=float, default=1, metavar="SECONDS",
                        help="how long proxies have run before the failover (1); a monitor asks less often after a minute without a change")
    parser.add_argument("--pgairlock", type=Path, default=REPOSITORY / "build-release/proxy/pgairlock", metavar="FILE", help="the binary")
    parser.add_argument("--directory", default="/tmp", metavar="DIR", help="of the clusters (/tmp)")
    options = parser.parse_args()
    options.logins = [name for name in LOGINS if name.split()[-1] in options.logins.split(",")]
    options.failovers = [name for name in FAILOVERS if name in options.failovers.split(",")]
    return options


def one_failover(options, root: Path, pki: Pki, servers: Servers, failover: str, login: str) -> dict[str, Outcome]:
    user, _, more = LOGINS[login]
    with ExitStack() as running:
        addresses = {client: [start_proxy(root, pki, servers, client, login, running).address] for client in PROXIES}
        addresses[DIRECT] = [server.address for server in servers.all()]
        clients = {name: Client(conninfo(addresses[name], user, more), options.pause_ms / 1e3) for name in CLIENTS}
        for client in clients.values():
            running.callback(client.end)
        for client in clients.values():
            until(lambda client=client: client.sessions_at(servers.old.port), what="a session at the primary")
        time.sleep(options.settle)
        moment = getattr(servers, failover)(options.gap)
        for client in clients.values():
            until(lambda client=client: sum(one.end >= moment for one in client.sessions_at(servers.new.port)) >= 20, what="20 sessions at the new primary")
        for client in clients.values():
            client.end()
        return {name: outcome(client.attempts, moment, servers.new.port) for name, client in clients.items()}


def conninfo(addresses, user: str, more: str) -> str:
    hosts, ports = (",".join(str(address[part]) for address in addresses) for part in (0, 1))
    password = f"password={PASSWORDS[user]}" if user in PASSWORDS else ""
    several = "target_session_attrs=read-write" if len(addresses) > 1 else ""
    return f"host={hosts} port={ports} user={user} dbname=postgres sslmode=require gssencmode=disable {password} {several} {more}"


def start_proxy(root: Path, pki: Pki, servers: Servers, client: str, login: str, running: ExitStack) -> Proxy:
    directory = temporary_directory(running, str(root))
    secret, users = directory / "monitor-password", directory / "userlist.txt"
    secret.write_text(MONITOR_PASSWORD + "\n")
    users.write_text(f'"scram_user" "{PASSWORDS["scram_user"]}"\n')
    for file in (secret, users):
        file.chmod(0o600)
    upstream = {"target_session_attrs": "read-write", "connect_timeout": None, **PROXIES[client]}
    if "monitor_user" in upstream:
        upstream |= {"monitor_user": MONITOR_USER, "monitor_password_file": str(secret)}
    auth = LOGINS[login][1] | ({"users_file": str(users)} if "terminated" in login else {})
    proxy = Proxy(directory / "proxy", configuration(pki, [server.host for server in servers.all()], upstream=upstream, auth=auth))
    running.callback(proxy.kill)
    return proxy.wait_until_listening()


def tables(results: Results) -> str:
    def cells(title: str, shown) -> str:
        lines = [f"{title:36}" + "".join(f"{client:>20}" for client in CLIENTS)]
        for (failover, login), clients in results.items():
            lines.append(f"{failover + ', ' + login:36}" + "".join(f"{shown(clients[client]):>20}" for client in CLIENTS))
        return "\n".join(lines)

    def seconds(of):
        return lambda many: f"{statistics.median(map(of, many)):.2f} ({min(map(of, many)):.2f}-{max(map(of, many)):.2f})"

    def refused(many: list[Outcome]) -> str:
        return (f"{statistics.median(one.refused_before for one in many):.0f} + {max(one.refused_after for one in many)} + "
                f"{max(one.refused_later for one in many)}")

    return "\n\n".join([
        cells("seconds to the first session", seconds(lambda one: one.seconds)),
        ratios(results),
        cells("refused: before + after + later", refused) +
        "\n(median of those before the new primary was the only one; most after that; most after the client's first session there)",
        cells("longest login, seconds", seconds(lambda one: one.longest)),
        told(results),
    ])


def ratios(results: Results) -> str:
    """Over all logins: each failover was the same one for all clients."""
    lines = [f"{'median, and how often that of libpq':36}" + "".join(f"{client:>20}" for client in CLIENTS)]
    for failover in dict.fromkeys(failover for failover, _ in results):
        medians = {client: statistics.median(one.seconds for (name, _), clients in results.items() if name == failover for one in clients[client])
                   for client in CLIENTS}
        lines.append(f"{failover:36}" + "".join(f"{f'{medians[client]:.3f} s, {medians[client] / medians[DIRECT]:.1f}x':>20}" for client in CLIENTS))
    return "\n".join(lines)


def told(results: Results) -> str:
    lines = ["what the refused were told, over all failovers"]
    for client in CLIENTS:
        texts: dict[str, int] = {}
        for clients in results.values():
            for found in clients[client]:
                for text, count in found.texts.items():
                    texts[text] = texts.get(text, 0) + count
        lines += [f"{client:20}{count:>7}  {text}" for text, count in sorted(texts.items(), key=lambda item: -item[1])]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
