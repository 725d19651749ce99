"""The sets that a config names, split into what is trained on and what is held out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from edgecount.errors import ConfigError
from edgecount.manifest import InputSpec
from edgecount.train.config import DataConfig, TrainConfig
from edgecount.train.data.headers import read_header
from edgecount.train.data.mixture import MixtureComponent
from edgecount.train.data.needs import DATA, check_needs
from edgecount.train.data.readers import read_samples
from edgecount.train.data.sample import Sample
from edgecount.train.data.splits import evenly, hold_out, hold_out_fold, split

SCENES = "scenes"
"""Folder of the rendered scenes in that of the run."""


@dataclass(frozen=True)
class Data:
    """The training and the held-out images of a run.

    Attributes:
        components: the sets of the training mixture.
        validation: the held-out samples by the name of their split.
    """

    components: list[MixtureComponent]
    validation: dict[str, list[Sample]]


def load_data(config: TrainConfig, out: Path) -> Data:
    """Read every set of the mixture; rendered scenes go to ``out``.

    Of each held-out set ``validation_images`` are kept, if the config says so.

    Raises:
        ConfigError: a set's entry makes no sense.
        SourceError: sets are missing, which are all named, or one cannot be read.
        OutputError: scenes cannot be written.
    """
    check_needs(config, (DATA,))
    data = Data([], {})
    for entry in config.data:
        samples = _read(entry, config, out)
        left_out = entry.name in config.leave_out
        if left_out or entry.holds_out:
            samples = _hold_out(entry, samples, data.validation, left_out=left_out)
        if config.trains_on(entry):
            data.components.append(
                MixtureComponent(
                    samples,
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


def load_held_out(config: TrainConfig, out: Path) -> dict[str, list[Sample]]:
    """Read all held-out images of a config, by set; sets that only train need not be there.

    Args:
        config: config of a run.
        out: folder of the run, with the rendered scenes that are held out.

    Raises:
        ConfigError: it holds nothing out.
        SourceError: sets are missing, which are all named.
    """
    left_out = config.leave_out
    held = tuple(entry for entry in config.data if entry.holds_out or entry.name in left_out)
    if not held:
        raise ConfigError(
            "data: expected a set with held-out images (split, holdout, folds, weight: 0, or "
            "leave_out)"
        )
    whole = dataclasses.replace(config, data=held, validation_images=0)
    return load_data(whole, out).validation


def _hold_out(
    entry: DataConfig,
    samples: list[Sample],
    validation: dict[str, list[Sample]],
    *,
    left_out: bool = False,
) -> list[Sample]:
    """Move the held-out samples to ``validation`` and return the rest."""
    rest: list[Sample] = []
    if left_out or not (entry.weight or entry.split):
        held = samples
    elif entry.split:
        rest, held = split(samples, entry.split, entry.exclude)
    elif entry.folds:
        rest, held = hold_out_fold(samples, entry.fold, entry.folds)
    else:
        rest, held = hold_out(samples, max(round(len(samples) * entry.holdout), 1))
    if entry.name in validation:
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
    validation[entry.name] = held
    return rest


def _read(entry: DataConfig, config: TrainConfig, out: Path) -> list[Sample]:
    if entry.reader == "blank":
        return []
    if entry.reader in {"scenes", "patterns"}:
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
            fitted(sample, config.max_side, entry.enlarge).shrunk(entry.shrink),
            accept_damaged=entry.accept_damaged,
            max_pixels=entry.max_pixels,
        )
        for sample in kept
    ]


def fitted(sample: Sample, max_side: int = InputSpec().max_side, enlarge: float = 1.0) -> Sample:
    """Shrink a sample to the size that a deployed model sees by default, its ``max_side``.

    Args:
        sample: the annotated image.
        max_side: longest side that is left as it is, px.
        enlarge: factor by which smaller images are enlarged, as far as ``max_side`` allows.

    Raises:
        SourceError: the image cannot be read, or has another size than its annotations say.
    """
    header = read_header(sample.path)
    sample.check_size(header.width, header.height)
    longer = max(header.width, header.height)
    return sample.shrunk(min(enlarge, max_side / longer))


def _draw(entry: DataConfig, out: Path, seed: int) -> list[Sample]:
    from edgecount.train.data.scenes import draw_samples, render_samples

    if entry.number < 1:
        raise ConfigError(f"data.number: expected how many {entry.reader} to draw, at least 1")
    draw = render_samples if entry.reader == "scenes" else draw_samples
    return draw(out / SCENES, entry.number, seed)
