"""Options of commands that read annotated images, and what each reader reads.

The table is written here again, because help must not import what reads images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound=Callable[..., Any])

AUTO = "auto"

READERS = {
    "csv": "rows image,x,y or image,x,y,w,h in a .csv (centre, sides in px)",
    "csv_folder": "images/, images.csv, points.csv, maybe boxes.csv",
    "coco": "a .json of images, annotations (bbox), categories",
    "voc": "Annotations/NAME.xml, JPEGImages/NAME.jpg, or both in one folder",
    "yolo": "labels/NAME.txt, images/NAME.jpg: boxes, polygons or oriented boxes",
    "mot": "SEQUENCE/gt/gt.txt, SEQUENCE/img1/000001.jpg",
    "empty": "pictures without people, with no annotation",
    "shanghaitech": "images/IMG_n.jpg, ground_truth/GT_IMG_n.mat",
    "mall": "frames/seq_000001.jpg, mall_gt.mat",
    "mall_roi": "as mall, with perspective_roi.mat: in its region alone",
    "ucsd": "vidf1_33_000.y/, vidf1_33_000_frame_full.mat",
    "ucf_cc_50": "n.jpg beside n_ann.mat",
    "ucf_qnrf": "Train/img_0001.jpg beside img_0001_ann.mat",
    "jhu_crowd": "train/images/0001.jpg, train/gt/0001.txt",
    "nwpu_crowd": "images/0001.jpg, jsons/0001.json or mats/0001.mat, train.txt",
    "worldexpo": "train_frame/NAME.jpg, train_label/SCENE/NAME.mat",
    "trancos": "images/image-1-000001.jpg and .txt, image_sets/trainval.txt",
    "scut_head": "SCUT_HEAD_Part_A/ and _B/, as voc",
    "crohd": "as mot",
    "gta_head": "as mot",
}
"""The layout of each reader's sets, in a line."""


def readers_help() -> str:
    """Return the list of readers as the end of a command's help."""
    width = max(map(len, READERS)) + 2
    lines = [f"  {name:{width}}{layout}" for name, layout in READERS.items()]
    return "\n".join(["\b", "Readers (--reader NAME):", *lines])


def set_options(function: _Function) -> _Function:
    """Add the options that say how a folder of annotated images is read."""
    reader = click.option(
        "--reader",
        default=AUTO,
        show_default=True,
        metavar="NAME",
        help="Layout of the annotations, one of those below; auto takes the one that fits what "
        "lies there.",
    )
    unannotated = click.option(
        "--unannotated",
        type=click.Choice(["empty", "skip", "error"]),
        help="Take pictures without an annotation as ones without people, leave them out, or "
        "stop.  [default: as the reader's tools do; it is said]",
    )
    return reader(unannotated(function))
