"""Photometric augmentation of a batch on its device; see `edgecount.train.data.photometric`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.train.data.device.jpeg import FACTORS, compress
from edgecount.train.data.device.store import rounded
from edgecount.train.data.device.taps import Taps, crop_taps
from edgecount.train.data.photometric import PhotometricChange, shrunk_size

# OpenCV's weights of blue, green and red in grey, and its YCrCb.
_GREY = (0.114, 0.587, 0.299)
_RED, _BLUE = 0.713, 0.564


def apply_changes(
    images: Tensor, changes: Sequence[PhotometricChange | None], generator: torch.Generator
) -> Tensor:
    """Return the changed images, which differ from the CPU's by rounding and in their noise.

    Args:
        images: (B, H, W, 3) uint8 BGR.
        changes: one for each image; None leaves it as it is.
        generator: source of the noise, on the images' device.
    """
    out = _recoloured(images, changes)
    steps: list[tuple[str, Callable[[Tensor, list[PhotometricChange]], Tensor]]] = [
        ("blur", lambda some, ones: blurred(some, [one.blur or 0.0 for one in ones])),
        ("low_resolution", _coarsened),
        ("noise", lambda some, ones: _with_noise(some, ones, generator)),
        ("jpeg", lambda some, ones: compress(some, [one.jpeg or 0 for one in ones], FACTORS[2])),
        ("sharpen", _sharpened),
        ("halve_chroma", lambda some, _: _halved_chroma(some)),
        ("recompress", _recompressed),
    ]
    for name, step in steps:
        places = [i for i, one in enumerate(changes) if one is not None and getattr(one, name)]
        if places:
            chosen = torch.tensor(places, device=out.device)
            ones = [one for one in (changes[place] for place in places) if one is not None]
            out[chosen] = step(out[chosen], ones)
    return out


def _recoloured(images: Tensor, changes: Sequence[PhotometricChange | None]) -> Tensor:
    """Return the images with their tones and saturations; those without a change are copied."""
    device = images.device
    same = np.arange(256, dtype=np.uint8)
    tones = np.stack([same if one is None else one.tone for one in changes])
    saturation = np.array([1.0 if one is None else one.saturation for one in changes], np.float32)
    batch = torch.arange(len(changes), device=device)[:, None, None, None]
    out = torch.from_numpy(tones).to(device)[batch, images.long()].float()
    grey = rounded(out @ torch.tensor(_GREY, device=device)).float()[..., None]
    share = torch.from_numpy(saturation).to(device)[:, None, None, None]
    # To the nearest even level, as OpenCV blends; 1 and 0 leave every level as it is.
    return (out * share + grey * (1.0 - share)).round_().clamp_(0, 255).to(torch.uint8)


def blurred(images: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Return images after a Gaussian blur of each one's sigma, mirrored at the edges."""
    planes = images.permute(0, 3, 1, 2).float()
    batch, channels, height, width = planes.shape
    radii = [(round(6 * sigma + 1) | 1) // 2 for sigma in sigmas]
    most = min(max(radii), min(height, width) - 1)  # a mirror image is no larger than the image
    places = np.arange(-most, most + 1)
    kernels = np.stack(
        [
            np.where(abs(places) <= radius, np.exp(-(places**2) / (2 * sigma**2)), 0.0)
            for radius, sigma in zip(radii, sigmas, strict=True)
        ]
    )
    kernels /= kernels.sum(1, keepdims=True)
    weights = torch.from_numpy(kernels.astype(np.float32)).to(images.device)
    weights = weights.repeat_interleave(channels, 0)[:, None]
    planes = planes.reshape(1, batch * channels, height, width)
    planes = F.pad(planes, (most, most, most, most), mode="reflect")
    planes = F.conv2d(planes, weights[:, :, None], groups=batch * channels)
    planes = F.conv2d(planes, weights[:, :, :, None], groups=batch * channels)
    return rounded(planes.reshape(batch, channels, height, width).permute(0, 2, 3, 1))


def _coarsened(images: Tensor, changes: list[PhotometricChange]) -> Tensor:
    height, width = images.shape[1:3]
    out = []
    for image, change in zip(images, changes, strict=True):
        small = shrunk_size(width, height, change.low_resolution or 1.0)[::-1]
        shrunk = _resized(image[None], small, cv2.INTER_AREA)
        out.append(_resized(shrunk, (height, width), cv2.INTER_LINEAR)[0])
    return torch.stack(out)


def _with_noise(
    images: Tensor, changes: list[PhotometricChange], generator: torch.Generator
) -> Tensor:
    spreads = torch.tensor([one.noise or 0.0 for one in changes], device=images.device)
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    noisy = images.float() + noise * spreads[:, None, None, None]
    return noisy.clamp_(0, 255).to(torch.uint8)  # rounded down, as on the CPU


def _sharpened(images: Tensor, changes: list[PhotometricChange]) -> Tensor:
    pairs = [one.sharpen or (1.0, 0.0) for one in changes]
    soft = blurred(images, [sigma for sigma, _ in pairs]).float()
    amount = torch.tensor([amount for _, amount in pairs], device=images.device)
    amount = amount[:, None, None, None]
    sharp = images.float() * (1.0 + amount) - soft * amount
    return sharp.round_().clamp_(0, 255).to(torch.uint8)


def _halved_chroma(images: Tensor) -> Tensor:
    values = images.float()
    y = rounded(values @ torch.tensor(_GREY, device=images.device)).float()
    red = rounded((values[..., 2] - y) * _RED + 128.0)
    blue = rounded((values[..., 0] - y) * _BLUE + 128.0)
    height, width = images.shape[1:3]
    planes = torch.stack([red, blue], 3)
    half = (max(height // 2, 1), max(width // 2, 1))
    planes = _resized(_resized(planes, half, cv2.INTER_AREA), (height, width), cv2.INTER_LINEAR)
    red, blue = (planes[..., place].float() - 128.0 for place in (0, 1))
    parts = [y + 1.773 * blue, y - 0.714 * red - 0.344 * blue, y + 1.403 * red]
    return rounded(torch.stack(parts, 3))


def _recompressed(images: Tensor, changes: list[PhotometricChange]) -> Tensor:
    out = images.clone()
    pairs = [one.recompress or (100, 0) for one in changes]
    for index, factor in enumerate(FACTORS):
        places = [place for place, (_, sampling) in enumerate(pairs) if sampling == index]
        if places:
            chosen = torch.tensor(places, device=images.device)
            out[chosen] = compress(images[chosen], [pairs[place][0] for place in places], factor)
    return out


def _resized(images: Tensor, size: tuple[int, int], interpolation: int) -> Tensor:
    """Return (B, H, W, C) uint8 images at ``size`` (height, width)."""
    rows, columns = crop_taps((images.shape[1], images.shape[2]), size, interpolation)
    down = _matrix(rows, images.shape[1], images.device)
    across = _matrix(columns, images.shape[2], images.device)
    wide = torch.einsum("wj,bijc->biwc", across, images.float())
    return rounded(torch.einsum("hi,biwc->bhwc", down, wide))


def _matrix(taps: Taps, source: int, device: torch.device) -> Tensor:
    """Return the (N, source) weights of every source pixel."""
    matrix = np.zeros((len(taps.weights), source), np.float32)
    np.add.at(matrix, (np.arange(len(matrix))[:, None], taps.indices), taps.weights)
    return torch.from_numpy(matrix).to(device)
