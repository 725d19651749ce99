"""Depthwise convolution whose gradients are fast on CPUs that compute in bfloat16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel by itself, odd kernel, same size or strided.

    Args:
        channels: of input and output.
        kernel: side of the kernel, odd.
        stride: 1 or more.
        padding: zeros around the input; None: half the kernel, so that stride 1 keeps the size.

    PyTorch's bfloat16 gradients on the CPU are slow in two cases: that of the input where the
    convolution has a stride, and that of a kernel larger than 3x3. While training there, both are
    computed in another way, of the same value (see :class:`_Depthwise`); everywhere else this is
    ``nn.Conv2d``.
    """

    def __init__(
        self, channels: int, kernel: int = 3, stride: int = 1, padding: int | None = None
    ) -> None:
        around = kernel // 2 if padding is None else padding
        super().__init__(channels, channels, kernel, stride, around, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, ceil(H / stride), ceil(W / stride)) by the default padding."""
        if x.is_cpu and self.training and torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            bias = None if self.bias is None else self.bias.to(dtype)  # of a norm folded in
            out: Tensor = _Depthwise.apply(  # type: ignore[no-untyped-call]
                x.to(dtype), self.weight.to(dtype), bias, self.stride[0], self.padding[0]
            )
            return out
        return super().forward(x)


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution with gradients of its own.

    The input's gradient is a convolution with the kernel turned around of the output's gradient,
    spread out to the input's grid with zeros between. That of a large kernel is in float32.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, bias, stride, padding, 1, weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            spread = gradient
            around = weight.shape[-1] - 1 - ctx.padding
            if ctx.stride > 1:
                shape = (*x.shape[:2], *(side + ctx.padding - around for side in x.shape[2:]))
                last = torch.channels_last
                spread = torch.empty(shape, dtype=x.dtype, memory_format=last).zero_()
                spread[:, :, :: ctx.stride, :: ctx.stride] = gradient
            turned = weight.flip(2, 3)
            of_x = F.conv2d(spread, turned, None, 1, around, 1, weight.shape[0])
        if ctx.needs_input_grad[1]:
            of_weight = _weight_gradient(gradient, x, weight, ctx.stride, ctx.padding)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3), dtype=torch.float32).to(gradient.dtype)
        return of_x, of_weight, of_bias, None, None


def _weight_gradient(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int
) -> Tensor:
    if weight.shape[-1] > 3:
        inputs = gradient.float(), x.float(), weight.float()
    else:
        inputs = gradient, x, weight
    mask = (False, True, False)
    _, found, _ = torch.ops.aten.convolution_backward(
        *inputs, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], weight.shape[0], mask
    )
    out: Tensor = found.to(weight.dtype)
    return out
