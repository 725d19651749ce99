"""CAN (Liu, Salzmann and Fua, CVPR 2019): context of several sizes, weighed at every place."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgecount.manifest import OutputSpec
from edgecount.train.models.base import IMAGENET_INPUT, Maps, Network
from edgecount.train.models.csrnet import dilated_back_end
from edgecount.train.models.layers import gaussian_start
from edgecount.train.models.vgg import VGG16

SIZES = (1, 2, 3, 6)  # blocks a side, k(j) of Eq. 2


class CANNet(Network):
    """A density at stride 8, linear while training and cut at 0 when deployed. 18.1 M parameters.

    VGG-16 to conv4_3, the context block, and CSRNet's dilated layers, with batch norm as the
    authors' code has them. Context is an average over the whole image: a tile or a padded frame
    sees another than the image does.

    Args:
        batch_norm: batch norms in the back end.
    """

    input = dataclasses.replace(IMAGENET_INPUT, multiple=8)
    pretrained = "features"
    outputs = (OutputSpec("density", "density", 8),)

    def __init__(self, *, batch_norm: bool = True) -> None:
        super().__init__()
        self.features = VGG16(stages=4)
        self.context = Context(self.features.channels[-1])
        self.counting = dilated_back_end(batch_norm=batch_norm)

    def forward(self, image: Tensor) -> Maps:
        """Return the maps of a normalised RGB batch (B, 3, H, W); H and W multiples of 8."""
        return Maps(self.counting(self.context(self.features(image)[-1])))


class Context(nn.Module):
    """Scale-aware features beside the local ones, brought back to the same width (Eq. 2 to 5).

    ``s_j`` is the average over k(j) x k(j) blocks, a 1x1 convolution and bilinear interpolation;
    ``c_j = s_j - f`` its contrast, ``w_j = sigmoid(W c_j)`` its weight at every place and channel;
    the output is ``relu(U [sum w_j s_j / sum w_j, f])``. W is one convolution for all sizes, and
    the contrast enters as ``f - s_j``, as in the authors' code (in the paper each size has a W of
    its own; the sign is W's to choose). U, which the paper does not draw, is from there as well.

    Args:
        channels: channels of the features, in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(nn.Conv2d(channels, channels, 1, bias=False) for _ in SIZES)
        self.weigh = nn.Conv2d(channels, channels, 1)
        self.join = nn.Conv2d(2 * channels, channels, 1)
        gaussian_start(self)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        height, width = features.shape[2:]
        contexts, logs = [], []
        for size, mix in zip(SIZES, self.scales, strict=True):
            blocks = mix(block_means(features, size))
            context = F.interpolate(blocks, (height, width), mode="bilinear", align_corners=False)
            contexts.append(context)
            logs.append(_log_sigmoid(self.weigh(features - context)))
        # w_j / sum w_j by its logarithms: where every weight is tiny, the quotient of sums would
        # be 0 / 0, in float16 from 17 below 0 on.
        weights = torch.softmax(torch.stack(logs), dim=0)
        context = (weights * torch.stack(contexts)).sum(0)
        return F.relu(self.join(torch.cat([context, features], dim=1)))


def _log_sigmoid(x: Tensor) -> Tensor:
    """Return log(sigmoid(x)), which is about x far below 0.

    torch's own is exported as the logarithm of a sigmoid, which ONNX Runtime cuts off and float16
    rounds to 0.
    """
    return torch.clamp(x, max=0.0) - torch.log(1.0 + torch.exp(-x.abs()))


def block_means(features: Tensor, size: int) -> Tensor:
    """Return the means over ``size`` x ``size`` blocks of (B, C, h, w), as (B, C, size, size).

    Adaptive average pooling, written as two products with matrices that are made from h and w: the
    operator itself cannot be exported for inputs of any size.
    """
    rows = _shares(features, features.shape[2], size)
    columns = _shares(features, features.shape[3], size)
    return torch.matmul(torch.matmul(rows, features), columns.transpose(0, 1))


def _shares(like: Tensor, length: int, size: int) -> Tensor:
    """Return (size, length): the share of each cell in the mean of each block.

    Block i has the cells from floor(i length / size) to ceil((i + 1) length / size) - 1.
    """
    blocks = torch.arange(size, device=like.device)[:, None]
    cells = torch.arange(length, device=like.device)[None]
    # In whole numbers: first <= cell is i length < (cell + 1) size, cell < last likewise.
    inside = (cells + 1) * size > blocks * length
    inside = inside & (cells * size < (blocks + 1) * length)
    chosen = inside.to(like.dtype)
    return chosen / chosen.sum(1, keepdim=True)
