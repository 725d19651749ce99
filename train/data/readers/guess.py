"""Which readers could read what lies in a folder."""

from __future__ import annotations

import itertools
from pathlib import Path

from edgecount.errors import ConfigError, SourceError
from edgecount.scenes.sequences import layout_of
from edgecount.train.data.readers.files import is_image

_MANY = 2000  # entries of a folder that are looked at

# Of each reader the layouts that it reads, each as names that all have to be there. Readers that
# share a layout with mot are left out.
_LAYOUTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "shanghaitech": (
        ("images", "ground[_-]truth/GT_*.mat"),
        ("train_data/images", "train_data/ground[_-]truth/GT_*.mat"),
        ("train/images", "train/ground[_-]truth/GT_*.mat"),
    ),
    "mall": (("frames", "mall_gt.mat"),),
    "ucsd": (("vidf1_33_*_frame_full.mat",), ("*/vidf1_33_*_frame_full.mat",)),
    "ucf_cc_50": (("[0-9]*_ann.mat",),),
    "ucf_qnrf": (("img_*_ann.mat",), ("Train/img_*_ann.mat",)),
    "jhu_crowd": (("images", "gt/*.txt"), ("train/images", "train/gt/*.txt")),
    "nwpu_crowd": (("train.txt", "jsons"), ("train.txt", "mats")),
    "worldexpo": (("train_frame", "train_label"),),
    "trancos": (("image_sets",), ("images/image-*mask.mat",)),
    "scut_head": (("*Part*/Annotations",),),
    "voc": (("Annotations/*.xml",), ("*.xml",)),
    "mot": (("img1", "gt/gt.txt"), ("*/img1",), ("train/*/img1",)),
    "coco": (("*.json",), ("annotations/*.json",)),
    "yolo": (("labels",), ("*/images", "*/labels")),
    "csv_folder": (("images.csv", "points.csv"),),
    "csv": (("*.csv",), ("*.tsv",)),
}


def guess_reader(root: Path) -> str:
    """Return the reader of a set by the names of its files and folders.

    Raises:
        ConfigError: no reader fits, or several do; it names them.
        SourceError: there is nothing at ``root``.
    """
    if root.is_file():
        fitting = _readers_of_file(root)
    elif root.is_dir():
        fitting = _readers_of_folder(root)
    else:
        raise SourceError(f"expected the folder or file of an annotated set, {root} is neither")
    if len(fitting) == 1:
        return fitting[0]
    parts = [str(root / part) for part in ("train", "test") if (root / part).is_dir()]
    if not fitting and parts and layout_of(root):
        raise ConfigError(
            f"{root} has rendered scenes in parts that are read one by one: expected "
            f"{' or '.join(parts)}"
        )
    what = f"{', '.join(fitting)} could each read" if fitting else "no known layout fits"
    raise ConfigError(f"reader: {what} {root}: name one (edgecount data --help has their layouts)")


def _readers_of_file(path: Path) -> list[str]:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return ["csv"]
    if suffix == ".json":
        return ["coco"]
    folder = path.absolute().parent
    lists = {
        "voc": folder.name == "Main",
        "trancos": folder.name == "image_sets",
        "nwpu_crowd": _has(folder, "jsons") or _has(folder, "mats"),
    }
    return [name for name, fits in lists.items() if fits and suffix == ".txt"]


def _readers_of_folder(root: Path) -> list[str]:
    fitting = [
        name
        for name, layouts in _LAYOUTS.items()
        if any(all(_has(root, pattern) for pattern in layout) for layout in layouts)
    ]
    if "coco" in fitting and _has_settings_alone(root):
        fitting.remove("coco")
    if "csv_folder" in fitting:
        fitting.remove("csv")
    if not fitting and _has_texts_beside_images(root):
        fitting.append("yolo")
    return fitting


def _has_settings_alone(root: Path) -> bool:
    """Return whether the only JSON are the settings of rendered scenes, which annotate nothing."""
    if layout_of(root) is None or _has(root, "annotations/*.json"):
        return False
    return sum(path.suffix.lower() == ".json" for path in root.iterdir()) == 1


def _has(root: Path, pattern: str) -> bool:
    """Return whether ``root`` has what a pattern says, its suffix in lower or upper case."""
    name, dot, suffix = pattern.rpartition(".")
    patterns = [pattern, name + dot + suffix.upper()] if dot else [pattern]
    return any(next(root.glob(one), None) is not None for one in patterns)


def _has_texts_beside_images(root: Path) -> bool:
    entries = itertools.islice(root.iterdir(), _MANY)
    return any(is_image(path.name) and path.with_suffix(".txt").is_file() for path in entries)
