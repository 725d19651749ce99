"""Boxes, polygons and oriented boxes in YOLO's text files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgecount._documents import load_yaml, shown
from edgecount.errors import MissingExtraError, SourceError
from edgecount.train.data.headers import read_header
from edgecount.train.data.readers.classes import NONE_COUNTS, counted_of_named
from edgecount.train.data.readers.files import folder_in, naming
from edgecount.train.data.readers.reading import Reading, Unannotated
from edgecount.train.data.readers.samples import from_boxes
from edgecount.train.data.readers.text import read_text
from edgecount.train.data.readers.yolo_rows import Label, read_labels
from edgecount.train.data.sample import Sample
from edgecount.train.targets.boxes import boxes_around

_CONFIGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_PARTS = ("train", "valid", "val", "validation", "test")  # folders, as exported sets are split
_LISTS = ("classes.txt", "obj.names")  # a class's name in each line, from class 0 on


def read_yolo(root: Path, reading: Reading) -> list[Sample]:
    """Read ``images/NAME.jpg`` with ``labels/NAME.txt``, or both in one folder.

    A line has a class and the head's place as shares of the image's upright width and height: a
    box (x, y of the centre, width, height), perhaps with a confidence, or the corners of a
    polygon or of an oriented box, whose bounds are read; see :mod:`.yolo_rows`. Subfolders of
    ``images`` are those of ``labels``, and either may lie within the other's folder, as in
    ``train/images`` and ``train/labels``. An image without a file is one without people, as with
    YOLO's own tools. ``data.yaml``, ``classes.txt`` or ``obj.names`` name the classes: of several
    head counts, else person, whether they occur or not; every class where nothing names them.
    """
    pictures, texts = folder_in(root, "images"), folder_in(root, "labels")
    folder = pictures if pictures.is_dir() else root
    images = reading.images_in(folder, deep=True)
    described = _describe(root)
    names = _names(described, (root, texts, root.absolute().parent))
    parts = _parts(images, folder)
    if len(parts) > 1:
        what = f"images of {', '.join(parts)}, all read as one set: expected a part's folder"
        reading.note(what, len(images))
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
        reading.of_one_picture(path)
        with naming(path):
            labels[image] = read_labels(path, _keypoints(described))
    kept = _classes(labels, names, reading)
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


def _parts(images: Iterable[Path], folder: Path) -> list[str]:
    """Return the names of the parts of a split set that the images come from."""
    folders = {name for image in images for name in image.relative_to(folder).parts[:-1]}
    return [part for part in _PARTS if part in folders]


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
        values = load_yaml(read_text(path), f"cannot read {path}", SourceError)
    except ImportError as error:
        raise MissingExtraError("pyyaml", "train", f"to read {path.name}") from error
    except (OSError, UnicodeError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SourceError(f"{path}: expected keys and values, got {shown(values)}")
    return values


def _names(described: Mapping[str, Any], folders: Iterable[Path]) -> dict[int, str]:
    """Return the classes' names, lower-case, by their numbers; {} where nothing names them."""
    names = described.get("names")
    if names is None:
        paths = (folder / name for folder in folders for name in _LISTS)
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            return {}
        with naming(path):
            names = read_text(path).splitlines()
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict):
        raise SourceError(f"data.yaml: names: expected a list of classes, got {shown(names)}")
    return {
        int(number): str(name).strip().lower()
        for number, name in names.items()
        if str(number).isdecimal() and isinstance(name, str | int)
    }


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
    labels: Mapping[Path, list[Label]], names: Mapping[int, str], reading: Reading
) -> set[int] | None:
    """Return the numbers of the classes that count, None for all, and record how many do.

    Raises:
        ValueError: there are several, with names, and none is head or person.
    """
    used = Counter(label.kind for rows in labels.values() for label in rows)
    called = {number: names.get(number, str(number)) for number in used}
    wanted = counted_of_named([*names.values()], {*called.values()}) if names else None
    if not names and len(used) > 1:
        reading.note("heads of several classes, which nothing names, all counted", used.total())
    kept = {number for number in used if called[number] == wanted} if wanted else None
    for number, times in used.items():
        if kept is None or number in kept:
            reading.counted[called[number]] += times
        else:
            reading.leave_out(f"heads of class {called[number]}", times)
    reading.note(NONE_COUNTS, 0 if kept is None or kept else used.total())
    return kept


def _sample(image: Path, rows: list[Label], kept: set[int] | None, path: Path | None) -> Sample:
    header = read_header(image)
    scale = np.array([header.width, header.height], np.float64)
    boxes = np.array([row.box for row in rows if kept is None or row.kind in kept], np.float64)
    shares = boxes.reshape(-1, 4)
    with naming(path or image):
        return from_boxes(image, boxes_around(shares[:, :2] * scale, shares[:, 2:] * scale))
