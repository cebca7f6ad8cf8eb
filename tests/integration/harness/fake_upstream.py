"""A PostgreSQL server that lies, hangs and breaks off as a test's script says: one thread per connection, everything recorded."""

import socket
import ssl
import struct
import threading

from . import messages
from .scram import ScramServer
from .waiting import PATIENCE


def server_context(certificate, *, client_ca=None, alpn=None, maximum=None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    if client_ca:
        context.load_verify_locations(str(client_ca))
        context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols(alpn)
    if maximum:
        context.maximum_version = maximum
    return context


class Peer:
    """One connection of the proxy, seen from the server."""

    def __init__(self, sock: socket.socket):
        self.sock = sock
        self.opening: list[str] = []  # what came, in order: "SSLRequest", "tls", "StartupMessage", "CancelRequest", ...
        self.startup: dict[str, str] = {}
        self.cancel: tuple[int, bytes] | None = None
        self.sni: str | None = None
        self.client_subject = None
        self.ended: BaseException | None = None
        self.heard = bytearray()  # everything that was read

    def receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise EOFError(f"closed after {self.opening}")
            data += part
            self.heard += part
        return data

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def packet(self) -> str:
        """Reads one startup-phase packet and says what it was."""
        length, code = struct.unpack("!II", self.receive(8))
        body = self.receive(length - 8)
        name = {80877103: "SSLRequest", 80877104: "GSSENCRequest", messages.CANCEL_CODE: "CancelRequest"}.get(code, "StartupMessage")
        self.opening.append(name)
        if name == "StartupMessage":
            self.startup = messages.parse_startup(body)
        if name == "CancelRequest":
            self.cancel = struct.unpack("!I", body[:4])[0], body[4:]
        return name

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.opening.append("ClientHello")
        context.sni_callback = lambda _, name, __: setattr(self, "sni", name)
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.opening[-1] = "tls"
        self.client_subject = self.sock.getpeercert()

    def open(self, context: ssl.SSLContext | None) -> None:
        """As far as the StartupMessage, through TLS when there is a context."""
        if context:
            assert self.packet() == "SSLRequest"
            self.send(b"S")
            self.start_tls(context)
        assert self.packet() == "StartupMessage"

    def message(self) -> tuple[bytes, bytes]:
        head = self.receive(5)
        return head[:1], self.receive(struct.unpack("!I", head[1:])[0] - 4)

    def sasl(self, *mechanisms: str) -> tuple[str, bytes]:
        """Offers them, and gives the one that was chosen with the client-first-message."""
        self.send(messages.sasl_offer(*mechanisms))
        return messages.parse_sasl_initial_response(self.message()[1])

    def scram(self, server: ScramServer, *mechanisms: str) -> str:
        """The whole of SCRAM, up to AuthenticationSASLFinal; gives the mechanism that was chosen."""
        mechanism, first = self.sasl(*mechanisms)
        self.send(messages.authentication(messages.SASL_CONTINUE, server.first(first)))
        self.send(messages.authentication(messages.SASL_FINAL, server.final(self.message()[1])))
        return mechanism

    def ready(self, pid=4711, key=b"\x01\x02\x03\x04") -> None:
        """Lets the client in without authentication."""
        settings = {"server_version": "15.0", "client_encoding": "UTF8", "DateStyle": "ISO", "standard_conforming_strings": "on"}
        told = b"".join(messages.parameter_status(*setting) for setting in settings.items())
        self.send(messages.AUTHENTICATION_OK + told + messages.backend_key_data(pid, key) + messages.READY_FOR_QUERY)

    def serve(self) -> None:
        """Answers each query with nothing, until the client leaves."""
        while True:
            kind, _ = self.message()
            if kind == b"X":
                return
            if kind == b"Q":
                self.send(messages.message(b"C", b"FAKE\0") + messages.READY_FOR_QUERY)

    def until_closed(self) -> bytes:
        """Everything still sent to us, however it ends."""
        data = b""
        try:
            while part := self.sock.recv(1 << 16):
                data += part
                self.heard += part
        except ConnectionError:
            pass
        return data


def accepting(context: ssl.SSLContext | None, pid=4711, key=b"\x01\x02\x03\x04"):
    """The script of a decent server: TLS when it has a context, then every login succeeds."""
    def script(peer: Peer) -> None:
        packet = peer.packet()
        if packet == "SSLRequest":
            peer.send(b"S" if context else b"N")
            if context:
                peer.start_tls(context)
            packet = peer.packet()
        if packet == "StartupMessage":
            peer.ready(pid, key)
            peer.serve()
    return script


class FakeUpstream:
    def __init__(self, script, host="127.0.0.1", port=0):
        self._script = script
        self._listener = socket.create_server((host, port), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.peers: list[Peer] = []
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        """Re-raises what a script did not expect; a connection that the proxy ended is expected."""
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(PATIENCE)  # whoever it has just accepted is among these
        self._listener.close()
        for peer in self.peers:
            try:
                peer.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(PATIENCE)
        if self._failures:
            raise self._failures[0]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE)
            peer = Peer(sock)
            self.peers.append(peer)
            thread = threading.Thread(target=self._run, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, peer: Peer) -> None:
        try:
            self._script(peer)
        except (EOFError, OSError) as error:  # ssl.SSLError is an OSError
            peer.ended = error
        except BaseException as error:  # pylint: disable=broad-except
            self._failures.append(error)
        finally:
            try:
                peer.sock.close()
            except OSError:
                pass
