"""Places of people on the ground: spread evenly, in groups, or in queues."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgecount.scenes.camera import STEP, Camera

Places = NDArray[np.float64]

PATTERNS = ("uniform", "clusters", "queue")


def _in_view(rng: np.random.Generator, camera: Camera, count: int) -> Places:
    """Draw places (x, z) in metres between the camera's near and far limits, inside the frame."""
    near, far = camera.near, camera.far
    share = rng.random(count)
    # Even over the ground puts nearly everyone far away; even over the rows, nearly none.
    even_rows = 1 / (1 / near + (1 / far - 1 / near) * share)
    even_ground = np.sqrt(near**2 + (far**2 - near**2) * share)
    z = np.where(rng.random(count) < 0.5, even_rows, even_ground)
    depth = z * math.cos(camera.pitch) + camera.altitude * math.sin(camera.pitch)
    x = rng.uniform(-0.5, 0.5, count) * camera.width / camera.focal * depth
    return np.stack([x, z], axis=1)


def _groups(rng: np.random.Generator, camera: Camera, count: int) -> Places:
    heads = _in_view(rng, camera, max(1, count // 5))
    own = heads[rng.integers(len(heads), size=count)]
    return own + rng.normal(0, 0.75, (count, 2))


def _queues(rng: np.random.Generator, camera: Camera, count: int) -> Places:
    length = 12
    starts = _in_view(rng, camera, count // length + 1)
    angles = rng.uniform(0, math.pi, len(starts))
    steps = np.arange(length) * 0.75
    offsets = np.stack([np.cos(angles), np.sin(angles)], axis=1)[:, None] * steps[None, :, None]
    places = (starts[:, None] + offsets).reshape(-1, 2)[:count]
    return np.asarray(places + rng.normal(0, 0.1, places.shape))


def _apart(places: Places, distance: float) -> Places:
    """Keep the places that are at least a distance from all that were kept before them."""
    kept: dict[tuple[int, int], list[tuple[float, float]]] = {}
    chosen = []
    for x, z in places.tolist():
        cell = (math.floor(x / distance), math.floor(z / distance))
        close = any(
            (x - a) ** 2 + (z - b) ** 2 < distance**2
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            for a, b in kept.get((cell[0] + i, cell[1] + j), ())
        )
        if not close:
            kept.setdefault(cell, []).append((x, z))
            chosen.append((x, z))
    return np.array(chosen, np.float64).reshape(-1, 2)


def place_people(rng: np.random.Generator, camera: Camera, count: int, pattern: str) -> Places:
    """Draw up to `count` places (x, z) in metres, at least an elbow's width apart.

    Args:
        rng: source of randomness.
        camera: camera, which gives the limits of the ground in view.
        count: number of places to try for; crowded ground gives fewer.
        pattern: one of `PATTERNS`; groups and queues leave some people alone.
    """
    wanted = count * 2
    places = _in_view(rng, camera, wanted)
    if pattern != "uniform":
        grouped = (_groups if pattern == "clusters" else _queues)(rng, camera, wanted)
        together = rng.random(wanted) < 0.75
        places[together] = grouped[together]
    z = places[:, 1]
    places = places[(z > camera.near) & (z < camera.far)]
    if camera.slope > 0:
        # People stand in the middle of a tier.
        tier = np.floor((places[:, 1] - camera.near) / STEP)
        spread = rng.uniform(0.35, 0.6, len(places))
        places[:, 1] = camera.near + (tier + spread) * STEP
    return _apart(places, 0.42)[:count]
