"""A person as a sprite: the posed body in clothes, with the truth about the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.scenes.arrays import Floats
from edgecount.scenes.body import MATERIALS, Pose, build_body
from edgecount.scenes.camera import HEAD_METRES
from edgecount.scenes.light import Light
from edgecount.scenes.look import Look
from edgecount.scenes.solid import Part, Surface, extents, rotation
from edgecount.scenes.sprite import Sprite, Stand, render_parts

Indices = NDArray[np.intp]

_SKIN, _TOP, _LOWER, _SHOES, _BAG, _HEAD, _HAIR, _HAT = range(len(MATERIALS))
# Below this scale, in pixels per metre, eyes are smaller than a third of a pixel.
_FACE_SCALE = 35.0


def render_person(
    look: Look, pose: Pose, stand: Stand, light: Light, rng: np.random.Generator
) -> Sprite:
    """Render one person, whose yaw is relative to the line of sight.

    The folds and prints of the clothes come from the source of randomness.
    """
    parts, head = build_body(look, pose)
    view = rotation(0.0, stand.decline) @ rotation(pose.yaw)
    face = view @ rotation(pose.turn, pose.nod)

    def paint(surface: Surface, at: Floats, shown: Indices) -> Floats:
        material = surface.material.ravel()[shown]
        clothes = (look.top, look.lower, look.shoes, look.bag_colour)
        palette = np.stack([look.skin, *clothes, look.skin, look.hair, look.hat_colour])
        colours = palette[material]
        colours *= _folds(material, surface.z.shape, shown, rng)[:, None]
        if look.pattern != "plain":
            where = np.flatnonzero(material == _TOP)
            marked = _pattern(at[where] @ view, look, rng)
            colours[where[marked]] = look.accent
        if stand.scale >= _FACE_SCALE:
            where = np.flatnonzero(material == _HEAD)
            _face(colours, where, np.asarray((at[where] - view @ head) @ face, np.float32), look)
        return colours

    sprite = render_parts(parts, view, stand, light, paint, head_from=_HEAD)
    seen = view @ head
    x, y = float(seen[0]) * stand.scale, float(seen[1]) * stand.scale
    size = HEAD_METRES * stand.scale * (look.stature / 1.7) ** 0.4
    at = (stand.foot[0] + x, stand.foot[1] - y)
    box = _head_box(parts, view, stand)
    return replace(sprite, head_at=at, head_size=size, head_box=box)


def _head_box(
    parts: Sequence[Part], view: Floats, stand: Stand
) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of a head in the frame, in pixels.

    The box bounds the whole head, hidden parts included, with the hair that lies on it: hair
    that hangs down, buns and hats are outside, as in sets whose heads were marked by hand.
    """
    skull = [part for part in parts if part.material == _HEAD]
    hair = [part for part in parts if part.material == _HAIR][:1]  # the first lies on the skull
    lows, highs = extents([*skull, *hair], view)
    (left, low), (right, high) = lows.min(axis=0)[:2].tolist(), highs.max(axis=0)[:2].tolist()
    (x, y), scale = stand.foot, stand.scale
    return x + left * scale, y - high * scale, x + right * scale, y - low * scale


def _folds(
    material: NDArray[np.uint8], shape: tuple[int, int], shown: Indices, rng: np.random.Generator
) -> Floats:
    """Draw the brightness (n,) of folds in cloth and strands in hair at the pixels shown."""
    size = (shape[1], shape[0])
    cloth = rng.normal(1.0, 0.09, (16, 8)).astype(np.float32)
    strands = rng.normal(1.0, 0.16, (24, 40)).astype(np.float32)
    cloth_map = cv2.resize(cloth, size, interpolation=cv2.INTER_LINEAR).ravel()
    strand_map = cv2.resize(strands, size, interpolation=cv2.INTER_LINEAR).ravel()
    value = np.where(material == _HAIR, strand_map[shown], cloth_map[shown])
    value[(material == _SKIN) | (material == _HEAD)] = 1
    return np.asarray(value, np.float32)


def _pattern(at: Floats, look: Look, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which points of the upper garment, in the body's frame (n, 3), get the accent."""
    if look.pattern == "stripes":
        return np.asarray(np.sin(at[:, 1] * rng.uniform(60, 160)) > rng.uniform(-0.3, 0.5))
    if look.pattern == "checks":
        pitch = rng.uniform(50, 110)
        return np.asarray((np.sin(at[:, 1] * pitch) > 0.2) ^ (np.sin(at[:, 0] * pitch) > 0.2))
    if look.pattern == "block":
        return np.asarray(at[:, 1] > look.stature * rng.uniform(0.62, 0.76))
    centre = rng.uniform(0.66, 0.74) * look.stature
    low, high = rng.uniform(0.04, 0.1, 2)
    side = 1 if rng.random() < 0.75 else -1
    near = (np.abs(at[:, 0]) < high) & (np.abs(at[:, 1] - centre) < low)
    return np.asarray(near & (at[:, 2] * side > 0.03))


def _face(colours: Floats, where: Indices, at: Floats, look: Look) -> None:
    """Darken eyes, brows and mouth; at is in the head's frame, metres, (n, 3)."""
    at = at * np.float32((1.7 / look.stature) ** 0.4)
    front = at[:, 2] > 0.03
    side = np.abs(at[:, 0])

    def spot(cx: float, cy: float, wx: float, wy: float) -> Floats:
        reach = ((side - cx) / wx) ** 2 + ((at[:, 1] - cy) / wy) ** 2
        return np.asarray(np.exp(-reach) * front, dtype=np.float32)

    dark = 0.65 * spot(0.033, 0.012, 0.014, 0.008) + 0.4 * spot(0.033, 0.034, 0.02, 0.007)
    dark += 0.25 * spot(0.033, 0.016, 0.022, 0.016) + 0.3 * spot(0.0, -0.036, 0.016, 0.006)
    dark += 0.25 * spot(0.0, -0.1, 0.05, 0.02)
    if look.glasses:
        dark += 0.85 * spot(0.034, 0.012, 0.024, 0.018)
    shown = colours[where] * (1 - np.clip(dark, 0, 0.9))[:, None]
    lips = 0.4 * spot(0.0, -0.062, 0.02, 0.007)[:, None]
    colours[where] = shown + (np.array([70, 70, 130], np.float32) - shown) * lips
