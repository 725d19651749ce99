"""Overlays: every frame size and kind, and each layer where it belongs."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount import ConfigError, InputError, NV12Frame, PixelFrame
from edgecount.analytics import Alarm, AlarmRule, GroundPlane, Line
from edgecount.drawing import LAYERS, GroundView, HeatScale, draw_ground_map, draw_overlay
from edgecount.drawing._heat import paint_heat
from edgecount.drawing._labels import Box, Run, label_box
from edgecount.drawing._marks import draw_points, ring_radii
from edgecount.regions import Region
from edgecount.result import CountResult, RegionCount


def make_result(
    size: tuple[int, int],
    points: list[tuple[float, float]] | None = None,
    *,
    density: NDArray[np.float32] | None = None,
    cell: float = 8.0,
    regions: dict[str, float] | None = None,
    overflow: bool = False,
) -> CountResult:
    listed = np.array([(x, y, 0.9) for x, y in points or []], np.float32).reshape(-1, 3)
    grid = np.zeros((0, 0), np.float32) if density is None else density
    return CountResult(
        count=float(grid.sum()),
        density_count=float(grid.sum()),
        peak_count=len(listed),
        points=listed,
        density=grid,
        density_stride_xy=(cell, cell) if grid.size else (0.0, 0.0),
        regions={name: RegionCount(name, n, n, n) for name, n in (regions or {}).items()},
        overflow=overflow,
        size=size,
        model="tiny",
        backend="fake",
    )


def grid_for(size: tuple[int, int], value: float = 0.0, cell: float = 8.0) -> NDArray[np.float32]:
    width, height = size
    return np.full((int(np.ceil(height / cell)), int(np.ceil(width / cell))), value, np.float32)


SIZES = [(1, 1), (1, 300), (300, 1), (7, 5), (64, 64), (97, 61), (640, 480), (1920, 1080)]


@pytest.mark.parametrize("size", SIZES)
def test_any_size_gives_a_picture_of_that_size(size: tuple[int, int]) -> None:
    width, height = size
    frame = np.full((height, width, 3), 90, np.uint8)
    region = Region("gate", [(0, 0), (1, 0), (1, 1)], fractions=True)
    result = make_result(
        size, [(width / 2, height / 2)], density=grid_for(size, 0.2), regions={"gate": 1.0}
    )
    overlay = draw_overlay(frame, result, regions=[region])
    assert overlay.shape == frame.shape
    assert overlay.dtype == np.uint8
    assert (frame == 90).all()  # the frame is left alone
    assert (overlay != frame).any()


def test_heads_outside_of_the_frame_are_marked_as_those_at_its_border() -> None:
    outside = np.array([(-40, -30), (60, -12), (-9, 40), (1e8, 50), (70, -3e38)], np.float32)
    border = np.array([(0, 0), (60, 0), (0, 40), (79, 50), (70, 0)], np.float32)
    np.testing.assert_array_equal(ring_radii((80, 60), outside), ring_radii((80, 60), border))
    result = make_result((80, 60), [(x, y) for x, y in outside.tolist()])
    frame = np.full((60, 80, 3), 90, np.uint8)
    np.testing.assert_array_equal(draw_overlay(frame, result, layers=["points"]), frame)


def test_8k_frame_with_a_dense_crowd() -> None:
    size = (7680, 4320)
    points = np.random.default_rng(0).uniform((0, 0), size, (20_000, 2))
    result = make_result(size, [(x, y) for x, y in points], density=grid_for(size, 0.1))
    overlay = draw_overlay(np.zeros((4320, 7680, 3), np.uint8), result)
    assert overlay.shape == (4320, 7680, 3)


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 1), (48, 64, 4)])
def test_grey_and_bgra_frames(shape: tuple[int, ...]) -> None:
    overlay = draw_overlay(np.full(shape, 120, np.uint8), make_result((64, 48), [(20, 20)]))
    assert overlay.shape == (48, 64, 3)


def test_frames_in_nv12_and_other_orders_are_drawn_over() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)
    rgb = PixelFrame(pixels[:, :, ::-1], "rgb")
    planes = np.random.default_rng(4).integers(0, 256, (72, 64), np.uint8)
    as_bgr = cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_NV12)
    result = make_result((64, 48), [(20, 20)])
    assert (draw_overlay(rgb, result) == draw_overlay(pixels, result)).all()
    nv12 = draw_overlay(NV12Frame.from_buffer(planes), result)
    assert (nv12 == draw_overlay(as_bgr, result)).all()


def test_a_frame_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError):
        draw_overlay(np.zeros((8, 8, 3), np.float32), make_result((8, 8)))  # type: ignore[arg-type]


def test_empty_street_is_left_as_it_was_shot() -> None:
    frame = np.random.default_rng(1).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    noise = make_result((128, 96), density=grid_for((128, 96), 0.001))
    painted = paint_heat(frame, noise, HeatScale.fit(noise))
    assert np.abs(painted.astype(int) - frame).max() <= 1


def centre_of_heat(
    density: NDArray[np.float32], size: tuple[int, int], cell: float
) -> tuple[float, float]:
    """Find the hottest place, x and y in continuous pixels."""
    frame = np.full((size[1], size[0], 3), 128, np.uint8)
    painted = paint_heat(frame, make_result(size, density=density, cell=cell), HeatScale(10.0))
    change = np.abs(painted.astype(float) - frame).sum(axis=2)
    y, x = np.nonzero(change > 0.9 * change.max())
    return x.mean() + 0.5, y.mean() + 0.5


def test_heat_lies_over_its_cell() -> None:
    density = grid_for((160, 96))
    density[5, 12] = 1.0  # covers x in 96..104, y in 40..48
    assert centre_of_heat(density, (160, 96), 8.0) == pytest.approx((100, 44), abs=0.6)


def test_grid_that_reaches_past_the_frame_is_not_squeezed() -> None:
    density = grid_for((100, 100), cell=12.0)  # 9 columns and rows span 108 px of 100
    density[4, 4] = 1.0  # covers 48..60 on both axes
    assert centre_of_heat(density, (100, 100), 12.0) == pytest.approx((54, 54), abs=0.6)


def test_denser_is_hotter() -> None:
    levels = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        frame = np.full((32, 32, 3), 100, np.uint8)
        result = make_result((32, 32), density=np.full((4, 4), value * 0.64, np.float32))
        painted = paint_heat(frame, result, HeatScale(100.0))  # 1 person in 8 x 8 px is 156
        levels.append(int(painted[16, 16, 2]))
    assert levels == sorted(set(levels))


def fit(people_per_100_px: float, size: tuple[int, int] = (640, 480), cell: float = 8.0) -> float:
    density = grid_for(size, people_per_100_px * cell * cell / 1e4, cell)
    return HeatScale.fit(make_result(size, density=density, cell=cell)).top


@pytest.mark.parametrize(
    ("people", "top"), [(0.0, 20.0), (15.0, 20.0), (21.0, 30.0), (33.0, 40.0), (900.0, 1000.0)]
)
def test_scale_is_a_round_number_that_covers(people: float, top: float) -> None:
    assert fit(people) == pytest.approx(top)


def test_scale_knows_no_cells() -> None:
    """People per area are the same whatever the network's stride."""
    assert fit(70.0, cell=8.0) == fit(70.0, cell=4.0) == fit(70.0, cell=11.3)


