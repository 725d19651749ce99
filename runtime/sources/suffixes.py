"""File names by which folders and globs know images and videos."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePath

_MOST_SUFFIXES = 5  # that are named among those left out

# fmt: off
# What OpenCV and Pillow decode.
IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".avif", ".tif", ".tiff",
    ".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".ras", ".sr",
)

# What FFmpeg decodes and is a video by its name. GIF and APNG of one picture are images all the
# same, which their names do not tell.
VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".mkv", ".webm", ".avi", ".divx",
    ".wmv", ".asf", ".flv", ".mpg", ".mpeg", ".m1v", ".m2v", ".vob", ".ts", ".mts", ".m2ts",
    ".mxf", ".dv", ".ogv", ".ogm", ".mjpeg", ".mjpg", ".gif", ".apng", ".h264", ".264", ".h265",
    ".265", ".hevc", ".ivf", ".y4m",
)
# fmt: on
# What `edgecount count --save` and `edgecount demo` write. Folders that they wrote into are counted
# again, and their pictures of heat and dots are nobody's.
OVERLAY_SUFFIXES = (".overlay.jpg", ".overlay.png", ".overlay.mp4")
KNOWN = (
    f"images ({', '.join(suffix[1:] for suffix in IMAGE_SUFFIXES)}) "
    f"and videos ({', '.join(suffix[1:] for suffix in VIDEO_SUFFIXES)})"
)


def natural_order(name: str) -> list[str | int]:
    """Return a sort key that puts frame2 before frame10: texts and numbers in turn."""
    return [int(part) if part.isdecimal() else part.casefold() for part in re.split(r"(\d+)", name)]


def kind_of(name: str) -> str:
    """Return the suffix of a file in small letters; of an overlay all of its ending."""
    overlay = next((suffix for suffix in OVERLAY_SUFFIXES if name.endswith(suffix)), None)
    return overlay or PurePath(name).suffix.lower()


def is_image_name(name: str) -> bool:
    """Return whether a file in a folder is an image by its name, and no overlay of edgecount."""
    return kind_of(name) in IMAGE_SUFFIXES


def counted_kinds(suffixes: Counter[str]) -> str:
    """Return the number of files of kinds that are not read, and the most frequent of them first.

    Args:
        suffixes: number of files by their kind, see `kind_of`.
    """
    own = sum(suffixes[suffix] for suffix in OVERLAY_SUFFIXES)
    if own:
        others = Counter({s: n for s, n in suffixes.items() if s not in OVERLAY_SUFFIXES})
        overlays = "1 overlay of edgecount" if own == 1 else f"{own} overlays of edgecount"
        return f"{overlays}, {counted_kinds(others)}" if others else overlays
    number, most = sum(suffixes.values()), suffixes.most_common(_MOST_SUFFIXES)
    parts = [f"{ascii(suffix or 'no suffix')[1:-1]} {times}" for suffix, times in most]
    rest = number - sum(times for _, times in most)
    listed = ", ".join(parts + ([f"others {rest}"] if rest else []))
    files = "1 file of another kind" if number == 1 else f"{number} files of other kinds"
    return f"{files} ({listed})"
