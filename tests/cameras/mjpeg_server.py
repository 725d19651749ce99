"""An HTTP server of moving test cameras that send JPEGs, controlled as `rtsp_server.py` is.

Options of a camera: size [640, 480], fps 10, frozen false, cut. Of the server: port (0: any), user,
password. What is not a camera is 404.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np

import time_strip

_BOUNDARY = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"


class Camera:
    """One camera's picture and rate."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.size = [640, 480]
        self.fps = 10.0
        self.frozen = False
        self.cut: int | None = None
        self.change(options)

    def change(self, options: dict[str, Any]) -> None:
        for name, value in options.items():
            if not hasattr(self, name):
                raise ValueError(f"a camera has no option {name}")
            setattr(self, name, value)

    def jpeg(self, number: int) -> bytes:
        width, height = self.size
        grey = np.full((height, width), 60 + number % 16, np.uint8)
        top = np.frombuffer(time_strip.luma_rows(number, width), np.uint8).reshape(-1, width)
        grey[: len(top)] = top
        return bytes(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


class Handler(BaseHTTPRequestHandler):
    """Send a camera's pictures for as long as they are taken."""

    cameras: dict[str, Camera]
    login: str | None

    def do_GET(self) -> None:
        camera = self.cameras.get(self.path.partition("?")[0])
        if self.login and self.headers.get("Authorization") != f"Basic {self.login}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
        elif camera is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.end_headers()
            try:
                self._stream(camera)
            except OSError:
                self.close_connection = True

    def _stream(self, camera: Camera) -> None:
        number, due = 0, time.monotonic()
        while number != camera.cut:
            if not camera.frozen:
                data = camera.jpeg(number)
                self.wfile.write(_BOUNDARY % len(data) + data + b"\r\n")
                number += 1
            due = max(due + 1 / camera.fps, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    options = json.loads(sys.argv[1])
    Handler.cameras = {path: Camera(given) for path, given in options["cameras"].items()}
    login = "{user}:{password}".format_map(options) if "user" in options else ""
    Handler.login = base64.b64encode(login.encode()).decode() if login else None
    with ThreadingHTTPServer(("127.0.0.1", options.get("port", 0)), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(json.dumps({"port": server.server_address[1]}), flush=True)  # noqa: T201
        for line in sys.stdin:
            order = json.loads(line)
            Handler.cameras[order.pop("camera")].change(order)
            print(json.dumps({"ok": True}), flush=True)  # noqa: T201
        server.shutdown()


if __name__ == "__main__":
    main()
