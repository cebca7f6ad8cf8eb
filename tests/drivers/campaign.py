"""What matrix.py and verification.py share: choosing drivers, trying several at a time, and how it is told what became of each."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from program import Broken, Program
from rows import Client
from world import World


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parser_for(description: str, names: list[str], page: str, jobs: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", metavar="NAME[,...]", help=f"names or patterns: {', '.join(names)}")
    parser.add_argument("--write", type=Path, metavar="FILE", help=f"also write the page: {page}")
    parser.add_argument("--jobs", type=int, default=jobs, metavar="N", help=f"drivers at a time ({jobs})")
    return parser


def parse(parser: argparse.ArgumentParser, names: list[str]) -> argparse.Namespace:
    """`options.names`: those that --only chooses."""
    options = parser.parse_args()
    patterns = options.only.split(",")
    options.names = [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            parser.error(f"--only {pattern}: no such driver")
    return options


def try_all(found: list[Client], jobs: int, length: Callable[[Client], int], try_driver: Callable) -> list:
    """In the order of `found`; begun with the longest, so that none is left over at the end."""
    with ThreadPoolExecutor(jobs) as pool:
        tried = {client.driver.name: pool.submit(try_driver, client) for client in sorted(found, key=length, reverse=True)}
        return [tried[client.driver.name].result() for client in found]


@contextmanager
def program_of(world: World, result) -> Iterator[Program]:
    """The driver's program, for as long as it is tried. What breaks is the result's: `break_off`, `seconds`."""
    begin = time.monotonic()
    program = None
    try:
        program = Program(result.client, world.directory)
        result.title = f"{program.name} {program.version}"
        yield program
        program.close()
    except (Broken, AssertionError, OSError) as error:  # an AssertionError is the harness's, about the proxy
        result.break_off(f"{type(error).__name__}: {error}")
    finally:
        if program:
            program.kill()
    result.seconds = time.monotonic() - begin
    say(f"{result.client.driver.name}: {result.title}, {result.passed} passed, {result.failed} failed ({result.seconds:.1f} s)")


def conclude(failed: int, passed: int, begin: float) -> None:
    """The line that scripts/test counts by, and the exit status."""
    counts = [f"{failed} failed"] * bool(failed) + [f"{passed} passed"]
    print(f"{', '.join(counts)} in {time.monotonic() - begin:.1f}s")
    sys.exit(1 if failed or not passed else 0)
