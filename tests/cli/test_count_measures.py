"""`count` with --line, --ground and --smooth."""

from __future__ import annotations

import csv
import io

import pytest

from edgecount.analytics import SmoothCount, parse_ground
from edgecount.cli._count.ground import GroundCount
from edgecount.cli._count.measures import Asked, Measured, measured_json
from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.readings import Reading, RegionReading

DOOR = "door:50%,100%;50%,0%"
GROUND = "0,0;320,0;320,240;0,240=8x6"  # 320 x 240 pixels from straight above
HALF = "half:0,0;160,0;160,240;0,240"


def test_json_has_what_is_asked_for_and_nothing_else(run, files, json_lines):
    clip = files.video("c.avi", [2, 4, 4, 4])
    plain = json_lines(run("count", clip, "--json").stdout)
    assert not {"smooth", "smooth_interval", "lines", "ground", "age", "frames_in"} & set(plain[0])
    asked = ("--line", DOOR, "--ground", GROUND, "--smooth", 1, "--region", HALF)
    result = run("count", clip, "--json", *asked)
    assert result.exit_code == 0, result.stderr
    *_, last = json_lines(result.stdout)
    assert last["count"] == plain[-1]["count"]
    assert plain[0]["count"] < last["smooth"] < last["count"]
    assert last["smooth_interval"] is None  # of the tiny model
    assert last["lines"] == {"door": {"in": 0, "out": 0, "net": 0}}
    assert list(last["regions"]) == ["half"]
    ground, half = last["ground"], last["regions"]["half"]
    assert ground["area_m2"] == pytest.approx(48)
    assert ground["count"] == pytest.approx(last["count"], rel=0.02)
    assert ground["per_m2"] == pytest.approx(ground["count"] / 48, abs=1e-3)
    assert ground["level"] == "A"
    assert half["area_m2"] == pytest.approx(24, rel=0.01)
    assert half["per_m2"] == pytest.approx(half["count"] / 24, rel=0.02, abs=1e-3)


def test_the_names_are_those_of_the_service_s_readings():
    health = SourceHealth(SourceState.LIVE, frames_in=9, counted=7, dropped=2, age=0.12345)
    measured = Measured(
        smooth=SmoothCount(0.0, 2.0, (1.00049, 3.0)),
        ground=GroundCount(3.0, 6.0),
        regions={"hall": GroundCount(1.0, 4.0), "sky": None},
        health=health,
    )
    asked = Asked(ground=parse_ground(GROUND), smooth=1.0)
    told = measured_json(
        {"regions": {"hall": {"count": 1.0}, "sky": {"count": 0.0}}}, asked, measured
    )
    assert told == {
        "smooth": 2.0,
        "smooth_interval": [1.0, 3.0],
        "regions": {
            "hall": {"count": 1.0, "area_m2": 4.0, "per_m2": 0.25, "level": "A"},
            "sky": {"count": 0.0, "area_m2": None, "per_m2": None, "level": None},
        },
        "ground": {"count": 3.0, "area_m2": 6.0, "per_m2": 0.5, "level": "C"},
        "age": 0.123,
        "frames_in": 9,
        "dropped": 2,
        "reconnects": 0,
    }
    region = RegionReading(1.0, 1.0, 0.25, "A")
    reading = Reading(
        "door", 0.0, 1.0, None, 2.0, (1.0, 3.0), {"hall": region}, {}, "good", False, health
    )
    of_service = reading.to_dict()
    assert set(told) - {"ground"} <= set(of_service)
    assert set(told["regions"]["hall"]) - {"area_m2"} <= set(of_service["regions"]["hall"])
    assert told["age"] == of_service["age"]


def test_a_table_has_columns_of_its_own_for_each(run, files):
    clip = files.video("c.avi", [2, 4])
    asked = ("--line", DOOR, "--ground", GROUND, "--smooth", 1, "--region", HALF)
    plain = run("count", clip, "--csv", "-", "--region", HALF).stdout
    rows = list(csv.reader(io.StringIO(run("count", clip, "--csv", "-", *asked).stdout)))
    columns = next(csv.reader(io.StringIO(plain)))
    assert rows[0] == [
        *columns,
        *("smooth", "smooth low", "smooth high"),
        *("line door in", "line door out", "line door net"),
        *("ground", "ground per_m2", "ground level"),
        *("region half per_m2", "region half level"),
    ]
    last = dict(zip(rows[0], rows[-1], strict=True))
    assert float(last["ground"]) == pytest.approx(float(last["count"]), rel=0.02)
    assert last["ground level"] == "A"
    assert last["line door in"] == "0.0"


def test_a_line_of_text_has_them_too(run, files):
    clip = files.video("c.avi", [2, 4])
    asked = ("--line", DOOR, "--ground", GROUND, "--smooth", 1, "--region", HALF)
    (line,) = run("count", clip, *asked).stdout.splitlines()
    assert "half 2.5 (0.10 per m2, level A)" in line
    assert "smoothed 2.2 at the end" in line
    assert "line door: 0.0 in, 0.0 out, net +0.0" in line
    assert "on the ground: 3.0 on 48.0 m2, 0.06 per m2, level A" in line


