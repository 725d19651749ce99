"""Graphs whose image tensor becomes float16: the same values, or the reason why not."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, checker, helper, load_model_from_string, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgecount.errors import ConfigError
from edgecount.export.options import EngineOptions
from edgecount.export.tensorrt.config import check_options
from edgecount.export.tensorrt.fp16_input import with_fp16_input

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def graph(*nodes, outputs=("density",), inputs=("image",)) -> bytes:
    """Return a model over an image (1, 3, 4, 5) with a float16 number `two`."""
    made = helper.make_graph(
        [helper.make_node(kind, given, [to], **more) for kind, given, to, more in nodes],
        "small",
        [helper.make_tensor_value_info(name, FLOAT, [1, 3, 4, 5]) for name in inputs],
        [helper.make_tensor_value_info(name, FLOAT, [1, 3, 4, 5]) for name in outputs],
        [numpy_helper.from_array(np.array(2, np.float16), "two")],
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(made, opset_imports=[opset], ir_version=9).SerializeToString()


DOWN = ("Cast", ["image"], "half", {"to": HALF})
DOUBLE = ("Mul", ["half", "two"], "twice", {})
UP = ("Cast", ["twice"], "density", {"to": FLOAT})


# A graph within a node reads what is around it by its name, which no input of the node tells.
BRANCH = helper.make_graph(
    [helper.make_node("Relu", ["image"], ["within"])],
    "branch",
    [],
    [helper.make_tensor_value_info("within", FLOAT, [1, 3, 4, 5])],
)


def run(model: bytes, image):
    # ONNX's own evaluator: ONNX Runtime drops the rounding between casts on a CPU.
    return ReferenceEvaluator(load_model_from_string(model)).run(None, {"image": image})[0]


def test_the_values_are_those_that_the_cast_gave():
    again = ("Cast", ["image"], "other", {"to": HALF})
    total = ("Add", ["other", "half"], "twice", {})
    image = np.random.default_rng(0).normal(0, 1e3, (1, 3, 4, 5)).astype(np.float32)
    # Ties, a value that is too large and one that is too small.
    image[0, 0, 0] = 1 + 2**-11, 1 + 3 * 2**-11, 70000, 2**-25, -0.0
    for model in (graph(DOWN, DOUBLE, UP), graph(DOWN, again, total, UP)):
        changed = with_fp16_input(model)
        assert isinstance(changed, bytes)
        checker.check_model(load_model_from_string(changed), full_check=True)
        with np.errstate(over="ignore"):
            half = image.astype(np.float16)
            np.testing.assert_array_equal(run(changed, half), run(model, image))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (graph(("Relu", ["image"], "density", {})), "some of its nodes read the image in float32"),
        (
            graph(DOWN, DOUBLE, UP, ("Relu", ["image"], "more", {}), outputs=("density", "more")),
            "some of its nodes read the image in float32",
        ),
        (graph(("Cast", ["image"], "density", {"to": FLOAT})), "read the image in float32"),
        (graph(DOWN, DOUBLE, UP, outputs=("density", "half")), "it gives the image back"),
        (graph(DOWN, DOUBLE, UP, inputs=("image", "other")), "it has 2 inputs"),
        (b"no graph", "it is no ONNX file"),
        (
            graph(DOWN, DOUBLE, UP, ("If", ["two"], "more", {"then_branch": BRANCH})),
            "graphs within nodes",
        ),
    ],
)
def test_other_graphs_stay_as_they_are(model, reason):
    found = with_fp16_input(model)
    assert isinstance(found, str)
    assert reason in found


def test_without_the_package_an_engine_can_still_be_built_again(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "the package onnx" in str(with_fp16_input(b""))


@pytest.mark.parametrize(
    ("precision", "typed", "core", "message"),
    [
        ("fp32", True, None, "^fp16_input: expected with `fp16` or `int8`"),
        ("fp16", False, None, r"^fp16_input: expected TensorRT 10 .*got 8\.6\.1: leave it out"),
        ("fp16", True, 0, "^fp16_input: expected TensorRT 10 or newer, without `dla_core`"),
        ("fp16", True, None, None),
    ],
)
def test_where_it_makes_no_sense(precision, typed, core, message):
    features = SimpleNamespace(
        compute_capabilities=False,
        dla=True,
        hardware_compatibility=True,
        same_capability=True,
        version_compatibility=True,
        typed_graphs=typed,
        precision_flags=True,
    )
    options = EngineOptions("tensorrt", precision, dla_core=core, fp16_input=True)
    trt = SimpleNamespace(__version__="8.6.1")
    if message is None:
        check_options(trt, features, options)
        return
    with pytest.raises(ConfigError, match=message):
        check_options(trt, features, options)
