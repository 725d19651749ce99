"""Networks without a manifest: the template to fill in, and descriptions that do not fit."""

import json
import math
from dataclasses import replace

import onnx
import pytest
from graphs import small_model
from onnx import TensorProto, helper

from edgecount.errors import ConfigError, ModelError
from edgecount.export.source.external_onnx import check_manifest, manifest_template
from edgecount.manifest import InputSpec, Manifest, OutputSpec

DENSITY = OutputSpec("density", "density", 8)
HEATMAP = OutputSpec("heat", "heatmap", 4)


def described(*outputs, **given):
    return Manifest("theirs", "1.0.0", "", InputSpec(**given), outputs or (DENSITY,))


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


def with_sides(*sides):
    """The small network for one size of image."""
    model = small_model(manifest=False)
    for axis, side in zip(image_of(model).type.tensor_type.shape.dim[2:], sides, strict=True):
        axis.dim_value = side
    return model


def test_a_template_holds_what_the_graph_shows():
    made = manifest_template(small_model(manifest=False), "theirs")
    assert made["name"] == "theirs"
    assert made["input"]["name"] == "image"
    assert made["input"]["static_size"] is None
    assert [(o["name"], o["role"], o["stride"]) for o in made["outputs"]] == [
        ("density", "density", 8),
        ("heat", "heatmap", 4),
    ]
    assert manifest_template(with_sides(64, 96), "one")["input"]["static_size"] == (64, 96)


def test_a_template_says_what_is_to_be_filled_in():
    model = small_model(manifest=False)
    for node in model.graph.node:
        node.output[:] = ["y" if name == "heat" else name for name in node.output]
    model.graph.output[1].name = "y"
    made = json.loads(json.dumps(manifest_template(model, "theirs")))
    answers = {"channels": "BGR", "mean": [0, 0, 0], "scale": [0.01, 0.01, 0.01]}
    for field, value in answers.items():
        with pytest.raises(ModelError, match=r"input\.(channels|mean|scale).*FILL IN"):
            Manifest.from_dict(made)
        made["input"][field] = value
    with pytest.raises(ModelError, match=r"role.*FILL IN: density, heatmap, offset or size"):
        Manifest.from_dict(made)
    made["outputs"][1]["role"] = "heatmap"
    manifest = Manifest.from_dict(made)
    check_manifest(model, manifest)
    assert manifest.output("heatmap").name == "y"


def test_a_template_asks_for_the_roles_of_a_detector():
    # Two maps that might be heatmaps: scores of two strides, whose boxes nothing tells.
    model = small_model(manifest=False)
    for node in model.graph.node:
        names = {"density": "scores_8", "heat": "scores_4"}
        node.output[:] = [names.get(name, name) for name in node.output]
        node.input[:] = [names.get(name, name) for name in node.input]
    for output, name in zip(model.graph.output, ("scores_8", "scores_4"), strict=True):
        output.name = name
    roles = [output["role"] for output in manifest_template(model, "theirs")["outputs"]]
    assert all(role.startswith("FILL IN: ") and "scores and boxes" in role for role in roles)


def test_a_template_of_what_gives_no_map():
    model = small_model(manifest=False)
    model.graph.node.append(helper.make_node("Flatten", ["density"], ["flat"], "flatten"))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("flat", TensorProto.FLOAT, None))
    with pytest.raises(ConfigError, match=r"an output that is a map .* got flat \(1, 256\)"):
        manifest_template(model, "theirs")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (described(name="pixels"), "input.name: expected 'image', the graph's input, got 'pixels'"),
        (
            described(static_size=(64, 96)),
            r"input.static_size: expected null, because the graph takes any size, got \(64, 96\)",
        ),
        (described(multiple=2048), "input.multiple: expected 1 to 1024 pixels, got 2048"),
        (
            described(replace(DENSITY, stride=4)),
            "outputs.density.stride: expected 8 pixels per cell, as measured, got 4",
        ),
        (
            described(replace(DENSITY, name="people")),
            "outputs: expected some of density, heat, got 'people', which the model does not have",
        ),
        (
            described(HEATMAP, OutputSpec("density", "offset", 4)),
            r"outputs.density: expected a map \(N, 2, h, w\) .* got \(1, 1, 16, 16\)",
        ),
    ],
)
def test_descriptions_that_do_not_fit(manifest, message):
    with pytest.raises(ConfigError, match=f"^manifest: {message}"):
        check_manifest(small_model(manifest=False), manifest)


def test_a_graph_of_one_size_is_described_with_it():
    with pytest.raises(ConfigError, match=r"input\.static_size: expected \[64, 96\], got None"):
        check_manifest(with_sides(64, 96), described())
    check_manifest(with_sides(64, 96), described(static_size=(64, 96)))


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
    for look in (lambda m: check_manifest(m, described()), lambda m: manifest_template(m, "x")):
        with pytest.raises(ConfigError, match=message):
            look(with_image(kind, sides))


def test_a_heatmap_without_its_sigmoid_is_warned_of(caplog):
    model = small_model(manifest=False)
    manifest = described(DENSITY, HEATMAP)
    check_manifest(model, manifest)
    assert not caplog.records
    sigmoid = next(node for node in model.graph.node if node.op_type == "Sigmoid")
    sigmoid.op_type = "Identity"
    check_manifest(model, manifest)
    (record,) = caplog.records
    assert "heatmap heat: expected probabilities from 0 to 1" in record.getMessage()
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
