"""Squared error of density maps."""

from __future__ import annotations

from torch import Tensor

from edgecount.train.losses.reduce import at_least_float32


def density_mse(density: Tensor, target: Tensor) -> Tensor:
    """Return half the squared Euclidean distance of two maps (HSRNet Eq. 8), mean over images.

    The equation sums over images X_1 to X_N, while the text calls N the number of pixels. Here N is
    the images, as in CSRNet: a mean over pixels as well would be around 1e-6, below what Adam's
    epsilon and the learned weights of Eq. 9 can work with.

    Args:
        density: (B, 1, h, w).
        target: (B, 1, h, w).

    Returns:
        A scalar, in squared people times half the squared unit; it grows with the map's size.
    """
    difference = at_least_float32(density) - target
    return difference.square().sum((1, 2, 3)).mean() / 2.0
