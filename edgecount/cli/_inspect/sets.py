"""Names of the sets that a model was trained on, for people."""

from __future__ import annotations

from pathlib import PurePosixPath

# By the folders that data sets have in the configs of training, or the reader's name.
_NAMES = {
    "beijing_brt": "Beijing-BRT",
    "blank": "flat, ramp, noise and blurred pictures",
    "citypersons_small": "CityPersons",
    "hard_hat": "Hardhat",
    "mall": "Mall",
    "negatives": "pictures without people",
    "patterns": "drawn patterns without people",
    "scenes": "rendered scenes",
    "scut_head": "SCUT-HEAD",
    "scut_head_b_more": "SCUT-HEAD, more of its part B",
    "shanghaitech/part_A": "ShanghaiTech A",
    "shanghaitech/part_B": "ShanghaiTech B",
    "ucf_cc_50": "UCF_CC_50",
    "unity_synthetic": "CV-Crowd-Counting (rendered)",
}
_AROUND = {"more", "train"}  # folders above and below a set's own


def set_name(folder: str) -> str:
    """Return a set's name; of one that is not known its folder, as it was given."""
    parts = [part for part in PurePosixPath(folder).parts if part not in _AROUND]
    return _NAMES.get("/".join(parts), folder)
