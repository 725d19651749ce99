"""Pascal VOC annotations, and SCUT-HEAD (Peng et al. 2018), which has them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import SourceError
from edgecount.runtime.sources.open import IMAGE_SUFFIXES
from edgecount.train.data.readers.files import listed_names, naming
from edgecount.train.data.readers.samples import from_boxes
from edgecount.train.data.sample import Sample

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(root: Path) -> list[Sample]:
    """Read ``JPEGImages`` with boxes of heads in ``Annotations/NAME.xml``.

    ``root`` is the set's folder, of which all is read, or a list in its ``ImageSets/Main``. Where
    objects of several names are in a file, those called head count, else those called person.
    """
    if root.is_file():
        return _read(root.parents[2], listed_names(root))
    return _read(root, sorted(path.stem for path in (root / "Annotations").glob("*.xml")))


def read_scut_head(root: Path) -> list[Sample]:
    """Read ``SCUT_HEAD_Part_A`` and ``SCUT_HEAD_Part_B``, each in Pascal VOC's layout.

    ``root`` is the folder that has both, one of them, or a list in ``ImageSets/Main``. Of a folder
    the list ``trainval`` is read, or everything where it is missing.
    """
    if root.is_file() or (root / "Annotations").is_dir():
        return _read_part(root)
    return [sample for part in sorted(root.glob("*Part*")) for sample in _read_part(part)]


def _read_part(root: Path) -> list[Sample]:
    listing = root / "ImageSets" / "Main" / "trainval.txt"
    return read_voc(listing if listing.is_file() else root)


def _read(root: Path, names: Iterable[str]) -> list[Sample]:
    trees = {}
    for name in names:
        path = root / "Annotations" / f"{name}.xml"
        image = _image(root / "JPEGImages", name)
        if not path.is_file():
            raise SourceError(f"{image} has no annotation: expected {path}")
        with naming(path):
            trees[path] = image, ET.parse(path).getroot()  # noqa: S314 (the user's own)
    counted = _counted({name for _, root in trees.values() for name, _ in _objects(root)})
    samples = []
    for path, (image, tree) in trees.items():
        with naming(path):
            samples.append(from_boxes(image, _boxes(tree, counted)))
    return samples


def _objects(root: ET.Element) -> list[tuple[str, ET.Element]]:
    return [((o.findtext("name") or "").strip().lower(), o) for o in root.iter("object")]


def _counted(classes: set[str]) -> str | None:
    """Return the class that is counted, over the whole set; None if there is only one."""
    if len(classes) <= 1:
        return None
    for name in ("head", "person"):
        if name in classes:
            return name
    raise ValueError(f"expected a class head or person, got {', '.join(sorted(classes))}")


def _image(folder: Path, name: str) -> Path:
    found = (folder / f"{name}{suffix}" for suffix in IMAGE_SUFFIXES)
    return next((path for path in found if path.is_file()), folder / f"{name}.jpg")


def _boxes(root: ET.Element, counted: str | None) -> NDArray[np.float32]:
    objects = [item for name, item in _objects(root) if counted in (None, name)]
    boxes = [[float(item.findtext(f"bndbox/{side}", "nan")) for side in _SIDES] for item in objects]
    return np.array(boxes, np.float32).reshape(-1, 4)
