"""Sets of rendered sequences, each with a camera and a light of its own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgecount import __version__
from edgecount._documents import load_json
from edgecount._files import write_whole
from edgecount.errors import ConfigError, OutputError
from edgecount.scenes.clip import check_fps, render_clip
from edgecount.scenes.layouts import LAYOUTS, Layout, SequenceTruth
from edgecount.scenes.scene import Heads
from edgecount.scenes.stage import PLACES

_SETTINGS = "scenes.json"
_MOST = 65536  # bytes of these settings
_QUALITY = 95
_OUTDOORS = ("day", "overcast", "dusk", "night")
# People in the sparsest sequence, as a share of those in the densest.
_SPARSEST = 0.25


@dataclass(frozen=True)
class SetOptions:
    """A set of sequences that is asked for.

    Attributes:
        train: number of sequences in ``train``.
        test: number of sequences in ``test``, of other places.
        frames: frames of each sequence.
        fps: frames per second of the scenes' time.
        people: number of people in the densest sequence; the sparsest has a quarter.
        size: (width, height) of the frames in pixels.
        seed: seed that everything is drawn from.

    Raises:
        ConfigError: there is no sequence or frame, or a number is negative.
    """

    train: int = 6
    test: int = 3
    frames: int = 20
    fps: float = 8.0
    people: int = 300
    size: tuple[int, int] = (1280, 720)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("train", "test"):
            number = getattr(self, name)
            if number < 0:
                raise ConfigError(f"{name}: expected 0 or more sequences, got {number}")
        if self.frames < 1:
            raise ConfigError(f"frames: expected 1 or more, got {self.frames}")
        check_fps(self.fps)
        if self.people < 0:
            raise ConfigError(f"people: expected 0 or more, got {self.people}")
        if not self.train + self.test:
            raise ConfigError("train: expected at least one sequence in train or test, got none")


@dataclass(frozen=True)
class PlannedSequence:
    """One of the sequences; the attributes are those of `render_clip`."""

    part: str
    name: str
    people: int
    place: str
    light: str
    seed: int


@dataclass(frozen=True)
class WrittenSet:
    """The sequences, frames and heads that count in a set."""

    sequences: int
    frames: int
    heads: int


def plan_sequences(options: SetOptions) -> list[PlannedSequence]:
    """Draw place, light, density and seed of every sequence.

    All kinds of places and lights and the whole range of densities are there as far as the
    sequences suffice, in ``train`` and in ``test``.
    """
    planned: list[PlannedSequence] = []
    for part, number in (("train", options.train), ("test", options.test)):
        rng = np.random.default_rng([options.seed, part == "test"])
        shares = np.linspace(1.0, 0.0, number)[rng.permutation(number)]
        places, lights = rng.permutation(PLACES).tolist(), rng.permutation(_OUTDOORS).tolist()
        for index, share in enumerate(shares.tolist()):
            place = places[index % len(places)]
            light = "indoor" if place == "hall" else lights[index % len(lights)]
            people = round(options.people * _SPARSEST ** (1 - share))
            name = f"scene-{len(planned) + 1:02d}"
            seed = int(rng.integers(2**31))
            planned.append(PlannedSequence(part, name, people, place, light, seed))
    return planned


def write_set(
    folder: Path,
    options: SetOptions,
    layout: str,
    progress: Callable[[], None] = lambda: None,
) -> WrittenSet:
    """Render a set of sequences into ``folder/train`` and ``folder/test``.

    Sequences that are there already are kept, so that a call that was stopped goes on where the
    same call is made again.

    Args:
        folder: the set's folder: empty, missing, or one that the same call wrote in part.
        options: what is rendered.
        layout: one of :data:`edgecount.scenes.layouts.LAYOUTS`.
        progress: called after each frame.

    Returns:
        What was rendered by this call: nothing where the set is whole.

    Raises:
        ConfigError: an option makes no sense.
        OutputError: the folder holds something else, or cannot be written.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"layout: expected one of {', '.join(LAYOUTS)}, got {layout!r}")
    form = LAYOUTS[layout]()
    _claim(folder, {**dataclasses.asdict(options), "layout": layout, "edgecount": __version__})
    written = []
    for sequence in plan_sequences(options):
        part = folder / sequence.part
        if not form.has(part, sequence.name):
            truth = _render(part, sequence, options, form, progress)
            form.finish(part, truth)
            written.append(truth)
    frames = [heads for truth in written for heads in truth.seen]
    return WrittenSet(len(written), len(frames), sum(len(heads.ids) for heads in frames))


def layout_of(folder: Path) -> str | None:
    """Return the layout of a set that `write_set` wrote into a folder; None if it wrote none."""
    path = folder / _SETTINGS
    try:
        if path.stat().st_size > _MOST:
            return None
        settings = load_json(path.read_text(encoding="utf-8"), "not JSON", OutputError)
    except (OSError, UnicodeDecodeError, OutputError):
        return None
    known = isinstance(settings, dict) and {"layout", "edgecount"} <= settings.keys()
    return str(settings["layout"]) if known else None


def _claim(folder: Path, settings: dict[str, object]) -> None:
    """Check that a folder is for these settings, and write them there.

    Raises:
        OutputError: it holds something else.
    """
    path = folder / _SETTINGS
    text = json.dumps(settings, indent=2)
    try:
        if not folder.exists() or not any(folder.iterdir()):
            write_whole(path, f"{text}\n".encode())
            return
        before = load_json(path.read_text(), f"{path} is not JSON", OutputError)
    except FileNotFoundError:
        raise OutputError(f"{folder} is not empty: choose another folder") from None
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
    given = json.loads(text)
    for key, value in given.items():
        was = before.get(key) if isinstance(before, dict) else None
        if was != value:
            raise OutputError(
                f"{folder} holds scenes with {key} {was}, not {value}: choose another folder"
            )


def _render(
    part: Path,
    sequence: PlannedSequence,
    options: SetOptions,
    form: Layout,
    progress: Callable[[], None],
) -> SequenceTruth:
    """Write the pictures of a sequence and return its truth.

    Raises:
        OutputError: a picture cannot be written.
    """
    clip = render_clip(
        sequence.people,
        frames=options.frames,
        fps=options.fps,
        size=options.size,
        seed=sequence.seed,
        place=sequence.place,
        light=sequence.light,
    )
    truth = SequenceTruth(sequence.name, [], [], options.fps, options.size)
    for number, scene in enumerate(clip, 1):
        path = form.picture(part, sequence.name, number)
        _, data = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.tobytes())
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        truth.seen.append(Heads(scene.ids, scene.boxes, scene.visibility))
        truth.hidden.append(scene.hidden)
        progress()
    return truth
