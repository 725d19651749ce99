"""Things among the people, round ones above all: what is not a head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.scenes.arrays import Floats
from edgecount.scenes.camera import Camera
from edgecount.scenes.crowd import stand_at
from edgecount.scenes.light import Light
from edgecount.scenes.noise import clouds, tile
from edgecount.scenes.solid import Part, Surface, blob, rotation, vec
from edgecount.scenes.sprite import Sprite, render_parts

Build = tuple[list[Part], list[Sequence[float]], float]


def _lamp(rng: np.random.Generator) -> Build:
    high = float(rng.uniform(3.2, 5.5))
    parts = [
        Part(0, vec(0, 0, 0), vec(0, high, 0), 0.09, 0.05),
        Part(0, vec(0, 0, 0), vec(0, 0.3, 0), 0.16, 0.12),
    ]
    if rng.random() < 0.5:
        parts.append(blob(1, vec(0, high + 0.18, 0), vec(0.2, 0.22, 0.2)))
    else:
        parts.append(Part(0, vec(0, high, 0), vec(0.9, high + 0.25, 0), 0.04, 0.04))
        parts.append(blob(1, vec(1.0, high + 0.22, 0), vec(0.28, 0.07, 0.12)))
    return parts, [(60, 60, 58), (225, 235, 240)], 0.0


def _bollards(rng: np.random.Generator) -> Build:
    step = float(rng.uniform(0.9, 1.8))
    parts = []
    for index in range(int(rng.integers(1, 5))):
        x = index * step
        parts.append(Part(0, vec(x, 0.05, 0), vec(x, 0.75, 0), 0.08, 0.08))
        if rng.random() < 0.8:
            parts.append(blob(1, vec(x, 0.86, 0), vec(0.11, 0.11, 0.11)))
    grey = float(rng.uniform(40, 170))
    return parts, [(grey, grey, grey), (grey, grey * 1.05, grey * 1.1)], 0.03


def _stone_ball(rng: np.random.Generator) -> Build:
    r = float(rng.uniform(0.2, 0.4))
    return [blob(0, vec(0, r, 0), vec(r, r, r))], [(150, 152, 155)], 0.08


def _balloons(rng: np.random.Generator) -> Build:
    parts = [Part(0, vec(0, 0, 0), vec(0, 0.1, 0), 0.1, 0.02)]
    colours: list[Sequence[float]] = [(60, 60, 60)]
    for index in range(int(rng.integers(1, 6))):
        at = vec(*(rng.normal(0, 0.25, 3) + np.array([0, 2.5, 0])))
        parts.append(Part(0, vec(0, 0.1, 0), at, 0.006, 0.006))
        parts.append(blob(index + 1, at, vec(0.14, 0.17, 0.14)))
        colours.append(rng.uniform(20, 240, 3).tolist())
    return parts, colours, 0.0


def _bin(rng: np.random.Generator) -> Build:
    parts = [
        Part(0, vec(0, 0.25, 0), vec(0, 0.75, 0), 0.24, float(rng.uniform(0.24, 0.3))),
        blob(1, vec(0, 0.98, 0), vec(0.28, 0.1, 0.28)),
    ]
    return parts, [(60, 90, 60), (50, 55, 50)], 0.02


def _sign(rng: np.random.Generator) -> Build:
    high = float(rng.uniform(2.0, 2.8))
    face = rotation(float(rng.normal(0, 0.7)))
    parts = [
        Part(0, vec(0, 0, 0), vec(0, high, 0), 0.035, 0.035),
        blob(1, vec(0, high, 0.05), vec(0.3, 0.3, 0.03), face),
        blob(2, vec(0, high, 0.06), vec(0.2, 0.2, 0.035), face),
    ]
    rim = [(50, 50, 200), (190, 110, 30), (40, 190, 220)][int(rng.integers(3))]
    return parts, [(120, 120, 120), rim, (225, 225, 225)], 0.0


def _tree(rng: np.random.Generator) -> Build:
    high = float(rng.uniform(2.2, 3.6))
    parts = [Part(0, vec(0, 0, 0), vec(0, high + 0.6, 0), 0.2, 0.12)]
    for _ in range(int(rng.integers(22, 38))):
        x, y, z = rng.normal(0, 1, 3) * (0.62, 0.45, 0.62)
        r = float(rng.uniform(0.35, 0.65))
        parts.append(blob(1 + int(rng.integers(2)), vec(x, high + 1.3 + y, z), vec(r, r * 0.8, r)))
    tint = float(rng.uniform(0.7, 1.2))
    return (
        parts,
        [(50, 62, 75), (34 * tint, 74 * tint, 52 * tint), (40 * tint, 90 * tint, 66 * tint)],
        0.25,
    )


def _bush(rng: np.random.Generator) -> Build:
    parts = [
        blob(
            0,
            vec(float(rng.normal(0, 0.7)), 0.3, float(rng.normal(0, 0.2))),
            vec(0.45, float(rng.uniform(0.35, 0.6)), 0.4),
        )
        for _ in range(int(rng.integers(3, 8)))
    ]
    tint = float(rng.uniform(0.6, 1.2))
    return parts, [(34 * tint, 80 * tint, 55 * tint)], 0.25


def _parasol(rng: np.random.Generator) -> Build:
    first, second = (rng.uniform(30, 235, 3).tolist() for _ in range(2))
    parts = [Part(0, vec(0, 0, 0), vec(0, 2.4, 0), 0.03, 0.03)]
    for index in range(16):
        turn = index * math.pi / 8
        rim = vec(1.15 * math.cos(turn), 2.1, 1.15 * math.sin(turn))
        parts.append(Part(1 + index // 2 % 2, vec(0, 2.5, 0), rim, 0.04, 0.16))
    return parts, [(110, 110, 110), first, second], 0.03


def _car(rng: np.random.Generator) -> Build:
    """Build a car of blunt blobs: body, cabin, glass, wheels."""
    paint = np.clip(rng.choice([30, 90, 170, 215]) + rng.normal(0, 30, 3), 15, 235).tolist()
    parts = []
    for side in (-0.55, 0.0, 0.55):
        parts.append(Part(0, vec(-1.75, 0.62, side), vec(1.75, 0.6, side), 0.3, 0.27))
        parts.append(Part(0, vec(-0.95, 0.95, side * 0.8), vec(0.6, 0.95, side * 0.8), 0.35, 0.35))
        parts.append(Part(2, vec(-1.0, 1.0, side * 0.98), vec(0.65, 1.0, side * 0.98), 0.27, 0.27))
    for x in (-1.2, 1.2):
        for z in (-0.78, 0.78):
            parts.append(blob(1, vec(x, 0.32, z), vec(0.33, 0.33, 0.12)))
            parts.append(blob(3, vec(x, 0.32, z * 1.08), vec(0.19, 0.19, 0.08)))
    turn = rotation(float(rng.uniform(-math.pi, math.pi)))
    turned = [
        replace(p, a=turn @ p.a, b=turn @ p.b, frame=None if p.frame is None else turn @ p.frame)
        for p in parts
    ]
    return turned, [paint, (28, 28, 28), (48, 44, 40), (150, 150, 150)], 0.0


def _ragged(sprite: Sprite, rng: np.random.Generator) -> Sprite:
    """Turn a sprite into leaves, with a frayed outline and gaps."""
    rows, columns = sprite.alpha.shape
    reach = 2 * int(0.12 * sprite.stand.scale) + 1
    field = cv2.blur(sprite.alpha, (reach, reach))
    grain = clouds(rng, rows, columns, cells=max(rows, columns) / max(reach, 3) * 1.5, octaves=2)
    leaves = np.clip((field - 0.5 + 0.16 * grain) * 4 + 0.5, 0, 1) * (sprite.alpha > 0)
    shade = (1 + 0.2 * grain)[..., None] / np.maximum(sprite.alpha, 0.05)[..., None]
    colour = np.clip(sprite.colour * shade * leaves[..., None], 0, 255)
    alpha = np.asarray(leaves, np.float32)
    return replace(sprite, colour=np.asarray(colour, np.float32), alpha=alpha)


_KINDS = {
    "street": (_lamp, _bollards, _bin, _sign, _sign, _tree, _car, _car, _car, _stone_ball),
    "plaza": (_lamp, _bollards, _bin, _tree, _bush, _parasol, _stone_ball, _balloons, _sign),
    "park": (_tree, _tree, _bush, _bush, _lamp, _bin, _balloons, _parasol),
    "hall": (_bin, _bush, _balloons, _sign, _bollards),
    "stand": (_balloons, _sign),
}


def draw_things(rng: np.random.Generator, camera: Camera, light: Light, place: str) -> list[Sprite]:
    """Draw a few things that suit the place, on the ground that people share."""
    kinds = _KINDS[place]
    grain = tile(rng, 256, sigma=1.0)
    sprites = []
    for _ in range(int(rng.integers(0, 3 if place == "stand" else 9))):
        build = kinds[int(rng.integers(len(kinds)))]
        parts, colours, rough = build(rng)
        z = float(rng.uniform(camera.near * 1.3, camera.far * 1.05))
        x = float(rng.uniform(-0.55, 0.55)) * camera.width / camera.focal * z
        stand = stand_at(camera, x, z)
        palette = np.clip(np.array(colours) * rng.uniform(0.7, 1.2), 5, 245).astype(np.float32)

        def paint(
            surface: Surface,
            at: Floats,
            shown: NDArray[np.intp],
            palette: Floats = palette,
            rough: float = rough,
        ) -> Floats:
            across, up = np.int32(at[:, 0] * 50) % 256, np.int32(at[:, 1] * 50) % 256
            fleck = 1 + rough * grain[up, across]
            return np.asarray(palette[surface.material.ravel()[shown]] * fleck[:, None], np.float32)

        sprite = render_parts(parts, rotation(0.0, stand.decline), stand, light, paint)
        sprites.append(_ragged(sprite, rng) if rough > 0.2 else sprite)
    return sprites
