"""What a proxy says over HTTP ([admin] http): answers, and its metrics as numbers."""

import http.client
import json
import re
import socket

from .waiting import PATIENCE

SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*?)\})? (\S+)(?: # .*)?$")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


def ask(address, path, method="GET", **headers):
    """(status, headers in lower case, those of one name joined, body). `address`: (host, port), or the path of a UNIX-domain socket."""
    connection = UnixConnection(address) if isinstance(address, str) else http.client.HTTPConnection(*address, timeout=PATIENCE)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        fields = {}
        for name, value in answer.getheaders():
            fields[name.lower()] = ", ".join([*([fields[name.lower()]] if name.lower() in fields else []), value])
        return answer.status, fields, answer.read().decode()
    finally:
        connection.close()


def exchange(address, request: bytes) -> bytes:
    """Everything that is answered to these bytes until the other side closes."""
    with socket.create_connection(address, timeout=PATIENCE) as connection:
        connection.sendall(request)
        return read_all(connection)


def read_all(connection) -> bytes:
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


class Metrics:
    """One scrape. `metrics("client_connections", listener="legacy")` is the sum of all samples with these labels."""

    def __init__(self, text: str):
        self.samples = []  # (name, labels, value)
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            found = SAMPLE.match(line)
            assert found, line
            self.samples.append((found[1], dict(LABEL.findall(found[2] or "")), float(found[3])))

    def of(self, name: str, **labels) -> list[tuple[dict, float]]:
        names = (name, f"pgairlock_{name}")
        return [(have, value) for sample, have, value in self.samples
                if sample in names and all(have.get(key) == wanted for key, wanted in labels.items())]

    def __call__(self, name: str, **labels) -> float:
        found = self.of(name, **labels)
        assert found, f"no {name} {labels} among {sorted({sample for sample, _, _ in self.samples})}"
        return sum(value for _, value in found)


def scrape(proxy, **headers) -> Metrics:
    status, _, body = ask(proxy.http, "/metrics", **headers)
    assert status == 200, body
    return Metrics(body)


class EventStream:
    """Server-sent events (/api/events), as they come. Lines of comment are counted."""

    def __init__(self, address, path="/api/events", **headers):
        self.connection = UnixConnection(address) if isinstance(address, str) else http.client.HTTPConnection(*address, timeout=PATIENCE)
        self.connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.comments = 0

    def next(self, event=None):
        """(event, data as JSON, id or None): the next one, or the next of that name."""
        while True:
            name, data, number = None, None, None
            while (line := self.answer.readline().decode().rstrip("\n")) or name is None:
                assert not (line == "" and self.answer.isclosed()), "the stream is over"
                if line.startswith(":"):
                    self.comments += 1
                key, _, value = line.partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    data = json.loads(value)
                elif key == "id":
                    number = int(value)
            if event in (None, name):
                return name, data, number

    def close(self):
        self.answer.close()
        self.connection.close()
