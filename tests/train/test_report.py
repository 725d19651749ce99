"""The page and its pictures, with all there can be and with as little."""

import dataclasses
import re
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from edgecount import CountResult
from edgecount.errors import ConfigError, MissingExtraError, OutputError
from edgecount.runtime.pipeline.job import Outcome
from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.evaluation import Evaluation, ImageRecord, evaluate_counter
from edgecount.train.report import write_report
from edgecount.train.report.charts import (
    _draw_series,
    curves,
    errors_by_level,
    level_name,
    scatter,
)
from edgecount.train.report.pictures import (
    FOUND,
    MISSED,
    TRUTH,
    WRONG,
    choose,
    draw_density,
    draw_heads,
)
from edgecount.train.report.style import new_figure


class Counter:
    """One person at the centre of any image, by the maps asked for."""

    manifest = SimpleNamespace(name="one & only", training={}, output=lambda _: None)
    backend = SimpleNamespace(name="none")

    def __init__(self, *, density=True, points=True, interval=None):
        self.density, self.points, self.interval = density, points, interval

    def count(self, image):
        height, width = image.shape[:2]
        density = np.zeros((height // 8, width // 8), np.float32)
        density[height // 16, width // 16] = 1.0
        return CountResult(
            count=1.0,
            density_count=1.0 if self.density else None,
            peak_count=1 if self.points else None,
            points=np.array([[width / 2, height / 2, 0.9]], np.float32)[: int(self.points)],
            density=density if self.density else density[:0, :0],
            density_stride_xy=(8.0, 8.0) if self.density else (0.0, 0.0),
            regions={},
            overflow=False,
            size=(width, height),
            model="one",
            backend="none",
            interval=self.interval,
        )

    def count_each(self, images):
        return (Outcome(self.count(image())) for image in images)


def annotated(folder, name, points):
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), np.full((64, 64, 3), 120, np.uint8))
    points = np.array(points, np.float32).reshape(-1, 2)
    return Sample(path, points, np.full(len(points), 6, np.float32))


LOG = [
    {"step": 10, "density": 4.0, "heatmap": 0.2, "seconds_per_step": 0.5},
    {"step": 20, "density": 3.0, "heatmap": float("nan"), "seconds_per_step": 0.5},
    {"step": 20, "validation": "a/b <set>", "mae": 12.0, "rmse": 20.0},
]


def report(tmp_path, counter, sets, log=None):
    evaluations = {name: evaluate_counter(counter, samples) for name, samples in sets.items()}
    page = write_report(
        tmp_path / "out", evaluations, counter=counter, samples=sets, log=log, title="A <run>"
    )
    return page, page.read_text(encoding="utf-8")


def test_a_page_has_everything_in_itself_and_its_pictures_beside_it(tmp_path):
    sets = {
        "a/b <set>": [annotated(tmp_path, f"i{n}", [[5 + 9 * n, 8]] * n) for n in range(5)],
        "second": [annotated(tmp_path, "x", [[32, 32]])],
    }
    page, text = report(tmp_path, Counter(), sets, LOG)
    assert page == tmp_path / "out" / "report.html"
    assert {path.name for path in page.parent.iterdir()} == {
        "report.html",
        "curves.png",
        "1-a-b-set-scatter.png",
        "1-a-b-set-levels.png",
        "1-a-b-set-worst-1.jpg",
        "1-a-b-set-worst-2.jpg",
        "1-a-b-set-worst-3.jpg",
        "1-a-b-set-best-1.jpg",
        "1-a-b-set-best-2.jpg",
        "2-second-scatter.png",
        "2-second-levels.png",
        "2-second-worst-1.jpg",
    }
    for path in page.parent.glob("*.[pj][np]g"):
        assert cv2.imread(str(path)) is not None
    assert "A &lt;run&gt;" in text
    assert "a/b &lt;set&gt;" in text
    assert "one &amp; only" in text
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 11
    assert all(source.startswith("data:image/") for source in sources)
    assert "http" not in text


@pytest.mark.parametrize(("density", "points"), [(True, False), (False, True)])
def test_a_model_with_one_kind_of_map_and_a_single_image_have_a_page(tmp_path, density, points):
    counter = Counter(density=density, points=points)
    page, text = report(tmp_path, counter, {"one": [annotated(tmp_path, "x", [[30, 30]])]})
    assert not (page.parent / "curves.png").exists()
    assert ("Head points" in text) == points
    assert ("False recognition</td>" in text) == density
    assert "GAME(3)" in text


def test_a_set_without_people_has_a_dash_as_its_nae(tmp_path):
    _, text = report(tmp_path, Counter(), {"nobody": [annotated(tmp_path, "x", [])]})
    assert "<td>1.00</td>\n<td>\N{EN DASH}</td><td>+1.00</td>" in text


def test_an_interval_has_its_coverage_on_the_page(tmp_path):
    sets = {"s": [annotated(tmp_path, f"i{n}", [[5 + 9 * n, 8]] * n) for n in range(3)]}
    _, text = report(tmp_path, Counter(interval=(0.5, 1.25)), sets)
    assert "<td>Images inside</td><td>33.3%</td>" in text
    assert "<td>Width, of the count</td><td>0.75</td>" in text
    _, without = report(tmp_path, Counter(), sets)
    assert "Images inside" not in without


def test_average_precision_is_on_the_page_where_it_was_measured(tmp_path):
    sample = annotated(tmp_path, "a", [[32.0, 32.0]])
    counter = Counter()
    for candidates, shown in ((None, False), (Counter(), True)):
        evaluation = evaluate_counter(counter, [sample], candidates=candidates)
        page = write_report(
            tmp_path / str(shown), {"a": evaluation}, counter=counter, samples={}, title="ranked"
        )
        text = page.read_text()
        assert ("<h3>Average precision</h3>" in text) is shown
        assert ("<tr><td>points, 4 to 16 px</td><td>1.000</td>" in text) is shown
        assert "half its short side" in text
        assert "1 to 100 px, mean" in text


def test_an_empty_image_alone_has_a_page(tmp_path):
    _, text = report(tmp_path, Counter(), {"none": [annotated(tmp_path, "x", [])]})
    assert "x: 0 people, 1.0 estimated (+1.0)" in text


def test_a_set_whose_samples_are_not_given_has_numbers_and_no_images(tmp_path):
    evaluation = evaluate_counter(Counter(), [annotated(tmp_path, "x", [[30, 30]])])
    page = write_report(
        tmp_path / "out", {"one": evaluation}, counter=Counter(), samples={}, title="t"
    )
    assert not list(page.parent.glob("*.jpg"))


def test_samples_that_were_not_evaluated_are_an_error(tmp_path):
    samples = [annotated(tmp_path, "x", [[30, 30]])]
    evaluation = evaluate_counter(Counter(), samples)
    with pytest.raises(ConfigError, match="samples of one: expected the 1"):
        write_report(
            tmp_path / "out",
            {"one": evaluation},
            counter=Counter(),
            samples={"one": samples * 2},
            title="t",
        )


def test_heads_outside_of_the_picture_are_drawn_at_most_in_part(tmp_path):
    heads = [[32, -6], [-40, -30], [1e8, 20], [20, -1e8], [30, 30], [12, 40]]
    _, text = report(tmp_path, Counter(), {"one": [annotated(tmp_path, "x", heads)]})
    assert "x: 6 people, 1.0 estimated" in text
    sample = annotated(tmp_path, "x", heads)
    boxes = np.concatenate([sample.points - 3, sample.points + 3], axis=1)
    for case in (sample, dataclasses.replace(sample, boxes=boxes)):
        picture = draw_heads(sample.image(), Detector().count(sample.image()), case)
        assert colours(picture) >= {FOUND, MISSED}


NAMES = ["a$x_{$b", "_hidden", "n\udcffm", "\u7fa4\u4f17 \U0001f600", "n" * 245, "\u7fa4" * 80]


@pytest.mark.parametrize("name", NAMES, ids=["math", "underscore", "byte", "signs", "long", "wide"])
def test_a_set_may_have_any_name(tmp_path, name):
    log = [{"step": 1, "validation": name, "mae": 2.0}]
    page, text = report(tmp_path, Counter(), {name: [annotated(tmp_path, "x", [])]}, log)
    assert f"<h2>{name.replace(chr(0xDCFF), chr(92) + 'xff')}</h2>" in text
    assert len(list(page.parent.iterdir())) == 5


def test_the_curves_name_every_set(tmp_path):
    axes = new_figure(5, 3).add_subplot()
    _draw_series(axes, {name: {1: 2.0, 2: 1.0} for name in ["$5 to $6", *NAMES]})
    texts = axes.get_legend().get_texts()
    squares = "\N{WHITE SQUARE}\N{WHITE SQUARE}"
    assert [text.get_text() for text in texts[:4]] == ["$5 to $6", "a$x_{$b", "_hidden", "n\\xffm"]
    assert texts[4].get_text().startswith(f"{squares} ")
    assert texts[5].get_text() == "n" * 29 + "\N{HORIZONTAL ELLIPSIS}"
    assert not any(text.get_parse_math() for text in texts)


def test_the_density_of_a_small_image_is_not_covered(tmp_path):
    image = np.full((160, 200, 3), 120, np.uint8)
    picture = draw_density(image, Counter().count(image))
    assert picture.shape == (512, 640, 3)
    changed = (picture != 120).any(2)
    assert changed[256, 320]  # the person
    assert changed[440:, :200].any()  # the legend
    changed[440:, :200] = False
    changed[200:312, 264:376] = False
    assert not changed.any()


def test_rows_of_points_say_what_they_were_held_against(tmp_path):
    sample = annotated(tmp_path, "x", [[32, 32]])
    boxes = np.array([[29, 29, 35, 35]], np.float32)
    for case, row in (
        (sample, "the head&#39;s size, guessed from its neighbours"),
        (dataclasses.replace(sample, boxes=boxes), "the head&#39;s box"),
    ):
        _, text = report(tmp_path, Counter(), {"one": [case]})
        assert f"<tr><td>{row}</td><td>1.000</td>" in text


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match=r"cannot write the report in .*out"):
        report(tmp_path, Counter(), {"one": [annotated(tmp_path, "x", [])]})


