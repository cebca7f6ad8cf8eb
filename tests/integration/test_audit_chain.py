"""[audit] chain: what one proxy after another writes is one chain, which `audit verify` and the recipe of docs/audit.md confirm."""

import re
import shutil
import signal
import subprocess

import pytest

from harness.programs import REPOSITORY, pgairlock
from harness.waiting import until


@pytest.fixture
def two_files(start, connect):
    """audit.jsonl.1 and audit.jsonl of two processes, the first of which was told to open a new file."""
    def login(proxy):
        connect(proxy, "trust_user", application_name='a "chain_begins":"no line" \\ \x1b\u202e').close()

    proxy = start(audit={"chain": True})
    login(proxy)
    proxy.event("disconnected")
    old, new = proxy.state_dir / "audit.jsonl.1", proxy.state_dir / "audit.jsonl"
    new.rename(old)
    proxy.signal(signal.SIGUSR1)
    until(new.exists)
    login(proxy)
    proxy.stop()
    again = start(audit={"chain": True}, runtime={"state_dir": str(proxy.state_dir)})
    login(again)
    again.stop()
    return old, new


def test_a_chain_goes_on_over_rotation_and_restart(two_files):
    done = pgairlock("audit", "verify", *two_files)
    assert done.returncode == 0, done.stdout
    lines = sum(path.read_text().count("\n") for path in two_files)
    assert done.stdout.endswith(f"whole: {lines} of {lines} lines confirmed\n")
    assert [line.split(": ")[0] for line in done.stdout.splitlines()[:2]] == [str(path) for path in two_files]
    assert '"chain_begins":"no line"' in two_files[0].read_text().splitlines()[0]
    later = pgairlock("audit", "verify", two_files[1])
    assert later.returncode == 0 and "not covered: the first line" in later.stdout


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_documented_definition_is_the_one(two_files):
    (recipe,) = re.findall(r"^```bash\n(.*?)^```", (REPOSITORY / "docs/audit.md").read_text(), re.MULTILINE | re.DOTALL)
    both = two_files[0].read_text() + two_files[1].read_text()
    for text, said in ((both, ""), (both.replace('"usename":"trust_user"', '"usename":"nobody"', 1), "line 2 does not fit\n")):
        two_files[1].write_text(text)
        done = subprocess.run(["bash", "-c", recipe], cwd=two_files[1].parent, capture_output=True, text=True)
        assert (done.stdout, done.stderr) == (said, "")


def test_what_was_tampered_with_is_shown_by_line(two_files):
    old, new = two_files
    lines = old.read_text().splitlines(keepends=True)
    old.write_text("".join([lines[0], lines[1].replace('"ssl":false', '"ssl":true'), *lines[2:]]))
    done = pgairlock("audit", "verify", old, new)
    assert done.returncode == 1
    assert re.search(r"^  line 2: does not follow", done.stdout, re.MULTILINE)
    assert "broken at 1 place in" in done.stdout
    old.write_text("".join(lines[:1] + lines[2:]))
    assert pgairlock("audit", "verify", old, new).returncode == 1
    old.write_text("".join(lines))
    assert pgairlock("audit", "verify", new, old).returncode == 1, "in the wrong order"
    old.write_text("".join(lines)[:-9])
    assert "no whole line" in pgairlock("audit", "verify", old).stdout


def test_a_killed_proxy_leaves_a_break_that_says_so(start, connect):
    proxy = start(audit={"chain": True})
    connect(proxy, "trust_user").close()
    proxy.event("disconnected")
    proxy.stop()
    file = proxy.state_dir / "audit.jsonl"
    with file.open("a") as half:
        half.write('{"ts":"2026-')
    start(audit={"chain": True}, runtime={"state_dir": str(proxy.state_dir)}).stop()
    done = pgairlock("audit", "verify", file)
    assert done.returncode == 1
    assert "is no whole line" in done.stdout and "(half a line)" in done.stdout
    assert '"event":"started"' in [line for line in file.read_text().splitlines() if "half a line" in line][0]


def test_files_without_a_chain_are_not_called_whole(start, directory):
    proxy = start()
    proxy.stop()
    done = pgairlock("audit", "verify", proxy.state_dir / "audit.jsonl")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "broken: no line carries a chain value")
    assert '"chain' not in proxy.audit_text()
    for arguments in ([directory / "missing"], [directory], []):
        assert pgairlock("audit", "verify", *arguments).returncode == 2, arguments
    (empty := directory / "empty").touch()
    assert pgairlock("audit", "verify", empty).returncode == 1
