"""Programs that run as long as the benchmark does, each as an unprivileged user, and what they cost."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests/integration"))

from harness.programs import give_to_postgres, postgres_bin, unprivileged  # noqa: E402,F401

TICK = 1 / os.sysconf("SC_CLK_TCK")


def run(command, **options) -> str:
    """Runs a program to its end; returns its standard output, or raises with all it said."""
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """`is_up` is asked until it returns without an error."""

    def __init__(self, name: str, command: list, directory: Path, is_up, *, stop_signal=signal.SIGTERM):
        self.name = name
        self.command = [*unprivileged(), *map(str, command)]
        self.log = directory / f"{name}.log"
        self.is_up = is_up
        self.stop_signal = stop_signal
        self.process = None

    def start(self) -> None:
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        end = time.monotonic() + 90
        while True:
            try:
                return self.is_up()
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    log = self.log.read_text(errors="replace")
                    raise RuntimeError(f"{self.name} does not answer: {error}\n{log[-4000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu_seconds(self) -> float:
        """User and system time of all threads and of child processes, ended ones included."""
        used = _times(self.process.pid)[:4]
        for child in _children(self.process.pid):
            used += _times(child)[:2]
        return sum(used) * TICK

    def rss_kib(self) -> int:
        return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text()).group(1))


def _times(pid: int) -> list[int]:
    """utime, stime, and those of children that were waited for (proc(5))."""
    try:
        return [int(field) for field in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]
    except FileNotFoundError:
        return []


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
