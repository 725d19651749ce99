"""Losses, one file per idea."""

from edgecount.train.losses.blocks import block_count_loss
from edgecount.train.losses.focal import heatmap_focal_loss
from edgecount.train.losses.offset import offset_loss

__all__ = ["block_count_loss", "heatmap_focal_loss", "offset_loss"]
