"""INT8: what each encoding looks like, and that the maps stay."""

import numpy as np
import onnx
import pytest
from graphs import pixels, small_model
from onnx import numpy_helper

from edgecount.errors import ModelError
from edgecount.export.graph.queries import element_types, node_precisions, tidy
from edgecount.export.graph.session import open_session
from edgecount.export.precision.calibrate import calibrate
from edgecount.export.precision.fp16 import emulated, to_fp16
from edgecount.export.precision.int8 import (
    activation_step,
    calibrated_tensors,
    mean_shift,
    quantisable,
    to_int8,
    unsaturated_scales,
    weight_scales,
)
from edgecount.export.source.load import with_opset


@pytest.fixture(scope="module")
def model():
    return tidy(small_model())


@pytest.fixture(scope="module")
def ranges(model):
    feeds = [{"image": pixels(seed=seed)} for seed in range(4)]
    return calibrate(model, feeds, calibrated_tensors(model), threads=1).ranges("minmax")


def run(model, image):
    return open_session(model, 1).run(None, {"image": image})


def weights(model):
    return {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}


def test_convolutions_and_sums_are_quantisable(model):
    assert quantisable(model) == ["first", "second", "third", "side", "sum", "people", "heads"]
    assert set(calibrated_tensors(model)) == {
        "image", "first_cut", "second_cut", "third", "side", "sum", "people", "heads"
    }  # fmt: skip


@pytest.mark.parametrize("encoding", ["tensorrt", "cpu"])
def test_the_maps_stay_close(model, ranges, encoding):
    made = to_int8(model, ranges, encoding)
    onnx.checker.check_model(made, full_check=True)
    image = pixels(seed=9)
    for ours, theirs in zip(run(model, image), run(made, image), strict=True):
        assert theirs == pytest.approx(ours, abs=0.05 * float(np.abs(ours).max()))
        assert not np.array_equal(ours, theirs)


def test_tensorrt_wants_signed_symmetric_bytes_and_plain_biases(model, ranges):
    made = to_int8(model, ranges, "tensorrt")
    zeros = [value for name, value in weights(made).items() if name.endswith("_zero")]
    assert all(value.dtype == np.int8 and not value.any() for value in zeros)
    convolutions = [node for node in made.graph.node if node.op_type == "Conv"]
    assert all(node.input[2].endswith("_b") for node in convolutions)
    makers = {name: node for node in made.graph.node for name in node.output}
    total = next(node for node in made.graph.node if node.op_type == "Add")
    assert [makers[name].op_type for name in total.input] == ["DequantizeLinear"] * 2
    assert all(makers[node.input[1]].op_type == "DequantizeLinear" for node in convolutions)
    scales = weights(made)["second_w_by_0_scale"]
    assert scales == pytest.approx(np.abs(weights(model)["second_w"]).max((1, 2, 3)) / 127)


def test_cpus_get_bytes_all_the_way(model, ranges):
    made = to_int8(model, ranges, "cpu")
    stored = weights(made)
    assert stored["second_w_by_0_integers"].dtype == np.int8
    assert "second_w" not in stored
    assert stored["image_zero"].dtype == np.uint8
    assert stored["third_b_by_second_cut_by_third_w_by_0_integers"].dtype == np.int32
    # The clip's range starts where it cuts: the cut itself falls away.
    assert stored["first_cut_zero"] == 0
    readers = {name: node for node in made.graph.node for name in node.input}
    assert readers["first_cut"].op_type == "QuantizeLinear"
    assert made.ByteSize() < 0.7 * model.ByteSize()


@pytest.mark.parametrize("encoding", ["tensorrt", "cpu"])
def test_kept_nodes_stay_float(model, ranges, encoding):
    made = to_int8(model, ranges, encoding, keep=["second", "sum"])
    onnx.checker.check_model(made, full_check=True)
    kinds = {layer.name: layer.precision for layer in node_precisions(made)}
    assert kinds["first"] == kinds["third"] == "int8"
    assert kinds["second"] == "fp32"
    assert weights(made)["second_w"].dtype == np.float32
    run(made, pixels())
    same = to_int8(model, ranges, encoding, keep=quantisable(model))
    image = pixels(seed=3)
    assert all(map(np.array_equal, run(model, image), run(same, image)))


def test_the_rest_in_float16(model, ranges):
    made = to_fp16(with_opset(to_int8(model, ranges, "tensorrt", keep=["people"]), 19))
    onnx.checker.check_model(made, full_check=True)
    types = element_types(made)
    assert types["second_cut_dequantised_fp16"] == onnx.TensorProto.FLOAT16
    kinds = {layer.name: layer.precision for layer in node_precisions(made)}
    assert kinds["people"] == "fp16"
    assert kinds["second"] == "int8"
    image = pixels(seed=4)
    for ours, theirs in zip(run(model, image), run(made, image), strict=True):
        assert theirs == pytest.approx(ours, abs=0.06 * float(np.abs(ours).max()))


