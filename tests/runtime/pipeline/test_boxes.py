"""Frames counted by a detector's boxes: through every engine, in tiles, in batches, in regions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount import CountResult, EdgeCounter, FakeBackend, Region
from edgecount.errors import BackendError
from edgecount.manifest import InputSpec, Manifest, OutputSpec, PostprocessSpec
from edgecount.runtime.backends.base import Backend

ROLES = ("scores", "boxes")
Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture(scope="module")
def detector(make_model: Callable[..., Path]) -> Path:
    """Return a model whose boxes are the cells of 8 x 8 pixels that are white."""
    return make_model(roles=ROLES)


def two_levels(**post: Any) -> Manifest:
    outputs = (
        OutputSpec("boxes_32", "boxes", 32),
        OutputSpec("scores_32", "scores", 32),
        OutputSpec("scores_8", "scores", 8, anchors=2),
        OutputSpec("boxes_8", "boxes", 8, anchors=2),
    )
    spec = InputSpec(mean=(0.0,) * 3, scale=(1 / 255,) * 3)
    return Manifest("two", "1", "", spec, outputs, PostprocessSpec(**post))


class MeanBackend(Backend):
    """An engine whose scores are the brightness of the cells, all with boxes of one shape."""

    name = "mean"

    def __init__(self, manifest: Manifest, boxes: Mapping[str, Any]) -> None:
        self.manifest, self.boxes, self.batches = manifest, boxes, 0

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        image = inputs["image"].mean(1)
        batch, height, width = image.shape
        maps = {}
        for output in self.manifest.outputs:
            side = output.stride
            blocks = image.reshape(batch, height // side, side, width // side, side)
            cells = blocks.mean((2, 4), dtype=np.float32)[:, None].repeat(output.channels, 1)
            if output.role == "boxes":
                cells[:] = np.reshape(np.array(self.boxes[output.name], np.float32), (1, -1, 1, 1))
            maps[output.name] = cells
        return maps

    def close(self) -> None:
        pass


def corners_of(result: CountResult) -> list[tuple[float, ...]]:
    assert result.boxes is not None
    return sorted(map(tuple, result.boxes.tolist()))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_white_squares_are_found(detector: Path, squares: Draw, backend: str) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino", reason="pip install edgecount[openvino]")
    frame = squares(200, 120, (0, 0), (96, 40), (192, 112))
    with EdgeCounter(detector, backend=backend) as counter:
        result = counter.count(frame)
    assert (result.count, result.peak_count, result.density_count) == (3, 3, None)
    assert corners_of(result) == [(0, 0, 8, 8), (96, 40, 104, 48), (192, 112, 200, 120)]
    np.testing.assert_allclose(result.points[:, :2], result.boxes[:, :2] + 4)
    np.testing.assert_allclose(result.points[:, 2], 1, rtol=1e-3)
    assert result.density.size == 0
    assert result.boxes.dtype == np.float32


def test_boxes_are_in_pixels_of_the_frame_that_was_shrunk(detector: Path, squares: Draw) -> None:
    frame = squares(512, 256, (64, 32)).repeat(3, 0).repeat(3, 1)
    result = EdgeCounter(detector).count(frame)  # at most 512 px
    np.testing.assert_allclose(corners_of(result), [(192, 96, 216, 120)], atol=1e-4)


def test_boxes_end_at_the_frame(squares: Draw) -> None:
    backend = MeanBackend(two_levels(), {"boxes_8": [1, 2, 3, 4] * 2, "boxes_32": [1] * 4})
    frame = squares(100, 60, (0, 0), (88, 48))
    result = EdgeCounter(backend.manifest, backend=backend).count(frame)
    assert corners_of(result) == [(0, 0, 28, 36), (84, 36, 100, 60)]


def test_padding_is_not_looked_at() -> None:
    spec = dataclasses.replace(two_levels().input, mean=(255.0,) * 3, scale=(-1 / 255,) * 3)
    manifest = dataclasses.replace(two_levels(), input=spec)  # black is 1, and so is padding
    backend = MeanBackend(manifest, {"boxes_8": [0.25] * 8, "boxes_32": [0.25] * 4})
    result = EdgeCounter(manifest, backend=backend).count(np.full((40, 40, 3), 255, np.uint8))
    # The coarse level's cells are half in the padding, and the boxes in their middle would be, too.
    assert result.count == 0


def test_levels_and_boxes_of_a_cell_suppress_each_other(squares: Draw) -> None:
    # The cell of 32 px is as white as the 16 of 8 px inside it, each with a small box and one as
    # large as the cell of 32 px, moved by up to 12 px.
    boxes = {"boxes_8": [0.25] * 4 + [2] * 4, "boxes_32": [0.5] * 4}
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[32:, :32] = 255
    found = {}
    for iou in (0.0, 0.9):
        backend = MeanBackend(two_levels(nms_iou=iou), boxes)
        found[iou] = EdgeCounter(backend.manifest, backend=backend).count(frame)
    # All scores tie: 16 small boxes come first, and with them 16 large ones, then the cell's. The
    # first cell's small box, then, leaves no large one that does not touch it or another.
    assert found[0.0].count == 16
    assert found[0.9].count == 16 + 16 + 1


def test_regions_have_the_boxes_whose_centre_is_inside(detector: Path, squares: Draw) -> None:
    frame = squares(256, 128, (0, 0), (120, 8), (128, 8), (248, 120))
    left = Region("left", [(0, 0), (128, 0), (128, 128), (0, 128)])
    result = EdgeCounter(detector, regions=[left]).count(frame)
    assert result.count == 4
    assert vars(result.regions["left"]) == {
        "name": "left",
        "count": 2,
        "density_count": None,
        "peak_count": 2,
    }


def test_the_threshold_and_the_capacity(detector: Path, squares: Draw) -> None:
    frame = squares(256, 128, (0, 0), (64, 64), (128, 64))
    frame[64:72, 64:72] = 178  # a score of 0.7
    with EdgeCounter(detector, capacity=2) as counter:
        result = counter.count(frame)
    assert (result.count, len(result.points), len(result.boxes), result.overflow) == (3, 2, 2, True)
    assert corners_of(result) == [(0, 0, 8, 8), (128, 64, 136, 72)]  # the best
    assert EdgeCounter(detector, threshold=0.75).count(frame).count == 2


def test_batches_and_streams(detector: Path, squares: Draw) -> None:
    frames = [squares(128 + 64 * k, 96, *[(24 * i, 40) for i in range(k)]) for k in range(4)]
    with EdgeCounter(detector) as counter:
        results = counter.count_batch(frames)
        single = [counter.count(frame) for frame in frames]
    for k, (result, alone) in enumerate(zip(results, single, strict=True)):
        assert corners_of(result) == sorted((24 * i, 40, 24 * i + 8, 48) for i in range(k))
        np.testing.assert_array_equal(result.boxes, alone.boxes)


def test_boxes_across_the_borders_of_tiles_are_whole(squares: Draw) -> None:
    # A head of 40 px around each white cell. The tiles' cores meet at 1024 px; the head there is
    # two cells, one on each side, whose boxes suppress each other.
    boxes = {"boxes_8": [2.5] * 4 + [0] * 4, "boxes_32": [0.5] * 4}
    backend = MeanBackend(two_levels(), boxes)
    cells = (1000, 400), (1024, 600), (1016, 1016), (2040, 1016), (2200, 1904)
    frame = squares(2240, 1920, *cells, (1016, 200), (1024, 200))
    result = EdgeCounter(backend.manifest, backend=backend, max_side=None).count(frame)
    expected = [(x - 16, y - 16, x + 24, min(y + 24, 1920)) for x, y in (*cells, (1016, 200))]
    assert corners_of(result) == sorted(expected)
    assert result.count == 6


def test_a_value_that_is_not_finite_names_its_output(squares: Draw) -> None:
    boxes = {"boxes_8": [0.5] * 8, "boxes_32": [0.5, 0.5, np.nan, 0.5]}
    backend = MeanBackend(two_levels(), boxes)
    frame = np.full((64, 64, 3), 255, np.uint8)
    message = r"output 'boxes_32' \(boxes\) of two: expected finite values, got a NaN"
    with pytest.raises(BackendError, match=message):
        EdgeCounter(backend.manifest, backend=backend).count(frame)


def test_maps_of_another_shape_are_refused(squares: Draw) -> None:
    given = two_levels()
    one = [dataclasses.replace(output, anchors=1) for output in given.outputs]
    boxes = {"boxes_8": [0.5] * 4, "boxes_32": [0.5] * 4}
    backend = MeanBackend(dataclasses.replace(given, outputs=tuple(one)), boxes)
    message = r"output 'scores_8': expected shape \(1, 2, 8, 8\) for an input of 64 x 64 pixels"
    with pytest.raises(BackendError, match=message):
        EdgeCounter(given, backend=backend).count(squares(64, 64))


def test_the_fake_engine_gives_everybody_a_box() -> None:
    people = [(100, 80), (104, 84), (105, 85), (300, 200), (0, 0)]
    counter = EdgeCounter(two_levels(), backend=FakeBackend(people))
    result = counter.count(np.zeros((240, 320, 3), np.uint8))
    assert result.count == 5
    assert result.boxes is not None
    near = np.abs(result.points[:, None, :2] - np.array(people)).max(2).min(1)
    assert near.max() <= 12  # of a cell's middle: the three that stand together have one each
