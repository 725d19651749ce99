"""The sets and weights that a config reads, and which of them are not on this machine."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgecount.errors import ConfigError, EdgeCountError, ModelError, SourceError
from edgecount.models import list_models
from edgecount.train.config import DataConfig, TrainConfig, bundled_configs
from edgecount.train.data.origins import origin_of
from edgecount.train.models.pretrained import find_weights, published_as

DATA, BACKBONE, TEACHER = "data", "backbone_weights", "teacher.checkpoint"
PRUNED = "prune_from"
KEYS = (DATA, BACKBONE, "initial_weights", PRUNED, "grow_from", TEACHER)
# Read again when a run goes on: its checkpoint has the rest.
KEYS_OF_RESUMED = (DATA, TEACHER)

_DRAWN = ("scenes", "patterns", "blank")  # sets without files


@dataclass(frozen=True)
class Need:
    """A set or a file of weights that a config reads.

    Attributes:
        key: what it is for, one of `KEYS`.
        path: its place under the config's ``data_root``.
        here: whether something is there.
        origin: where it comes from; empty: not known.
    """

    key: str
    path: str
    here: bool
    origin: str


def needs_of(config: TrainConfig) -> tuple[Need, ...]:
    """Return the sets and weights that a config reads, each once."""
    sets = (_set(entry, config) for entry in config.data if entry.reader not in _DRAWN)
    return tuple(dict.fromkeys([*sets, *_weights(config)]))


def check_needs(config: TrainConfig, keys: Collection[str] = KEYS) -> None:
    """Check that all is here that a config reads, before any of it is read.

    Args:
        config: config of a run.
        keys: the keys to look at; see `KEYS`.

    Raises:
        SourceError: a set is missing; the error names all sets and weights that are, a line each.
        ModelError: all sets are here, and weights are missing; likewise.
        ConfigError: the variable of ``data_root`` is not set; it names what is searched there.
    """
    missing = [need for need in needs_of(config) if need.key in keys and not need.here]
    if not missing:
        return
    lines = tuple(_line(need, config) for need in missing)
    try:
        config.root()
    except ConfigError as error:
        raise _told(ConfigError, f"{error}. What is searched there:", lines) from None
    kind = SourceError if missing[0].key == DATA else ModelError
    if len(lines) == 1:
        raise kind(lines[0])
    raise _told(kind, f"{len(lines)} sets and files of weights of the config are not here:", lines)


def _told(kind: type[EdgeCountError], head: str, lines: tuple[str, ...]) -> EdgeCountError:
    error = kind("\n  ".join([head, *lines]))
    error.details = lines
    return error


def _line(need: Need, config: TrainConfig) -> str:
    """Return what is missing, where it comes from, and how to go without it."""
    place = _root(config) / need.path
    if need.key == DATA:
        advice = need.origin or "name another folder of data: `changes=data_root=FOLDER`"
        return f"data: there is no set {place}: {advice}"
    start = f"{need.key}: there is no file {place}: "
    if need.key == BACKBONE:
        return (
            f"{start}edgecount downloads nothing. Put {need.origin} there, or start from random "
            "weights, which takes longer and counts worse: `changes=backbone_weights=`"
        )
    if need.key == PRUNED and need.path in list_models():
        return (
            f"{start}expected a checkpoint of edgecount train, got the name of a bundled model, "
            "whose file has no batch norms to rank its channels by: name a best.pt of the wider "
            f"network (`changes={PRUNED}=PATH`), or none (`changes={PRUNED}=`)"
        )
    first = f"train the config {Path(need.path).stem} first and " if need.origin else ""
    return (
        f"{start}{first}name {'its best.pt' if need.origin else 'another'} "
        f"(`changes={need.key}=PATH`, from data_root or absolute), or none (`changes={need.key}=`)"
    )


def _set(entry: DataConfig, config: TrainConfig) -> Need:
    origin = origin_of(entry.reader, Path(entry.path))
    return Need(DATA, entry.path, (_root(config) / entry.path).exists(), str(origin or ""))


def _weights(config: TrainConfig) -> Iterator[Need]:
    backbone = config.backbone_weights
    if backbone:
        here = bool(find_weights(_root(config) / backbone))
        yield Need(BACKBONE, backbone, here, published_as(Path(backbone)))
    for key, given in (
        ("initial_weights", config.initial_weights),
        (PRUNED, config.prune_from),
        ("grow_from", config.grow_from),
        (TEACHER, config.teacher.checkpoint),
    ):
        if given:
            name = Path(given).stem
            origin = f"best.pt of the config {name}" if name in bundled_configs() else ""
            yield Need(key, given, _is_file(key, given, config), origin)


def _is_file(key: str, given: str, config: TrainConfig) -> bool:
    try:
        # A bundled model is no start to prune from: its norms are folded.
        path = config.root() / given if key == PRUNED else config.weights_path(given)
        return path.is_file()
    except ConfigError:  # the variable is not set
        return Path(given).is_absolute() and Path(given).is_file()


def _root(config: TrainConfig) -> Path:
    """Return the data's folder; a variable that is not set stays, and names no folder."""
    return Path(os.path.expandvars(config.data_root))
