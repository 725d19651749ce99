"""Regions and points written as text, as the command line takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecount._documents import shown
from edgecount.errors import ConfigError
from edgecount.regions.region import Region


def parse_region(text: str) -> Region:
    """Read a region from `NAME:x,y;x,y;x,y`, as the CLI's --region takes it.

    Coordinates are source pixels or, where every number ends in %, percent of the frame's width
    and height.

    Raises:
        ConfigError: the text has another form; the message shows an example.
    """
    # A name may hold colons itself; without any, the name is empty.
    name, _, rest = text.rpartition(":")
    points, fractions = parse_points(rest)
    if not len(points) or not name.strip():
        raise ConfigError(
            "region: expected NAME:x,y;x,y;x,y such as gate:0,0;640,0;640,240, or with each "
            f"number in percent such as gate:0%,0%;50%,0%;50%,100%, got {shown(text)}"
        )
    return Region(name.strip(), points, fractions=fractions)


def parse_points(text: str) -> tuple[NDArray[np.float64], bool]:
    """Read points from `x,y;x,y`, and whether they are shares of the frame.

    Returns:
        float64 (N, 2) of pixels and False, or of shares and True where every number ends in %;
        (0, 2) if the text has another form, as one that mixes the two.
    """
    pairs = [pair.split(",") for pair in text.split(";")]
    numbers = [number.strip() for pair in pairs for number in pair]
    percent = [number.endswith("%") for number in numbers]
    if any(len(pair) != 2 for pair in pairs) or (any(percent) and not all(percent)):
        return np.zeros((0, 2)), False
    try:
        values = [float(number.removesuffix("%")) for number in numbers]
    except ValueError:
        return np.zeros((0, 2)), False
    points = np.array(values).reshape(-1, 2)
    return (points / 100, True) if percent[0] else (points, False)
