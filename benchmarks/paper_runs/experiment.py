"""An experiment: one table of variants, each trained with several seeds, and how it is measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecount.train.config import TrainConfig, find_config, load_config
from edgecount.train.data.sample import Sample

SEEDS = (1, 2, 3)
START = "start"

# From the folder of a trained run and its held-out sets to rows of a table: name of the row (empty
# where the variant is the row) -> a summary of `edgecount eval`.
Measure = Callable[[Path, Mapping[str, list[Sample]]], dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Variant:
    """One row of an experiment, or one training that several rows are measured on.

    Attributes:
        changes: of the experiment's config, ``key=value`` as of ``edgecount train --set``.
        paper: the paper's figures, row -> text; the row is empty where the variant is the row.
    """

    changes: tuple[str, ...] = ()
    paper: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """Variants that differ in one thing, trained alike.

    Attributes:
        name: short, part of folders' and files' names.
        title: heading of its table, with the paper and its table.
        config: name of a config that comes with edgecount, or the path of one.
        changes: changes of the config for every variant.
        variants: by name; the first is the one that the others are compared with.
        measure: what is measured of each trained run.
        columns: title -> path of a number in a summary, such as ``count.mae``.
        paper_columns: title of the paper's figures; empty: there are none.
        notes: what a reader has to know, a paragraph each.
        seeds: a training for each.
        start: changes of the config for one training before all others, whose weights they start
            from, as far as they fit. Networks that learn nothing in minutes from random weights.
    """

    name: str
    title: str
    config: str
    variants: Mapping[str, Variant]
    measure: Measure
    columns: Mapping[str, str]
    changes: tuple[str, ...] = ()
    paper_columns: str = "paper"
    notes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = SEEDS
    start: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One training of a variant.

    Attributes:
        experiment: the experiment.
        variant: name of the variant; ``start`` for the training that the others start from.
        seed: of weights and batches.
    """

    experiment: Experiment
    variant: str
    seed: int

    @property
    def name(self) -> str:
        """Return the run's name, which is its folder's below the folder of runs, too."""
        name = f"{self.experiment.name}/{self.variant}"
        return name if self.variant == START else f"{name}/seed-{self.seed}"

    @property
    def changes(self) -> list[str]:
        """Return every change of the config."""
        one = self.experiment
        own = one.start if self.variant == START else one.variants[self.variant].changes
        return [*one.changes, *own, f"seed={self.seed}"]

    @property
    def before(self) -> Run | None:
        """Return the training whose weights this one starts from; None: it starts anew."""
        if self.variant == START or not self.experiment.start:
            return None
        return Run(self.experiment, START, self.experiment.seeds[0])

    def config(self) -> TrainConfig:
        """Return the run's config.

        Raises:
            ConfigError: there is none of that name, or a change makes no sense.
        """
        config = load_config(find_config(Path(self.experiment.config)), self.changes)
        # Networks are compared on images as small as those that they learn from.
        return dataclasses.replace(config, held_out_size="trained")

    def is_asked_for(self, only: str) -> bool:
        """Return True if `only` names this run, its variant or its experiment; empty: all."""
        return not only or self.name == only or self.name.startswith(f"{only.rstrip('/')}/")


def runs_of(experiments: tuple[Experiment, ...], only: str = "") -> Iterator[Run]:
    """Yield runs, the first seed of every variant before the second of any."""
    for seed in dict.fromkeys(seed for one in experiments for seed in one.seeds):
        for one in experiments:
            for variant in one.variants if seed in one.seeds else ():
                run = Run(one, variant, seed)
                if run.is_asked_for(only):
                    yield run
