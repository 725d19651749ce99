"""Modulated deformable convolution (Zhu, Hu, Lin and Dai, CVPR 2019) from common operators."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TAPS = 9


class DeformableConv2d(nn.Module):
    """A 3x3 convolution whose taps are moved and weighed place by place.

    Offsets and modulation come from a 3x3 convolution that starts at 0. The modulation is
    ``2 sigmoid``, not the paper's ``sigmoid``, so that at the start the layer is the ordinary
    convolution of its weights. The taps are sampled (bilinear, 0 outside) and mixed by a 1x1
    convolution: GridSample and Conv in ONNX, no plugin. Positions and samples are float32 in half
    precision: in bfloat16 neighbouring cells beyond the 256th share a position.

    Args:
        in_channels: channels of the features.
        out_channels: channels of the output.
    """

    taps: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.weight = convolution.weight
        self.bias = convolution.bias
        self.moves = nn.Conv2d(in_channels, 3 * TAPS, 3, padding=1)
        nn.init.zeros_(self.moves.weight)
        nn.init.zeros_(self.moves.get_parameter("bias"))
        rows, columns = torch.meshgrid(torch.arange(-1.0, 2), torch.arange(-1.0, 2), indexing="ij")
        self.register_buffer("taps", torch.stack([columns, rows], -1).reshape(TAPS, 2))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, C', h, w)."""
        moves = _at_least_float32(self.moves(x))
        height, width = x.shape[-2:]
        right = torch.arange(width, device=x.device, dtype=moves.dtype)
        down = torch.arange(height, device=x.device, dtype=moves.dtype)
        # centres of cells, in the units of grid_sample: -1 to 1 from edge to edge
        columns = moves[:, 0 : 2 * TAPS : 2] + self.taps[:, 0, None, None] + right
        rows = moves[:, 1 : 2 * TAPS : 2] + self.taps[:, 1, None, None] + down[:, None]
        grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], -1)
        # the taps one below the other, so that one GridSample reads them all
        grid = grid.reshape(-1, TAPS * height, width, 2)
        sampled = F.grid_sample(
            _at_least_float32(x), grid, padding_mode="zeros", align_corners=False
        )
        modulation = 2.0 * torch.sigmoid(moves[:, None, 2 * TAPS :])
        weighed = sampled.reshape(-1, x.shape[1], TAPS, height, width) * modulation
        stacked = weighed.reshape(-1, x.shape[1] * TAPS, height, width).to(x.dtype)
        return F.conv2d(stacked, self.weight.reshape(len(self.weight), -1, 1, 1), self.bias)


def _at_least_float32(values: Tensor) -> Tensor:
    """Return values of half precision as float32, in which positions are exact enough."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
