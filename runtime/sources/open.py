"""Finding sources: images, folders, globs, videos, streams and cameras."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgecount.errors import SourceError
from edgecount.runtime.frames.images import MAX_PIXELS
from edgecount.runtime.frames.stills.animation import is_still
from edgecount.runtime.sources.base import Source
from edgecount.runtime.sources.hardware import split_hardware
from edgecount.runtime.sources.image import ImageSource
from edgecount.runtime.sources.suffixes import (
    IMAGE_SUFFIXES,
    KNOWN,
    OVERLAY_SUFFIXES,
    VIDEO_SUFFIXES,
    counted_kinds,
    kind_of,
    natural_order,
)
from edgecount.runtime.sources.urls import shown_url, stream_name

if TYPE_CHECKING:
    from edgecount.runtime.sources.live.options import LiveOptions

__all__ = ["IMAGE_SUFFIXES", "VIDEO_SUFFIXES", "SourceLike", "open_sources"]

_One: TypeAlias = "str | os.PathLike[str] | int | Source"
SourceLike: TypeAlias = "_One | Sequence[_One]"

_log = logging.getLogger(__name__)

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "udp", "rtp", "tcp", "csi")
_STREAM = re.compile(rf"\s*({'|'.join(SCHEMES)})://", re.IGNORECASE)
_CSI = re.compile(r"\s*csi://", re.IGNORECASE)
_PIPELINE = " ! "  # of GStreamer
_URL = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_EXPECTED = "expected a path, a URL or a camera's number"
_HARDWARE = "hardware"  # an option of videos alone
_CAMERAS = 81  # Linux' device number (major) of video4linux


def open_sources(
    spec: SourceLike,
    *,
    live: LiveOptions | None = None,
    accept_damaged: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> list[Source]:
    """Find the sources that a path, pattern, URL or camera number stands for.

    Args:
        spec: an image or video file; a folder (the images and videos in it; hidden files and
            subfolders are left out, as are files of other kinds and the overlays that edgecount
            writes, which the log tells) or a glob (`**` enters subfolders; it takes overlays if it
            has ".overlay." in it), both in natural order (2 before 10); an address (rtsp://,
            http://, rtmp://, srt://, udp:// ...); a camera's number or device such as /dev/video0,
            or csi://0; a pipeline of GStreamer ("... ! ..."); a `Source`; or a sequence of these.
            "nvdec:" before a video or an address decodes it on NVIDIA's decoder, and its frames
            stay on the GPU; "nvv4l2:" before an rtsp:// address on that of a Jetson
            (`LiveOptions.hardware`).
        live: how cameras and streams are read; None: as `LiveOptions` are by themselves.
        accept_damaged: whether damaged images and frames of videos are given as well, as far as
            they can be decoded, with a warning in the log in place of an error.
        max_pixels: most pixels of an image or frame; larger ones are refused before decoding.

    Returns:
        One source per file, stream or camera. A file that cannot be read fails when its frames
        are asked for, so that the others can go on.

    Raises:
        SourceError: nothing is there: no such file, an empty folder, a glob without a match; or it
            is no source, such as a negative number.
    """
    from edgecount.runtime.sources.live.source import LiveSource

    given: object = spec
    options: dict[str, Any] = {"accept_damaged": accept_damaged, "max_pixels": max_pixels}
    if isinstance(given, Source):
        return [given]
    if not isinstance(given, bool) and isinstance(given, Integral):
        return [LiveSource(int(given), live, **options)]
    if isinstance(spec, (str, os.PathLike)):
        return _open_text(os.fspath(spec), live, options)
    if isinstance(spec, Sequence) and not isinstance(spec, (bytes, bytearray, memoryview)):
        return [source for item in spec for source in open_sources(item, live=live, **options)]
    # An array would fill the screen.
    got = repr(given) if given is None or isinstance(given, Real) else f"a {type(given).__name__}"
    hint = ": images are for count()" if hasattr(given, "shape") else ""
    raise SourceError(f"{_EXPECTED}, got {got}{hint}")


def _open_text(text: str, live: LiveOptions | None, options: dict[str, Any]) -> list[Source]:
    from edgecount.runtime.sources.live.opening import default_name
    from edgecount.runtime.sources.live.options import LiveOptions
    from edgecount.runtime.sources.live.source import LiveSource

    hardware, rest = split_hardware(text)
    if hardware is not None and not os.path.lexists(text):
        if _is_decoded(rest):
            raise SourceError(
                f"expected a video or a stream after {hardware}:, got {default_name(rest)}, whose "
                f"pictures are decoded already: leave {hardware}: out"
            )
        text = rest
        live = replace(live or LiveOptions(), hardware=hardware)
        options = options | {_HARDWARE: hardware}
    if _is_stream(text):
        return [LiveSource(text, live, **_without(options))]
    return _open_path(text, live, options)


def _without(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that every source has."""
    return {name: value for name, value in options.items() if name != _HARDWARE}


def _is_stream(text: str) -> bool:
    """Return whether a text is an address of a stream, or a pipeline of GStreamer."""
    return bool(_STREAM.match(text)) or _PIPELINE in text


def _is_decoded(text: str) -> bool:
    """Return whether a text is a camera of this machine, or a pipeline with its own decoder."""
    return bool(_CSI.match(text)) or _PIPELINE in text or text.isdecimal() or _is_camera(Path(text))


def _is_camera(path: Path) -> bool:
    return path.is_char_device() and os.major(path.stat().st_rdev) == _CAMERAS


def _open_path(text: str, live: LiveOptions | None, options: dict[str, Any]) -> list[Source]:
    from edgecount.runtime.sources.live.source import LiveSource

    if not text:
        raise SourceError(f"{_EXPECTED}, got an empty text")
    path = Path(text)
    if path.is_dir():
        return _open_folder(path, options)
    if _is_camera(path):
        return [LiveSource(text, live, **_without(options))]
    if _URL.match(text) and not path.exists():
        schemes = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise SourceError(f"expected a stream ({schemes}), got {stream_name(text)}")
    if not path.exists() and glob.has_magic(text):
        return _open_glob(text, options)
    if not os.path.lexists(text):
        raise SourceError(f"no such file: {shown_url(text)}")
    if path.exists() and not path.is_file():
        raise SourceError(f"{text} is not a regular file, and neither a folder nor a camera")
    return [_open_file(text, options)]


def _open_folder(folder: Path, options: dict[str, Any]) -> list[Source]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.path for entry in entries if not entry.name.startswith(".")]
    except PermissionError:
        raise SourceError(f"no permission to read the folder {folder}") from None
    except OSError as error:
        raise SourceError(f"cannot read the folder {folder}: {error.strerror}") from None
    return _open_known(names, f"the folder {folder}", options)


