"""Passes connections on to a server and writes down who said what and when, as a capture's client leg does."""

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from harness.pcapng_file import CLIENT, SERVER, CaptureFile, Conversation, now


@dataclass
class Recorded:
    began: int
    said: list[tuple[int, str, bytes]] = field(default_factory=list)
    ended: tuple[int, str] | None = None


class Recorder:
    def __init__(self, target: tuple[str, int]):
        self.target = target
        self.connections: list[Recorded] = []
        self._lock = threading.Lock()  # the order of what is written down is the order in time
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Once its clients are gone: waits for the last words."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(30)

    def write(self, file: CaptureFile, lose=lambda number: False, **facts) -> None:
        """All connections in the order of time, each with its facts and its last audit event. `lose`: whether what was said there,
        by its number in its connection, is missing in the file."""
        steps = []
        for number, connection in enumerate(self.connections, 1):
            session = f"recorded-{number}"
            talk = Conversation(file, client=("10.0.0.7", 40000 + number), session=session, **facts)
            steps.append((connection.began, lambda at, talk=talk: talk.open(at)))
            for place, (at, side, data) in enumerate(connection.said):
                if lose(place):
                    steps.append((at, lambda at, talk=talk, side=side, data=data: talk.skip(side, len(data))))
                else:
                    steps.append((at, lambda at, talk=talk, side=side, data=data: talk.say(at, side, data)))
            if connection.ended:
                at, side = connection.ended
                steps.append((at, lambda at, talk=talk, side=side: talk.close(at, side)))
                steps.append((at, lambda at, session=session: file.event(
                    at, event="disconnected", session=session, reason="client_closed", sqlstate=None)))
        for at, step in sorted(steps, key=lambda step: step[0]):
            step(at)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(self.target)
                connection = Recorded(now())
                self.connections.append(connection)
                for source, sink, side in ((near, far, CLIENT), (far, near, SERVER)):
                    thread = threading.Thread(target=self._copy, args=(connection, source, sink, side), daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _copy(self, connection: Recorded, source: socket.socket, sink: socket.socket, side: str) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                with self._lock:
                    connection.said.append((now(), side, data))
                sink.sendall(data)
        with self._lock:
            connection.ended = connection.ended or (now(), side)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
