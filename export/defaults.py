"""Defaults that the command line shows before anything heavy is loaded."""

from __future__ import annotations

from typing import Final, Literal, get_args

OPSET: Final = 17
METHOD: Final = "percentile"
CALIBRATED: Final = 128  # images
FP16_GATE: Final = 0.005  # share of the mean count
INT8_GATE: Final = 0.03
MAX_BATCH: Final = 1024  # frames in one call

Method = Literal["percentile", "entropy", "minmax"]
METHODS: tuple[Method, ...] = get_args(Method)