def _open_glob(pattern: str, options: dict[str, Any]) -> list[Source]:
    names = _each_once(_match(pattern))
    if not names:
        raise SourceError(f"no file matches {shown_url(pattern)}")
    return _open_known(
        names, f"what matches {pattern}", options, with_overlays=".overlay." in pattern
    )


def _match(pattern: str) -> list[str]:
    """Return what matches a pattern; `**` stands for any folders, each entered once.

    `glob` itself follows links for `**` as often as they lead on, and two that lead up give more
    paths than there is memory for.
    """
    parts = pattern.split("/")
    if "**" not in parts:
        return glob.glob(pattern)  # noqa: PTH207 (Path.glob takes no absolute pattern)
    place = parts.index("**")
    base, rest = "/".join(parts[:place]), "/".join(parts[place + 1 :]) or "*"
    bases = [base or ("/" if place else "")]
    if glob.has_magic(base):
        bases = [name for name in glob.glob(base) if os.path.isdir(name)]  # noqa: PTH112, PTH207
    return [
        name
        for folder in bases
        for inside in _folders(folder)
        for name in _match(os.path.join(glob.escape(inside), rest))  # noqa: PTH118
    ]


def _folders(top: str) -> Iterator[str]:
    """Yield a folder and those below it, hidden ones left out; of links to one place the first."""
    seen: set[str] = set()
    waiting = deque([top])
    while waiting:
        folder = waiting.popleft()
        real = os.path.realpath(folder or os.curdir)
        if real in seen:
            continue
        seen.add(real)
        yield folder
        with suppress(OSError), os.scandir(folder or os.curdir) as entries:
            inside = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
            waiting.extend(os.path.join(folder, name) for name in sorted(inside))  # noqa: PTH118


def _each_once(names: Sequence[str]) -> list[str]:
    """Leave out what is met again by links to folders, among them loops; the shortest name stays.

    Links to files stay: somebody made each of them.
    """
    found: dict[str, str] = {}
    for name in sorted(names, key=len):
        folder, file = os.path.split(name)
        found.setdefault(os.path.join(os.path.realpath(folder), file), name)  # noqa: PTH118
    return list(found.values())


def _open_known(
    names: Sequence[str], where: str, options: dict[str, Any], *, with_overlays: bool = False
) -> list[Source]:
    files = [name for name in names if not Path(name).is_dir()]
    known = [name for name in files if name.lower().endswith(IMAGE_SUFFIXES + VIDEO_SUFFIXES)]
    if not with_overlays:
        known = [name for name in known if not name.endswith(OVERLAY_SUFFIXES)]
    others = sorted(set(files) - set(known))
    left_out = counted_kinds(Counter(map(kind_of, others))) if others else ""
    if not known:
        more = f"; left out: {left_out}" if left_out else ""
        raise SourceError(f"{where} holds nothing to count: edgecount reads {KNOWN}{more}")
    if others:
        _log.warning("%s: left out: %s", where, left_out)
    return [_open_file(name, options) for name in sorted(known, key=natural_order)]


def _open_file(name: str, options: dict[str, Any]) -> Source:
    from edgecount.runtime.sources.video import VideoSource

    is_video = name.lower().endswith(VIDEO_SUFFIXES) and not is_still(name)
    return VideoSource(name, **options) if is_video else ImageSource(name, **_without(options))
