"""Likeness of a density map to the true one, and people counted where nobody is.

A network whose density is trained on sums of blocks may count well and still look little like
Gaussians: these metrics compare networks that regress density maps.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount._typed import build
from edgecount.errors import ConfigError, ModelError
from edgecount.manifest import Manifest
from edgecount.train.targets.attention import CROWD
from edgecount.train.targets.kernels import Kernels

Map = NDArray[np.float64]

KERNELS = "kernels"  # of a manifest's `training`: those that the density was trained on

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # for values up to 1
BEST_PSNR = 100.0  # dB; equal maps would be infinitely good, which no mean survives


def kernels_of(manifest: Manifest) -> Kernels:
    """Return the kernels that a model's density was trained on; HSRNet's where it has none.

    Raises:
        ModelError: the manifest has something else in their place.
    """
    try:
        return build(Kernels, manifest.training.get(KERNELS, {}), f"training.{KERNELS}")
    except ConfigError as error:
        raise ModelError(f"manifest field {error}") from None


def true_density(
    points: NDArray[np.float32],
    shape: tuple[int, int],
    stride_xy: tuple[float, float],
    width: int,
    height: int,
    *,
    stride: int,
    kernels: Kernels,
    region: NDArray[np.bool_] | None = None,
) -> Map:
    """Draw the density of annotated heads on the grid of an estimated map, as a training does.

    It is drawn in the pixels that the network saw, which a shrunk image has fewer of: spreads and
    limits in px mean the same as in the training. Where the image is annotated in a region alone
    it is 0 outside, as an estimate that is compared with it has to be.

    Args:
        points: (N, 2) heads x, y in px of the image.
        shape: (h, w) of the grid.
        stride_xy: width and height of a cell in px of the image; need not be whole.
        width: width of the image, px.
        height: height of the image, px.
        stride: side of a cell in px of the network.
        kernels: Gaussians of the heads.
        region: (height, width) the annotated pixels of the image; None: all. Kernels at its border
            are rescaled to an integral of 1 inside, see :func:`density_map`.

    Returns:
        (h, w) people per cell, which sum to N.
    """
    stretch = np.array([stride / stride_xy[0], stride / stride_xy[1]])
    # Past the image's end there are cells only where the network needed its input padded.
    inside = np.ceil(np.array([width, height]) * stretch - 1e-6).astype(int)
    across, down = np.minimum(inside, np.array(shape[::-1]) * stride).tolist()
    if region is not None:
        seen = cv2.resize(region.astype(np.uint8), inside.tolist(), interpolation=cv2.INTER_NEAREST)
        region = np.asarray(seen[:down, :across] > 0)
    drawn = kernels.density(
        (points * stretch).astype(np.float32), down, across, stride=stride, region=region
    )
    target = np.zeros(shape)
    target[: drawn.shape[0], : drawn.shape[1]] = drawn
    return target


def map_quality(density: NDArray[np.floating], target: Map) -> dict[str, float]:
    """Return SSIM and PSNR of a density map on its own grid.

    Papers resize both maps to the image and normalise them in ways that differ and are rarely
    given. Here neither is resized, which would mostly compare the interpolation, and both are
    divided by the target's maximum, so that a peak is 1 and a wrong total still shows.

    Args:
        density: (h, w) people per cell.
        target: (h, w), of :func:`true_density`. Where both are 0 outside an annotated region, these
            cells count as equal, as they do in papers that mask both maps.

    Returns:
        ``ssim``, structural similarity, at most 1, and ``psnr``, peak signal-to-noise ratio, dB, at
        most 100; nothing where nobody is in the image: there is no scale.
    """
    peak = float(target.max()) if target.size else 0.0
    if peak <= 0:
        return {}
    x, y = density.astype(np.float64) / peak, target / peak
    error = float(np.square(x - y).mean())
    psnr = min(-10.0 * np.log10(error), BEST_PSNR) if error > 0 else BEST_PSNR
    return {"ssim": _ssim(x, y), "psnr": float(psnr)}


def _ssim(x: Map, y: Map) -> float:
    """Return the mean structural similarity (Wang et al. 2004).

    Means are taken by an 11 x 11 Gaussian, with mirrored borders.
    """

    def mean(values: Map) -> Map:
        blurred = cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_REFLECT)
        return np.asarray(blurred, np.float64).reshape(values.shape)

    mean_x, mean_y = mean(x), mean(y)
    variance_x = mean(x * x) - mean_x**2
    variance_y = mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    spread = (mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2)
    return float((likeness / spread).mean())


def background_people(
    density: NDArray[np.floating], target: Map, stride: int
) -> tuple[float, float]:
    """Return the people estimated where nobody is, and the people estimated in all.

    Their quotient is CFANet's false recognition ratio r_bg. Background is where the true density
    is below 1e-5 people per px (the paper's maps have the image's size; a cell's value is divided
    by its area here). What a map has below 0 counts as nothing. The true map itself has the tails
    of its kernels there, so that the ratio of a right map is that of ``density=target``.

    Args:
        density: (h, w) people per cell.
        target: (h, w), of :func:`true_density`.
        stride: side of a cell in px of the network.
    """
    people = np.maximum(density.astype(np.float64), 0.0)
    background = target < CROWD * stride**2
    return float(people[background].sum()), float(people.sum())
