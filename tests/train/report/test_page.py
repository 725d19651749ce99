"""The page, with all there can be and with as little."""

import dataclasses
import re

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


from edgecount.errors import ConfigError, OutputError
from edgecount.train.evaluate.evaluation import evaluate_counter
from edgecount.train.report import write_report
from reported import LOG, NAMES, Counter, Detector, annotated, report


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


@pytest.mark.parametrize("name", NAMES, ids=["math", "underscore", "byte", "signs", "long", "wide"])
def test_a_set_may_have_any_name(tmp_path, name):
    log = [{"step": 1, "validation": name, "mae": 2.0}]
    page, text = report(tmp_path, Counter(), {name: [annotated(tmp_path, "x", [])]}, log)
    assert f"<h2>{name.replace(chr(0xDCFF), chr(92) + 'xff')}</h2>" in text
    assert len(list(page.parent.iterdir())) == 5


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


def test_the_page_of_a_detector_speaks_of_boxes(tmp_path):
    _, text = report(tmp_path, Detector(), {"one": [annotated(tmp_path, "x", [[32, 32]])]})
    assert "box of a head found" in text
    assert "From boxes" in text
    assert "head found</span>" in text
    assert "point without a head" not in text
    _, text = report(tmp_path, Counter(), {"one": [annotated(tmp_path, "x", [[32, 32]])]})
    assert "point without a head" in text
    assert "box without a head" not in text
