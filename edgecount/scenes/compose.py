"""Composition of a picture: shadows on the ground, then everything from far to near."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.scenes.arrays import Floats
from edgecount.scenes.sprite import Sprite, crop
from edgecount.scenes.stage import Stage


def compose(stage: Stage, sprites: Sequence[Sprite]) -> Floats:
    """Draw the lit scene without the camera's faults, BGR float32 (H, W, 3)."""
    camera = stage.camera
    canvas: Floats = stage.canvas.copy()
    everything = [*sprites, *stage.things]
    _darken(canvas, stage, everything)
    for sprite in sorted(everything, key=lambda s: -s.stand.depth):
        window = crop(sprite, camera.width, camera.height)
        if window is not None:
            inside, own = window
            canvas[inside] *= 1 - sprite.alpha[own][..., None]
            canvas[inside] += sprite.colour[own]
    if stage.pools is not None:
        canvas *= stage.pools
    return canvas


def _darken(canvas: Floats, stage: Stage, sprites: Sequence[Sprite]) -> None:
    """Darken the ground by soft shadows around the feet and by those that the key light casts."""
    light = stage.light
    height, width = canvas.shape[0] // 2, canvas.shape[1] // 2
    contact = np.zeros((height, width), np.uint8)
    cast = np.zeros((height, width), np.uint8)
    for sprite in sprites:
        stand = sprite.stand
        x, y = stand.foot
        wide = max(0.27 * stand.scale, 1.0)
        flat = max(wide * math.sin(max(stand.decline, 0.05)), 0.5)
        centre = (round(x * 8), round((y - 0.3 * flat) * 8))
        axes = (round(wide * 8), round(flat * 8))
        cv2.ellipse(contact, centre, axes, 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
        if light.shadow > 0.2:
            _cast(cast, sprite, light.direction)
    soft = cv2.GaussianBlur(contact, (0, 0), 2.2).astype(np.float32) * np.float32(0.42 / 255)
    hard = cv2.GaussianBlur(cast, (0, 0), 0.8).astype(np.float32) * np.float32(light.shadow / 255)
    kept = (1 - soft) * (1 - hard)
    canvas *= cv2.resize(kept, (canvas.shape[1], canvas.shape[0]))[..., None]


def _cast(mask: NDArray[np.uint8], sprite: Sprite, towards: Floats) -> None:
    """Lay a sprite's outline on the ground, away from the light, at half size."""
    stand = sprite.stand
    upright = max(math.cos(stand.decline), 0.3)
    up = max(float(towards[1]), 0.35)
    aside = -float(towards[0]) / up / upright
    back = float(towards[2]) / up / upright * math.sin(stand.decline)
    foot_x, foot_y = stand.foot[0] - sprite.left, stand.foot[1] - sprite.top
    rows, columns = sprite.alpha.shape
    # Height above the foot in rows, h, moves a point aside and into the picture.
    corners = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float64)
    lift = foot_y - corners[:, 1]
    across = stand.foot[0] + corners[:, 0] - foot_x + aside * lift
    laid = np.stack([across, stand.foot[1] - back * lift], axis=1) / 2
    left, top = np.floor(laid.min(axis=0)).astype(int) - 1
    right, bottom = np.ceil(laid.max(axis=0)).astype(int) + 2
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(right, mask.shape[1]), min(bottom, mask.shape[0])
    if x0 >= x1 or y0 >= y1 or abs(back) < 0.02:
        return
    target = (laid[:3] - (x0, y0)).astype(np.float32)
    matrix = cv2.getAffineTransform(corners[:3].astype(np.float32), target)
    outline = (sprite.alpha * 255).astype(np.uint8)
    shade = cv2.warpAffine(outline, matrix, (x1 - x0, y1 - y0))
    np.maximum(mask[y0:y1, x0:x1], shade, out=mask[y0:y1, x0:x1])
