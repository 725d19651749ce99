"""Results as other libraries take them."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import warnings
from typing import Any

import numpy as np
import pytest

from edgecount import ConfigError, CountResult, MissingExtraError


def make(points: Any, **changes: Any) -> CountResult:
    values: dict[str, Any] = {
        "count": float(len(points)),
        "density_count": None,
        "peak_count": len(points),
        "points": np.array(points, np.float32).reshape(-1, 3),
        "density": np.zeros((0, 0), np.float32),
        "density_stride_xy": (0.0, 0.0),
        "regions": {},
        "overflow": False,
        "size": (1000, 500),
        "model": "tiny",
        "backend": "fake",
    }
    return CountResult(**(values | changes))


CROWD = [(100, 50, 0.9), (110, 50, 0.8), (120, 50, 0.7), (900, 400, 0.6)]


BOXES = np.array([(x - 5, y - 6, x + 5, y + 6) for x, y, _ in CROWD], np.float32)


def import_or_skip(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages that it imports
        return pytest.importorskip(name, reason=f"pip install {name}")


class TestSupervision:
    @pytest.fixture(autouse=True)
    def sv(self) -> Any:
        return import_or_skip("supervision")

    def test_heads_are_squares_around_their_points(self, sv: Any) -> None:
        found = make(CROWD, source="a.jpg", frame=3).to_supervision(radius=np.float32(7))
        assert isinstance(found, sv.Detections)
        np.testing.assert_allclose(found.xyxy[0], [93, 43, 107, 57])
        np.testing.assert_allclose(found.get_anchors_coordinates(sv.Position.CENTER)[3], [900, 400])
        np.testing.assert_allclose(found.confidence, [0.9, 0.8, 0.7, 0.6])
        assert list(found.class_id) == [0] * 4
        assert list(found["class_name"]) == ["head"] * 4
        assert (list(found["source"]), list(found["frame"])) == (["a.jpg"] * 4, [3] * 4)
        assert len(found[found.confidence > 0.75]) == 2

    def test_squares_are_smaller_where_heads_stand_close(self) -> None:
        boxes = make(CROWD).to_supervision().xyxy
        sides = boxes[:, 2] - boxes[:, 0]
        # 20, 10, 20 px and far to the second nearest; at least 0.6% of the side, at most 3%.
        np.testing.assert_allclose(sides, [16, 12, 16, 60], atol=0.01)
        lone = make(CROWD[:1]).to_supervision().xyxy[0]
        np.testing.assert_allclose(lone, [70, 20, 130, 80], atol=0.01)

    def test_measured_boxes_are_taken_as_they_are(self) -> None:
        made = make(CROWD, boxes=BOXES)
        found = made.to_supervision()
        np.testing.assert_array_equal(found.xyxy, BOXES)
        found.xyxy[:] = 0  # of the caller
        assert made.boxes is not None
        assert made.boxes.any()
        np.testing.assert_allclose(made.to_supervision(radius=7).xyxy[0], [93, 43, 107, 57])

    def test_nobody(self, sv: Any) -> None:
        found = make([], source="a.jpg").to_supervision()
        assert len(found) == 0
        assert len(sv.Detections.merge([found, make(CROWD, source="b").to_supervision()])) == 4

    def test_its_zones_count_them(self, sv: Any) -> None:
        polygon = np.array([(0, 0), (115, 0), (115, 400), (0, 400)])
        zone = sv.PolygonZone(polygon, triggering_anchors=[sv.Position.CENTER])
        assert zone.trigger(make(CROWD).to_supervision()).tolist() == [True, True, False, False]

    @pytest.mark.parametrize("radius", [0, -1, float("nan"), "7"])
    def test_refuses_a_radius_that_is_none(self, radius: Any) -> None:
        with pytest.raises(ConfigError, match="radius: expected pixels above 0"):
            make(CROWD).to_supervision(radius=radius)


def test_supervision_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingExtraError, match='run  pip install "supervision"'):
        make(CROWD).to_supervision()


def test_coco_s_results() -> None:
    found = make(CROWD[:2]).to_coco(42)
    assert json.loads(json.dumps(found)) == [
        {"image_id": 42, "category_id": 1, "keypoints": [100.0, 50.0, 2], "score": 0.9},
        {"image_id": 42, "category_id": 1, "keypoints": [110.0, 50.0, 2], "score": 0.8},
    ]
    assert make([]).to_coco(1) == []
    assert make(CROWD).to_coco(np.int64(7), category_id=3)[0]["image_id"] == 7
    json.dumps(make(CROWD).to_coco(np.int64(7)))  # type: ignore[arg-type]
    for options in ({"image_id": None}, {"image_id": 1.5}, {"image_id": 1, "category_id": True}):
        with pytest.raises(ConfigError, match=r"_id: expected a COCO id, a whole number, got"):
            make(CROWD).to_coco(**options)  # type: ignore[arg-type]


def test_coco_s_results_have_measured_boxes() -> None:
    found = make(CROWD[:1], boxes=BOXES[:1]).to_coco(42)
    assert json.loads(json.dumps(found)) == [
        {
            "image_id": 42, "category_id": 1, "keypoints": [100.0, 50.0, 2], "score": 0.9,
            "bbox": [95.0, 44.0, 10.0, 12.0],
        }
    ]  # fmt: skip
    assert make([], boxes=BOXES[:0]).to_coco(1) == []


@pytest.mark.parametrize("kind", ["keypoints", "bbox"])
def test_pycocotools_evaluates_them(kind: str) -> None:
    coco, cocoeval = (import_or_skip(f"pycocotools.{name}") for name in ("coco", "cocoeval"))
    truth = coco.COCO()
    truth.dataset = {
        "images": [{"id": 42, "width": 1000, "height": 500}],
        "categories": [{"id": 1, "name": "person", "keypoints": ["head"], "skeleton": []}],
        "annotations": [
            {
                "id": index + 1, "image_id": 42, "category_id": 1, "iscrowd": 0, "area": 400.0,
                "bbox": [x - 5, y - 6, 10, 12], "keypoints": [x + 0.3, y, 2], "num_keypoints": 1,
            }
            for index, (x, y, _) in enumerate(CROWD)
        ],
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        results = make(CROWD, boxes=BOXES if kind == "bbox" else None).to_coco(42)
        evaluation = cocoeval.COCOeval(truth, truth.loadRes(results), kind)
        evaluation.params.kpt_oks_sigmas = np.array([0.1])
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, 0, 0, -1]  # at OKS 0.5, of all sizes
    assert precision.mean() == pytest.approx(1)
