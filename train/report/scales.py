"""A network's densities of several scales beside the true ones (HSRNet, Figure 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecount.train.report.style import INK, new_figure, png

if TYPE_CHECKING:
    from edgecount.train.data.sample import Sample
    from edgecount.train.models.base import Network

Map = NDArray[np.float32]


def draw_scales(network: Network, sample: Sample, *, max_side: int | None = None) -> bytes | None:
    """Draw the maps that a network names as worth a picture, the true density above each.

    Args:
        network: a network in evaluation mode.
        sample: an annotated image.
        max_side: longest side that the network is to see, px; None: any.

    Returns:
        A PNG file; None if the network names no maps (`Network.pictures`).
    """
    pairs = scale_maps(network, sample, max_side=max_side)
    if not pairs:
        return None
    highest = max(float(truth.max()) for _, truth, _ in pairs) or 1.0
    figure = new_figure(2.2 * len(pairs), 4.0)
    for column, (title, truth, values) in enumerate(pairs, 1):
        for row, (whose, density) in enumerate((("true", truth), ("network", values))):
            axes = figure.add_subplot(2, len(pairs), row * len(pairs) + column)
            axes.imshow(density, vmin=0.0, vmax=highest, cmap="viridis")
            axes.set_axis_off()
            text = f"{title}, {whose}: {float(density.sum()):.1f}"
            axes.set_title(text, loc="left", fontsize=8, color=INK)
    return png(figure)


def scale_maps(
    network: Network, sample: Sample, *, max_side: int | None = None
) -> list[tuple[str, Map, Map]]:
    """Return title, true and estimated density (h, w), people per cell, of each map of a network.

    The truth has geometry-adaptive kernels (HSRNet Eq. 7), seen at the map's scale as its training
    sees it; see :func:`draw_scales`.
    """
    import torch

    from edgecount.train.data.mixture import normalise
    from edgecount.train.losses.scale_consistency import seen_at
    from edgecount.train.models.extent import limit_maps, pad_black
    from edgecount.train.targets.density import density_map

    image = sample.image()
    longer = max(image.shape[:2])
    if max_side is not None and longer > max_side:
        sample = sample.shrunk(max_side / longer)
        image = sample.image()
    height, width = image.shape[:2]
    mask = sample.mask(height, width)
    region = None if mask is None else torch.from_numpy(mask.astype(np.float32))[None, None]
    device = next(network.parameters()).device
    with torch.no_grad():
        pixels = torch.from_numpy(normalise(image, network.input))[None].to(device)
        padded = pad_black(pixels, network.input)
        given = network(padded)
        size = (padded.shape[-2], padded.shape[-1])
        region = None if region is None else region.to(device)
        maps = limit_maps(given, size, (height, width), region, network.densities)
    unit = next((one.unit for one in network.outputs if one.role == "density"), 1.0)
    found = []
    for picture in network.pictures(maps):
        values = picture.values[0, 0].float().numpy(force=True) / np.float32(unit)
        stride = -(-height // values.shape[0])
        truth = density_map(sample.points, height, width, stride=stride, region=mask)
        seen = seen_at(torch.from_numpy(truth)[None, None], picture.window)[0, 0].numpy()
        found.append((picture.title, seen, values))
    return found
