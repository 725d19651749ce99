"""A real HTTP server that receives webhooks, and answers as a test says."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        answers = self.server.answers
        answer = answers.pop(0) if answers else 204
        if callable(answer):
            answer(self)
            return
        status, headers, text = answer if isinstance(answer, tuple) else (answer, {}, b"")
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        raise AssertionError("a redirect was followed by a GET")

    def log_message(self, *_):
        pass


class Receiver(ThreadingHTTPServer):
    """A receiver that answers as it is told, then 204."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port=0, certificates=None):
        super().__init__(("127.0.0.1", port), Handler)
        self.requests, self.answers = [], []
        self.port = self.server_address[1]
        self.url = f"http{'s' if certificates else ''}://127.0.0.1:{self.port}/hook/s3cret"
        if certificates:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
            # A client that trusts nothing must not hold the server up: each thread shakes hands.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def handle_error(self, *_):
        pass  # connections that it breaks itself

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def ids(self):
        return [json.loads(body)["id"] for _, _, body in self.requests]
