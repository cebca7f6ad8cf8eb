"""As much of PostgreSQL's protocol as holding many idle connections takes: log in without a password, run a query."""

import socket
import ssl
import struct

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
PROTOCOL_3_0 = 3 << 16


class Connection:
    def __init__(self, port: int, *, tls: bool, direct=False, user="postgres", database="bench", timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        try:
            if tls:
                self._start_tls(direct)
            self._stream = self.socket.makefile("rb")
            parameters = b"".join(text.encode() + b"\0" for text in ("user", user, "database", database)) + b"\0"
            self.socket.sendall(struct.pack("!ii", 8 + len(parameters), PROTOCOL_3_0) + parameters)
            self._rows()
        except BaseException:
            self.socket.close()
            raise

    def query(self, text: str) -> list[list[str | None]]:
        body = text.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", 4 + len(body)) + body)
        return self._rows()

    def encryption(self) -> str:
        return f"{self.socket.version()} {self.socket.cipher()[0]}" if isinstance(self.socket, ssl.SSLSocket) else "plain"

    def close(self) -> None:
        try:
            self.socket.sendall(b"X" + struct.pack("!i", 4))
        except OSError:
            pass  # the other end was quicker
        self._stream.close()
        self.socket.close()

    def _start_tls(self, direct: bool) -> None:
        if not direct:
            self.socket.sendall(SSL_REQUEST)
            if (answer := self.socket.recv(1)) != b"S":
                raise ConnectionError(f"answer to SSLRequest: {answer!r}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if direct:
            context.set_alpn_protocols(["postgresql"])
        self.socket = context.wrap_socket(self.socket)

    def _rows(self) -> list[list[str | None]]:
        """The data rows up to ReadyForQuery."""
        rows = []
        while True:
            header = self._stream.read(5)
            if len(header) < 5:
                raise ConnectionError("connection closed by the other end")
            body = self._stream.read(struct.unpack("!i", header[1:])[0] - 4)
            match header[:1]:
                case b"D":
                    rows.append(_values(body))
                case b"E":
                    raise ConnectionError(body.replace(b"\0", b" ").decode(errors="replace"))
                case b"Z":
                    return rows


def _values(body: bytes) -> list[str | None]:
    values, at = [], 2
    for _ in range(struct.unpack_from("!h", body)[0]):
        (size,) = struct.unpack_from("!i", body, at)
        at += 4
        values.append(None if size < 0 else body[at:at + size].decode())
        at += max(size, 0)
    return values
