"""Where PostgreSQL's programs are, and how to start a process so that it never outlives the tests."""

import os
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
PGAIRLOCK = os.path.abspath(os.environ.get("PGAIRLOCK", REPOSITORY / "build/proxy/pgairlock"))


def postgres_bin() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    assert found, "no PostgreSQL server under /usr/lib/postgresql"
    return found[-1].parent


def postgres_version() -> int:
    return int(postgres_bin().parent.name)


def unprivileged() -> list[str]:
    """Prefix of a command that initdb and postgres accept: they refuse to run as root."""
    if os.geteuid() != 0:
        return ["setpriv", "--pdeathsig", "KILL", "--"]
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig", "KILL", "--"]


def give_to_postgres(path: Path) -> None:
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "postgres:postgres", str(path)], check=True)


def with_death_signal(command: list[str]) -> list[str]:
    """The same process id, killed when the test run dies."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *command]


def run(command, *, check=True, timeout=300, **options) -> subprocess.CompletedProcess:
    """Runs a program to its end with its output as text; `check` turns a failure into an assertion with that output."""
    options.setdefault("stdin", subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout, **options)
    assert not check or done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def pgairlock(*arguments, check=False, **options) -> subprocess.CompletedProcess:
    """One of the proxy's short-lived commands."""
    return run([PGAIRLOCK, *arguments], check=check, **options)


def sanitized() -> bool:
    """Whether the proxy was built with a sanitizer: its memory and speed then say nothing."""
    binary = Path(PGAIRLOCK).read_bytes()
    return b"__asan_init" in binary or b"__tsan_init" in binary
