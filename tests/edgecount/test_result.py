"""CountResult as JSON."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest

from edgecount._density import LEFT_OUT
from edgecount.result import CountResult, RegionCount, Timings


def make(**changes: Any) -> CountResult:
    values: dict[str, Any] = {
        "count": 2.25,
        "density_count": 2.5,
        "peak_count": 2,
        "points": np.array([[1.23456, 2, 0.912345], [3, 4, 0.5]], np.float32),
        "density": np.ones((2, 2), np.float32),
        "density_stride_xy": (8.0, 8.0),
        "regions": {"gate": RegionCount("gate", 1.5, 1.25, 2.0)},
        "overflow": False,
        "size": (16, 16),
        "model": "tiny",
        "backend": "fake",
        "timings": Timings(preprocess=0.12345, infer=1.0, postprocess=0.5),
    }
    return CountResult(**(values | changes))


def test_fields_of_the_json_object() -> None:
    made = make(source="a.jpg", frame=0, time=1.23456, captured=1.7e9 + 1 / 3, media_time=0.00251)
    parsed = json.loads(json.dumps(made.to_dict()))
    assert parsed == {
        "source": "a.jpg",
        "frame": 0,
        "time": 1.235,
        "captured": "2023-11-14T22:13:20.333Z",
        "media_time": 0.003,
        "size": [16, 16],
        "count": 2.25,
        "interval": None,
        "density_count": 2.5,
        "peak_count": 2,
        "regions": {"gate": {"count": 1.5, "density_count": 1.25, "peak_count": 2.0}},
        "overflow": False,
        "model": "tiny",
        "backend": "fake",
        "precision": "float32",
        "timings_ms": {"preprocess": 0.123, "infer": 1.0, "postprocess": 0.5},
    }


def test_a_result_is_shown_on_one_line_without_its_arrays() -> None:
    assert repr(make()) == (
        "CountResult(count=2.25, interval=None, points=2, density=(2, 2), regions={'gate': 1.5}, "
        "size=(16, 16), source=None, frame=None, model='tiny', backend='fake')"
    )
    regions = {f"r{n}": RegionCount(f"r{n}", 1.0, None, None) for n in range(64)}
    many = np.ones((5000, 3), np.float32)
    shown = repr(make(points=many, regions=regions, interval=(np.float32(1.5), 3.14159)))
    assert "points=5000" in shown
    assert "interval=(1.5, 3.14)" in shown
    assert len(shown) < 300
    without = make(density=LEFT_OUT)
    sent = pickle.loads(pickle.dumps(without))  # noqa: S301
    for one in (without, copy.deepcopy(without), sent):
        assert "density=<density left out>" in repr(one)


def test_interval_as_a_list() -> None:
    assert make(interval=(1.5, 3.25)).to_dict()["interval"] == [1.5, 3.25]


def test_points_as_a_list() -> None:
    listed = make().to_dict(points=True)
    assert listed["points"] == [[1.23, 2.0, 0.9123], [3.0, 4.0, 0.5]]
    assert listed["peak_count"] == 2
    assert "points" not in make().to_dict()
    with pytest.raises(TypeError):
        make().to_dict(True)  # type: ignore[misc]


def test_the_number_of_points_is_that_of_all_found() -> None:
    cut = make(peak_count=900, overflow=True)
    assert cut.to_dict()["peak_count"] == 900
    assert len(cut.to_dict(points=True)["points"]) == 2


def test_without_a_heatmap_points_are_unknown() -> None:
    result = make(peak_count=None, points=np.empty((0, 3), np.float32))
    assert result.to_dict()["peak_count"] is None
    assert result.to_dict(points=True)["points"] is None


def test_boxes_are_listed_beside_the_points() -> None:
    boxes = np.array([[0, 1.00449, 2.5, 3], [2, 2.5, 4, 5.5]], np.float32)
    made = make(boxes=boxes)
    listed = json.loads(json.dumps(made.to_dict(points=True)))
    assert listed["boxes"] == [[0, 1.0, 2.5, 3], [2, 2.5, 4, 5.5]]
    assert "boxes" not in made.to_dict()
    assert "boxes" not in make().to_dict(points=True)
