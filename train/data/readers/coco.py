"""Boxes in COCO's JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from edgecount.train.data.readers.classes import NONE_COUNTS, counted_of_named
from edgecount.train.data.readers.files import naming, only_file
from edgecount.train.data.readers.reading import Reading, is_there
from edgecount.train.data.readers.samples import from_boxes, problem_of
from edgecount.train.data.readers.text import read_json
from edgecount.train.data.sample import AnnotatedSize, Sample

_Item = dict[str, Any]


@dataclass(frozen=True)
class _Document:
    """The parts of a document, with its ids as texts: some tools write 1 here and "1" there."""

    images: dict[str, _Item]
    annotations: list[_Item]
    categories: dict[str, str]
    groups: set[str]  # names of categories of categories, as Roboflow lists one


def read_coco(root: Path, reading: Reading) -> list[Sample]:
    """Read a JSON of ``images``, ``annotations`` (``bbox``: x, y, width, height), ``categories``.

    ``root`` is the file, or a folder with one, itself or in ``annotations``. Images are searched
    beside it, in ``images`` beside it or beside its folder, and in COCO's own folder, such as
    ``train2017`` for ``instances_train2017.json``. Of several ``categories`` those called head
    count, else those called person, whether they occur or not. Boxes of whole crowds
    (``iscrowd``) are left out.
    """
    path = only_file(root, ".json", folders=("", "annotations"))
    with naming(path):
        document = _document(read_json(path))
        boxes = _boxes(document, reading)
        files = _files(path, document, reading)
        samples = [
            from_boxes(
                files[id_], np.array(boxes.get(id_, []), np.float64), size=_size(path, image)
            )
            for id_, image in document.images.items()
        ]
    reading.unnamed([image.parent for image in files.values()], files.values(), "skip")
    return sorted(samples, key=lambda sample: sample.path)


def _document(contents: Any) -> _Document:
    if not isinstance(contents, dict):
        raise TypeError(f"expected images and annotations, got a {type(contents).__name__}")
    lists = {}
    for name in ("images", "annotations", "categories"):
        value = contents.get(name, []) if name == "categories" else contents[name]
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise ValueError(f"{name}: expected a list of objects")
        lists[name] = value
    images: dict[str, _Item] = {}
    for image in lists["images"]:
        other = images.setdefault(_id(image["id"]), image)
        if other is not image:
            raise ValueError(
                f"the images {other['file_name']} and {image['file_name']} have one id, "
                f"{image['id']!r}"
            )
    categories: dict[str, str] = {}
    for item in lists["categories"]:
        name = _name(item["name"])
        if categories.setdefault(_id(item["id"]), name) != name:
            raise ValueError(f"two categories have one id, {item['id']!r}")
    return _Document(images, lists["annotations"], categories, _groups(lists["categories"]))


def _groups(categories: list[_Item]) -> set[str]:
    """Return the names above others that have nothing above them.

    A person may be of the kind "person", as in COCO's own lists, and a rider, too: it is no group.
    """
    above: dict[str, set[str]] = {}
    for item in categories:
        above.setdefault(_name(item["name"]), set()).add(_name(item.get("supercategory", "")))
    kinds = {kind for name, found in above.items() for kind in found - {name}}
    return {kind for kind in kinds if kind in above and above[kind] <= {"", "none"}}


def _name(value: Any) -> str:
    return str(value).strip().lower()


def _id(value: Any) -> str:
    """Return an id as a text; 1, 1.0 and "1" are the same."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"expected a number or a text as id, got {value!r}"[:200])
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _boxes(document: _Document, reading: Reading) -> dict[str, list[list[float]]]:
    """Return left, top, right, bottom of the heads by the id of their image."""
    _check_images(document)
    categories = [_id(item["category_id"]) for item in document.annotations]
    counted = _counted(set(categories), document)
    boxes: dict[str, list[list[float]]] = {}
    ignored = 0
    ids = Counter(_id(item["id"]) for item in document.annotations if "id" in item)
    for place, (item, category) in enumerate(zip(document.annotations, categories, strict=True)):
        name = document.categories.get(category, category)
        if category not in counted:
            reading.leave_out(f"annotations of category {name}", 1)
        elif _flag(item.get("iscrowd")):
            reading.leave_out("boxes of whole crowds (iscrowd)", 1)
        else:
            reading.counted[name] += 1
            ignored += _flag(item.get("ignore"))
            boxes.setdefault(_id(item["image_id"]), []).append(_sides(item, place))
    reading.note("boxes marked ignore, which count all the same", ignored)
    twice = sum(number - 1 for number in ids.values())
    reading.note("annotations with the id of another, all counted", twice)
    reading.note(NONE_COUNTS, 0 if counted else len(categories))
    return boxes


