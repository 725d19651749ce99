"""Counters that leave out the density map: the same counts, and no wrong number in its place."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgecount import EdgeCounter
from edgecount.analytics import pixelate
from edgecount.drawing import draw_overlay
from edgecount.errors import ConfigError
from edgecount.result import CountResult

LEFT = [(0, 0), (60, 0), (60, 96), (0, 96)]
CORNERS = [(16, 16), (80, 48), (40, 72)]


@pytest.fixture
def results(tiny_model, squares) -> tuple[CountResult, CountResult]:
    """Return the results of one frame with its density, and without."""
    frame = squares(128, 96, *CORNERS)
    options: dict[str, Any] = {"backend": "onnxruntime", "regions": {"left": LEFT}}
    with (
        EdgeCounter(tiny_model, **options) as whole,
        EdgeCounter(tiny_model, density=False, **options) as lean,
    ):
        return whole.count(frame), lean.count(frame)


def test_everything_else_is_the_same(results) -> None:
    whole, lean = ({**result.to_dict(points=True), "timings_ms": {}} for result in results)
    assert lean == whole
    assert json.loads(json.dumps(lean))["regions"]["left"]["count"] == 2
    assert results[1].density_stride_xy == results[0].density_stride_xy


USES: dict[str, Callable[[Any], object]] = {
    "size": lambda density: density.size,
    "shape": lambda density: density.shape,
    "sum": lambda density: density.sum(),
    "np.sum": np.sum,
    "asarray": np.asarray,
    "array": lambda density: np.array(density, np.float64, copy=True),
    "product": lambda density: np.ones((12, 16)) * density,
    "quotient": lambda density: density / np.float32(2),
    "comparison": lambda density: density >= 0.5,
    "len": len,
    "item": lambda density: density[0, 0],
    "truth": bool,
    "rows": list,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_every_use_of_it_says_what_to_do(results, use) -> None:
    with pytest.raises(ConfigError, match=r"^density: .*density=False: open it with density=True"):
        use(results[1].density)


def test_what_needs_it_raises_and_what_does_not_goes_on(results, squares) -> None:
    frame, lean = squares(128, 96, *CORNERS), results[1]
    with pytest.raises(ConfigError, match="open it with density=True"):
        draw_overlay(frame, lean)
    drawn = draw_overlay(frame, lean, layers=("points", "count"))
    np.testing.assert_array_equal(
        drawn, draw_overlay(frame, results[0], layers=("points", "count"))
    )


def test_results_are_copied_pickled_and_shown(results) -> None:
    for made in (copy.deepcopy(results[1]), pickle.loads(pickle.dumps(results[1]))):  # noqa: S301
        assert made.count == results[1].count
        with pytest.raises(ConfigError, match="density=False"):
            made.density.max()
    assert "density=<density left out>" in repr(results[1])


def test_a_model_without_a_density_has_none_to_leave_out(make_model, squares) -> None:
    model = make_model(roles=("heatmap",), fusion=None)
    with EdgeCounter(model, backend="onnxruntime", density=False) as counter:
        assert counter.count(squares(128, 96, *CORNERS)).density.shape == (0, 0)


def test_heads_alone_are_pixelated_without_it(results) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    whole, lean = (pixelate(frame, result, crowded=np.inf) for result in results)
    assert (whole == lean).all()
    assert (whole != frame).any()
    with pytest.raises(ConfigError, match="opened with density=False"):
        pixelate(frame, results[1])
