"""Captures: windows in the configuration, the files that they leave, and what tshark makes of them."""

import shutil
import struct
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from . import programs
from .waiting import until

DAY = timedelta(days=1)


def window(begin=-DAY, end=DAY, now=None) -> str:
    """From and to, counted from now."""
    now = now or datetime.now(timezone.utc)
    return f"{now + begin:%Y-%m-%dT%H:%M:%SZ}/{now + end:%Y-%m-%dT%H:%M:%SZ}"


def capture(**keys) -> dict:
    """The table [capture] of a window that is open now."""
    return {"windows": [window()], "min_free_space": "0B", **keys}


def files(proxy) -> list[Path]:
    """The oldest first."""
    return sorted(proxy.state_dir.glob("captures/capture-*.pcapng"), key=lambda path: (path.stem.rpartition("-")[0], int(path.stem.rpartition("-")[2])))


def started(proxy) -> dict:
    """The event of the first one, once its file has a beginning."""
    event = proxy.events("capture_started")[0]
    until(lambda: files(proxy) and files(proxy)[0].stat().st_size > 0, what="a capture file")
    return event


def raw(proxy) -> bytes:
    return b"".join(path.read_bytes() for path in files(proxy))


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    """(type, whole block); raises unless there are whole blocks alone."""
    found = []
    while data:
        kind, length = struct.unpack_from("<II", data)
        assert 12 <= length <= len(data) and length % 4 == 0, (kind, length, len(data))
        assert struct.unpack_from("<I", data, length - 4)[0] == length
        found.append((kind, data[:length]))
        data = data[length:]
    return found


SECTION, INTERFACE, PACKET, SECRETS, JOURNAL, STATISTICS = 0x0A0D0D0A, 1, 6, 10, 9, 5


def kinds(path: Path) -> list[int]:
    return [kind for kind, _ in blocks(path.read_bytes())]


def tshark_program() -> str:
    """Without it, the test is skipped."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed: scripts/install-deps test installs it")
    return "tshark"


def tshark(path, *fields, filter=None, options=()) -> list[list[str]]:
    """One row for each packet, without any option that a user would have to know."""
    command = [tshark_program(), "-n", "-r", str(path), "-T", "fields", "-E", "separator=\x1f", "-E", "aggregator=\x1e", *options]
    for field in fields:
        command += ["-e", field]
    if filter:
        command += ["-Y", filter]
    out = programs.run(command).stdout
    return [line.split("\x1f") for line in out.split("\n")[:-1]]


def values(path, field, **more) -> list[str]:
    """All values of a field, in order; packets that have none are left out."""
    return [value for row in tshark(path, field, **more) for value in row[0].split("\x1e") if value]


def wait_for_bytes(proxy, needle: bytes) -> None:
    until(lambda: needle in raw(proxy), what=f"{needle!r} in a capture of {proxy.directory.name}")


def wait_for_event(proxy, name: str, session=None) -> None:
    """Until the capture has that event of a session: what came before it is written."""
    def there():
        text = raw(proxy)
        return f"PGAIRLOCK_EVENT={name}\n".encode() in text and (session is None or session.encode() in text)
    until(there, what=f"{name} in a capture")