def _check_images(document: _Document) -> None:
    """Check that every annotation is one of an image that there is."""
    lost = Counter(
        _id(item["image_id"])
        for item in document.annotations
        if _id(item["image_id"]) not in document.images
    )
    if lost:
        first = next(iter(lost))
        raise ValueError(
            f"{lost.total()} annotations are of images that are not listed, first image_id "
            f"{first}: expected one of the ids in images"
        )


def _flag(value: Any) -> bool:
    return value not in (None, False, 0, "0", "", "false", "False")


def _sides(item: _Item, place: int) -> list[float]:
    name = f"annotations[{place}]"
    if "bbox" not in item:
        raise ValueError(f"{name} has no bbox")
    try:
        left, top, width, height = (float(number) for number in item["bbox"])
    except (TypeError, ValueError):
        raise ValueError(
            f"{name}: bbox: expected x, y, width and height, got {item['bbox']!r}"[:200]
        ) from None
    if width < 0 or height < 0:
        raise ValueError(f"{name}: bbox: expected a width and a height of 0 or more")
    sides = [left, top, left + width, top + height]
    if problem := problem_of(sides):
        raise ValueError(f"{name}: bbox: {problem}, got {item['bbox']!r}"[:200])
    return sides


def _counted(used: set[str], document: _Document) -> set[str]:
    """Return the ids of the categories that are people."""
    names = document.categories
    occur = {names.get(id_, id_) for id_ in used}
    # A group is a name above others, which nothing is annotated as.
    named = {name for name in names.values() if name in occur or name not in document.groups}
    wanted = counted_of_named(named, occur, "category")
    return {id_ for id_ in used if wanted in (None, names.get(id_))}


def _size(path: Path, image: _Item) -> AnnotatedSize | None:
    """Return the image's size as the document says; None where it is missing or 0."""
    said = [image.get(side) or 0 for side in ("width", "height")]
    width, height = (int(float(side)) for side in said)
    return AnnotatedSize(width, height, path.name) if width > 0 and height > 0 else None


def _files(path: Path, document: _Document, reading: Reading) -> dict[str, Path]:
    """Return each image's file by its id."""
    files: dict[str, Path] = {}
    first: dict[Path, _Item] = {}
    for id_, image in document.images.items():
        file = _file(path, str(image["file_name"]), reading)
        other = first.setdefault(file, image)
        if other is not image:
            raise ValueError(
                f"the images {other['id']!r} and {image['id']!r} are the same file, "
                f"{image['file_name']}: expected one entry"
            )
        files[id_] = file
    return files


def _file(annotation: Path, name: str, reading: Reading) -> Path:
    base = annotation.parent
    own = annotation.stem.rpartition("_")[2]
    folders = (base, base / "images", base.parent / "images", base.parent / own, base.parent)
    names = [name]
    if "\\" in name:  # written on Windows
        names.append(name.replace("\\", "/"))
    # Written with folders of another machine: the last of them are tried here.
    parts = PurePosixPath(names[-1]).parts
    names += ["/".join(parts[start:]) for start in range(1, len(parts))]
    paths = [folder / spelling for spelling in names for folder in folders]
    exact = (path for path in paths if is_there(path))
    alike = (found for path in paths if (found := reading.picture(path)) != path)
    return next(exact, None) or next(alike, base / name)
