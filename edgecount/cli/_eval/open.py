"""Opening what `edgecount eval` measures: a model, a checkpoint, or the best weights of a run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount._options import check_heads
from edgecount.cli._shell.extras import needs_train

if TYPE_CHECKING:
    from edgecount import EdgeCounter

_CHECKPOINT = ".pt"


class OpenModel:
    """A model that is measured, until it is closed.

    Args:
        model: what MODEL names.
        ranked: whether candidates are wanted.
        engine: options of `open_measured`.

    Attributes:
        name: what MODEL names.
        counter: counts by the model's own threshold.
        candidates: counts by a threshold near 0; None: not wanted.

    Raises:
        ConfigError, ModelError, BackendError, MissingExtraError: see `open_measured`.
    """

    def __init__(self, model: str, ranked: bool, **engine: Any) -> None:
        self.name = model
        self.candidates: EdgeCounter | None = None
        with ExitStack() as stack:
            self.counter = stack.enter_context(open_measured(model, **engine))
            if ranked:
                check_heads("--average-precision", self.counter.manifest)
                from edgecount.train.evaluate.candidates import LEAST_SCORE

                again = open_measured(model, **engine, threshold=LEAST_SCORE)
                self.candidates = stack.enter_context(again)
            self._opened = stack.pop_all()

    def close(self) -> None:
        """Close both; once they are closed it does nothing."""
        self._opened.close()


def open_measured(
    model: str,
    *,
    backend: str,
    device: int | tuple[int, ...] | None,
    precision: str,
    **options: Any,
) -> EdgeCounter:
    """Open a counter with the model or checkpoint that MODEL names.

    Raises:
        ConfigError: an option makes no sense, or none for a checkpoint.
        ModelError, BackendError, MissingExtraError: see `EdgeCounter`.
    """
    from edgecount import EdgeCounter
    from edgecount.errors import ConfigError

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
