"""Boxes in COCO's JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from edgecount.train.data.readers.files import naming, only_file
from edgecount.train.data.readers.samples import from_boxes
from edgecount.train.data.sample import Sample


def read_coco(root: Path) -> list[Sample]:
    """Read a JSON of ``images``, ``annotations`` (``bbox``: x, y, width, height), ``categories``.

    ``root`` is the file, or a folder with one, itself or in ``annotations``. Images are searched
    beside it, in ``images`` beside it or beside its folder, and in COCO's own folder, such as
    ``train2017`` for ``instances_train2017.json``. Of several categories those called head count,
    else those called person. Boxes of whole crowds (``iscrowd``) are left out.
    """
    path = only_file(root, "*.json", "annotations/*.json")
    with naming(path):
        contents = json.loads(path.read_text())
        counted = _counted(contents)
        boxes: dict[int, list[list[float]]] = defaultdict(list)
        for item in contents["annotations"]:
            if item["category_id"] in counted and not item.get("iscrowd"):
                left, top, width, height = item["bbox"]
                boxes[item["image_id"]].append([left, top, left + width, top + height])
        samples = [
            from_boxes(_image(path, image["file_name"]), np.array(boxes[image["id"]], np.float32))
            for image in contents["images"]
        ]
    return sorted(samples, key=lambda sample: sample.path)


def _counted(contents: dict[str, Any]) -> set[int]:
    """Return the ids of the categories that are people."""
    used = {item["category_id"] for item in contents["annotations"]}
    names = {item["id"]: str(item["name"]).lower() for item in contents.get("categories", [])}
    for wanted in ("head", "person"):
        found = {id_ for id_ in used if names.get(id_) == wanted}
        if found:
            return found
    if len(used) > 1:
        known = ", ".join(sorted(names.get(id_, str(id_)) for id_ in used))
        raise ValueError(f"expected a category head or person, or a single one, got {known}")
    return used


def _image(annotation: Path, name: str) -> Path:
    base = annotation.parent
    own = annotation.stem.rpartition("_")[2]
    folders = (base, base / "images", base.parent / "images", base.parent / own, base.parent)
    found = (folder / name for folder in folders)
    return next((path for path in found if path.is_file()), base / name)
