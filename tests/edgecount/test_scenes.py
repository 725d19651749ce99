"""The procedural crowd: the truth must be true, whatever the picture looks like."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

import numpy as np
import pytest

from edgecount.errors import ConfigError
from edgecount.scenes import Scene, render_clip, render_scene
from edgecount.scenes.crowd import draw_people, person_sprite, stand_at
from edgecount.scenes.light import LIGHTS
from edgecount.scenes.person import render_person
from edgecount.scenes.placement import PATTERNS
from edgecount.scenes.stage import PLACES, Setting, set_stage
from edgecount.scenes.visibility import VISIBLE_SHARE, is_inside, visible_shares

SMALL = (320, 240)


def check_truth(scene: Scene, size: tuple[int, int]) -> None:
    width, height = size
    assert scene.image.shape == (height, width, 3)
    assert scene.image.dtype == np.uint8
    assert scene.points.dtype == np.float32
    assert scene.points.shape == (len(scene.sizes), 2)
    assert scene.sizes.dtype == np.float32
    assert (scene.points >= 0).all()
    assert (scene.points < (width, height)).all()
    assert (scene.sizes > 1).all()


@pytest.mark.parametrize("people", [0, 1, 7, 40])
@pytest.mark.parametrize("seed", [0, 1])
def test_exactly_as_many_as_asked_for(people: int, seed: int) -> None:
    scene = render_scene(people, size=SMALL, seed=seed)
    check_truth(scene, SMALL)
    assert len(scene.points) == people
    assert scene.seed == seed


@pytest.mark.parametrize("place", PLACES)
def test_every_place_and_pattern(place: str) -> None:
    for pattern in PATTERNS:
        scene = render_scene(15, size=SMALL, seed=5, place=place, pattern=pattern)
        check_truth(scene, SMALL)
        assert len(scene.points) == 15


@pytest.mark.parametrize("light", LIGHTS)
def test_every_light_gives_a_picture_with_contrast(light: str) -> None:
    scene = render_scene(10, size=SMALL, seed=2, light=light)
    assert 25 < scene.image.mean() < 215
    assert scene.image.std() > 8


@pytest.mark.parametrize("size", [(64, 64), (200, 500), (641, 333)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    scene = render_scene(4, size=size, seed=3)
    check_truth(scene, size)
    assert len(scene.points) == 4


def test_a_thousand_people_fit() -> None:
    scene = render_scene(1000, seed=6)
    check_truth(scene, (1024, 768))
    assert len(scene.points) == 1000
    assert len(np.unique(scene.points, axis=0)) == 1000


def test_the_seed_decides_everything() -> None:
    first = render_scene(12, size=SMALL, seed=8)
    again = render_scene(12, size=SMALL, seed=8)
    other = render_scene(12, size=SMALL, seed=9)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.points, again.points)
    np.testing.assert_array_equal(first.sizes, again.sizes)
    assert not np.array_equal(first.image, other.image)


def test_numpys_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    render_scene(3, size=SMALL, seed=1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_heads_are_drawn_where_the_truth_says() -> None:
    stage = set_stage(np.random.default_rng(0), Setting(20, SMALL, "plaza", "day", "uniform"))
    crowd = draw_people(np.random.default_rng(1), stage.camera, 20, "uniform")
    sprites = [person_sprite(person, stage.camera, stage.light) for person in crowd]
    assert sprites
    for sprite in sprites:
        assert sprite.head is not None
        rows, columns = np.nonzero(sprite.head > 0.5)
        x, y = sprite.head_at
        assert abs(columns.mean() + 0.5 + sprite.left - x) < 0.35 * sprite.head_size
        assert abs(rows.mean() + 0.5 + sprite.top - y) < 0.35 * sprite.head_size
        assert sprite.head[int(y) - sprite.top, int(x) - sprite.left] > 0.5
        area = np.pi / 4 * sprite.head_size**2
        assert 0.4 * area < sprite.head.sum() < 2.2 * area


@pytest.mark.parametrize("x", [-2.0, 0.0, 2.0], ids=["left", "middle", "right"])
def test_who_walks_up_to_the_camera_is_seen_from_the_front(x: float) -> None:
    stage = set_stage(np.random.default_rng(0), Setting(20, SMALL, "plaza", "day", "uniform"))
    person = draw_people(np.random.default_rng(1), stage.camera, 20, "uniform")[0]
    # As in a clip: with a yaw y a step goes sin(y) to the right and cos(y) towards the camera.
    towards = dataclasses.replace(person.pose, yaw=math.atan2(-x, 4.0))
    walker = dataclasses.replace(person, pose=towards, x=x, z=4.0)
    seen = person_sprite(walker, stage.camera, stage.light)
    front = dataclasses.replace(person.pose, yaw=0.0)
    folds = np.random.default_rng(person.seed)
    stand = stand_at(stage.camera, x, 4.0)
    expected = render_person(person.look, front, stand, stage.light, folds)
    np.testing.assert_array_equal(seen.colour, expected.colour)
    assert seen.head_box == expected.head_box


def test_who_stands_behind_another_does_not_count() -> None:
    stage = set_stage(np.random.default_rng(0), Setting(2, SMALL, "plaza", "day", "uniform"))
    crowd = draw_people(np.random.default_rng(1), stage.camera, 1, "uniform")
    near = person_sprite(crowd[0], stage.camera, stage.light)
    behind = person_sprite(crowd[0], stage.camera, stage.light)
    object.__setattr__(behind, "stand", stand_at(stage.camera, crowd[0].x, crowd[0].z + 0.01))
    shares = visible_shares([behind, near], *SMALL)
    assert shares[1] >= 0.99
    assert shares[0] < VISIBLE_SHARE


def test_sizes_follow_the_perspective() -> None:
    scene = render_scene(60, seed=12, place="plaza", pattern="uniform")
    order = np.argsort(scene.points[:, 1])
    upper, lower = scene.sizes[order[:15]], scene.sizes[order[-15:]]
    assert lower.mean() > 1.25 * upper.mean()
    assert np.corrcoef(scene.points[:, 1], scene.sizes)[0, 1] > 0.6


def test_clip_has_right_truth_and_moves_smoothly() -> None:
    clip = list(render_clip(12, frames=5, fps=12.0, size=SMALL, seed=4))
    assert len(clip) == 5
    for scene in clip:
        check_truth(scene, SMALL)
        assert 6 <= len(scene.points) <= 12
    assert not np.array_equal(clip[0].image, clip[-1].image)
    for before, after in itertools.pairwise(clip):
        steps = np.linalg.norm(before.points[:, None] - after.points[None], axis=-1).min(axis=1)
        # Nobody jumps by a head from frame to frame; whoever has gone is not matched.
        assert np.median(steps / before.sizes) < 0.5
    moved = np.linalg.norm(clip[0].points[:, None] - clip[-1].points[None], axis=-1).min(axis=1)
    assert moved.max() > 0.5


def test_clip_is_decided_by_the_seed() -> None:
    first = list(render_clip(5, frames=2, fps=5, size=SMALL, seed=1))
    again = list(render_clip(5, frames=2, fps=5, size=SMALL, seed=1))
    for left, right in zip(first, again, strict=True):
        np.testing.assert_array_equal(left.image, right.image)
        np.testing.assert_array_equal(left.points, right.points)


def test_people_who_find_no_room_in_a_clip_are_told(caplog: pytest.LogCaptureFixture) -> None:
    for people, told in ((400, 1), (12, 0)):
        caplog.clear()
        (scene,) = render_clip(people, frames=1, fps=1, size=(96, 64), seed=2)
        assert len(caplog.messages) == told
        assert len(scene.points) <= people
    next(render_clip(400, frames=1, fps=1, size=(96, 64), seed=2))
    found = re.match(r"people: (\d+) of 400 find room in a clip of 96 x 64", caplog.messages[0])
    assert found
    assert 0 < int(found[1]) < 400


def test_a_head_that_leaves_the_frame_is_seen_in_part() -> None:
    stage = set_stage(np.random.default_rng(0), Setting(2, SMALL, "plaza", "day", "uniform"))
    crowd = draw_people(np.random.default_rng(1), stage.camera, 1, "uniform")
    sprite = person_sprite(crowd[0], stage.camera, stage.light)
    assert sprite.head is not None
    columns = sprite.head.sum(axis=0)
    (x, _), (width, height) = sprite.head_at, SMALL
    # Moved so that the centre is half a pixel left of the frame.
    cut = math.ceil(x)
    moved = dataclasses.replace(
        sprite, left=sprite.left - cut, head_at=(x - cut, sprite.head_at[1])
    )
    assert is_inside(sprite, width, height)
    assert not is_inside(moved, width, height)
    expected = columns[max(-moved.left, 0) :].sum() / columns.sum()
    assert 0.2 < expected < 0.7
    assert visible_shares([moved], width, height)[0] == pytest.approx(expected, abs=0.05)
    # In a picture nobody whose head has left it hides others.
    behind = dataclasses.replace(moved, stand=stand_at(stage.camera, crowd[0].x, crowd[0].z + 0.01))
    both = visible_shares([behind, moved], width, height, drop_below=0.1)
    assert both[0] == both[1]


def test_empty_clip() -> None:
    (scene,) = render_clip(0, frames=1, fps=1, size=SMALL, seed=1)
    assert scene.points.shape == (0, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"people": -1}, "people: expected 0 or more, got -1"),
        ({"size": (63, 200)}, "size: .* 64 to 16384 pixels, got width 63 and height 200"),
        ({"size": (64, 40000)}, "size: .* 64 to 16384 pixels, got width 64 and height 40000"),
        ({"people": 10**9}, "people: 1000000000 do not fit in a frame of"),
        ({"place": "moon"}, "place: expected one of auto, street"),
        ({"light": "noon"}, "light: expected one of auto, day"),
        ({"pattern": "grid"}, "pattern: expected one of auto, uniform"),
        ({"seed": -2}, "seed: expected 0 or more, got -2"),
    ],
)
def test_nonsense_is_refused(options: dict[str, object], message: str) -> None:
    request: dict[str, object] = {"people": 1, "size": SMALL, "seed": 0} | options
    people = request.pop("people")
    with pytest.raises(ConfigError, match=message):
        render_scene(people, **request)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=message):
        render_clip(people, frames=1, fps=1.0, **request)  # type: ignore[arg-type]


@pytest.mark.parametrize(("frames", "fps"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_clips_need_frames_and_time(frames: int, fps: float) -> None:
    with pytest.raises(ConfigError, match=r"frames|fps"):
        render_clip(1, frames=frames, fps=fps, size=SMALL, seed=0)


@pytest.mark.parametrize("people", [150, 3000])
def test_a_crowd_that_does_not_fit_is_an_error(people: int) -> None:
    with pytest.raises(ConfigError, match=f"{people} do not fit in a frame of 64 x 64"):
        render_scene(people, size=(64, 64), seed=0)
