"""The backdrop behind the crowd: the sky, and walls, buildings or trees on the skyline."""

from __future__ import annotations

import cv2
import numpy as np

from edgecount.scenes.arrays import Floats
from edgecount.scenes.camera import Camera
from edgecount.scenes.light import Light
from edgecount.scenes.noise import clouds


def draw_sky(canvas: Floats, rng: np.random.Generator, camera: Camera, light: Light) -> None:
    """Draw the sky above the horizon into a BGR canvas, float32 (H, W, 3), in place."""
    last = int(np.clip(camera.horizon + 2, 1, camera.height))
    share = np.linspace(0, 1, last, dtype=np.float32)[:, None, None]
    canvas[last:] = light.haze
    canvas[:last] = light.sky[0] + (light.sky[1] - light.sky[0]) * share
    if light.name in {"day", "overcast", "dusk"}:
        veil = np.clip(clouds(rng, last, camera.width, cells=5), 0, 2.5)[..., None]
        canvas[:last] += (light.sky[1] * 1.05 - canvas[:last]) * veil * np.float32(0.3)


_TALL, _WIDE = 48, 40


def _facade(rng: np.random.Generator, light: Light, rows: int, columns: int) -> Floats:
    """Draw a front with windows over shops or a plain base, BGR (48 * rows, 40 * columns, 3)."""
    wall = float(rng.uniform(70, 185)) * rng.uniform(0.88, 1.1, 3)
    front = np.tile(wall.astype(np.float32), (_TALL * rows, _WIDE * columns, 1))
    front *= 1 + 0.06 * clouds(rng, *front.shape[:2], cells=14, octaves=5)[..., None]
    x0, x1 = (int(v) for v in rng.integers((3, 24), (14, 38)))
    y0, y1 = (int(v) for v in rng.integers((4, 28), (16, 44)))
    lit_share = {"night": 0.45, "dusk": 0.3, "indoor": 0.2}.get(light.name, 0.04)
    for row in range(rows):
        front[_TALL * row : _TALL * row + 2] *= 0.8
        for column in range(columns):
            pane = np.array([60, 52, 46], np.float32) * rng.uniform(0.5, 1.8)
            if rng.random() < lit_share:
                pane = np.array([130, 195, 230], np.float32) * rng.uniform(0.8, 1.6)
            top, left = _TALL * row, _WIDE * column
            window = front[top + y0 : top + y1, left + x0 : left + x1]
            window[:] = pane * rng.uniform(0.8, 1.2)
            window[: (y1 - y0) // 2, : (x1 - x0) // 2] *= np.float32(rng.uniform(0.7, 1.3))
            window[:, (x1 - x0) // 2] = wall * 0.7
            front[top + y1 : top + y1 + 2, left + x0 : left + x1] *= 1.25
    if rng.random() < 0.7:
        _shops(front[-_TALL:], rng)
    return front


def _shops(base: Floats, rng: np.random.Generator) -> None:
    """Draw shop windows, doors and signs along the lowest storey, in place."""
    left = 0
    while left < base.shape[1] - 10:
        right = min(left + int(rng.integers(30, 90)), base.shape[1])
        sign = rng.uniform(20, 230, 3).astype(np.float32)
        base[3:12, left + 1 : right - 1] = sign
        letters = rng.random((4, right - left - 8)) < 0.45
        base[6:10, left + 4 : right - 4][letters] = 255 - sign
        glass = rng.uniform(25, 150) * rng.uniform(0.9, 1.1, 3)
        base[13:44, left + 2 : right - 2] = glass
        goods = rng.uniform(0.5, 1.6, (4, max((right - left) // 6, 2), 3))
        goods = (0.75 * goods.mean(axis=2, keepdims=True) + 0.25 * goods).astype(np.float32)
        shelf = base[20:44, left + 2 : right - 2]
        shelf *= cv2.resize(goods, (shelf.shape[1], shelf.shape[0]))
        left = right


def _building(
    canvas: Floats,
    rng: np.random.Generator,
    camera: Camera,
    light: Light,
    corner: tuple[float, float, float],
) -> float:
    """Draw a front by its lower left corner, parallel to the picture; returns its right end."""
    left, base, z = corner
    width, height = float(rng.uniform(6, 18)), float(rng.uniform(5, 22))
    x, y = left + np.array([0, width, width, 0]), base + np.array([height, height, 0, 0])
    quad = np.stack(camera.project(x, y, np.full(4, z))[:2], axis=1).astype(np.float32)
    rows, columns = max(1, round(height / 3)), max(1, round(width / 2.6))
    front = _facade(rng, light, rows, columns)
    front *= light.ambient * 0.9 + light.key * max(0.0, float(light.direction[2])) * 0.8 + 0.06
    high, wide = front.shape[:2]
    source = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, quad)
    size = (camera.width, camera.height)
    layer = cv2.warpPerspective(front, matrix, size, flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.ones(front.shape[:2], np.float32), matrix, size)[..., None]
    haze = np.float32(1 - np.exp(-light.haze_per_metre * z))
    layer += (light.haze - layer) * haze
    canvas *= 1 - mask
    canvas += layer * mask
    return left + width


def _tree_line(
    canvas: Floats, rng: np.random.Generator, camera: Camera, light: Light, z: float, ground: float
) -> None:
    base = float(camera.project(np.zeros(1), np.array([ground]), np.array([z]))[1][0])
    scale = camera.focal / z
    knots, heights = np.linspace(0, camera.width, 16), rng.uniform(3, 7, 16)
    top = np.interp(np.arange(camera.width), knots, base - scale * heights)
    last = int(np.clip(base, 0, camera.height))
    if last <= 1:
        return
    leaves = clouds(rng, last, camera.width, cells=24, octaves=5)
    fine = clouds(rng, last, camera.width, cells=camera.width / 5, octaves=1)
    rows = np.arange(last)[:, None]
    edge = (rows - top[None, :] + leaves * scale * 0.35) / max(0.08 * scale, 1.5)
    mask = np.clip(edge + fine, 0, 1)[..., None]
    green = np.array([46, 72, 58], np.float32) * rng.uniform(0.6, 1.15)
    tone = np.clip(1 + 0.25 * leaves + 0.22 * fine, 0.15, 2)[..., None]
    shade = tone * green * (light.ambient + light.key * 0.5)
    shade += (light.haze - shade) * np.float32(1 - np.exp(-light.haze_per_metre * z))
    canvas[:last] += (shade - canvas[:last]) * mask.astype(np.float32)


def draw_skyline(
    canvas: Floats, rng: np.random.Generator, camera: Camera, light: Light, kind: str
) -> None:
    """Draw the skyline that closes the view into a BGR canvas, float32 (H, W, 3), in place.

    The canvas has sky and ground already; kind is "buildings", "trees", or "wall".
    """
    z = camera.far * float(rng.uniform(1.06, 1.35)) + 1
    base = float(camera.ground_height(np.array(camera.far))) if camera.slope > 0 else 0.0
    if kind != "wall":
        _tree_line(canvas, rng, camera, light, z * 1.25, base)
    if kind == "trees":
        _tree_line(canvas, rng, camera, light, z, base)
        return
    half = camera.width / camera.focal * (z + camera.altitude) * 0.6
    left = -half
    # Behind a stand the fronts begin below its edge, which hides where they stand.
    foot = base - 5.0 if camera.slope > 0 else base
    while left < half:
        left = _building(canvas, rng, camera, light, (left, foot, z))
        if kind == "buildings" and rng.random() < 0.5:
            left += float(rng.exponential(2.5))
