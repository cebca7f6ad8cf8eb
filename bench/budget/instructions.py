#!/usr/bin/python3
"""Counts the instructions that one login, one round trip and one relayed GB cost the proxy, under valgrind's callgrind.

Unlike time, they do not depend on what else the machine does. Each figure is the difference between a run that does the work a number of times
and one that does not, so that start and end drop out. One to two minutes; needs Debian's valgrind, openssl and python3-psycopg2.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path

sys.dont_write_bytecode = True
REPOSITORY = Path(__file__).resolve().parents[2]
sys.path += [str(REPOSITORY / "tests/integration"), str(REPOSITORY / "bench/compare")]

import callgrind  # noqa: E402
import limits  # noqa: E402
from units import UNITS, Unit, Upstream, Work, World  # noqa: E402
from harness import programs  # noqa: E402
from harness.proxy import Proxy  # noqa: E402
from targets import make_certificates  # noqa: E402


def main() -> int:
    options = parse_arguments()
    begin = time.monotonic()
    units = [unit for unit in UNITS if unit.name in options.units]
    known = limits.read(limits.release())
    if options.check and not known:
        print(f"no budget for {limits.release()}: bench/budget/instructions.py --update would make one\n{len(units)} skipped in 0s")
        return 0
    rounds = [measure(units, options.pgairlock) for _ in range(options.rounds)]
    if options.rounds > 1:
        print_spread(units, rounds)
        return 0
    costs, = rounds
    print_costs(units, costs)
    for unit in units if options.top else ():
        print_top(unit, costs[unit.name], options.top)
    if options.update:
        limits.write(limits.release(), facts(options.pgairlock), {unit.name: limits.limit(*own_and_total(costs[unit.name])) for unit in units})
    if options.check:
        return check(units, costs, known, time.monotonic() - begin)
    return 0


def parse_arguments() -> argparse.Namespace:
    names = [unit.name for unit in UNITS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="against bench/budget/instructions.toml; the exit status is 1 when a unit costs too much")
    parser.add_argument("--update", action="store_true", help="make what is measured the budget of this Debian release")
    parser.add_argument("--top", type=int, default=0, metavar="N", help="also the N functions of our own part that cost most")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="measure N times and show the spread instead")
    parser.add_argument("--units", type=lambda text: text.split(","), default=names, metavar="NAME[,...]", help=", ".join(names))
    parser.add_argument("--pgairlock", type=Path, default=REPOSITORY / "build/proxy/pgairlock", metavar="FILE", help="the binary")
    options = parser.parse_args()
    if unknown := set(options.units) - set(names):
        parser.error(f"no such unit: {', '.join(unknown)}")
    return options


# --- measuring

def measure(units: list[Unit], binary: Path) -> dict[str, callgrind.Costs]:
    """What each unit costs."""
    with ExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="pgairlock-budget-")))
        make_certificates(directory)
        # Names of functions are enough, and seventy megabytes of lines and types take valgrind seconds. Also: a build may go on meanwhile.
        programs.run(["strip", "--strip-debug", "-o", directory / "pgairlock", binary])
        programs.PGAIRLOCK = str(directory / "pgairlock")
        upstream = Upstream(directory)
        running.callback(upstream.close)
        nothing = run(directory / "nothing", upstream, Work(World.login_plain, 0))
        done = {}
        for work in dict.fromkeys(unit.work for unit in units):
            done[work] = run(directory / work.do.__name__, upstream, work)
    return {unit.name: per_unit(unit, done[unit.work][unit.thread], nothing[unit.thread]) for unit in units}


def run(directory: Path, upstream: Upstream, work: Work) -> dict[str, callgrind.Costs]:
    proxy = Proxy(directory, configuration(directory.parent, upstream), wrapper=callgrind.wrapper(directory))
    try:
        world = World(proxy.wait_until_listening(timeout=60).address, upstream)
        for _ in range(work.count):
            work.do(world)
        world.leave()
        proxy.stop()
    finally:
        proxy.kill()
    return callgrind.costs(directory)


def configuration(directory: Path, upstream: Upstream) -> dict:
    """One worker. Off is what depends on the rest of the machine: the inventory's disk, the owners of all processes."""
    return {
        "log": {"level": "warn"},
        "runtime": {"threads": 1, "drain_timeout": "2s"},
        "audit": {"inventory": "", "process_owner": False},
        "listener": [{"listen": ["127.0.0.1:0"],
                      "tls": {"cert_file": f"{directory}/proxy.crt", "key_file": f"{directory}/proxy.key"}}],
        "upstream": {"budget": {"hosts": [upstream.host], "sslmode": "verify-full", "sslrootcert": [f"{directory}/ca.crt"]}},
    }


