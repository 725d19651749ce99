"""Options of an engine that contradict themselves."""

from __future__ import annotations

import pytest

from edgecount.errors import ConfigError
from edgecount.export.options import EngineOptions
from edgecount.runtime.models.sidecar import InputShapes

SHAPES = InputShapes((1, 3, 64, 64), (1, 3, 64, 64), (2, 3, 128, 128))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "tensor-rt"}, "target: expected one of tensorrt, tensorrt-rtx"),
        ({"precision": "half"}, "precision: expected one of fp32, fp16, int8, got 'half'"),
        ({"workspace": 0}, "^workspace: expected 1 or more, got 0"),
        ({"dla_core": -1}, "^dla_core: expected 0 or more"),
        ({"dla_core": 0}, "^dla_core: expected with `fp16` or `int8`"),
        (
            {"dla_core": 0, "precision": "fp16", "shapes": SHAPES},
            "^dla_core: expected with one `size`",
        ),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ConfigError, match=message):
        EngineOptions(**{"target": "tensorrt"} | options)
