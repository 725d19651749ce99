"""Crossings that are known, of walkers, of crowds and of people who stand."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from crossings import MIDDLE, SIZE, result_of

from edgecount.analytics import Anchor, Line, LineCounter, parse_line
from edgecount.analytics.tracks import Tracker
from edgecount.errors import ConfigError, InputError
from edgecount.manifest import InputSpec, Manifest, OutputSpec


def walkers(seed, number, seconds, fps, *, speed=60.0, noise=1.5, missed=0.05, standing=0):
    """Yield time and points of people who walk both ways; returns the crossings at the end."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 640, number)
    y = rng.uniform(20, 460, number)
    velocity = rng.choice([-1, 1], number) * rng.uniform(0.6, 1.4, number) * speed
    beside = np.linspace(20, 460, standing) + rng.uniform(-8, 8, standing)
    still = np.column_stack([rng.normal(320, 3, standing), beside])
    into = out = 0
    for step in range(int(seconds * fps)):
        before = x.copy()
        if step:
            x = x + velocity / fps
        into += int(((before >= 320) & (x < 320)).sum())
        out += int(((before < 320) & (x >= 320)).sum())
        gone = (x < -40) | (x > 680)
        velocity[gone] *= -1
        truth = np.concatenate([np.column_stack([x, y]), still])
        seen = truth[rng.random(len(truth)) >= missed]
        yield step / fps, seen + rng.normal(0, noise, seen.shape), (into, out)


@pytest.mark.parametrize("fps", [5, 10, 25])
@pytest.mark.parametrize("number", [6, 25])
def test_walkers_are_counted_both_ways(number, fps):
    into = out = true_into = true_out = 0.0
    for seed in range(3):
        counter = LineCounter([MIDDLE], SIZE)
        for time, points, crossed in walkers(seed, number, 20, fps):
            found, true = counter.update(time, result_of(points))["door"], crossed
        into, out = into + found.into, out + found.out
        true_into, true_out = true_into + true[0], true_out + true[1]
    assert into == pytest.approx(true_into, rel=0.1)
    assert out == pytest.approx(true_out, rel=0.1)
    assert found.dense == 0


def test_people_who_stand_on_the_line_are_nobody():
    counter = LineCounter([MIDDLE], SIZE)
    for time, points, _ in walkers(1, 0, 60, 10, noise=2.0, missed=0.1, standing=12):
        found = counter.update(time, result_of(points))["door"]
    assert (found.into, found.out) == (0.0, 0.0)


@pytest.mark.parametrize("edge", [-16, 16])
def test_people_who_stand_at_the_edge_of_the_band_are_hardly_anybody(edge):
    counter = LineCounter([MIDDLE], SIZE)
    for time, points, _ in walkers(1, 0, 60, 10, noise=2.0, missed=0.1, standing=12):
        found = counter.update(time, result_of(points + np.array([edge, 0])))["door"]
    assert found.into + found.out < 0.5


def test_who_turns_back_has_not_crossed():
    counter = LineCounter([MIDDLE], SIZE)
    for step in range(60):
        x = 280 + 38 * np.sin(step / 30 * np.pi / 2)
        found = counter.update(step / 10, result_of(np.array([[x, 200.0]])))["door"]
    assert found.into == pytest.approx(0, abs=0.05)
    assert found.out == pytest.approx(0, abs=0.05)


def test_lines_have_ends_and_a_direction():
    upper = Line("upper", (320, 0), (320, 200))
    back = Line("back", (0.5, 1.0), (0.5, 0.0), fractions=True)
    counter = LineCounter([upper, MIDDLE, back], SIZE)
    for step in range(80):
        x = 500 - 5.0 * step
        found = counter.update(step / 10, result_of(np.array([[x, 100.0], [x - 10, 400.0]])))
    assert found["upper"].into == pytest.approx(1.0)
    assert found["door"].into == pytest.approx(2.0)
    assert found["door"].net == pytest.approx(2.0)
    assert (found["back"].into, found["back"].out) == (0.0, pytest.approx(2.0))


MANIFEST = Manifest(
    name="tiny",
    version="1",
    description="",
    input=InputSpec(),
    outputs=(OutputSpec("density", "density", 8), OutputSpec("heatmap", "heatmap", 4)),
)


