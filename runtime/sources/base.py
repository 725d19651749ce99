"""Frames, and the sources that give them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a source.

    Attributes:
        image: uint8 (H, W, 3), BGR; an `NV12Frame` or another form that `EdgeCounter.count` takes
            will do as well.
        source: the source's name.
        index: number of the frame in the source, from 0; of a camera among all that came in,
            dropped ones too.
        time: seconds since the source's start; 0 for an image. Of a camera or stream the time of
            capture since its first picture, which never goes back, and goes on when it is opened
            again.
        captured: UNIX time in seconds when a camera's picture reached this machine, freed of what
            its own time stamp says that it waited in buffers; None for files and images.
        media_time: presentation time in seconds by the stream's own clock, which starts anew when
            a camera is opened again; None if it has none.
    """

    image: NDArray[np.uint8]
    source: str
    index: int
    time: float
    captured: float | None = None
    media_time: float | None = None


class Source(ABC):
    """A sequence of frames. Nothing is opened before the first frame or property is asked for.

    Attributes:
        name: name of the source in results: a path, a URL, or "camera N".
        is_video: whether it may give more than one frame.
    """

    name: str
    is_video: bool

    @property
    @abstractmethod
    def length(self) -> int | None:
        """Number of frames as far as the source says; None if it does not."""

    @property
    @abstractmethod
    def fps(self) -> float | None:
        """Frames per second; None for an image, or if the source does not say."""

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order, decoded one by one.

        Raises:
            SourceError: the source cannot be read, or not any further.
        """
