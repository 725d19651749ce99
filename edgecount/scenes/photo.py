"""The photo that a camera makes of light: exposure, balance, blur, vignette, grain and JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.scenes.arrays import Floats
from edgecount.scenes.light import Light

_CURVE_STEPS = 2048


@dataclass(frozen=True)
class Lens:
    """Fixed properties of a camera.

    Attributes:
        exposure: mean brightness that the camera aims at, in grey levels.
        gain: white balance, BGR factors, shape (3,).
        gamma: exponent of the tone curve.
        blur: defocus as a Gaussian's deviation in pixels.
        shake: length of a sideways motion blur in pixels, 1 for none.
        vignette: darkening of the corners, 0 to 1.
        grain: deviation of the noise in grey levels.
        quality: JPEG quality, 1 to 100.
    """

    exposure: float
    gain: Floats
    gamma: float
    blur: float
    shake: int
    vignette: float
    grain: float
    quality: int


def make_lens(rng: np.random.Generator, light: Light) -> Lens:
    """Draw a camera: mostly decent, some poor."""
    gain = rng.uniform(0.94, 1.06, 3)
    return Lens(
        exposure=light.exposure,
        gain=gain.astype(np.float32),
        gamma=float(rng.uniform(0.85, 1.15)),
        blur=float(max(0.0, rng.normal(0.45, 0.3))),
        shake=int(rng.choice([1, 2, 3, 4], p=[0.8, 0.1, 0.06, 0.04])),
        vignette=float(rng.uniform(0, 0.3)),
        grain=light.grain,
        quality=int(rng.integers(60, 96)),
    )


def _tone_curve(gamma: float) -> Floats:
    light = np.linspace(0, 2, _CURVE_STEPS)
    # A shoulder keeps lamps and sky from turning into flat patches.
    light = np.where(light > 0.8, 0.8 + 0.2 * np.tanh((light - 0.8) / 0.2), light)
    return np.asarray(light**gamma * 255, np.float32)


def develop(canvas: Floats, lens: Lens, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn a BGR canvas, float32 (H, W, 3) of 0 to 255 or above, into a photo, uint8."""
    height, width = canvas.shape[:2]
    # The camera meters the whole frame, within the limits of its shutter.
    metered = float(np.clip(lens.exposure / max(float(canvas[::4, ::4].mean()), 1), 0.7, 2.6))
    image = canvas * (lens.gain * np.float32(metered))
    if lens.blur > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), lens.blur)
    if lens.shake > 1:
        image = cv2.blur(image, (lens.shake, 1))
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] ** 2
    image *= (1 - lens.vignette * 0.5 * (x + y))[..., None]
    # A shoulder instead of hard clipping keeps lamps and sky from turning into flat patches.
    # The curve is tabulated: a power and a tanh per pixel would cost more than the crowd.
    steps = np.clip(image, 0, 510, out=image) * np.float32((_CURVE_STEPS - 1) / 510)
    image = np.take(_tone_curve(lens.gamma), steps.astype(np.int32))
    noise = rng.standard_normal((height, width), dtype=np.float32) * np.float32(lens.grain)
    colour = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), dtype=np.float32)
    colour = cv2.resize(colour, (width, height)) * np.float32(lens.grain * 0.5)
    image += noise[..., None] + colour
    pixels = np.clip(image + 0.5, 0, 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, lens.quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
