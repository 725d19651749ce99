"""Opening what `edgecount eval` measures: a model, a checkpoint, or the best weights of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount.cli._shell.extras import needs_train
from edgecount.cli._types.options import side_limit

if TYPE_CHECKING:
    from edgecount import EdgeCounter

_CHECKPOINT = ".pt"


def open_measured(
    model: str,
    *,
    backend: str,
    device: int | tuple[int, ...] | None,
    precision: str,
    max_side: int | str | None,
    **options: Any,
) -> EdgeCounter:
    """Open a counter with the model or checkpoint that MODEL names.

    Raises:
        ConfigError: an option makes no sense, or none for a checkpoint.
        ModelError, BackendError, MissingExtraError: see `EdgeCounter`.
    """
    from edgecount import EdgeCounter
    from edgecount.errors import ConfigError

    options |= side_limit(max_side)
    if Path(model).suffix != _CHECKPOINT:
        return EdgeCounter(model, backend=backend, device=device, precision=precision, **options)
    if backend != "auto":
        raise ConfigError(
            f"--backend: a checkpoint runs in PyTorch, expected auto, got {backend}: export it "
            "first (edgecount export) to measure it on another engine"
        )
    if device is not None:
        raise ConfigError(
            f"--device: a checkpoint runs on the first GPU, or the CPU, got {device}: set "
            "CUDA_VISIBLE_DEVICES, or export it first (edgecount export)"
        )
    if precision not in ("auto", "float32"):
        raise ConfigError(
            f"--precision: a checkpoint runs in float32, expected auto, got {precision}: export it "
            "first (edgecount export) to measure another"
        )
    with needs_train("to evaluate checkpoints"):
        from edgecount.train.open_checkpoint import open_checkpoint
    return open_checkpoint(Path(model), **options)
