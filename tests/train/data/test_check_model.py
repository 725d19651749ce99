"""`edgecount data check --model`: annotations that a count speaks against."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from click.testing import CliRunner

from edgecount.cli import cli
from edgecount.cli._data.suspects import lines_of
from edgecount.models import model_path
from edgecount.scenes import render_scene
from edgecount.train.data.readers import read_samples
from edgecount.train.data.readers.samples import from_points
from edgecount.train.data.sheet import Found, draw_sheet
from edgecount.train.evaluate.annotation_errors import AnnotationErrors, Suspect

GREEN, PINK = (60, 255, 60), (255, 110, 255)


def run(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def shows(picture, colour):
    return bool((picture == colour).all(axis=2).any())


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Write rendered scenes: nobody, 8 and 24 people, and 24 of whom every third is annotated."""
    folder = tmp_path_factory.mktemp("scenes")
    rows = ["image,x,y"]
    for name, people, step in (("empty", 0, 1), ("few", 8, 1), ("fine", 24, 1), ("half", 24, 3)):
        scene = render_scene(people, size=(480, 360), seed=people + 1, light="day")
        cv2.imwrite(str(folder / f"{name}.png"), scene.image)
        rows += [f"{name}.png,{x},{y}" for x, y in scene.points[::step].tolist()]
        rows += [] if people else [f"{name}.png"]
    (folder / "heads.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture
def marked(tmp_path, squares):
    """Write two pictures of four white squares: all are annotated, and one; and a damaged file."""
    corners = [(16, 16), (64, 16), (16, 64), (64, 64)]
    rows = ["image,x,y,w,h"]
    for name, number in (("all", 4), ("one", 1)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), squares(128, 96, *corners))
        rows += [f"{name}.png,{x + 4},{y + 4},8,8" for x, y in corners[:number]]
    (tmp_path / "cut.png").write_bytes(b"no picture")
    (tmp_path / "heads.csv").write_text("\n".join([*rows, "cut.png,4,4,8,8"]))
    return tmp_path


def test_the_picture_whose_heads_lack_is_listed_alone(scenes):
    result = run("data", "check", scenes, "--reader", "csv", "--model", "edgecount-s")
    assert result.exit_code == 0, result.output
    *_, head, line = result.stdout.splitlines()
    assert head == "annotation probably incomplete or wrong, by edgecount-s (1 of 4 images)"
    assert line.startswith("    half: 8 annotated, ")
    assert "heads found where none is annotated" in line
    assert "annotated, " not in run("data", "check", scenes, "--reader", "csv").stdout


def test_json_has_the_numbers(scenes, tmp_path):
    shutil.copy(model_path("edgecount-s"), tmp_path / "own.onnx")
    options = ("data", "check", scenes, "--reader", "csv", "--json")
    found = json.loads(run(*options, "--model", tmp_path / "own.onnx").stdout)
    assert found["people"]["total"] == 40
    errors = found["annotation_errors"]
    assert (errors["model"], errors["images"], errors["heads"]) == ("edgecount-s", 4, 40)
    assert errors["blind"] is False
    (half,) = errors["suspects"]
    assert (half["name"], half["annotated"]) == ("half", 8)
    assert half["path"] == str(scenes / "half.png")
    assert half["count"] == pytest.approx(24, abs=5)
    assert half["interval"][0] > 8
    assert 8 <= half["clear"] <= half["unannotated"] <= 18
    assert half["reasons"] == ["too_few", "unannotated"]
    assert "annotation_errors" not in json.loads(run(*options).stdout)


def test_a_picture_that_cannot_be_read_stays_an_error(marked, tiny_model):
    result = run("data", "check", marked, "--reader", "csv", "--model", tiny_model)
    assert result.exit_code == 1
    assert result.stdout.count("cut (") == 1
    assert result.stdout.splitlines()[-3].startswith("1 of 3 images could not be counted by tiny: ")
    assert result.stdout.splitlines()[-2:] == [
        "annotation probably incomplete or wrong, by tiny (1 of 2 images)",
        "    one: 1 annotated, 4.0 counted; 3 heads found where none is annotated, 3 of them clear",
    ]
    (marked / "cut.png").write_bytes((marked / "all.png").read_bytes())
    result = run("data", "check", marked, "--reader", "csv", "--model", tiny_model)
    assert result.exit_code == 0
    assert "(2 of 3 images)" in result.stdout


def test_where_nothing_could_be_counted_nothing_is_called_fine(marked, tiny_model):
    for name in ("all", "one"):
        (marked / f"{name}.png").write_bytes(b"no picture")
    options = ("data", "check", marked, "--reader", "csv", "--model", tiny_model)
    result = run(*options)
    assert result.exit_code == 1
    assert "finds no annotation" not in result.stdout
    line = result.stdout.splitlines()[-1]
    assert line.startswith("3 of 3 images could not be counted by tiny: ")
    assert line.count("all.png") == 1
    errors = json.loads(run(*options, "--json").stdout)["annotation_errors"]
    assert (errors["images"], errors["suspects"], errors["blind"]) == (0, [], False)
    assert [one["name"] for one in errors["failed"]] == ["all", "cut", "one"]
    assert "all.png" in errors["failed"][0]["reason"]


