"""The stages of a recipe: numbered configs, each of which goes on from the one before."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecount.errors import ConfigError
from edgecount.train.checkpoint import config_of, load_checkpoint
from edgecount.train.config import FOLDER, TrainConfig, load_config
from edgecount.train.schedules import learning_rate


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe.

    Attributes:
        config: the YAML file, ``RECIPE-N.yaml``.
        folder: folder of the stage's run.
        before: the stage whose weights it starts from; None: those that its config names.
    """

    config: Path
    folder: Path
    before: Stage | None = None

    @property
    def name(self) -> str:
        """Return the config's name."""
        return self.config.stem

    @property
    def last(self) -> Path:
        """Return the path of the run's newest checkpoint."""
        return self.folder / "last.pt"

    def settings(self) -> TrainConfig:
        """Read the config, with the weights of the stage before unless it names its own.

        A run that was begun keeps the path that it was begun with, so that its folder can be moved
        to another machine.

        Raises:
            ConfigError: the config is wrong.
            ModelError: the checkpoint cannot be read.
        """
        config = load_config(self.config)
        if self.last.exists():
            begun = config_of(load_checkpoint(self.last))
            return dataclasses.replace(config, initial_weights=begun.initial_weights)
        if self.before is None or config.initial_weights:
            return config
        return dataclasses.replace(config, initial_weights=str(self.before.last.resolve()))

    def is_trained(self) -> bool:
        """Return True if the run came to its end: all steps, threshold and blend fitted.

        Raises:
            ModelError: the checkpoint cannot be read.
        """
        if not self.last.exists():
            return False
        state = load_checkpoint(self.last)
        return "postprocess" in state


@dataclass(frozen=True)
class Standing:
    """The progress of a stage.

    Attributes:
        stage: the stage.
        step: number of steps taken, as far as they are kept.
        steps: number of steps in all.
        rate: the learning rate of the next step.
        seconds_per_step: the mean of the last lines of its log; 0: it was never run.
        trained: True if the run came to its end.
        validation: set to the mean absolute error of the last validation.
    """

    stage: Stage
    step: int
    steps: int
    rate: float
    seconds_per_step: float
    trained: bool
    validation: dict[str, float]

    @property
    def seconds_left(self) -> float:
        """Return the time for the steps that are left, without validations."""
        return (self.steps - self.step) * self.seconds_per_step


def find_stages(recipe: str, runs: Path, configs: Path = FOLDER) -> list[Stage]:
    """Find the stages of a recipe in their order.

    Args:
        recipe: a name, such as ``edgecount-s-relay``; its configs are ``RECIPE-1.yaml`` and so on.
        runs: folder of the runs, one folder a stage.
        configs: folder of the configs.

    Raises:
        ConfigError: there is no such recipe, or a number is missing.
    """
    numbered: dict[int, Path] = {}
    for path in configs.glob(f"{recipe}-*.yaml"):
        number = path.stem.removeprefix(f"{recipe}-")
        if number.isdigit():
            numbered[int(number)] = path
    order = sorted(numbered)
    if order != list(range(1, len(order) + 1)) or not order:
        got = ", ".join(numbered[place].name for place in order) or "none"
        raise ConfigError(
            f"recipe: expected the configs {recipe}-1.yaml, {recipe}-2.yaml and so on in "
            f"{configs}, got {got}; recipes there: {', '.join(_recipes(configs)) or 'none'}"
        )
    stages: list[Stage] = []
    for place in order:
        path = numbered[place]
        stages.append(Stage(path, runs / path.stem, stages[-1] if stages else None))
    return stages


def _recipes(configs: Path) -> list[str]:
    return sorted(path.stem[:-2] for path in configs.glob("*-1.yaml"))


def standing_of(stage: Stage) -> Standing:
    """Return the progress of a stage, from its checkpoint and log.

    Raises:
        ConfigError, ModelError: its config or its checkpoint is wrong.
    """
    config = load_config(stage.config)
    state: dict[str, Any] = load_checkpoint(stage.last) if stage.last.exists() else {}
    step = int(state.get("step", 0))
    records = _records(stage.folder / "log.jsonl")
    seconds = [float(r["seconds_per_step"]) for r in records if "seconds_per_step" in r][-10:]
    validation = {str(r["validation"]): float(r["mae"]) for r in records if "validation" in r}
    return Standing(
        stage=stage,
        step=step,
        steps=config.steps,
        rate=learning_rate(step, config),
        seconds_per_step=sum(seconds) / len(seconds) if seconds else 0.0,
        trained="postprocess" in state,
        validation=validation,
    )


def _records(log: Path) -> list[dict[str, Any]]:
    """Read the records of a log, without one that is just being written or was cut by a kill."""
    if not log.exists():
        return []
    lines = log.read_text().splitlines()
    return [json.loads(line) for line in lines if re.fullmatch(r"\{.*\}", line)]
