"""Density maps: one Gaussian a head, each with an integral of 1 inside the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ConfigError
from edgecount.train.targets.points import neighbour_distances

Array = NDArray[np.float32]
Indices = NDArray[np.int64]

SMALLEST, LARGEST, ALONE = 1.0, 25.0, 15.0  # px


def density_map(
    points: Array,
    height: int,
    width: int,
    *,
    sigma: float | None = None,
    stride: int = 1,
    neighbours: int = 3,
    beta: float = 0.3,
    truncate: float = 3.0,
    largest: float = LARGEST,
    region: NDArray[np.bool_] | None = None,
) -> Array:
    """Sum one Gaussian a head (HSRNet Eq. 7); the integral is the count exactly.

    A kernel is integrated over each cell (differences of the error function), so that small
    spreads and strides above 1 lose nothing, ends with the cell that lies ``truncate`` spreads
    away, and is divided by what of it lies inside the image, or inside the annotated region of it.

    Args:
        points: (N, 2) x, y in px, inside the image.
        height: height of the image, px.
        width: width of the image, px.
        sigma: spread of every kernel in px; None: :func:`adaptive_sigmas`.
        stride: px a cell; where it does not divide the image, the last cells are cut by the edge.
        neighbours: number of heads in the mean of :func:`adaptive_sigmas`.
        beta: factor of :func:`adaptive_sigmas`.
        truncate: reach of a kernel, in spreads.
        largest: upper limit of the adaptive spreads, px.
        region: (height, width) the annotated pixels, outside of which the density is 0: each kernel
            is rescaled to an integral of 1 inside, and one that lies outside stays as it is. None:
            all pixels.

    Returns:
        (ceil(height / stride), ceil(width / stride)) people per cell.

    Raises:
        ConfigError: ``sigma`` is not above 0.
    """
    if sigma is not None and not sigma > 0:
        raise ConfigError(f"sigma: expected a spread above 0 px, or none to adapt it, got {sigma}")
    density = np.zeros((-(-height // stride), -(-width // stride)), np.float32)
    if not len(points):
        return density
    if sigma is None:
        sigmas = adaptive_sigmas(points, neighbours=neighbours, beta=beta, largest=largest)
    else:
        sigmas = np.full(len(points), sigma, np.float32)
    across, left, right = _profiles(points[:, 0], sigmas, width, stride, truncate)
    down, top, bottom = _profiles(points[:, 1], sigmas, height, stride, truncate)
    shares = None if region is None else _shares(region, stride)
    for i, (x0, x1, y0, y1) in enumerate(zip(left, right, top, bottom, strict=True)):
        kernel: Array = down[i, : y1 - y0, None] * across[i, None, : x1 - x0]
        inside = kernel if shares is None else _inside(kernel, shares[y0:y1, x0:x1])
        density[y0:y1, x0:x1] += inside
    return density


def _inside(kernel: Array, shares: Array) -> Array:
    """Restrict a kernel to a region and keep its integral; one that lies outside stays as it is."""
    inside: Array = kernel * shares
    total = inside.sum()
    return np.asarray(inside / total, np.float32) if total > 0 else kernel


def _shares(region: NDArray[np.bool_], stride: int) -> Array:
    """Return the share of each cell that a region covers, relative to its part in the image."""
    down, across = (np.arange(0, side, stride) for side in region.shape)

    def sums(values: Array) -> Array:
        rows: Array = np.add.reduceat(values, down, axis=0)
        cells: Array = np.add.reduceat(rows, across, axis=1)
        return cells

    shares: Array = sums(region.astype(np.float32)) / sums(np.ones(region.shape, np.float32))
    return shares


def _profiles(
    centres: Array, sigmas: Array, length: int, stride: int, truncate: float
) -> tuple[Array, list[int], list[int]]:
    """Return one axis of all kernels: the integral over each cell that they reach.

    Returns:
        (N, widest) rows that sum to 1, 0 past a kernel's last cell; the first cells; the last
        cells + 1.
    """
    from scipy.special import erf

    cells = -(-length // stride)
    x, spread = centres.astype(np.float64), sigmas.astype(np.float64)
    reach = truncate * spread
    first: Indices = np.clip((x - reach) // stride, 0, cells - 1).astype(np.int64)
    last: Indices = np.clip((x + reach) // stride, first, cells - 1).astype(np.int64)
    numbers = first[:, None] + np.arange((last - first).max() + 2)
    # the cells past the last are nothing wide
    edges = np.minimum(np.minimum(numbers, last[:, None] + 1) * stride, length)
    values = np.diff(erf((edges - x[:, None]) / (spread[:, None] * np.sqrt(2.0))), axis=1)
    total = values.sum(axis=1)
    lost = np.flatnonzero(total <= 0)  # just outside the edge with a spread of nearly nothing
    values[lost, np.clip(x[lost] // stride, first[lost], last[lost]).astype(int) - first[lost]] = (
        1.0
    )
    total[lost] = 1.0
    profiles: Array = (values / total[:, None]).astype(np.float32)
    return profiles, first.tolist(), (last + 1).tolist()


def adaptive_sigmas(
    points: Array,
    *,
    neighbours: int = 3,
    beta: float = 0.3,
    smallest: float = SMALLEST,
    largest: float = LARGEST,
) -> Array:
    """Return each head's spread: ``beta`` times the mean distance to its nearest heads, in px.

    MCNN's geometry-adaptive kernels (Zhang et al. 2016), held between ``smallest`` (heads that
    were annotated twice are no distance apart) and ``largest`` (a head far from all others is
    not larger for it). With fewer heads than ``neighbours`` the mean is over those there are; a
    lone head gets :data:`ALONE`.

    Args:
        points: (N, 2) x, y in px.
        neighbours: number of heads in the mean, k.
        beta: factor of the mean.
        smallest: least spread, px.
        largest: largest spread, px.

    Returns:
        (N,) px.
    """
    spreads = beta * neighbour_distances(points, neighbours)
    spreads[np.isinf(spreads)] = ALONE
    limited: Array = np.clip(spreads, smallest, largest).astype(np.float32)
    return limited
