"""Annotated clips of what happened before and after an alarm."""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgecount._lock import locked
from edgecount.errors import ConfigError, OutputError
from edgecount.watch.readings import Event, Reading
from edgecount.watch.sinks.base import Sink
from edgecount.watch.sinks.ring import Ring, Shot
from edgecount.watch.sinks.rotating import make_folder

if TYPE_CHECKING:
    from edgecount._clips import ClipWriter
    from edgecount.drawing import HeatScale

Draw: TypeAlias = "Callable[[NDArray[np.uint8], Reading, HeatScale | None], NDArray[np.uint8]]"

_MEMORY = 64e6  # bytes of pictures that wait, of all cameras
_LONGEST = 300.0  # s of a clip, however many alarms follow each other
_SILENCE = 5.0  # s past its end after which a clip of a camera that is gone is closed
_AT_ONCE = 2  # pictures that are written for each one that comes: so a clip catches up
_OTHER = re.compile(r"[^A-Za-z0-9_-]+")
_NAME = re.compile(r".+-\d{8}T\d{6}Z(-\d+)?\.mp4")
_LEFT = re.compile(_NAME.pattern + r"\.[0-9a-f]{8}\.partial")


def draw(image: NDArray[np.uint8], reading: Reading, scale: HeatScale | None) -> NDArray[np.uint8]:
    """Draw a reading's result, if it has one, over its picture."""
    from edgecount.drawing import draw_overlay

    return image if reading.result is None else draw_overlay(image, reading.result, scale=scale)


