"""Defaults that the command line shows before anything heavy is loaded."""

from __future__ import annotations

from typing import Final, Literal, get_args

from edgecount._accuracy import FP16_GATE, INT8_GATE

__all__ = [
    "CALIBRATED",
    "ENGINE_OPTIONS",
    "FP16_GATE",
    "INT8_GATE",
    "MAX_BATCH",
    "METHOD",
    "METHODS",
    "OPSET",
    "Method",
]

OPSET: Final = 17
METHOD: Final = "percentile"
CALIBRATED: Final = 128  # images
MAX_BATCH: Final = 1024  # frames in one call

Method = Literal["percentile", "entropy", "minmax"]
METHODS: tuple[Method, ...] = get_args(Method)

ENGINE_OPTIONS = (
    "workspace",
    "timing_cache",
    "hardware_compatible",
    "same_capability",
    "version_compatible",
    "fp16_input",
)
"""Options of engines whose flags have their names; without an engine they mean nothing."""
