"""Sets of rendered sequences, each with a camera and a light of its own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import cv2
import numpy as np

from edgecount import __version__
from edgecount._documents import load_json, shown
from edgecount._files import require_regular, write_whole
from edgecount._lock import locked
from edgecount.errors import ConfigError, OutputError
from edgecount.scenes.clip import check_fps, render_clip
from edgecount.scenes.layouts import LAYOUTS, Layout, SequenceTruth
from edgecount.scenes.scene import Heads
from edgecount.scenes.stage import PLACES, Setting

_SETTINGS = "scenes.json"
_LOCK = ".scenes.lock"  # there while a process renders
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
        people: number of people in the densest sequence, at most; the sparsest has a quarter.
        size: (width, height) of the frames in pixels.
        seed: seed that everything is drawn from.

    Raises:
        ConfigError: there is no sequence or frame, a number is negative, or the size or the
            number of people cannot be rendered.
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
        Setting(self.people, self.size, seed=self.seed)  # which checks them
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
        progress: called for each frame, as soon as it is there.

    Returns:
        What was rendered by this call: nothing where the set is whole.

    Raises:
        ConfigError: an option makes no sense.
        OutputError: the folder holds something else, another process is rendering into it, or it
            cannot be written.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"layout: expected one of {', '.join(LAYOUTS)}, got {layout!r}")
    form = LAYOUTS[layout]()
    asked = {**dataclasses.asdict(options), "layout": layout, "edgecount": __version__}
    settings = json.loads(json.dumps(asked))  # as they are read again
    plan = plan_sequences(options)
    # A whole set may be where nothing can be written, not even the file of a lock.
    if _check(folder, settings) and all(form.has(folder / one.part, one.name) for one in plan):
        for _ in range(len(plan) * options.frames):
            progress()
        return WrittenSet(0, 0, 0)
    written = []
    with _claimed(folder, settings):
        for sequence in plan:
            part = folder / sequence.part
            if form.has(part, sequence.name):
                for _ in range(options.frames):
                    progress()
            else:
                truth = _render(part, sequence, options, form, progress)
                form.finish(part, truth)
                written.append(truth)
    frames = [heads for truth in written for heads in truth.seen]
    return WrittenSet(len(written), len(frames), sum(len(heads.ids) for heads in frames))


def layout_of(folder: Path) -> str | None:
    """Return the layout of a set that `write_set` wrote into a folder; None if it wrote none."""
    try:
        settings = _read_settings(folder / _SETTINGS)
    except (OSError, OutputError):
        return None
    return str(settings["layout"]) if _is_ours(settings) else None


@contextmanager
def _claimed(folder: Path, settings: dict[str, object]) -> Iterator[None]:
    """Hold a folder for these settings, which are written there, until the block ends.

    The lock's file is made in it: check first that it is not a folder of others.

    Raises:
        OutputError: it holds something else, or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
    lock = folder / _LOCK
    busy = f"is rendering scenes into {folder}: wait for it, or choose another folder"
    with locked(lock, busy=busy, second="render into it by one process alone"):
        try:
            if not _check(folder, settings):
                write_whole(folder / _SETTINGS, f"{json.dumps(settings, indent=2)}\n".encode())
            yield
        finally:
            with suppress(OSError):
                lock.unlink()  # while it is held: see `edgecount._lock`


def _check(folder: Path, given: dict[str, object]) -> bool:
    """Return whether a folder holds scenes of these settings; False: it holds none at all.

    Raises:
        OutputError: it holds something else.
    """
    try:
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
        if names <= {_LOCK}:
            return False
        before = _read_settings(folder / _SETTINGS)
    except FileNotFoundError:
        raise OutputError(f"{folder} is not empty: choose another folder") from None
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error
    if not _is_ours(before):
        raise OutputError(f"{folder} holds something else than scenes: choose another folder")
    if names <= {_SETTINGS, _LOCK}:  # a call that failed before there was a scene
        return False
    for key, value in given.items():
        was = before.get(key)
        if was != value:
            raise OutputError(
                f"{folder} holds scenes with {key} {_in_words(was)}, not {_in_words(value)}: "
                "choose another folder"
            )
    return True


def _is_ours(settings: object) -> TypeGuard[dict[str, object]]:
    return isinstance(settings, dict) and {"layout", "edgecount"} <= settings.keys()


def _in_words(value: object) -> str:
    """Return a setting as text; of a size what is width and what height."""
    if isinstance(value, list) and len(value) == 2:
        return "of width {} and height {}".format(*map(shown, value))
    return value if isinstance(value, str) else shown(value)


def _read_settings(path: Path) -> object:
    """Return what a file of settings holds.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
        OutputError: it is no file of JSON, or too large to be one of settings.
    """
    require_regular(path, OutputError)
    with path.open("rb") as file:
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise OutputError(f"{path} is no file of settings: it is larger than {_MOST} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise OutputError(f"{path} is not JSON: it is not UTF-8") from None
    return load_json(text, f"{path} is not JSON", OutputError)


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
