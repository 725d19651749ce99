"""A counter that looks again at dense regions: RAZ-Net as a whole."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from edgecount import EdgeCounter
from edgecount.manifest import Manifest
from edgecount.result import CountResult
from edgecount.runtime.images import as_bgr, read_image
from edgecount.train.models.base import Network
from edgecount.train.two_stream import fuse_counts
from edgecount.train.zoom import predictor, zoom_points


class ZoomCounter(EdgeCounter):
    """EdgeCounter whose points come from recurrent zooming, its count from 4 x 4 fusion.

    Args:
        network: in evaluation mode, with a heatmap.
        manifest: of the network.
        zoom: how often regions are enlarged and searched again, 1 or 2.
        options: of :class:`edgecount.EdgeCounter`, with its ``backend``.

    Raises:
        ConfigError: the network gives no heatmap.
    """

    def __init__(self, network: Network, manifest: Manifest, zoom: int, **options: Any) -> None:
        super().__init__(manifest, **options)
        self._infer = predictor(network)
        self._zoom = zoom

    def count(self, frame: Any) -> CountResult:
        """Count the people in one frame; see :meth:`edgecount.EdgeCounter.count`."""
        if isinstance(frame, (str, os.PathLike)):
            frame = read_image(Path(frame))
        image = as_bgr(frame)
        first = super().count(image)
        post = self.manifest.postprocess
        points = zoom_points(self._infer, image, threshold=post.threshold, zoom=self._zoom)
        count = float(len(points))
        if post.fusion is not None:
            seen = self._infer(image)
            assert seen.density is not None
            count = fuse_counts(
                seen.density,
                points,
                image.shape[1::-1],
                low=post.fusion.low,
                high=post.fusion.high,
                stride=seen.density_stride,
            )
        return dataclasses.replace(first, count=count, peak_count=len(points), points=points)
