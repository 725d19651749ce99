"""`edgecount data check`: what a set has, and what is odd in it."""

import json
import struct

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from click.testing import CliRunner
from PIL import Image

from edgecount.cli import cli
from edgecount.errors import OutputError
from edgecount.train.data.check import check_samples
from edgecount.train.data.readers import read_samples
from edgecount.train.data.sheet import draw_sheet


def run(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def paint(path, seed, *, grey=False):
    colours = np.random.default_rng(seed).integers(0, 256, (48, 64, 1 if grey else 3), np.uint8)
    cv2.imwrite(str(path), colours)


@pytest.fixture
def odd(tmp_path):
    """Write a set with one image of every oddity, and a fine one with 2 people."""
    folder = tmp_path / "set"
    (folder / "again").mkdir(parents=True)
    names = ("fine", "grey", "outside", "twice", "broken", "nobody", "again/fine")
    for seed, name in enumerate(names):
        paint(folder / f"{name}.png", seed, grey=name == "grey")
    (folder / "same.png").write_bytes((folder / "fine.png").read_bytes())
    _, data = cv2.imencode(".jpg", cv2.imread(str(folder / "fine.png")))
    exif = b"Exif\0\0II" + struct.pack("<HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (folder / "turned.jpg").write_bytes(data[:2].tobytes() + segment + data[2:].tobytes())
    (folder / "cut.jpg").write_bytes(data[: len(data) // 2].tobytes())
    plain = ["fine.png", "grey.png", "same.png", "again/fine.png", "turned.jpg", "cut.jpg"]
    rows = [f"{name},10,20,4,4\n" for name in plain]
    rows += ["fine.png,30,20,4,4\n", "nobody.png,,,,\n"]
    rows += ["outside.png,65,20,4,4\n", "outside.png,66,20,4,4\n", "outside.png,-9,20,40,4\n"]
    rows += ["twice.png,10,20,4,4\n"] * 3
    rows += ["broken.png,10,20,0,4\n", "broken.png,20,20,4,-4\n", "broken.png,30,30,3,3\n"]
    (folder / "heads.csv").write_text("".join(rows))
    return folder


def test_every_oddity_is_found(odd):
    found = check_samples(read_samples("csv", odd))
    assert found.images == 10
    assert found.people == {"total": 16, "min": 0, "median": 1, "mean": 1.6, "max": 3}
    assert found.histogram == {"0": 1, "1": 5, "2-4": 4}
    assert found.sizes == {"64x48": 8, "48x64": 1}
    assert found.boxes == 9
    assert {kind: set(names) for kind, names in found.odd.items()} == {
        "unreadable": {"cut"},
        "grey": {"grey"},
        "rotated": {"turned"},
        "points_outside": {"outside"},
        "duplicate_points": {"twice"},
        "broken_boxes": {"broken", "outside"},
        "duplicate_images": {"same"},
        "same_names": {"fine"},
        "empty": {"nobody"},
    }
    # 65 is within 1 px of the right edge; of the boxes only that around 66 begins outside.
    assert found.odd["points_outside"]["outside"] == "2"
    assert found.odd["broken_boxes"] == {"broken": "1", "outside": "1"}
    assert found.odd["duplicate_points"]["twice"] == "2"
    assert found.odd["duplicate_images"]["same"] == "fine"
    assert "truncated" in found.odd["unreadable"]["cut"]


def test_the_command_prints_people_and_oddities(odd, tmp_path):
    result = run("data", "check", odd, "--reader", "csv", "--sheet", tmp_path / "sheet.png")
    assert result.exit_code == 1  # one cannot be read
    assert "10 images, 16 people: 0 to 3 in an image" in result.stdout
    assert "unreadable (1)" in result.stdout
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] > 1000
    (odd / "cut.jpg").write_bytes((odd / "turned.jpg").read_bytes())
    result = run("data", "check", odd, "--reader", "csv", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["odd"]["duplicate_images"] == {"same": "fine", "turned": "cut"}


def test_a_set_without_oddities(shanghaitech):
    result = run("data", "check", shanghaitech, "--reader", "shanghaitech")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:3] == [
        "2 images, 35 people: 5 to 30 in an image, median 17.5, mean 17.50",
        "points, no boxes",
        "sizes 128x96 (2)",
    ]
    assert "(1)" not in result.stdout


def test_mistakes_are_one_line(shanghaitech, tmp_path):
    result = run("data", "check", shanghaitech, "--reader", "shangai")
    assert result.exit_code == 2
    assert "expected one of shanghaitech" in result.stderr
    sheet = tmp_path / "sheet.gif"
    result = run("data", "check", shanghaitech, "--reader", "shanghaitech", "--sheet", sheet)
    assert result.exit_code == 2
    assert "--sheet: expected a .png or .jpg" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_sheet_does_not_replace_a_picture_of_the_set(tmp_path):
    picture = tmp_path / "set" / "a.png"
    picture.parent.mkdir()
    cv2.imwrite(str(picture), np.zeros((48, 64, 3), np.uint8))
    (picture.parent / "points.csv").write_text("image,x,y\na.png,5,5\n")
    before = picture.read_bytes()
    asked = ("data", "check", picture.parent, "--reader", "csv", "--sheet")
    result = run(*asked, picture)
    assert result.exit_code == 1
    assert "a.png is a picture of the set: name another file" in result.stderr
    assert picture.read_bytes() == before
    for sheet in (tmp_path / "sheet.png", picture.parent / "sheet.png"):
        for _ in range(2):  # its own may be replaced
            assert run(*asked, sheet).exit_code == 0
    of_table = ("data", "check", picture.parent / "points.csv", "--reader", "csv", "--sheet")
    assert run(*of_table, picture).exit_code == 1
    assert picture.read_bytes() == before


def test_a_sheet_that_cannot_be_written_is_refused_before_the_images_are_read(
    shanghaitech, tmp_path, monkeypatch
):
    def count(*_, **__):
        raise AssertionError("the images were read")

    monkeypatch.setattr("edgecount.train.data.check.check_samples", count)
    (tmp_path / "file").touch()
    for sheet, code, message in (
        ("sheet.gif", 2, "--sheet: expected a .png or .jpg, got sheet.gif"),
        ("file/sheet.png", 1, "file is no folder: choose another --sheet"),
    ):
        result = run("data", "check", shanghaitech, "--sheet", tmp_path / sheet)
        assert result.exit_code == code
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["sheet.jpeg", "SHEET.JPG", "Sheet.Png"])
def test_a_sheet_may_have_every_usual_suffix(shanghaitech, tmp_path, name):
    result = run("data", "check", shanghaitech, "--sheet", tmp_path / name)
    assert result.exit_code == 0, result.output
    assert cv2.imread(str(tmp_path / name)) is not None


def test_the_report_comes_before_a_sheet_that_fails(shanghaitech, tmp_path, monkeypatch):
    def fill(*_):
        raise OutputError("cannot write sheet.png: No space left on device")

    monkeypatch.setattr("edgecount.cli._count.saving.write_whole", fill)
    result = run("data", "check", shanghaitech, "--sheet", tmp_path / "sheet.png")
    assert result.exit_code == 1
    assert "2 images, 35 people" in result.stdout
    assert "No space left" in result.stderr


def test_a_sheet_shows_boxes_dots_regions_and_what_cannot_be_read(odd, shanghaitech):
    samples = read_samples("csv", odd)
    sheet = draw_sheet(samples, number=4)
    assert sheet.shape[0] > 600  # 4 tiles in rows of 3
    (fine,) = [sample for sample in samples if sample.path == odd / "fine.png"]
    alone = draw_sheet([fine])
    green = (alone == (60, 255, 60)).all(axis=2)
    # boxes of 4 px at 6.25 times their size, and nothing inside
    rows, columns = np.nonzero(green)
    assert columns.max() - columns.min() == pytest.approx(24 * 6.25, abs=2)
    assert not green[(rows.min() + rows.max()) // 2, columns.min() + 5]
    points = draw_sheet(read_samples("shanghaitech", shanghaitech)[:1])
    assert (points == (60, 255, 60)).all(axis=2).any()


def test_the_help_says_what_every_reader_reads():
    from edgecount.cli._types.readers import READERS as LINES
    from edgecount.train.data.readers import READERS

    assert set(LINES) == set(READERS)
    for command in (["data"], ["data", "check"], ["data", "boxes"], ["eval"], ["adapt"]):
        lines = run(*command, "--help").output.splitlines()
        first = {line.split()[0]: line for line in lines if line.strip()}
        assert all(first[name].endswith(layout) for name, layout in LINES.items())


def test_what_is_left_out_is_said_with_numbers(tmp_path):
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        paint(tmp_path / name, seed)
    (tmp_path / "h.csv").write_text("image,x,y,label\na.png,1,2,head\na.png,3,4,dog\n")
    result = run("data", "check", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stderr == f"edgecount: {tmp_path} is read with --reader csv\n"
    lines = result.stdout.splitlines()
    assert "classes counted: head (1)" in lines
    assert "left out: heads of class dog (1)" in lines
    assert "    b.png (left out), c.png (left out)" in lines
    found = json.loads(run("data", "check", tmp_path, "--unannotated", "empty", "--json").stdout)
    assert (found["images"], found["left_out"]) == (3, {"heads of class dog": 1})
    assert found["odd"]["unannotated"] == {"b.png": "taken as empty", "c.png": "taken as empty"}
    result = run("data", "check", tmp_path, "--unannotated", "error")
    assert result.exit_code == 1
    assert "--unannotated skip leaves them out" in result.stderr


def test_another_size_than_annotated_is_said_and_is_an_error(tmp_path):
    paint(tmp_path / "a.png", 0)
    (tmp_path / "h.csv").write_text("image,x,y,image_width,image_height\na.png,1,2,32,24\n")
    result = run("data", "check", tmp_path)
    assert result.exit_code == 1
    assert "    a (h.csv says 32x24, the image is 64x48)" in result.stdout.splitlines()


def test_some_images_of_a_large_set_are_read(odd):
    found = check_samples(read_samples("csv", odd), most=3)
    assert (found.images, found.read, sum(found.sizes.values())) == (10, 3, 3)
    assert "3 of the 10 images were read" in run("data", "check", odd, "--images", 3).stdout


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_turned_files_of_every_format_are_listed(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    Image.new("RGB", (40, 20)).save(tmp_path / "images" / f"a.{suffix}", exif=exif)
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.25 0.1 0.1\n")
    samples = read_samples("yolo", tmp_path)
    np.testing.assert_allclose(samples[0].points, [[10, 10]])
    found = check_samples(samples)
    assert found.sizes == {"20x40": 1}
    assert found.odd["rotated"] == {"a": "orientation 6"}
    assert "points_outside" not in found.odd


def test_damaged_and_large_files_are_read_where_they_are_allowed(odd):
    result = run("data", "check", odd, "--reader", "csv")
    assert result.exit_code == 1
    assert "--accept-damaged" in result.stdout
    accepted = run("data", "check", odd, "--reader", "csv", "--accept-damaged")
    assert accepted.exit_code == 0
    assert "unreadable" not in accepted.stdout
    small = run("data", "check", odd, "--reader", "csv", "--max-pixels", 99)
    assert small.exit_code == 1
    assert "--max-pixels" in small.stdout
