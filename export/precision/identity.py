"""The manifest of a converted file: its own name, measurements and interval."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from edgecount.export.verify.compare import Comparison
from edgecount.manifest import CONVERTED, IntervalSpec, Manifest

_NINE_TENTHS = 1.645  # deviations to each side hold nine tenths of a normal distribution


def converted_manifest(manifest: Manifest, precision: str, comparison: Comparison) -> Manifest:
    """Return the manifest of a file of lower precision.

    It is called by its precision too, and says what it was made from. The original's measurements
    are not its own; how its counts differ from the original's is what was measured of it, and
    widens the interval.

    Args:
        manifest: manifest of the float32 model.
        precision: such as ``int8+fp16``.
        comparison: its counts beside those of the float32 model.
    """
    training: dict[str, Any] = {k: v for k, v in manifest.training.items() if k != "metrics"}
    training[CONVERTED] = {
        "from": {"name": manifest.name, "version": manifest.version},
        "precision": precision,
    }
    training["metrics"] = {
        f"beside {manifest.name} {manifest.version} in float32": {
            "images": len(comparison.images),
            "people": round(comparison.mean_count, 1),
            "difference": round(comparison.difference, 3),
            "bias": round(comparison.bias, 3),
        }
    }
    post, interval = manifest.postprocess, manifest.postprocess.interval
    if interval is not None:
        post = dataclasses.replace(post, interval=_widened(interval, comparison))
    name = f"{manifest.name}-{precision.replace('+', '-')}"
    return dataclasses.replace(manifest, name=name, postprocess=post, training=training)


def _widened(interval: IntervalSpec, comparison: Comparison) -> IntervalSpec | None:
    """Add the conversion's error to the interval as one more share of the count.

    It is independent of the model's own, so that squares add up, of whichever end is nearer.

    Returns:
        None where an end is the count itself: no spread widens that.
    """
    near = min(interval.below, interval.above)
    if near <= 0:
        return None
    error = math.sqrt(float(np.mean([one.difference**2 for one in comparison.images])))
    share = _NINE_TENTHS * error / max(comparison.mean_count, 1.0) / near
    return dataclasses.replace(interval, share=math.hypot(interval.share, share))