def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        MissingExtraError, match=r"matplotlib is needed to draw.*edgecount\[train\]"
    ):
        curves(LOG)


def test_a_log_without_numbers_has_no_curves():
    assert curves([]) is None
    assert curves([{"step": 1, "loss": float("inf"), "seconds_per_step": 1.0}]) is None


def test_charts_are_pictures_whatever_the_counts(tmp_path):
    for counts in ([0], [1, 40, 2000]):
        records = [ImageRecord("x", tmp_path, true, 1.1 * true) for true in counts]
        for drawn in (scatter(Evaluation(records)), errors_by_level(Evaluation(records))):
            assert drawn.startswith(b"\x89PNG")


def test_a_level_is_named_by_its_range():
    assert level_name({"lowest": 3.0, "highest": 12.0}) == "3 to 12"
    assert level_name({"lowest": 3.0, "highest": 3.0}) == "3"


def test_the_worst_are_absolute_and_the_best_relative(tmp_path):
    counts = [(100, 110), (10, 12), (0, 0), (50, 50), (1000, 1001), (20, 60)]
    images = [ImageRecord("x", tmp_path, true, float(found)) for true, found in counts]
    assert choose(images, worst=2, best=3) == ([5, 0], [3, 4, 1])
    assert choose(images[:1]) == ([0], [])


