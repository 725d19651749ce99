"""A pinhole camera over flat ground or tiers: where the ground lies in the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Chin to crown with hair; heads in pixels follow from it by the depth.
HEAD_METRES = 0.235
# Depth of a tier of a stand, in metres.
STEP = 0.8


@dataclass(frozen=True)
class Camera:
    """A camera that looks along +z and down; x is right, y is up, z is forward, in metres.

    Attributes:
        width: frame width in pixels.
        height: frame height in pixels.
        focal: focal length in pixels.
        pitch: tilt below the horizontal, in radians.
        altitude: height above the ground at z = 0, in metres.
        near: distance of the nearest place for people, in metres.
        far: distance of the farthest place for people, in metres.
        slope: rise of the ground per metre beyond `near` (tiers of a stand), 0 on flat ground.
    """

    width: int
    height: int
    focal: float
    pitch: float
    altitude: float
    near: float
    far: float
    slope: float = 0.0

    @property
    def horizon(self) -> float:
        """Row of the horizon in pixels; it may lie outside the frame."""
        return self.height / 2 - self.focal * math.tan(self.pitch)

    def ground_height(self, z: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the ground's height at distance z, in metres; each row of people has a tier."""
        if self.slope <= 0:
            return np.zeros_like(z, dtype=np.float64)
        return np.asarray(np.floor(np.maximum(z - self.near, 0) / STEP) * STEP * self.slope)

    def project(
        self, x: NDArray[np.floating], y: NDArray[np.floating], z: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the pixels (u, v) of points in metres, and their depth along the axis of view."""
        sin, cos = math.sin(self.pitch), math.cos(self.pitch)
        down = self.altitude - np.asarray(y, dtype=np.float64)
        depth = z * cos + down * sin
        safe = np.maximum(depth, 1e-3)
        u = self.width / 2 + self.focal * x / safe
        v = self.height / 2 + self.focal * (down * cos - z * sin) / safe
        return u, v, depth

    def ground_rows(
        self, rows: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return distance z and depth of the flat ground in rows below the horizon, in metres."""
        sin, cos = math.sin(self.pitch), math.cos(self.pitch)
        slant = (rows - self.height / 2) / self.focal
        fall = np.maximum(slant * cos + sin, 1e-4)
        z = self.altitude * (cos - slant * sin) / fall
        return z, z * cos + self.altitude * sin


def make_camera(
    rng: np.random.Generator, size: tuple[int, int], people: int, *, tiers: bool, lift: float
) -> Camera:
    """Draw a plausible camera: the more people must find a visible place, the higher it stands.

    The size is (width, height) in pixels; with tiers the ground rises in steps; lift is a factor
    on the altitude, above 1 when a lower camera had no room for everyone.
    """
    width, height = size
    scale = math.sqrt(width * height / (1024 * 768))
    # Small frames are close-ups: a wide view would leave heads of a pixel or two.
    close = float(np.clip(scale / 0.45, 0.4, 1))
    focal = float(rng.uniform(0.85, 1.7)) * math.hypot(width, height) / 1.25 / close**0.5
    crowd = min(people / (600 * scale**2), 2.0)
    altitude = float(rng.uniform(2.2 + 3.5 * crowd, 5.0 + 7.0 * crowd)) * lift * close
    # Pictures taken at any size have heads of about the same share of the frame.
    least = max(7.0, float(rng.uniform(9, 14)) * scale) / math.sqrt(1 + 0.4 * crowd)
    most = float(rng.uniform(30, 58)) * scale / math.sqrt(1 + 2.0 * crowd) / close
    most = max(most, 2.2 * least)
    far = focal * HEAD_METRES / least
    # A camera that looks straight down would have to be so far away that heads shrink.
    altitude = min(altitude, max(far / 1.25, 2.0))
    # The far edge of the crowd sits in the upper part of the frame.
    edge = float(rng.uniform(0.06, 0.42 - 0.12 * min(crowd, 1)))
    slope = float(rng.uniform(0.2, 0.45)) if tiers else 0.0
    rise = slope * max(far - focal * HEAD_METRES / most, 0.0)
    drop = math.atan2(altitude - 1.0 - rise, far)
    pitch = drop + math.atan((0.5 - edge) * height / focal)
    pitch = float(np.clip(pitch, -0.1, 1.05))
    near = max(1.5, focal * HEAD_METRES / most * 0.9)
    # Nearer than the lower edge of the frame nobody's head can be seen.
    low = pitch + math.atan(0.5 * height / focal)
    if low < math.pi / 2:
        near = max(near, (altitude - 1.7) / math.tan(low))
    far = max(far, near * 1.8)
    return Camera(width, height, focal, pitch, altitude, near, far, slope)
