"""`scripts/release/hard_scenes.py`: scenes that models fail on, and their pictures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("onnxscript")
pytest.importorskip("scipy")


def test_a_picture_is_small(scripts):
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    data = scripts.hard_scenes._jpeg(smooth)
    assert len(data) <= scripts.hard_scenes.LARGEST
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (533, 800, 3)


def test_a_head_more_or_less_among_few_is_no_large_error(scripts):
    trial = scripts.hard_scenes.SceneCount
    image = np.zeros((64, 64, 3), np.uint8)
    scene = scripts.hard_scenes.HardScene("empty", "nobody", image, 0)
    assert trial(scene, SimpleNamespace(count=1.0)).harm == pytest.approx(0.2)
    scene = scripts.hard_scenes.HardScene("many", "many", image, 100)
    assert trial(scene, SimpleNamespace(count=70.0)).harm == pytest.approx(0.3)


@pytest.mark.slow
def test_the_hard_scenes_are_what_they_say(scripts):
    scenes = {scene.name: scene for scene in scripts.hard_scenes.hard_scenes()}
    assert scenes["ordinary"].people == scenes["grey-copy"].people == 60
    assert scenes["grey-copy"].image.ndim == 2
    assert scenes["empty-street"].people == 0
    assert scenes["dense-block"].people == 500
    assert scenes["large-heads"].people >= 5
