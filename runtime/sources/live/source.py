"""Cameras and streams as sources."""

from __future__ import annotations

from collections.abc import Iterator

from edgecount._options import MAX_PIXELS
from edgecount.errors import ConfigError
from edgecount.runtime.sources.base import Frame, Source
from edgecount.runtime.sources.live.attempt import OpenClip
from edgecount.runtime.sources.live.core import Core
from edgecount.runtime.sources.live.health import SourceHealth, SourceState
from edgecount.runtime.sources.live.options import LiveOptions
from edgecount.runtime.sources.live.reader import LiveReader
from edgecount.runtime.sources.prefetch import Ended


class LiveSource(Source):
    """A camera or network stream, which is opened again when it breaks off.

    A file behind http:// that has an end is read as a file is: every frame, and once.

    Args:
        source: an address (rtsp://, http://, rtmp://, srt://, udp:// ...), the number of a camera
            or its device (/dev/video0), csi://0, or a pipeline of GStreamer ("... ! ...").
        options: see `LiveOptions`.
        name: name of the source in results; None: the address without its secrets.
        accept_damaged: whether damaged pictures are given too, as the decoder patches them.
        max_pixels: most pixels of a picture.
        open_clip: opens it in another way; returns an object like `PyAVClip`.

    Raises:
        SourceError: there is no such camera number, or it is a file of this machine.
        ConfigError: FFmpeg knows no such hardware.
    """

    is_video = True
    length = None
    fps = None

    def __init__(
        self,
        source: str | int,
        options: LiveOptions | None = None,
        *,
        name: str | None = None,
        accept_damaged: bool = False,
        max_pixels: int = MAX_PIXELS,
        open_clip: OpenClip | None = None,
    ) -> None:
        from edgecount.runtime.sources.live.opening import check, default_name, opener

        given: object = options  # which may be anything
        if given is not None and not isinstance(given, LiveOptions):
            raise ConfigError(
                f"options: expected LiveOptions or None, got a {type(given).__name__}"
            )
        self.options = options or LiveOptions()
        check(source, self.options)
        self.name = name or default_name(source)
        self._open_clip = open_clip or opener(
            source,
            self.name,
            self.options,
            accept_damaged=accept_damaged,
            max_pixels=max_pixels,
        )
        self._reader: Core | None = None

    def health(self) -> SourceHealth:
        """Return how the camera is doing, by its newest reader; at any time, from any thread."""
        reader = self._reader
        return SourceHealth(SourceState.IDLE) if reader is None else reader.health()

    def reader(self, *, is_logged: bool = True) -> LiveReader:
        """Open the camera, and return who reads it: a context manager.

        Args:
            is_logged: whether the log is told when the camera goes and comes; if not, that is for
                who looks at the health.
        """
        reader = LiveReader(self.name, self._open_clip, self.options, is_logged=is_logged)
        self._reader = reader.core
        return reader

    def frames(self) -> Iterator[Frame]:
        """Yield the pictures as they are asked for: the newest ones, or all.

        Raises:
            SourceError: the camera cannot be read, by what `LiveOptions` allow.
        """
        with self.reader() as reader:
            while True:
                try:
                    frame = reader.take()
                except Ended:
                    return
                yield frame
                del frame  # not kept while the next one is waited for
