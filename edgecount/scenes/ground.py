"""The ground: a periodic texture seen in perspective, filtered by distance."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.scenes.arrays import Floats
from edgecount.scenes.camera import STEP, Camera
from edgecount.scenes.light import Light
from edgecount.scenes.noise import clouds, tile

Shape = NDArray[np.float64]

_SIDE = 512
_COLOURS = {
    "paving": (128.0, 134.0, 140.0),
    "asphalt": (88.0, 88.0, 90.0),
    "grass": (62.0, 112.0, 96.0),
    "tiles": (165.0, 175.0, 182.0),
    "steps": (130.0, 134.0, 138.0),
}


def _joints(rng: np.random.Generator, texture: Floats, rows: int, columns: int) -> None:
    """Draw slabs with joints, each slab a little different, every other row shifted."""
    high, wide = _SIDE // rows, _SIDE // columns
    shift = int(rng.choice([0, wide // 2]))
    line = float(rng.uniform(0.6, 0.9))
    thick = max(1, int(rng.integers(1, 5)))
    spread = float(rng.uniform(0.01, 0.06))
    for row in range(rows):
        tones = rng.normal(1, spread, columns)
        band = np.repeat(tones, wide)
        band[np.arange(thick)[:, None] + np.arange(0, columns * wide, wide)] *= line
        band = np.roll(band, shift * (row % 2))
        rest = _SIDE - band.size
        band = np.pad(band, (0, rest), mode="edge").astype(np.float32)
        slab = slice(row * high, (row + 1) * high)
        texture[slab] *= band[None, :, None]
        texture[row * high : row * high + thick] *= np.float32(line)


def make_texture(rng: np.random.Generator, kind: str) -> Floats:
    """Draw a periodic BGR texture, float32 (512, 512, 3), 0 to 255."""
    base = np.array(_COLOURS[kind], np.float32) * rng.uniform(0.7, 1.15)
    base = base * rng.uniform(0.96, 1.04, 3)
    rough = {"paving": 0.05, "asphalt": 0.09, "grass": 0.2, "tiles": 0.02, "steps": 0.05}[kind]
    field = 1 + rough * tile(rng, _SIDE, sigma=1.2) + 0.05 * tile(rng, _SIDE, sigma=24)
    texture = (base * field[..., None]).astype(np.float32)
    if kind in {"paving", "tiles"}:
        rows = int(rng.choice([4, 8, 16]))
        _joints(rng, texture, rows, int(rng.choice([rows, rows // 2])))
    if kind == "grass":
        dry = np.clip(tile(rng, _SIDE, sigma=9), 0, 2)[..., None]
        texture += dry * np.array([10, 14, 26], np.float32)
    return np.clip(texture, 0, 255)


def draw_ground(
    canvas: Floats, rng: np.random.Generator, camera: Camera, light: Light, kind: str
) -> None:
    """Draw the ground below the horizon into a BGR canvas, float32 (H, W, 3), in place."""
    if kind == "steps":
        _draw_steps(canvas, rng, camera, light)
        return
    first = int(np.clip(np.ceil(camera.horizon + 1), 0, camera.height))
    if first >= camera.height:
        return
    rows = np.arange(first, camera.height) + 0.5
    z, depth = camera.ground_rows(rows)
    metres = float(rng.uniform(2.5, 6.0))
    turn = float(rng.uniform(0, np.pi / 2)) if rng.random() < 0.4 else 0.0
    level = make_texture(rng, kind)
    # A texel per pixel or less: the far ground reads from blurred copies.
    footprint = depth / camera.focal * np.maximum(z / max(camera.altitude, 0.5), 1) ** 0.5
    needed = np.log2(np.maximum(1.5 * footprint * _SIDE / metres, 1))
    levels = np.clip(needed, 0, 7).astype(int)
    across = (np.arange(camera.width) + 0.5 - camera.width / 2) / camera.focal
    for index in range(int(levels.max()) + 1):
        chosen = np.nonzero(levels == index)[0]
        if chosen.size:
            x = across[None, :] * depth[chosen, None]
            far = np.broadcast_to(z[chosen, None], x.shape)
            scale = level.shape[0] / metres
            u = (np.cos(turn) * x - np.sin(turn) * far) * scale
            v = (np.sin(turn) * x + np.cos(turn) * far) * scale
            u, v = np.mod(u, level.shape[1]), np.mod(v, level.shape[0])
            u, v = u.astype(np.float32), v.astype(np.float32)
            wrapped = cv2.remap(level, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            canvas[first + chosen] = wrapped
        side = max(level.shape[0] // 2, 2)
        smaller = cv2.resize(level, (side, side), interpolation=cv2.INTER_AREA)
        level = np.asarray(smaller, np.float32)
    lit = light.ambient + light.key * max(float(light.direction[1]), 0.2) * 1.1
    haze = (1 - np.exp(-light.haze_per_metre * np.minimum(depth, 400)))[:, None, None]
    _decals(canvas, rng, camera, kind)
    blotches = clouds(rng, camera.height - first, camera.width, cells=4)
    lit = lit * (1 + np.float32(rng.uniform(0.01, 0.05)) * blotches)[..., None]
    seen = canvas[first:] * lit
    canvas[first:] = seen + (light.haze - seen) * haze.astype(np.float32)


def _draw_steps(canvas: Floats, rng: np.random.Generator, camera: Camera, light: Light) -> None:
    """Draw tiers as bands across the picture: treads lit from above, risers darker."""
    base = np.array(_COLOURS["steps"]) * rng.uniform(0.75, 1.15) * rng.uniform(0.94, 1.06, 3)
    top = light.ambient + light.key * max(float(light.direction[1]), 0.2)
    facing = light.ambient * 0.8 + light.key * max(float(light.direction[2]), 0.1)
    front = 0.45 * top + 0.55 * facing
    count = math.ceil((camera.far - camera.near) / STEP) + 2
    edges = camera.near + np.arange(-1, count + 1) * STEP
    edges[0] = 0.6
    heights = np.maximum(np.arange(-1, count + 1), 0) * STEP * camera.slope
    nearest = camera.project(edges * 0, heights, edges)[1]
    farthest = camera.project(edges[1:] * 0, heights[:-1], edges[1:])[1]
    rows = np.arange(camera.height)[:, None, None] + 0.5
    first = math.floor(float(np.min(nearest)))
    column = np.tile(base * top, (camera.height, 1, 1))
    for k in range(len(edges) - 2, -1, -1):
        tone = rng.uniform(0.94, 1.05)
        for upper, lower, lit in (
            (farthest[k], nearest[k], top),
            (nearest[k + 1], farthest[k], front),
        ):
            share = np.clip(rows - upper + 0.5, 0, 1) * np.clip(lower - rows + 0.5, 0, 1)
            column += (base * lit * tone - column) * share
    canvas[max(first, 0) :] = column[max(first, 0) :]
    grime = clouds(rng, camera.height - max(first, 0), camera.width, cells=30, octaves=4)
    canvas[max(first, 0) :] *= (1 + 0.04 * grime)[..., None]


def _decals(canvas: Floats, rng: np.random.Generator, camera: Camera, kind: str) -> None:
    """Draw markings, manholes and patches, unlit, in place."""

    def lay(x: Shape, z: Shape, colour: tuple[float, float, float], strength: float) -> None:
        z = np.maximum(z, 0.5)
        u, v, _ = camera.project(x, np.zeros_like(z), z)
        corners = np.stack([u, v], axis=1)
        limits = (canvas.shape[1], canvas.shape[0])
        x0, y0 = np.clip(np.floor(corners.min(axis=0)), 0, limits).astype(int)
        x1, y1 = np.clip(np.ceil(corners.max(axis=0)), 0, limits).astype(int)
        if x0 >= x1 or y0 >= y1:
            return
        # A sixteenth of a pixel, kept within what OpenCV's drawing can hold.
        fixed = np.round((corners - (x0, y0)) * 16).clip(-(2**24), 2**24).astype(np.int32)
        mask = np.zeros((y1 - y0, x1 - x0), np.float32)
        cv2.fillPoly(mask, [fixed], strength, cv2.LINE_AA, 4)
        seen = canvas[y0:y1, x0:x1]
        seen += (np.array(colour, np.float32) - seen) * mask[..., None]

    turn = np.linspace(0, 2 * np.pi, 24)
    for _ in range(int(rng.integers(0, 4))):
        cx = float(rng.normal(0, 0.3)) * camera.far * camera.width / camera.focal
        cz = float(rng.uniform(camera.near, camera.far))
        r = float(rng.choice([0.32, rng.uniform(0.5, 2.0)]))
        tone = float(rng.uniform(50, 150))
        strength = 0.55 if r == 0.32 else 0.2
        lay(cx + r * np.cos(turn), cz + r * np.sin(turn), (tone, tone, tone), strength)
    if kind != "asphalt" or rng.random() < 0.3:
        return
    white = (205.0, 210.0, 212.0)
    at, wide = float(rng.uniform(camera.near, camera.far)), camera.far * 0.8
    if rng.random() < 0.6:
        for x in np.arange(-wide, wide, 1.0).tolist():
            lay(x + np.array([0, 0.5, 0.5, 0]), at + np.array([0, 0, 3.2, 3.2]), white, 0.8)
    for x in (float(rng.uniform(-wide, wide)) / 2, float(rng.uniform(-wide, wide)) / 2):
        z = np.array([0.5, 0.5, camera.far * 2, camera.far * 2])
        lay(x + np.array([0, 0.15, 0.15, 0]), z, white, 0.7)