def test_scale_of_a_sparse_frame_is_that_of_its_size() -> None:
    tops = [fit(people, (1920, 1080)) for people in (0.0, 0.5, 2.0)]
    assert tops == [tops[0]] * 3


def test_one_dense_spot_does_not_decide_the_scale() -> None:
    density = grid_for((640, 480))
    density[0, 0] = 1.0
    assert HeatScale.fit(make_result((640, 480), density=density)).top == fit(0.0)


def test_dots_lie_at_sub_pixel_positions() -> None:
    canvas = np.full((100, 100, 3), 128, np.uint8)
    draw_points(canvas, np.array([[40.5, 60.5, 1.0]], np.float32))
    y, x = np.nonzero((canvas != 128).any(axis=2))
    assert x.mean() == pytest.approx(40, abs=0.2)  # pixel 40 covers 40..41
    assert y.mean() == pytest.approx(60, abs=0.2)


def test_boxes_are_drawn_in_place_of_dots() -> None:
    frame = np.full((120, 160, 3), 128, np.uint8)
    boxes = np.array([[40, 30, 80, 90]], np.float32)
    made = dataclasses.replace(make_result((160, 120), [(60, 60)]), boxes=boxes)
    drawn = draw_overlay(frame, made, layers=["points"])
    y, x = np.nonzero((drawn != 128).any(axis=2))
    assert (x.min() + x.max() + 1) / 2 == pytest.approx(60, abs=0.6)
    assert (y.min() + y.max() + 1) / 2 == pytest.approx(60, abs=0.6)
    assert x.max() - x.min() == pytest.approx(40, abs=8)  # between light and dark lines
    assert y.max() - y.min() == pytest.approx(60, abs=8)
    assert (drawn[36:84, 46:74] == 128).all()  # the head is to be seen


