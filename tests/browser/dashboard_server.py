#!/usr/bin/python3
"""The dashboard's page and the API under it, without a proxy: the files as they are in the tree, the data of a scripted world
(dashboard_world.py).

`python3 tests/browser/dashboard_server.py [--clients N] [--fleet] [--port PORT]` serves it to look at.
"""

import argparse
import base64
import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

from dashboard_world import World

PAGE = Path(__file__).resolve().parents[2] / "proxy/dashboard/page"
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
          "form-action 'none'; frame-ancestors 'none'")
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def allowed(self) -> bool:
        token = self.server.owner.token
        said = self.headers.get("Authorization", "")
        return token is None or said == f"Bearer {token}" or (said.startswith("Basic ") and base64.b64decode(said[6:]).decode().partition(":")[2] == token)

    def answer(self, status: int, content: bytes, kind: str, **headers) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": kind, "Content-Length": len(content), "Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer",
                            "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} | headers).items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name.replace("_", "-"), str(one))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        owner = self.server.owner
        with owner.lock:
            owner.asked.append(path)
            owner.queries.append(self.path)
        if not self.allowed():
            return self.answer(401, b"token needed\n", "text/plain", WWW_Authenticate=["Bearer", 'Basic realm="pgairlock"'])
        if path == "/api/events":
            return self.stream()
        if path.startswith("/api/"):
            return self.api(path[5:].removesuffix(".json"), dict(parse_qsl(query)))
        file = PAGE / ("index.html" if path == "/" else path[1:])
        if "/" in path[1:] or not file.is_file():
            return self.answer(404, b"no such page\n", "text/plain")
        self.answer(200, file.read_bytes(), TYPES[file.suffix])

    def api(self, name: str, asked: dict) -> None:
        owner = self.server.owner
        with owner.lock:
            if name in owner.unready:
                return self.answer(503, json.dumps({"error": owner.unready[name]}).encode(), "application/json", Retry_After=1)
            if owner.world.fleet and name in ("sessions", "hosts"):
                return self.answer(404, b'{"error": "a fleet has none"}', "application/json")
            most = {"most": int(asked["most"])} if name == "sessions" and "most" in asked else {}
            made = owner.world.overview() if name == "overview" else getattr(owner.world, f"{name}_json")(**most)
        self.answer(200, json.dumps(made).encode(), "application/json")

    def stream(self) -> None:
        owner = self.server.owner
        messages = owner.listen()
        if messages is None:
            return self.answer(503, b"too many readers\n", "text/plain")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        try:
            self.wfile.write(b"retry: 200\n\n")
            while (message := messages.get()) is not None:
                self.wfile.write(message)
        except OSError:
            pass
        finally:
            owner.forget(messages)


class Quick(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass  # a browser that goes away is no news


class Server:
    """`go_away` and `come_back` keep the port."""

    def __init__(self, world: World, *, token: str | None = None, port: int = 0):
        self.world = world
        self.token = token
        self.asked = []
        self.queries = []
        self.unready = {}  # name of an answer: why it is a 503
        self.most_readers = 16
        self.lock = threading.RLock()
        self.readers = []
        self.http = None
        self.port = port
        self.speaks = True
        self.come_back()
        threading.Thread(target=self.go_on, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def come_back(self) -> None:
        self.http = Quick(("127.0.0.1", self.port), Handler)
        self.http.owner = self
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def go_away(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.drop_readers()

    def go_on(self) -> None:
        """A proxy is never silent; its figures stay as they are unless a test says otherwise."""
        while not threading.Event().wait(1):
            if self.speaks:
                with self.lock:
                    self.say(self.message("now", self.world.overview(whole=False)))

    def drop_readers(self) -> None:
        with self.lock:
            for reader in self.readers:
                reader.put(None)

    def listen(self):
        with self.lock:
            if len(self.readers) >= self.most_readers:
                return None
            messages = queue.SimpleQueue()
            self.readers.append(messages)
            messages.put(self.message("now", self.world.overview()))
            messages.put(self.message("versions", self.world.versions))
            for number, event in enumerate(self.world.events[-100:], max(0, len(self.world.events) - 100) + 1):
                messages.put(self.message("audit", event, number))
            return messages

    def forget(self, messages) -> None:
        with self.lock:
            self.readers.remove(messages)

    @staticmethod
    def message(kind: str, data: dict, number: int | None = None) -> bytes:
        return (f"id: {number}\n" if number else "").encode() + f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()

    def say(self, message: bytes) -> None:
        with self.lock:
            for reader in self.readers:
                reader.put(message)

    def now(self) -> None:
        """Two seconds later."""
        with self.lock:
            self.world.tick += 1
            self.say(self.message("now", self.world.overview(whole=False)))

    def tell(self, *changed: str) -> None:
        """These answers are others now."""
        with self.lock:
            for name in changed:
                self.world.versions[name] += 1
            self.say(self.message("versions", self.world.versions))

    def audit(self, event: str, **fields) -> None:
        with self.lock:
            self.world.events.append({"ts": self.world.time(), "event": event, "session": None, "listener": None, "upstream": None,
                                      "client_addr": None} | fields)
            self.say(self.message("audit", self.world.events[-1], len(self.world.events)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--fleet", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = Server(World(options.clients, fleet=options.fleet), port=options.port)
    print(server.url, flush=True)
    while not threading.Event().wait(2):
        server.now()


if __name__ == "__main__":
    main()
