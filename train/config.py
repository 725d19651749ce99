"""The training config: a YAML file, checked key by key."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecount.errors import ConfigError


@dataclass(frozen=True)
class DataConfig:
    """One set of the training mixture.

    Attributes:
        reader: a name of :data:`edgecount.train.data.READERS`, ``scenes`` (rendered crowds) or
            ``blank`` (pictures of nothing).
        path: the set's folder, relative to ``data_root``.
        split: the list of held-out images, a file of ``splits/``; empty means that all train.
        weight: its share of the crops.
        scale: the range of random scales, lower and upper.
        number: how many scenes are rendered.
    """

    reader: str
    path: str = ""
    split: str = ""
    weight: float = 1.0
    scale: tuple[float, float] = (0.7, 1.4)
    number: int = 0


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        model: a network of :data:`edgecount.train.models.MODELS`.
        data: the mixture.
        data_root: folder of the data; ``$NAME`` is taken from the environment.
        backbone_weights: an ``.npz`` relative to ``data_root``; empty starts from random.
        crop: side of the square training crops, px, a multiple of 32.
        batch_size: crops a step.
        steps: optimiser steps.
        learning_rate: peak of the cosine schedule.
        warmup: steps of linear rise before it.
        weight_decay: AdamW's, on convolution weights.
        ema: decay of the averaged weights, which are what is evaluated and exported.
        clip_norm: largest norm of the gradient.
        heatmap_weight: weight of the heatmap's focal loss.
        offset_weight: weight of the offset's L1.
        total_weight: weight of the count's L1 inside the block loss.
        precision: ``fp32`` or ``bf16`` (autocast).
        evaluate_every: steps between validations.
        seed: of batches and initial weights.
    """

    model: str
    data: tuple[DataConfig, ...]
    data_root: str = "$EDGECOUNT_DATA"
    backbone_weights: str = ""
    crop: int = 320
    batch_size: int = 8
    steps: int = 6000
    learning_rate: float = 1e-3
    warmup: int = 200
    weight_decay: float = 1e-4
    ema: float = 0.998
    clip_norm: float = 5.0
    heatmap_weight: float = 0.5
    offset_weight: float = 0.3
    total_weight: float = 0.1
    precision: str = "fp32"
    evaluate_every: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what types alone cannot."""
        if self.crop <= 0 or self.crop % 32:
            raise ConfigError(f"crop: expected a positive multiple of 32, got {self.crop}")
        if self.precision not in ("fp32", "bf16"):
            raise ConfigError(f"precision: expected fp32 or bf16, got {self.precision!r}")
        for name in ("batch_size", "steps", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1, got {getattr(self, name)}")
        self._check_rates()
        if not self.data:
            raise ConfigError("data: expected at least one set")
        if any(not entry.weight > 0 for entry in self.data):
            raise ConfigError("data.weight: expected numbers above 0")

    def _check_rates(self) -> None:
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}: expected a number above 0, got {getattr(self, name)}")
        for name in ("warmup", "weight_decay", "heatmap_weight", "offset_weight", "total_weight"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema: expected a number in [0, 1), got {self.ema}")

    def root(self) -> Path:
        """The data folder, with the environment's variables put in.

        Raises:
            ConfigError: a variable is not set.
        """
        expanded = os.path.expandvars(self.data_root)
        if "$" in expanded:
            raise ConfigError(f"data_root: {self.data_root} is not set in the environment")
        return Path(expanded)


def load_config(path: Path) -> TrainConfig:
    """Read and check a config.

    Raises:
        ConfigError: the file is missing, is not YAML, or has an unknown key or a wrong value.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot read the config: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(values).__name__}")
    try:
        return config_from_dict(values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def config_from_dict(values: dict[str, Any]) -> TrainConfig:
    """A config from plain values; see :func:`load_config`."""
    values = dict(values)
    sets = values.get("data")
    if not isinstance(sets, list):
        raise ConfigError("data: expected a list of sets")
    values["data"] = tuple(_build(DataConfig, entry, "data.") for entry in sets)
    config = _build(TrainConfig, values, "")
    assert isinstance(config, TrainConfig)
    return config


def _build(kind: type[Any], values: Any, prefix: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{prefix or 'config'}: expected keys and values, got {values!r}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in values:
        if key not in fields:
            raise ConfigError(f"{prefix}{key}: unknown key; expected one of {', '.join(fields)}")
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING:
            raise ConfigError(f"{prefix}{name}: missing")
    return kind(**{k: _convert(fields[k], v, prefix + k) for k, v in values.items()})


def _convert(field: dataclasses.Field[Any], value: Any, name: str) -> Any:
    kind = str(field.type)
    if kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind == "str" and isinstance(value, str):
        return value
    if kind == "tuple[float, float]":
        pair = isinstance(value, list) and len(value) == 2
        if pair and all(isinstance(v, int | float) for v in value) and 0 < value[0] <= value[1]:
            return float(value[0]), float(value[1])
        raise ConfigError(f"{name}: expected [low, high] with 0 < low <= high, got {value!r}")
    if isinstance(value, tuple):
        return value
    raise ConfigError(f"{name}: expected {kind}, got {value!r}")
