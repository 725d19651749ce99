"""Cross-validation: runs of all folds of a set, each measured on the part that it held out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount.cli._eval.sets import weights_of
from edgecount.cli._eval.table import Summaries, nae_text
from edgecount.cli._shell.extras import needs_train

if TYPE_CHECKING:
    from edgecount.train.config import DataConfig
    from edgecount.train.data.sample import Sample

_VALUES = ("mae", "rmse", "nae", "bias")


def read_folds(runs: Sequence[str], images: int | None) -> dict[str, dict[str, list[Sample]]]:
    """Return the held-out part of each run of a cross-validation.

    Args:
        runs: the folders of the runs, one for each fold, in any order.
        images: images at most of each part, evenly chosen; None: all.

    Returns:
        The checkpoint of each run, to the samples of its part by the part's name.

    Raises:
        ConfigError: they are not the runs of all folds of one set.
        SourceError, ModelError: a set or a checkpoint cannot be read.
    """
    from edgecount.errors import ConfigError

    with needs_train("to evaluate checkpoints"):
        from edgecount.train.checkpoint import config_of, load_checkpoint
        from edgecount.train.data.assemble import load_held_out
        from edgecount.train.data.drawn import record_of, records_in
        from edgecount.train.data.splits import evenly
    sets, entries = {}, []
    parts: list[Sequence[str]] = []
    numbers: set[int] = set()
    for run in runs:
        checkpoint = weights_of(Path(run))
        if checkpoint is None:
            raise ConfigError(f"--folds: expected folders of runs of edgecount train, got {run}")
        state = load_checkpoint(checkpoint)
        config = config_of(state)
        entry = next((entry for entry in config.data if entry.folds), None)
        if entry is None:
            raise ConfigError(f"--folds: {run} holds out no fold: its config has no `folds`")
        entries.append(entry)
        samples = load_held_out(config, Path(run), state)[entry.name]
        record = records_in(state).get(entry.name)
        if record is None:  # of an older version, which draws from the images of today
            parts.append(record_of(samples, samples, config.root() / entry.path).files)
        else:
            parts.append(record.files)
            numbers.add(record.images)
        sets[str(checkpoint)] = {entry.name: samples if images is None else evenly(samples, images)}
    _check_complete(entries)
    _check_disjoint(parts, numbers)
    return sets


def _check_complete(entries: Sequence[DataConfig]) -> None:
    from edgecount.errors import ConfigError

    given = sorted(entry.fold for entry in entries)
    kinds = {(entry.reader, entry.path, entry.folds) for entry in entries}
    number = entries[0].folds
    if len(kinds) > 1 or given != list(range(1, number + 1)):
        raise ConfigError(
            f"--folds: expected the runs of folds 1 to {number} of one set, got "
            + ", ".join(
                f"{entry.path or entry.reader} {entry.fold}/{entry.folds}" for entry in entries
            )
        )


def _check_disjoint(parts: Sequence[Sequence[str]], numbers: Collection[int]) -> None:
    """Refuse parts that do not have each image of the set once.

    Args:
        parts: the files that each run holds out.
        numbers: of how many images of the set the runs were begun.

    Raises:
        ConfigError: the set was another when some of the runs were begun.
    """
    from edgecount.errors import ConfigError

    held = [file for part in parts for file in part]
    different = len(set(held))
    twice = len(held) - different
    if twice or set(numbers) - {different}:
        began = f" of the {' and '.join(map(str, sorted(numbers)))} it had" if numbers else ""
        raise ConfigError(
            "--folds: expected runs that hold out each image of the set once, got "
            f"{different}{began}, and {twice} held out again: images came or went between the "
            "runs; train all folds again on the same images"
        )


def mean_of_folds(summaries: Summaries) -> dict[str, Any]:
    """Return the means over the folds of the errors of the fused count, and their spread.

    Args:
        summaries: each run to its one set's summary.

    Returns:
        ``folds``, ``images`` (of all), and of ``mae``, ``rmse``, ``nae`` and ``bias`` the mean, as
        results on UCF_CC_50 are given; ``spread``: the standard deviation over folds of each. NAE
        is that of the folds with people, None without.
    """
    counts = [summary["count"] for by_set in summaries.values() for summary in by_set.values()]
    return {
        "folds": len(counts),
        "images": int(sum(count["images"] for count in counts)),
        **{name: _mean([count[name] for count in counts]) for name in _VALUES},
        "spread": {name: _spread([count[name] for count in counts]) for name in _VALUES},
    }


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean over the folds that have a value; None if none has."""
    import numpy as np

    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _spread(values: Sequence[float | None]) -> float | None:
    """Return the standard deviation over the folds that have a value; None of less than two."""
    import numpy as np

    defined = [value for value in values if value is not None]
    return float(np.std(defined, ddof=1)) if len(defined) > 1 else None


def mean_line(mean: Mapping[str, Any]) -> str:
    """Return the line of a table for people."""
    values, spread = mean, mean["spread"]
    return (
        f"mean of {mean['folds']} folds, {mean['images']} images: MAE {values['mae']:.2f} "
        f"(spread {spread['mae']:.2f})   RMSE {values['rmse']:.2f} ({spread['rmse']:.2f})   "
        f"NAE {nae_text(values)}   bias {values['bias']:+.2f}"
    )
