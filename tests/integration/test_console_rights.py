"""Who may do what on the console: each command that SHOW HELP lists, for each kind of user."""

import os
import re

import pytest

from harness import programs

STRANGER, READER, COMMANDER = 65534, 65533, 65532

# Beginning of the line of SHOW HELP: a statement of that command that does nothing where it is allowed, what it needs, and the SQLSTATE
# with which it does nothing (00000: it succeeds).
COMMANDS = {
    "CAPTURE START": ("CAPTURE START (PAYLOAD nonsense)", "command", "22023"),
    "CAPTURE STOP": ("CAPTURE STOP 77", "command", "42704"),
    "CAPTURE STATUS": ("CAPTURE STATUS", "read", "00000"),
    "SELECT": ("SELECT count(*) FROM pg_stat_activity", "read", "00000"),
    "KILL": ("KILL 'nobody'", "command", "42704"),
    "RELOAD": ("RELOAD", "command", "00000"),
    "DRAIN": ("DRAIN", "command", "00000"),
    "SHUTDOWN": ("SHUTDOWN", "command", "00000"),
    "SET": ("SET statement_timeout = '30s'", "read", "00000"),
    "BEGIN": ("BEGIN", "read", "00000"),
    "UPGRADE": ("UPGRADE", "command", "00000"),
}
# These end the process; and UPGRADE, which has a file of its own, gives it another.
LAST = ("DRAIN", "SHUTDOWN")


def ask(console, sql, uid=None):
    """The SQLSTATE, with that of a connection that is refused."""
    folder, _, port = console.rpartition("/.s.PGSQL.")
    command = [programs.postgres_bin() / "psql", "-X", "-At", "-h", folder, "-p", port, "-U", "x", "-d", "pgairlock", "-v", "VERBOSITY=verbose", "-c", sql]
    if uid is not None:
        command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", *command]
    done = programs.run(command, check=False)
    if done.returncode == 0:
        return "00000", done.stdout
    if "the console is not for uid" in done.stderr:
        return "28000", done.stderr  # libpq does not show the SQLSTATE of a connection that fails: test_console.py reads it from the wire
    return re.search(r"(?:ERROR|FATAL): +(\w{5}):", done.stderr).group(1), done.stderr


def listed(console):
    lines = ask(console, "SHOW HELP")[1].splitlines()
    return [line.split("|")[0] for line in lines if not line.startswith("    ")]


def command_of(line):
    """(statement, need, SQLSTATE) of a line of SHOW HELP. What is shown is read by all."""
    if line.startswith("SHOW "):
        return line, "read", "00000"
    found = [row for begin, row in COMMANDS.items() if line.startswith(begin)]
    assert len(found) == 1, f"no row for the command {line!r}: add what it needs"
    return found[0]


@pytest.fixture
def console(start, directory):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    path = f"{directory}/console/.s.PGSQL.7000"
    start(admin={"console": f"unix:{path}", "console_uids": [COMMANDER], "console_readers": [READER]}, runtime={"drain_timeout": "1h"})
    return path


def test_every_command_of_show_help_has_a_row_here(console):
    lines = listed(console)
    assert len(lines) > 20
    for line in lines:
        command_of(line)
    for begin in COMMANDS:
        assert any(line.startswith(begin) for line in lines), begin


@pytest.mark.parametrize("who", ["own", "commander", "reader", "stranger"])
def test_what_each_may(console, who):
    uid = {"own": None, "commander": COMMANDER, "reader": READER, "stranger": STRANGER}[who]
    asked = [command_of(line) for line in listed(console)]
    # What ends the process comes last, and of two of those one is enough for whoever may.
    for statement, need, sqlstate in sorted(asked, key=lambda row: row[0] in LAST):
        if statement in (*LAST, "UPGRADE") and who in ("own", "commander"):
            continue
        expected = "28000" if who == "stranger" else "42501" if need == "command" and who == "reader" else sqlstate
        assert ask(console, statement, uid)[0] == expected, (who, statement)


@pytest.mark.parametrize("who", ["own", "commander"])
@pytest.mark.parametrize("command", LAST)
def test_who_may_end_the_process(start, directory, who, command):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    path = f"{directory}/console/.s.PGSQL.7000"
    proxy = start(admin={"console": f"unix:{path}", "console_uids": [COMMANDER]})
    assert ask(path, command, COMMANDER if who == "commander" else None)[0] == "00000"
    proxy.expect_exit(0)
