"""The settings that all frames of a counter have in common."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecount import EdgeCounter, FakeBackend, Manifest
from edgecount.errors import BackendError
from edgecount.manifest import IntervalSpec, PostprocessSpec
from edgecount.runtime.pipeline import job


class Engine(FakeBackend):
    """An engine that notes that it was freed, and may fail at that."""

    def __init__(self, freed: list[Engine], *, fails: bool = False) -> None:
        super().__init__()
        self.freed, self.fails = freed, fails

    def close(self) -> None:
        self.freed.append(self)
        if self.fails:
            raise BackendError(f"{self.name} hangs")


def test_every_engine_is_freed_where_one_of_them_fails(tiny_model: Path) -> None:
    freed: list[Engine] = []
    engines = [Engine(freed), Engine(freed, fails=True), Engine(freed)]
    settings = EdgeCounter(tiny_model)._settings
    settings.backend, settings.others = engines[0], engines[1:]  # type: ignore[assignment]
    assert settings.engines == tuple(engines)
    with pytest.raises(BackendError, match="hangs"):
        settings.close_engines()
    assert freed == engines[::-1]


# Sizes that frames are counted at.

INTERVAL = IntervalSpec(0.9, below=1.0, above=1.0, floor=2.0, root=0.0, share=0.0, gap=0.0)
LOST = "people far away may be lost"


@pytest.fixture
def warnings(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    """What is logged of shrunk frames, as by a process that has shrunk none yet."""
    monkeypatch.setattr(job, "_warned", set())
    job._warn_of_shrinking.cache_clear()
    caplog.set_level(logging.WARNING, logger="edgecount.runtime.pipeline.job")
    return caplog


def counter_of(manifest: Manifest, max_side: int | str | None = "model") -> EdgeCounter:
    measured = dataclasses.replace(manifest, postprocess=PostprocessSpec(interval=INTERVAL))
    options = {} if max_side == "model" else {"max_side": max_side}
    backend = FakeBackend([(20.0, 20.0)], manifest=measured)
    return EdgeCounter(measured, backend=backend, **options)  # type: ignore[arg-type]


def frame_of(width: int, height: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def test_frames_shrunk_to_half_and_less_are_told_once(
    make_manifest: Callable[..., Manifest], warnings: pytest.LogCaptureFixture
) -> None:
    counter = counter_of(make_manifest())  # `max_side` of 512
    for width in (512, 1023):
        assert counter.count(frame_of(width, width // 4)).interval is not None
    assert warnings.messages == []
    for width in (1024, 1024, 2048):  # the last one comes to the same size
        assert counter.count(frame_of(width, width // 4)).interval is not None
    told = (
        "frames of 1024 x 256 pixels are counted at 512 x 128, because `max_side` is 512: people "
        "far away may be lost; give a larger one (--max-side), or count the parts of a joined "
        "picture by themselves"
    )
    assert warnings.messages == [told]
    counter.count(frame_of(2048, 64))
    assert "frames of 2048 x 64 pixels are counted at 512 x 16" in warnings.messages[1]


def test_frames_that_are_not_shrunk_are_not_told(
    make_manifest: Callable[..., Manifest], warnings: pytest.LogCaptureFixture
) -> None:
    counter_of(make_manifest(), None).count(frame_of(2048, 64))
    assert warnings.messages == []


def test_a_fixed_size_is_another_size_than_the_model_s(
    make_manifest: Callable[..., Manifest], warnings: pytest.LogCaptureFixture
) -> None:
    """As with an engine: it is told wherever the frame is smaller for it, without an interval."""
    counter = counter_of(make_manifest(static_size=(64, 128)))
    for size, resized in (((100, 60), None), ((128, 96), "85 x 64"), ((1024, 512), "128 x 64")):
        warnings.clear()
        result = counter.count(frame_of(*size))
        assert (result.interval is None) == (resized is not None)
        told = (
            f"frames of {size[0]} x {size[1]} pixels are counted at {resized}, because the model "
            f"takes 128 x 64 only: {LOST}; build it for larger frames (edgecount export --input)"
        )
        assert warnings.messages == ([told] if resized else [])


def test_a_fixed_size_that_max_side_asks_for_has_the_interval(
    make_manifest: Callable[..., Manifest], warnings: pytest.LogCaptureFixture
) -> None:
    counter = counter_of(make_manifest(static_size=(128, 128), max_side=128))
    assert counter.count(frame_of(200, 100)).interval is not None
    assert warnings.messages == []
