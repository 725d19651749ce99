"""The part of a network's maps that losses and counts see: the image, and its annotated region."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.manifest import InputSpec, Role
from edgecount.train.models.base import Maps

CLOSED = -30.0  # a logit whose probability is 0 to float32's losses

# Targets that lie on the cells of an output, by its role.
_ON_CELLS: dict[Role, tuple[str, ...]] = {
    "density": ("density", "counts"),
    "heatmap": ("heatmap", "heads", "mask", "offset", "size"),
}


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


def limit_targets(targets: Mapping[str, Tensor], strides: Mapping[Role, int]) -> dict[str, Tensor]:
    """Set targets to 0 in the cells that `limit_maps` closes.

    A head at the region's border may lie in such a cell, and its box and kernel reach further ones:
    there the network has no say, and a target above 0 would be a loss that nothing can lower.

    Args:
        targets: (B, C, h, w) by name, those of an objective, and ``region`` (B, 1, H, W), 1 where
            the images are annotated, else 0; without one nothing is changed.
        strides: px a cell of the network's outputs, by role.

    Returns:
        All targets.
    """
    limited = dict(targets)
    if "region" not in targets:
        return limited
    for role, names in _ON_CELLS.items():
        given = [name for name in names if name in targets and role in strides]
        if given:
            seen = coverage(targets["region"], strides[role]) > 0
            limited |= {name: targets[name] * seen for name in given}
    return limited


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
