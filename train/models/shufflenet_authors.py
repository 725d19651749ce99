"""Weights of ShuffleNetV2's authors' code, brought into torchvision's names and channel order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_NAMES = {"first_conv.": "conv1.", "branch_proj.": "branch1.", "branch_main.": "branch2."}
_NORM = ("weight", "bias", "running_mean", "running_var")


def from_authors(
    arrays: Mapping[str, Tensor], widths: Sequence[int], blocks: Sequence[int]
) -> dict[str, Tensor]:
    """Convert weights to torchvision's units; the function stays the same.

    A unit of the authors takes the even channels through as they are and transforms the odd ones,
    then joins both; torchvision's joins, interleaves the halves, and the next unit takes the first
    half through. Whichever channels are transformed together are so in both once those of each
    stage are put into another order, which this does.

    Args:
        arrays: names such as ``stage2.0.branch_main.0.weight``; those that are not there, or not
            of the expected shape, are left for the loader to find.
        widths: channels before the first stage, and of each stage.
        blocks: units of each stage.

    Returns:
        All arrays under torchvision's names.
    """
    adapted = {_renamed(name): value for name, value in arrays.items()}
    before = torch.arange(widths[0])
    for index, (width, units) in enumerate(zip(widths[1:], blocks, strict=True)):
        stage = f"stage{index + 2}"
        order = authors_order(width)
        half = width // 2
        after = order.reshape(2, half).T.flatten()
        first = f"{stage}.0.branch1"
        _take(adapted, [f"{first}.0.weight", *_norm(f"{first}.1")], before)
        _take(adapted, [f"{first}.2.weight"], before, dim=1)
        _take(adapted, [f"{first}.2.weight", *_norm(f"{first}.3")], order[:half])
        for unit in range(units):
            main = f"{stage}.{unit}.branch2"
            inputs = before if unit == 0 else after[half:] // 2
            _take(adapted, [f"{main}.0.weight"], inputs, dim=1)
            _take(adapted, [f"{main}.5.weight", *_norm(f"{main}.6")], order[half:] - half)
        before = after
    return adapted


def authors_order(width: int) -> Tensor:
    """Return (width,) int64: the authors' channel at each torchvision place, before the shuffle.

    Followed through the units, a channel of the authors goes from place p, while that is even, to
    p / 2; torchvision's from place h + j (h half the width) to 2 j + 1, then on to twice its place
    while that is under h. Both are chains that start in the second half, one for each odd number m
    below the width: at the authors' m 2^k in that half, at torchvision's h + (m - 1) / 2, and they
    have the same length. Channel 0 stays where it is in both.
    """
    half = width // 2
    order = torch.zeros(width, dtype=torch.int64)
    for odd in range(1, width, 2):
        theirs = odd
        while theirs < half:
            theirs *= 2
        order[half + odd // 2] = theirs
        ours = odd
        while theirs % 2 == 0:
            theirs //= 2
            order[ours] = theirs
            ours *= 2
    return order


def _renamed(name: str) -> str:
    for theirs, ours in _NAMES.items():
        name = name.replace(theirs, ours)
    return name


def _norm(name: str) -> list[str]:
    return [f"{name}.{part}" for part in _NORM]


def _take(arrays: dict[str, Tensor], names: list[str], order: Tensor, dim: int = 0) -> None:
    for name in names:
        if name in arrays and arrays[name].ndim > dim and arrays[name].shape[dim] == len(order):
            arrays[name] = arrays[name].index_select(dim, order)
