"""The proxy as a process: start, addresses, audit events, log, signals; and what must hold for every run of it."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from . import programs, secrets
from .config import to_toml
from .waiting import PATIENCE, until

LISTENING = re.compile(r"^(?:.* info )?listening on (\S+) -> (\S+) \((\S+)\)$", re.MULTILINE)
CONSOLE = "/console/.s.PGSQL.6434"  # in the state directory
SANITIZER = ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer", "LeakSanitizer")


class Proxy:
    def __init__(self, directory: Path, config: dict | str | None = None, *, arguments=(), environment=None, wrapper=(), pass_fds=()):
        """`config`: a dict or TOML text, written to a file; without it the run is made of `arguments` alone."""
        self.directory = directory
        self.expected_exit = 0
        directory.mkdir(exist_ok=True)
        self.state_dir = directory / "state"
        self.config_file = directory / "pgairlock.toml"
        command = [programs.PGAIRLOCK, "run"]
        if config is not None:
            self.write_config(config)
            command += ["--config", str(self.config_file)]
        command += [str(part) for part in arguments]
        with open(directory / "stdout", "wb") as out, open(directory / "stderr", "wb") as err:
            self.process = subprocess.Popen(
                programs.with_death_signal([*wrapper, *command]), stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=directory,
                pass_fds=pass_fds, env={**os.environ, "STATE_DIRECTORY": str(self.state_dir), **(environment or {})})

    def write_config(self, config: dict | str) -> None:
        """Also used to change it before a reload. The state directory is ours unless the configuration names one."""
        if isinstance(config, dict):
            config.setdefault("runtime", {}).setdefault("state_dir", str(self.state_dir))
            config = to_toml(config)
        self.config_file.write_text(config)

    # --- starting and stopping

    def wait_until_listening(self, count=1, timeout=PATIENCE) -> "Proxy":
        end = time.monotonic() + timeout
        while len(self.addresses) < count:
            assert self.process.poll() is None, f"exited with {self.process.returncode}\n{self.stdout()}\n{self.log()}"
            assert time.monotonic() < end, f"not listening after {timeout} s\n{self.stdout()}\n{self.log()}"
            time.sleep(0.01)
        return self

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def expect_exit(self, code: int, timeout=PATIENCE) -> None:
        self.expected_exit = code
        assert self.process.wait(timeout) == code, self.log()

    def stop(self) -> None:
        """Ends the process and checks what must hold for every run, whatever the test was about."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGABRT)
                self.process.wait(PATIENCE)
                raise AssertionError(f"still running {PATIENCE} s after SIGTERM\n{self.log()}") from None
        self.check_invariants()

    def check_invariants(self) -> None:
        log = self.log()
        assert self.process.returncode == self.expected_exit, f"exit {self.process.returncode}\n{log[-8000:]}"
        for text in SANITIZER:
            assert text not in log, log[-20000:]
        assert "unexpected eof" not in log.lower(), log[-8000:]
        recorded = log + self.stdout() + self.audit_text()
        assert not secrets.found_in(recorded), f"{secrets.found_in(recorded)} was written to the log or the audit"

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)

    # --- where it listens

    @property
    def addresses(self) -> list:
        """(host, port) or the path of a UNIX-domain socket, in the order printed; on stdout, unless that carries the audit."""
        return [_address(text) for text, _, _ in LISTENING.findall(self.stdout()) or LISTENING.findall(self.log())]

    @property
    def address(self):
        return self.addresses[0]

    @property
    def port(self) -> int:
        return self.address[1]

    @property
    def console(self) -> str:
        """The socket of its console, unless the configuration says otherwise."""
        return f"{self.state_dir}{CONSOLE}"

    @property
    def http(self):
        """Where it answers over HTTP, once it does: as `address`."""
        return _address(self.wait_for_log(r"http at \S+").split()[-1])

    # --- what it says

    def stdout(self) -> str:
        return (self.directory / "stdout").read_text(errors="replace")

    def log(self) -> str:
        return (self.directory / "stderr").read_text(errors="replace")

    def wait_for_log(self, pattern: str, timeout=PATIENCE) -> str:
        found = until(lambda: re.search(pattern, self.log(), re.IGNORECASE), timeout=timeout, what=f"log line /{pattern}/")
        return found.group(0)

    def audit_text(self, errors="strict") -> str:
        """The file is UTF-8 by contract; `errors` is for showing one that is not."""
        return "".join(path.read_text(encoding="utf-8", errors=errors) for path in sorted(self.state_dir.glob("audit.jsonl*")))

    def all_events(self) -> list[dict]:
        """Complete lines only: the last may be half written."""
        return [json.loads(line) for line in self.audit_text().split("\n")[:-1]]

    def events(self, name: str, count=1, timeout=PATIENCE, **fields) -> list[dict]:
        """At least `count` events of that name having these field values, waited for."""
        def matching():
            return [event for event in self.all_events()
                    if event["event"] == name and all(event.get(key) == value for key, value in fields.items())]
        end = time.monotonic() + timeout
        while len(matching()) < count:
            assert time.monotonic() < end, f"{count} {name} {fields} not within {timeout} s; have:\n{self.audit_text()}\n{self.log()}"
            time.sleep(0.02)
        return matching()

    def event(self, name: str, timeout=PATIENCE, **fields) -> dict:
        """The one event of that name."""
        found = self.events(name, 1, timeout, **fields)
        assert len(found) == 1, found
        return found[0]

    # --- what it uses

    def rss_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))

    def fds(self) -> list[str]:
        """What its descriptors are: "socket:[1234]", "anon_inode:[eventfd]", paths."""
        found = []
        for path in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                found.append(os.readlink(path))
            except FileNotFoundError:  # closed meanwhile
                pass
        return sorted(found)

    def sockets(self) -> int:
        """Those of clients and servers: beyond the listeners and the console."""
        netlink = Path(f"/proc/{self.process.pid}/net/netlink").read_text().split("\n")[1:]
        ours = {f"socket:[{line.split()[-1]}]" for line in netlink if line}
        unix = Path(f"/proc/{self.process.pid}/net/unix").read_text().split("\n")[1:]
        ours |= {f"socket:[{line.split()[6]}]" for line in unix if line.endswith(CONSOLE)}
        return sum(link.startswith("socket:") and link not in ours for link in self.fds()) - len(self.addresses)


def authenticated(event: dict) -> tuple:
    """What a `connected` or `auth_failed` says about how: by which method, over which bridge, with which gs2 flag."""
    return event["auth_method"], event["auth_bridge"], event["gs2_flag"]


def _address(text: str):
    if text.startswith("unix:"):
        return text[len("unix:"):]
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
