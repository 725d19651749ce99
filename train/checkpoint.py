"""Checkpoints: written whole or not at all, and enough to go on exactly."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import torch

from edgecount.errors import ConfigError, ModelError, OutputError
from edgecount.train.config import TrainConfig, config_from_dict
from edgecount.train.models import build_model
from edgecount.train.models.base import Network

_NEARLY_FULL = 1_000_000  # bytes


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write to a temporary name, then rename: the old file stays whole until the new one is.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(path.name + ".partial")
    try:
        torch.save(state, temporary)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        free = _NEARLY_FULL
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(path.parent).free
            temporary.unlink(missing_ok=True)
        # torch reports a full disk as a RuntimeError about its own positions
        full = isinstance(error, RuntimeError) and free < _NEARLY_FULL
        reason = "no space left on the disk" if full else str(error)
        raise OutputError(f"cannot write the checkpoint {path}: {reason}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state that :func:`save_checkpoint` wrote; tensors on the CPU.

    Raises:
        ModelError: the file is missing, damaged or of another program.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler met
        # Not torch's own text, which may advise to switch its safety off.
        reason = error.strerror if isinstance(error, OSError) else "damaged, or not a checkpoint"
        raise ModelError(f"cannot read the checkpoint {path}: {reason}") from error
    if not isinstance(state, dict) or "ema" not in state or "config" not in state:
        raise ModelError(f"{path} is not a checkpoint of edgecount train")
    return state


def load_network(path: Path) -> tuple[Network, dict[str, Any]]:
    """The averaged weights of a checkpoint, in evaluation mode, and all that it holds.

    Raises:
        ModelError: the file is missing, damaged, or does not fit the network that it names.
    """
    state = load_checkpoint(path)
    try:
        config = config_from_dict(state["config"])
        network = build_model(config.model.name, config.model.options)
        network.load_state_dict(state["ema"])
    except (ConfigError, RuntimeError) as error:
        raise ModelError(f"{path} does not fit this version of edgecount: {error}") from error
    return network.eval(), state


def config_of(state: dict[str, Any]) -> TrainConfig:
    """The config that a checkpoint was trained with."""
    return config_from_dict(state["config"])
