"""The configs that come with edgecount, and what of them is on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgecount.errors import ConfigError
from edgecount.train.config import DataConfig, TrainConfig, bundled_configs, load_config
from edgecount.train.data.origins import origin_of
from edgecount.train.models.pretrained import find_weights, published_as

_DRAWN = ("scenes", "blank")  # sets without files


@dataclass(frozen=True)
class Need:
    """A set or a file of weights that a config reads.

    Attributes:
        key: what it is for: ``data``, ``backbone_weights``, ``initial_weights``, ``prune_from`` or
            ``teacher.checkpoint``.
        path: its place under the config's ``data_root``.
        here: whether something is there.
        origin: where it comes from.
    """

    key: str
    path: str
    here: bool
    origin: str


@dataclass(frozen=True)
class ListedConfig:
    """A config in a few words.

    Attributes:
        name: its name.
        network: name of its network.
        objective: name of its objective.
        readers: readers of its sets, each once.
        paper: the row of a paper that it reproduces; empty: none.
        needs: sets and weights that it reads.
    """

    name: str
    network: str
    objective: str
    readers: tuple[str, ...]
    paper: str
    needs: tuple[Need, ...]

    @property
    def missing(self) -> tuple[Need, ...]:
        """The sets and weights that are not here."""
        return tuple(need for need in self.needs if not need.here)


def list_configs() -> list[ListedConfig]:
    """Return all configs that come with edgecount, by name."""
    return [_listed(name, load_config(path)) for name, path in bundled_configs().items()]


def _listed(name: str, config: TrainConfig) -> ListedConfig:
    readers = tuple(dict.fromkeys(entry.reader for entry in config.data))
    needs = dict.fromkeys([*_sets(config), *_weights(config)])
    return ListedConfig(
        name, config.model.name, config.objective.name, readers, config.paper, tuple(needs)
    )


def _sets(config: TrainConfig) -> list[Need]:
    return [_set(entry, config) for entry in config.data if entry.reader not in _DRAWN]


def _set(entry: DataConfig, config: TrainConfig) -> Need:
    root = _root(config)
    here = root is not None and (root / entry.path).exists()
    origin = origin_of(entry.reader, Path(entry.path))
    return Need("data", entry.path, here, str(origin or ""))


def _weights(config: TrainConfig) -> list[Need]:
    found = []
    for key, given in (
        ("backbone_weights", config.backbone_weights),
        ("initial_weights", config.initial_weights),
        ("prune_from", config.prune_from),
        ("teacher.checkpoint", config.teacher.checkpoint),
    ):
        if given:
            path = _weights_path(given, config)
            here = path is not None and bool(find_weights(path))
            backbone = key == "backbone_weights"
            found.append(Need(key, given, here, published_as(Path(given)) if backbone else ""))
    return found


def _weights_path(given: str, config: TrainConfig) -> Path | None:
    try:
        return config.weights_path(given)
    except ConfigError:
        return None


def _root(config: TrainConfig) -> Path | None:
    """Return the data's folder; None where its variable is not set."""
    try:
        return config.root()
    except ConfigError:
        return None
