"""A web server that is told of alerts: HTTPS with a certificate of the test's own, answering as it is told to."""

import http.server
import json
import ssl
import threading

from .waiting import until


class Webhook:
    """`answers`: for each request a status, (status, headers), or a function of the handler; then 200 for all."""

    def __init__(self, certificate=None, answers=(), port=0):
        self.requests = []  # (headers, body)
        self.answers = list(answers)
        self.handshake_errors = []
        webhook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.requests.append((dict(self.headers), body.decode()))
                self.path_asked = self.path
                answer = webhook.answers.pop(0) if webhook.answers else 200
                if callable(answer):
                    answer(self)
                    return
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def finish_request(self, request, client_address):
                if certificate:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(certificate.cert, certificate.key)
                    try:
                        request = context.wrap_socket(request, server_side=True)
                    except (ssl.SSLError, OSError) as error:
                        webhook.handshake_errors.append(str(error))
                        return
                try:
                    super().finish_request(request, client_address)
                except OSError:
                    pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.scheme = "https" if certificate else "http"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, host="localhost") -> str:
        return f"{self.scheme}://{host}:{self.port}/hush-hush"

    def messages(self, count=1) -> list[dict]:
        until(lambda: len(self.requests) >= count, what=f"{count} messages, have {self.requests}")
        return [json.loads(body) for _, body in self.requests]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
