#!/usr/bin/python3
"""Logs in with every PostgreSQL driver there is in Debian, directly at a throw-away server and through pgairlock before it, over each kind
of client leg and with each kind of password, and prints what works as a table. Exit status 1: a cell is not as expected.py says.

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
from expected import MODES, Setup, settings  # noqa: E402
from page import page, tables  # noqa: E402
from program import parsed  # noqa: E402
from rows import DRIVERS, Client, clients  # noqa: E402
from trial import Cell, Trial  # noqa: E402
from world import World  # noqa: E402


@dataclass
class Result:
    """What became of one driver."""

    client: Client
    title: str = ""
    detail: str | None = None
    cells: list[Cell] = field(default_factory=list)
    broken: str | None = None
    seconds: float = 0.0

    def break_off(self, error: str) -> None:
        self.broken = error

    @property
    def offered(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.offered or cell.problems]

    @property
    def failed(self) -> int:
        return sum(bool(cell.problems) for cell in self.cells) + bool(self.broken)

    @property
    def passed(self) -> int:
        return sum(not cell.problems for cell in self.offered)


def main() -> None:
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the ExitStack is unwound
    begin = time.monotonic()
    found, missing = clients(options.names)
    for name in missing:
        say(f"NOT AVAILABLE HERE, NOT TESTED: {name}")
    with ExitStack() as running:
        world = World(running)
        results = try_all(found, options.jobs, lambda client: len(client.driver.settings), lambda client: try_driver(world, client, options.modes))
        if options.write:
            options.write.write_text(page(world, results, missing, options.modes))
    print(tables(results, options.modes))
    show_problems(results)
    failed, passed = (sum(getattr(result, name) for result in results) for name in ("failed", "passed"))
    if missing:
        print(f"not available here, not tested: {', '.join(missing)}")
    conclude(failed, passed, begin)


def parse_arguments() -> argparse.Namespace:
    names = [driver.name for driver in DRIVERS]
    parser = parser_for(__doc__, names, "docs/compatibility.md", jobs=2)
    parser.add_argument("--mode", default=",".join(MODES), metavar="MODE[,...]", help=f"of {', '.join(MODES)} (all)")
    options = parse(parser, names)
    options.modes = options.mode.split(",")
    if not set(options.modes) <= set(MODES):
        parser.error(f"--mode {options.mode}: there are {', '.join(MODES)}")
    if options.write and (options.only, options.modes) != ("*", list(MODES)):
        parser.error("--write: the page is about all drivers and modes")
    return options


def try_driver(world: World, client: Client, modes: list[str]) -> Result:
    result = Result(client)
    with program_of(world, result) as program:
        result.detail = program.detail
        version = parsed(program.detail or "" if client.driver.on_libpq else program.version)
        for setting in settings(client.driver, version):
            trial = Trial(world, program, Setup(client.driver, version, setting))
            for mode in modes:
                result.cells += trial.run(mode)
    return result


def show_problems(results: list[Result]) -> None:
    """A line each: scripts/test repeats them at its end."""
    for result in results:
        if result.broken:
            say(f"FAILED {result.client.driver.name}: {result.broken}")
        for cell in result.cells:
            for problem in cell.problems:
                say(f"FAILED {cell}: {problem}")


if __name__ == "__main__":
    main()
