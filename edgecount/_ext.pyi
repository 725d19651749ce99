"""The kernels of edgecount in C++: preprocessing and counting.

Coordinates are continuous: cell (or pixel) i of an axis spans [i, i + 1). Arrays are NumPy arrays
in CPU memory. Both functions release the GIL and may run on several threads at once.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_Map: TypeAlias = NDArray[np.float32] | NDArray[np.float16]

cuda_built: bool
"""Whether this build has the CUDA part."""

class MapCounts:
    """What ``count_maps`` found in a batch of B images with R regions."""

    @property
    def peaks(self) -> list[NDArray[np.float32]]:
        """B arrays (n, 3): x, y in heatmap cells and the score, in raster order."""

    @property
    def peak_count(self) -> NDArray[np.int64]:
        """(B,): all peaks, also those beyond the capacity."""

    @property
    def overflow(self) -> NDArray[np.bool_]:
        """(B,): whether the capacity cut the list of peaks."""

    @property
    def density_sum(self) -> NDArray[np.float64]:
        """(B,): people by the density; 0 without one."""

    @property
    def count(self) -> NDArray[np.float64]:
        """(B,): people, fused from density and peaks where both are there."""

    @property
    def region_count(self) -> NDArray[np.float64]:
        """(B, R): ``count`` per region."""

    @property
    def region_density(self) -> NDArray[np.float64]:
        """(B, R): ``density_sum`` per region."""

    @property
    def region_peaks(self) -> NDArray[np.float64]:
        """(B, R): peaks per region, each weighted by the coverage of its cell."""

def count_maps(
    heatmap: _Map | None = None,
    offset: _Map | None = None,
    density: _Map | None = None,
    masks: NDArray[np.float32] | None = None,
    *,
    window: int = 3,
    threshold: float = 0.4,
    capacity: int = 0,
    unit: float = 1.0,
    fuse_cell: int = 0,
    fuse_low: float = 0.0,
    fuse_high: float = 0.0,
) -> MapCounts:
    """Counts the people of a batch of maps, in one pass over each.

    A peak is a cell above ``threshold`` (as a float32) that is greater than every cell of its
    window that comes earlier in raster order, and not less than the later ones; cells outside the
    map do not exist. Where both maps are given and ``fuse_cell`` is not 0, density and peaks are
    blended per square of ``fuse_cell`` density cells: count = sum of w * D + (1 - w) * P. This is
    the two-stream fusion of RAZ-Net (Liu et al., CVPR 2019): the denser the square, the more its
    density weighs. The weight itself is ours: a smoothstep of the people per full square from
    ``fuse_low`` to ``fuse_high``, to be fitted on validation images. Else the count is the
    density's sum, or the number of peaks when there is no density. Sums are the same on every run
    and processor.

    Args:
        heatmap: (B, H, W), head probabilities.
        offset: (B, 2, H, W) of the heatmap's dtype: dx and dy of the head from the top-left corner
            of its cell, in cells. Without it a parabola through the peak and its neighbours gives
            the position, within half a cell of the centre; on a border the centre.
        density: (B, H / k, W / k) for a whole k, rounded up or down: people per cell times
            ``unit``.
        masks: (R, h, w), the share in [0, 1] of each cell that lies in the region, on the grid of
            the density or, without one, of the heatmap.
        window: Side of the peak window in cells: 3, 5 or 7.
        threshold: Peaks are strictly above it; at least 0.
        capacity: Most peaks listed per image; 0 for all. The rest still counts.
        unit: Density value of one person; above 0.
        fuse_cell: Side of a fusion square in density cells; 0 for no fusion.
        fuse_low: People per fusion square up to which the peaks alone count.
        fuse_high: People per fusion square from which the density alone counts; not above
            ``fuse_low``, the density counts in squares with more than ``fuse_low`` people.

    Returns:
        Peaks, counts and counts per region.

    Raises:
        TypeError: An argument is not an array, or has another dtype.
        ValueError: A shape, an option or the memory order is wrong, a mask is not in [0, 1], or a
            map holds a NaN or an infinity (offsets are looked at only where a listed peak is); the
            message names the map and the image.
    """

def preprocess(
    image: NDArray[np.uint8],
    out: NDArray[np.float32],
    out_height: int,
    out_width: int,
    resized_height: int,
    resized_width: int,
    mean: Sequence[float],
    scale: Sequence[float],
    swap_rb: bool,
    pad_value: float,
) -> None:
    """Writes the network input of one image into ``out``.

    The image is resized to (``resized_height``, ``resized_width``), normalised as
    (x - mean) * scale and placed at the top left; the rest is padding. The resize is
    ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False, antialias=True)`` of the
    image as float32: values are not rounded on the way.

    Args:
        image: (H, W, 3). Rows may lie apart, pixels may not.
        out: (3, ``out_height``, ``out_width``), C-contiguous, overwritten.
        out_height: Height of the network input in pixels.
        out_width: Width of the network input in pixels.
        resized_height: Height of the image inside it, at most ``out_height``.
        resized_width: Width of the image inside it, at most ``out_width``.
        mean: One value per output channel, on the scale 0 to 255.
        scale: One factor per output channel.
        swap_rb: Output channel 0 is input channel 2 and the other way round: BGR to RGB.
        pad_value: Value of the padding, already normalised.

    Raises:
        TypeError: An argument is not an array, has another dtype, or ``out`` is read-only.
        ValueError: A shape, a size or the memory order is wrong.
    """

def cuda_device_count() -> int:
    """CUDA devices that can be used now.

    0 without the CUDA part (see ``cuda_built``), a driver or a device.
    """
