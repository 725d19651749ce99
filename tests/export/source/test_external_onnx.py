"""Networks without a manifest, and what is said of them that cannot be."""

import math

import onnx
import pytest
from graphs import small_model
from onnx import TensorProto, helper

from edgecount.errors import ConfigError, ModelError
from edgecount.export.source.foreign import Description, describe
from edgecount.manifest import InputSpec, OutputSpec


def image_of(model):
    return next(value for value in model.graph.input if value.name == "image")


def with_image(kind, sides):
    """The small network with another input: cast, and turned where channels are last."""
    model = small_model(manifest=False)
    given = helper.make_tensor_value_info("pixels", kind, sides)
    image_of(model).CopyFrom(given)
    turned = ["pixels"]
    nodes = []
    if sides[-1] == 3:
        nodes.append(helper.make_node("Transpose", turned, ["turned"], perm=[0, 3, 1, 2]))
        turned = ["turned"]
    nodes.append(helper.make_node("Cast", turned, ["image"], to=TensorProto.FLOAT))
    inner = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *inner])
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"unit": 0}, "--unit: expected a number above 0, got 0"),
        ({"unit": math.inf}, "--unit: expected finite numbers, got inf"),
        ({"mean": (math.nan, 0, 0)}, "--mean: expected finite numbers, got nan 0 0"),
        ({"scale": (0.0, 0.0, 0.0)}, "--scale: expected three numbers other than 0, got 0 0 0"),
        ({"multiple": 100000}, "--multiple: expected 1 to 1024 pixels, got 100000"),
    ],
)
def test_values_are_refused_by_their_flags(values, message):
    with pytest.raises(ConfigError, match=message):
        Description(density="density", **values)


@pytest.mark.parametrize("stride", [3, 4])
def test_a_stride_is_compared_with_the_measured_one(stride):
    model = small_model(manifest=False)
    with pytest.raises(ConfigError, match=f"one cell per 8 px, got {stride}: leave it out"):
        describe(model, Description(density="density", stride=stride), "theirs")
    made = describe(model, Description(density="density", stride=8), "theirs")
    assert made.outputs[0].stride == 8


def test_a_multiple_that_the_strides_do_not_divide():
    with pytest.raises(ConfigError, match=r"--multiple: .* of 8.* density, got 4"):
        describe(small_model(manifest=False), Description(density="density", multiple=4), "theirs")


@pytest.mark.parametrize(
    ("kind", "sides", "message"),
    [
        (
            TensorProto.UINT8,
            ["N", 3, "H", "W"],
            "expected an input of float32.* got pixels of uint8",
        ),
        (TensorProto.FLOAT, ["N", "H", "W", 3], r"got pixels \(N, H, W, 3\), channels last"),
        (TensorProto.FLOAT, [1, 64, 96, 3], r"got pixels \(1, 64, 96, 3\), channels last"),
    ],
)
def test_inputs_are_looked_at_before_they_are_run(kind, sides, message):
    with pytest.raises(ConfigError, match=message):
        describe(with_image(kind, sides), Description(density="density"), "theirs")


def test_a_heatmap_without_its_sigmoid_is_told_of(caplog):
    model = small_model(manifest=False)
    described = Description(density="density", heatmap="heat")
    describe(model, described, "theirs")
    assert not caplog.records
    sigmoid = next(node for node in model.graph.node if node.op_type == "Sigmoid")
    sigmoid.op_type = "Identity"
    describe(model, described, "theirs")
    (record,) = caplog.records
    assert "--heatmap heat: expected probabilities from 0 to 1" in record.getMessage()
    assert "is its sigmoid missing?" in record.getMessage()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InputSpec(mean=(math.nan, 0, 0)), r"input\.mean: expected three finite numbers"),
        (lambda: InputSpec(scale=(1, math.inf, 1)), r"input\.scale: expected three finite numbers"),
        (lambda: OutputSpec("d", "density", 8, math.inf), r"d\.unit: expected a number above 0"),
    ],
)
def test_no_manifest_holds_what_json_cannot(make, message):
    with pytest.raises(ModelError, match=message):
        make()
