"""Annotated crowds in their sets' own layouts; one file per family.

A reader is a function of the set's folder, or of one of its lists, that gives samples without
opening images. Coordinates are the set's own numbers. Most sets keep their test images in a folder
of their own: the folder that has all of them gives the training images.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

from edgecount.errors import ConfigError, MissingExtraError, SourceError
from edgecount.train.data.readers.coco import read_coco
from edgecount.train.data.readers.folders import read_csv_folder, read_empty
from edgecount.train.data.readers.jhu import read_jhu_crowd
from edgecount.train.data.readers.mall import read_mall
from edgecount.train.data.readers.mot import read_mot
from edgecount.train.data.readers.nwpu import read_nwpu_crowd
from edgecount.train.data.readers.shanghaitech import read_shanghaitech
from edgecount.train.data.readers.table import read_csv
from edgecount.train.data.readers.trancos import read_trancos
from edgecount.train.data.readers.ucf import read_ucf_cc_50, read_ucf_qnrf
from edgecount.train.data.readers.ucsd import read_ucsd
from edgecount.train.data.readers.voc import read_scut_head, read_voc
from edgecount.train.data.readers.worldexpo import read_worldexpo
from edgecount.train.data.readers.yolo import read_yolo
from edgecount.train.data.sample import Sample

__all__ = ["READERS", "Sample", "read_samples"]

READERS: dict[str, Callable[[Path], list[Sample]]] = {
    "shanghaitech": read_shanghaitech,
    "mall": read_mall,
    "ucsd": read_ucsd,
    "ucf_cc_50": read_ucf_cc_50,
    "ucf_qnrf": read_ucf_qnrf,
    "jhu_crowd": read_jhu_crowd,
    "nwpu_crowd": read_nwpu_crowd,
    "worldexpo": read_worldexpo,
    "trancos": read_trancos,
    "scut_head": read_scut_head,
    "crohd": read_mot,
    "gta_head": read_mot,
    "voc": read_voc,
    "mot": read_mot,
    "coco": read_coco,
    "yolo": read_yolo,
    "csv": read_csv,
    "csv_folder": read_csv_folder,
    "empty": read_empty,
}

# Readers of one file, or of a set that has lists of its images.
_OF_FILES = {"nwpu_crowd", "trancos", "scut_head", "voc", "coco", "csv"}


def read_samples(reader: str, root: Path) -> list[Sample]:
    """Read all samples of a set, sorted by name.

    Args:
        reader: one of :data:`READERS`.
        root: the set's folder; for some, a list of its images, or the annotations' file.

    Raises:
        ConfigError: the reader is unknown.
        SourceError: the folder is missing or an annotation cannot be read.
        MissingExtraError: a package is missing that reads the annotations.
    """
    if reader not in READERS:
        raise ConfigError(f"data.reader: expected one of {', '.join(READERS)}, got {reader!r}")
    if not (root.is_dir() or (root.is_file() and reader in _OF_FILES)):
        also = " or file" if reader in _OF_FILES else ""
        raise SourceError(f"{reader}: expected the set's folder{also}, {root} is not one")
    try:
        samples = READERS[reader](root)
    except MissingExtraError:
        raise
    except SourceError as error:
        raise SourceError(f"{reader}: {error}") from error
    except (OSError, ValueError, KeyError, IndexError, ET.ParseError) as error:
        raise SourceError(f"{reader}: cannot read the annotations in {root}: {error}") from error
    if not samples:
        raise SourceError(f"{reader}: found no annotated images in {root}")
    return samples
