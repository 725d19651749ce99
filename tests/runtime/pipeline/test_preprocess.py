"""How frames of any size become the network's input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecount.errors import ConfigError
from edgecount.manifest import InputSpec
from edgecount.runtime.pipeline.preprocess import enlarged_geometry, input_geometry, write_input

SPEC = InputSpec(max_side=640)


@pytest.mark.parametrize(
    ("size", "max_side", "resized", "padded"),
    [
        ((640, 480), 640, (480, 640), (480, 640)),
        ((1920, 1080), 640, (360, 640), (384, 640)),
        ((1080, 1920), 640, (640, 360), (640, 384)),
        ((1, 1), 640, (1, 1), (64, 64)),
        ((100, 60), 640, (60, 100), (64, 128)),
        ((10_000, 1), 640, (1, 640), (64, 640)),
        ((1920, 1080), None, (1080, 1920), (1088, 1920)),
    ],
)
def test_sizes(
    size: tuple[int, int],
    max_side: int | None,
    resized: tuple[int, int],
    padded: tuple[int, int],
) -> None:
    plan = input_geometry(size, SPEC, max_side)
    assert (plan.resized, plan.padded, plan.tiles) == (resized, padded, ())


@given(
    st.tuples(st.integers(1, 9000), st.integers(1, 9000)),
    st.one_of(st.none(), st.integers(1, 5000)),
)
def test_every_plan_holds_together(size: tuple[int, int], max_side: int | None) -> None:
    plan = input_geometry(size, SPEC, max_side)
    for side, resized, padded in zip(size[::-1], plan.resized, plan.padded, strict=True):
        assert 1 <= resized <= side
        assert resized <= padded
        assert padded % SPEC.multiple == 0
        assert padded >= SPEC.min_side
    assert max_side is None or max(plan.resized) <= max_side
    assert bool(plan.tiles) == (plan.padded[0] * plan.padded[1] > 2048 * 2048)


def test_a_model_of_one_size_gets_it() -> None:
    spec = dataclasses.replace(SPEC, static_size=(320, 640))
    assert input_geometry((1280, 1280), spec, 640).resized == (320, 320)
    assert input_geometry((1280, 1280), spec, 640).padded == (320, 640)
    assert input_geometry((10, 10), spec, 640).resized == (10, 10)
    with pytest.raises(ConfigError, match="takes only 640 x 320 pixels"):
        input_geometry((10, 10), spec, None)


def test_max_side_is_checked() -> None:
    with pytest.raises(ConfigError, match="max_side: expected 1 pixel or more"):
        input_geometry((10, 10), SPEC, 0)


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_normalises_in_the_models_order_and_pads_with_black(channels: str) -> None:
    spec = InputSpec(
        channels=channels,  # type: ignore[arg-type]
        mean=(100.0, 110.0, 120.0),
        scale=(0.5, 0.25, 0.1),
    )
    frame = np.empty((40, 50, 3), np.uint8)
    frame[...] = (10, 20, 30)
    out = np.full((1, 3, 64, 64), np.nan, np.float32)
    write_input(frame, (40, 50), spec, out)
    order = (30, 20, 10) if channels == "RGB" else (10, 20, 30)
    expected = (np.array(order) - spec.mean) * spec.scale
    np.testing.assert_allclose(out[0, :, 39, 49], expected, rtol=1e-5)
    black = -50.0  # the darkest channel's
    assert (out[0, :, 40:] == black).all()
    assert (out[0, :, :, 50:] == black).all()


def test_parts_of_a_frame_are_enlarged_over_its_own_network_pixels() -> None:
    spec = InputSpec(multiple=32, min_side=64)
    whole = input_geometry((1000, 500), spec, 500)  # shrunk to half
    part = enlarged_geometry(whole, (120, 80), 2, spec)
    assert (part.size, part.resized, part.padded) == ((120, 80), (80, 120), (96, 128))
    nearer = enlarged_geometry(whole, (120, 80), 4, spec, limits=((128, 320), (640, 640)))
    assert (nearer.resized, nearer.padded) == ((160, 240), (160, 320))
    assert enlarged_geometry(whole, (1, 1), 2, spec).resized == (1, 1)


def test_parts_that_an_engine_cannot_take_are_refused() -> None:
    spec = InputSpec(multiple=32)
    whole = input_geometry((640, 480), spec, None)
    message = "zoom: parts of a frame of 640 x 480 pixels are enlarged to up to 800 x 600"
    limits = (64, 64), (640, 800)
    assert enlarged_geometry(whole, (400, 300), 2, spec, limits).resized == (600, 800)
    with pytest.raises(ConfigError, match=message):
        enlarged_geometry(whole, (400, 300), 2, spec, limits=((64, 64), (480, 800)))
    static = InputSpec(multiple=32, static_size=(480, 640))
    with pytest.raises(ConfigError, match="the engine takes at most 640 x 480"):
        enlarged_geometry(whole, (400, 300), 2, static)
