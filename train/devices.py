"""Device, precision and processes of a run."""

from __future__ import annotations

import ctypes
import inspect
import logging
import os
from typing import TYPE_CHECKING, Any

from edgecount.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def open_fabric(device: str, precision: str) -> Fabric:
    """Open Lightning Fabric for one process, or for those that ``torchrun`` started.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``fp32``, ``bf16`` or ``fp16``.

    Raises:
        MissingExtraError: Fabric is not installed.
        ConfigError: there is no such device here.
    """
    try:
        import torch
        from lightning_fabric import Fabric as Made
    except ImportError as error:
        raise MissingExtraError(str(error.name), "train", "to train") from error
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device: expected auto, cpu or cuda, got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"device: torch {torch.__version__} finds no CUDA device: choose cpu, or install a "
            "CUDA build of torch"
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # tips and seeds
    cuda = device != "cpu" and torch.cuda.is_available()
    options: dict[str, Any] = {"accelerator": "cuda" if cuda else "cpu", "devices": 1}
    if "TORCHELASTIC_RUN_ID" in os.environ:
        options |= {
            "devices": int(os.environ["LOCAL_WORLD_SIZE"]),
            "num_nodes": int(os.environ["GROUP_WORLD_SIZE"]),
            "strategy": _strategy(),
        }
    fabric = Made(precision=PRECISIONS[precision], **options)  # type: ignore[arg-type]
    fabric.launch()
    return fabric


# Options of glibc's mallopt (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Let the C library keep the memory of freed tensors for the next ones.

    By default glibc maps each large block afresh, and the kernel fills it with zeros page by page
    at every step: a third of a training step of a small network. It holds for the whole process,
    and for good: call it in a program that only trains. Elsewhere this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # macOS, Windows, musl
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, -1)


def _strategy() -> DDPStrategy:
    """Return a strategy that averages gradients and does not send buffers around.

    Batch norm statistics are the first process's at each validation, and the mean of all once the
    norms are frozen; fixed buffers need no synchronisation, and one of a single pixel would break
    it.
    """
    from lightning_fabric.strategies.ddp import DDPStrategy
    from torch.nn.parallel import DistributedDataParallel

    known = inspect.signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {name: False}
    return DDPStrategy(**options)
