"""Servers of test cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from camera_servers import INSTALL, CameraServer, gstreamer_encoders

ServerMaker = Callable[..., CameraServer]


@pytest.fixture
def make_server() -> Iterator[ServerMaker]:
    """Start a server, as `CameraServer`; skips where the system has no GStreamer for it."""
    with ExitStack() as stack:

        def make(kind: str, cameras: dict[str, dict[str, Any]], **server: Any) -> CameraServer:
            if kind != "http" and "x264enc" not in gstreamer_encoders():
                pytest.skip(f"no GStreamer with an RTSP server here: {INSTALL}")
            return stack.enter_context(CameraServer(kind, cameras, **server))

        yield make
