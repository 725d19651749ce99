"""Gaussian kernels of density maps, as options that configs and deployed files hold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ConfigError
from edgecount.train.targets.density import LARGEST, density_map

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Kernels:
    """Spreads of the Gaussians that heads are drawn as.

    Attributes:
        sigma: spread of every kernel, px; 0: geometry-adaptive, by the other three.
        beta: spread of a head over the mean distance to its neighbours (HSRNet Eq. 7: 0.3).
        neighbours: heads in that mean (HSRNet Eq. 7: 3).
        max_sigma: largest adaptive spread, px; 0: no limit. Without one a lone head may be drawn
            over half the image.

    Raises:
        ConfigError: a value is out of range.
    """

    sigma: float = 0.0
    beta: float = 0.3
    neighbours: int = 3
    max_sigma: float = LARGEST

    def __post_init__(self) -> None:
        for name in ("sigma", "max_sigma"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise ConfigError(f"{name}: expected 0 px or more, got {value}")
        if not (self.beta > 0 and math.isfinite(self.beta)):
            raise ConfigError(f"beta: expected a number above 0, got {self.beta}")
        if self.neighbours < 1:
            raise ConfigError(f"neighbours: expected 1 or more, got {self.neighbours}")

    def density(
        self,
        points: Array,
        height: int,
        width: int,
        *,
        stride: int = 1,
        region: NDArray[np.bool_] | None = None,
    ) -> Array:
        """Draw the density of heads; see :func:`density_map`.

        Args:
            points: (N, 2) x, y in px, inside the image.
            height: height of the image, px.
            width: width of the image, px.
            stride: px a cell.
            region: (height, width) the annotated pixels; None: all.

        Returns:
            (ceil(height / stride), ceil(width / stride)) people per cell.
        """
        return density_map(
            points,
            height,
            width,
            sigma=self.sigma or None,
            stride=stride,
            neighbours=self.neighbours,
            beta=self.beta,
            largest=self.max_sigma or math.inf,
            region=region,
        )
