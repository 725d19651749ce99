"""A camera over HTTP that sends JPEGs, and breaks off if asked to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
from numpy.typing import NDArray

_PART = b"--part\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"


@contextmanager
def serve_jpegs(
    pictures: Sequence[NDArray[np.uint8]], *, fps: float = 50.0, number: int | None = None
) -> Iterator[str]:
    """Serve pictures again and again; yields the address.

    Args:
        pictures: uint8 (H, W, 3), BGR.
        fps: pictures per second.
        number: pictures after which every connection ends; None: it goes on.
    """
    jpegs = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures]
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
            self.end_headers()
            sent = 0
            with suppress(OSError):
                while sent != number and not stopping.is_set():
                    jpeg = jpegs[sent % len(jpegs)]
                    self.wfile.write(_PART % (len(jpeg), jpeg))
                    sent += 1
                    time.sleep(1 / fps)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/door?token=secret"
        finally:
            stopping.set()
            server.shutdown()
            thread.join()
