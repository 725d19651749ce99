"""From a frame to the network's input: how it is sized, padded and normalised."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from edgecount import _ext
from edgecount.errors import ConfigError
from edgecount.runtime.pipeline.tiling import Tile, cut_tiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.manifest import InputSpec
    from edgecount.runtime.frames.pixel_formats import PixelFormat


@dataclass(frozen=True)
class InputGeometry:
    """The size, padding and tiles by which frames of one size become the network's input.

    Attributes:
        size: (width, height) of the frame in pixels.
        resized: (height, width) of the frame inside the network's input, at its top left.
        padded: (height, width) of the network's input.
        tiles: windows of the padded plane to run one by one; empty: run it at once.
    """

    size: tuple[int, int]
    resized: tuple[int, int]
    padded: tuple[int, int]
    tiles: tuple[Tile, ...] = ()

    @property
    def scale(self) -> tuple[float, float]:
        """Network pixels per source pixel in x and in y."""
        return self.resized[1] / self.size[0], self.resized[0] / self.size[1]

    @property
    def is_native(self) -> bool:
        """Whether the frame keeps its size, so that network pixels are source pixels."""
        return self.resized == self.size[::-1]


Sizes: TypeAlias = "tuple[tuple[int, int], tuple[int, int]]"


# Cameras have one size; cutting the tiles of a large frame takes longer than a look-up.
@functools.lru_cache(maxsize=64)
def input_geometry(
    size: tuple[int, int], spec: InputSpec, max_side: int | None, limits: Sizes | None = None
) -> InputGeometry:
    """Decide how a frame is sized, padded and tiled. Frames are never enlarged.

    Args:
        size: (width, height) of the frame in pixels.
        spec: the model's input.
        max_side: longer frames are shrunk to this longer side, keeping their shape; None: never.
        limits: the smallest and the largest (height, width) that the engine takes; None: any.

    Raises:
        ConfigError: max_side is below 1, or None where the frame does not fit as it is.
    """
    if max_side is not None and max_side < 1:
        raise ConfigError(f"max_side: expected 1 pixel or more, or None, got {max_side}")
    width, height = size
    # One factor for both sides: a network that saw round heads must not be shown flat ones.
    shrink = 1.0 if max_side is None else min(1.0, max_side / max(size))
    high = spec.static_size or (limits[1] if limits else None)
    if high is not None:
        fits = min(high[0] / height, high[1] / width)
        if max_side is None and (spec.static_size or fits < 1):
            bound = "only" if spec.static_size else "at most"
            raise ConfigError(
                f"max_side: None keeps the frame's resolution, and this model takes {bound} "
                f"{high[1]} x {high[0]} pixels: give a number"
            )
        shrink = min(shrink, fits)
    resized = max(1, round(height * shrink)), max(1, round(width * shrink))
    return _padded_geometry(size, resized, spec, limits)


def enlarged_geometry(
    whole: InputGeometry,
    size: tuple[int, int],
    factor: int,
    spec: InputSpec,
    limits: Sizes | None = None,
) -> InputGeometry:
    """Decide how a part of a frame is enlarged, padded and tiled.

    Args:
        whole: the geometry of the frame.
        size: (width, height) of the part in source pixels.
        factor: enlargement over the frame's own network pixels.
        spec: the model's input.
        limits: see `input_geometry`.

    Raises:
        ConfigError: the enlarged part is larger than the engine takes.
    """
    across, down = whole.scale
    resized = max(1, round(size[1] * down * factor)), max(1, round(size[0] * across * factor))
    check_enlarged(resized, whole, spec, limits)
    return _padded_geometry(size, resized, spec, limits)


def check_enlarged(
    enlarged: tuple[int, int], whole: InputGeometry, spec: InputSpec, limits: Sizes | None
) -> None:
    """Refuse an enlarged part of a frame, of (height, width) pixels, that the engine cannot take.

    Raises:
        ConfigError: it is too large.
    """
    most = spec.static_size or (limits[1] if limits else enlarged)
    if enlarged[0] > most[0] or enlarged[1] > most[1]:
        height, width = whole.resized
        raise ConfigError(
            f"zoom: parts of a frame of {width} x {height} pixels are enlarged to up to "
            f"{enlarged[1]} x {enlarged[0]}, and the engine takes at most {most[1]} x {most[0]}: "
            "count without zoom, with a smaller max_side, or build the engine for larger frames "
            "(edgecount export --input)"
        )


def _padded_geometry(
    size: tuple[int, int], resized: tuple[int, int], spec: InputSpec, limits: Sizes | None
) -> InputGeometry:
    padded = spec.static_size or (_pad(resized[0], spec), _pad(resized[1], spec))
    # A frame too small for the engine is padded and not enlarged: larger heads count differently.
    low = (0, 0) if limits is None or spec.static_size is not None else limits[0]
    padded = max(padded[0], low[0]), max(padded[1], low[1])
    return InputGeometry(size, resized, padded, cut_tiles(padded, spec, low))


def write_input(
    image: NDArray[np.uint8],
    resized: tuple[int, int],
    spec: InputSpec,
    out: NDArray[np.float32],
    chroma: NDArray[np.uint8] | None = None,
    pixels: PixelFormat = "bgr",
) -> None:
    """Resize, normalise and pad a frame into the network's input.

    Args:
        image: uint8 (H, W, 3), (H, W, 4) or, of grey and the luma of NV12, (H, W).
        resized: (height, width) of the frame inside `out`, at its top left.
        spec: the model's input.
        out: float32 (1, 3, height, width), overwritten.
        chroma: uint8 (H / 2, W) of NV12; None: not NV12.
        pixels: how the bytes are read.
    """
    _ext.preprocess(
        image,
        out[0],
        out.shape[2],
        out.shape[3],
        resized[0],
        resized[1],
        spec.mean,
        spec.scale,
        spec.channels == "RGB",
        black(spec),
        chroma,
        pixels=pixels,
    )


def black(spec: InputSpec) -> float:
    """Return the normalised value of black, the darkest channel's where they differ.

    Frames are padded with it: a band of mid-grey below a grey picture looks to a network like more
    of the picture, and was seen to be filled with people.
    """
    return min(-mean * scale for mean, scale in zip(spec.mean, spec.scale, strict=True))


def _pad(side: int, spec: InputSpec) -> int:
    return -(-max(side, spec.min_side) // spec.multiple) * spec.multiple
