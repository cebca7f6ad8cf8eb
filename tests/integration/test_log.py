"""The log: whoever reads it or not, sessions and signals go on. The same for the audit, which is written in the same way."""

import contextlib
import json
import os
import re
import signal
import stat
import sys
import time

import pytest

from harness import messages, programs
from harness.config import configuration, to_toml
from harness.waiting import until

MOVED = """
import os, sys
os.dup2(int(sys.argv[1]), int(sys.argv[2]))
os.execv(sys.argv[3], sys.argv[3:])
"""


class HeldUpPipe:
    """Open at both ends, and read by nobody."""

    def __init__(self, path=None):
        if path is None:
            self.reader, self.writer = os.pipe()
        else:
            os.mkfifo(path)
            self.reader, self.writer = os.open(path, os.O_RDONLY | os.O_NONBLOCK), None

    def fill(self) -> None:
        """By a description of our own: whether it blocks is no affair of the proxy's."""
        end = os.open(f"/proc/self/fd/{self.reader}", os.O_WRONLY | os.O_NONBLOCK)
        try:
            for part in (b"x" * 4096, b"x"):
                with contextlib.suppress(BlockingIOError):
                    while True:
                        os.write(end, part)
        finally:
            os.close(end)

    def close(self):
        for end in (self.reader, self.writer):
            if end is not None:
                os.close(end)


def start_held_up(what, start, run_proxy, pki, cluster, directory):
    """A proxy whose `what` is a pipe that nobody reads."""
    log = {"level": "debug"}
    if what == "stderr" or what == "stdout":
        pipe = HeldUpPipe()
        config = configuration(pki, [cluster.host], log=log, audit={"file": "-" if what == "stdout" else "audit.jsonl"})
        number = 2 if what == "stderr" else 1
        proxy = run_proxy(config, wrapper=[sys.executable, "-c", MOVED, str(pipe.writer), str(number)], pass_fds=[pipe.writer])
        return proxy, pipe
    path = directory / "fifo"
    pipe = HeldUpPipe(path)
    if what == "log":
        return start(log={**log, "file": str(path)}), pipe
    return start(log=log, audit={"file": str(path)}), pipe


@pytest.mark.parametrize("what", ["stderr", "stdout", "log", "audit"])
def test_whoever_does_not_read_stops_nobody(start, run_proxy, pki, cluster, client, directory, what):
    proxy, pipe = start_held_up(what, start, run_proxy, pki, cluster, directory)
    established = client(proxy)
    established.login()
    pipe.fill()
    for _ in range(10):
        with client(proxy) as raw:
            raw.login()
    for number in (signal.SIGHUP, signal.SIGUSR1):
        proxy.signal(number)
        client(proxy).negotiate("sslrequest").login()
    established.query("SELECT 1")
    if what != "stdout" and what != "audit":
        proxy.event("reloaded")
    proxy.signal(signal.SIGTERM)
    established.query("SELECT 1")
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    pipe.close()


@pytest.mark.parametrize("what", ["stderr", "stdout"])
def test_an_idle_proxy_ends_on_the_first_sigterm_whoever_reads(start, run_proxy, pki, cluster, client, directory, what):
    proxy, pipe = start_held_up(what, start, run_proxy, pki, cluster, directory)
    pipe.fill()
    for _ in range(10):
        with client(proxy) as raw:
            raw.login()
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    pipe.close()


# --- files that cannot be written to


WRONG_FILES = {"in a folder that is missing": "missing/file", "a folder": "", "below a file": "pgairlock.toml/file"}


@pytest.mark.parametrize("section, what", [("log", "log file"), ("audit", "audit file")])
@pytest.mark.parametrize("wrong", WRONG_FILES)
def test_a_file_that_cannot_be_there_is_an_error_in_the_configuration(run_proxy, pki, directory, section, what, wrong):
    config = configuration(pki, ["127.0.0.1:1"], **{section: {"file": str(directory / "proxy0" / WRONG_FILES[wrong])}})
    proxy = run_proxy(config, wait=False)
    # What is missing may be a file system that is mounted later: the service manager tries again.
    proxy.expect_exit(1 if "missing" in wrong else 2)
    checked = programs.pgairlock("check", "--offline", "--config", str(proxy.config_file))
    assert checked.returncode == 2
    for told in (proxy.log(), checked.stderr):
        assert re.search(rf"error: {proxy.config_file}:\d+:\d+: {section}.file: cannot open {what} /.*: \w.*\. Name a file", told), told
    assert not (directory / "proxy0" / "missing").exists()


def test_check_makes_no_file(run_proxy, pki, directory):
    config = configuration(pki, ["127.0.0.1:1"], log={"file": str(directory / "new.log")}, audit={"file": str(directory / "new.jsonl")},
                           runtime={"state_dir": str(directory / "not" / "yet")})
    (directory / "some.toml").write_text(to_toml(config))
    assert programs.pgairlock("check", "--offline", "--config", str(directory / "some.toml")).returncode == 0
    assert sorted(path.name for path in directory.iterdir()) == ["some.toml"]


