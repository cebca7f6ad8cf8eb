"""What is in a capture and what is missing, counted from its blocks alone while it is written, so that a ring may delete what was counted."""

import mmap
import os
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

SECTION, PACKET, STATISTICS, JOURNAL = 0x0A0D0D0A, 6, 5, 9  # types of blocks
LONGEST_PACKET = 60_000  # of a conversation's bytes
SEQUENCES = 1 << 32
FIN, SYN, ACK = 1, 2, 16
# A client's port comes again; a gap that is longer than any short session has is another conversation, whose beginning was lost.
LONGEST_SHORT_SESSION = 1 << 20
LEFT_OUT = b"is left out: its beginning is not in this file"


@dataclass
class Flow:
    """One direction of a conversation, by TCP's sequence numbers."""

    next: int
    bytes: int = 0    # in the capture
    missing: int = 0  # between the first packet and the last, modulo SEQUENCES for each gap
    ended: bool = False

    @property
    def passed(self) -> int:
        """Modulo SEQUENCES, when there was no gap longer than that."""
        return self.bytes + self.missing


class Tally:
    """`short_sessions`: many, of which each says little."""

    def __init__(self, *, short_sessions=False):
        self.short_sessions = short_sessions
        self.flows: dict[tuple, Flow] = {}  # by interface, size of the IP header (records have IPv6's), and both ports, sender's first
        self.packets = 0
        self.bytes = 0            # of all blocks
        self.events = 0           # of the audit
        self.told = 0             # packets that are dropped, by the counts at those that follow
        self.statistics: dict[int, tuple[int, int]] = {}  # received and dropped, of the file that ended last
        self.numbered: dict[int, int] = {}  # packets by interface that passed both legs as they were: those have a number, from 1 on
        self.numbers = 0          # the highest of them
        self.begun = 0            # conversations of which the first packet is there
        self.headless = 0         # and of which it is not
        self.gaps = 0
        self.left_out = 0         # gaps that end with a comment: the rest of a message whose beginning is missing
        self.least_missing = 0    # packets that the gaps must have had

    def read(self, data, at=0) -> int:
        """Counts the whole blocks from `at` on; returns where the rest begins."""
        while at + 8 <= len(data):
            kind, size = struct.unpack_from("<II", data, at)
            assert size >= 12 and size % 4 == 0, f"no block at {at}: type {kind:#x}, {size} bytes"
            if at + size > len(data):
                break
            assert struct.unpack_from("<I", data, at + size - 4)[0] == size, f"the block at {at} is not whole"
            if kind == PACKET:
                self._packet(data, at, size)
            elif kind == STATISTICS:
                self._statistics(data, at, size)
            elif kind == JOURNAL:
                self.events += 1
            elif kind == SECTION:
                self.statistics = {}
            self.bytes += size
            at += size
        return at

    def _packet(self, data, at, size) -> None:
        interface, _, _, length = struct.unpack_from("<IIII", data, at + 8)
        self.packets += 1
        comments, dropped = b"", 0
        option = at + 28 + (length + 3) // 4 * 4
        while option + 4 < at + size - 4:
            code, value = struct.unpack_from("<HH", data, option)
            if code == 1:
                comments += data[option + 4:option + 4 + value]
            elif code == 4:
                dropped = struct.unpack_from("<Q", data, option + 4)[0]
            elif code == 5:
                self.numbered[interface] = self.numbered.get(interface, 0) + 1
                self.numbers = max(self.numbers, struct.unpack_from("<Q", data, option + 4)[0])
            option += 4 + (value + 3) // 4 * 4
        self.told += dropped
        head = at + 28
        head_size = 20 if data[head] >> 4 == 4 else 40
        source, target, sequence, _, offset, flags = struct.unpack_from("!HHIIBB", data, head + head_size)
        self._segment((interface, head_size, source, target), sequence, flags, length - head_size - (offset >> 4) * 4, comments)

    def _segment(self, key, sequence, flags, payload, comments) -> None:
        after = (sequence + payload + bool(flags & (SYN | FIN))) % SEQUENCES
        flow = self.flows.get(key)
        gap = (sequence - flow.next) % SEQUENCES if flow else 0
        if flags & SYN or flow is None or (self.short_sessions and gap > LONGEST_SHORT_SESSION):
            self.begun += bool(flags & SYN) and not flags & ACK
            self.headless += not flags & SYN
            self.flows[key] = Flow(after, payload)
            return
        if gap:
            self.gaps += 1
            if LEFT_OUT in comments:
                self.left_out += 1
            else:
                self.least_missing += -(-gap // LONGEST_PACKET)
        flow.missing += gap
        flow.bytes += payload
        flow.next = after
        flow.ended = flow.ended or bool(flags & FIN)

    def _statistics(self, data, at, size) -> None:
        interface = struct.unpack_from("<I", data, at + 8)[0]
        counts, option = {}, at + 20
        while option + 4 < at + size - 4:
            code, value = struct.unpack_from("<HH", data, option)
            if value == 8:
                counts[code] = struct.unpack_from("<Q", data, option + 4)[0]
            option += 4 + (value + 3) // 4 * 4
        self.statistics[interface] = counts.get(4, 0), counts.get(5, 0)

    @property
    def numbers_missing(self) -> int:
        """Of both legs, up to the highest that is there."""
        return sum(self.numbers - count for count in self.numbered.values())

    def faults(self, stopped: dict) -> list[str]:
        """Where what the capture said at its end (`capture_stopped`) is not what is in it."""
        received, dropped = (sum(counts) for counts in zip(*self.statistics.values())) if self.statistics else (0, 0)
        found = []
        if self.packets != stopped["packets"]:
            found.append(f"{self.packets} packets are in the files, {stopped['packets']} were written by its own count")
        if self.bytes != stopped["bytes"]:
            found.append(f"{self.bytes} bytes are in the files, {stopped['bytes']} were written by its own count")
        if dropped != stopped["dropped"]:
            found.append(f"the last file's statistics tell {dropped} dropped packets, capture_stopped {stopped['dropped']}")
        rests = stopped["rests"]
        if received != self.packets + dropped + rests:
            found.append(f"of {received} packets {self.packets} are in the files, {dropped} were counted as dropped and {rests} as rests of "
                         f"messages: {received - self.packets - dropped - rests} are lost without a word")
        if self.told > dropped:
            found.append(f"the packets tell {self.told} dropped ones, the statistics {dropped}")
        if self.least_missing > dropped:
            found.append(f"the gaps had at least {self.least_missing} packets, {dropped} were counted as dropped")
        if self.numbers_missing > dropped + rests:
            found.append(f"{self.numbers_missing} packets are missing by their numbers, {dropped} were counted as dropped, {rests} as rests")
        if self.headless and not dropped + rests:
            found.append(f"{self.headless} conversations have no beginning, and nothing was dropped")
        return found

    def figures(self) -> str:
        dropped = sum(count for _, count in self.statistics.values())
        return (f"{self.packets} packets and {self.bytes / 2**20:.0f} MiB captured, {dropped} packets dropped "
                f"({100 * dropped / max(self.packets + dropped, 1):.1f} %; {self.numbers_missing} by the packets' numbers), {self.gaps} gaps, "
                f"{self.events} events")


class Reader(threading.Thread):
    """Counts in the background. What goes wrong there is raised by finish()."""

    def __init__(self, tally: Tally):
        super().__init__(daemon=True)
        self.tally = tally
        self.over = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.count()
        except BaseException as error:  # noqa: BLE001: it is raised again
            self.error = error

    def take_all(self) -> None:
        """As fast as it comes, from now on."""

    def finish(self) -> None:
        """Once the capture is at its end."""
        self.over.set()
        self.join()
        if self.error:
            raise self.error


class RingReader(Reader):
    """Of a folder's one ring. It has files open until it has read them, so their deletion takes nothing from it."""

    def __init__(self, folder: Path, tally: Tally):
        super().__init__(tally)
        self.folder = folder
        self.seen: set[str] = set()
        self.waiting: list = []  # open files, the oldest first, each with its path
        self.at = 0              # in the first of them
        self.most = 0            # bytes in the folder at once
        self.start()

    def count(self) -> None:
        while not self.over.wait(0.01):
            self._pass()
        self._pass()
        assert len(self.waiting) <= 1, "the ring has ended, and files of it were not read to their end"
        for file, path in self.waiting:
            assert self.at == os.fstat(file.fileno()).st_size, f"{path}: {self.at} bytes are whole blocks"
            file.close()

    def _pass(self) -> None:
        self._open()
        while self.waiting:
            file, path = self.waiting[0]
            next_is_there = len(self.waiting) > 1  # looked at before: then this one is complete
            self._read(file)
            if not next_is_there:
                return
            assert self.at == os.fstat(file.fileno()).st_size, f"{path}: {self.at} bytes are whole blocks"
            file.close()
            self.waiting.pop(0)
            self.at = 0

    def _open(self) -> None:
        sizes = 0
        for path in sorted(self.folder.glob("capture-*.pcapng"), key=lambda path: int(path.stem.rpartition("-")[2])):
            try:
                sizes += path.stat().st_size
                if path.name not in self.seen:
                    self.waiting.append((open(path, "rb"), path))
            except FileNotFoundError:
                continue
            if path.name not in self.seen:
                self.seen.add(path.name)
                assert int(path.stem.rpartition("-")[2]) == len(self.seen), f"{path.name} is new, and is only the {len(self.seen)}th that was seen"
        self.most = max(self.most, sizes)

    def _read(self, file) -> None:
        size = os.fstat(file.fileno()).st_size
        if size <= self.at:
            return
        with mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) as data:
            self.at = self.tally.read(data, self.at)


class SlowReader(Reader):
    """Of a pipe that takes next to nothing before take_all(), yet so much that nobody takes it for dead."""

    def __init__(self, pipe, tally: Tally):
        super().__init__(tally)
        self.pipe = pipe
        self.hurry = threading.Event()
        self.start()

    def take_all(self) -> None:
        self.hurry.set()

    def count(self) -> None:
        data = b""
        while more := os.read(self.pipe.fileno(), 1 << 16 if not self.hurry.is_set() else 1 << 20):
            data += more
            data = data[self.tally.read(data):]
            self.hurry.wait(0.2)
        assert not data, f"{len(data)} bytes at the end are no whole block"
