"""Pictures that `behaviour.py` counts: held-out images, rendered scenes, and empty ones."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.scenes import Scene, render_clip, render_scene
from edgecount.train.data.readers import read_samples
from edgecount.train.data.sample import Sample
from edgecount.train.data.splits import hold_out, split

Image = NDArray[np.uint8]
Size = tuple[int, int]

SETS = {  # reader and folder, by the name of the split
    "shanghaitech_a": ("shanghaitech", "shanghaitech/part_A/train"),
    "shanghaitech_b": ("shanghaitech", "shanghaitech/part_B/train"),
    "scut_head": ("voc", "scut_head"),
    "mall": ("mall", "mall"),
}
SIZES: tuple[Size, ...] = ((320, 240), (640, 480), (1024, 768), (1920, 1080))
COLOURS = {  # BGR
    "red": (30, 30, 200),
    "grass": (60, 140, 80),
    "sky": (225, 190, 140),
    "skin": (130, 160, 215),
    "asphalt": (70, 68, 66),
    "sand": (150, 190, 215),
}
RAMPS = {"grey": ((0, 0, 0), (255, 255, 255)), "sky to sand": ((225, 170, 110), (150, 190, 215))}
GRAINS = (1, 2, 4, 8, 16)  # px
EMPTY_SCENES = 20
# The renderer's training scenes have seeds below: 100,000 for each unit of the run's own seed.
FIRST_SEED = 770_000_000
CLIP = {"people": 40, "frames": 50, "fps": 5.0, "size": (640, 480), "place": "plaza"}


@dataclass(frozen=True)
class Material:
    """The held-out images, by name of the set, of the sets that are installed."""

    sets: dict[str, list[Sample]]
    images: int  # number of images of a set where not all are needed

    def some(self, name: str) -> list[Sample]:
        """Choose at most `images` of a set, by a fixed seed."""
        samples = self.sets[name]
        return hold_out(samples, min(self.images, len(samples)))[1]


def read_sets(data: Path | None) -> dict[str, list[Sample]]:
    """Read the held-out images of the sets that are installed."""
    if data is None:
        print("no sets: give --data or set EDGECOUNT_DATA; rendered scenes alone are counted")
        return {}
    found = {}
    for name, (reader, folder) in SETS.items():
        if (data / folder).is_dir():
            found[name] = split(read_samples(reader, data / folder), name)[1]
        else:
            print(f"{name}: skipped, there is no folder {data / folder}")
    return found


@functools.cache
def scene(people: int, size: Size, seed: int) -> Scene:
    """Render a scene, once for all models."""
    return render_scene(people, size=size, seed=seed)


@functools.cache
def clip() -> list[Scene]:
    """Render a clip, once for all models."""
    return list(render_clip(**CLIP, seed=FIRST_SEED))  # type: ignore[arg-type]


def frames_of_nothing(material: Material) -> Iterator[tuple[str, str, Image]]:
    """Yield kind, name and picture of every frame without people."""
    for width, height in SIZES:
        at = f"{width}x{height}"
        for kind, level in (("black", 0), ("white", 255), ("mid grey", 128)):
            yield kind, at, flat((level, level, level), (width, height))
        for name, colour in COLOURS.items():
            yield "other colours", f"{name} {at}", flat(colour, (width, height))
        for name, ends in RAMPS.items():
            for way in ("across", "down", "both"):
                yield "ramps", f"{name} {way} {at}", ramp(*ends, (width, height), way)
        rng = np.random.default_rng(width)
        uniform = rng.integers(0, 256, (height, width, 3), np.uint8)
        yield "uniform noise", at, uniform
        for grain in GRAINS:
            for sigma in (15, 50):
                what = f"sigma {sigma} {at}"
                yield f"noise of {grain} px", what, noise(rng, grain, sigma, (width, height))
    yield from blurred_away(material)
    for size in SIZES:
        for seed in range(FIRST_SEED, FIRST_SEED + EMPTY_SCENES):
            kind = f"scenes without people {size[0]}x{size[1]}"
            yield kind, f"seed {seed}", scene(0, size, seed).image


def flat(colour: tuple[int, int, int], size: Size) -> Image:
    """Return a picture of one colour, BGR."""
    return np.full((size[1], size[0], 3), colour, np.uint8)


def ramp(start: Sequence[int], end: Sequence[int], size: Size, way: str) -> Image:
    """Return a ramp from one colour to another across the picture, down it, or both."""
    x, y = np.linspace(0, 1, size[0])[None, :], np.linspace(0, 1, size[1])[:, None]
    place = {"across": x + 0 * y, "down": 0 * x + y, "both": (x + y) / 2}[way][:, :, None]
    mixed = (1 - place) * np.array(start) + place * np.array(end)
    return np.round(mixed).astype(np.uint8)


def noise(rng: np.random.Generator, grain: int, sigma: float, size: Size) -> Image:
    """Return Gaussian noise around mid grey with grains of a width in pixels."""
    across, down = (math.ceil(side / grain) for side in size)
    grains = rng.normal(128, sigma, (down, across, 3)).astype(np.float32)
    drawn = cv2.resize(grains, size, interpolation=cv2.INTER_LINEAR)
    return np.clip(np.round(drawn), 0, 255).astype(np.uint8)


def blurred_away(material: Material) -> Iterator[tuple[str, str, Image]]:
    """Yield held-out photos, or scenes, so far out of focus that nobody can be made out."""
    for name in material.sets:
        for sample in material.some(name):
            yield f"{name} blurred away", sample.name, blurred(sample.image())
    if not material.sets:
        for seed in range(FIRST_SEED, FIRST_SEED + material.images):
            yield "scenes blurred away", f"seed {seed}", blurred(scene(40, (640, 480), seed).image)


def blurred(image: Image) -> Image:
    """Blur a picture by a sixteenth of its longer side."""
    drawn = cv2.GaussianBlur(image, (0, 0), max(image.shape[:2]) / 16)
    return np.asarray(drawn, np.uint8)