@pytest.mark.parametrize("section, key", [("log", "log file"), ("audit", "audit file")])
def test_a_fifo_that_nobody_reads_is_refused_at_the_start(run_proxy, pki, cluster, directory, section, key):
    path = directory / "fifo"
    os.mkfifo(path)
    proxy = run_proxy(configuration(pki, [cluster.host], **{section: {"file": str(path)}}), wait=False)
    proxy.expect_exit(1)
    assert f"{section}.file: cannot open {key} {path}: it is a FIFO that nobody reads" in proxy.log()


def test_what_a_reader_that_stalls_costs_is_told_at_the_end(start, client, directory):
    path = directory / "fifo"
    reader = HeldUpPipe(path)
    proxy = start(audit={"file": str(path)})
    reader.fill()
    for _ in range(3):
        client(proxy).login()
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    assert re.search(r"error audit: up to \d+ events are lost", proxy.log())
    reported = programs.pgairlock("report", "--state-dir", str(proxy.state_dir), "--fail-on", "incomplete")
    assert reported.returncode == 1 and "incomplete" in reported.stdout.lower(), reported.stdout
    reader.close()


def test_a_fifo_that_nobody_reads_fails_a_reload_and_the_log_goes_on(start, client, directory):
    proxy = start()
    path = directory / "fifo"
    os.mkfifo(path)
    text = proxy.config_file.read_text()
    proxy.write_config(text + f'\n[log]\nfile = "{path}"\n')
    proxy.signal(signal.SIGHUP)
    assert "FIFO that nobody reads" in proxy.event("reload_failed")["message"]
    proxy.wait_for_log("reload failed.*FIFO that nobody reads")
    client(proxy).login()


def test_another_log_file_takes_over_with_a_reload(start, client, directory):
    first, second = directory / "first.log", directory / "second.log"
    proxy = start(log={"file": str(first)})
    proxy.write_config(proxy.config_file.read_text().replace("first.log", "second.log"))
    proxy.signal(signal.SIGHUP)
    until(lambda: second.exists() and "reloaded: SIGHUP" in second.read_text(), what="the other file")
    assert "reloaded" not in first.read_text()


def test_a_fifo_in_the_place_of_rotated_files_holds_up_nobody(start, client, directory):
    log, audit = directory / "pgairlock.log", directory / "audit.jsonl"
    proxy = start(log={"file": str(log)}, audit={"file": str(audit)})
    until(lambda: audit.exists() and "started" in audit.read_text())
    for path in (log, audit):
        path.rename(directory / f"{path.name}.1")
        os.mkfifo(path)
    proxy.signal(signal.SIGUSR1)
    old_log, old_audit = directory / "pgairlock.log.1", directory / "audit.jsonl.1"
    until(lambda: f"cannot reopen log file {log}: it is a FIFO that nobody reads" in old_log.read_text(), what="the log's error")
    until(lambda: f"audit: cannot open {audit}: it is a FIFO that nobody reads" in old_log.read_text(), what="the audit's error")
    client(proxy).login()
    until(lambda: '"connected"' in old_audit.read_text(), what="events in the old file")


def test_the_log_file_is_not_for_everybody(start, directory):
    path = directory / "pgairlock.log"
    start(log={"file": str(path)})
    assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0


# --- floods


def test_lines_that_strangers_cause_are_summed_up(start, client):
    proxy = start()
    count = 300
    begin = time.monotonic()
    for _ in range(count):
        raw = client(proxy)
        raw.send(b"GET / HTTP/1.1\r\n\r\n")
        raw.close()

    def lines():
        return len(re.findall("refused: ", proxy.log()))

    def left_out():
        return sum(int(number) for number in re.findall(r'listener "\S+": (\d+) more lines of this kind within a second: ', proxy.log()))

    until(lambda: lines() + left_out() == count, what="every one of them, written or counted")
    assert lines() <= time.monotonic() - begin + 1


def test_in_json_a_line_about_a_session_has_its_fields(start, client, connect):
    proxy = start(log={"format": "json", "level": "debug"}, tls={"mode": "require"})
    with client(proxy) as raw:
        raw.send(messages.startup())
        assert raw.fatal().sqlstate == "28000"
    refused = proxy.event("rejected")
    connect(proxy, sslmode="require")
    connected = proxy.event("connected")

    def line_of(event):
        found = [line for line in map(json.loads, proxy.log().splitlines()) if line.get("session") == event["session"]]
        return found and found[0]

    for event, level, text in ((refused, "warning", "refused: "), (connected, "debug", "TLS connected to postgres as trust_user")):
        line = until(lambda event=event: line_of(event), what=f"a line about {event['session']}")
        assert (line["client"], line["listener"], line["level"]) == ("127.0.0.1", "legacy", level)
        assert line["message"].startswith(f"{event['session']} 127.0.0.1: {text}")
    assert all("session" not in line for line in map(json.loads, proxy.log().splitlines()) if "listening on" in line["message"])
