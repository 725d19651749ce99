"""Raw pictures that camera servers play: a place without people, with a crowd, and in the dark."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.scenes import render_clip
from edgecount.scenes.compose import compose
from edgecount.scenes.photo import develop
from edgecount.scenes.stage import Setting, set_stage

SIZES = ((640, 480), (480, 360))
PEOPLE = 30
_PICTURES = 20  # of each clip, played to and fro
_NOISE = 3.0  # levels of a sensor's noise: pictures without any would look frozen


def write_clips(folder: Path, seed: int) -> dict[str, Path]:
    """Write the clips of a place, and return their folders: "empty", "crowd" and "dark".

    In each are files of I420 pictures, one file for each size; see `rtsp_server.py`.
    """
    setting = Setting(PEOPLE, SIZES[0], "auto", "day", "auto", seed)
    scenes = render_clip(PEOPLE, frames=_PICTURES, fps=2, size=SIZES[0], seed=seed, light="day")
    crowd = [np.asarray(scene.image) for scene in scenes]
    empty = _empty(setting)
    clips = {
        "empty": [empty] * _PICTURES,
        "crowd": crowd + crowd[::-1],
        "dark": [np.zeros_like(empty)] * 4,
    }
    rng = np.random.default_rng(seed)
    for name, pictures in clips.items():
        (folder / name).mkdir(parents=True)
        noise = 0.0 if name == "dark" else _NOISE
        for size in SIZES:
            path = folder / name / "{}x{}.i420".format(*size)
            path.write_bytes(b"".join(_packed(one, size, noise, rng) for one in pictures))
    return {name: folder / name for name in clips}


def _empty(setting: Setting) -> NDArray[np.uint8]:
    """Return the place of a clip without its people."""
    rng = np.random.default_rng(setting.seed)
    stage = set_stage(rng, setting)
    return np.asarray(develop(compose(stage, []), stage.lens, rng))


def _packed(
    picture: NDArray[np.uint8], size: tuple[int, int], noise: float, rng: np.random.Generator
) -> bytes:
    shown = cv2.resize(picture, size).astype(np.float32)
    shown += rng.normal(0, noise, (size[1], size[0], 1)) if noise else 0
    return cv2.cvtColor(shown.clip(0, 255).astype(np.uint8), cv2.COLOR_BGR2YUV_I420).tobytes()
