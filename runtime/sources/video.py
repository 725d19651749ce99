"""Video files.

FFmpeg decodes them through PyAV, which tells what is damaged. Where PyAV is not installed, or has
no decoder, OpenCV does.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgecount.errors import ConfigError, SourceError
from edgecount.runtime.frames.images import MAX_PIXELS, read_file
from edgecount.runtime.sources.base import Frame, Source
from edgecount.runtime.sources.faults import NO_PYAV, NoDecoderError
from edgecount.runtime.sources.hardware import NVDEC, accelerators, check_hardware

if TYPE_CHECKING:
    from edgecount.runtime.sources.opencv import OpenCVClip
    from edgecount.runtime.sources.pyav import PyAVClip

    Clip: TypeAlias = PyAVClip | OpenCVClip

_log = logging.getLogger(__name__)

# Playlists and the like must not open connections or devices in the name of a file.
_FILE_OPTIONS = {"protocol_whitelist": "file"}


class VideoSource(Source):
    """A video file.

    Args:
        path: the file.
        accept_damaged: whether frames that the decoder marks as damaged are given too, and damage
            is a warning in the log in place of an error.
        max_pixels: most pixels of a frame.
        hardware: "nvdec": decoded by NVIDIA's decoder (the extra `nvdec`) into frames that stay on
            the GPU, as `NV12Frame`; "nvdec:1": of the second GPU; None: by the CPU.

    Raises:
        MissingExtraError: hardware is given, and its package is not installed.
        ConfigError: hardware is another.
    """

    is_video = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        accept_damaged: bool = False,
        max_pixels: int = MAX_PIXELS,
        hardware: str | None = None,
    ) -> None:
        if hardware is not None and not hardware.startswith(NVDEC):
            raise ConfigError(
                f'hardware of a file: expected "nvdec" or None, got {hardware!r}: on a Jetson the '
                "source is a pipeline of GStreamer (docs/jetson.md, Cameras)"
            )
        check_hardware(hardware)
        self.name = os.fspath(path)
        self._hardware = hardware
        self._accept_damaged = accept_damaged
        self._max_pixels = max_pixels

    @property
    def length(self) -> int | None:
        """Number of frames by the container, perhaps an estimate; reading it opens the file."""
        return self._length_and_fps[0]

    @property
    def fps(self) -> float | None:
        """Mean frames per second by the container; reading it opens the file."""
        return self._length_and_fps[1]

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order, those without damage.

        Raises:
            SourceError: the file cannot be opened, holds no frame, is damaged or stops before its
                end; raised after the last frame that could be read.
        """
        with self._open(self._hardware) as clip:
            for image, number, seconds in clip.pictures():
                yield Frame(image, self.name, number, seconds, media_time=seconds)
            _tell(clip, self._accept_damaged)

    @functools.cached_property
    def _length_and_fps(self) -> tuple[int | None, float | None]:
        with self._open() as clip:
            return clip.length, clip.fps

    def _open(self, hardware: str | None = None) -> Clip:
        read_file(Path(self.name), "a video", most=1)  # decoders give no reasons
        try:
            from edgecount.runtime.sources import pyav
        except ImportError:
            return self._open_by_opencv(NO_PYAV)
        try:
            # As an address: a name with a colon is none by itself.
            return pyav.PyAVClip(
                f"file:{self.name}",
                self.name,
                accept_damaged=self._accept_damaged,
                max_pixels=self._max_pixels,
                options=_FILE_OPTIONS,
                hardware=accelerators(hardware),
            )
        except NoDecoderError as error:
            if hardware is not None:  # asked for by name
                raise
            try:
                return self._open_by_opencv("PyAV has no decoder for it")
            except SourceError:
                raise error from None

    def _open_by_opencv(self, why: str) -> Clip:
        # An absolute path: a name with a colon would be an address.
        return _by_opencv(os.path.abspath(self.name), self.name, why)  # noqa: PTH100


def _tell(clip: Clip, accept_damaged: bool) -> None:
    """Raise a SourceError of what was wrong with a clip, or log it where damage is accepted."""
    fault = clip.fault()
    if fault and clip.given and accept_damaged:
        _log.warning("%s", fault)
    elif fault:
        raise SourceError(fault)


def _by_opencv(source: str, name: str, why: str) -> OpenCVClip:
    from edgecount.runtime.sources.opencv import OpenCVClip

    clip = OpenCVClip(source, name)
    _log.warning(
        "%s is decoded by OpenCV, which does not tell damaged frames, and may show interlaced ones "
        "wrongly: %s",
        name,
        why,
    )
    return clip
