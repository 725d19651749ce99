"""Warnings of checkpoints that count otherwise than their run has measured."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecount.manifest import Manifest
from edgecount.train.checkpoint import config_of

log = logging.getLogger(__name__)

_NOT_ENDED = "the run has not come to its end: continue it with --resume"
_NOT_FITTED = "the run ended before they were fitted: --resume fits them"
_NOTHING_HELD = "the run holds no images out to fit them to (split, holdout, folds)"


def tell_what_lacks(path: Path, state: Mapping[str, Any], manifest: Manifest) -> None:
    """Warn where threshold and blend are defaults, or are fitted to images of another size.

    Args:
        path: path of the checkpoint.
        state: its contents.
        manifest: result of :func:`edgecount.train.manifest.manifest_of`.
    """
    config = config_of(dict(state))
    held = [one for one in config.data if one.holds_out or one.name in config.leave_out]
    if "postprocess" not in state:
        reason = _NOT_FITTED if state["step"] >= config.steps else _NOT_ENDED
        log.warning("%s: %s: %s", path, _defaults(manifest), reason if held else _NOTHING_HELD)
        return
    resized = [one.name for one in held if one.shrink < 1 or one.enlarge > 1]
    # Checkpoints from before there was a choice have no such key.
    if resized and state["config"].get("held_out_size", "trained") == "trained":
        log.warning(
            "%s: the images held out of %s were resized as those trained on (shrink, enlarge), and "
            "a deployed model sees frames as they are: errors, threshold, blend and interval are "
            "not those of frames. Measure it with edgecount eval on an annotated set",
            path,
            ", ".join(resized),
        )


def _defaults(manifest: Manifest) -> str:
    """Say which of a manifest's numbers are defaults."""
    spec, roles = manifest.postprocess, {output.role for output in manifest.outputs}
    found = []
    if roles & {"heatmap", "boxes"}:
        found.append(f"the threshold ({spec.threshold:g})")
    if spec.fusion is not None:
        found.append(f"the blend (from {spec.fusion.low:g} to {spec.fusion.high:g})")
    verb = "are defaults" if len(found) > 1 else "is the default"
    return (
        f"{' and '.join(found)} {verb}, counts have no interval"
        if found
        else "counts have no interval"
    )
