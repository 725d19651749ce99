"""Whether a camera's picture can be trusted: covered, out of focus, turned, frozen, at night."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecount._numbers import check_seconds
from edgecount.analytics._checks import later
from edgecount.analytics._compare import (
    Image,
    colour_of,
    correlation,
    edges_of,
    grey_of,
    shrunk,
    take_image,
)
from edgecount.errors import ConfigError

_FLAT = 6.0  # levels: a picture whose spread is below shows nothing
_FINE = (320, 180)  # px at which sharpness is measured: heads are lost before the scene is
_LOOK = 0.5  # s from one measurement of it to the next
_SHARP = 0.5  # of the usual sharpness, below which a picture is blurred
_MATCHED = 0.35  # correlation of edges with the usual ones, below which the camera was turned
_SAME = 0.05  # mean levels of change from frame to frame, below which a picture is frozen
_GREY = 3.0  # levels of colour below which a picture has none
_LEARN = 120.0  # seconds over which what is usual is learned


class PictureState(enum.Enum):
    """State of a camera's view of its scene."""

    GOOD = "good"
    LEARNING = "learning"  # what is usual is not known yet
    COVERED = "covered"
    BLURRED = "blurred"
    TURNED = "turned"
    FROZEN = "frozen"

    @property
    def is_trusted(self) -> bool:
        """Return whether a count of such a picture is one."""
        return self in (PictureState.GOOD, PictureState.LEARNING)


@dataclass(frozen=True)
class PictureReport:
    """The state of a camera's picture.

    Attributes:
        state: the state.
        since: time since when it has been so, in seconds.
        night: whether the picture has no colour, as cameras with infrared light give at night; a
            model may count differently then.
        changed: whether the state, or night, is another than at the last frame.
    """

    state: PictureState
    since: float
    night: bool
    changed: bool


class PictureCheck:
    """A watch over one camera's picture.

    Frames are compared at 160 x 90 pixels, and their sharpness at 320 x 180, with what is usual for
    the camera, which is learned anew all the time: dusk and moving furniture are no alarm, a hand
    over the lens is. A state has to last before it is taken, so that a bus in front of the camera
    does not count. For a camera that is turned on purpose, call `restart` when it has arrived.

    Args:
        sustain: seconds that a state has to last.
        frozen: seconds without any change after which a picture is frozen; sensors have noise, and
            a still scene is not frozen.
        learn: seconds at the start in which what is usual is learned and nothing is judged but
            flat and frozen pictures.

    Raises:
        ConfigError: a setting is negative or not finite.
    """

    def __init__(self, sustain: float = 5.0, frozen: float = 10.0, learn: float = 5.0) -> None:
        for name, value in (("sustain", sustain), ("frozen", frozen), ("learn", learn)):
            check_seconds(name, value)
        if frozen == 0:
            raise ConfigError("frozen: expected seconds above 0, got 0")
        self._sustain, self._frozen, self._learn = sustain, frozen, learn
        self.restart()

    def restart(self) -> None:
        """Forget what is usual, as after the camera was moved."""
        self._time: float | None = None
        self._started: float | None = None
        self._small: NDArray[np.float32] | None = None
        self._edges: NDArray[np.float32] | None = None  # usual ones
        self._sharpness = 0.0  # usual
        self._sharp = 0.0  # at the newest measurement
        self._looked: float | None = None  # when that was
        self._learned = 0.0  # seconds that what is usual was learned from
        self._still_since = 0.0
        self._state, self._since = PictureState.LEARNING, 0.0
        self._asked: tuple[PictureState, float] | None = None
        self._night = False

    def update(self, time: float, image: Image) -> PictureReport:
        """Judge a frame.

        Args:
            time: time of the frame, in seconds, not before that of the last call.
            image: uint8 (H, W, 3), BGR.

        Raises:
            InputError: the time is before the last one, or the image is another array.
        """
        image = take_image(image)
        passed = later(time, self._time)
        self._time = time
        if self._started is None:
            self._started = self._since = self._still_since = time
        colour = shrunk(image)
        small = grey_of(colour)
        # Against the picture that was new last, and not the one before: at any frame rate a slow
        # change is one.
        if self._small is None or float(np.abs(small - self._small).mean()) > _SAME:
            self._still_since, self._small = time, small
        edges = edges_of(small)
        if self._looked is None or time - self._looked >= _LOOK:
            self._looked, self._sharp = time, _sharpness(image)
        asked = self._judge(time, small, edges)
        changed = self._take(asked, time)
        if asked.is_trusted:  # a hand before the lens has no colour either
            night = colour_of(colour) < _GREY
            changed = changed or night != self._night
            self._night = night
            self._learn_from(edges, self._sharp, passed)
        return PictureReport(self._state, self._since, self._night, changed)

    def _judge(
        self, time: float, small: NDArray[np.float32], edges: NDArray[np.float32]
    ) -> PictureState:
        assert self._started is not None  # noqa: S101
        if time - self._still_since >= self._frozen:
            return PictureState.FROZEN
        if float(small.std()) < _FLAT:
            return PictureState.COVERED
        if self._edges is None or time - self._started < self._learn:
            return PictureState.LEARNING
        matched = correlation(edges, self._edges)
        if self._sharp < _SHARP * self._sharpness:
            # Something near before the lens has no sharp edges, and none of the scene's.
            return PictureState.BLURRED if matched > _MATCHED / 2 else PictureState.COVERED
        return PictureState.TURNED if matched < _MATCHED else PictureState.GOOD

    def _take(self, asked: PictureState, time: float) -> bool:
        """Take a state that has lasted; return whether it is another."""
        if asked is self._state:
            self._asked = None
            return False
        if self._asked is None or self._asked[0] is not asked:
            self._asked = (asked, time)
        since = self._asked[1]
        # A frozen picture has lasted, and what was learned holds at once.
        at_once = asked is PictureState.FROZEN or self._state is PictureState.LEARNING
        if not (at_once and asked is not PictureState.COVERED) and time - since < self._sustain:
            return False
        self._state, self._since, self._asked = asked, since, None
        return True

    def _learn_from(self, edges: NDArray[np.float32], sharpness: float, passed: float) -> None:
        if self._edges is None:
            self._edges, self._sharpness, self._learned = edges, sharpness, 0.0
            return
        # At first every second counts alike, then the last minutes count more.
        self._learned = min(self._learned + passed, _LEARN)
        share = min(passed / self._learned, 1.0) if self._learned else 0.0
        self._edges = self._edges + np.float32(share) * (edges - self._edges)
        self._sharpness += share * (sharpness - self._sharpness)


def _sharpness(image: Image) -> float:
    """Return the strength of the strongest edges, beyond noise, for the picture's contrast."""
    grey = grey_of(shrunk(image, _FINE))
    edges = edges_of(grey)[::2, ::2]
    return float(np.percentile(edges, 98)) / max(float(grey.std()), 1.0)