def crowd(seed, spacing, seconds, fps, velocity):
    """Yield pictures and densities of a crowd of textured heads that all walk alike."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(-320, 960, spacing), np.arange(4, 480, spacing))
    x, y = (side.ravel() + rng.uniform(-0.3, 0.3, side.size) * spacing for side in (x, y))
    y, number = np.clip(y, 0, 479), len(x)
    shades = rng.integers(40, 250, (number, 3)).tolist()
    ground = cv2.resize(rng.integers(60, 120, (60, 80, 3), dtype=np.uint8), SIZE)
    crossed = 0
    for step in range(int(seconds * fps)):
        before = x.copy()
        if step:
            x = x + velocity / fps
        crossed += int(((before < 320) != (x < 320)).sum())
        image = ground.copy()
        inside = (x >= 0) & (x < 640)
        for place in np.flatnonzero(inside):
            cv2.circle(image, (round(x[place]), round(y[place])), 7, shades[place], -1)
        cells = (y[inside] // 8).astype(int) * 80 + (x[inside] // 8).astype(int)
        density = np.bincount(cells, minlength=60 * 80).reshape(60, 80).astype(np.float32)
        density = cv2.GaussianBlur(density, (0, 0), 1.0)
        yield step / fps, image, np.column_stack([x, y])[inside], density, crossed


@pytest.mark.parametrize("velocity", [45.0, -80.0])
def test_a_dense_crowd_is_counted_by_its_flow(velocity):
    counter = LineCounter([MIDDLE], SIZE, manifest=MANIFEST)
    for time, image, points, density, crossed in crowd(2, 18, 4, 10, velocity):
        found = counter.update(time, result_of(points, density), image)["door"]
        true = crossed
    assert true > 100
    right, wrong = (found.into, found.out) if velocity < 0 else (found.out, found.into)
    assert right == pytest.approx(true, rel=0.1)
    assert wrong < 0.03 * true
    assert found.dense > 0.5


def test_a_dense_crowd_that_stands_is_nobody():
    counter = LineCounter([MIDDLE], SIZE, manifest=MANIFEST)
    rng = np.random.default_rng(0)
    for time, image, points, density, _ in crowd(3, 20, 3, 10, 0.0):
        noisy = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        moved = points + rng.normal(0, 1, points.shape)
        found = counter.update(time, result_of(moved, density), noisy)["door"]
    assert found.into + found.out < 2


def test_an_anchor_takes_the_drift_away_and_keeps_the_steps():
    rng = np.random.default_rng(4)
    anchor = Anchor(horizon=200.0)
    true, net, errors, steps = 40.0, 0.0, [], []
    for second in range(4000):
        change = float(rng.poisson(0.1)) - float(rng.poisson(0.1)) if true > 5 else 1.0
        true += change
        net += change + 0.02  # one person in fifty seconds too many
        held = anchor.update(float(second), true + rng.normal(0, 6), net=net)
        if second > 1000:
            errors.append(held - true)
            steps.append(abs(held - true - errors[-2]) if len(errors) > 1 else 0.0)
    assert net - true > 30
    assert abs(np.mean(errors)) < 5
    assert np.std(errors) < 2.5  # the count alone has 6
    assert np.mean(steps) < 0.2


def test_an_anchor_bears_gaps_and_what_was_not_counted():
    anchor = Anchor(horizon=60.0)
    assert anchor.update(0.0, None, net=3.0) is None
    assert anchor.update(1.0, 20.0, net=3.0) == 20
    assert anchor.update(2.0, None, net=5.0) == 22
    # Hours later the flow has missed everybody: the count alone holds, and its noise is averaged.
    assert anchor.update(9000.0, 80.0, net=5.0) == 80
    assert anchor.update(9001.0, 90.0, net=5.0) == 90
    assert anchor.update(9002.0, 80.0, net=5.0) == 85
    with pytest.raises(InputError, match="count: expected a finite number of people, got nan"):
        anchor.update(9003.0, np.nan, net=5.0)


def test_without_the_image_heads_alone_are_counted():
    heads = LineCounter([MIDDLE], SIZE)
    both = LineCounter([MIDDLE], SIZE, manifest=MANIFEST)
    for step in range(30):
        x, y = np.meshgrid(np.arange(0, 640, 16) - 5.0 * step, np.arange(8, 480, 16))
        points = np.column_stack([x.ravel(), y.ravel()])
        dense = np.full((60, 80), 0.25, np.float32)
        one = heads.update(step / 10, result_of(points))["door"]
        other = both.update(step / 10, result_of(points, dense))["door"]
    assert other == one
    assert one.into > 100
    blind = replace(result_of(np.zeros((0, 2)), dense), peak_count=None)
    with pytest.raises(InputError, match="image: expected the frame, got None: tiny gives no head"):
        both.update(9.0, blind)


def test_a_gap_of_hours_crosses_nothing():
    counter = LineCounter([MIDDLE], SIZE)
    for time in (0.0, 0.1, 0.2, 7200.0, 7200.1):
        x = 300.0 if time < 1 else 340.0
        found = counter.update(time, result_of(np.array([[x, 200.0]])))["door"]
    assert (found.into, found.out) == (0.0, 0.0)


def test_tracks_keep_their_numbers_through_a_crossing():
    tracker = Tracker(SIZE)
    seen = []
    for step in range(30):
        a, b = np.array([100 + 8 * step, 200.0]), np.array([340 - 8 * step, 230.0])
        steps = tracker.update(step / 10, np.array([a, b] if step % 2 else [b, a]))
        if len(steps.ids):
            seen.append({int(i): tuple(now) for i, now in zip(steps.ids, steps.now, strict=True)})
    assert all(set(one) == {0, 1} for one in seen)
    assert [one[1][1] for one in seen] == [200.0] * len(seen)


@pytest.mark.parametrize("text", ["door:320,480;320,0", " door : 50%,100% ; 50%,0 %"])
def test_lines_as_text(text):
    line = parse_line(text).in_size(SIZE)
    assert (line.name, line.start.tolist(), line.end.tolist()) == ("door", [320, 480], [320, 0])


@pytest.mark.parametrize(
    "text", ["", "door", "door:1,2", ":1,2;3,4", "a:1,2;3,4;5,6", "a:1%,2;3,4"]
)
def test_lines_as_text_show_an_example(text):
    with pytest.raises(ConfigError, match="line: expected NAME:x,y;x,y such as door:320,480;320,0"):
        parse_line(text)


@pytest.mark.parametrize("sway", [1.0, 3.0])
def test_whoever_sways_at_the_end_of_a_line_has_not_crossed_it(sway):
    """Some steps pass beside the end: only where somebody is now says how far he has come."""
    rng = np.random.default_rng(0)
    counter = LineCounter([Line("door", (320, 240), (320, 0))])
    for step in range(6000):
        found = counter.update(step / 10, result_of(rng.normal((320, 240), sway, (1, 2))))["door"]
        assert max(found.into, found.out) <= 0.55
    for step in range(60):  # and goes away on the side where he stood
        at = np.array([[320.0 - 4 * step, 250.0]])
        found = counter.update(600 + step / 10, result_of(at))["door"]
    assert max(found.into, found.out) <= 0.55
    assert isinstance(found.into, float)


def stand_and_go(ways, standing, noise=1.0):
    """The count of one head that goes from place to place, and stands for a while at the first."""
    rng, counter, time = np.random.default_rng(0), LineCounter([Line("d", (320, 240), (320, 0))]), 0
    for number, (start, end) in enumerate(ways):
        steps = int(max(np.hypot(*np.subtract(end, start)) / 4, 1))
        places = [np.array(start) + np.subtract(end, start) * i / steps for i in range(steps + 1)]
        places += [np.array(end)] * (standing if number == 0 else 0)
        for place in places:
            at = place + rng.normal(0, noise, 2)
            found = counter.update(time / 10, result_of(at[None]))["d"]
            time += 1
    return found


@pytest.mark.parametrize("standing", [0, 600])
def test_standing_in_the_band_changes_nothing_of_what_was_crossed(standing):
    # Over most of the band beside the line, past its end, and away: crossed.
    across = [((280, 200), (332, 200)), ((332, 200), (332, 260)), ((332, 260), (400, 260))]
    found = stand_and_go(across, standing)
    assert found.into == pytest.approx(0.9, abs=0.12)
    # Into the band, past the end, and over the rest of it there: not.
    round_it = [((280, 200), (309, 200)), ((309, 200), (309, 270)), ((309, 270), (400, 270))]
    found = stand_and_go(round_it, standing)
    assert max(found.into, found.out) <= 0.35


def test_a_line_at_the_edge_is_warned_of_once(caplog):
    names = {"edge": 632, "near": 620, "inside": 600}
    lines = [Line(name, (x, 0), (x, 480)) for name, x in names.items()]
    counter = LineCounter([*lines, Line("low", (0, 472), (640, 472))])
    for step in range(3):
        counter.update(step / 10, result_of(np.zeros((0, 2))))
    told = [one.getMessage() for one in caplog.records]
    assert [text.split(": ")[0] for text in told] == ["line edge", "line low"]
    assert all("nearer than 16 px to the frame's edge" in text for text in told)


def test_density_and_points_of_a_frame_need_the_manifest():
    image = np.zeros((480, 640, 3), np.uint8)
    both = result_of(np.zeros((0, 2)), np.zeros((60, 80), np.float32))
    counter = LineCounter([MIDDLE], SIZE)
    with pytest.raises(InputError, match=r"expected manifest=counter\.manifest"):
        counter.update(0.0, both, image)
    assert LineCounter([MIDDLE], SIZE).update(0.0, both)["door"].net == 0  # head points alone
    heads = result_of(np.zeros((0, 2)))
    assert LineCounter([MIDDLE], SIZE).update(0.0, heads, image)["door"].net == 0


def test_lines_in_fractions_go_on_where_the_frame_changes_its_size(caplog):
    door = Line("door", (0.5, 0), (0.5, 1), fractions=True)
    counter = LineCounter([door])
    for step in range(120):
        shrink = 2 if step >= 60 else 1  # as a camera that falls back to a smaller picture
        points = np.array([[640 - 10.0 * (step % 60), 100.0]]) / shrink
        result = replace(result_of(points), size=(640 // shrink, 480 // shrink))
        found = counter.update(step / 10, result)["door"]
    assert found.into == pytest.approx(2.0)
    assert found.out == pytest.approx(0.0, abs=0.01)
    assert not caplog.records


def test_lines_in_pixels_warn_once_of_another_size(caplog):
    counter = LineCounter([MIDDLE])
    for step in range(4):
        size = (640, 480) if step % 2 else (320, 240)
        counter.update(step, replace(result_of(np.zeros((0, 2))), size=size))
    (record,) = (one for one in caplog.records if one.name == "edgecount.regions.sizes")
    assert "from 320 x 240 to 640 x 480 pixels: door, given in pixels" in record.getMessage()


def test_what_is_refused():
    with pytest.raises(ConfigError, match="expected a name, got ''"):
        Line("", (0, 0), (1, 1))
    with pytest.raises(ConfigError, match="two different ends"):
        Line("a", (1, 1), (1, 1))
    with pytest.raises(ConfigError, match=r"expected finite numbers, got \[1.0, nan\]"):
        Line("a", (1, np.nan), (1, 1))
    with pytest.raises(ConfigError, match=r"expected pixels, got .* give fractions=True"):
        Line("a", (0, 0.5), (1, 0.5))
    with pytest.raises(ConfigError, match=r"expected shares of the frame's width .* got 320"):
        Line("a", (320, 0), (0, 0), fractions=True)
    with pytest.raises(ConfigError, match=r"expected one in pixels: take its in_size"):
        Line("a", (0.5, 0), (0.5, 1), fractions=True).side(np.zeros((1, 2)))
    with pytest.raises(ConfigError, match="each with its own name"):
        LineCounter([MIDDLE, MIDDLE], SIZE)
    with pytest.raises(ConfigError, match="band: expected a share"):
        LineCounter([MIDDLE], SIZE, band=0)
    counter = LineCounter([MIDDLE])
    counter.update(1.0, result_of(np.zeros((0, 2))))
    with pytest.raises(InputError, match="expected 1 s or later, got 0"):
        counter.update(0.0, result_of(np.zeros((0, 2))))


def test_points_that_are_cut_off_are_no_crossing():
    counter = LineCounter([MIDDLE], SIZE)
    cut = replace(result_of(np.zeros((2, 2))), overflow=True, peak_count=4)
    with pytest.raises(InputError, match="its 4 head points are cut off at 2: expected all"):
        counter.update(0.0, cut)


def test_lines_and_frames_of_odd_sizes():
    for size in ((0, 0), (640.5, 480), (640,), "640"):
        with pytest.raises(ConfigError, match="size: expected width and height in pixels"):
            LineCounter([MIDDLE], size)
    assert LineCounter([MIDDLE], (640.0, np.float32(480))).size == (640, 480)
    tiny = Line("tiny", (0, 0), (1e-200, 0), fractions=True).in_size(SIZE)
    assert tiny.side(np.array([[0.0, 5.0]])).tolist() == [5.0]
