"""Count the damaged videos that are noticed, by codec.

A clip of a rendered crowd is encoded, bits of it are flipped, and it is read as `count` reads it.
Printed are the damaged files, those that were reported, those that went by with wrong frames and
without a word, and the frames that were given, with how many of them are wrong: more than 3 grey
levels from the undamaged ones on average.

    python benchmarks/damaged_video.py [--codecs h264,hevc] [--files 8] [--bits 3,10,30,100]
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from edgecount.errors import SourceError
from edgecount.runtime.sources.video import VideoSource
from edgecount.scenes import render_scene

PEOPLE, FRAMES, SIZE = 148, 30, (320, 240)
WRONG = 3.0  # grey levels
# Encoder, suffix, pixel format, options.
CODECS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "h264": ("libx264", ".mp4", "yuv420p", {"preset": "veryfast"}),
    "h264 in ts": ("libx264", ".ts", "yuv420p", {"preset": "veryfast"}),
    "hevc": ("libx265", ".mp4", "yuv420p", {"preset": "ultrafast", "x265-params": "log-level=0"}),
    "mpeg4": ("mpeg4", ".mp4", "yuv420p", {"b": "1000000"}),
    "mpeg2": ("mpeg2video", ".ts", "yuv420p", {"b": "1500000"}),
    "mjpeg": ("mjpeg", ".avi", "yuvj420p", {}),
    "vp8": ("libvpx", ".webm", "yuv420p", {"deadline": "realtime", "b": "1000000"}),
    "vp9": ("libvpx-vp9", ".webm", "yuv420p", {"deadline": "realtime", "b": "1000000"}),
    "av1": ("libsvtav1", ".mp4", "yuv420p", {"preset": "12"}),
    "prores": ("prores_ks", ".mov", "yuv422p10le", {}),
    "wmv2": ("wmv2", ".wmv", "yuv420p", {"b": "1000000"}),
    "msmpeg4": ("msmpeg4", ".avi", "yuv420p", {"b": "1000000"}),
    "flv1": ("flv", ".flv", "yuv420p", {"b": "1000000"}),
    "ffv1": ("ffv1", ".mkv", "yuv420p", {"level": "3", "slicecrc": "1"}),
}

Frames = dict[float, NDArray[np.uint8]]


def encode(path: Path, codec: str, pixels: str, options: dict[str, str]) -> None:
    """Write a clip in which the view moves over a crowd."""
    width, height = SIZE
    scene = render_scene(PEOPLE, size=(width + 2 * FRAMES, height + 2 * FRAMES), seed=5).image
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.gop_size = 12
        for i in range(FRAMES):
            view = np.ascontiguousarray(scene[2 * i : 2 * i + height, i : i + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, "bgr24")))
        container.mux(stream.encode(None))


def read(path: Path) -> tuple[Frames, str]:
    """Return the frames by their times, and the error."""
    frames: Frames = {}
    try:
        for frame in VideoSource(path).frames():
            frames[round(frame.time, 3)] = frame.image
    except SourceError as error:
        return frames, str(error)
    return frames, ""


def damage(path: Path, bits: int, rng: random.Random) -> None:
    """Flip bits behind the first kilobyte, of which headers are made, and before the last."""
    data = bytearray(path.read_bytes())
    for _ in range(bits):
        data[rng.randrange(1024, len(data) - 1024)] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def is_wrong(image: NDArray[np.uint8], whole: NDArray[np.uint8] | None) -> bool:
    """Return whether a frame is not what was encoded."""
    if whole is None or whole.shape != image.shape:
        return True
    return float(np.abs(image.astype(int) - whole).mean()) > WRONG


def study(codec: str, files: int, numbers: list[int], folder: Path) -> None:
    """Print a line for each number of bits."""
    encoder, suffix, pixels, options = CODECS[codec]
    path = folder / f"clip{suffix}"
    encode(path, encoder, pixels, options)
    whole, error = read(path)
    assert not error, error
    data = path.read_bytes()
    for bits in numbers:
        told = silent = given = wrong = 0
        for seed in range(files):
            path.write_bytes(data)
            damage(path, bits, random.Random(seed))  # noqa: S311
            frames, error = read(path)
            bad = sum(is_wrong(image, whole.get(time)) for time, image in frames.items())
            told += bool(error)
            silent += not error and (bad > 0 or len(frames) < len(whole))
            given += len(frames)
            wrong += bad
        print(
            f"{codec:10s} {bits:4d} bits in {len(data):7d} bytes: {told:2d} of {files} told, "
            f"{silent:2d} wrong without a word; {given:4d} of {files * len(whole)} frames given, "
            f"{wrong:4d} of them wrong",
            flush=True,
        )


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--codecs", default=",".join(CODECS))
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--bits", default="3,10,30,100")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for codec in given.codecs.split(","):
            numbers = [int(bits) for bits in given.bits.split(",")]
            study(codec, given.files, numbers, Path(folder))


if __name__ == "__main__":
    main()
