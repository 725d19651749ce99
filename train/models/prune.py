"""Channel pruning: a narrower network takes the most important channels of a wider one.

Structured pruning (Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017), all layers at
once, as a start for training: a narrow network need not learn anew what a wide one has learned.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from edgecount.errors import ConfigError
from edgecount.train.models.base import Network

# Operations that compute each channel from that channel alone, or join channels one by one.
_KEEPING = {
    nn.AdaptiveAvgPool2d,
    nn.Identity,
    nn.MaxPool2d,
    nn.ReLU,
    nn.ReLU6,
    nn.Sigmoid,
    operator.add,
    F.interpolate,
    F.softplus,
    torch.sigmoid,
    "float",
}


@dataclass
class Channels:
    """A set of channels that are kept or dropped together, through every layer they pass.

    Attributes:
        number: number of channels; 0 where they can no longer be distinguished.
        norms: batch norms over them.
        readers: dense convolutions that read them.
        mixed_by: the operation after which they cannot be distinguished.
    """

    number: int
    norms: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    mixed_by: str = ""


Ends = dict[str, tuple[Channels, Channels]]


class _Tracer(fx.Tracer):
    """A tracer to which every convolution is a leaf."""

    def is_leaf_module(self, module: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(module, nn.Conv2d) or super().is_leaf_module(
            module, module_qualified_name
        )


@torch.no_grad()
def prune_channels(wide: Network, slim: Network) -> None:
    """Give ``slim`` the weights of ``wide`` on the channels that it has room for.

    A channel's importance is the size of what it holds (the squared scales of its batch norms)
    times that of what is read from it (the squared weights of the convolutions behind).

    Args:
        wide: a trained network.
        slim: a network of the same structure with fewer channels. The statistics of its batch
            norms need training afterwards, because sums over fewer channels are smaller.

    Raises:
        ConfigError: the two are not of one structure, shortcuts included; their channels cannot
            be followed; or ``slim`` is the wider one.
    """
    ends, wide_ends = channels_of(slim), channels_of(wide)
    if list(ends) != list(wide_ends):
        raise ConfigError("prune_from: expected the same network with other widths, got another")
    kept = {id(own): _largest(wide, given, own.number) for own, given in _partners(ends, wide_ends)}
    weights = {}
    for key, value in wide.state_dict().items():
        before, after = ends[key.rpartition(".")[0]]
        weights[key] = _cut(value, kept[id(after)], kept[id(before)])
    slim.load_state_dict(weights)


def _partners(ends: Ends, wide_ends: Ends) -> list[tuple[Channels, Channels]]:
    """Pair each set of channels with its set in the wide network, one to one."""
    pairs: dict[int, tuple[Channels, Channels]] = {}
    owners: dict[int, Channels] = {}
    for name, pair in ends.items():
        for own, given in zip(pair, wide_ends[name], strict=True):
            _, partner = pairs.setdefault(id(own), (own, given))
            if partner is not given or owners.setdefault(id(given), own) is not own:
                raise ConfigError(
                    "prune_from: expected the same shortcuts in both networks, got other ones at "
                    f"{name}: a block has one where its width stays; choose another model.width"
                )
    return list(pairs.values())


def _cut(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the part of a weight, bias or statistic that belongs to the channels that are kept."""
    if values.ndim == 0:  # a counter
        return values
    values = values[rows]
    depthwise = values.ndim > 1 and values.shape[1] == 1 and len(columns) > 1
    return values[:, columns] if values.ndim > 1 and not depthwise else values


def channels_of(network: Network, key: str = "prune_from") -> Ends:
    """Return the channels that each convolution and batch norm reads and gives, by its name.

    Args:
        network: the network.
        key: key of the config that asks, for messages.

    Raises:
        ConfigError: the network does something with channels that cannot be followed.
    """
    layers = dict(network.named_modules())
    groups: dict[fx.Node, Channels] = {}
    found: Ends = {}
    joined: dict[int, Channels] = {}

    def root(channels: Channels) -> Channels:
        while id(channels) in joined:
            channels = joined[id(channels)]
        return channels

    for node in _traced(network, key).nodes:
        inputs = [root(groups[each]) for each in node.all_input_nodes]
        name = str(node.target)
        layer = layers[name] if node.op == "call_module" else None
        if node.op == "placeholder":
            groups[node] = Channels(3)
        elif node.op == "get_attr":
            groups[node] = Channels(0)
        elif _is_followed(layer):
            if name in found or not inputs[0].number:
                operation = inputs[0].mixed_by or name
                raise _refused(network, key, f"it joins or splits channels in {operation}")
            groups[node] = _through(layer, name, inputs[0])
            found[name] = (inputs[0], groups[node])
        else:
            groups[node] = _after(node.target if layer is None else type(layer), inputs, joined)
    for name in network.state_dict():
        if name.rpartition(".")[0] not in found:
            raise _refused(network, key, f"{name} is of no convolution or batch norm")
    return {name: (root(before), root(after)) for name, (before, after) in found.items()}


def _traced(network: Network, key: str) -> fx.Graph:
    try:
        return _Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError, RuntimeError) as error:  # control flow on a tensor
        raise _refused(network, key, f"it cannot be traced: {error}") from error


def _refused(network: Network, key: str, reason: str) -> ConfigError:
    return ConfigError(
        f"{key}: expected an edge model with a MobileNetV2, got {type(network).__name__}: {reason}"
    )


def _is_followed(layer: nn.Module | None) -> TypeGuard[nn.Conv2d | nn.BatchNorm2d]:
    """Return True for a batch norm, and a dense or depthwise convolution."""
    if isinstance(layer, nn.Conv2d):
        return layer.groups == 1 or layer.groups == layer.in_channels == layer.out_channels
    return isinstance(layer, nn.BatchNorm2d)


def _through(layer: nn.Conv2d | nn.BatchNorm2d, name: str, given: Channels) -> Channels:
    """Return the output channels of a layer."""
    if isinstance(layer, nn.BatchNorm2d):
        given.norms.append(name)
    elif layer.groups == 1:
        given.readers.append(name)
        return Channels(layer.out_channels)
    return given


def _after(operation: Any, inputs: list[Channels], joined: dict[int, Channels]) -> Channels:
    """Return the output channels of another operation.

    Inputs whose channels differ in number are broadcast: after that nothing can be pruned.
    """
    if operation not in _KEEPING or len({each.number for each in inputs}) != 1:
        name = getattr(operation, "__name__", str(operation))
        return next((each for each in inputs if each.mixed_by), Channels(0, mixed_by=name))
    first = inputs[0]
    for other in inputs[1:]:
        if first is not other:  # channels that are added are one set from here on
            joined[id(other)] = first
            first.norms += other.norms
            first.readers += other.readers
    return first


def _largest(network: nn.Module, channels: Channels, number: int) -> Tensor:
    """Return the indices of the most important channels, in their order."""
    if number > channels.number:
        raise ConfigError(
            f"prune_from: expected a wider network, got {channels.number} channels for {number}"
        )
    layers: dict[str, Any] = dict(network.named_modules())
    ones = [torch.ones(channels.number)]
    held = [layers[name].weight.square() for name in channels.norms] or ones
    read = [layers[name].weight.square().sum((0, 2, 3)) for name in channels.readers] or ones
    importance = torch.stack(held).sum(0) * torch.stack(read).sum(0)
    return importance.topk(number).indices.sort().values