def test_steps():
    signed = activation_step(-1.0, 2.54, "tensorrt")
    assert signed.scale == pytest.approx(0.02)
    assert signed.zero == 0
    unsigned = activation_step(-1.0, 1.55, "cpu")
    assert unsigned.scale == pytest.approx(0.01)
    assert unsigned.zero == 100
    assert activation_step(0.0, 0.0, "cpu").scale > 0
    assert weight_scales(np.zeros((2, 3, 1, 1), np.float32), 0).min() > 0


def test_weights_shared_by_two_kinds_of_convolution(model):
    shared = onnx.ModelProto()
    shared.CopyFrom(model)
    # One weight of (16, 16, 1, 1), read along either axis, and one bias for two inputs' steps.
    up = onnx.helper.make_node("ConvTranspose", ["second_cut", "third_w", "third_b"], ["up"], "up")
    index = next(i for i, node in enumerate(shared.graph.node) if node.name == "side")
    shared.graph.node.insert(index + 1, up)
    total = next(node for node in shared.graph.node if node.op_type == "Add")
    total.input[1] = "up"
    feeds = [{"image": pixels(seed=seed)} for seed in range(3)]
    seen = calibrate(shared, feeds, calibrated_tensors(shared), threads=1).ranges("minmax")
    for encoding in ("tensorrt", "cpu"):
        made = to_int8(shared, seen, encoding)
        onnx.checker.check_model(made, full_check=True)
        for ours, theirs in zip(
            run(shared, pixels(seed=1)), run(made, pixels(seed=1)), strict=True
        ):
            assert theirs == pytest.approx(ours, abs=0.06 * float(np.abs(ours).max()))


@pytest.mark.parametrize("encoding", ["tensorrt", "cpu"])
def test_transposed_convolutions_in_groups(model, encoding):
    """Their channels are counted within a group: one scale for all, and a bias in float32."""
    grouped = onnx.ModelProto()
    grouped.CopyFrom(model)
    rng = np.random.default_rng(0)
    values = {
        "up_w": rng.normal(0, 0.3, (16, 4, 2, 2)),
        "up_b": np.linspace(-1, 1, 16),
        "down_w": rng.normal(0, 0.1, (16, 16, 3, 3)),
    }
    values["up_w"][:, 1] *= 1e-3
    tensors = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in values.items()]
    grouped.graph.initializer.extend(tensors)
    up = onnx.helper.make_node(
        "ConvTranspose", ["second_cut", "up_w", "up_b"], ["up"], "up", group=4, strides=[2, 2]
    )
    down = onnx.helper.make_node(
        "Conv", ["up", "down_w"], ["down"], "down", strides=[2, 2], pads=[1] * 4
    )
    index = next(i for i, node in enumerate(grouped.graph.node) if node.name == "sum")
    grouped.graph.node.insert(index, up)
    grouped.graph.node.insert(index + 1, down)
    next(node for node in grouped.graph.node if node.name == "sum").input[1] = "down"
    feeds = [{"image": pixels(seed=seed)} for seed in range(3)]
    seen = calibrate(grouped, feeds, calibrated_tensors(grouped), threads=1).ranges("minmax")
    made = to_int8(grouped, seen, encoding)
    onnx.checker.check_model(made, full_check=True)
    scales = weights(made)["up_w_by_1_scale"]
    assert scales == pytest.approx(np.full(4, np.abs(values["up_w"]).max() / 127))
    up = next(node for node in made.graph.node if node.name == "up")
    assert up.input[2] == "up_b"
    image = pixels(seed=1)
    for ours, theirs in zip(run(grouped, image), run(made, image), strict=True):
        assert theirs == pytest.approx(ours, abs=0.06 * float(np.abs(ours).max()))


