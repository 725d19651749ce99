"""Boxes for sets that annotate points: preset boxes read, boxes written as CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount._files import write_whole
from edgecount.errors import ConfigError, SourceError
from edgecount.train.data.readers.table import read_heads
from edgecount.train.data.readers.text import read_json
from edgecount.train.data.sample import Sample
from edgecount.train.targets.boxes import boxes_around, boxes_from_neighbours, boxes_from_presets

Array = NDArray[np.float32]
ALL = "*"
"""The name under which preset boxes are meant for every image that has none of its own."""


def load_presets(path: Path) -> dict[str, Array]:
    """Read typical heads by the name of their image: (K, 4) left, top, right, bottom in px.

    A CSV has rows ``image,x,y,w,h`` (centre, width and height), a JSON a list of such numbers for
    all images, or an object of such lists by image. The name ``*`` stands for all images.

    Raises:
        ConfigError: the numbers make no sense.
        SourceError: the file cannot be read.
    """
    try:
        rows = _load_json(path) if path.suffix.lower() == ".json" else read_heads(path).rows
        return {name: _presets(heads) for name, heads in rows.items()}
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    except SourceError:
        raise
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _load_json(path: Path) -> dict[str, Any]:
    contents = read_json(path)
    return contents if isinstance(contents, dict) else {ALL: contents}


def _presets(heads: Any) -> Array:
    numbers = np.asarray(heads, np.float64)
    if numbers.ndim != 2 or numbers.shape[1] != 4 or not len(numbers):
        raise ValueError(f"expected lists of x, y, w, h, got shape {numbers.shape}")
    if not np.isfinite(numbers).all() or (numbers[:, 2:] <= 0).any():
        raise ValueError("expected finite numbers and widths and heights above 0")
    return boxes_around(numbers[:, :2], numbers[:, 2:])


def with_boxes(
    samples: Sequence[Sample], presets: Mapping[str, Array] | None = None
) -> list[Sample]:
    """Return the samples with boxes around their points.

    Args:
        samples: annotated images; boxes that they have are replaced.
        presets: result of :func:`load_presets`; None: squares by the distance to the neighbours.

    Raises:
        ConfigError: an image has no presets, or presets name an image that is not there.
    """
    if presets is None:
        return [_boxed(s, boxes_from_neighbours(s.points)) for s in samples]
    spellings = {spelling for sample in samples for spelling in _spellings(sample)}
    unknown = sorted(set(presets) - spellings)
    if unknown:
        raise ConfigError(f"presets: the set has no image {unknown[0]!r}")
    return [_boxed(s, boxes_from_presets(s.points, _presets_of(s, presets))) for s in samples]


def _spellings(sample: Sample) -> tuple[str, ...]:
    return sample.name, sample.path.name, sample.path.stem, ALL


def _presets_of(sample: Sample, presets: Mapping[str, Array]) -> Array:
    for name in _spellings(sample):
        if name in presets:
            return presets[name]
    raise ConfigError(f"presets: none for {sample.name}: add some, or some for all, called {ALL}")


def _boxed(sample: Sample, boxes: Array) -> Sample:
    sides = boxes[:, 2:] - boxes[:, :2]
    sizes = np.sqrt(sides[:, 0] * sides[:, 1]).astype(np.float32)
    return dataclasses.replace(sample, boxes=boxes, sizes=sizes)


def write_boxes(path: Path, samples: Sequence[Sample]) -> None:
    """Write samples with boxes as the ``csv`` reader takes them.

    Images are named relative to the file's folder; centres are the points.

    Raises:
        OutputError: the file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("image", "x", "y", "w", "h"))
    for sample in samples:
        writer.writerows(_rows(sample, path.parent))
    write_whole(path, text.getvalue().encode())


def _rows(sample: Sample, folder: Path) -> list[tuple[str, ...]]:
    image = Path(os.path.relpath(sample.path, folder)).as_posix()
    if sample.boxes is None or not len(sample.points):
        return [(image, "", "", "", "")]
    sides = sample.boxes[:, 2:] - sample.boxes[:, :2]
    numbers = np.concatenate([sample.points, sides], axis=1)
    return [(image, *(f"{number:.2f}" for number in row)) for row in numbers]
