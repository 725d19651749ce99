"""Light and air: the sun or the lamps, the sky's share, haze and exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgecount.scenes.arrays import Floats

LIGHTS = ("day", "overcast", "dusk", "night", "indoor")


@dataclass(frozen=True)
class Light:
    """The light of a scene; colours are BGR multipliers of surface colours.

    Attributes:
        name: time of day or kind of light, one of `LIGHTS`.
        direction: unit vector towards the key light: x right, y up, z towards the camera.
        key: colour of the key light, shape (3,).
        ambient: colour of the light from everywhere, shape (3,).
        sky: colours of the sky, zenith then horizon, BGR 0 to 255, shape (2, 3).
        haze: colour that distance fades to, BGR 0 to 255, shape (3,).
        haze_per_metre: share of the haze per metre of distance.
        exposure: mean brightness that a camera aims at, in grey levels.
        shadow: depth of cast shadows, 0 to 1.
        grain: deviation of the sensor's noise, in grey levels.
    """

    name: str
    direction: Floats
    key: Floats
    ambient: Floats
    sky: Floats
    haze: Floats
    haze_per_metre: float
    exposure: float
    shadow: float
    grain: float


_PRESETS: dict[str, tuple[tuple[float, ...], tuple[float, ...], float, float]] = {
    # key BGR, ambient BGR, depth of shadows, grain
    "day": ((0.62, 0.68, 0.71), (0.50, 0.47, 0.44), 0.5, 2.5),
    "overcast": ((0.22, 0.22, 0.21), (0.76, 0.75, 0.73), 0.12, 3.0),
    "dusk": ((0.40, 0.50, 0.60), (0.44, 0.38, 0.36), 0.25, 4.0),
    "night": ((0.24, 0.34, 0.40), (0.24, 0.21, 0.20), 0.30, 6.0),
    "indoor": ((0.36, 0.42, 0.46), (0.54, 0.55, 0.57), 0.20, 3.5),
}
_EXPOSURE = {"day": 122.0, "overcast": 118.0, "dusk": 96.0, "night": 70.0, "indoor": 114.0}
_SKIES = {
    "day": ((225, 165, 105), (240, 225, 205)),
    "overcast": ((205, 198, 190), (226, 222, 218)),
    "dusk": ((120, 85, 80), (130, 160, 215)),
    "night": ((34, 22, 18), (58, 44, 40)),
    "indoor": ((200, 205, 208), (180, 185, 190)),
}


def make_light(rng: np.random.Generator, name: str) -> Light:
    """Draw the light of a time of day."""
    key, ambient, shadow, grain = _PRESETS[name]
    side = rng.uniform(-1.0, 1.0)
    front = rng.uniform(-0.4, 0.9)
    up = rng.uniform(0.35, 1.2) if name in {"day", "dusk"} else rng.uniform(0.9, 1.6)
    direction = np.array([side, up, front], np.float32)
    tint = rng.uniform(0.95, 1.05, 3)
    strength = rng.uniform(0.85, 1.15)
    sky = np.array(_SKIES[name], np.float32) * rng.uniform(0.9, 1.05)
    return Light(
        name=name,
        direction=(direction / np.linalg.norm(direction)).astype(np.float32),
        key=(np.array(key) * tint * strength).astype(np.float32),
        ambient=(np.array(ambient) * tint).astype(np.float32),
        sky=sky,
        haze=sky[1] * np.float32(0.9),
        haze_per_metre=float(rng.uniform(0.0, 0.008)) * (0.3 if name == "indoor" else 1.0),
        exposure=_EXPOSURE[name] * float(rng.uniform(0.85, 1.18)),
        shadow=shadow * float(rng.uniform(0.6, 1.2)),
        grain=grain * float(rng.uniform(0.4, 1.4)),
    )