def test_no_two_neighbours_of_a_cpus_weights_saturate(model, ranges):
    for name, whole in weights(to_int8(model, ranges, "cpu")).items():
        if not name.endswith("_integers") or whole.ndim != 4:
            continue
        assert np.abs(whole).max() > 64  # more than 7 bits of the range are in use
        for order in (whole, np.moveaxis(whole, 1, -1)):
            flat = order.reshape(len(whole), -1).astype(np.int32)
            even, odd = flat[:, : flat.shape[1] // 2 * 2 : 2], flat[:, 1::2]
            same = np.sign(even) == np.sign(odd)
            assert (np.abs(even + odd)[same] * 255).max() < 2**15


def test_scales_of_weights_that_saturate_nothing():
    weight = np.zeros((3, 4, 1, 1), np.float32)
    weight[0, :2, 0, 0] = 1, 1  # add up
    weight[1, :2, 0, 0] = 1, -1  # never at once
    weight[2, 1:3, 0, 0] = 1, 1  # no neighbours
    whole = weight_scales(weight, 0)
    assert unsaturated_scales(weight, whole) == pytest.approx(np.array([2, 1, 1]) / 127)


def test_depthwise_weights_use_the_whole_range(model):
    deep = onnx.ModelProto()
    deep.CopyFrom(model)
    weight = np.random.default_rng(0).normal(0, 0.3, (16, 1, 3, 3)).astype(np.float32)
    deep.graph.initializer.append(numpy_helper.from_array(weight, "deep_w"))
    node = onnx.helper.make_node(
        "Conv", ["third", "deep_w"], ["deep"], "deep", group=16, pads=[1] * 4
    )
    index = next(i for i, node in enumerate(deep.graph.node) if node.name == "sum")
    deep.graph.node.insert(index, node)
    next(node for node in deep.graph.node if node.name == "sum").input[0] = "deep"
    feeds = [{"image": pixels(seed=seed)} for seed in range(2)]
    seen = calibrate(deep, feeds, calibrated_tensors(deep), threads=1).ranges("minmax")
    made = to_int8(deep, seen, "cpu")
    assert (np.abs(weights(made)["deep_w_by_0_integers"]).max((1, 2, 3)) == 127).all()
    fused, written = (
        open_session(made, 1, fuse=fuse).run(None, feeds[0]) for fuse in (True, False)
    )
    for ours, theirs in zip(written, fused, strict=True):
        assert theirs == pytest.approx(ours, abs=0.02 * float(np.abs(ours).max()))


@pytest.mark.parametrize("seed", range(3))
def test_integer_kernels_count_as_the_graph_says(model, ranges, seed):
    """On every CPU: kernels that saturate in 16 bits would move the maps, and no other file."""
    made = to_int8(model, ranges, "cpu")
    image = pixels(seed=seed)
    fused = open_session(made, 1).run(None, {"image": image})
    written = open_session(made, 1, fuse=False).run(None, {"image": image})
    for ours, theirs in zip(written, fused, strict=True):
        assert theirs == pytest.approx(ours, abs=0.02 * float(np.abs(ours).max()))


def test_graphs_within_graphs_are_refused(model):
    loop = onnx.ModelProto()
    loop.CopyFrom(model)
    body = onnx.helper.make_graph([], "body", [], [])
    loop.graph.node.append(onnx.helper.make_node("If", ["yes"], [], "branch", then_branch=body))
    for convert in (lambda: to_int8(loop, {}, "cpu"), lambda: to_fp16(loop)):
        with pytest.raises(ModelError, match="without If, Loop and Scan, got branch"):
            convert()


@pytest.mark.parametrize("encoding", ["tensorrt", "cpu"])
@pytest.mark.parametrize("gain", [1.0, 1e4, 1e6])
def test_small_weights_keep_their_steps(encoding, gain):
    loud = tidy(small_model(gain=gain))
    feeds = [{"image": pixels(seed=seed)} for seed in range(4)]
    seen = calibrate(loud, feeds, calibrated_tensors(loud), threads=1).ranges("minmax")
    made = to_int8(loud, seen, encoding)
    scales = weights(made)["third_w_by_0_scale"]
    whole = weight_scales(weights(loud)["third_w"], 0)
    if encoding == "cpu":
        whole = unsaturated_scales(weights(loud)["third_w"], whole)
    assert scales == pytest.approx(whole)
    image = pixels(seed=9)
    for ours, theirs in zip(run(loud, image), run(made, image), strict=True):
        assert theirs == pytest.approx(ours, abs=0.05 * float(np.abs(ours).max()))


def test_small_steps_are_above_0_in_float16():
    loud = tidy(small_model(gain=1e6))
    feeds = [{"image": pixels(seed=seed)} for seed in range(2)]
    seen = calibrate(loud, feeds, calibrated_tensors(loud), threads=1).ranges("minmax")
    stored = weights(to_fp16(with_opset(to_int8(loud, seen, "tensorrt"), 19)))
    scales = {name: value for name, value in stored.items() if name.endswith("_scale_fp16")}
    assert scales["third_w_by_0_scale_fp16"].dtype == np.float16
    assert all((value >= 2.0**-20).all() for value in scales.values())


def test_the_bias_of_a_dead_channel_stays(model, ranges):
    dead = onnx.ModelProto()
    dead.CopyFrom(model)
    for weight in dead.graph.initializer:
        if weight.name == "third_w":
            value = numpy_helper.to_array(weight).copy()
            value[3] = 1e-12
            weight.CopyFrom(numpy_helper.from_array(value, weight.name))
        if weight.name == "third_b":
            value = numpy_helper.to_array(weight).copy()
            value[3] = 0.5
            weight.CopyFrom(numpy_helper.from_array(value, weight.name))
    made = weights(to_int8(dead, ranges, "cpu"))
    key = "third_b_by_second_cut_by_third_w_by_0"
    bias = made[f"{key}_integers"].astype(np.float64) * made[f"{key}_scale"]
    assert bias == pytest.approx(weights(dead)["third_b"], abs=1e-4)


def with_odd_names(model, tensors, nodes):
    """The model with tensors and nodes of other names."""
    odd = onnx.ModelProto()
    odd.CopyFrom(model)
    for node in odd.graph.node:
        node.name = nodes.get(node.name, node.name)
        for field in (node.input, node.output):
            field[:] = [tensors.get(name, name) for name in field]
    for weight in odd.graph.initializer:
        weight.name = tensors.get(weight.name, weight.name)
    onnx.checker.check_model(odd, full_check=True)
    return odd


@pytest.mark.parametrize("encoding", ["tensorrt", "cpu"])
def test_names_of_ours_in_a_foreign_graph(model, encoding):
    tensors = {
        "third": "second_cut_dequantised",
        "side": "second_cut_quantised",
        "sum": "second_cut_scale",
        "people_w": "heads_w_by_0_dequantised",
        "first": "first_cut_fp16",
        "people": "heads_half",
        "second": "heads_exact",
    }
    nodes = {
        "first": "second_cut_quantise",
        "third": "second_cut_dequantise",
        "side": "image_to_float16",
        "sum": "heads_half_cast",
    }
    odd = with_odd_names(model, tensors, nodes)
    feeds = [{"image": pixels(seed=seed)} for seed in range(4)]
    seen = calibrate(odd, feeds, calibrated_tensors(odd), threads=1).ranges("minmax")
    whole = to_int8(odd, seen, encoding)
    made = [whole, to_fp16(odd), emulated(to_fp16(odd))]
    if encoding == "tensorrt":
        made.append(emulated(to_fp16(with_opset(whole, 19))))
    image = pixels(seed=5)
    for one in made:
        onnx.checker.check_model(one, full_check=True)
        labels = [node.name for node in one.graph.node]
        assert len(set(labels)) == len(labels)
        for ours, theirs in zip(run(odd, image), run(one, image), strict=True):
            assert theirs == pytest.approx(ours, abs=0.06 * float(np.abs(ours).max()))


@pytest.mark.parametrize("group", [1, 2, 4])
def test_the_mean_shift_of_rounded_weights(group):
    rng = np.random.default_rng(group)
    weight = rng.normal(size=(8, 4 // group, 3, 3)).astype(np.float32)
    scales = weight_scales(weight, 0)
    rounded = np.rint(weight / scales.reshape(-1, 1, 1, 1)) * scales.reshape(-1, 1, 1, 1)
    means = rng.uniform(0, 3, 4)
    # On maps without a structure every output is the sum of the weights times the means.
    wanted = [
        sum(
            (rounded - weight)[out, i].sum() * means[out // (8 // group) * (4 // group) + i]
            for i in range(4 // group)
        )
        for out in range(8)
    ]
    assert mean_shift(weight, scales, means, group) == pytest.approx(wanted, abs=1e-5)
    means[0] = np.nan
    assert np.isfinite(mean_shift(weight, scales, means, group)).all()


@pytest.mark.parametrize("encoding", ["tensorrt", "cpu"])
def test_biases_take_back_the_shift_of_rounded_weights(model, encoding):
    feeds = [{"image": pixels(seed=seed)} for seed in range(4)]
    seen = calibrate(model, feeds, calibrated_tensors(model), threads=1)
    plain, mended = (
        to_int8(model, seen.ranges("minmax"), encoding, means=means)
        for means in (None, seen.means())
    )
    onnx.checker.check_model(mended, full_check=True)
    assert node_precisions(mended) == node_precisions(plain)

    def moved(made):
        """Return by how much the means of both maps are off, over some images."""
        pairs = [zip(run(model, f["image"]), run(made, f["image"]), strict=True) for f in feeds]
        apart = [[float((b - a).mean()) for a, b in pair] for pair in pairs]
        return np.abs(np.mean(apart, axis=0)).sum()

    assert moved(mended) < moved(plain)
