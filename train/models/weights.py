"""Backbone weights from a local file."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgecount.errors import MissingExtraError, ModelError
from edgecount.train.models.efficientnet_lite import EfficientNetLite
from edgecount.train.models.shufflenet_v2 import ShuffleNetV2
from edgecount.train.models.vgg import VGG16

log = logging.getLogger(__name__)


def read_arrays(path: Path) -> dict[str, Tensor]:
    """Read all arrays of a file of weights, by name.

    Args:
        path: .npz, .pth or .pt (a state_dict, or a mapping that holds one), .safetensors, .h5, or
            an .onnx of ``edgecount export``.

    Raises:
        ModelError: the file is missing, unreadable or of another kind.
        MissingExtraError: safetensors, h5py or onnx is not installed.
    """
    readers = {
        ".npz": _read_npz,
        ".pth": _read_torch,
        ".pt": _read_torch,
        ".safetensors": _read_safetensors,
        ".h5": _read_h5,
        ".onnx": _read_onnx,
    }
    if path.suffix not in readers:
        raise ModelError(
            f"weights: expected one of {', '.join(readers)}, got {path.name}: convert it"
        )
    if not path.is_file():
        raise ModelError(f"weights: there is no file {path}")
    try:
        arrays = readers[path.suffix](path)
    except ImportError as error:
        package = str(error.name).partition(".")[0]
        raise MissingExtraError(package, "train", f"to read {path.name}") from error
    except Exception as error:  # each format's parser raises whatever it stumbled over
        raise ModelError(f"weights: cannot read {path}: damaged, or not {path.suffix}") from error
    return {name.removeprefix("module."): value for name, value in arrays.items()}


def _read_npz(path: Path) -> dict[str, Tensor]:
    # opened here, because NumPy leaves the files of damaged archives open
    with path.open("rb") as file, np.load(file) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def _read_torch(path: Path) -> dict[str, Tensor]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name in ("state_dict", "model", "ema"):
        if isinstance(state.get(name), dict):
            state = state[name]
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    arrays: dict[str, Tensor] = load_file(path)
    return arrays


def _read_h5(path: Path) -> dict[str, Tensor]:
    import h5py

    arrays: dict[str, Tensor] = {}
    with h5py.File(path) as file:

        def take(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                arrays[name] = torch.from_numpy(np.asarray(item))

        file.visititems(take)
    return arrays


def _read_onnx(path: Path) -> dict[str, Tensor]:
    import onnx
    from onnx import numpy_helper

    return {
        # exported inside a module that has it as its only child
        tensor.name.removeprefix("network."): torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(path).graph.initializer
    }


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Load a backbone's weights; extra entries, such as the classifier's, are ignored.

    Of a VGG-16 the layers are loaded that its ``pretrained_layers`` says.

    Args:
        backbone: a backbone whose weights have torchvision's names (DLA: its authors').
        path: see :func:`read_arrays`; names may have a prefix, as those of a whole network have.
            A pattern such as ``lite0_*.npz`` takes all files that match it together.

    Raises:
        ModelError: the file is missing or unreadable, or lacks an array that the network needs.
        MissingExtraError: the format's package is not installed.
    """
    given: dict[str, Tensor] = {}
    for part in sorted(path.parent.glob(path.name)) or [path]:
        given |= read_arrays(part)
    if isinstance(backbone, ShuffleNetV2 | EfficientNetLite):
        given = backbone.adapt_weights(given)
    own = backbone.state_dict()
    wanted = backbone.pretrained_names if isinstance(backbone, VGG16) else own
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    if not needed:
        return
    given = _without_prefix(given, needed[0])
    missing = [name for name in needed if name not in given]
    if missing:
        raise ModelError(
            f"weights: {path} lacks {len(missing)} of {len(needed)} arrays, first "
            f"{missing[0]!r}; expected torchvision's names"
        )
    for name in needed:
        if given[name].shape != own[name].shape:
            raise ModelError(
                f"weights: {name} in {path} has shape {tuple(given[name].shape)}, expected "
                f"{tuple(own[name].shape)}"
            )
    backbone.load_state_dict({name: given[name] for name in needed}, strict=False)


