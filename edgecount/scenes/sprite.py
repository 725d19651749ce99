"""Sprites: picture elements with coverage and a place in the frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.scenes.arrays import Floats
from edgecount.scenes.light import Light
from edgecount.scenes.solid import NOTHING, Part, Surface, extents, rasterise, soften

Window = tuple[tuple[slice, slice], tuple[slice, slice]]


@dataclass(frozen=True)
class Stand:
    """The place and size at which something stands in the frame.

    Attributes:
        foot: place where its foot meets the ground, in pixels (x, y).
        scale: size, in pixels per metre.
        decline: angle by which the line of sight looks down on it, in radians.
        depth: distance along the axis of view, in metres.
    """

    foot: tuple[float, float]
    scale: float
    decline: float
    depth: float


@dataclass(frozen=True)
class Sprite:
    """A picture element with its place in the frame.

    Attributes:
        left: column of the sprite's first pixel in the frame; may be negative.
        top: row of the sprite's first pixel in the frame; may be negative.
        colour: BGR times alpha, 0 to 255, float32 (h, w, 3).
        alpha: coverage, 0 to 1, float32 (h, w).
        stand: its place; nearer sprites hide farther ones.
        head: coverage by the head, 0 to 1, float32 (h, w), or None for things.
        head_at: centre of the head in frame pixels (x, y).
        head_size: height of the head, chin to crown, in pixels.
        head_box: box around the head in frame pixels (left, top, right, bottom).
    """

    left: int
    top: int
    colour: Floats
    alpha: Floats
    stand: Stand
    head: Floats | None = None
    head_at: tuple[float, float] = (0.0, 0.0)
    head_size: float = 0.0
    head_box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


def crop(sprite: Sprite, width: int, height: int) -> Window | None:
    """Return slices of the frame and of the sprite where they overlap, or None if they do not."""
    rows, columns = sprite.alpha.shape
    x0, x1 = max(sprite.left, 0), min(sprite.left + columns, width)
    y0, y1 = max(sprite.top, 0), min(sprite.top + rows, height)
    if x0 >= x1 or y0 >= y1:
        return None
    inside = (slice(y0, y1), slice(x0, x1))
    top, left = sprite.top, sprite.left
    own = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    return inside, own


def _shade(normal_x: Floats, normal_y: Floats, light: Light) -> Floats:
    """Return the light per pixel and colour channel, float32 (n, 3)."""
    towards = light.direction
    normal_z = np.sqrt(np.clip(1 - normal_x**2 - normal_y**2, 0, 1))
    facing = normal_x * towards[0] + normal_y * towards[1] + normal_z * towards[2]
    direct = np.clip(facing * np.float32(0.8) + np.float32(0.2), 0, None)
    open_sky = np.float32(0.74) + np.float32(0.3) * normal_y
    return np.asarray(
        open_sky[:, None] * light.ambient + direct[:, None] * (light.key * np.float32(1.3)),
        dtype=np.float32,
    )


Painter = Callable[[Surface, Floats, NDArray[np.intp]], Floats]


def render_parts(
    parts: Sequence[Part],
    view: Floats,
    stand: Stand,
    light: Light,
    paint: Painter,
    *,
    head_from: int = NOTHING,
) -> Sprite:
    """Render solid parts into a sprite that is aligned with the frame's pixels.

    Args:
        parts: solid parts to render, in metres around the foot.
        view: rotation from the parts' frame to the view.
        stand: place of the foot in the frame.
        light: light and air of the scene.
        paint: function that returns unlit BGR colours (n, 3) of pixels, from the surface, their
            view coordinates (n, 3) in metres, and their flat indices (n,).
        head_from: materials from this one on count as head; by default none does.
    """
    lows, highs = extents(parts, view)
    low, high = lows.min(axis=0), highs.max(axis=0)
    (foot_x, foot_y), scale = stand.foot, stand.scale
    left, right = math.floor(foot_x + low[0] * scale) - 1, math.ceil(foot_x + high[0] * scale) + 1
    top, bottom = math.floor(foot_y - high[1] * scale) - 1, math.ceil(foot_y - low[1] * scale) + 1
    width, height = right - left, bottom - top
    # Fine pixels per pixel: enough for smooth edges, fewer where there are many.
    fine = 3.0 if scale < 45 else 2.0 if scale < 120 else 1.5
    columns, rows = math.ceil(width * fine), math.ceil(height * fine)
    x = (left - foot_x + (np.arange(columns, dtype=np.float32) + 0.5) * (width / columns)) / scale
    y = (foot_y - top - (np.arange(rows, dtype=np.float32) + 0.5) * (height / rows)) / scale
    x, y = x.astype(np.float32), y.astype(np.float32)
    surface = rasterise(parts, view, x, y)
    shown = np.flatnonzero(surface.material != NOTHING)
    normal_x, normal_y = soften(surface, int(0.05 * scale * fine))
    row, column = np.divmod(shown, columns)
    at = np.stack([x[column], y[row], surface.z.ravel()[shown]], axis=1)
    colour = paint(surface, at, shown)
    colour *= _shade(normal_x.ravel()[shown], normal_y.ravel()[shown], light)
    haze = 1 - math.exp(-light.haze_per_metre * stand.depth)
    colour += (light.haze - colour) * np.float32(haze)
    layers = np.zeros((rows * columns, 4), np.uint8)
    layers[shown, :3] = np.clip(colour, 0, 255)
    layers[shown, 3] = 255
    size = (width, height)
    layers = layers.reshape(rows, columns, 4)
    small = cv2.resize(layers, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    head: Floats | None = None
    if head_from != NOTHING:
        marked = (surface.material >= head_from) & (surface.material != NOTHING)
        resized = cv2.resize(marked.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        head = np.asarray(resized, np.float32)
    colours, alpha = np.ascontiguousarray(small[..., :3]), small[..., 3] / np.float32(255)
    return Sprite(left, top, colours, alpha, stand, head)