def test_points_on_the_border_are_drawn() -> None:
    canvas = np.full((50, 80, 3), 128, np.uint8)
    draw_points(canvas, np.array([[0, 0, 1], [80, 50, 1]], np.float32))
    assert (canvas[:3, :3] != 128).any()
    assert (canvas[-3:, -3:] != 128).any()


def test_dots_leave_the_head_to_be_seen() -> None:
    canvas = np.full((1080, 1920, 3), 128, np.uint8)
    draw_points(canvas, np.array([[960, 540, 1.0]], np.float32))
    assert 4 <= np.count_nonzero((canvas != 128).any(axis=2)[540]) <= 14


def test_rings_are_smaller_where_heads_stand_close() -> None:
    rng = np.random.default_rng(0)
    dense = rng.uniform(0, 100, (400, 2))
    alone = np.array([[900.0, 700.0]])
    radii = ring_radii((1024, 768), np.concatenate([dense, alone]).astype(np.float32))
    assert radii[:-1].mean() < 0.6 * radii[-1]


def test_no_points_no_density() -> None:
    overlay = draw_overlay(np.zeros((480, 640, 3), np.uint8), make_result((640, 480)))
    assert overlay.any()  # the count's box


def test_region_far_outside_the_frame() -> None:
    region = Region("far", [(1e6, 1e6), (2e6, 1e6), (2e6, 2e6)])
    result = make_result((640, 480), regions={"far": 0.0})
    draw_overlay(np.zeros((480, 640, 3), np.uint8), result, regions=[region])


def test_region_outline_runs_along_its_border() -> None:
    region = Region("half", [(320, 0), (640, 0), (640, 480), (320, 480)])
    overlay = draw_overlay(
        np.zeros((480, 640, 3), np.uint8), make_result((640, 480)), regions=[region]
    )
    assert overlay[300, 320].any()
    assert not overlay[300, 200].any()


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_is_a_switch(layer: str) -> None:
    frame = np.full((480, 640, 3), 90, np.uint8)
    region = Region("gate", [(300, 200), (600, 200), (600, 400)])
    density = grid_for((640, 480), 0.1)
    result = make_result((640, 480), [(320, 300)], density=density, regions={"gate": 3.0})
    without = [one for one in LAYERS if one != layer]
    line = Line("door", (0.3, 1.0), (0.3, 0.0), fractions=True)
    plane = GroundPlane.from_rectangle(
        [(200, 200), (440, 200), (640, 480), (0, 480)], 5, 5, (640, 480)
    )
    alarm = Alarm(AlarmRule(above=2, below=1, enter=0))
    alarm.update(0, 3)
    marks: Any = {"lines": [line], "ground": GroundView(plane), "alarm": alarm}
    whole, none, part, alone = (
        draw_overlay(frame, result, regions=[region], layers=layers, **marks)
        for layers in (LAYERS, (), without, [layer, "heat"])
    )
    assert (none == frame).all()
    assert (part != whole).any()
    assert (alone != frame).any()