def test_an_image_has_a_ground_and_no_time(run, files, json_lines):
    image, clip = files.image("a.png", 3), files.video("c.avi", [2])
    (line,) = run("count", image, "--ground", GROUND).stdout.splitlines()
    assert "on the ground: 3.0 on 48.0 m2" in line
    first, _ = json_lines(run("count", image, clip, "--line", DOOR, "--smooth", 1, "--json").stdout)
    assert first["smooth"] is None
    assert first["lines"] is None


def test_regions_above_the_horizon_have_no_density(run, files, json_lines):
    ground = "0%,60%;100%,60%;150%,100%;-50%,100%=8x6"
    sky = "sky:0%,0%;100%,0%;100%,100%;0%,100%"
    result = run("count", files.image("a.png", 3), "--ground", ground, "--region", sky, "--json")
    (found,) = json_lines(result.stdout)
    assert found["regions"]["sky"]["per_m2"] is None
    assert found["ground"]["per_m2"] is not None
    assert "'sky' reaches above the horizon of --ground" in result.stderr


def test_overlays_show_lines_and_the_ground(run, files, tmp_path):
    clip = files.video("c.avi", [2, 4], size=(640, 480))
    sizes = []
    for name, asked in (("a", ()), ("b", ("--line", DOOR, "--ground", GROUND))):
        assert run("count", clip, "--save", tmp_path / name, *asked).exit_code == 0
        sizes.append((tmp_path / name / "c.overlay.mp4").stat().st_size)
    assert sizes[1] > sizes[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--line", "door"), "such as door:320,480;320,0"),
        (("--line", "door:1,2;1,2"), "two different ends"),
        (("--line", DOOR, "--line", DOOR), "--line: the name 'door' is given twice"),
        (("--region", HALF, "--region", HALF), "the name 'half' is given twice"),
        (("--ground", "0,0;9,0;9,9;0,9"), "WIDTHxDEPTH"),
        (("--ground", "0,0;9,9;9,0;0,9=3x3"), "convex quadrilateral, in order around it"),
        (("--ground", "0,0;9,0;9,9;0,9=0x3"), "metres"),
        (("--smooth", "0"), "--smooth"),
        (("--smooth", "nan"), "'--smooth': expected seconds above 0, got nan"),
        (("--smooth", "inf"), "'--smooth': expected seconds above 0, got inf"),
        (("--line", "d:nan,0;9,9"), "line d: expected finite numbers, got [nan, 0.0]"),
        (("--ground", "0,0;9,0;nan,9;0,9=3x3"), "corners: expected finite numbers"),
        (("--newest",), "--newest is about cameras and streams"),
        (("--every-frame",), "--every-frame is about cameras and streams"),
        (("--reconnect",), "--reconnect is about cameras and streams"),
        (("--no-reconnect",), "--no-reconnect is about cameras and streams"),
    ],
)
def test_mistakes_are_usage_errors_in_one_line(run, files, options, message):
    result = run("count", files.video("c.avi", [2]), *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert sum("rror" in line for line in result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "options", [("--line", DOOR), ("--smooth", "3"), ("--every", "3"), ("--max-frames", "2")]
)
def test_images_alone_have_no_use_for_options_of_videos(run, files, options):
    image = files.image("a.png", 2)
    result = run("count", image, *options)
    assert result.exit_code == 2
    assert f"{options[0]} is about videos and cameras, and there is none" in result.stderr
    assert run("count", image, files.video("c.avi", [1, 2]), *options).exit_code == 0


def test_a_line_outside_of_the_frame_is_an_error_of_its_source(run, files):
    small, large = files.video("s.avi", [1]), files.video("l.avi", [1], size=(640, 480))
    result = run("count", small, large, "--line", "door:600,0;600,480")
    assert result.exit_code == 1
    (line,) = (line for line in result.stderr.splitlines() if "error" in line)
    assert "s.avi: --line door: lies outside of the frame, which has 320 x 240 pixels" in line
    assert "l.avi" in result.stdout


def test_frames_too_rare_for_a_line_are_told_once(run, files):
    clip = files.video("c.avi", [1] * 90)
    result = run("count", clip, "--line", DOOR, "--every", 4)
    assert result.stderr.count("frames a second") == 1
    assert "lines: 2.5 frames a second are counted, and people who walk need 5" in result.stderr
    assert not run("count", clip, "--line", DOOR, "--every", 2).stderr


def test_all_layers_may_be_asked_for_by_name(run, files, tmp_path):
    image = files.image("a.png", 2)
    for name, asked in (("a", ()), ("b", ("--draw", "all"))):
        assert run("count", image, "--save", tmp_path / name, *asked).exit_code == 0
    first, second = ((tmp_path / name / "a.overlay.png").read_bytes() for name in "ab")
    assert first == second
