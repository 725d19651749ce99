"""Losses, one file per idea.

Each is a mean over the images of a batch of something normalised within the image.
"""

from edgecount.train.losses.attention import attention_loss, level_loss
from edgecount.train.losses.blocks import block_count_loss, zero_inflated_loss
from edgecount.train.losses.density import density_mse
from edgecount.train.losses.focal import focal_loss, heatmap_focal_loss, poly_focal_loss
from edgecount.train.losses.localisation import weighted_bce
from edgecount.train.losses.mask_focal import mask_focal_loss, poly_mask_focal_loss
from edgecount.train.losses.masked import masked_l1
from edgecount.train.losses.scale_consistency import ScaleConsistency
from edgecount.train.losses.structural import (
    background_aware_structural_loss,
    background_loss,
    dynamic_weights,
    ssim,
    structural_loss,
)

__all__ = [
    "ScaleConsistency",
    "attention_loss",
    "background_aware_structural_loss",
    "background_loss",
    "block_count_loss",
    "density_mse",
    "dynamic_weights",
    "focal_loss",
    "heatmap_focal_loss",
    "level_loss",
    "mask_focal_loss",
    "masked_l1",
    "poly_focal_loss",
    "poly_mask_focal_loss",
    "ssim",
    "structural_loss",
    "weighted_bce",
    "zero_inflated_loss",
]
