"""A proxy under callgrind, and the instructions it took: by thread, by whose code, by function.

Only instructions in user space count, and only the proxy's: clients and servers are other processes.
"""

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

PARTS = ("own", "openssl", "libc")

# Threads are told apart by what none of the others calls. What the control thread and the log do depends on how long the run takes.
THREADS = {"worker": re.compile(r"proxy::Worker::Worker\(.*::_M_run\(\)"), "audit": re.compile(r"proxy::Recorder::Writing::write_")}

# Self costs are cut to what is known without lines: the files stay small, and nothing here needs them.
VALGRIND = ["valgrind", "--quiet", "--vgdb=no", "--tool=callgrind", "--separate-threads=yes", "--dump-line=no"]

# How a line with a position and a cost begins.
COST = frozenset("0123456789+-*")

# "fn=(12) name" the first time and "fn=(12)" from then on; "cfn=" is numbered with "fn=", "cob=" with "ob=".
NAME = re.compile(r"c?(fn|ob)=\((\d+)\)(?: (.*))?$")


class Costs(Counter):
    """Instructions by (part, function)."""

    def part(self, part: str) -> int:
        return sum(count for (of, _), count in self.items() if of == part)


def wrapper(directory: Path) -> list[str]:
    """What stands before the proxy's command line; the files come to be when it ends."""
    return [*VALGRIND, f"--callgrind-out-file={directory}/callgrind"]


def costs(directory: Path) -> dict[str, Costs]:
    """Of each thread in THREADS."""
    found = {}
    for file in directory.glob("callgrind-*"):
        text = file.read_text()
        for thread, mark in THREADS.items():
            if mark.search(text):
                found[thread] = _self_costs(text)
    if missing := THREADS.keys() - found.keys():
        raise SystemExit(f"callgrind's files do not show the thread {', '.join(missing)}; is the proxy built with symbols?")
    return found


def version() -> str:
    return subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip().replace("-", " ")


def _self_costs(text: str) -> Costs:
    names, found = {}, Counter()
    current = {"fn": "?", "ob": "?"}
    of_a_call = False
    for line in text.splitlines():
        if line[:1] in COST:
            if not of_a_call:  # else: all that the function called took, which is counted where it belongs
                found[current["ob"], current["fn"]] += int(line.split()[1])
            of_a_call = False
        elif line.startswith("calls="):
            of_a_call = True
        elif match := NAME.match(line):
            kind, number, name = match.groups()
            if name:
                names[kind, number] = name
            if line[0] != "c":
                current[kind] = names[kind, number]
    result = Costs()
    for (obj, function), count in found.items():
        # What a library does not export has no name there.
        result[_part(obj), f"{os.path.basename(obj)}: {function}" if function.startswith("0x") else function] += count
    return result


def _part(obj: str) -> str:
    """Boost and libstdc++ are our own choice to use. Code of no file is libcrypto's .plt.got, which valgrind does not know."""
    name = os.path.basename(obj)
    if name.startswith(("libssl", "libcrypto", "???")):
        return "openssl"
    return "libc" if name.startswith(("libc.", "libc-", "ld-linux", "libm.")) else "own"
