"""Show a camera in the browser: heads, density and the count, while it is counted.

    pip install fastapi uvicorn
    python live_view.py rtsp://user:password@camera/stream     # and open http://127.0.0.1:8000

Heads are pixelated. Whoever reaches the port can look: put a proxy with a login before it.
"""

import argparse
import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import cv2
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse

from edgecount import EdgeCounter, EdgeCountError, Source, draw_overlay, open_sources
from edgecount.analytics import pixelate

PAGE = '<!doctype html><title>edgecount</title><img src="view" alt="the camera" width="100%">'


class View:
    """The newest picture as JPEG, and its numbers."""

    def __init__(self, source: Source, counter: EdgeCounter) -> None:
        self.source, self.counter = source, counter
        self.jpeg, self.numbers, self.number, self.stopping = b"", {}, 0, False

    def run(self) -> None:
        """Count and draw, in a thread, until the source ends."""
        try:
            for frame, result in self.counter.count_frames(self.source):
                drawn = draw_overlay(pixelate(frame.image, result), result, time=frame.time)
                self.jpeg = cv2.imencode(".jpg", drawn)[1].tobytes()
                self.numbers, self.number = result.to_dict(), self.number + 1
                if self.stopping:
                    return
        except EdgeCountError as error:
            self.numbers = {"error": str(error)}

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the pictures as parts of an MJPEG stream; a slow viewer skips some."""
        seen = 0
        while not self.stopping:
            if self.number != seen:
                seen = self.number
                yield b"--part\r\nContent-Type: image/jpeg\r\n\r\n" + self.jpeg + b"\r\n"
            await asyncio.sleep(0.02)


def make_app(source: Source, counter: EdgeCounter) -> FastAPI:
    """Return the app: / is the page, /view the pictures, /count the numbers."""
    view = View(source, counter)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=view.run, daemon=True).start()
        yield
        view.stopping = True

    app, mjpeg = FastAPI(lifespan=lifespan), "multipart/x-mixed-replace; boundary=part"
    app.get("/", response_class=HTMLResponse)(lambda: PAGE)
    app.get("/count")(lambda: view.numbers)
    app.get("/view")(lambda: StreamingResponse(view.parts(), media_type=mjpeg))
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a camera's address, or a video")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    with EdgeCounter("edgecount-n") as counter:
        app = make_app(open_sources(options.source)[0], counter)
        uvicorn.run(app, port=options.port, timeout_graceful_shutdown=1)  # viewers never leave
