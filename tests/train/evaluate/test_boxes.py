"""Boxes of deployed levels: decoded and suppressed, against plain loops; and what is fitted."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("scipy")

from edgecount.manifest import InputSpec  # noqa: E402
from edgecount.train.data.sample import Sample  # noqa: E402
from edgecount.train.engine import evaluate, predict  # noqa: E402
from edgecount.train.evaluate.boxes import find_boxes  # noqa: E402
from edgecount.train.models.base import Level, Maps  # noqa: E402
from edgecount.train.models.detection.base import Detector, level_outputs  # noqa: E402
from edgecount.train.postprocess.fusion import fit_postprocess  # noqa: E402


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def test_boxes_are_decoded_and_suppressed():
    rng = np.random.default_rng(0)
    outputs = level_outputs((4, 8), 2)
    maps = {}
    for output in outputs:
        side = 32 // output.stride
        shape = (2, side, side) if output.role == "scores" else (8, side, side)
        low, high = (0.0, 1.0) if output.role == "scores" else (-0.2, 3.0)
        maps[output.name] = rng.uniform(low, high, shape).astype(np.float32)
    found = []
    for stride in (4, 8):
        scores, boxes = maps[f"scores_{stride}"], maps[f"boxes_{stride}"]
        for anchor, row, column in np.ndindex(scores.shape):
            left, top, right, bottom = boxes[4 * anchor : 4 * anchor + 4, row, column].tolist()
            x, y = column + 0.5, row + 0.5
            box = [stride * v for v in (x - left, y - top, x + right, y + bottom)]
            visible = max(box[0], 0) < min(box[2], 30) and max(box[1], 0) < min(box[3], 32)
            if scores[anchor, row, column] > 0.3 and visible:
                found.append((float(scores[anchor, row, column]), box))
    kept = []
    for score, box in sorted(found, reverse=True):
        if all(overlap(box, other) <= 0.4 for _, other in kept):
            kept.append((score, box))
    scores, boxes = find_boxes(maps, outputs, (30, 32), threshold=0.3, iou=0.4)
    assert 5 < len(kept) < len(found)
    np.testing.assert_allclose(scores, [score for score, _ in kept], rtol=1e-6)
    np.testing.assert_allclose(boxes, [box for _, box in kept], rtol=1e-5, atol=1e-5)


class Fixed(Detector):
    """A detector that finds a box of 8 px at given cells of stride 8, with given scores."""

    input = InputSpec(multiple=8, min_side=8)

    def __init__(self, cells):
        super().__init__((8,))
        self.cells = cells
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image):
        rows, columns = (side // 8 for side in image.shape[2:])
        logits = torch.full((len(image), 1, rows, columns), -20.0)
        for (row, column), score in self.cells.items():
            logits[:, 0, row, column] = float(np.log(score / (1 - score)))
        boxes = torch.full((len(image), 4, rows, columns), 0.5)
        return Maps(levels=(Level(logits, boxes),))

    def decode(self, boxes, level):
        assert level == 0
        return boxes


@pytest.fixture
def sample(tmp_path):
    path = tmp_path / "street.png"
    cv2.imwrite(str(path), np.zeros((60, 60, 3), np.uint8))
    points = np.array([[12, 12], [28, 28], [44, 20]], np.float32)
    return Sample(path, points, np.full(3, 8, np.float32))


# two heads, a false alarm that scores less, and a cell whose box lies in the padding (60 to 64 px)
CELLS = {(1, 1): 0.9, (3, 3): 0.7, (6, 2): 0.32, (2, 5): 0.37}


def test_validations_count_at_the_best_threshold(sample):
    metrics = evaluate(Fixed(CELLS), [sample])
    assert metrics["mae"] == 0.0
    assert metrics["threshold"] == pytest.approx(0.35)
    assert set(predict(Fixed(CELLS), sample.image())) == {"scores_8", "boxes_8"}


def test_the_threshold_is_fitted_by_matched_centres(sample):
    spec = fit_postprocess(Fixed(CELLS), [[sample]])
    assert spec.threshold == pytest.approx(0.35)
    assert spec.fusion is None


def test_a_region_limits_the_boxes(sample):
    maps = predict(Fixed(CELLS), sample.image())
    outputs = level_outputs((8,), 1)
    region = np.zeros((60, 60), bool)
    region[:, :30] = True
    _, boxes = find_boxes(maps, outputs, (60, 60), region=region)
    assert boxes.tolist() == [[8, 8, 16, 16], [24, 24, 32, 32], [16, 48, 24, 56]]
