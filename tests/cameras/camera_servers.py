"""Camera servers as processes that tests kill, stop, restart and give orders to."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

import time_strip

_HERE = Path(__file__).parent
SYSTEM_PYTHON = "/usr/bin/python3"
INSTALL = (
    "apt install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
)
_PROGRAMS = {
    "rtsp": (SYSTEM_PYTHON, "rtsp_server.py"),
    "http": (sys.executable, "mjpeg_server.py"),
    "v4l2": (SYSTEM_PYTHON, "v4l2_writer.py"),
}
_PROBE = """
import gi
gi.require_version("Gst", "1.0"), gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
print(*(n for n in ("x264enc", "x265enc", "jpegenc") if Gst.ElementFactory.find(n)))
"""


@functools.cache
def gstreamer_encoders() -> frozenset[str]:
    """Return which encoders the system's GStreamer has; none where it has no RTSP server."""
    try:
        done = subprocess.run(
            [SYSTEM_PYTHON, "-c", _PROBE], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return frozenset()
    return frozenset(done.stdout.split())


class CameraServer:
    """A server of cameras in a process of its own. A context manager.

    Args:
        kind: "rtsp", "http", or "v4l2", which writes to a device.
        cameras: options of each camera by its path, such as {"/cam": {"fps": 10}}.
        server: options of the server: user and password; or the device.
    """

    def __init__(self, kind: str, cameras: dict[str, dict[str, Any]], **server: Any) -> None:
        self._kind = kind
        self._options = {"cameras": cameras, "port": 0, **server}
        self._start()

    @property
    def port(self) -> int:
        return int(self._options["port"])

    def url(self, path: str = "/cam", login: str = "") -> str:
        return f"{self._kind}://{login and login + '@'}127.0.0.1:{self.port}{path}"

    def order(self, camera: str = "/cam", **changes: Any) -> None:
        """Change what a running camera sends; see the servers for the options."""
        self._tell(json.dumps({"camera": camera, **changes}))
        assert self._answer() == {"ok": True}

    def kill(self) -> None:
        """End the process as a power cut would, except that its connections are reset."""
        self._process.kill()
        self._close()

    def restart(self) -> None:
        """Start it again, on the same port and with the options that it had at first."""
        self._start()

    def stop(self) -> None:
        """Halt the process: its connections stay, and nothing comes."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a halted process go on."""
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()

    def _start(self) -> None:
        python, script = _PROGRAMS[self._kind]
        self._process = subprocess.Popen(
            [python, str(_HERE / script), json.dumps(self._options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._options["port"] = self._answer()["port"]

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        return answer

    def _close(self) -> None:
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@contextlib.contextmanager
def silent_listener() -> Iterator[int]:
    """Listen on a port, accept whoever comes, and never say a word; yields the port."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):  # raised by the shutdown
                while True:
                    accepted.append(server.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in accepted:
        connection.close()


def burnt_in(image: NDArray[np.uint8]) -> tuple[float, int]:
    """Return the true age of a picture in seconds and its number, from its pixels."""
    grey = image if image.ndim == 2 else image[..., 1]
    found = time_strip.read(lambda x, y: float(grey[y, x]), grey.shape[1])
    assert found is not None, "the strip of the picture cannot be read"
    return time_strip.age_of(found[0]), found[1]


def is_whole(image: NDArray[np.uint8], number: int) -> bool:
    """Return whether the bottom of a picture with detail is that of the picture with a number."""
    grey = float(image[-8:, :, 1].mean())
    # Of video: luma goes from 16 to 235.
    return abs(16 + grey * 219 / 255 - time_strip.band_luma(number)) < 3
