"""The configs that come with edgecount, and what of them is on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from edgecount.train.config import TrainConfig, bundled_configs, load_config
from edgecount.train.data.needs import Need, needs_of


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
    network, objective = config.model.name, config.objective.name
    return ListedConfig(name, network, objective, readers, config.paper, needs_of(config))
