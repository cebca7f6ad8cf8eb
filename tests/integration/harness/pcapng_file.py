"""pcapng files as a capture writes them, from the format's specification alone: reader and writer of the program share nothing with it."""

import ipaddress
import json
import struct
import time as clock
from pathlib import Path

SYN, FIN, RST, PSH, ACK = 2, 1, 4, 8, 16
IN, OUT = 1, 2  # epb_flags: seen from the interface
CLIENT, SERVER = "client", "server"
MAX_PAYLOAD = 60_000


def now() -> int:
    """Nanoseconds since 1970."""
    return clock.time_ns()


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def _options(*options: bytes) -> bytes:
    return b"".join(options) + struct.pack("<HH", 0, 0) if any(options) else b""


def block(kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + size + body + size


class CaptureFile:
    """Interfaces: 0 is the client leg, 1 the server leg."""

    def __init__(self, path: Path, listener="orders", comments=()):
        self.path = path
        self.file = open(path, "wb")  # closed by close()
        section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
        self.write(block(0x0A0D0D0A, section + _options(*(_option(1, c.encode()) for c in comments), _option(4, b"pgairlock"))))
        for leg in ("client", "server"):
            self.write(block(1, struct.pack("<HHI", 101, 0, 0) +
                             _options(_option(2, f"{listener} {leg} leg".encode()), _option(9, b"\x09"))))

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.file.flush()

    def packet(self, time: int, data: bytes, direction: int, interface=0, comments=(), dropped=0) -> None:
        options = [_option(1, comment.encode(errors="surrogateescape")) for comment in comments]
        options.append(_option(2, struct.pack("<I", direction)))
        if dropped:
            options.append(_option(4, struct.pack("<Q", dropped)))
        head = struct.pack("<IIIII", interface, time >> 32, time & 0xffffffff, len(data), len(data))
        self.write(block(6, head + data + b"\0" * (-len(data) % 4) + _options(*options)))

    def event(self, time: int, **fields) -> None:
        """An audit event, as an entry of systemd's journal."""
        line = json.dumps(fields)
        text = f"__REALTIME_TIMESTAMP={time // 1000}\nSYSLOG_IDENTIFIER=pgairlock\nPGAIRLOCK_EVENT={fields['event']}\n"
        if fields.get("session"):
            text += f"PGAIRLOCK_SESSION={fields['session']}\n"
        self.write(block(9, (text + f"MESSAGE={line}\n").encode()))

    def statistics(self, time: int, dropped: int, interface=0) -> None:
        counts = _option(4, struct.pack("<Q", 1000)) + _option(5, struct.pack("<Q", dropped))
        self.write(block(5, struct.pack("<III", interface, time >> 32, time & 0xffffffff) + _options(counts)))

    def close(self) -> None:
        self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Conversation:
    """One session on the client leg. What is said goes to `file`, which may be exchanged for the ring's next one. `first`: the
    sequence number of both SYNs."""

    def __init__(self, file: CaptureFile, client=("10.0.0.7", 40001), server=("10.0.0.1", 5432), mapped=False, first=4_294_967_000, **facts):
        self.file, self.ends = file, {CLIENT: client, SERVER: server}
        self.next = {CLIENT: first + 1, SERVER: first + 1}
        self.mapped = mapped  # raw records: IPv4 written as IPv6
        self.comments = [" ".join(f"{key}={_quoted(value)}" for key, value in facts.items())] if facts else []

    def open(self, time: int) -> "Conversation":
        self._segment(time, CLIENT, SYN, -1)
        self._segment(time, SERVER, SYN | ACK, -1)
        self._segment(time, CLIENT, ACK)
        return self

    def say(self, time: int, side: str, data: bytes, dropped=0, comments=()) -> "Conversation":
        self.comments += comments
        for at in range(0, len(data), MAX_PAYLOAD):
            part = data[at:at + MAX_PAYLOAD]
            self._segment(time, side, PSH | ACK, payload=part, dropped=dropped)
            self.skip(side, len(part))
        return self

    def skip(self, side: str, size: int) -> "Conversation":
        """What was said is not in the file."""
        self.next[side] = (self.next[side] + size) % (1 << 32)
        return self

    def close(self, time: int, side=CLIENT, reset=False) -> "Conversation":
        self._segment(time, side, (RST if reset else FIN) | ACK)
        self.skip(side, 1)
        if not reset:
            other = SERVER if side == CLIENT else CLIENT
            self._segment(time, other, FIN | ACK)
        return self

    def _segment(self, time, side, flags, offset=0, payload=b"", dropped=0):
        other = SERVER if side == CLIENT else CLIENT
        (source, source_port), (target, target_port) = self.ends[side], self.ends[other]
        tcp = struct.pack("!HHIIBBHHH", source_port, target_port, (self.next[side] + offset) % (1 << 32), self.next[other],
                          5 << 4, flags, 65535, 0, 0) + payload
        source, target = ipaddress.ip_address(source), ipaddress.ip_address(target)
        if self.mapped or source.version == 6:
            packed = [_as_v6(address) for address in (source, target)]
            ip = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + packed[0] + packed[1]
        else:
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + source.packed + target.packed
        self.file.packet(time, ip + tcp, IN if side == CLIENT else OUT, comments=self.comments, dropped=dropped)
        self.comments = []


def _as_v6(address) -> bytes:
    return address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed


def _quoted(value) -> str:
    text = str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if " " in text or '"' in text or not text else text
