#!/usr/bin/python3
"""Logs in through pgairlock with every PostgreSQL driver there is in Debian, in every sslmode it has, and compares what `pgairlock report` then
says of it with what it really does (rows.py): with certificate probes and without, with TLS offered, demanded and not offered. Prints how often
what is reported as what. Exit status 1: something false was claimed, less is known than could be, or a login failed that must not.

Drivers that are not installed, or cannot be downloaded (fetch-newer), are told on standard error and are in no count.
PGAIRLOCK names another binary than build/proxy/pgairlock.
"""

import argparse
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

sys.dont_write_bytecode = True

from campaign import conclude, parse, parser_for, program_of, say, try_all  # noqa: E402
from rounds import Authorities, Case, Trials  # noqa: E402
from rows import DRIVERS, SSLMODES, Client, clients  # noqa: E402
from verification_page import page, tables  # noqa: E402
from world import World  # noqa: E402


@dataclass
class Result:
    """What became of one driver."""

    client: Client
    title: str = ""
    cases: list[Case] = field(default_factory=list)
    budget: tuple[int, int] | None = None  # logins that failed of 30, and refused probes, where one may
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def break_off(self, error: str) -> None:
        self.problems.append(error)

    @property
    def outcomes(self):
        return [(case, outcome) for case in self.cases for outcome in case.outcomes.values()]

    @property
    def scattered(self) -> int:
        """Verdicts that were not held to what is decidable: see Outcome.joined."""
        return sum(not outcome.joined for _, outcome in self.outcomes)

    @property
    def false(self) -> int:
        return sum(len(outcome.false) for _, outcome in self.outcomes)

    @property
    def failed(self) -> int:
        return sum(bool(outcome.false or outcome.problems) for _, outcome in self.outcomes) + len(self.problems)

    @property
    def passed(self) -> int:
        return sum(not (outcome.false or outcome.problems) for _, outcome in self.outcomes) + (self.budget is not None)


def main() -> None:
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the ExitStack is unwound
    begin = time.monotonic()
    found, missing = clients(options.names)
    for name in missing:
        say(f"NOT AVAILABLE HERE, NOT TESTED: {name}")
    with ExitStack() as running:
        world = World(running)
        authorities = Authorities(world)
        results = try_all(found, options.jobs, lambda client: len(client.driver.behaves), lambda client: try_driver(world, authorities, client))
        if options.write:
            options.write.write_text(page(results, missing))
    print(tables(results))
    show_problems(results)
    failed, passed, false, scattered = (sum(getattr(result, name) for result in results) for name in ("failed", "passed", "false", "scattered"))
    if missing:
        print(f"not available here, not tested: {', '.join(missing)}")
    if false:
        print(f"!!! {false} FALSE CLAIMS")
    print(f"{scattered} verdicts with more than one row, because a process was gone before it was found")
    if scattered > passed / 2:
        print("FAILED: they are too many to have tested anything")
        failed += 1
    conclude(failed, passed, begin)


def parse_arguments() -> argparse.Namespace:
    names = [driver.name for driver in DRIVERS if driver.behaves]
    parser = parser_for(__doc__, names, "docs/verification-matrix.md", jobs=3)
    options = parse(parser, names)
    if options.write and options.only != "*":
        parser.error("--write: the page is about all drivers")
    return options


def try_driver(world: World, authorities: Authorities, client: Client) -> Result:
    result = Result(client)
    with program_of(world, result) as program:
        trials = Trials(world, authorities, program, client.driver)
        for spelling in [*SSLMODES, "prefer with root", "require with root"]:
            behaviour = client.driver.behaves.get(spelling)
            if not behaviour:
                if not client.driver.on_libpq:
                    trials.lacks(spelling)
            elif case := trials.run(spelling, behaviour):
                result.cases.append(case)
            else:
                result.problems.append(f"rows.py says that the driver has {spelling}, and it says that it has not")
        try_budget(trials, result)
    return result


def try_budget(trials: Trials, result: Result) -> None:
    """With the mode that probing costs most."""
    verifying = [spelling for spelling, behaviour in result.client.driver.behaves.items() if behaviour.verifies]
    if not verifying:
        return
    result.budget = trials.spend_budget(verifying[-1])
    if result.budget != (1, 1):
        result.problems.append(f"30 logins with max_per_client = 1: {result.budget[0]} failed, the report says that probing cost {result.budget[1]}")


def show_problems(results: list[Result]) -> None:
    """A line each: scripts/test repeats them at its end."""
    for result in results:
        for problem in result.problems:
            say(f"FAILED {result.client.driver.name}: {problem}")
        for case, outcome in result.outcomes:
            for problem in [*(f"FALSE CLAIM: {claim}" for claim in outcome.false), *outcome.problems]:
                say(f"FAILED {case} ({case.behaviour.mode} by behaviour), {outcome.round}: {problem}")


if __name__ == "__main__":
    main()
