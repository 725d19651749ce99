"""EdgeCounter through a GPU with a detector: the same boxes as on the CPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from gpu_frames import HALF, assert_same
from numpy.typing import NDArray

from edgecount import EdgeCounter
from edgecount.errors import BackendError
from edgecount.manifest import InputSpec, Manifest, OutputSpec, PostprocessSpec
from edgecount.runtime.backends.base import Backend
from engines import HostEngine, RecordedEngine

pytestmark = pytest.mark.gpu

Maps = dict[str, NDArray[np.float32]]
Run = Callable[[NDArray[np.float32]], Maps]

DETECTOR = Manifest(
    name="detector",
    version="1",
    description="Boxes of two strides.",
    input=InputSpec(mean=(0.0,) * 3, scale=(1 / 255,) * 3),
    outputs=(
        OutputSpec("scores_16", "scores", 16),
        OutputSpec("boxes_16", "boxes", 16),
        OutputSpec("scores_8", "scores", 8, anchors=2),
        OutputSpec("boxes_8", "boxes", 8, anchors=2),
    ),
    postprocess=PostprocessSpec(nms_iou=0.3),
    licence="none",
)


def detect(image: NDArray[np.float32]) -> Maps:
    """Give scores and boxes whose bits depend on the cell's pixels."""
    batch, channels, height, width = image.shape
    maps: Maps = {}
    for stride, anchors in ((16, 1), (8, 2)):
        cells = image.reshape(batch, channels, height // stride, stride, width // stride, stride)
        means = cells.mean((3, 5))
        scores, boxes = means[:, :anchors], np.concatenate([means, means[:, :1]], 1)
        maps[f"scores_{stride}"] = np.ascontiguousarray(scores, np.float32)
        maps[f"boxes_{stride}"] = np.tile(2 * boxes, (1, anchors, 1, 1)).astype(np.float32)
    return maps


class OnHost(Backend):
    """The maps of the engine under test, from the CPU."""

    name = "on-host"

    def __init__(self, run: Run) -> None:
        self.run = run

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Maps:
        return self.run(inputs["image"])

    def close(self) -> None:
        pass


def assert_counts_as_on_the_host(
    frames: Any, manifest: Manifest = DETECTOR, **options: Any
) -> None:
    found = EdgeCounter(manifest, backend=HostEngine(detect), **options).count_batch(frames)
    host = EdgeCounter(manifest, backend=OnHost(detect), **options)
    for result, frame in zip(found, frames, strict=True):
        assert result.boxes is not None
        assert result.count == result.peak_count > 0
        assert_same(result, host.count(frame))


@pytest.mark.parametrize("size", [(128, 96), (9, 77), (131, 10), (97, 61), (64, 64)])
def test_a_frame_counts_as_on_the_host(noise, size) -> None:
    assert_counts_as_on_the_host([noise(*size)], threshold=0.02)


def test_batches_and_regions(noise) -> None:
    frames = [noise(128, 96, seed) for seed in range(5)] + [noise(75, 50, seed) for seed in (5, 6)]
    assert_counts_as_on_the_host(frames, regions={"half": HALF}, threshold=0.3)


def test_a_crowd_of_more_boxes_than_come_back_with_the_counts(noise) -> None:
    post = dataclasses.replace(DETECTOR.postprocess, nms_iou=1.0)
    manifest = dataclasses.replace(DETECTOR, postprocess=post)
    for capacity in (None, 7):
        options = {"threshold": 0.0, "capacity": capacity}
        assert_counts_as_on_the_host([noise(256, 192)], manifest, **options)
    result = EdgeCounter(manifest, backend=HostEngine(detect), threshold=0.0).count(noise(256, 192))
    assert len(result.boxes) == result.count > 1024


def test_frames_in_tiles(noise) -> None:
    frame = noise(2112, 64)
    options: dict[str, Any] = {"max_side": None, "threshold": 0.45}
    assert_counts_as_on_the_host([frame], **options)


def test_float16_maps(squares) -> None:
    engine = HostEngine(detect, half=True)
    result = EdgeCounter(DETECTOR, backend=engine, threshold=0.9).count(squares(64, 64, (16, 16)))
    assert result.count == 1
    # The box of a white cell reaches two cells around its centre.
    np.testing.assert_array_equal(result.boxes, [[4, 4, 36, 36]])


def test_the_engine_is_replayed(noise) -> None:
    engine = RecordedEngine(lambda _: detect(noise(128, 96).transpose(2, 0, 1)[None] / 255))
    counter = EdgeCounter(DETECTOR, backend=engine, threshold=0.3)
    first = counter.count(noise(128, 96))
    for _ in range(3):
        assert_same(counter.count(noise(128, 96)), first)
    assert len(engine.shapes) == 2  # once as it is, once to be recorded


def test_a_map_that_is_not_finite_is_named(noise) -> None:
    def spoilt(image: NDArray[np.float32]) -> Maps:
        maps = detect(image)
        maps["scores_16"][0, 0, 2, 1] = np.nan
        return maps

    for backend in (HostEngine(spoilt), OnHost(spoilt)):
        counter = EdgeCounter(DETECTOR, backend=backend)
        with pytest.raises(
            BackendError, match=r"^output 'scores_16' \(scores\) of detector: .*NaN"
        ):
            counter.count(noise(64, 64))
