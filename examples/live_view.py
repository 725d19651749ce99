"""Show a camera in the browser: heads, density and the count, while it is counted.

    pip install fastapi uvicorn
    python live_view.py rtsp://user:password@camera/stream     # and open http://127.0.0.1:8000

Heads are pixelated; a picture of 3 s ago or more is dark and has its age in it. Whoever reaches
the port can look: put a proxy with a login before it.
"""

import argparse
import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import cv2
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse

from edgecount import EdgeCounter, EdgeCountError, Source, draw_overlay, open_sources
from edgecount.analytics import pixelate

PAGE = '<!doctype html><title>edgecount</title><img src="view" alt="the camera" width="100%">'


class View:
    """The newest picture, and its numbers."""

    def __init__(self, server: uvicorn.Server) -> None:
        self.server, self.number, self.at = server, 0, 0.0
        self.picture: Any = None
        self.numbers = dict[str, Any]()

    def run(self, source: Source, counter: EdgeCounter) -> None:
        """Count and draw, in a thread, until the source or the server ends."""
        try:
            for frame, result in counter.count_frames(source):
                shown = pixelate(frame.image, result)
                self.picture = draw_overlay(shown, result, time=frame.time)
                self.numbers, self.at, self.number = result.to_dict(), monotonic(), self.number + 1
                if self.server.should_exit:
                    return
            self.numbers = {"error": "the source has ended"}
        except EdgeCountError as error:
            self.numbers = {"error": str(error)}

    def jpeg(self, age: int) -> bytes:
        """Return the picture, dark and with its age in seconds if that is not 0."""
        shown = self.picture // 4 if age else self.picture
        if age:
            cv2.putText(shown, f"{age} s old", (9, 80), 0, 1.5, (255, 255, 255), 3)
        return cv2.imencode(".jpg", shown)[1].tobytes()

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the pictures as parts of an MJPEG stream; a slow viewer skips some."""
        seen = (0, 0)
        while not self.server.should_exit:  # viewers do not leave by themselves
            age = int(monotonic() - self.at)
            if self.number and seen != (seen := (self.number, age if age > 2 else 0)):
                jpeg = await asyncio.to_thread(self.jpeg, seen[1])
                yield b"--part\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n"
            await asyncio.sleep(0.02)


def make_server(source: Source, counter: EdgeCounter, port: int) -> uvicorn.Server:
    """Return a server of / (the page), /view (the pictures) and /count (the numbers)."""
    app, mjpeg = FastAPI(), "multipart/x-mixed-replace; boundary=part"
    view = View(uvicorn.Server(uvicorn.Config(app, port=port)))
    app.get("/", response_class=HTMLResponse)(lambda: PAGE)
    app.get("/count")(lambda: view.numbers | ({"age": monotonic() - view.at} if view.at else {}))
    app.get("/view")(lambda: StreamingResponse(view.parts(), media_type=mjpeg))
    # A daemon: a camera that is away must not keep the program from ending.
    threading.Thread(target=view.run, args=(source, counter), daemon=True).start()
    return view.server


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a camera's address, or a video")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    try:
        with EdgeCounter("edgecount-n") as counter, contextlib.suppress(KeyboardInterrupt):
            make_server(open_sources(options.source)[0], counter, options.port).run()
    except EdgeCountError as error:
        sys.exit(f"error: {error}")
