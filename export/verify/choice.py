"""Which images an export calibrates on and which it is proven on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgecount.export.options import ExportOptions
from edgecount.export.verify.compare import Picture
from edgecount.export.verify.images import Pictures, Scenes, divide, spread, warnings_about


@dataclass(frozen=True)
class Choice:
    """The images of an export, of which every one can be read.

    Attributes:
        calibration: whose values give the ranges; None: there are none.
        proof: to compare counts on; any first few are evenly spread over the folder.
        origin: where those come from, in words.
        real: whether they are images, not rendered scenes.
    """

    calibration: Pictures | None
    proof: Sequence[Picture]
    origin: str
    real: bool


def choose_pictures(
    options: ExportOptions,
    warn: Callable[[str], None],
    report: Callable[[str, int, int], None],
) -> Choice:
    """Choose and read the images, before the long work.

    Args:
        options: of the export.
        warn: told what is wrong with images that still can be used.
        report: told (what is done, steps done, steps in all).

    Raises:
        ConfigError: a folder is missing or holds no images.
        SourceError: an image cannot be read.
    """
    calibration, proof, origin = _choose(options, warn)
    if calibration is not None and options.int8:
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            report("reading the calibration images", done, len(calibration))

        for warning in warnings_about(calibration, step):
            warn(warning)
    read = spread(list(_reported(proof, report)))
    return Choice(calibration, read, origin, real=isinstance(proof, Pictures))


def _reported(
    pictures: Pictures | Scenes, report: Callable[[str, int, int], None]
) -> Iterator[Picture]:
    for done, picture in enumerate(pictures, 1):
        report("reading the pictures to compare on", done, len(pictures))
        yield picture


def _choose(
    options: ExportOptions, warn: Callable[[str], None]
) -> tuple[Pictures | None, Pictures | Scenes, str]:
    """To calibrate on, to prove on, and in words where those come from."""
    proof = Pictures.of(options.verify, "--verify").some() if options.verify else None
    told = f"{len(proof)} images of {options.verify}" if proof else ""
    if options.calibration:
        found = Pictures.of(options.calibration, "--calibration")
        own, apart = divide(found, options.number, reserve=proof is None)
        if proof is not None:
            return own, proof, told
        if apart:
            kind = "images beside the calibration's"
            return own, apart, f"{len(apart)} {kind} of {options.calibration}"
        warn("proven on the calibration's own images: give others (--verify DIR), or more of them")
        return own, own, f"{len(own)} calibration images of {options.calibration}"
    if proof is not None:
        return None, proof, told
    warn(
        "proven on rendered scenes: give images of your own (--verify DIR) to know how the "
        "files count on them"
    )
    scenes = Scenes()
    return None, scenes, f"{len(scenes)} rendered scenes"
