"""Checkpoints: written whole or not at all; a run resumes exactly from one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from edgecount._files import replacing, require_regular
from edgecount.errors import ModelError
from edgecount.train.config import TrainConfig, config_from_dict
from edgecount.train.models import build_model
from edgecount.train.models.base import Network


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; the old file stays whole until the new one is.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    with replacing(path) as temporary:
        # Through memory: torch reports a full disk as a RuntimeError about its own positions.
        data = io.BytesIO()
        torch.save(state, data)
        temporary.write_bytes(data.getbuffer())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read the state that :func:`save_checkpoint` wrote; tensors are on the CPU.

    Raises:
        ModelError: the file is missing, damaged or of another program.
    """
    require_regular(path)
    try:
        # weights_only: a pickle can run any code of whoever made it.
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler met
        # Not torch's own text, which may advise to switch its safety off.
        reason = error.strerror if isinstance(error, OSError) else "damaged, or not a checkpoint"
        raise ModelError(f"cannot read the checkpoint {path}: {reason}") from error
    known = {"ema": dict, "config": dict, "step": int}
    if not isinstance(state, dict) or not all(
        isinstance(state.get(name), kind) for name, kind in known.items()
    ):
        raise ModelError(f"{path} is not a checkpoint of edgecount train")
    return state


def load_network(path: Path) -> tuple[Network, dict[str, Any]]:
    """Return the network of a checkpoint with its averaged weights, and the whole state.

    The network is in evaluation mode.

    Raises:
        ModelError: the file is missing, damaged, or does not fit the network that it names.
    """
    state = load_checkpoint(path)
    try:
        config = config_from_dict(state["config"])
        network = build_model(config.model.name, config.model.options)
        network.load_state_dict(state["ema"])
    except Exception as error:  # whatever values of other kinds run into
        raise ModelError(f"{path} does not fit this version of edgecount: {error}") from error
    return network.eval(), state


def config_of(state: dict[str, Any]) -> TrainConfig:
    """Return the config that a checkpoint was trained with."""
    # Before there was a choice held-out images were resized as those that are trained on.
    return config_from_dict({"held_out_size": "trained", **state["config"]})
