"""Batch norm folded into convolutions."""

from __future__ import annotations

import copy
import itertools
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

T = TypeVar("T", bound=nn.Module)


def fold_batch_norm(network: T) -> T:
    """Return a copy in evaluation mode in which each norm after a convolution is part of it.

    Engines do the same when they load a graph; done here, the file is smaller, weights are what
    quantisation will see, and every engine starts from the same numbers.
    """
    folded = copy.deepcopy(network).eval()
    fold_children(folded)
    return folded


def fold_children(network: nn.Module) -> None:
    """Fold a network's norms in place; it keeps its mode, training or evaluation."""
    training = network.training
    network.eval()  # what fuse_conv_bn_eval asks for
    for module in network.modules():
        _fold_children(module)
    network.train(training)


def _fold_children(module: nn.Module) -> None:
    """Fold each norm among a module's children into the convolution declared right before it.

    In a ``Sequential`` that is the order of the computation; elsewhere it is where the names say so
    (``conv1`` and ``bn1``, ``conv`` and ``bn``).
    """
    children = list(module.named_children())
    for (first, convolution), (second, norm) in itertools.pairwise(children):
        if not isinstance(convolution, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
            continue
        named = first.startswith("conv") and second == first.replace("conv", "bn")
        if named or isinstance(module, nn.Sequential):
            fused = fuse_conv_bn_eval(convolution, norm)
            # A new bias comes out of it frozen: training goes on with the norm's shift in it.
            fused.get_parameter("bias").requires_grad_(norm.bias.requires_grad)
            setattr(module, first, fused)
            setattr(module, second, nn.Identity())