def _without_prefix(arrays: dict[str, Tensor], first: str) -> dict[str, Tensor]:
    prefixes = {name.removesuffix(first) for name in arrays if name.endswith("." + first)}
    if first in arrays or len(prefixes) != 1:
        return arrays
    (prefix,) = prefixes
    return {name.removeprefix(prefix): value for name, value in arrays.items()}


def load_by_name(network: nn.Module, path: Path, left_out: tuple[str, ...] = ()) -> None:
    """Load all of a network's weights from a file that calls them by the same names.

    Args:
        network: the network.
        path: see :func:`read_arrays`.
        left_out: beginnings of names: such weights stay as they are.

    Raises:
        ModelError: the file cannot be read, or a weight is missing or has another shape.
    """
    given = read_arrays(path)
    own = {k: v for k, v in network.state_dict().items() if not k.startswith(left_out)}
    wrong = [name for name in own if name not in given or given[name].shape != own[name].shape]
    if wrong:
        got = f"shape {tuple(given[wrong[0]].shape)}" if wrong[0] in given else "none"
        raise ModelError(
            f"weights: {path} does not fit: expected {wrong[0]!r} of shape "
            f"{tuple(own[wrong[0]].shape)}, got {got}; a deployed model fits the same network in "
            "float32 without norms (model: {name: ..., folded: true})"
        )
    network.load_state_dict({name: given[name] for name in own}, strict=not left_out)


def load_by_order(network: nn.Module, path: Path) -> None:
    """Load weights that go by other names, if all shapes agree in the order of their names.

    Numbers in names sort as numbers. So an MCNN of another code base, whose columns are called
    branches, finds its places.

    Raises:
        ModelError: the file cannot be read, or number or shapes of its arrays differ.
    """
    given = read_arrays(path)
    own = dict(network.named_parameters())
    theirs, mine = sorted(given, key=_natural), sorted(own, key=_natural)
    pairs = list(zip(mine, theirs, strict=False))
    wrong = [(m, t) for m, t in pairs if own[m].shape != given[t].shape]
    if len(theirs) != len(mine) or wrong:
        where = f"; {wrong[0][0]} would be {wrong[0][1]}" if wrong else ""
        raise ModelError(
            f"weights: {path} does not fit: expected {len(mine)} arrays of the network's shapes, "
            f"got {len(theirs)}{where}"
        )
    network.load_state_dict({m: given[t] for m, t in pairs}, strict=False)


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


@torch.no_grad()
def restore_batch_norm(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Give every batch norm the statistics of its input, without changing the function.

    Weights whose batch norm was folded into the convolutions come with identity norms. Trained on
    as they are, the first step in training mode would normalise activations that the later
    layers expect as they were. So each norm takes the mean and variance that it sees on ``images``
    and a scale and shift that undo them.

    Args:
        network: the network; it is in evaluation mode on return.
        images: batches (B, 3, H, W), normalised as in training.
    """
    moments: dict[nn.BatchNorm2d, list[tuple[Tensor, Tensor]]] = {}

    def observe(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        x = args[0].float()
        moments.setdefault(module, []).append((x.mean((0, 2, 3)), x.square().mean((0, 2, 3))))

    network.eval()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(observe) for norm in norms]
    try:
        for batch in images:
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    for norm, seen in moments.items():
        mean = torch.stack([m for m, _ in seen]).mean(0)
        variance = torch.stack([s for _, s in seen]).mean(0) - mean.square()
        _replace_statistics(norm, mean, variance.clamp_min(1e-6))
    log.info("measured %d batch norms", len(moments))


def _replace_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    norm.bias.add_(gain * (mean - norm.running_mean))
    norm.weight.copy_(gain * torch.sqrt(variance + norm.eps))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
