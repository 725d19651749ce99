"""A counter that looks again at dense regions: RAZ-Net as a whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount import EdgeCounter
from edgecount.manifest import Manifest
from edgecount.result import CountResult
from edgecount.runtime.backends.base import Backend
from edgecount.train.models.base import Network
from edgecount.train.raznet.two_stream import fuse_counts
from edgecount.train.raznet.zoom import predictor, zoom_points

if TYPE_CHECKING:
    from edgecount.runtime.pipeline.lanes import Lane
    from edgecount.runtime.pipeline.schedule import Job


class ZoomCounter(EdgeCounter):
    """EdgeCounter whose points come from recurrent zooming, its count from 4 x 4 fusion.

    Args:
        network: in evaluation mode, with a heatmap.
        manifest: of the network.
        zoom: how often regions are enlarged and searched again, 1 or 2.
        backend: runs the network for the density map.
        max_side: as of :class:`edgecount.EdgeCounter`.

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

    def _submit(self, lane: Lane, jobs: Sequence[Job]) -> Callable[[], list[CountResult]]:
        wait = super()._submit(lane, jobs)
        return lambda: [self._zoomed(*pair) for pair in zip(jobs, wait(), strict=True)]

    def _zoomed(self, job: Job, first: CountResult) -> CountResult:
        image: Any = job.frame.pixels
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
            first, count=count, interval=None, peak_count=len(points), points=points
        )

    def _shrunk(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
        """The image at the size that the network is to see, and the factor."""
        longer = max(image.shape[:2])
        if self._max_side is None or longer <= self._max_side:
            return image, 1.0
        scale = self._max_side / longer
        width, height = (max(round(side * scale), 1) for side in image.shape[1::-1])
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        return small.astype(np.uint8, copy=False), scale
