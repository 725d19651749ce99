"""Tampering is seen, and dusk, crowds and noise are none."""

import cv2
import numpy as np
import pytest

from edgecount.analytics import PictureCheck, PictureState
from edgecount.errors import ConfigError, InputError
from edgecount.scenes import render_scene

FPS = 4
NOISE = np.random.default_rng(0).normal(0, 3, (13, 180, 320, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def scene():
    return cv2.resize(render_scene(40, size=(640, 360), seed=5).image, (320, 180))


def shots(scene, seconds, change=lambda image, t: image):
    """Yield frames of a still camera with the noise of its sensor."""
    for step in range(int(seconds * FPS)):
        yield np.clip(change(scene, step / FPS) + NOISE[step % 13], 0, 255).astype(np.uint8)


def run(check, frames, start=0.0):
    return [check.update(start + step / FPS, frame) for step, frame in enumerate(frames)]


def used(scene):
    check = PictureCheck()
    reports = run(check, shots(scene, 30))
    return check, reports


def test_a_scene_is_learned_and_then_good(scene):
    _, reports = used(scene)
    states = [report.state for report in reports]
    assert states[: 5 * FPS] == [PictureState.LEARNING] * 5 * FPS
    assert set(states[5 * FPS :]) == {PictureState.GOOD}
    assert sum(report.changed for report in reports) == 1
    assert all(report.state.is_trusted and not report.night for report in reports)


def hand(image, _):
    return np.full_like(image, 40)


def fog(image, _):
    return cv2.GaussianBlur(image, (0, 0), 6)


def turn(image, _):
    return np.ascontiguousarray(np.roll(image[:, ::-1], 70, axis=1))


@pytest.mark.parametrize(
    ("change", "state"),
    [(hand, PictureState.COVERED), (fog, PictureState.BLURRED), (turn, PictureState.TURNED)],
)
def test_tampering_is_seen_once_it_lasts(scene, change, state):
    check, _ = used(scene)
    reports = run(check, shots(scene, 20, change), 30.0)
    first = next(report for report in reports if report.state is state)
    assert first.since == 30.0
    assert [report.changed for report in reports].count(True) == 1
    assert reports.index(first) == 5 * FPS
    assert not first.state.is_trusted
    back = run(check, shots(scene, 10), 50.0)
    assert back[-1].state is PictureState.GOOD


@pytest.mark.parametrize("sigma", [4, 8, 16])
def test_a_blur_that_hides_heads_is_seen(sigma):
    # At the least of these models find one in five of the people, and call it a count.
    sharp = render_scene(40, size=(640, 480), seed=5).image
    noise = np.random.default_rng(0).integers(-3, 4, (5, 480, 640, 3), dtype=np.int16)
    check, blurred = PictureCheck(), cv2.GaussianBlur(sharp, (0, 0), sigma)
    frames = (np.clip(sharp + noise[step % 5], 0, 255).astype(np.uint8) for step in range(24))
    assert run(check, frames)[-1].state is PictureState.GOOD
    frames = (np.clip(blurred + noise[step % 5], 0, 255).astype(np.uint8) for step in range(24))
    assert run(check, frames, 6.0)[-1].state is PictureState.BLURRED


def test_what_passes_soon_is_no_tampering(scene):
    check, _ = used(scene)
    passing = run(check, shots(scene, 20, lambda i, t: hand(i, t) if 5 < t < 9 else i), 30.0)
    assert {report.state for report in passing} == {PictureState.GOOD}


def test_dusk_and_noise_are_no_tampering(scene):
    check, _ = used(scene)
    dusk = run(check, shots(scene, 100, lambda i, t: i * (1 - 0.5 * t / 100)), 30.0)
    assert {report.state for report in dusk} == {PictureState.GOOD}


def test_a_frozen_picture_is_seen_and_a_still_scene_is_not_frozen(scene):
    check, _ = used(scene)
    last = list(shots(scene, 1))[-1]
    reports = run(check, [last] * 20 * FPS, 30.0)
    first = next(report for report in reports if report.state is PictureState.FROZEN)
    assert 10 <= reports.index(first) / FPS <= 10.5
    again = run(check, shots(scene, 10), 50.0)
    assert again[-1].state is PictureState.GOOD


def test_night_is_told_and_trusted(scene):
    check, _ = used(scene)
    grey = cv2.cvtColor(cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    frames = [cv2.cvtColor(f[:, :, :1], cv2.COLOR_GRAY2BGR) for f in shots(grey, 10)]
    reports = run(check, frames, 30.0)
    assert reports[0].night
    assert reports[0].changed
    assert {report.state for report in reports} == {PictureState.GOOD}


def test_a_camera_that_was_turned_on_purpose_learns_anew(scene):
    check, _ = used(scene)
    check.restart()
    reports = run(check, shots(turn(scene, 0), 15), 30.0)
    assert reports[0].state is PictureState.LEARNING
    assert reports[-1].state is PictureState.GOOD


def test_what_is_refused(scene):
    with pytest.raises(ConfigError, match="sustain: expected seconds, 0 or more, got -1"):
        PictureCheck(sustain=-1)
    with pytest.raises(ConfigError, match="frozen: expected seconds above 0"):
        PictureCheck(frozen=0)
    check = PictureCheck()
    with pytest.raises(InputError, match=r"expected uint8 \(H, W, 3\) BGR, got uint8 \(9, 9\)"):
        check.update(0.0, np.zeros((9, 9), np.uint8))
    check.update(5.0, scene)
    with pytest.raises(InputError, match="5 s or later"):
        check.update(4.0, scene)


@pytest.mark.parametrize("fps", [1, 30])
def test_tampering_is_seen_alike_at_any_rate(scene, fps):
    small = cv2.resize(scene, (160, 90), interpolation=cv2.INTER_AREA).astype(np.int16)
    noise = np.random.default_rng(0).integers(-3, 4, (7, 90, 160, 3), dtype=np.int16)
    check, seen = PictureCheck(), {}
    for step in range(36 * fps):
        time = step / fps
        image = np.clip(small + noise[step % 7], 0, 255).astype(np.uint8)
        if 12 <= time < 20:
            image = np.clip(40 + noise[step % 7], 0, 255).astype(np.uint8)
        elif time >= 24:
            image = small.astype(np.uint8)
        report = check.update(time, image)
        if report.changed:
            seen[report.state] = time
    assert seen[PictureState.COVERED] == pytest.approx(17, abs=0.01)
    assert seen[PictureState.FROZEN] == pytest.approx(34, abs=1.01)
