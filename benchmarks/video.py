"""Time the reading of a 1080p clip through PyAV and through OpenCV.

An H.264 clip of a rendered crowd is read by `VideoSource`'s two readers by turns, to BGR frames.
Both decode with as many threads as they take by themselves; ratios are of medians.

    python benchmarks/video.py [--rounds 5] [--codec libx264]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import av
import numpy as np

from edgecount.runtime.frames.images import MAX_PIXELS
from edgecount.runtime.sources.opencv import OpenCVClip
from edgecount.runtime.sources.pyav import PyAVClip
from edgecount.scenes import render_scene

FRAMES, WIDTH, HEIGHT = 60, 1920, 1080


def encode(path: Path, codec: str) -> None:
    """Write a clip in which the view moves over a crowd."""
    scene = render_scene(200, size=(WIDTH + FRAMES, HEIGHT + FRAMES), seed=3).image
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(FRAMES):
            view = np.ascontiguousarray(scene[i : i + HEIGHT, i : i + WIDTH])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, "bgr24")))
        container.mux(stream.encode(None))


def time_of(open_clip: Callable[[], PyAVClip | OpenCVClip]) -> float:
    """Return milliseconds per frame, opening included."""
    start = time.perf_counter()
    with closing(open_clip()) as clip:
        frames = sum(1 for _ in clip.pictures())
    assert frames == FRAMES
    return (time.perf_counter() - start) / frames * 1e3


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--codec", default="libx264")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        encode(path, given.codec)
        readers: dict[str, Callable[[], PyAVClip | OpenCVClip]] = {
            "PyAV": lambda: PyAVClip(
                str(path), "clip", accept_damaged=False, max_pixels=MAX_PIXELS
            ),
            "OpenCV": lambda: OpenCVClip(str(path), "clip"),
        }
        times: dict[str, list[float]] = {name: [] for name in readers}
        for _ in range(given.rounds):
            for name, reader in readers.items():
                times[name].append(time_of(reader))
        for name, each in times.items():
            print(f"{name:7s} {statistics.median(each):6.1f} ms per frame, best {min(each):.1f}")


if __name__ == "__main__":
    main()
