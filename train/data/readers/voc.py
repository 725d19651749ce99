"""Pascal VOC annotations, and SCUT-HEAD (Peng et al. 2018), which has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import SourceError
from edgecount.train.data.readers.classes import counted_class
from edgecount.train.data.readers.files import folder_in, listed_names, naming
from edgecount.train.data.readers.reading import Reading
from edgecount.train.data.readers.samples import from_boxes
from edgecount.train.data.readers.text import read_xml
from edgecount.train.data.sample import AnnotatedSize, Sample

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_PICTURES = ("JPEGImages", "images")


def read_voc(root: Path, reading: Reading) -> list[Sample]:
    """Read ``JPEGImages`` with boxes of heads in ``Annotations/NAME.xml``, or both in one folder.

    ``root`` is the set's folder, of which all is read, or a list in its ``ImageSets/Main``. Where
    objects of several names are in a file, those called head count, else those called person.
    """
    if root.is_file():
        base = root.absolute().parents
        if len(base) < 3:
            raise SourceError(f"expected a list in ImageSets/Main of a set, got {root}")
        return _read(_named(base[2], listed_names(root), reading), base[2], reading)
    folder = _annotations(root)
    paths = reading.files_in(folder, (".xml",))
    samples = _read({path: path.stem for path in paths}, root, reading)
    pictures = [sample.path for sample in samples]
    reading.unnamed([path.parent for path in pictures], pictures, "skip")
    return samples


def read_scut_head(root: Path, reading: Reading) -> list[Sample]:
    """Read ``SCUT_HEAD_Part_A`` and ``SCUT_HEAD_Part_B``, each in Pascal VOC's layout.

    ``root`` is the folder that has both, one of them, or a list in ``ImageSets/Main``. Of a folder
    the list ``trainval`` is read, or everything where it is missing.
    """
    if root.is_file() or (root / "Annotations").is_dir():
        return _read_part(root, reading)
    parts = sorted(path for path in root.glob("*Part*") if path.is_dir())
    return [sample for part in parts for sample in _read_part(part, reading)]


def _read_part(root: Path, reading: Reading) -> list[Sample]:
    listing = root / "ImageSets" / "Main" / "trainval.txt"
    return read_voc(listing if listing.is_file() else root, reading)


def _annotations(root: Path) -> Path:
    folder = folder_in(root, "Annotations")
    return folder if folder.is_dir() else root


def _named(root: Path, names: Iterable[str], reading: Reading) -> dict[Path, str]:
    """Return the annotations of a list, with the images' names."""
    found = {}
    folders, annotations = _folders(root), _annotations(root)
    for name in names:
        image = _image(folders, name, reading)
        path = reading.annotation_of(image, annotations / f"{name}.xml")
        if path:
            found[path] = name
    return found


def _read(names: Mapping[Path, str], root: Path, reading: Reading) -> list[Sample]:
    trees = {}
    for path in names:
        with naming(path):
            trees[path] = _tree(path)
    times = Counter(name for tree in trees.values() for name, _ in _objects(tree))
    counted = counted_class(times)
    for name, number in times.items():
        if counted in (None, name):
            reading.counted[name or "no name"] += number
        else:
            reading.leave_out(f"objects called {name or 'nothing'}", number)
    marked = sum(_is_difficult(item) for tree in trees.values() for _, item in _objects(tree))
    reading.note("objects marked difficult, which count all the same", marked)
    samples = []
    folders = _folders(root)
    for path, tree in trees.items():
        with naming(path):
            image = _image(folders, names[path], reading, tree)
            samples.append(from_boxes(image, _boxes(tree, counted), size=_size(path, tree)))
    return samples


def _tree(path: Path) -> ET.Element:
    """Read one file of annotations.

    Raises:
        OSError, ET.ParseError: it cannot be read.
        ValueError: it is another XML document, in which there would be nobody.
    """
    root = read_xml(path)
    if root.tag.lower() != "annotation":
        raise ValueError(f"expected the element annotation, got {root.tag[:100]}")
    return root


def _objects(root: ET.Element) -> list[tuple[str, ET.Element]]:
    return [((o.findtext("name") or "").strip().lower(), o) for o in root.iter("object")]


def _is_difficult(item: ET.Element) -> bool:
    return (item.findtext("difficult") or "").strip() == "1"


def _folders(root: Path) -> list[Path]:
    """Return where images are searched."""
    return [*(folder_in(root, name) for name in _PICTURES), root]


def _image(
    folders: list[Path], name: str, reading: Reading, tree: ET.Element | None = None
) -> Path:
    """Return an annotation's image: of its own name, else of the name that is written in it."""
    for folder in folders:
        found = reading.image_like(folder / name)
        if found:
            return found
    written = ((tree.findtext("filename") if tree is not None else "") or "").strip()
    last = written.replace("\\", "/").rpartition("/")[2]
    for folder in folders if last else ():
        found = reading.find(folder / last)
        if found:
            return found
    return folders[0] / f"{name}.jpg"


def _size(path: Path, tree: ET.Element) -> AnnotatedSize | None:
    """Return the image's size as its annotation says; None without one, or where it is 0."""
    said = [(tree.findtext(f"size/{side}") or "").strip() for side in ("width", "height")]
    if not all(said):
        return None
    width, height = (int(float(side)) for side in said)
    return AnnotatedSize(width, height, path.name) if width > 0 and height > 0 else None


def _boxes(root: ET.Element, counted: str | None) -> NDArray[np.float64]:
    objects = [item for name, item in _objects(root) if counted in (None, name)]
    boxes = [[float(item.findtext(f"bndbox/{side}", "nan")) for side in _SIDES] for item in objects]
    for left, top, right, bottom in boxes:
        if left > right or top > bottom:
            raise ValueError(
                f"expected xmin <= xmax and ymin <= ymax, got {left:g}, {top:g}, {right:g}, "
                f"{bottom:g}"
            )
    return np.array(boxes, np.float64).reshape(-1, 4)
