"""PyAV, which reads videos and streams, and OpenCV, which reads images and cameras."""

from __future__ import annotations

import re
from pathlib import Path

from edgecount._opencv import loading_advice
from edgecount.cli._doctor.check import Check
from edgecount.cli._doctor.jetson import is_jetson


def pyav() -> Check:
    """Check PyAV, and which FFmpeg comes with it."""
    advice = "videos are read by OpenCV, which does not tell damaged frames: pip install av"
    try:
        import av
    except ImportError as error:
        return Check("pyav", "warn", f"cannot be loaded: {error}", advice)
    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    writes = "H.264" if "libx264" in av.codecs_available else "MPEG-4"
    return Check("pyav", "ok", f"{av.__version__}, libavcodec {codec}; clips are {writes}")


def opencv(root: Path) -> Check:
    """Check OpenCV and list the libraries that it reads videos with."""
    try:
        import cv2
    except ImportError as error:
        return Check("opencv", "fail", f"cannot be loaded: {error}", loading_advice(str(error)))
    registry = cv2.videoio_registry
    # Listed are also readers that a plugin would bring, such as GStreamer's in builds without it.
    readers = sorted(
        {registry.getBackendName(b) for b in registry.getBackends() if registry.hasBackend(b)}
    )
    found = f"{cv2.__version__}, video by {', '.join(readers) or 'nothing'}"
    ffmpeg = re.search(r"FFMPEG:\s*(\w+)", cv2.getBuildInformation())
    if "FFMPEG" not in readers and (ffmpeg is None or ffmpeg[1] != "YES"):
        advice = "cameras and, without PyAV, videos are not read: install opencv-python from PyPI"
        return Check("opencv", "warn", f"{found}; no FFmpeg", advice)
    if is_jetson(root) and "GSTREAMER" not in readers:
        advice = (
            "CSI cameras and hardware decoding need an OpenCV with GStreamer:\n"
            "sudo apt install python3-opencv\n"
            'pip uninstall opencv-python && pip install "numpy<2"'
        )
        return Check("opencv", "ok", f"{found}; no GStreamer", advice)
    return Check("opencv", "ok", found)
