"""Boxes, polygons and oriented boxes in YOLO's text files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgecount.errors import MissingExtraError, SourceError
from edgecount.train.data.headers import read_header
from edgecount.train.data.readers.classes import counted_class
from edgecount.train.data.readers.files import folder_in, naming
from edgecount.train.data.readers.reading import Reading, Unannotated
from edgecount.train.data.readers.samples import from_boxes
from edgecount.train.data.readers.text import read_text
from edgecount.train.data.readers.yolo_rows import Label, read_labels
from edgecount.train.data.sample import Sample
from edgecount.train.targets.boxes import boxes_around

_CONFIGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


def read_yolo(root: Path, reading: Reading) -> list[Sample]:
    """Read ``images/NAME.jpg`` with ``labels/NAME.txt``, or both in one folder.

    A line has a class and the head's place as shares of the image's upright width and height: a
    box (x, y of the centre, width, height), perhaps with a confidence, or the corners of a
    polygon or of an oriented box, whose bounds are read; see :mod:`.yolo_rows`. Subfolders of
    ``images`` are those of ``labels``, and either may lie within the other's folder, as in
    ``train/images`` and ``train/labels``. An image without a file is one without people, as with
    YOLO's own tools. ``data.yaml`` names the classes: of several head counts, else person; every
    class where it names neither.
    """
    pictures, texts = folder_in(root, "images"), folder_in(root, "labels")
    folder = pictures if pictures.is_dir() else root
    images = reading.images_in(folder, deep=True)
    described = _describe(root)
    paths = {image: _label_of(image, texts, folder) for image in images}
    found = {image: reading.find(path) for image, path in paths.items()}
    own = set(paths.values())
    for image, path in found.items():
        if path in own and path != paths[image]:  # of the image whose name has this very case
            found[image] = None
    if images and not any(found.values()):
        first = images[0]
        raise SourceError(f"{first} has no annotation, nor has any image: expected {paths[first]}")
    labels = {}
    for image, path in found.items():
        if path is None:
            reading.unannotated[image] = Unannotated(paths[image], "empty")
            continue
        with naming(path):
            labels[image] = read_labels(path, _keypoints(described))
    kept = _classes(labels, described, reading)
    confident = sum(one.confident for rows in labels.values() for one in rows)
    reading.note("boxes with a confidence: are these predictions?", confident)
    read = {path for path in found.values() if path}
    folders = {path.parent for path in read}
    reading.without_picture(_label_files(folders, read, reading), read)
    return [_sample(image, rows, kept, found[image]) for image, rows in labels.items()]


def _label_of(image: Path, texts: Path, folder: Path) -> Path:
    """Return where the labels of an image belong."""
    name = image.with_suffix(".txt")
    if texts.is_dir():
        return texts / name.relative_to(folder)
    parts = list(name.parts)
    if "images" not in parts or name.is_file():
        return name
    # As YOLO's own tools do: the last folder of that name.
    parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    swapped = Path(*parts)
    return swapped if swapped.parent.is_dir() else name


def _label_files(folders: set[Path], read: set[Path], reading: Reading) -> list[Path]:
    """Return the files of labels in the folders that were not read; other texts are none."""
    found = [path for folder in folders for path in reading.files_in(folder, (".txt",))]
    return [path for path in found if path not in read and _has_labels(path)]


def _has_labels(path: Path) -> bool:
    try:
        return bool(read_labels(path))
    except (OSError, ValueError):
        return False


def _describe(root: Path) -> Mapping[str, Any]:
    """Return what a set's ``data.yaml`` says, in its folder or the one above; {} without one."""
    places = [folder / name for folder in (root, root.absolute().parent) for name in _CONFIGS]
    path = next((path for path in places if path.is_file()), None)
    if path is None:
        return {}
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("pyyaml", "train", f"to read {path.name}") from error
    try:
        values = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    return values if isinstance(values, dict) else {}


def _keypoints(described: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return how many keypoints of how many numbers each row has, if the set says so."""
    shape = described.get("kpt_shape")
    if shape is None:
        return None
    whole = isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)
    if not whole or shape[0] < 1 or shape[1] not in (2, 3):
        raise SourceError("data.yaml: kpt_shape: expected [keypoints, 2 or 3], got something else")
    return shape[0], shape[1]


def _classes(
    labels: Mapping[Path, list[Label]], described: Mapping[str, Any], reading: Reading
) -> set[int] | None:
    """Return the numbers of the classes that count, None for all, and record how many do."""
    used = Counter(label.kind for rows in labels.values() for label in rows)
    names = described.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    named = names if isinstance(names, dict) else {}
    # Nothing but texts: what an anchor of YAML repeats may be endless as one.
    texts = {n: named[n] for n in used if isinstance(named.get(n), str)}
    known = {n: text.strip().lower() for n, text in texts.items()}
    wanted = None
    if {"head", "person"} & set(known.values()):
        wanted = counted_class({known.get(n, str(n)) for n in used})
    kept = {n for n in used if known.get(n) == wanted} if wanted else None
    for number, times in used.items():
        name = known.get(number, str(number))
        if kept is None or number in kept:
            reading.counted[name] += times
        else:
            reading.leave_out(f"heads of class {name}", times)
    return kept


def _sample(image: Path, rows: list[Label], kept: set[int] | None, path: Path | None) -> Sample:
    header = read_header(image)
    scale = np.array([header.width, header.height], np.float64)
    boxes = np.array([row.box for row in rows if kept is None or row.kind in kept], np.float64)
    shares = boxes.reshape(-1, 4)
    with naming(path or image):
        return from_boxes(image, boxes_around(shares[:, :2] * scale, shares[:, 2:] * scale))