def test_regions_are_taken_as_the_counter_takes_them() -> None:
    frame, corners = np.zeros((48, 64, 3), np.uint8), [(5, 5), (40, 5), (40, 40), (5, 40)]
    result = make_result((64, 48))
    expected = draw_overlay(frame, result, regions=[Region("door", corners)])
    assert (draw_overlay(frame, result, regions={"door": corners}) == expected).all()
    assert (draw_overlay(frame, result, regions=None) == draw_overlay(frame, result)).all()


def test_numbers_that_are_none_are_refused() -> None:
    frame, result = np.zeros((48, 64, 3), np.uint8), make_result((64, 48))
    with pytest.raises(ConfigError, match="time: expected seconds, or None, got nan"):
        draw_overlay(frame, result, time=float("nan"))
    plane = GroundPlane.from_rectangle([(9, 9), (50, 9), (60, 40), (2, 40)], 4, 5, size=(64, 48))
    for extent in ((0, 0, 0, 0), (0, 0, 5), (0, 0, float("inf"), 5), (5, 0, 0, 5)):
        with pytest.raises(ConfigError, match="extent: expected left, near, right and far end"):
            GroundView(plane, extent)  # type: ignore[arg-type]
    for width in (0, 95, 10**6, 480.5):
        with pytest.raises(ConfigError, match="width: expected whole pixels, 96 to 16384, got"):
            draw_ground_map(result, GroundView(plane), width=width)  # type: ignore[arg-type]


@pytest.mark.parametrize("layers", ["heat", ["heat", "boxes"], 7, [None]])
def test_unknown_layers_are_refused(layers: object) -> None:
    with pytest.raises(ConfigError, match="layers: expected"):
        draw_overlay(np.zeros((48, 64, 3), np.uint8), make_result((64, 48)), layers=layers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "got None"),
        (7.5, "got a float"),
        (make_result((64, 64)), "expected the frame that was counted, 64 x 64"),
    ],
)
def test_another_result_is_one_clear_error(result: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        draw_overlay(np.zeros((48, 64, 3), np.uint8), result)  # type: ignore[arg-type]


def test_interval_and_time_are_written_where_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgecount.drawing import _overlay

    texts: list[list[str]] = []
    monkeypatch.setattr(
        _overlay,
        "draw_label",
        lambda canvas, runs, box, edge=None: texts.append([run.text for run in runs]),
    )
    for size in ((640, 480), (130, 160)):
        result = dataclasses.replace(make_result(size), interval=(2.4, 7.6))
        frame = np.zeros((size[1], size[0], 3), np.uint8)
        draw_overlay(frame, result, time=3732.25)
    assert texts == [["0.0", "people", "likely 2 to 8", "1:02:12.2"], ["0.0", "people"]]
    for time, text in ((59.94, "0:59.9"), (59.97, "1:00.0"), (3599.97, "1:00:00.0")):
        draw_overlay(np.zeros((480, 640, 3), np.uint8), make_result((640, 480)), time=time)
        assert texts[-1][-1] == text


def test_labels_do_not_cover_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecount.drawing import _overlay

    boxes: list[Box] = []
    monkeypatch.setattr(
        _overlay, "draw_label", lambda canvas, runs, box, edge=None: boxes.append(box)
    )
    regions = [Region(f"door {i}", [(5, 5), (600, 5), (600, 400)]) for i in range(4)]
    counts = {region.name: 3.0 for region in regions}
    draw_overlay(
        np.zeros((480, 640, 3), np.uint8),
        make_result((640, 480), density=grid_for((640, 480), 0.1), regions=counts),
        regions=regions,
    )
    assert len(boxes) == 5
    for i, box in enumerate(boxes):
        assert not any(box.meets(other) for other in boxes[i + 1 :])


def test_a_cut_list_of_points_is_said() -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    whole = draw_overlay(frame, make_result((640, 480), [(300, 300)]))
    cut = draw_overlay(frame, make_result((640, 480), [(300, 300)], overflow=True))
    assert (whole != cut).any()


def test_text_fits_its_box() -> None:
    run = Run("123.4 people", 18)
    box = label_box([run], 10, 10)
    canvas = np.zeros((80, 400, 3), np.uint8)
    run.draw(canvas, box.left, 40)
    columns = np.nonzero(cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY).any(axis=0))[0]
    assert columns.max() < box.right
