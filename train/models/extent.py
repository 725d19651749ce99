"""The part of a network's maps that losses and counts see: the image, and its annotated region."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.manifest import InputSpec
from edgecount.train.models.base import Maps

CLOSED = -30.0  # a logit whose probability is 0 to float32's losses


def pad_black(images: Tensor, spec: InputSpec) -> Tensor:
    """Pad a normalised batch with black at the right and below, up to the network's multiple.

    Black is not 0 after normalisation, and the runtime pads with black pixels.

    Args:
        images: (B, 3, H, W).
        spec: normalisation and multiple.

    Returns:
        (B, 3, H', W'); the same tensor where nothing is missing.
    """
    down, right = ((-side) % spec.multiple for side in images.shape[-2:])
    if not down and not right:
        return images
    black = -torch.tensor(spec.mean, device=images.device) * torch.tensor(
        spec.scale, device=images.device
    )
    black = black.to(images)[:, None, None]
    return F.pad(images - black, (0, right, 0, down)) + black


def limit_maps(
    maps: Maps,
    padded: tuple[int, int],
    size: tuple[int, int],
    region: Tensor | None = None,
    densities: Collection[str] = (),
) -> Maps:
    """Crop maps to the images of a padded batch and zero them outside the annotated region.

    Cells that an image covers in part are kept. A cell of a density that the region covers in part
    is multiplied by that share; the heatmap's logits are closed where nothing is covered. Levels of
    a detector stay as they are.

    Args:
        maps: maps of the network; a map's stride is the padded height over its own.
        padded: height and width that the network saw, px.
        size: height and width of the images, px.
        region: (B, 1, height, width), 1 where the images are annotated, else 0; None: everywhere.
        densities: names of the auxiliary maps that are densities.
    """
    if padded == size and region is None:
        return maps
    bounded = {"density", "heatmap_logits", *densities}

    def limit(name: str, values: Tensor) -> Tensor:
        stride = padded[0] // values.shape[-2]
        values = values[..., : -(-size[0] // stride), : -(-size[1] // stride)]
        if region is None or name not in bounded:
            return values
        share = coverage(region, stride)
        return values.masked_fill(share == 0, CLOSED) if "logits" in name else values * share

    def limited(name: str) -> Tensor | None:
        values = getattr(maps, name)
        return None if values is None else limit(name, values)

    auxiliary = {
        name: tuple(limit(name, one) for one in values) for name, values in maps.auxiliary.items()
    }
    return maps._replace(
        density=limited("density"),
        heatmap_logits=limited("heatmap_logits"),
        offset=limited("offset"),
        size=limited("size"),
        auxiliary=auxiliary,
    )


def coverage(region: Tensor, stride: int) -> Tensor:
    """Return the share of each cell that a region covers, relative to its part in the image.

    Args:
        region: (B, 1, H, W), 1 inside and 0 outside.
        stride: px a cell.

    Returns:
        (B, 1, ceil(H / stride), ceil(W / stride)), in [0, 1].
    """
    if stride == 1:
        return region
    # cut windows are divided by what of them is there
    return F.avg_pool2d(region, stride, ceil_mode=True, count_include_pad=False)
