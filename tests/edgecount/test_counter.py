"""EdgeCounter on real engines: frames of every kind and size, options, regions, streams."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount import EdgeCounter, FakeBackend
from edgecount.errors import BackendError, ConfigError, InputError, ModelError, SourceError
from edgecount.manifest import IntervalSpec, Manifest, OutputSpec, PostprocessSpec
from edgecount.regions import Region
from edgecount.result import CountResult
from edgecount.runtime.backends import Backend
from edgecount.runtime.frames.checked import CheckedFrame
from edgecount.runtime.sources import Frame

Squares = Callable[..., NDArray[np.uint8]]

LEFT = [(0, 0), (100, 0), (100, 200), (0, 200)]
RIGHT = [(100, 0), (300, 0), (300, 200), (100, 200)]
CORNERS = [(16, 16), (80, 80), (200, 160), (288, 192)]


@pytest.fixture
def frame(squares: Squares) -> NDArray[np.uint8]:
    return squares(300, 200, *CORNERS)


def test_everything_that_a_result_says(tiny_model: Path, frame: NDArray[np.uint8]) -> None:
    result = EdgeCounter(tiny_model, regions={"left": LEFT, "right": RIGHT}).count(frame)
    assert result.count == result.density_count == result.peak_count == 4
    assert {name: region.count for name, region in result.regions.items()} == {
        "left": 2,
        "right": 2,
    }
    expected = [(x + 2, y + 2, 1) for x, y in CORNERS]
    np.testing.assert_allclose(result.points, expected, atol=1e-4)
    assert result.points.dtype == np.float32
    assert result.density.shape == (25, 38)
    assert result.density.dtype == np.float32
    assert result.density[2, 2] == 1
    assert result.density_stride_xy == (8, 8)
    assert result.size == (300, 200)
    assert not result.overflow
    assert (result.source, result.frame) == (None, None)
    assert (result.model, result.backend) == ("tiny", "onnxruntime")
    assert all(ms > 0 for ms in result.timings.values())
    json.dumps(result.to_dict(points=True))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (7, 3), (64, 64), (513, 200)])
def test_frames_of_any_size(tiny_model: Path, size: tuple[int, int]) -> None:
    counter = EdgeCounter(tiny_model, regions={"all": [(0, 0), (999, 0), (999, 999), (0, 999)]})
    black = np.zeros((size[1], size[0], 3), np.uint8)
    assert counter.count(black).count == 0
    result = counter.count(black + 255)
    assert result.regions["all"].count == pytest.approx(result.count)
    assert (result.points[:, :2] <= size).all()
    assert result.size == size


def test_a_frame_over_max_side_is_shrunk(tiny_model: Path, squares: Squares) -> None:
    big = np.repeat(np.repeat(squares(512, 256, (16, 16), (400, 200)), 4, 0), 4, 1)
    result = EdgeCounter(tiny_model).count(big)
    assert result.count == pytest.approx(2, rel=1e-5)
    assert result.density_stride_xy == (32, 32)
    # Shrinking blurs a little: which of a square's four cells is the highest is left open.
    np.testing.assert_allclose(result.points[:, :2], [(80, 80), (1616, 816)], atol=9)
    # Squares of 32 x 32 pixels hold 16 cells where nothing is shrunk.
    assert EdgeCounter(tiny_model, max_side=None).count(big).density_count == pytest.approx(32)
    assert EdgeCounter(tiny_model, max_side=1024).count(big).density_count == pytest.approx(8)


def test_every_kind_of_frame(tiny_model: Path, frame: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / "squares.png"
    cv2.imwrite(str(path), frame)
    counter = EdgeCounter(tiny_model)
    grey = frame[:, :, 0]
    forms: list[Any] = [grey, grey[:, :, None], np.dstack([frame, grey]), grey > 0]
    forms += [frame.astype(np.uint16) * 257, frame[:, ::-1][:, ::-1], path, str(path)]
    assert [counter.count(form).count for form in forms] == [4] * len(forms)
    from_file = counter.count(path)
    assert (from_file.source, from_file.frame) == (str(path), 0)


def test_refuses_what_is_no_frame(tiny_model: Path, tmp_path: Path) -> None:
    counter = EdgeCounter(tiny_model)
    with pytest.raises(InputError, match="got float64"):
        counter.count(np.zeros((4, 4, 3)))
    with pytest.raises(SourceError, match="no such file"):
        counter.count(tmp_path / "none.png")


def test_a_batch_may_mix_sizes(tiny_model: Path, squares: Squares) -> None:
    counter = EdgeCounter(tiny_model)
    frames = [squares(64, 64, (8, 8)), squares(200, 100), squares(640, 480, (8, 8), (80, 80))]
    assert [result.peak_count for result in counter.count_batch(frames)] == [1, 0, 2]
    assert counter.count_batch([]) == []
    stacked = np.stack([squares(64, 64, (8, 8)), squares(64, 64)])
    assert [result.peak_count for result in counter.count_batch(stacked)] == [1, 0]
    for one in (frames[0], "frame.png", None, 3):
        with pytest.raises(InputError, match=r"expected several frames, got one: use count\(\)"):
            counter.count_batch(one)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="count_each: expected several frames, got one"):
            counter.count_each(one)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="until: expected a function, got a value of type int"):
        counter.count_each(frames, until=5)  # type: ignore[arg-type]


def test_a_subclass_may_refine_every_result(
    tiny_model: Path, squares: Squares, tmp_path: Path
) -> None:
    class Doubled(EdgeCounter):
        def refine(self, frame: CheckedFrame, result: CountResult) -> CountResult:
            assert frame.size == result.size == (64, 64)
            return dataclasses.replace(result, count=2 * result.count)

    frame = squares(64, 64, (8, 8))
    cv2.imwrite(str(tmp_path / "0.png"), frame)
    counter = Doubled(tiny_model)
    results = [counter.count(frame), *counter.count_batch([frame]), *counter.stream(tmp_path)]
    results += counter.stream_many([tmp_path])
    results += [result for _, result in counter.count_frames([Frame(frame, "mine", 0, 0.0)])]
    assert [result.count for result in results] == [2] * 5


def test_max_side_is_what_frames_are_shrunk_to(tiny_model: Path) -> None:
    counter = EdgeCounter(tiny_model)
    assert counter.max_side == counter.manifest.input.max_side
    assert EdgeCounter(tiny_model, max_side=77).max_side == 77
    assert EdgeCounter(tiny_model, max_side=None).max_side is None
    assert EdgeCounter(tiny_model, max_side="native").max_side is None


def test_closing_lets_what_was_begun_end(tiny_model: Path, squares: Squares) -> None:
    counter = EdgeCounter(tiny_model)

    def frames() -> Any:
        yield squares(64, 64, (8, 8))
        counter.close()
        yield squares(64, 64, (8, 8))

    assert [result.count for result in counter.count_batch(frames())] == [1, 1]
    with pytest.raises(BackendError, match="the counter is closed"):
        counter.count("missing.png")
    with pytest.raises(BackendError, match="the counter is closed"):
        counter.count(squares(64, 64))
    with pytest.raises(BackendError, match="closed"):
        counter.backend.infer({})


@pytest.mark.parametrize(
    ("sources", "timeout", "message"),
    [
        ("clip.mp4", None, r"expected a list of sources, got 'clip.mp4': use stream\(\)"),
        (None, None, "expected a list of sources, got None"),
        (["a"], -1, "timeout: expected seconds"),
        (["a"], float("nan"), "timeout: expected seconds"),
        (["a"], "1", "timeout: expected seconds"),
    ],
)
def test_stream_many_refuses(tiny_model: Path, sources: Any, timeout: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EdgeCounter(tiny_model).stream_many(sources, timeout=timeout)


def test_several_sources_side_by_side(tiny_model: Path, squares: Squares, tmp_path: Path) -> None:
    folders = []
    for name, corners in {"one": [(8, 8)], "two": [(8, 8), (64, 64)]}.items():
        folder = tmp_path / name
        folder.mkdir()
        for index in range(len(corners) + 1):
            cv2.imwrite(str(folder / f"{index}.png"), squares(96, 96, *corners[:index]))
        folders.append(folder)
    counter = EdgeCounter(tiny_model)
    found = [(Path(r.source or "").parent.name, r.count) for r in counter.stream_many(folders)]
    assert found == [("one", 0), ("two", 0), ("one", 1), ("two", 1), ("two", 2)]
    same = [r.count for r in counter.stream_many([folders[1], folders[1]], timeout=5)]
    assert same == [0, 0, 1, 1, 2, 2]


def test_one_source_that_fails_need_not_end_the_others(
    tiny_model: Path, squares: Squares, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), squares(96, 96, (8, 8)))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    counter = EdgeCounter(tiny_model)
    sources = [broken, [tmp_path / "a.png", tmp_path / "b.png"]]
    with pytest.raises(SourceError, match=r"broken\.png"):
        list(counter.stream_many(sources))
    told: list[SourceError] = []
    sources.append(tmp_path / "missing.png")
    assert [r.count for r in counter.stream_many(sources, on_error=told.append)] == [1, 1]
    assert len(told) == 2
    with pytest.raises(SourceError):
        list(counter.stream_many(sources))


def test_results_are_independent_of_later_frames(
    tiny_model: Path, frame: NDArray[np.uint8]
) -> None:
    counter = EdgeCounter(tiny_model)
    first = counter.count(frame)
    kept = first.density.copy(), first.points.copy()
    for _ in range(3):
        counter.count(frame * 0 + 77)
    np.testing.assert_array_equal(first.density, kept[0])
    np.testing.assert_array_equal(first.points, kept[1])


def test_the_frame_is_not_changed(tiny_model: Path, frame: NDArray[np.uint8]) -> None:
    frame.flags.writeable = False
    EdgeCounter(tiny_model).count(frame)


def test_a_smaller_frame_is_not_haunted_by_the_one_before(
    tiny_model: Path, squares: Squares
) -> None:
    counter = EdgeCounter(tiny_model)
    assert counter.count(squares(500, 500, (400, 400))).count == 1
    assert counter.count(squares(90, 50)).count == 0


def test_threshold(tiny_model: Path, frame: NDArray[np.uint8]) -> None:
    dim = (frame * 0.6).astype(np.uint8)
    assert EdgeCounter(tiny_model).count(dim).peak_count == 4
    assert EdgeCounter(tiny_model, threshold=0.7).count(dim).peak_count == 0


def test_a_threshold_is_of_models_that_find_heads(make_manifest: Callable[..., Manifest]) -> None:
    outputs = (OutputSpec("density", "density", 8),)
    plain = PostprocessSpec()
    manifest = dataclasses.replace(make_manifest(), outputs=outputs, postprocess=plain)
    backend = FakeBackend([(20.0, 20.0)], manifest=manifest)
    with pytest.raises(ConfigError, match=r"threshold: expected a model with a heatmap or boxes.*"):
        EdgeCounter(manifest, backend=backend, threshold=0.4)
    EdgeCounter(manifest, backend=backend)


def test_an_interval_is_given_where_it_was_measured(
    make_manifest: Callable[..., Manifest], frame: NDArray[np.uint8]
) -> None:
    spec = IntervalSpec(0.9, below=1.0, above=1.0, floor=2.0, root=0.0, share=0.0, gap=0.0)
    post = PostprocessSpec(interval=spec)
    manifest = dataclasses.replace(make_manifest(), postprocess=post)

    def interval(**options: Any) -> tuple[float, float] | None:
        backend = FakeBackend([(20.0, 20.0)], manifest=manifest)
        result = EdgeCounter(manifest, backend=backend, **options).count(frame)
        return result.interval

    low, high = interval() or (0.0, 0.0)
    assert high > low >= 0
    assert interval(max_side=None) == (low, high)
    assert interval(max_side=max(frame.shape) // 2) is None
    assert interval(threshold=0.7) is None


def test_capacity(tiny_model: Path, frame: NDArray[np.uint8]) -> None:
    result = EdgeCounter(tiny_model, capacity=3).count(frame)
    assert (len(result.points), result.peak_count, result.count) == (3, 4, 4)
    assert result.overflow


def test_regions_may_change_between_frames(tiny_model: Path, frame: NDArray[np.uint8]) -> None:
    counter = EdgeCounter(tiny_model, regions=[Region("left", LEFT)])
    assert list(counter.count(frame).regions) == ["left"]
    counter.regions = {"right": RIGHT, "left": Region("any", LEFT)}
    assert list(counter.count(frame).regions) == ["right", "left"]
    assert counter.regions == (Region("right", RIGHT), Region("left", LEFT))
    counter.regions = None
    assert counter.count(frame).regions == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.0}, r"threshold: expected a number in \[0, 1\)"),
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": "a"}, "threshold: expected a number in .*, got 'a'"),
        ({"threshold": True}, "threshold"),
        ({"max_side": 0}, "max_side: expected a whole number of pixels"),
        ({"max_side": 100.5}, "max_side: expected a whole number of pixels"),
        ({"max_side": "big"}, "max_side: expected a whole number of pixels"),
        ({"backend": "cuda"}, "backend: expected one of auto, tensorrt, .*, got 'cuda'"),
        ({"capacity": 0}, "capacity: expected a whole number, 1 or more"),
        ({"capacity": 2.5}, "capacity: expected a whole number, 1 or more"),
        ({"density": "no"}, "density: expected True or False, got 'no'"),
        ({"accept_damaged": None}, "accept_damaged: expected True or False, got None"),
        ({"rebuild": "no"}, "rebuild: expected True, False or a function, got 'no'"),
        ({"max_pixels": 0}, "max_pixels: expected a whole number, 1 or more, got 0"),
        ({"max_pixels": None}, "max_pixels: expected a whole number, 1 or more, got None"),
        ({"regions": 5}, "regions: expected Region objects or a mapping, got 5"),
        ({"threads": -1}, "threads: expected a number from 1 to 1024"),
        ({"threads": 100_000}, "threads: expected a number from 1 to 1024"),
        ({"regions": {"gate": [(0, 0)]}}, "region 'gate': expected three or more points"),
    ],
)
def test_options_are_checked(tiny_model: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EdgeCounter(tiny_model, **options)


@pytest.mark.parametrize("model", [None, 5, b"edgecount-s"])
def test_a_model_is_a_name_a_path_or_a_manifest(model: Any) -> None:
    with pytest.raises(ModelError, match="expected a model's name"):
        EdgeCounter(model)


def test_a_region_outside_the_frame_is_logged_once(
    tiny_model: Path, frame: NDArray[np.uint8], caplog: pytest.LogCaptureFixture
) -> None:
    counter = EdgeCounter(tiny_model, regions={"far": np.add(LEFT, 5000)})
    with caplog.at_level(logging.WARNING):
        counts = [counter.count(frame).regions["far"].count for _ in range(3)]
    assert counts == [0, 0, 0]
    assert len(caplog.records) == 1


def test_an_unknown_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="unknown model 'edgecuont-s': did you mean"):
        EdgeCounter("edgecuont-s")


def test_a_model_of_one_size(make_model: Callable[..., Path], squares: Squares) -> None:
    counter = EdgeCounter(make_model(static_size=(128, 256)))
    assert counter.count(squares(256, 128, (8, 8), (248, 120))).count == 2
    assert counter.count(squares(40, 40, (8, 8))).count == 1
    shrunk = counter.count(squares(512, 512, (8, 8)))
    assert shrunk.density.shape == (16, 16)
    with pytest.raises(ConfigError, match="takes only 256 x 128 pixels"):
        EdgeCounter(make_model(static_size=(128, 256)), max_side=None).count(squares(8, 8))


def test_closing_frees_only_an_engine_of_its_own(tiny_model: Path, squares: Squares) -> None:
    with EdgeCounter(tiny_model) as counter:
        counter.count(squares(64, 64))
    with pytest.raises(BackendError, match="closed"):
        counter.count(squares(64, 64))

    class Watched(FakeBackend):
        closed = False

        def close(self) -> None:
            self.closed = True

    mine = Watched()
    EdgeCounter(tiny_model, backend=mine).close()
    assert not mine.closed


def test_a_backend_that_breaks_its_promise_is_named(tiny_model: Path, squares: Squares) -> None:
    class Broken(FakeBackend):
        def infer(self, inputs: Any) -> dict[str, NDArray[Any]]:
            maps = super().infer(inputs)
            maps["density"][0, 0, 0, 0] = np.nan
            return maps

    backend: Backend = Broken()
    with pytest.raises(BackendError, match=r"output 'density' .* of tiny: .*NaN"):
        EdgeCounter(tiny_model, backend=backend).count(squares(64, 64))
