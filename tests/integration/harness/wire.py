"""A raw protocol client: every byte, its moment and its packet are the test's choice. TLS runs over memory, so it can be cut up too."""

import hashlib
import select
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field

from . import messages, secrets
from .cluster import PASSWORDS
from .scram import ScramClient, end_point
from .waiting import PATIENCE


def tls_context(*, ca=None, alpn=None, minimum=None, maximum=None, ciphers=None, certificate=None) -> ssl.SSLContext:
    """Without `ca` the server's certificate is accepted whatever it is, as libpq's sslmode=require does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if ca:
        context.load_verify_locations(str(ca))
        context.verify_mode = ssl.CERT_REQUIRED
        context.check_hostname = True
    if alpn:
        context.set_alpn_protocols(alpn)
    if ciphers:
        context.set_ciphers(ciphers)
    context.minimum_version = minimum or ssl.TLSVersion.TLSv1_2
    if maximum:
        context.maximum_version = maximum
    if certificate:
        context.load_cert_chain(certificate.cert, certificate.key)
    return context


@dataclass
class Login:
    """What the server said on the way to ReadyForQuery."""

    backend_pid: int = 0
    key: bytes = b""
    parameters: dict = field(default_factory=dict)
    mechanisms: list = field(default_factory=list)
    asked: list = field(default_factory=list)  # the codes of the Authentication requests
    kinds: list = field(default_factory=list)


class Client:
    def __init__(self, address, *, chunk=None, timeout=PATIENCE, source=None, receive_buffer=None):
        """`address`: (host, port), or a path. `chunk`: bytes per send, with a pause between, so that they arrive apart."""
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(address)
        if family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.port = self.sock.getsockname()[1]
        self.chunk = chunk
        self.tls: ssl.SSLObject | None = None
        self.binding: bytes | None = None  # for gs2 flag p, instead of the SHA-256 of the certificate that was shown
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ahead = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- bytes

    def send_raw(self, data: bytes) -> None:
        if self.chunk is None:
            self.sock.sendall(data)
            return
        for start in range(0, len(data), self.chunk):
            self.sock.sendall(data[start:start + self.chunk])
            time.sleep(0.0003)

    def send(self, data: bytes) -> None:
        """Inside TLS, when it is on; a chunk is then a record of its own."""
        if self.tls is None:
            self.send_raw(data)
            return
        step = self.chunk or len(data) or 1
        for start in range(0, len(data), step):
            self.tls.write(data[start:start + step])
            self._flush()

    def receive_some(self) -> bytes:
        """b"" at the end of the stream, however it came about."""
        if self._ahead:
            data = bytes(self._ahead)
            self._ahead.clear()
            return data
        try:
            return self.sock.recv(1 << 16) if self.tls is None else self._tls(self.tls.read, 1 << 16)
        except (ConnectionResetError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def receive(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self.receive_some()
            if not part:
                raise EOFError(f"closed after {len(data)} of {count} bytes: {bytes(data)!r}")
            data += part
        self._ahead = data[count:] + self._ahead
        return bytes(data[:count])

    def is_silent(self, seconds: float) -> bool:
        return not self._ahead and not select.select([self.sock], [], [], seconds)[0]

    def expect_closed(self) -> None:
        rest = self.receive_some()
        assert rest == b"", f"more was sent: {rest[:200]!r}"

    def close(self) -> None:
        self.sock.close()

    def abort(self) -> None:
        """Ends with RST instead of FIN, if it has not ended yet."""
        if self.sock.fileno() < 0:
            return
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # --- negotiation

    def request_tls(self) -> bytes:
        self.send(messages.SSL_REQUEST)
        return self.receive(1)

    def start_tls(self, context: ssl.SSLContext | None = None, name: str | None = "localhost") -> None:
        assert not self._ahead, self._ahead
        self.tls = (context or tls_context()).wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._tls(self.tls.do_handshake)

    def negotiate(self, how: str, context: ssl.SSLContext | None = None) -> "Client":
        """`how` as in the audit's field `negotiation`."""
        if how.startswith("gssenc+"):
            self.send(messages.GSSENC_REQUEST)
            assert self.receive(1) == b"N"
            how = how.removeprefix("gssenc+")
        if how == "sslrequest":
            assert self.request_tls() == b"S"
            self.start_tls(context)
        elif how == "direct":
            self.start_tls(context or tls_context(alpn=["postgresql"]))
        elif how == "sslrequest-refused":
            assert self.request_tls() == b"N"
        else:
            assert how == "plain", how
        return self

    def close_notify(self) -> None:
        """Ends our direction of a TLS session; the other stays open."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self._flush()

    def _tls(self, operation, *arguments):
        while True:
            try:
                return operation(*arguments)
            except ssl.SSLWantReadError:
                self._flush()
                data = self.sock.recv(1 << 18)
                self._incoming.write(data) if data else self._incoming.write_eof()
            finally:
                self._flush()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self.send_raw(data)

    # --- messages

    def message(self) -> tuple[bytes, bytes]:
        head = self.receive(5)
        return head[:1], self.receive(struct.unpack("!I", head[1:])[0] - 4)

    def error(self) -> messages.ErrorResponse:
        """The next message, which must be an ErrorResponse."""
        kind, body = self.message()
        assert kind == b"E", (kind, body)
        return messages.ErrorResponse(body)

    def fatal(self) -> messages.ErrorResponse:
        """The same, with the close that belongs to it."""
        error = self.error()
        assert error.severity == "FATAL", error.fields
        self.expect_closed()
        return error

    def authentication(self) -> tuple[int, bytes]:
        """The next message, which must be an Authentication request: its code, and what comes with it."""
        kind, body = self.message()
        if kind == b"E":
            raise messages.ErrorResponse(body)
        assert kind == b"R", (kind, body)
        return struct.unpack("!I", body[:4])[0], body[4:]

    def begin_login(self, user="trust_user", **parameters) -> tuple[int, bytes]:
        """Goes to the first Authentication request."""
        self.send(messages.startup(user, **parameters))
        return self.authentication()

    def login(self, user="trust_user", password=None, *, gs2="n", **parameters) -> Login:
        """Raises ErrorResponse when refused. `gs2` "p": binds the channel, by SHA-256 of the certificate that was shown."""
        self.send(messages.startup(user, **parameters))
        return self.finish_login(user, password or PASSWORDS.get(user), gs2)

    def finish_login(self, user="trust_user", password=None, gs2="n") -> Login:
        login, scram = Login(), None
        if password:
            secrets.tell_password(password)
        while True:
            kind, body = self.message()
            login.kinds.append(kind)
            if kind == b"E":
                raise messages.ErrorResponse(body)
            if kind == b"Z":
                return login
            if kind == b"K":
                login.backend_pid, login.key = struct.unpack("!I", body[:4])[0], body[4:]
            elif kind == b"S":
                name, value = body[:-1].split(b"\0")
                login.parameters[name.decode()] = value.decode()
            elif kind == b"R":
                scram = self._answer(body, user, password, gs2, login, scram)

    def _answer(self, body, user, password, gs2, login, scram):
        code, rest = struct.unpack("!I", body[:4])[0], body[4:]
        login.asked.append(code)
        if code == messages.CLEARTEXT:
            self.send(messages.password(password))
        elif code == messages.MD5:
            inner = hashlib.md5((password + user).encode()).hexdigest().encode()
            self.send(messages.password("md5" + hashlib.md5(inner + rest).hexdigest()))
        elif code == messages.SASL:
            login.mechanisms = mechanisms(rest)
            binding = (self.binding or end_point(self.certificate())) if gs2 == "p" else b""
            scram = ScramClient(password, gs2, binding)
            self.send(messages.sasl_initial_response(scram.mechanism, scram.first()))
        elif code == messages.SASL_CONTINUE:
            self.send(messages.message(b"p", scram.final(rest)))
        elif code == messages.SASL_FINAL:
            scram.check(rest)
        else:
            assert code == messages.OK, f"unknown authentication request {code}"
        return scram

    def certificate(self) -> bytes:
        """The one that was shown, as DER."""
        return self.tls.getpeercert(binary_form=True)

    def query(self, sql: str) -> list[list]:
        self.send(messages.query(sql))
        return self.rows()

    def rows(self) -> list[list]:
        """Everything up to ReadyForQuery; raises the ErrorResponse that came instead."""
        rows, error = [], None
        while True:
            kind, body = self.message()
            if kind == b"D":
                rows.append(messages.parse_row(body))
            elif kind == b"E":
                error = messages.ErrorResponse(body)
                if error.severity == "FATAL":
                    raise error
            elif kind == b"Z":
                if error:
                    raise error
                return rows


def mechanisms(offer: bytes) -> list[str]:
    """What came with an AuthenticationSASL."""
    return offer.rstrip(b"\0").decode().split("\0")
