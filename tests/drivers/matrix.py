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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

sys.dont_write_bytecode = True

from expected import MODES, Setup, settings  # noqa: E402
from page import page, tables  # noqa: E402
from program import Broken, Program, parsed  # noqa: E402
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
        with ThreadPoolExecutor(options.jobs) as pool:
            tried = {client.driver.name: pool.submit(try_driver, world, client, options.modes) for client in sorted(found, key=by_length)}
            results = [tried[client.driver.name].result() for client in found]
        if options.write:
            options.write.write_text(page(world, results, missing, options.modes))
    print(tables(results, options.modes))
    show_problems(results)
    failed, passed = (sum(getattr(result, name) for result in results) for name in ("failed", "passed"))
    counts = [f"{failed} failed"] * bool(failed) + [f"{passed} passed"]
    if missing:
        print(f"not available here, not tested: {', '.join(missing)}")
    print(f"{', '.join(counts)} in {time.monotonic() - begin:.1f}s")
    sys.exit(1 if failed or not passed else 0)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [driver.name for driver in DRIVERS]
    parser.add_argument("--only", default="*", metavar="NAME[,...]", help=f"names or patterns: {', '.join(names)}")
    parser.add_argument("--mode", default=",".join(MODES), metavar="MODE[,...]", help=f"of {', '.join(MODES)} (all)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the page: docs/compatibility.md")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="drivers at a time (2)")
    options = parser.parse_args()
    options.names = [name for name in names if any(fnmatch(name, pattern) for pattern in options.only.split(","))]
    options.modes = options.mode.split(",")
    for pattern in options.only.split(","):
        if not any(fnmatch(name, pattern) for name in names):
            parser.error(f"--only {pattern}: no such driver")
    if not set(options.modes) <= set(MODES):
        parser.error(f"--mode {options.mode}: there are {', '.join(MODES)}")
    if options.write and (options.only, options.modes) != ("*", list(MODES)):
        parser.error("--write: the page is about all drivers and modes")
    return options


def by_length(client: Client) -> int:
    """The longest first, so that none is left over at the end."""
    return -len(client.driver.settings)


def try_driver(world: World, client: Client, modes: list[str]) -> Result:
    result = Result(client)
    begin = time.monotonic()
    program = None
    try:
        program = Program(client, world.directory)
        result.title, result.detail = f"{program.name} {program.version}", program.detail
        version = parsed(program.detail or "" if client.driver.on_libpq else program.version)
        for setting in settings(client.driver, version):
            trial = Trial(world, program, Setup(client.driver, version, setting))
            for mode in modes:
                result.cells += trial.run(mode)
        program.close()
    except (Broken, AssertionError, OSError) as error:  # an AssertionError is the harness's, about the proxy
        result.broken = f"{type(error).__name__}: {error}"
    finally:
        if program:
            program.kill()
    result.seconds = time.monotonic() - begin
    say(f"{client.driver.name}: {result.title}, {result.passed} passed, {result.failed} failed ({result.seconds:.1f} s)")
    return result


def show_problems(results: list[Result]) -> None:
    """A line each: scripts/test repeats them at its end."""
    for result in results:
        if result.broken:
            say(f"FAILED {result.client.driver.name}: {result.broken}")
        for cell in result.cells:
            for problem in cell.problems:
                say(f"FAILED {cell}: {problem}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
