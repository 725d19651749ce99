"""OpenCV: pictures, videos and cameras."""

from __future__ import annotations

import re

from edgecount.cli._doctor import Check


def opencv() -> Check:
    """OpenCV and what it reads videos with."""
    try:
        import cv2
    except ImportError as error:
        # libGL and libglib are what a slim container lacks for the build with windows.
        advice = "on a server or in a container: pip install opencv-python-headless in its place"
        return Check("opencv", "fail", f"cannot be loaded: {error}", advice)
    registry = cv2.videoio_registry
    readers = sorted({registry.getBackendName(api) for api in registry.getBackends()})
    found = f"{cv2.__version__}, video by {', '.join(readers) or 'nothing'}"
    ffmpeg = re.search(r"FFMPEG:\s*(\w+)", cv2.getBuildInformation())
    if "FFMPEG" not in readers and (ffmpeg is None or ffmpeg[1] != "YES"):
        advice = "images are counted, most videos are not: install opencv-python from PyPI"
        return Check("opencv", "warn", f"{found}; no FFmpeg", advice)
    return Check("opencv", "ok", found)
