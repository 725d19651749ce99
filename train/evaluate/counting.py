"""Counts of annotated images by the counter that users call, inside their annotated regions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ConfigError
from edgecount.regions import Region, computed_region, rasterise
from edgecount.train.data.readers.regions import inside_mask
from edgecount.train.data.sample import Image, Sample

if TYPE_CHECKING:
    from edgecount import CountResult, EdgeCounter

Mask = NDArray[np.bool_]
Counted = Callable[[], "CountResult"]
"""A function that returns the result of an image, or raises what reading or counting it raised."""


def count_sample(counter: EdgeCounter, sample: Sample, image: Image | None = None) -> CountResult:
    """Count one annotated image inside its annotated region; see :func:`count_samples`.

    Args:
        counter: the model.
        sample: the annotated image.
        image: its pixels, where they are at hand; None: they are read.
    """
    if image is None:
        image = sample.image()
    if sample.region is None:
        return counter.count(image)
    _check_frames(counter, [sample])
    own = counter.regions
    try:
        mask = sample.mask(*image.shape[:2])
        assert mask is not None
        counter.regions = regions_of(mask, sample)
        return restrict(counter.count(image), mask, counter.regions)
    finally:
        counter.regions = own


def count_samples(
    counter: EdgeCounter, samples: Sequence[Sample]
) -> Generator[Counted, None, None]:
    """Count annotated images, each inside its annotated region.

    The counter has the region while it counts the image. Count, density, points and boxes of the
    result are those inside; the interval, which is one of the whole frame, is left out.

    Args:
        counter: the model; its own regions are back when the generator is closed.
        samples: annotated images.

    Yields:
        For each image a function that returns its result.

    Raises:
        ConfigError: an image is annotated in a region, and the counter changes the results of
            whole frames (`EdgeCounter.refine`).
    """
    _check_frames(counter, samples)
    for whole, group in groupby(samples, lambda sample: sample.region is None):
        if not whole:
            yield from _count_regions(counter, group)
            continue
        with closing(counter.count_each(sample.image for sample in group)) as outcomes:
            for outcome in outcomes:
                yield outcome.result


def _check_frames(counter: EdgeCounter, samples: Sequence[Sample]) -> None:
    from edgecount import EdgeCounter

    bounded = next((sample for sample in samples if sample.region is not None), None)
    if bounded is not None and type(counter).refine is not EdgeCounter.refine:
        raise ConfigError(
            f"evaluation: {bounded.path} is annotated in a region alone: expected a counter whose "
            f"results are the engine's, {type(counter).__name__} changes them (refine)"
        )


def _count_regions(counter: EdgeCounter, samples: Iterable[Sample]) -> Iterator[Counted]:
    """Count images one by one, each in its region."""
    own = counter.regions
    masks: list[Mask] = []  # the last one
    try:
        for sample in samples:
            yield _counted(counter, sample, masks)
    finally:
        counter.regions = own


def _counted(counter: EdgeCounter, sample: Sample, masks: list[Mask]) -> Counted:
    """Count an image in its region; the counter keeps its regions where the mask is the last."""
    try:
        image = sample.image()
        mask = sample.mask(image.shape[0], image.shape[1])
        assert mask is not None
        if not masks or not np.array_equal(mask, masks[-1]):
            counter.regions = regions_of(mask, sample)
            masks[:] = [mask]
        result = counter.count(image)
    except Exception as error:  # noqa: BLE001 (raised to whoever asks for this image)
        return partial(_raise, error)
    return partial(restrict, result, mask, counter.regions)


def _raise(error: Exception) -> CountResult:
    raise error


def restrict(result: CountResult, mask: Mask, regions: Sequence[Region]) -> CountResult:
    """Restrict a result to a mask: count, density, points and boxes.

    Args:
        result: the count of an image with these regions.
        mask: (H, W) pixels of the image.
        regions: :func:`regions_of` the mask.
    """
    inside = [result.regions[region.name] for region in regions]
    inside_points = inside_mask(result.points[:, :2], mask)
    points = result.points[inside_points]
    density, grid = result.density, (result.density.shape[0], result.density.shape[1])
    if density.size:
        cell = result.density_stride_xy
        shares = rasterise(regions, size=result.size, grid=grid, cell=cell).sum(axis=0)
        density = density * np.minimum(shares, np.float32(1.0))
    return dataclasses.replace(
        result,
        count=sum(region.count for region in inside),
        density_count=None if result.density_count is None else float(density.sum(dtype=float)),
        peak_count=None if result.peak_count is None else len(points),
        points=points,
        boxes=None if result.boxes is None else result.boxes[inside_points],
        density=density,
        interval=None,
        regions={},
    )


def regions_of(mask: Mask, sample: Sample | None = None) -> tuple[Region, ...]:
    """Return regions that cover exactly the pixels of a mask, one for each connected part.

    Args:
        mask: (H, W).
        sample: whose mask it is, for the error.

    Raises:
        ConfigError: no pixel is set.
    """
    # At twice the size the first and the last sample of a pixel are told apart: they are its edges.
    double = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, tree = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not contours:
        whose = f"{sample.path}: " if sample else ""
        raise ConfigError(f"{whose}expected an annotated region with a pixel at least, got none")
    edges = [_corners((contour.reshape(-1, 2).astype(np.int64) + 1) // 2) for contour in contours]
    parents = tree[0][:, 3]
    return tuple(
        computed_region(
            f"annotated {number}",
            edges[number],
            [edges[hole] for hole in np.flatnonzero(parents == number)],
        )
        for number in np.flatnonzero(parents < 0)
    )


def _corners(path: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the points of a closed path along pixel edges at which it turns."""
    path = path[(path != np.roll(path, 1, axis=0)).any(axis=1)]
    turns = (path - np.roll(path, 1, axis=0)) != (np.roll(path, -1, axis=0) - path)
    corners: NDArray[np.int64] = path[turns.any(axis=1)]
    return corners
