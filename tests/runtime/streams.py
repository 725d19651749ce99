"""Senders of live streams over real sockets."""

from __future__ import annotations

import contextlib
import io
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import av

from clips import picture

INTERVAL = 0.04  # s between pictures


class Sink(io.RawIOBase):
    """A file that hands on what is written to it."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._write(bytes(data))
        return len(data)


def send(
    target: Any, until: Callable[[], bool], *, form: str = "mpegts", number: int = 2000, **kind: Any
) -> None:
    """Encode pictures in real time until they are not wanted any more."""
    options = kind.pop("options", {})
    with av.open(target, "w", format=form, options=options) as output:
        stream: Any = output.add_stream(
            "libx264", rate=25, options={"tune": "zerolatency", "preset": "ultrafast"}
        )
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.gop_size = 10
        begin = time.monotonic()
        for index in range(number):
            if until():
                return
            frame = av.VideoFrame.from_ndarray(picture(index), "bgr24")
            frame.pts = index
            output.mux(stream.encode(frame))
            time.sleep(max(0.0, begin + index * INTERVAL - time.monotonic()))


@contextlib.contextmanager
def running(target: Callable[[Callable[[], bool]], None]) -> Iterator[None]:
    """Run a sender in a thread, which asks whether it should end."""
    done = threading.Event()
    thread = threading.Thread(target=target, args=(done.is_set,))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextlib.contextmanager
def served(handle: Callable[[Any], None]) -> Iterator[int]:
    """Run a server, whose handler gets a connection; yields its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):  # the player has gone
                handle(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
