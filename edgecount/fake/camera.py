"""A camera that follows a script."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgecount.errors import ConfigError
from edgecount.fake.clip import Clock, FakeClip
from edgecount.fake.pictures import Painter
from edgecount.fake.script import Cover, Resize, Scene, Script, Step
from edgecount.runtime.sources.live import LiveOptions, LiveSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.result import CountResult
    from edgecount.runtime.sources import Frame


class FakeCamera(LiveSource):
    """A live source without a camera, which does what a script says.

    It is read, watched and opened again as a real camera is: with states, drops, reconnects and
    time-outs. The script's time runs from the first opening on, whether anybody looks or not, and
    the source ends with it.

    Args:
        script: steps, such as [Show(5, people=20), Drop(3), Resize((320, 240)), Show(2)].
        size: width and height of the first pictures.
        fps: pictures per second.
        speed: how much faster than written everything goes: script, pictures, and the time-outs
            and waits of the options.
        loop: whether the script begins anew at its end.
        rendered: whether people are rendered like real ones (`edgecount.scenes`), for a real
            model, which may miscount them. Else they are drawn as figures, which `HeadBackend`
            counts exactly, and quickly enough for 30 pictures per second and more.
        seed: of places, noise and rendered people: the same pictures for the same seed.
        options: see `LiveOptions`.
        name: name of the source in results.

    Raises:
        ConfigError: an option that makes no sense, or more people than fit into a picture.
    """

    def __init__(
        self,
        script: Sequence[Step | Resize],
        *,
        size: tuple[int, int] = (640, 480),
        fps: float = 10.0,
        speed: float = 1.0,
        loop: bool = False,
        rendered: bool = False,
        seed: int = 0,
        options: LiveOptions | None = None,
        name: str = "fake camera",
    ) -> None:
        for option, value in (("fps", fps), ("speed", speed)):
            if not 0 < value < math.inf:
                raise ConfigError(f"{option}: expected more than 0, got {value!r}")
        self._fps = fps
        self._script = Script(script, size, loop=loop)
        self._painter = Painter(seed, rendered=rendered)
        self._clock = Clock(speed)
        for scene in self._script.scenes:
            self._painter.prepare(scene)
        super().__init__(
            "fake://",
            _faster(options or LiveOptions(), speed),
            name=name,
            open_clip=self._open,
        )

    def people_in(self, seen: Frame | CountResult) -> int:
        """Return how many people are in a picture of this camera.

        Args:
            seen: its frame or result.
        """
        return len(self.heads_in(seen))

    def heads_in(self, seen: Frame | CountResult) -> NDArray[np.float64]:
        """Return where the heads are in a picture of this camera, (N, 2): x and y in pixels.

        Args:
            seen: its frame or result.
        """
        scene, second = self._scene_of(seen)
        if isinstance(scene.step, Cover):
            return np.empty((0, 2))
        return self._painter.heads(scene, second)

    def _scene_of(self, seen: Frame | CountResult) -> tuple[Scene, float]:
        media = seen.media_time
        if media is None or seen.source != self.name:
            raise ConfigError(
                f"expected a frame or result of {self.name}, got one of {seen.source}"
            )
        second = round(self._clock.second(media) * self._fps) / self._fps
        scene = self._script.at(second)
        if scene is None:
            raise ConfigError(f"{self.name}: its script is over at {second:g} s")
        return scene, second

    def _open(self) -> FakeClip:
        return FakeClip(self.name, self._script, self._clock, fps=self._fps, painter=self._painter)


def _faster(options: LiveOptions, speed: float) -> LiveOptions:
    first, most = options.backoff
    return dataclasses.replace(
        options,
        give_up=None if options.give_up is None else options.give_up / speed,
        open_timeout=options.open_timeout / speed,
        first_timeout=options.first_timeout / speed,
        stall_timeout=options.stall_timeout / speed,
        backoff=(first / speed, most / speed),
    )
