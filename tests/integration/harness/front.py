"""What stands in front of the proxy: PROXY protocol headers as bytes, a small front that sends one ahead of each connection, and HAProxy."""

import ipaddress
import socket
import struct
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from . import programs

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
UNSPEC, TCP4, TCP6, UNIX = 0x00, 0x11, 0x21, 0x31
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL, NETNS, AWS, AZURE = 0x01, 0x02, 0x03, 0x04, 0x05, 0x20, 0x30, 0xEA, 0xEE
SSL_VERSION, SSL_CN, SSL_CIPHER = 0x21, 0x22, 0x23
HERE = ("10.0.0.5", 5432)  # where the client connected to, as far as the front says


def v1(client: str, port=50000) -> bytes:
    family = "TCP6" if ":" in client else "TCP4"
    return f"PROXY {family} {client} {'::1' if ':' in client else HERE[0]} {port} {HERE[1]}\r\n".encode()


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def ssl_tlv(client: int, verify=0, version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", name="") -> bytes:
    """`client`: 1 TLS, 2 with a certificate, 4 with one when the session began."""
    parts = tlv(SSL_VERSION, version.encode()) + tlv(SSL_CIPHER, cipher.encode()) if client else b""
    return tlv(SSL, struct.pack("!BI", client, verify) + parts + (tlv(SSL_CN, name.encode()) if name else b""))


def addresses(client: str, port=50000) -> tuple[int, bytes]:
    address = ipaddress.ip_address(client)
    here = ipaddress.ip_address("::1" if address.version == 6 else HERE[0])
    return (TCP6 if address.version == 6 else TCP4), address.packed + here.packed + struct.pack("!HH", port, HERE[1])


def header(command: int, family: int, rest: bytes = b"") -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


def v2(client: str, tlvs: bytes = b"", port=50000) -> bytes:
    family, where = addresses(client, port)
    return header(PROXY, family, where + tlvs)


def with_checksum(made: bytes) -> bytes:
    """A header of version 2 with one more part, its CRC-32C."""
    rest = made[16:] + tlv(CRC32C, bytes(4))
    whole = bytearray(made[:14] + struct.pack("!H", len(rest)) + rest)
    whole[-4:] = struct.pack("!I", crc32c(bytes(whole)))
    return bytes(whole)


def crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


class Front:
    """Passes connections on, each behind `header`: bytes, or what makes them."""

    def __init__(self, target: tuple[str, int], header):
        self._target, self._header = target, header
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.address = self._sock.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return self.address[1]

    def close(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._pass_on, args=(self._sock.accept()[0],), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        with suppress(OSError):
            far = socket.create_connection(self._target)
            far.sendall(self._header() if callable(self._header) else self._header)
            threading.Thread(target=self._copy, args=(far, near), daemon=True).start()
            self._copy(near, far)

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


class HaProxy:
    """Debian's, with one frontend before one server: `bind` and `server` are the words behind their addresses."""

    def __init__(self, directory: Path, target: tuple[str, int], *, bind="", server="", backend=()):
        directory.mkdir()
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = listening.getsockname()
        self._log = directory / "log"
        config = directory / "haproxy.cfg"
        lines = [
            "global", "    log stdout format raw daemon", "    nbthread 1",
            "defaults", "    mode tcp", "    log global", "    timeout connect 60s", "    timeout client 10m", "    timeout server 10m", "    timeout check 60s",
            "frontend clients", f"    bind fd@{listening.fileno()} {bind}", "    default_backend pgairlock",
            "backend pgairlock", *(f"    {line}" for line in backend), f"    server one {target[0]}:{target[1]} {server}",
        ]
        config.write_text("\n".join(lines) + "\n")
        with open(self._log, "wb") as out:
            self.process = subprocess.Popen(programs.with_death_signal(["/usr/sbin/haproxy", "-db", "-f", str(config)]), stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=subprocess.STDOUT, pass_fds=[listening.fileno()])
        listening.close()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