def test_what_fails_in_counting_alone_is_an_error(marked, tiny_model, monkeypatch):
    (marked / "cut.png").write_bytes((marked / "all.png").read_bytes())

    def fail(result, sample, clear):
        raise ValueError("no map")

    options = ("data", "check", marked, "--reader", "csv", "--model", tiny_model)
    assert run(*options).exit_code == 0
    monkeypatch.setattr("edgecount.train.evaluate.annotation_errors.compare", fail)
    result = run(*options)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == (
        f"3 of 3 images could not be counted by tiny: {marked / 'all.png'}: ValueError: no map"
    )
    assert result.stderr.count("ValueError: no map") == 3


def test_some_images_are_counted(marked, tiny_model):
    options = ("data", "check", marked, "--reader", "csv", "--images", 1, "--json")
    errors = json.loads(run(*options, "--model", tiny_model).stdout)["annotation_errors"]
    assert (errors["images"], errors["heads"], errors["suspects"]) == (1, 4, [])


def test_a_density_map_says_people(marked, make_model):
    model = make_model(roles=("density",))
    result = run("data", "check", marked, "--reader", "csv", "--model", model)
    assert result.stdout.splitlines()[-1] == (
        "    one: 1 annotated, 4.0 counted; 3 people by density where nobody is annotated"
    )


def test_the_sheet_shows_the_listed_picture_first_with_both_colours(marked, tiny_model, tmp_path):
    options = ("data", "check", marked, "--reader", "csv", "--sheet")
    assert run(*options, tmp_path / "plain.png").exit_code == 1
    assert not shows(cv2.imread(str(tmp_path / "plain.png")), PINK)
    run(*options, tmp_path / "sheet.png", "--model", tiny_model)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    first, others = sheet[6:306, 6:406], sheet[:, 412:]
    assert shows(first, PINK)
    assert shows(first, GREEN)
    assert not shows(others, PINK)


def test_the_caption_of_a_long_name_keeps_its_numbers(marked):
    samples = read_samples("csv", marked)
    (one,) = [sample for sample in samples if sample.path.name == "one.png"]
    object.__setattr__(one, "name", "n" * 200)
    points = np.array([[20, 20, 1], [68, 20, 1]], np.float32)
    found = {one: Found(2.0, points, np.array([False, True]))}
    sheet = draw_sheet(samples, number=1, found=found)
    assert sheet.shape[1] == 412  # one tile
    strip = sheet[308:326].astype(int)
    green = (strip[..., 1] - strip[..., 0] > 60) & (strip[..., 1] - strip[..., 2] > 60)
    pink = (strip[..., 0] - strip[..., 1] > 60) & (strip[..., 2] - strip[..., 1] > 60)
    assert green.any()
    assert pink.any()
    assert not pink[:, -5:].any()


def test_mistakes_are_one_line_before_the_images_are_read(marked):
    result = run("data", "check", marked, "--reader", "csv", "--model", "edgecount-x")
    assert result.exit_code == 1
    assert "edgecount-x" in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    for option in (("--backend", "onnxruntime"), ("--max-side", "native")):
        result = run("data", "check", marked, "--reader", "csv", *option)
        assert result.exit_code == 2
        assert f"{option[0]}: expected with --model" in result.stderr


def suspects(number, images, **values):
    """Make the report of a set of which each listed picture has 5 of 10 heads annotated."""
    sample = from_points(Path("a.png"), np.zeros((5, 2)))
    points, alone = np.zeros((10, 3), np.float32), np.arange(10) >= 5
    one = Suspect(sample, 10.0, (7.0, 14.0), 5, 0, 1, points, alone)
    return AnnotationErrors(
        **{"model": "m", "images": images, "heads": 100, "unseen": 2, "blind": False} | values,
        suspects=[one] * number,
        failed=[],
    )


def test_ten_pictures_are_printed_and_the_others_counted():
    lines = list(lines_of(suspects(12, 100)))
    assert lines[0] == "annotation probably incomplete or wrong, by m (12 of 100 images)"
    line = (
        "    a: 5 annotated, 10.0 counted (likely 7.0 to 14.0); 5 heads found where none is "
        "annotated, none of them clear; 1 head annotated where the model sees nobody"
    )
    assert lines[1:11] == [line] * 10
    assert lines[11:] == ["    and 2 more: --json lists all"]


def test_a_model_that_hardly_suits_the_pictures_is_told():
    assert list(lines_of(suspects(0, 9))) == [
        "m finds no annotation of 9 images that is probably incomplete or wrong"
    ]
    assert "so many annotations are seldom wrong" in list(lines_of(suspects(3, 20)))[-1]
    assert "seldom" not in list(lines_of(suspects(2, 4)))[-1]
    assert "seldom" not in list(lines_of(suspects(3, 21)))[-1]
    assert list(lines_of(suspects(3, 5, unseen=21, blind=True)))[-1] == (
        "caution: m sees nobody near 21 of the 100 annotated heads: it hardly suits these images"
    )
