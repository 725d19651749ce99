"""Distortions of an image, and the counts of a model under them."""

from types import SimpleNamespace

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
pytest.importorskip("torch")

from edgecount.runtime.pipeline.job import Outcome  # noqa: E402
from edgecount.train.data.readers.samples import from_points  # noqa: E402
from edgecount.train.relay.distortions import DISTORTIONS, measure_distorted  # noqa: E402
from edgecount.train.relay.validation import spread, tables, validate  # noqa: E402


class Bright:
    """A counter that counts a person for every 100 bright pixels, twice over."""

    manifest = SimpleNamespace(training={}, output=lambda _: None)

    def __enter__(self):
        return self

    def count(self, image):
        from edgecount import CountResult

        people = float((image[:, :, 1] > 128).sum()) / 50
        return CountResult(
            count=people,
            density_count=None,
            peak_count=None,
            points=None,
            density=None,
            density_stride_xy=None,
            regions={},
            size=(image.shape[1], image.shape[0]),
            overflow=False,
            model="bright",
            backend="fake",
        )

    def count_each(self, images):
        return (Outcome(self.count(image())) for image in images)


@pytest.fixture
def samples(tmp_path):
    """Two pictures, half of them bright, of 50 people, and one of nobody."""
    made = []
    for number, people in enumerate((50, 50, 0)):
        image = np.full((100, 100, 3), 60, np.uint8)
        image[:, 50:] = 200 if people else 60
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), image)
        made.append(from_points(path, np.full((people, 2), 5.0)))
    return made


def test_every_distortion_keeps_the_image():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    sizes = {"x0.7": (28, 42), "x1.03": (41, 62), "x1.4": (56, 84)}
    for name, distort in DISTORTIONS.items():
        before = image.copy()
        out = distort(image)
        assert out.dtype == np.uint8
        assert out.shape == (*sizes.get(name, (40, 60)), 3)
        assert np.array_equal(image, before)
        assert name == "native" or not np.array_equal(out, image)
    assert DISTORTIONS["blur"](image).std() < image.std() < DISTORTIONS["sharpened"](image).std()


def test_counts_by_distortion(samples):
    found = measure_distorted(Bright(), samples[:2])
    assert found["native"] == pytest.approx(2.0)
    assert found["x1.4"] == pytest.approx(2.0 * 1.96, rel=0.02)


def test_a_report_and_its_table(samples):
    sets = {"streets": samples[:2], "yard": samples[2:]}
    report = validate(Bright(), sets, distorted=1)
    assert report["sets"]["streets"]["mae"] == pytest.approx(50.0)
    assert report["sets"]["streets"]["bias"] == pytest.approx(50.0)
    assert report["sets"]["yard"]["per_megapixel"] == 0.0
    assert report["error"] == pytest.approx(1.0)
    assert set(report["distorted"]) == {"streets"}
    text = tables({"one": report, "two": report})
    assert "| streets: 2, 50.0 | 50.00 (+50.00) | 50.00 (+50.00) | - | - |" in text
    assert "| yard: 1, 0.0 | 0.00 a megapixel |" in text
    assert "| mean of MAE / people | 100.0% | 100.0% |" in text
    widths = {line.count("|") for line in text.split("\n\n")[0].splitlines()}
    assert widths == {6}


def test_images_are_spread_over_a_set(samples):
    assert spread(samples, 9) == samples[:2]
    assert spread([samples[0]] * 5 + [samples[1]] * 5, 2) == [samples[0], samples[1]]