class Clips(Sink):
    """A writer of a clip for each alarm that is raised: ``CAMERA-ALARM-20261129T120000Z.mp4``.

    Pictures wait as JPEG, and are drawn when an alarm comes. An alarm of a camera whose clip is not
    over makes that clip longer, up to five minutes. Clips are whole or not there.

    Args:
        folder: where clips are put; it is made.
        before: seconds before the alarm that a clip shows.
        after: seconds after it.
        size_mb: megabytes of clips that are kept; the oldest are deleted for new ones.
        rate: pictures per second of a clip at most; a few are enough to see what happened, and
            each costs some milliseconds whether there is an alarm or not.
        draw: what draws a reading over its picture, in the colours of a scale that is the clip's,
            and returns a picture of uint8 (H, W, 3) BGR; None: `draw`, which knows no regions and
            lines.

    Raises:
        ConfigError: a number makes no sense.
    """

    wants_images = True

    def __init__(
        self,
        folder: str | Path,
        *,
        before: float = 5.0,
        after: float = 10.0,
        size_mb: float = 5000.0,
        rate: float = 5.0,
        draw: Draw | None = None,
    ) -> None:
        for name, value, most in (("before", before, 60.0), ("after", after, _LONGEST)):
            if not 0 <= value <= most:
                raise ConfigError(f"{name}: expected 0 to {most:g} seconds, got {value!r}")
        for name, value in (("size_mb", size_mb), ("rate", rate)):
            if not 0 < value < math.inf:
                raise ConfigError(f"{name}: expected more than 0, got {value!r}")
        self.name = "clips"
        self._folder = Path(folder)
        self._before, self._after, self._most = before, after, size_mb * 1e6
        self._draw = draw
        self._apart = 0.9 / rate  # s: pictures of this very rate are not to be left out
        self._ring = Ring(before, _MEMORY)
        self._last: dict[str, float] = {}
        self._clips: dict[str, _Clip] = {}
        self._lock = ExitStack()

    def open(self) -> None:
        """Make the folder, and delete what a kill left of a clip; OutputError if it cannot be.

        Another process may not use it meanwhile: it would take this one's clips for such leftovers.
        """
        try:
            make_folder(self._folder)
        except OSError as error:
            raise self._error(error) from error
        self._lock.close()
        self._lock.enter_context(
            locked(
                self._folder / ".lock",
                busy=f"writes clips into {self._folder}: give each service a folder of its own",
                second="give each service a folder of its own",
            )
        )
        try:
            for path in self._folder.iterdir():
                if _LEFT.fullmatch(path.name):
                    path.unlink(missing_ok=True)
            self._make_room()
        except OSError as error:
            raise self._error(error) from error

    def reading(self, reading: Reading) -> None:
        """Keep a reading's picture, and write what waits; OutputError if it cannot be written."""
        if reading.image is not None and self._is_due(reading):
            shot = Shot.of(reading, reading.image)
            clip = self._clips.get(reading.camera)
            if clip is not None and not clip.is_over(reading.time):
                clip.add(shot)
            else:
                self._ring.add(shot)
        self._work()

    def event(self, event: Event) -> None:
        """Begin a clip of a raised alarm, or make that of its camera longer."""
        if event.kind != "alarm" or event.change != "raised":
            return
        clip = self._clips.get(event.camera)
        if clip is not None and not clip.is_over(event.time):
            clip.extend(event.time + self._after)
            return
        if clip is not None:
            self._finish(event.camera, clip)
        clip = _Clip(self._path(event), event.time, self._after, self._draw or draw)
        for shot in self._ring.take(event.camera):
            clip.add(shot)
        self._clips[event.camera] = clip

    def idle(self) -> None:
        """Write what waits, and close clips of cameras that are gone; OutputError if it fails."""
        self._work()

    def close(self) -> None:
        """Write and close all clips; OutputError if one cannot be written."""
        with self._lock:
            for camera, clip in list(self._clips.items()):
                self._finish(camera, clip)

    def _is_due(self, reading: Reading) -> bool:
        last = self._last.get(reading.camera, -math.inf)
        if 0 <= reading.time - last < self._apart:
            return False
        self._last[reading.camera] = reading.time
        return True

    def _work(self) -> None:
        for camera, clip in list(self._clips.items()):
            try:
                clip.write(_AT_ONCE)
            except BaseException:
                del self._clips[camera]  # its file is gone; the next alarm begins another one
                raise
            if clip.is_done():
                self._finish(camera, clip)

    def _finish(self, camera: str, clip: _Clip) -> None:
        del self._clips[camera]
        clip.close()
        try:
            self._make_room()
        except OSError as error:
            raise self._error(error) from error

    def _make_room(self) -> None:
        """Delete the oldest clips, but never the newest, and no file of others."""
        found = [path for path in self._folder.iterdir() if _NAME.fullmatch(path.name)]
        sized = sorted((path.stat().st_mtime_ns, path.name, path.stat().st_size) for path in found)
        over = sum(size for _, _, size in sized) - self._most
        for _, name, size in sized[:-1]:
            if over <= 0:
                return
            (self._folder / name).unlink(missing_ok=True)
            over -= size

    def _path(self, event: Event) -> Path:
        moment = datetime.fromtimestamp(event.time, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        names = (_OTHER.sub("_", name)[:64] or "_" for name in (event.camera, event.name))
        stem = "-".join([*names, moment])
        path, number = self._folder / f"{stem}.mp4", 1
        writing = {clip.path for clip in self._clips.values()}
        while path.exists() or path in writing:
            number += 1
            path = self._folder / f"{stem}-{number}.mp4"
        return path

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write into {self._folder}: {error.strerror or error}")


class _Clip:
    """A clip that is being recorded.

    Attributes:
        path: its name once it is complete.
    """

    def __init__(self, path: Path, began: float, after: float, draw: Draw) -> None:
        self.path, self._draw = path, draw
        self._end, self._latest = began + after, began + _LONGEST
        # By a clock that nobody sets: of a camera that gives no more pictures.
        self._until = time.monotonic() + after + _SILENCE
        self._pending: deque[Shot] = deque()
        self._scale: HeatScale | None = None
        self._writer: ClipWriter | None = None
        self._size = (0, 0)
        self._is_over = False

    def is_over(self, moment: float) -> bool:
        """Return whether a time, UNIX time in seconds, is past the clip's end."""
        self._is_over = self._is_over or moment > self._end
        return self._is_over

    def is_done(self) -> bool:
        """Return whether there is nothing more to come or to write."""
        return not self._pending and (self._is_over or time.monotonic() > self._until)

    def add(self, shot: Shot) -> None:
        self._pending.append(shot)

    def extend(self, end: float) -> None:
        """Record up to another end, if that is later and not too late."""
        longer = min(end, self._latest) - self._end
        if longer > 0:
            self._end += longer
            self._until += longer

    def write(self, most: int) -> None:
        """Draw and write some of the pictures that wait; OutputError if that fails."""
        for _ in range(min(most, len(self._pending))):
            shot = self._pending.popleft()
            self._append(self._drawn(shot), shot.reading.time)

    def close(self) -> None:
        """Write what waits, and give the file its name; OutputError if that fails."""
        self.write(len(self._pending))
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _drawn(self, shot: Shot) -> NDArray[np.uint8]:
        from edgecount.drawing import HeatScale

        result = shot.reading.result
        if self._scale is None and result is not None:
            self._scale = HeatScale.fit(result)
        return self._draw(shot.image(), shot.reading, self._scale)

    def _begin(self, picture: NDArray[np.uint8]) -> ClipWriter:
        from edgecount._clips import ClipWriter

        height, width = picture.shape[:2]
        # The colour planes have half the sides: odd ones do not encode.
        self._size = (max(2, width - width % 2), max(2, height - height % 2))
        return ClipWriter(self.path, self._size, None, timed=True)

    def _append(self, picture: NDArray[np.uint8], moment: float) -> None:
        import cv2

        # After a failure it has deleted its file, and is not closed again.
        writer, self._writer = self._writer or self._begin(picture), None
        # The frames of a clip have one size, and cameras do change theirs.
        if picture.shape[1::-1] != self._size:
            picture = np.asarray(cv2.resize(picture, self._size), np.uint8)
        writer.write(picture, moment)
        self._writer = writer
