"""Which images validate: lists of names beside the code, so that everyone holds out the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from edgecount.errors import ConfigError
from edgecount.train.data.readers.text import read_text
from edgecount.train.data.sample import Sample

FOLDER = Path(__file__).parent.parent / "splits"
SEED = 20_260


def choose(names: Sequence[str], number: int, seed: int = SEED) -> list[str]:
    """Draw ``number`` of the names, sorted: how the lists in ``splits/`` were made."""
    picked = np.random.default_rng(seed).permutation(sorted(names))[:number]
    return sorted(str(name) for name in picked)


def split(
    samples: Sequence[Sample], name: str, excluded: Collection[str] = ()
) -> tuple[list[Sample], list[Sample]]:
    """Split samples into training and validation by a list of names, one a line.

    Args:
        samples: samples of the whole set.
        name: name of a list in ``splits/``, or the path of a text file.
        excluded: names that the list may have although the samples lack them.

    Raises:
        ConfigError: there is no such list, or it names images that the set lacks.
    """
    path = Path(name) if name.endswith(".txt") else FOLDER / f"{name}.txt"
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.txt")))
        raise ConfigError(
            f"data.split: expected one of {known}, or a .txt file of names, got {name!r}"
        ) from error
    held_out = {line.strip() for line in text.splitlines() if line.strip()}
    unknown = held_out - {s.name for s in samples} - set(excluded)
    if unknown:
        raise ConfigError(
            f"data.split: {name} holds out {len(unknown)} images that the set lacks, "
            f"first {min(unknown)!r}: is this the right folder?"
        )
    training = [s for s in samples if s.name not in held_out]
    return training, [s for s in samples if s.name in held_out]


def hold_out(
    samples: Sequence[Sample], number: int, seed: int = SEED
) -> tuple[list[Sample], list[Sample]]:
    """Split off ``number`` validation samples at random; the order of the samples decides."""
    held = set(np.random.default_rng(seed).permutation(len(samples))[:number].tolist())
    training = [s for index, s in enumerate(samples) if index not in held]
    return training, [s for index, s in enumerate(samples) if index in held]


def hold_out_fold(
    samples: Sequence[Sample], fold: int, folds: int, seed: int = SEED
) -> tuple[list[Sample], list[Sample]]:
    """Split off one of ``folds`` parts whose sizes differ by at most one, for cross-validation.

    The images, in the order of their names, are dealt to the parts by a permutation of a fixed
    seed, so that every image is in exactly one of them.

    Args:
        samples: samples of the whole set, in any order.
        fold: number of the part, 1 to ``folds``.
        folds: number of parts.
        seed: seed of the permutation.

    Returns:
        Training and held-out samples, in their order.

    Raises:
        ConfigError: there are fewer samples than parts.
    """
    if len(samples) < folds:
        raise ConfigError(
            f"data.folds: expected a set of at least {folds} images, got {len(samples)}"
        )
    by_name = sorted(range(len(samples)), key=lambda i: (samples[i].name, str(samples[i].path)))
    order = np.random.default_rng(seed).permutation(len(samples))
    held = {by_name[i] for i in np.array_split(order, folds)[fold - 1]}
    training = [s for index, s in enumerate(samples) if index not in held]
    return training, [s for index, s in enumerate(samples) if index in held]


def evenly(samples: Sequence[Sample], number: int) -> list[Sample]:
    """Choose at most ``number`` of the samples, evenly over their order: always the same."""
    if len(samples) <= number:
        return list(samples)
    places = np.linspace(0, len(samples) - 1, number).round().astype(int)
    return [samples[place] for place in places]
