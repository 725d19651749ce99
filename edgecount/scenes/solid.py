"""Solid parts, ellipsoids and tapered limbs, seen along one direction as a depth picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.scenes.arrays import Floats

NOTHING = 255


@dataclass(frozen=True)
class Part:
    """A tapered limb with round ends from a to b, or, with `axes`, an ellipsoid around a.

    Attributes:
        material: index into the palette of the whole, 0 to 254.
        a: first end or centre, metres, shape (3,).
        b: second end, metres, shape (3,); equals a for an ellipsoid.
        ra: radius at a, in metres.
        rb: radius at b, in metres.
        axes: half axes of the ellipsoid along its own x, y, z, shape (3,), or None.
        frame: rotation whose columns are the ellipsoid's axes, shape (3, 3), or None.
    """

    material: int
    a: Floats
    b: Floats
    ra: float
    rb: float
    axes: Floats | None = None
    frame: Floats | None = None


@dataclass(frozen=True)
class Surface:
    """The nearest surface that each pixel shows.

    Attributes:
        z: position along the axis to the camera, in metres, -inf where there is nothing, (h, w).
        normal_x: component of the unit normal to the right, (h, w).
        normal_y: component of the unit normal upwards, (h, w).
        material: index into the palette, `NOTHING` where there is nothing, uint8 (h, w).
    """

    z: Floats
    normal_x: Floats
    normal_y: Floats
    material: NDArray[np.uint8]


def vec(x: float, y: float, z: float) -> Floats:
    """Make a point or direction, float32 (3,)."""
    return np.array([x, y, z], np.float32)


def blob(material: int, centre: Floats, axes: Floats, frame: Floats | None = None) -> Part:
    """Make an ellipsoid, aligned with the axes unless a frame is given."""
    own = np.eye(3, dtype=np.float32) if frame is None else frame
    return Part(material, centre, centre, 0.0, 0.0, axes, own)


def rotation(yaw: float, nod: float = 0.0) -> Floats:
    """Make the rotation of a nod about x, then a turn about y; its columns are the new axes."""
    cy, sy, cn, sn = math.cos(yaw), math.sin(yaw), math.cos(nod), math.sin(nod)
    return np.array([[cy, sy * sn, sy * cn], [0, cn, -sn], [-sy, cy * sn, cy * cn]], np.float32)


def extents(parts: Sequence[Part], view: Floats) -> tuple[Floats, Floats]:
    """Return the lowest and the highest view coordinates of each part, two arrays (n, 3)."""
    ends = np.array([(p.a, p.b) for p in parts]) @ view.T
    reach = np.array([(p.ra, p.rb) for p in parts], np.float32)[..., None]
    low, high = (ends - reach).min(axis=1), (ends + reach).max(axis=1)
    for index, part in enumerate(parts):
        if part.axes is not None and part.frame is not None:
            half = np.sqrt((((view @ part.frame) * part.axes) ** 2).sum(axis=1))
            low[index] -= half
            high[index] += half
    return low, high


Hit = tuple[Floats, Floats, Floats]


def _ellipsoid(part: Part, view: Floats, x: Floats, y: Floats, axes: Floats, frame: Floats) -> Hit:
    """Return depth (NaN outside) and the normal's x and y of an ellipsoid seen along z."""
    turned = view @ frame
    q = ((turned / axes**2) @ turned.T).tolist()
    centre = view @ part.a
    dx, dy = x - centre[0], y - centre[1]
    b = q[0][2] * dx + q[1][2] * dy
    c = (q[0][0] * dx * dx - 1) + (2 * q[0][1] * dx + q[1][1] * dy) * dy
    root = np.sqrt(b * b - q[2][2] * c)
    dz = (root - b) * (1 / q[2][2])
    nx = q[0][0] * dx + q[0][1] * dy + q[0][2] * dz
    ny = q[0][1] * dx + q[1][1] * dy + q[1][2] * dz
    # The normal's z is the root itself, by the quadratic it solves.
    length = 1 / np.sqrt(nx * nx + ny * ny + root * root + 1e-9)
    return dz + centre[2], nx * length, ny * length


def _capsule(part: Part, view: Floats, x: Floats, y: Floats) -> Hit:
    """Return depth (NaN outside) and the normal's x and y of a tapered limb seen along z."""
    a, along = view @ part.a, view @ (part.b - part.a)
    across, up, away = along.tolist()
    squared = max(across**2 + up**2, 1e-8)
    dx, dy = x - a[0], y - a[1]
    t = np.clip(dx * (across / squared) + dy * (up / squared), 0, 1)
    radius = part.ra + (part.rb - part.ra) * t
    ox, oy = dx - across * t, dy - up * t
    oz = np.sqrt(radius * radius - ox * ox - oy * oy)
    inverse = 1 / radius
    return a[2] + away * t + oz, ox * inverse, oy * inverse


def rasterise(parts: Sequence[Part], view: Floats, x: Floats, y: Floats) -> Surface:
    """Return the surface of solid parts, seen along z; the nearest wins.

    Args:
        parts: solid parts to look at.
        view: rotation from the parts' frame to the view: x right, y up, z to the camera.
        x: view coordinates of the columns, ascending, metres, (w,).
        y: view coordinates of the rows, descending, metres, (h,).
    """
    shape = (y.size, x.size)
    surface = Surface(
        np.full(shape, -np.inf, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.full(shape, NOTHING, np.uint8),
    )
    per_metre = 1 / float(x[1] - x[0])
    low, high = extents(parts, view)
    left = np.floor((low[:, 0] - x[0]) * per_metre).astype(int).clip(0)
    right = np.ceil((high[:, 0] - x[0]) * per_metre).astype(int).clip(0) + 1
    top = np.floor((y[0] - high[:, 1]) * per_metre).astype(int).clip(0)
    bottom = np.ceil((y[0] - low[:, 1]) * per_metre).astype(int).clip(0) + 1
    with np.errstate(invalid="ignore"):
        for i, part in enumerate(parts):
            window = (slice(top[i], bottom[i]), slice(left[i], right[i]))
            px, py = x[None, window[1]], y[window[0], None]
            if not px.size or not py.size:
                continue
            if part.axes is None or part.frame is None:
                seen = _capsule(part, view, px, py)
            else:
                seen = _ellipsoid(part, view, px, py, part.axes, part.frame)
            nearer = seen[0] > surface.z[window]
            planes = (surface.z, surface.normal_x, surface.normal_y)
            for plane, value in zip(planes, seen, strict=True):
                np.copyto(plane[window], value, where=nearer)
            surface.material[window][nearer] = part.material
    return surface


def soften(surface: Surface, pixels: int) -> tuple[Floats, Floats]:
    """Blur the normals, so that parts read as one draped body, (h, w) each."""
    if pixels < 2:
        return surface.normal_x, surface.normal_y
    kernel = (pixels, pixels)
    weight = cv2.blur((surface.material != NOTHING).astype(np.float32), kernel)
    weight = np.maximum(weight, 1e-3)
    return (
        np.asarray(cv2.blur(surface.normal_x, kernel) / weight, np.float32),
        np.asarray(cv2.blur(surface.normal_y, kernel) / weight, np.float32),
    )
