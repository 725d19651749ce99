"""Growth: a wider network starts as exactly what a narrow one computes.

Net2WiderNet (Chen, Goodfellow and Shlens, ICLR 2016), all layers at once. A channel that is new is
a copy of an old one, with noise so that the two can part, and nothing of the old network reads it
yet: the first step begins at the narrow network's counts, and the new channels are heard as far as
training finds a use for them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgecount.errors import ConfigError
from edgecount.train.models.base import Network
from edgecount.train.models.mobilenet_v2 import InvertedResidual
from edgecount.train.models.prune import Ends, channels_of

_KEY = "grow_from"
NOISE = 0.5  # of the root mean square of the weights that a new channel copies


@torch.no_grad()
def grow_channels(
    given: Mapping[str, Tensor], wide: Network, *, generator: torch.Generator | None = None
) -> None:
    """Give ``wide`` the function of a narrower network, and copies of its channels to learn with.

    Args:
        given: the narrow network's weights by name, such as a checkpoint's or a deployed model's.
        wide: a network of the same structure with as many channels or more; without norms for
            weights of a deployed model.
        generator: draws the channels that are copied, and the noise.

    Raises:
        ConfigError: the two are not of one structure, outputs and shortcuts included, or a layer of
            ``wide`` is the narrower one.
    """
    ends = channels_of(wide, _KEY)
    numbers = _numbers(given, ends)
    _check_structure(given, wide, ends)
    _check_shortcuts(wide, ends, numbers)
    sources = _sources(numbers, ends, generator)
    weights = {}
    for name, value in wide.state_dict().items():
        if name not in given:
            raise ConfigError(f"{_KEY}: expected weights with {name}, got none")
        before, after = ends[name.rpartition(".")[0]]
        rows, columns = sources[id(after)], sources[id(before)]
        weights[name] = _grown(given[name], value, rows, columns, generator)
    wide.load_state_dict(weights)


def _numbers(given: Mapping[str, Tensor], ends: Ends) -> dict[int, int]:
    """Return how many of the channels of each set of the wide network the narrow one has."""
    numbers: dict[int, int] = {}
    for name, (before, after) in ends.items():
        weight = given.get(f"{name}.weight")
        if weight is None:
            raise ConfigError(
                f"{_KEY}: expected the same network with fewer channels, got one without {name}; "
                "a deployed model has no norms (model: {name: ..., folded: true})"
            )
        sides = [(after, weight.shape[0])]
        if weight.ndim > 1 and before is not after:
            sides.append((before, weight.shape[1]))
        for channels, number in sides:
            if numbers.setdefault(id(channels), number) != number or number > channels.number:
                raise ConfigError(
                    f"{_KEY}: expected the same network with fewer channels, got {number} at "
                    f"{name} for {channels.number}"
                )
    return numbers


def _check_structure(given: Mapping[str, Tensor], wide: Network, ends: Ends) -> None:
    """Refuse a network without a layer of the narrow one, or with other outputs."""
    own = wide.state_dict()
    # A deployed model has constants besides.
    lost = sorted(name for name in given if name.endswith(".weight") and name not in own)
    if lost:
        raise ConfigError(
            f"{_KEY}: expected the same network with fewer channels, got one with {lost[0]} more"
        )
    # What ends in a map is read by no convolution: more of it would be other maps.
    for name in _outputs(wide, ends):
        number, expected = (len(weights[f"{name}.weight"]) for weights in (given, own))
        if number != expected:
            raise ConfigError(
                f"{_KEY}: expected the same outputs in both networks, got {number} at {name} for "
                f"{expected}"
            )


def _outputs(network: Network, ends: Ends) -> list[str]:
    """Return the convolutions whose channels no layer reads."""
    layers = dict(network.named_modules())
    read = {id(before) for name, (before, after) in ends.items() if before is not after}
    return [
        name
        for name, (_, after) in ends.items()
        if isinstance(layers[name], nn.Conv2d) and id(after) not in read
    ]


def _check_shortcuts(wide: Network, ends: Ends, numbers: Mapping[int, int]) -> None:
    """Refuse a network without the shortcuts of the narrow one, which its weights do not show.

    A block has a shortcut where its channels stay as many; where it has one in the wide network,
    it has one in the narrow one, because both ends are one set of channels.
    """
    for name, block in wide.named_modules():
        if not isinstance(block, InvertedResidual) or block.shortcut:
            continue
        layers = [each for each in ends if each.startswith(f"{name}.")]
        first, last = ends[layers[0]][0], ends[layers[-1]][1]
        strided = any(
            layer.stride != (1, 1) for layer in block.modules() if isinstance(layer, nn.Conv2d)
        )
        if not strided and numbers[id(first)] == numbers[id(last)]:
            raise ConfigError(
                f"{_KEY}: expected the same shortcuts in both networks, got one more at {name}: a "
                "block has one where its width stays; choose another model.width"
            )


def _sources(
    numbers: Mapping[int, int], ends: Ends, generator: torch.Generator | None
) -> dict[int, Tensor]:
    """Return, for each set of channels of the wide network, the narrow one's that each is made of.

    The first ones are the narrow network's own, in their order.
    """
    sources: dict[int, Tensor] = {}
    for channels in (side for pair in ends.values() for side in pair):
        if id(channels) not in sources:
            number = numbers[id(channels)]
            more = torch.randint(number, (channels.number - number,), generator=generator)
            sources[id(channels)] = torch.cat((torch.arange(number), more))
    return sources


def _grown(
    narrow: Tensor,
    wide: Tensor,
    rows: Tensor,
    columns: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    if narrow.ndim == 0:  # a counter
        return narrow
    old = narrow.shape[0]
    grown = narrow[rows].to(wide)
    if narrow.ndim == 1:
        return grown
    if wide.shape[1] > narrow.shape[1]:
        grown = grown[:, columns]
        grown[:, narrow.shape[1] :] = 0.0
    if old < len(rows):
        size = grown[old:].square().mean().sqrt()
        noise = torch.randn(grown[old:].shape, generator=generator).to(grown)
        grown[old:] += NOISE * size * noise
    return grown
