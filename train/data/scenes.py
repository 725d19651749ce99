"""Rendered crowds, and drawn pictures of nobody, as training images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgecount._files import replacing
from edgecount.errors import OutputError
from edgecount.scenes import render_scene
from edgecount.train.data.patterns import draw_pattern
from edgecount.train.data.readers import Sample

_FRAMES = ((320, 240), (480, 360), (640, 480), (800, 600), (1024, 768), (1280, 720))


def render_samples(folder: Path, number: int, seed: int) -> list[Sample]:
    """Render scenes of 0 to 300 people, a fifth of them empty, as PNG and NPZ in ``folder``.

    Scenes rendered before are taken as they are, so that a resumed run starts at once.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_sample(folder, seed * 100_000 + index) for index in range(number)]
    except OSError as error:
        raise OutputError(f"cannot write rendered scenes to {folder}: {error}") from error


def draw_samples(folder: Path, number: int, seed: int) -> list[Sample]:
    """Draw pictures of things in great number without people, as PNG in ``folder``.

    Pictures drawn before are taken as they are.

    Raises:
        OutputError: the folder cannot be written.
    """
    nobody = np.zeros((0, 2), np.float32)
    samples = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(seed * 100_000, seed * 100_000 + number):
            path = folder / f"pattern_{index}.png"
            if not path.exists():
                encoded, data = cv2.imencode(".png", draw_pattern(index))
                assert encoded
                with replacing(path) as temporary:
                    temporary.write_bytes(data.tobytes())
            samples.append(Sample(path, nobody, nobody[:, 0]))
    except OSError as error:
        raise OutputError(f"cannot write drawn pictures to {folder}: {error}") from error
    return samples


def _sample(folder: Path, seed: int) -> Sample:
    path = folder / f"scene_{seed}.png"
    truth = path.with_suffix(".npz")
    if not truth.exists():
        rng = np.random.default_rng(seed)
        people = 0 if rng.random() < 0.2 else round(float(np.exp(rng.uniform(0.7, 5.7))))
        size = _FRAMES[rng.integers(len(_FRAMES))]
        scene = render_scene(people, size=size, seed=seed)
        if not cv2.imwrite(str(path), scene.image):
            raise OSError(f"cannot write {path}")
        # Last, and whole: a run that is stopped before renders this scene again.
        with replacing(truth) as temporary, temporary.open("wb") as file:
            np.savez(file, points=scene.points, sizes=scene.sizes)
    with np.load(truth) as arrays:
        return Sample(path, arrays["points"], arrays["sizes"])
