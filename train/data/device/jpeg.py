"""JPEG compression of a batch on its device: what a codec loses, without the bit stream.

The steps are those of ITU-T T.81 as libjpeg takes them: YCbCr of JFIF, colour averaged over its
pixels, an 8 x 8 cosine transform quantised by the tables of annex K, and colour interpolated back
by a triangle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.train.data.device.store import rounded

# ITU-T T.81, tables K.1 and K.2, row by row.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8 for _ in range(4)),
)
# JFIF 1.02: Y, Cb, Cr of R, G, B.
_TO_YCC = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)
FACTORS = ((1, 1), (1, 2), (2, 2))  # rows and columns of one colour sample: 4:4:4, 4:2:2, 4:2:0


def compress(images: Tensor, qualities: Sequence[int], factor: tuple[int, int]) -> Tensor:
    """Return images after JPEG compression at one quality each.

    Args:
        images: (B, H, W, 3) uint8 BGR; sides that are multiples of 16 need no padding.
        qualities: (B,) 1 to 100.
        factor: rows and columns of one colour sample, one of :data:`FACTORS`.
    """
    height, width = images.shape[1:3]
    planes = _to_ycc(images)
    tables = [_tables(table, qualities, images.device) for table in (_LUMA, _CHROMA)]
    luma = _quantised(planes[:, :1], tables[0])
    colour = _quantised(_averaged(planes[:, 1:], factor), tables[1])
    colour = _interpolated(colour, factor)[:, :, :height, :width]
    return _to_bgr(luma[:, :, :height, :width], colour)


def _to_ycc(images: Tensor) -> Tensor:
    """Return (B, 3, H, W) float32 of whole levels, padded to whole units of 16 px by the edge."""
    matrix = torch.tensor(_TO_YCC, device=images.device)
    rgb = images.flip(3).permute(0, 3, 1, 2).float()
    planes = torch.einsum("cd,bdhw->bchw", matrix, rgb)
    planes[:, 1:] += 128.0
    planes = rounded(planes).float()
    down, right = -planes.shape[2] % 16, -planes.shape[3] % 16
    return F.pad(planes, (0, right, 0, down), mode="replicate") if down or right else planes


def _tables(
    table: Sequence[Sequence[int]], qualities: Sequence[int], device: torch.device
) -> Tensor:
    """Return the (B, 1, 1, 1, 8, 8) quantisation steps of libjpeg's quality scale."""
    base = np.array(table, np.int64)
    scales = [5000 // quality if quality < 50 else 200 - 2 * quality for quality in qualities]
    steps = np.stack([np.clip((base * scale + 50) // 100, 1, 255) for scale in scales])
    return torch.from_numpy(steps.astype(np.float32)[:, None, None, None]).to(device)


def _quantised(planes: Tensor, steps: Tensor) -> Tensor:
    """Return planes (B, C, H, W) after their blocks' coefficients are rounded to steps."""
    batch, channels, height, width = planes.shape
    blocks = (planes - 128.0).reshape(batch, channels, height // 8, 8, width // 8, 8)
    blocks = blocks.transpose(3, 4)
    cosines = _cosines(planes.device)
    coefficients = cosines @ blocks @ cosines.T
    # Away from zero at a half, as libjpeg rounds.
    shares = coefficients / steps
    coefficients = torch.sign(shares) * torch.floor(shares.abs() + 0.5) * steps
    levels = rounded(cosines.T @ coefficients @ cosines + 128.0).float()
    return levels.transpose(3, 4).reshape(batch, channels, height, width)


def _cosines(device: torch.device) -> Tensor:
    """Return the (8, 8) orthonormal cosine transform."""
    places = np.arange(8)
    matrix = np.cos((2 * places[None] + 1) * places[:, None] * np.pi / 16) / 2
    matrix[0] /= np.sqrt(2)
    return torch.from_numpy(matrix.astype(np.float32)).to(device)


def _averaged(planes: Tensor, factor: tuple[int, int]) -> Tensor:
    """Return colour at its own resolution, halves rounded down and up in turn as libjpeg does."""
    if factor == (1, 1):
        return planes
    means = F.avg_pool2d(planes, factor)
    number = factor[0] * factor[1]
    bias = torch.tensor([0.0, 0.5] if number == 2 else [0.25, 0.5], device=planes.device)
    return torch.floor(means + bias.repeat(means.shape[3] // 2 + 1)[: means.shape[3]])


def _interpolated(planes: Tensor, factor: tuple[int, int]) -> Tensor:
    """Return colour at the image's resolution: three quarters of the nearer sample each way."""
    if factor == (1, 1):
        return planes
    size = (planes.shape[2] * factor[0], planes.shape[3] * factor[1])
    return F.interpolate(planes, size, mode="bilinear", align_corners=False).add(0.5).floor()


def _to_bgr(luma: Tensor, colour: Tensor) -> Tensor:
    blue, red = (colour[:, 0] - 128.0), (colour[:, 1] - 128.0)
    y = luma[:, 0]
    planes = [y + 1.772 * blue, y - 0.344136286 * blue - 0.714136286 * red, y + 1.402 * red]
    return rounded(torch.stack(planes, 3))
