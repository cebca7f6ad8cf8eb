"""A host that dies and returns, at one port: it passes on what comes to another host while it lives."""

import socket
import threading
from contextlib import suppress


class Forwarder:
    """Begins dead. Whoever it has passed on is passed on for as long as both ends live, whatever becomes of it."""

    WAYS_TO_DIE = ("closed", "drops", "silent")

    def __init__(self, target: tuple[str, int]):
        self.target = target
        self.passed_on = 0  # connections
        self._held: list[socket.socket] = []
        self._sock = socket.socket()
        self._bind(0)

    @property
    def host(self) -> str:
        return "127.0.0.1:%d" % self._port

    def live(self) -> None:
        self._leave()
        self._listen(self._pass_on)

    def die(self, how: str) -> None:
        """`closed`: connections are refused. `drops`: nobody answers their SYN. `silent`: they are taken, and nothing is said."""
        self._leave()
        if how == "drops":
            self._sock.listen(0)
            for _ in range(3):  # they fill the queue, and nobody accepts
                self._held.append(socket.socket())
                self._held[-1].setblocking(False)
                self._held[-1].connect_ex(("127.0.0.1", self._port))
        elif how == "silent":
            self._listen(self._held.append)

    def close(self) -> None:
        self._leave()
        self._sock.close()

    def _bind(self, port: int) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sock.bind(("127.0.0.1", port))
        self._port = self._sock.getsockname()[1]

    def _leave(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)  # its thread stops accepting
        self._sock.close()
        for sock in self._held:
            sock.close()
        self._held.clear()
        self._sock = socket.socket()
        self._bind(self._port)

    def _listen(self, take) -> None:
        self._sock.listen(128)
        threading.Thread(target=self._accept, args=(self._sock, take), daemon=True).start()

    @staticmethod
    def _accept(listener: socket.socket, take) -> None:
        with suppress(OSError):
            while True:
                take(listener.accept()[0])

    def _pass_on(self, near: socket.socket) -> None:
        far = socket.create_connection(self.target)
        self.passed_on += 1
        for ends in ((near, far), (far, near)):
            threading.Thread(target=self._copy, args=ends, daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
