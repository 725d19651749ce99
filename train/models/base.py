"""What every network answers."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Maps(NamedTuple):
    """The maps of a batch, as logits where a loss needs them.

    Attributes:
        density: (B, 1, H / 8, W / 8) expected people per cell, >= 0.
        heatmap_logits: (B, 1, H / 4, W / 4) head centres; ``sigmoid`` gives the heatmap.
        offset: (B, 2, H / 4, W / 4) dx, dy of the head centre from its cell's top-left corner, in
            cells, in [0, 1].
    """

    density: Tensor
    heatmap_logits: Tensor
    offset: Tensor
