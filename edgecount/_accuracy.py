"""How far the counts of a faster precision may be from those of float32."""

from __future__ import annotations

from typing import Final

FP16_GATE: Final = 0.005  # share of the mean count; of bfloat16, too
INT8_GATE: Final = 0.03
