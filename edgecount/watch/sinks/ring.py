"""The newest pictures of each camera as JPEG, in bounded memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgecount.watch.readings import Reading

_QUALITY = 85


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture and its reading.

    Attributes:
        jpeg: the picture.
        reading: its numbers and its result, without the picture.
    """

    jpeg: bytes
    reading: Reading

    @classmethod
    def of(cls, reading: Reading, image: NDArray[np.uint8]) -> Shot:
        """Pack a reading's picture."""
        import simplejpeg

        jpeg = simplejpeg.encode_jpeg(
            np.ascontiguousarray(image), quality=_QUALITY, colorspace="BGR", fastdct=True
        )
        return cls(jpeg, replace(reading, image=None))

    def image(self) -> NDArray[np.uint8]:
        """Return the picture, uint8 (H, W, 3) BGR."""
        import simplejpeg

        return np.asarray(simplejpeg.decode_jpeg(self.jpeg, colorspace="BGR"), np.uint8)

    @property
    def size(self) -> int:
        """Bytes that it takes in memory."""
        result = self.reading.result
        if result is None:
            return len(self.jpeg)
        arrays = result.density, result.points, result.boxes
        return len(self.jpeg) + sum(array.nbytes for array in arrays if array is not None)


class Ring:
    """The shots of each camera of the last seconds.

    Args:
        seconds: how far back they go.
        most: bytes of all cameras together; the oldest go first.
    """

    def __init__(self, seconds: float, most: float) -> None:
        self._seconds, self._most = seconds, most
        self._shots: dict[str, deque[Shot]] = {}
        self._size = 0

    def add(self, shot: Shot) -> None:
        """Add the newest shot of a camera, and let old ones go."""
        shots = self._shots.setdefault(shot.reading.camera, deque())
        shots.append(shot)
        self._size += shot.size
        oldest = shot.reading.time - self._seconds
        # A camera that is gone, or a clock that was set back, leaves nothing behind.
        for name in list(self._shots):
            while self._shots[name] and not self._is_kept(self._shots[name][0], oldest):
                self._drop(name)
            if not self._shots[name]:
                del self._shots[name]
        while self._size > self._most and self._shots:
            name = min(self._shots, key=lambda one: self._shots[one][0].reading.time)
            self._drop(name)
            if not self._shots[name]:
                del self._shots[name]

    def take(self, camera: str) -> list[Shot]:
        """Return a camera's shots, the oldest first, and forget them."""
        shots = list(self._shots.pop(camera, ()))
        self._size -= sum(shot.size for shot in shots)
        return shots

    def _is_kept(self, shot: Shot, oldest: float) -> bool:
        return oldest <= shot.reading.time <= oldest + 2 * self._seconds + 1

    def _drop(self, name: str) -> None:
        self._size -= self._shots[name].popleft().size