def colours(picture):
    return set(map(tuple, picture.reshape(-1, 3).tolist()))


def test_heads_are_marked_by_what_became_of_them(tmp_path):
    counter = Counter()
    cases = [
        ([[33, 33]], {FOUND}),
        ([[8, 8]], {MISSED, WRONG}),
        ([], {WRONG}),
        ([[32, 32], [8, 8]], {FOUND, MISSED}),
    ]
    for points, expected in cases:
        sample = annotated(tmp_path, "x", points)
        picture = draw_heads(sample.image(), counter.count(sample.image()), sample)
        assert max(picture.shape) == 640
        assert colours(picture) & {FOUND, MISSED, WRONG} == expected


class Detector(Counter):
    """Two boxes of 8 x 8 px in any image: one at its centre, one in a corner."""

    manifest = SimpleNamespace(
        name="boxes", training={}, output=lambda role: role == "boxes" or None
    )
    boxes = ((28, 28, 36, 36), (50, 4, 58, 12))

    def __init__(self):
        super().__init__(density=False)

    def count(self, image):
        boxes = np.array(self.boxes, np.float32)
        points = np.full((2, 3), 0.9, np.float32)
        points[:, :2] = (boxes[:, :2] + boxes[:, 2:]) / 2
        result = super().count(image)
        return dataclasses.replace(result, count=2.0, peak_count=2, points=points, boxes=boxes)


