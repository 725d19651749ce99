"""A camera that is watched."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from edgecount.runtime.frames.pictures import bgr_picture
from edgecount.watch.camera.analysis import Analysed, Analysis
from edgecount.watch.camera.feed import Feed, source_of
from edgecount.watch.camera.view import Picture, draw_over
from edgecount.watch.logs import log_of
from edgecount.watch.readings import Event, Kept, Reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.drawing import HeatScale
    from edgecount.manifest import Manifest
    from edgecount.result import CountResult
    from edgecount.runtime.sources import Frame
    from edgecount.runtime.sources.live import LiveSource, SourceHealth
    from edgecount.watch.config import CameraConfig

    Image = NDArray[np.uint8]


class Camera:
    """A camera with the analysis of its pictures, and the newest one for viewers.

    `take`, `handle` and `tick` are for the thread that counts, all others for any thread.

    Args:
        name: its id.
        config: its section.
        manifest: the model's.
        wake: called, by any thread, when there may be a picture to take.
        kept: counts of its lines and alarms to go on from.
        source: the camera; None: the one that the section names.

    Raises:
        ConfigError: a section makes no sense.
        SourceError: there is no such camera number.
    """

    def __init__(
        self,
        name: str,
        config: CameraConfig,
        manifest: Manifest,
        wake: Callable[[], None],
        *,
        kept: Kept,
        source: LiveSource | None = None,
    ) -> None:
        self.id = name
        self.config = config
        self._manifest = manifest
        self._feed = Feed(name, source or source_of(name, config), config.rate, wake)
        self._lock = threading.Lock()  # of the analysis: alarms are acknowledged by other threads
        self._analysis = Analysis(name, config, manifest, kept=kept, now=time.time())
        self._picture: Picture | None = None

    # For who looks.

    @property
    def title(self) -> str:
        """Name to be shown."""
        return self.config.title or self.id

    def latest(self) -> Reading | None:
        """Return the newest reading, without its picture; None before the first one."""
        picture = self._picture
        return None if picture is None else picture.reading

    def picture(self) -> Picture | None:
        """Return the newest counted picture; None before the first one."""
        return self._picture

    def jpeg(self, layers: Iterable[str] = (), width: int | None = None) -> bytes | None:
        """Return the newest picture as JPEG; see `Picture.jpeg`; None before the first one."""
        picture = self._picture
        return None if picture is None else picture.jpeg(layers, width)

    def drawn(self, image: Image, reading: Reading, scale: HeatScale | None = None) -> Image:
        """Return one of its pictures with everything drawn on it; see `draw_over`."""
        return draw_over(image, reading, self._analysis, scale=scale)

    def health(self) -> SourceHealth:
        """Return how the camera is doing."""
        return self._feed.health()

    def shapes(self) -> dict[str, Any]:
        """Return regions, excluded, lines and ground in plain JSON types, as in the config."""
        config = self.config
        ground = config.ground
        return {
            "regions": {
                name: {"polygon": _points(one.polygon), "excluded": _polygons(one.excluded)}
                for name, one in config.regions.items()
            },
            "excluded": _polygons(config.excluded),
            "lines": {
                name: {"start": list(one.start), "end": list(one.end)}
                for name, one in config.lines.items()
            },
            "ground": None
            if ground is None
            else {
                "corners": _points(ground.corners),
                "width": ground.width,
                "depth": ground.depth,
            },
        }

    def alarms(self) -> dict[str, dict[str, Any]]:
        """Return the alarms by name in plain JSON types; see `CameraAlarms.states`."""
        with self._lock:
            return self._analysis.alarms.states()

    def acknowledge(self, alarm: str) -> list[Event]:
        """Note that somebody knows of an alarm; returns the event, none if it is not raised.

        Raises:
            ConfigError: there is no such alarm.
        """
        with self._lock:
            return self._analysis.alarms.acknowledge(alarm, time.monotonic(), time.time())

    def relearn(self) -> None:
        """Forget what the picture usually looks like, as after the camera was moved."""
        with self._lock:
            self._analysis.restart()

    # For who runs it.

    def can_become(self, config: CameraConfig) -> bool:
        """Return whether it can take over another section without being opened again."""
        old = self.config
        same = (old.source, old.live_options()) == (config.source, config.live_options())
        return same and old.every_frame == config.every_frame

    def check(self, config: CameraConfig, manifest: Manifest) -> None:
        """Check that it can take over another section.

        Raises:
            ConfigError: the section makes no sense.
        """
        Analysis(self.id, config, manifest, kept=Kept(), now=time.time())

    def become(self, config: CameraConfig, manifest: Manifest) -> list[Event]:
        """Use another section from the next picture on; line counts and alarms continue.

        Returns:
            The events of alarms that are there no more.

        Raises:
            ConfigError: the section makes no sense; `check` it first.
        """
        now = time.time()
        with self._lock:
            old = self._analysis
            self._analysis = Analysis(
                self.id, config, manifest, kept=old.kept(now), now=now, before=old
            )
            self.config, self._manifest, self._feed.rate = config, manifest, config.rate
            return old.alarms.end(config.alarms, now)

    def end(self, going_on: Collection[str]) -> list[Event]:
        """Return the events of a camera that goes, but for alarms that go on in its place."""
        with self._lock:
            return self._analysis.alarms.end(going_on, time.time())

    def succeed(self, other: Camera) -> None:
        """Continue the line counts and alarms of another camera, before the first picture."""
        kept, now = other.kept(), time.time()
        with self._lock:
            self._analysis = Analysis(self.id, self.config, self._manifest, kept=kept, now=now)

    def kept(self) -> Kept:
        """Return the state that is to survive a restart."""
        with self._lock:
            return self._analysis.kept(time.time())

    @property
    def due(self) -> float:
        """When the next picture may be taken, by `time.monotonic`."""
        return self._feed.due

    def take(self, now: float) -> tuple[float, Frame] | None:
        """Return a picture to count with its time; see `Feed.take`.

        It is one in BGR, whatever its decoder gives: it is drawn on.
        """
        found = self._feed.take(now)
        if found is None:
            return None
        seconds, frame = found
        return seconds, replace(frame, image=bgr_picture(frame.image))

    def handle(
        self, seconds: float, frame: Frame, result: CountResult
    ) -> tuple[Reading, Picture, list[Event]]:
        """Analyse a counted picture, and return its reading and events.

        Args:
            seconds: its time, as `take` gave it.
            frame: the picture.
            result: its result.
        """
        wall = time.time() if frame.captured is None else frame.captured
        result = replace(  # a batch knows nothing of its pictures' sources
            result,
            source=frame.source,
            frame=frame.index,
            time=frame.time,
            captured=frame.captured,
            media_time=frame.media_time,
        )
        with self._lock, log_of(self.id):
            analysis = self._analysis
            found = analysis.update(seconds, wall, frame.image, result)
        timings = cast("Mapping[str, float]", result.timings)
        reading = self._reading(wall, found, timings)
        picture = Picture(
            reading, frame.image, result, pixelated=self.config.pixelate, analysis=analysis
        )
        self._picture = picture
        return reading, picture, found.events

    def tick(self, now: float, wall: float) -> list[Event]:
        """Return the events of time that has passed, with or without pictures.

        Args:
            now: the time by `time.monotonic`.
            wall: the UNIX time in seconds.
        """
        events = self._feed.tick(now, wall)
        with self._lock:
            return events + self._analysis.alarms.tick(now, wall)

    def close(self) -> None:
        """Close the camera."""
        self._feed.close()

    def _reading(self, wall: float, found: Analysed, timings: Mapping[str, float]) -> Reading:
        return Reading(
            camera=self.id,
            time=wall,
            count=found.count,
            interval=found.interval,
            smooth=found.smooth,
            smooth_interval=found.smooth_interval,
            regions=found.regions,
            lines=found.lines,
            picture=found.picture,
            night=found.night,
            health=self._feed.health(),
            alarms=found.alarms,
            timings=timings,
            result=found.result,
        )


def _points(points: Iterable[Iterable[float]]) -> list[list[float]]:
    return [list(point) for point in points]


def _polygons(polygons: Iterable[Iterable[Iterable[float]]]) -> list[list[list[float]]]:
    return [_points(polygon) for polygon in polygons]
