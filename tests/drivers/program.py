"""A client program as a process: one login after the other goes in, one answer comes out for each (README.md has the contract)."""

import json
import os
import selectors
import subprocess
import time
from pathlib import Path

from rows import Client, Version, programs

START_TIMEOUT = 300  # seconds; a JVM on a busy machine
LOGIN_TIMEOUT = 120  # the program itself gives up after 60
NOT_SUPPORTED = "not supported by the driver"


class Broken(Exception):
    """The program does not keep the contract."""


class Program:
    def __init__(self, client: Client, directory: Path):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "KRB5"))}
        self._errors = directory / f"{client.driver.name.replace('/', '-')}.stderr"
        with open(self._errors, "wb") as errors:
            self._process = subprocess.Popen(
                programs.with_death_signal(client.command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=directory,
                env={**environment, "HOME": str(directory), "PYTHONDONTWRITEBYTECODE": "1", **client.environment})
        os.set_blocking(self._process.stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self._received = b""
        self._count = 0
        hello = self._line(START_TIMEOUT)
        self.name, self.version, self.detail = hello["driver"], hello["version"] or "unknown", hello["detail"]

    def login(self, **request) -> dict:
        self._count += 1
        request = {"id": str(self._count), **request}
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Broken(f"ended by itself\n{self.errors()}") from None
        answer = self._line(LOGIN_TIMEOUT)
        if answer.get("id") != request["id"]:
            raise Broken(f"answered {answer} to {request}")
        return answer

    def close(self) -> None:
        """End of file on its input is the order to leave."""
        self._process.stdin.close()
        try:
            if self._process.wait(60):
                raise Broken(f"exit status {self._process.returncode}\n{self.errors()}")
        finally:
            self.kill()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(60)
        self._process.stdout.close()

    def errors(self) -> str:
        return self._errors.read_text(errors="replace")[-2000:]

    def _line(self, timeout: float) -> dict:
        end = time.monotonic() + timeout
        while b"\n" not in self._received:
            if not self._selector.select(max(0.0, end - time.monotonic())):
                raise Broken(f"said nothing for {timeout} s\n{self.errors()}")
            part = os.read(self._process.stdout.fileno(), 65536)
            if not part:
                raise Broken(f"ended by itself\n{self.errors()}")
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return json.loads(line)


def parsed(version: str) -> Version:
    """The numbers that a version begins with: "15.20 (Debian ...)" and "libpq 15.20" are (15, 20)."""
    words = [word for word in version.split() if word[:1].isdigit()]
    numbers = []
    for part in (words[0] if words else "").split("."):
        digits = part[:len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