def ring(left, top, right, bottom):
    """Return where the outline of a box, px of an image of 64, lies in its picture of 640."""
    inside = np.zeros((640, 640), bool)
    inside[10 * top : 10 * bottom, 10 * left : 10 * right] = True
    inside[10 * top + 1 : 10 * bottom - 1, 10 * left + 1 : 10 * right - 1] = False
    return inside


def test_boxes_are_drawn_where_the_model_gives_them(tmp_path):
    sample = annotated(tmp_path, "x", [[32, 33], [12, 40]])
    boxes = np.array([[26, 27, 38, 39], [8, 36, 16, 44]], np.float32)
    result = Detector().count(sample.image())
    picture = draw_heads(sample.image(), result, dataclasses.replace(sample, boxes=boxes))
    for box, colour in (
        ((28, 28, 36, 36), FOUND),
        ((26, 27, 38, 39), TRUTH),
        ((8, 36, 16, 44), MISSED),
        ((50, 4, 58, 12), WRONG),
    ):
        found = (picture[ring(*box)] == colour).all(1)
        assert found.mean() > 0.8, box
    # the wrong one alone is crossed out
    assert tuple(picture[80, 540]) == WRONG
    assert tuple(picture[320, 320]) == tuple(picture[400, 120]) == (120, 120, 120)


def test_heads_without_boxes_that_a_detector_misses_are_squares(tmp_path):
    sample = annotated(tmp_path, "x", [[32, 32], [12, 40]])
    picture = draw_heads(sample.image(), Detector().count(sample.image()), sample)
    assert colours(picture) >= {FOUND, MISSED, WRONG}
    assert (picture[ring(28, 28, 36, 36)] == FOUND).all(1).mean() > 0.8
    yellow = np.argwhere((picture == MISSED).all(2)) / 10
    assert np.abs(yellow - (40, 12)).max() < 2


def test_the_page_of_a_detector_speaks_of_boxes(tmp_path):
    _, text = report(tmp_path, Detector(), {"one": [annotated(tmp_path, "x", [[32, 32]])]})
    assert "box of a head found" in text
    assert "From boxes" in text
    assert "head found</span>" in text
    assert "point without a head" not in text
    _, text = report(tmp_path, Counter(), {"one": [annotated(tmp_path, "x", [[32, 32]])]})
    assert "point without a head" in text
    assert "box without a head" not in text


def test_scales_stand_beside_the_true_pyramid(tmp_path):
    torch = pytest.importorskip("torch")
    from edgecount.manifest import Manifest
    from edgecount.train.evaluate.torch_backend import counter_for
    from edgecount.train.models import build_model
    from edgecount.train.report.scales import scale_maps
    from edgecount.train.targets.density import density_map

    torch.manual_seed(0)
    network = build_model("hsrnet", {"width": 0.1}).eval()
    sample = annotated(tmp_path, "i", [[9 + 7 * n, 30] for n in range(5)])
    found = scale_maps(network, sample)
    assert [title for title, _, _ in found] == ["density", *(f"scale {i}" for i in range(1, 6))]
    density = density_map(sample.points, 64, 64)
    for (_, truth, _), window in zip(found, (1, 1, 2, 4, 8, 16), strict=True):
        cells = 64 // window
        means = density.reshape(cells, window, cells, window).mean((1, 3))
        # at the middle of a square of four windows it is their mean
        for row, column in ((1, 1), (cells // 2, cells // 2)):
            place = truth[
                row * window - 1 : row * window + 1, column * window - 1 : column * window + 1
            ]
            around = means[row - 1 : row + 1, column - 1 : column + 1]
            if window > 1:
                assert place.mean() == pytest.approx(around.mean(), rel=1e-4, abs=1e-9)
        assert truth.sum() == pytest.approx(5.0, rel=1e-4)
    pixels = (
        torch.full((1, 3, 64, 64), 120.0) - torch.tensor(network.input.mean)[:, None, None]
    ) * (torch.tensor(network.input.scale)[:, None, None])
    with torch.no_grad():
        maps = network(pixels)
    np.testing.assert_allclose(found[0][2], maps.density[0, 0], atol=1e-6)
    np.testing.assert_allclose(found[5][2], maps.auxiliary["scales"][4][0, 0], atol=1e-6)
    manifest = Manifest("h", "1", "a density", input=network.input, outputs=network.outputs)
    with counter_for(network, manifest) as counter:
        page, text = report(tmp_path, counter, {"one": [sample]})
    assert cv2.imread(str(page.parent / "1-one-scales.png")) is not None
    assert "<h3>Scales</h3>" in text
