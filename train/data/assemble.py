"""The sets that a config names, split into what is trained on and what is held out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from edgecount.errors import ConfigError
from edgecount.manifest import InputSpec
from edgecount.train.config import DataConfig, TrainConfig, config_from_dict
from edgecount.train.data.drawn import (
    Parts,
    Record,
    as_begun,
    draw,
    draw_by_order,
    is_of_older_code,
    is_recorded,
    record_of,
    records_in,
    take,
)
from edgecount.train.data.headers import read_header
from edgecount.train.data.mixture import MixtureComponent
from edgecount.train.data.needs import DATA, check_needs
from edgecount.train.data.readers import read_samples
from edgecount.train.data.sample import Sample
from edgecount.train.data.splits import evenly, split

SCENES = "scenes"
"""Folder of the rendered scenes in that of the run."""

_DRAWN = ("scenes", "patterns")  # sets without a folder of their own


@dataclass(frozen=True)
class Data:
    """The training and the held-out images of a run.

    Attributes:
        components: the sets of the training mixture.
        validation: the held-out samples by the name of their split.
        drawn: what is held out of sets whose held-out images are drawn, by the same names.
    """

    components: list[MixtureComponent]
    validation: dict[str, list[Sample]]
    drawn: dict[str, Record] = field(default_factory=dict)


def load_data(
    config: TrainConfig,
    out: Path,
    before: Mapping[str, Any] | None = None,
    start: Mapping[str, Any] | None = None,
) -> Data:
    """Read every set of the mixture; rendered scenes go to ``out``.

    Of each held-out set ``validation_images`` are kept, if the config says so.

    Args:
        config: config of a run.
        out: folder of the run.
        before: a checkpoint of the run, which holds out what it has held out before; None: a new
            run.
        start: the checkpoint that a new run starts from; of a set from which its run drew in the
            same way the same is held out, because all else was trained on.

    Raises:
        ConfigError: a set's entry makes no sense.
        SourceError: sets are missing, which are all named, or one cannot be read.
        ModelError: the checkpoint says nonsense of what it holds out.
        OutputError: scenes cannot be written.
    """
    check_needs(config, (DATA,))
    if before is not None:
        config = as_begun(config, before)
    data = Data([], {})
    for entry in config.data:
        samples = _read(entry, config, out)
        if entry.name in config.leave_out or entry.holds_out:
            samples, held = _hold_out(
                entry, samples, config, data, _folder(entry, config, out), before, start
            )
            resized = config.held_out_size == "trained"
            data.validation[entry.name] = _sized(held, entry, config, resized=resized)
        if config.trains_on(entry):
            data.components.append(
                MixtureComponent(
                    _sized(samples, entry, config),
                    entry.weight,
                    entry.scale,
                    entry.window,
                    entry.native,
                    entry.scales,
                    entry.mirror,
                )
            )
    _check_apart(data)
    most = config.validation_images
    if most:
        data.validation.update({k: evenly(v, most) for k, v in data.validation.items()})
    return data


def _check_apart(data: Data) -> None:
    """Refuse images that are held out of one set and trained on in another.

    Raises:
        ConfigError: there are some.
    """
    trained = {sample.path.resolve() for one in data.components for sample in one.samples}
    for name, samples in data.validation.items():
        both = [sample for sample in samples if sample.path.resolve() in trained]
        if both:
            raise ConfigError(
                f"data: {len(both)} of the {len(samples)} images that are held out as {name} are "
                f"trained on by another set, first {both[0].path}: leave them out of it (exclude)"
            )


def load_held_out(
    config: TrainConfig, out: Path, before: Mapping[str, Any] | None = None
) -> dict[str, list[Sample]]:
    """Read all held-out images of a config, by set; sets that only train need not be there.

    Args:
        config: config of a run.
        out: folder of the run, with the rendered scenes that are held out.
        before: a checkpoint of the run, which says what it has held out; None: a new run.

    Raises:
        ConfigError: it holds nothing out.
        SourceError: sets are missing, which are all named.
        ModelError: the checkpoint says nonsense of what it holds out.
    """
    left_out = config.leave_out
    held = tuple(entry for entry in config.data if entry.holds_out or entry.name in left_out)
    if not held:
        raise ConfigError(
            "data: expected a set with held-out images (split, holdout, folds, weight: 0, or "
            "leave_out)"
        )
    whole = dataclasses.replace(config, data=held, validation_images=0)
    return load_data(whole, out, before).validation


def _hold_out(
    entry: DataConfig,
    samples: list[Sample],
    config: TrainConfig,
    data: Data,
    root: Path,
    before: Mapping[str, Any] | None,
    start: Mapping[str, Any] | None,
) -> Parts:
    """Return the samples that are trained on and those that are held out; keep what is drawn."""
    left_out = entry.name in config.leave_out
    rest: list[Sample] = []
    if left_out or not (entry.weight or entry.split):
        held = samples
    else:
        origin = before
        if before is None and start and (entry.holdout or entry.folds):
            origin = start if _drew_alike(entry, start) else None
        record = None if origin is None else records_in(origin).get(entry.name)
        rest, held = _part(entry, samples, root, origin, record)
        if is_recorded(entry):
            data.drawn[entry.name] = record or record_of(samples, held, root)
    if entry.name in data.validation:
        raise ConfigError(
            f"data: two sets are held out as {entry.name}: give one of them a list of its own "
            "(split)"
        )
    key = "split" if entry.split else "folds" if entry.folds else "holdout"
    if not held:
        raise ConfigError(f"data.{key}: {entry.split or entry.reader} names no image")
    if entry.weight and not (rest or left_out):
        number = f"{len(held)} image{'' if len(held) == 1 else 's'}"
        raise ConfigError(
            f"data.{key}: {entry.name} has {number}, and holds out all of them: give more images, "
            "or hold out fewer"
        )
    return rest, held


def _drew_alike(entry: DataConfig, state: Mapping[str, Any]) -> bool:
    """Return whether the run of a checkpoint drew from a set in the same way."""
    keys = ("reader", "path", "holdout", "folds", "fold", "exclude", "only")
    return any(
        all(getattr(one, key) == getattr(entry, key) for key in keys)
        for one in config_from_dict(state["config"]).data
    )


def _part(
    entry: DataConfig,
    samples: list[Sample],
    root: Path,
    before: Mapping[str, Any] | None,
    record: Record | None,
) -> Parts:
    """Split a set by its list, or by a draw, as a run has done before if it has."""
    if record is not None and is_recorded(entry):
        return take(samples, entry, record, root)
    if entry.split:
        return split(samples, entry.split, entry.exclude)
    if before is not None and is_of_older_code(before):
        return draw_by_order(samples, entry)
    return draw(samples, entry, root)


def _folder(entry: DataConfig, config: TrainConfig, out: Path) -> Path:
    """Return the folder that the images of a set lie in."""
    return out / SCENES if entry.reader in _DRAWN else config.root() / entry.path


def _read(entry: DataConfig, config: TrainConfig, out: Path) -> list[Sample]:
    if entry.reader == "blank":
        return []
    if entry.reader in _DRAWN:
        return _draw(entry, out, config.seed)
    choice = None if entry.unannotated == "usual" else entry.unannotated
    samples = read_samples(entry.reader, config.root() / entry.path, unannotated=choice)
    unknown = set(entry.exclude) - {sample.name for sample in samples}
    if unknown:
        raise ConfigError(f"data.exclude: {entry.reader} has no image {min(unknown)!r}")
    kept = [sample for sample in samples if sample.name not in entry.exclude]
    if not kept:
        raise ConfigError(f"data.exclude: it names every image of {entry.reader}")
    if entry.only:
        kept = [sample for sample in kept if fnmatchcase(sample.name, entry.only)]
        if not kept:
            raise ConfigError(
                f"data.only: no name of an image of {entry.reader} is like {entry.only!r}, the "
                f"first is {samples[0].name!r}"
            )
    return [
        dataclasses.replace(
            sample, accept_damaged=entry.accept_damaged, max_pixels=entry.max_pixels
        )
        for sample in kept
    ]


def _sized(
    samples: list[Sample], entry: DataConfig, config: TrainConfig, *, resized: bool = True
) -> list[Sample]:
    """Return samples at the size that is trained on, or at that of a deployed model."""
    if entry.reader in _DRAWN:
        return samples
    enlarge, shrink = (entry.enlarge, entry.shrink) if resized else (1.0, 1.0)
    return [fitted(sample, config.max_side, enlarge).shrunk(shrink) for sample in samples]


def fitted(
    sample: Sample,
    max_side: int = InputSpec().max_side,
    enlarge: float = 1.0,
    static_size: tuple[int, int] | None = None,
) -> Sample:
    """Shrink a sample to the size that a deployed model sees by default, its ``max_side``.

    Args:
        sample: the annotated image.
        max_side: longest side that is left as it is, px.
        enlarge: factor by which smaller images are enlarged, as far as ``max_side`` allows.
        static_size: (height, width) of a model of one size, into which the image has to fit.

    Raises:
        SourceError: the image cannot be read, or has another size than its annotations say.
    """
    header = read_header(sample.path)
    sample.check_size(header.width, header.height)
    factor = min(enlarge, max_side / max(header.width, header.height))
    if static_size is not None:
        factor = min(factor, static_size[0] / header.height, static_size[1] / header.width)
    return sample.shrunk(factor)


def _draw(entry: DataConfig, out: Path, seed: int) -> list[Sample]:
    from edgecount.train.data.scenes import draw_samples, render_samples

    if entry.number < 1:
        raise ConfigError(f"data.number: expected how many {entry.reader} to draw, at least 1")
    draw = render_samples if entry.reader == "scenes" else draw_samples
    return draw(out / SCENES, entry.number, seed)
