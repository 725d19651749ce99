"""The comparison by which a faster precision is proven on its first use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgecount.errors import BackendError
from edgecount.runtime.frames.intake import FrameIntake
from edgecount.runtime.pipeline.host_pipeline import HostPipeline
from edgecount.runtime.pipeline.job import CountSettings, FrameJob
from edgecount.runtime.pipeline.postprocess import RegionMasks

if TYPE_CHECKING:
    from edgecount.manifest import Manifest
    from edgecount.result import CountResult
    from edgecount.runtime.backends.base import Backend
    from edgecount.runtime.frames.checked import CheckedFrame

# Few and small ones: they are rendered and counted twice before the first frame of the user's.
_PEOPLE = (8, 20, 40, 70, 0)
_SIZE = (640, 480)
_SEED = 20260
_FEWEST = 3.0  # people counted on average: who sees nobody counts alike in any precision
_POINTS = 0.05  # share of the head points that may come or go


def prove(exact: Backend, faster: Backend, manifest: Manifest, gate: float) -> tuple[bool, str]:
    """Compare the counts of two engines of a model on a handful of rendered scenes.

    Args:
        exact: the engine that counts as the model does.
        faster: the engine in question.
        manifest: the model's manifest.
        gate: largest mean difference of the counts, as a share of the mean count.

    Returns:
        Whether the faster engine's counts are near enough, and how near they are in words.
    """
    from edgecount.scenes import render_scene

    images = [render_scene(n, size=_SIZE, seed=_SEED + n).image for n in _PEOPLE]
    frames = [FrameIntake().take(image) for image in images]
    try:
        pairs = list(zip(*(_count(one, manifest, frames) for one in (exact, faster)), strict=True))
    except BackendError as error:
        return False, f"it does not count rendered scenes: {error}"
    counts = sum(abs(ours.count - theirs.count) for ours, theirs in pairs) / len(pairs)
    mean = sum(ours.count for ours, _ in pairs) / len(pairs)
    if mean < _FEWEST:
        return False, (
            f"the model counts {mean:.1f} people on average on rendered scenes of "
            f"{sum(_PEOPLE) / len(_PEOPLE):.0f}: too few to compare"
        )
    share = counts / mean
    points = sum(abs((a.peak_count or 0) - (b.peak_count or 0)) for a, b in pairs)
    most = max(_POINTS, 2 * gate) * sum(ours.peak_count or 0 for ours, _ in pairs)
    said = {
        f"its counts differ by {share:.2%} of the mean count (allowed {gate:.1%})": share <= gate,
        f"its head points differ by {points} (allowed {math.floor(most)})": points <= most,
    }
    passed = all(said.values())
    # What is well within its limit would read as a reason against the engine.
    told = [text for text, holds in said.items() if passed or not holds]
    found = f"{' and '.join(told)} on {len(pairs)} rendered scenes"
    return passed, found


def _count(backend: Backend, manifest: Manifest, frames: list[CheckedFrame]) -> list[CountResult]:
    settings = CountSettings(
        backend,
        manifest,
        manifest.postprocess.threshold,
        capacity=0,
        max_side=manifest.input.max_side,
        limits=None,
        masks=RegionMasks(()),
        refine=lambda _, result: result,
    )
    pipeline = HostPipeline(backend, settings)
    results = [pipeline.count(FrameJob(frame)) for frame in frames]
    pipeline.close()
    return results
