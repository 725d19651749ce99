"""A counter that looks again at dense regions: RAZ-Net as a whole."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount import Backend, CountResult, EdgeCounter, Manifest
from edgecount.train.models.base import Network
from edgecount.train.raznet.two_stream import fuse_counts
from edgecount.train.raznet.zoom import predictor, zoom_points

if TYPE_CHECKING:
    from edgecount.runtime.frames.checked import CheckedFrame


class ZoomCounter(EdgeCounter):
    """A counter whose points come from recurrent zooming and whose count from 4 x 4 fusion.

    Args:
        network: a network in evaluation mode, with a heatmap.
        manifest: the network's manifest.
        zoom: how often regions are enlarged and searched again, 1 or 2.
        backend: runs the network for the density map.
        max_side: see :class:`edgecount.EdgeCounter`.

    Raises:
        ConfigError: the network gives no heatmap.
    """

    def __init__(
        self,
        network: Network,
        manifest: Manifest,
        zoom: int,
        *,
        backend: Backend,
        max_side: int | Literal["model"] | None = "model",
    ) -> None:
        super().__init__(manifest, backend=backend, max_side=max_side)
        self._infer = predictor(network)
        self._zoom = zoom

    def refine(self, frame: CheckedFrame, result: CountResult) -> CountResult:
        """Return the result with the points of zooming, and their count."""
        image: Any = frame.pixels
        seen, scale = self._shrunk(image)
        post = self.manifest.postprocess
        points = zoom_points(self._infer, seen, threshold=post.threshold, zoom=self._zoom)
        count = float(len(points))
        if post.fusion is not None:
            prediction = self._infer(seen)
            assert prediction.density is not None
            height, width = seen.shape[:2]
            count = fuse_counts(
                prediction.density,
                points,
                (width, height),
                low=post.fusion.low,
                high=post.fusion.high,
                stride=prediction.density_stride,
            )
        points[:, :2] /= np.float32(scale)
        return dataclasses.replace(
            result, count=count, interval=None, peak_count=len(points), points=points
        )

    def _shrunk(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
        """Return the image at the size that the network is to see, and the factor."""
        longer = max(image.shape[:2])
        if self.max_side is None or longer <= self.max_side:
            return image, 1.0
        scale = self.max_side / longer
        width, height = (max(round(side * scale), 1) for side in image.shape[1::-1])
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        return small.astype(np.uint8, copy=False), scale
