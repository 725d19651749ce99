"""Sets that `edgecount eval` measures on: one annotated set, or those that a run holds out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgecount.cli._data.read import read_annotated
from edgecount.cli._shell.extras import needs_train
from edgecount.cli._types.readers import AUTO

if TYPE_CHECKING:
    from edgecount.train.data.readers import Choice
    from edgecount.train.data.sample import Sample

_WEIGHTS = ("best.pt", "last.pt")  # of a run, the best first


def weights_of(folder: Path) -> Path | None:
    """Return the checkpoint of a run that is measured; None: the folder is none of a run."""
    return next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)


def read_sets(
    path: Path,
    *,
    reader: str,
    unannotated: Choice | None,
    split: str | None,
    images: int | None,
) -> dict[str, list[Sample]]:
    """Return the samples to measure, by the name of their set.

    Args:
        path: an annotated set, or the folder of a run, whose held-out sets are meant.
        reader: reader of the set.
        unannotated: what pictures without an annotation are.
        split: the list of held-out images that are meant; of a run: the set of this name.
        images: images at most of each set, evenly chosen; None: all.

    Raises:
        ConfigError: an option makes no sense.
        SourceError, ModelError: the set or the checkpoint cannot be read.
    """
    checkpoint = weights_of(path)
    if checkpoint is None:
        sets = _one_set(path, reader, unannotated, split)
    else:
        sets = _sets_of_run(path, checkpoint, reader, split)
    if images is None:
        return sets
    from edgecount.train.data.splits import evenly

    return {name: evenly(samples, images) for name, samples in sets.items()}


def _one_set(
    path: Path, reader: str, unannotated: Choice | None, split: str | None
) -> dict[str, list[Sample]]:
    samples = read_annotated(reader, path, unannotated)
    if not split:
        return {path.resolve().name: samples}
    from edgecount.train.data.splits import split as hold_out

    return {split: hold_out(samples, split)[1]}


def _sets_of_run(
    folder: Path, checkpoint: Path, reader: str, split: str | None
) -> dict[str, list[Sample]]:
    from edgecount.errors import ConfigError

    with needs_train("to evaluate checkpoints"):
        from edgecount.train.checkpoint import config_of, load_checkpoint
        from edgecount.train.data.assemble import load_held_out
    if reader != AUTO:
        raise ConfigError(
            f"reader: {folder} is a run, whose sets have their readers: expected none"
        )
    state = load_checkpoint(checkpoint)
    sets = load_held_out(config_of(state), folder, state)
    if split is None:
        return sets
    if split not in sets:
        raise ConfigError(f"split: the run holds out {', '.join(sets)}, got {split}")
    return {split: sets[split]}


def count_images(sets: Mapping[str, list[Sample]]) -> int:
    """Return the number of images of all sets."""
    return sum(map(len, sets.values()))


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], Path]:
    """Return the models and the data of `eval MODEL... DATA`, or of `eval RUN`.

    A model that is the folder of a run is its checkpoint.

    Raises:
        ConfigError: there is one argument, which is not a run.
    """
    from edgecount.errors import ConfigError

    *models, last = arguments
    data = Path(os.path.expanduser(last))  # noqa: PTH111 (pathlib refuses homes of nobody)
    if not models:
        if weights_of(data) is None:
            raise ConfigError(
                f"expected MODEL and DATA, or the folder of a run of edgecount train, got {last} "
                "alone"
            )
        models = [str(data)]
    return [str(weights_of(Path(model)) or model) for model in models], data
