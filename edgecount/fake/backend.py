"""A backend that counts the figures of fake cameras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount._opencv import load_cv2
from edgecount.errors import BackendError
from edgecount.fake.pictures import HEAD_COLOUR
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.backends.fake import draw_maps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.manifest import Manifest

_NEAR = 100.0  # levels from the colour of a head


class HeadBackend(Backend):
    """A backend that sees the heads in the pictures of a `FakeCamera`, and nothing else.

    Unlike `FakeBackend` it looks at the picture: several cameras may share it, and the count
    follows each one's script. Pictures longer than the model's `max_side` are shrunk; heads must
    be a few pixels wide after that.

    Attributes:
        calls: how often `infer` has run.
    """

    name = "heads"

    def __init__(self) -> None:
        self.calls = 0
        self._manifest: Manifest | None = None

    def prepare(self, manifest: Manifest) -> None:
        """Take the layout of the counter's model."""
        self._manifest = manifest

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return maps with the heads in them; see `Backend.infer`."""
        if self._manifest is None:
            raise BackendError("HeadBackend: pass it to an EdgeCounter")
        self.calls += 1
        images = inputs[self._manifest.input.name]
        maps = [self._maps(image, self._manifest) for image in images]
        return {name: np.stack([each[name] for each in maps]) for name in maps[0]}

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def _maps(self, image: NDArray[np.float32], manifest: Manifest) -> dict[str, NDArray[Any]]:
        spec = manifest.input
        is_head = np.ones(image.shape[1:], np.bool_)
        colour = HEAD_COLOUR if spec.channels == "BGR" else HEAD_COLOUR[::-1]
        for channel, level, mean, scale in zip(image, colour, spec.mean, spec.scale, strict=True):
            is_head &= np.abs(channel - (level - mean) * scale) < _NEAR * abs(scale)
        _, _, boxes, _ = load_cv2().connectedComponentsWithStats(is_head.view(np.uint8))
        points = _centres(boxes[1:, :4])  # the first one is all the rest
        return draw_maps(points, image.shape[1], image.shape[2], manifest)


def _centres(boxes: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the centres of heads of one size, (N, 2), some of which the border cuts.

    Args:
        boxes: (N, 4), left, top, width and height of what is seen of each.
    """
    corner, side = boxes[:, :2], boxes[:, 2:]
    radius = side.max(axis=0, initial=0) / 2
    centres: NDArray[np.float64] = np.where(corner == 0, corner + side - radius, corner + radius)
    return centres