def per_unit(unit: Unit, with_work: callgrind.Costs, without: callgrind.Costs) -> callgrind.Costs:
    costs = callgrind.Costs(with_work)
    costs.subtract(without)
    return callgrind.Costs({key: count * unit.times / unit.work.count for key, count in costs.items()})


# --- telling

def own_and_total(costs: callgrind.Costs) -> tuple[float, float]:
    return costs.part("own"), costs.total()


def print_costs(units: list[Unit], costs: dict[str, callgrind.Costs]) -> None:
    print(f"{'instructions per unit':20} {'own':>14} {'openssl':>14} {'libc':>14} {'total':>14}")
    for unit in units:
        numbers = [*map(costs[unit.name].part, callgrind.PARTS), costs[unit.name].total()]
        print(f"{unit.name:20} " + " ".join(f"{number:14,.0f}" for number in numbers))


def print_top(unit: Unit, costs: callgrind.Costs, count: int) -> None:
    own = callgrind.Costs({key: number for key, number in costs.items() if key[0] == "own"})
    print(f"\n{unit.name}: {own.total():,.0f} of our own")
    for (_, function), number in own.most_common(count):
        print(f"{number:14,.0f} {100 * number / own.total():5.1f} %  {function[:120]}")


def print_spread(units: list[Unit], rounds: list[dict[str, callgrind.Costs]]) -> None:
    print(f"{f'{len(rounds)} rounds':20} {'own':>37} {'total':>37}")
    for unit in units:
        columns = zip(*(own_and_total(costs[unit.name]) for costs in rounds))
        print(f"{unit.name:20} " + " ".join(f"{min(column):14,.0f} to {max(column):11,.0f} {100 * (max(column) / min(column) - 1):5.2f} %"
                                           for column in columns))


def check(units: list[Unit], costs: dict[str, callgrind.Costs], known: dict[str, limits.Limit], seconds: float) -> int:
    failed = []
    print(f"\n{'of the budget':20} {'own':>14} {'allowed':>14}        {'total':>14} {'allowed':>14}")
    for unit in units:
        own, total = own_and_total(costs[unit.name])
        if not (limit := known.get(unit.name)):
            failed.append(unit.name)
            print(f"{unit.name:20} has none: bench/budget/instructions.py --update --units {unit.name}")
            continue
        exceeded = own > limit.own_allowed or total > limit.total_allowed
        failed += [unit.name] * exceeded
        remark = "EXCEEDED" if exceeded else "cheaper by now: --update" if own < limit.own / limits.OWN_EXCESS else ""
        print(f"{unit.name:20} {own:14,.0f} {limit.own_allowed:14,} {change(own, limit.own)} {total:14,.0f} {limit.total_allowed:14,} "
              f"{change(total, limit.total)} {remark}".rstrip())
    print(f"{len(failed)} failed, {len(units) - len(failed)} passed in {seconds:.0f}s")
    return 1 if failed else 0


def change(now: float, then: int) -> str:
    """Against what was measured when the budget was made."""
    return f"{100 * (now / then - 1):+5.1f} %"


def facts(binary: Path) -> dict[str, str]:
    built = dict(line.split(": ", 1) for line in programs.run([binary.resolve(), "version"]).stdout.splitlines() if ": " in line)
    openssl = built["OpenSSL"].partition("(loaded: OpenSSL ")[2].split()[0]
    return {"date": date.today().isoformat(),
            "versions": f"compiler {built['compiler']}, Boost {built['Boost']}, OpenSSL {openssl}, {callgrind.version()}"}


if __name__ == "__main__":
    sys.exit(main())
