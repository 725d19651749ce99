"""The sets that readers are for: where they are published, and on what terms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class Origin:
    """The origin of a set.

    Attributes:
        title: its name.
        home: its authors' page.
        terms: its terms of use in a few words.
    """

    title: str
    home: str
    terms: str

    def __str__(self) -> str:
        return f"{self.title} is at {self.home} ({self.terms})"


_SEE = "terms on that page"
_NONE = "no licence stated"

ORIGINS: dict[str, Origin] = {
    "shanghaitech": Origin(
        "ShanghaiTech", "https://github.com/desenzhou/ShanghaiTechDataset", _NONE
    ),
    "mall": Origin(
        "Mall",
        "http://personal.ie.cuhk.edu.hk/~ccloy/downloads_mall_dataset.html",
        "for research, not for commercial use",
    ),
    "ucsd": Origin("UCSD pedestrians", "http://www.svcl.ucsd.edu/projects/peoplecnt/", _SEE),
    "ucf_cc_50": Origin("UCF_CC_50", "https://www.crcv.ucf.edu/data/ucf-cc-50/", _SEE),
    "ucf_qnrf": Origin("UCF-QNRF", "https://www.crcv.ucf.edu/data/ucf-qnrf/", _SEE),
    "jhu_crowd": Origin("JHU-CROWD++", "http://www.crowd-counting.com", _SEE),
    "nwpu_crowd": Origin("NWPU-Crowd", "https://www.crowdbenchmark.com", _SEE),
    "worldexpo": Origin("WorldExpo'10", "http://www.ee.cuhk.edu.hk/~xgwang/expo.html", _SEE),
    "trancos": Origin(
        "TRANCOS", "http://agamenon.tsc.uah.es/Personales/rlopez/data/trancos/", _SEE
    ),
    "scut_head": Origin("SCUT-HEAD", "https://github.com/HCIILAB/SCUT-HEAD-Dataset-Release", _NONE),
    "crohd": Origin("CroHD", "https://motchallenge.net/data/Head_Tracking_21/", _SEE),
    "gta_head": Origin(
        "GTA_Head",
        "https://github.com/gkw0010/GTAV_Head-dataset",
        f"{_NONE}; `edgecount scenes write` renders a set in its layout",
    ),
}


def origin_of(reader: str, path: PurePath) -> Origin | None:
    """Return where a set comes from, by its reader or else by a folder of its path."""
    names = [reader, reader.removesuffix("_roi"), *reversed([part.lower() for part in path.parts])]
    return next((ORIGINS[name] for name in names if name in ORIGINS), None)
