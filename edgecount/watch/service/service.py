"""The service behind `edgecount watch`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edgecount.errors import ConfigError, OutputError
from edgecount.watch.camera import Camera
from edgecount.watch.readings import Event, Kept
from edgecount.watch.service.counting import Counting
from edgecount.watch.service.engine import check_alarms, engine_of, open_counter
from edgecount.watch.service.keep import keep_picture
from edgecount.watch.service.outlets import Outlets
from edgecount.watch.service.parts import Parts, Tools
from edgecount.watch.shapes import SHAPES, check_unchanged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from edgecount.counter import EdgeCounter
    from edgecount.drawing import HeatScale
    from edgecount.runtime.sources.live import LiveSource, SourceHealth
    from edgecount.watch.camera import Picture
    from edgecount.watch.config import CameraConfig, WatchConfig
    from edgecount.watch.history import History
    from edgecount.watch.readings import Reading
    from edgecount.watch.service.subscription import Subscription
    from edgecount.watch.sinks.base import Sink, SinkHealth

    Image = NDArray[np.uint8]

_log = logging.getLogger(__name__)

_LAST = 10.0  # s that stopping waits for the picture that is being counted


class Service:
    """A service that counts cameras until it is stopped.

    A context manager: entering starts it, leaving stops it. Its methods may be called from any
    thread.

    Args:
        config: cameras, model and outputs.
        counter: counter to use, which the caller closes; None: one is opened as the config says.
        sinks: receivers of readings and events; None: the sinks of the config.
        sources: live sources by camera id, in place of those in the config.

    Raises:
        ConfigError: the config makes no sense.
        EdgeCountError: a model, an engine or a camera that it names cannot be used.
    """

    def __init__(
        self,
        config: WatchConfig,
        *,
        counter: EdgeCounter | None = None,
        sinks: Sequence[Sink] | None = None,
        sources: Mapping[str, LiveSource] | None = None,
    ) -> None:
        self._config = config
        self._given_sinks = None if sinks is None else list(sinks)
        self._sources = dict(sources or {})
        self._changing = threading.RLock()  # one start, stop or reload at a time
        self._is_stopped = False
        self._owns_counter = counter is None
        self._counter = counter or open_counter(config)
        self._outlets = Outlets()
        self._counting = Counting(self._counter, self._told, self._outlets.tell)
        self._cameras: Mapping[str, Camera] = MappingProxyType({})
        try:
            check_alarms(config, self._counter.manifest)
            tools = Tools(self._draw, self._healths, self._outlets.health)
            self._parts = Parts(config, tools, self._given_sinks)
            cameras = self._cameras_by(config, self._counter, self._parts)
            self._cameras = MappingProxyType(cameras)
        except BaseException:
            self._close_counter()
            raise

    @property
    def config(self) -> WatchConfig:
        """The current config."""
        return self._config

    @property
    def cameras(self) -> Mapping[str, Camera]:
        """Cameras by their ids, in the order of the config."""
        return self._cameras

    @property
    def history(self) -> History | None:
        """The history of counts; None: none is kept."""
        return self._parts.history

    @property
    def error(self) -> str | None:
        """Error of the engine; None if it works."""
        return self._counting.error

    def start(self) -> None:
        """Open the cameras and the sinks, and count."""
        with self._changing:
            self._announce()
            ended = self._ended_alarms()
            self._outlets.use(self._parts.all)
            for event in ended:
                self._outlets.tell(event)
            self._counting.use(list(self._cameras.values()))
            self._counting.start()

    def _ended_alarms(self) -> list[Event]:
        """Return the events of alarms that an earlier run raised and that are gone."""
        state = self._parts.state
        if state is None:
            return []
        try:
            state.open()
        except OutputError:
            return []  # they are another service's, and the sink tells of it
        alarms = {name: one.alarms for name, one in self._config.cameras.items()}
        return state.end(alarms, time.time())

    def stop(self) -> None:
        """Stop counting, close the cameras, and let the sinks deliver what is waiting.

        It returns within some seconds even if the engine, cameras or sinks hang.
        """
        has_ended = self._counting.stop(_LAST)  # first: a reload may wait for an engine that hangs
        with self._changing:
            self._is_stopped = True
            _close(self._cameras.values())
            self._outlets.close()
            if has_ended:
                self._close_counter()
            else:
                _log.error("the engine hangs: it was left as it is")

    def reload(self, config: WatchConfig) -> None:
        """Continue with another config; cameras whose section is unchanged are not interrupted.

        A camera is opened again only if the settings of its source have changed.

        Raises:
            EdgeCountError: the config cannot be used, or the engine hangs; the service continues
                with the previous config.
        """
        with self._changing:
            if self._is_stopped:
                raise ConfigError("reload: the service has been stopped")
            before = self._config
            counter = self._counter
            if self._owns_counter and engine_of(before) != engine_of(config):
                counter = open_counter(config)
            try:
                check_alarms(config, counter.manifest)
                parts = self._parts.changed(config)
                cameras = self._cameras_by(config, counter, parts)
                changing = self._changing_cameras(config, cameras, counter)
                # Those that go are closed before new ones are opened: some devices can be opened
                # once.
                going_on = [one for one in self._cameras.values() if one in cameras.values()]
                self._counting.use(going_on if counter is self._counter else ())
            except BaseException:
                if counter is not self._counter:
                    counter.close()
                raise
            self._replace_cameras(cameras)
            for camera in changing:
                for event in camera.become(config.cameras[camera.id], counter.manifest):
                    self._outlets.tell(event)
            self._counting.plan(list(cameras.values()), counter)
            if counter is not self._counter:
                self._counter.close()
            self._config, self._counter = config, counter
            self._cameras = MappingProxyType(cameras)
            self._parts = parts
            self._announce()
            self._outlets.use(parts.all)

    def heartbeat(self) -> float:
        """Return the seconds since the counting loop last made progress without an engine error.

        While no camera delivers pictures, the loop still makes progress every second.
        """
        return self._counting.heartbeat()

    def sinks(self) -> list[SinkHealth]:
        """Return the health of the sinks."""
        return self._outlets.health()

    def metrics(self) -> bytes | None:
        """Return the metrics in Prometheus' text format; None: they are off in the config."""
        return self._parts.metrics()

    def subscribe(self) -> Subscription:
        """Return a subscription to the readings and events of all cameras."""
        return self._outlets.subscribe()

    def acknowledge(self, camera: str, alarm: str) -> None:
        """Acknowledge an alarm; nothing happens if it is not raised.

        Raises:
            ConfigError: there is no such camera, or no such alarm.
        """
        for event in self._camera(camera).acknowledge(alarm):
            self._outlets.tell(event)

    def relearn(self, camera: str) -> None:
        """Learn the usual view of a camera again, for example after it was moved.

        Raises:
            ConfigError: there is no such camera.
        """
        self._camera(camera).relearn()

    def change_shapes(
        self, camera: str, shapes: Mapping[str, Any], *, since: str | None = None
    ) -> None:
        """Save regions, excluded, lines and ground of a camera to the config, and apply them.

        Args:
            camera: id of the camera.
            shapes: new values of some of them; the others stay.
            since: version of the shapes that the change is made to (see `shapes_version`); None:
                whatever is there is replaced.

        Raises:
            ConfigError: they are invalid, the config was not read from a file, or (a
                ChangedError) somebody else has changed them meanwhile; nothing has changed.
            OutputError: the file cannot be written.
        """
        from edgecount.watch.config import restore, save

        with self._changing:
            check_unchanged(camera, self._camera(camera).shapes(), since)
            path = self._config.path
            if path is None:
                raise ConfigError(
                    "shapes: there is no config file to save them to: start edgecount watch with "
                    "--config FILE"
                )
            if not shapes or any(key not in SHAPES for key in shapes):
                raise ConfigError(f"shapes: expected some of {', '.join(SHAPES)}, got {[*shapes]}")
            try:
                before = path.read_bytes()
            except OSError as error:
                raise OutputError(f"cannot read {path}: {error.strerror or error}") from error
            config = save(path, {("cameras", camera, key): value for key, value in shapes.items()})
            try:
                self.reload(config)
            except BaseException:
                restore(path, before, since=config)
                raise
            _log.info("%s: %s changed and saved to %s", camera, ", ".join(shapes), path)

    def keep(self, camera: str) -> str:
        """Keep the newest picture of a camera, unpixelated, for labelling; return its file name.

        Raises:
            ConfigError: there is no such camera, no picture, or no folder to keep it in.
            OutputError: it cannot be written, or the folder is full.
        """
        if self._config.keep is None:
            raise ConfigError("keep: expected a folder in the config (keep: {folder: ...})")
        return keep_picture(self._camera(camera), self._config.keep)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _told(self, reading: Reading, picture: Picture) -> None:
        self._outlets.tell(reading, picture)

    def _draw(self, image: Image, reading: Reading, scale: HeatScale | None) -> Image:
        camera = self._cameras.get(reading.camera)
        return image if camera is None else camera.drawn(image, reading, scale)

    def _healths(self) -> dict[str, SourceHealth]:
        return {name: camera.health() for name, camera in self._cameras.items()}

    def _camera(self, name: str) -> Camera:
        if name not in self._cameras:
            raise ConfigError(f"camera: expected one of {sorted(self._cameras)}, got {name!r}")
        return self._cameras[name]

    def _announce(self) -> None:
        statuses = {name: camera.kept().alarms for name, camera in self._cameras.items()}
        self._parts.announce(self._config, statuses)

    def _changing_cameras(
        self, config: WatchConfig, cameras: Mapping[str, Camera], counter: EdgeCounter
    ) -> list[Camera]:
        """Return the cameras that go on by another section; ConfigError if one cannot."""
        changing = [
            camera
            for name, camera in cameras.items()
            if camera is self._cameras.get(name)
            and (_is_other(camera.config, config.cameras[name]) or counter is not self._counter)
        ]
        for camera in changing:
            camera.check(config.cameras[camera.id], counter.manifest)
        return changing

    def _replace_cameras(self, cameras: Mapping[str, Camera]) -> None:
        """Close the cameras that go; those in their places go on from their counts."""
        gone = [one for one in self._cameras.values() if one not in cameras.values()]
        _close(gone)
        for one in gone:
            successor = cameras.get(one.id)
            for event in one.end(() if successor is None else successor.config.alarms):
                self._outlets.tell(event)
            if successor is not None:
                successor.succeed(one)

    def _cameras_by(
        self, config: WatchConfig, counter: EdgeCounter, parts: Parts
    ) -> dict[str, Camera]:
        """Return the cameras of a config: those that can go on, and new ones."""
        cameras = {}
        for name, section in config.cameras.items():
            camera = self._cameras.get(name)
            if camera is not None and camera.can_become(section):
                cameras[name] = camera
                continue
            kept = Kept()
            if camera is None and parts.state is not None:
                kept = parts.state.kept(name)
            cameras[name] = Camera(
                name,
                section,
                counter.manifest,
                self._counting.wake,
                kept=kept,
                source=self._sources.get(name),
            )
        return cameras

    def _close_counter(self) -> None:
        if self._owns_counter:
            self._counter.close()


def _is_other(one: CameraConfig, other: CameraConfig) -> bool:
    """Return whether sections differ, if only in the order of names, which dicts ignore."""
    first, second = (
        [[*names] for names in (section.regions, section.lines, section.alarms)]
        for section in (one, other)
    )
    return one != other or first != second


def _close(cameras: Iterable[Camera]) -> None:
    """Close cameras side by side: each may take a moment for what it reads."""
    closing = list(cameras)
    if closing:
        with ThreadPoolExecutor(len(closing), "edgecount-close") as pool:
            list(pool.map(_close_one, closing))


def _close_one(camera: Camera) -> None:
    try:
        camera.close()
    except Exception:  # noqa: BLE001 (the others, and the sinks, are to be closed as well)
        _log.exception("%s: it could not be closed", camera.id)
