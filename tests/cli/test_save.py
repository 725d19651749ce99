"""`count --save`: what is written, and what is never overwritten."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_overlay_of_each_image(run, files, tmp_path):
    files.image("in/a.png", 2)
    files.image("in/b.jpg", 2)
    files.image("in/c.bmp", 2)
    result = run("count", tmp_path / "in", "--save", tmp_path / "new" / "out")
    assert (result.exit_code, result.stderr) == (0, "")
    out = tmp_path / "new" / "out"
    assert names(out) == ["a.overlay.png", "b.overlay.jpg", "c.overlay.png"]
    assert cv2.imread(str(out / "a.overlay.png")).shape == (240, 320, 3)


def test_overlays_of_the_same_name_do_not_meet(run, files, tmp_path):
    sources = [files.image(f"{folder}/a.png", 1) for folder in ("left", "right", "x/right")]
    sources.append(files.image("left/a.bmp", 1))
    run("count", *sources, "--save", tmp_path / "out")
    assert names(tmp_path / "out") == [
        "a.overlay.png",
        "left-a.overlay.png",
        "right-a-2.overlay.png",
        "right-a.overlay.png",
    ]


def test_the_same_source_twice(run, files, tmp_path):
    path = files.image("a.png", 1)
    run("count", path, path, "--save", tmp_path / "out")
    assert len(names(tmp_path / "out")) == 2


def test_existing_overlays_are_kept_unless_asked(run, files, tmp_path):
    path = files.image("a.png", 1)
    out = tmp_path / "out"
    run("count", path, "--save", out)
    (out / "a.overlay.png").write_text("mine")
    result = run("count", path, "--save", out)
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr
    assert result.stdout == ""  # before any work
    assert (out / "a.overlay.png").read_text() == "mine"
    assert run("count", path, "--save", out, "--overwrite").exit_code == 0
    assert cv2.imread(str(out / "a.overlay.png")) is not None


def test_a_source_is_never_overwritten(run, files, tmp_path):
    first = files.image("a.png", 1)
    second = files.image("a.overlay.png", 2)
    before = second.read_bytes()
    result = run("count", first, second, "--save", tmp_path, "--overwrite")
    assert result.exit_code == 1
    assert "one of the sources" in result.stderr
    assert second.read_bytes() == before


def test_saving_beside_the_sources(run, files, tmp_path):
    path = files.image("a.png", 1)
    before = path.read_bytes()
    assert run("count", path, "--save", tmp_path).exit_code == 0
    assert path.read_bytes() == before
    assert (tmp_path / "a.overlay.png").is_file()


def test_folder_that_cannot_be_made(run, files, tmp_path):
    path = files.image("a.png", 1)
    result = run("count", path, "--save", path / "out")
    assert result.exit_code == 1
    assert "cannot" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_bad_file_leaves_no_overlay(run, files, tmp_path):
    files.image("in/a.png", 1)
    (tmp_path / "in" / "b.png").write_text("hello")
    run("count", tmp_path / "in", "--save", tmp_path / "out")
    assert names(tmp_path / "out") == ["a.overlay.png"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rtsp://user:secret@10.0.0.7:554/live/door", "door.overlay.mp4"),
        ("http://10.0.0.7", "10.0.0.overlay.mp4"),
        ("camera 0", "camera-0.overlay.mp4"),
        ("/dev/video1", "video1.overlay.mp4"),
    ],
)
def test_names_of_streams_hold_no_secret(name, expected, tmp_path):
    from edgecount.cli._count.names import plan_outputs

    class Stream:
        is_video = True

        def __init__(self) -> None:
            self.name = name

    paths = plan_outputs([Stream(), Stream()], tmp_path, overwrite=False)
    assert paths[0].name == expected
    assert "secret" not in paths[1].name


def test_layers_are_switches(run, files, tmp_path):
    path = files.image("a.png", 2)
    pictures = []
    for number, args in enumerate([(), ("--draw", "heat,points"), ("--draw", "points")]):
        out = tmp_path / str(number)
        assert run("count", path, "--save", out, *args).exit_code == 0
        pictures.append(cv2.imread(str(out / "a.overlay.png")))
    assert all((pictures[i] != pictures[j]).any() for i, j in ((0, 1), (1, 2), (0, 2)))
    wrong = run("count", path, "--save", tmp_path / "x", "--draw", "boxes")
    assert (wrong.exit_code, len(wrong.stderr.splitlines())) == (2, 1)
    assert wrong.stderr.startswith("edgecount: error: --draw: expected names of heat, points,")
    assert run("count", path, "--draw", "heat").exit_code == 2
    assert "map, got 'boxes'" in wrong.stderr
    raised = run("count", path, "--save", tmp_path / "x", "--draw", "alarm")
    assert raised.exit_code == 2
    assert raised.stderr.endswith("count, legend, map, got 'alarm'\n")


@pytest.mark.parametrize(
    ("layer", "flag", "value"),
    [
        ("map", "--ground", "0,0;9,0;9,9;0,9=3x3"),
        ("regions", "--region", "left:0,0;160,0;160,240;0,240"),
        ("lines", "--line", "door:50%,100%;50%,0%"),
    ],
)
def test_a_layer_needs_what_it_shows(run, files, tmp_path, layer, flag, value):
    sources = files.image("a.png", 2), files.video("c.avi", [1])
    asked = ("count", *sources, "--save", tmp_path / "x", "--draw", f"heat,{layer}")
    result = run(*asked)
    assert result.exit_code == 2
    assert f"--draw {layer} shows " in result.stderr
    assert result.stderr.endswith(f": pass {flag} too\n")
    assert not (tmp_path / "x").exists()
    assert run(*asked, flag, value).exit_code == 0


def test_colours_of_a_clip_stay(run, files, tmp_path, monkeypatch):
    from edgecount.cli._count import saving

    drawn, scales = saving.draw_overlay, []

    def draw(frame, result, **options):
        scales.append((options["scale"].top, options["time"]))
        return drawn(frame, result, **options)

    monkeypatch.setattr(saving, "draw_overlay", draw)
    assert run("count", files.video("c.avi", [1, 30, 2]), "--save", tmp_path / "o").exit_code == 0
    assert [time for _, time in scales] == pytest.approx([0, 0.1, 0.2])
    assert len({top for top, _ in scales}) == 1


def test_table_and_overlays_are_two_paths(run, files, tmp_path):
    path = files.image("a.png", 1)
    result = run("count", path, "--save", tmp_path / "out", "--csv", f"{tmp_path}/x/../out")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "--csv and --save: expected two different paths" in line
    assert names(tmp_path) == ["a.png"]
