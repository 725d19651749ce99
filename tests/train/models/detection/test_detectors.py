"""Detectors: levels, and boxes decoded as their papers print them, against loops by hand."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.base import Level, Maps  # noqa: E402

LIGHT = {"backbone": "mobilenet_v2", "width": 0.25, "channels": 16, "depth": 1}
SMALL = {
    "retinanet": LIGHT | {"levels": [8, 16, 32, 64]},
    "fcos": LIGHT | {"levels": [4, 8, 16]},
    "foveabox": LIGHT | {"levels": [8, 16, 32, 64, 128]},
    "yolov5": {"size": "n", "levels": [4, 8, 16, 32]},
}
ANCHORS = {"retinanet": 9, "fcos": 1, "foveabox": 1, "yolov5": 3}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", SMALL)
def test_outputs_are_a_pair_for_each_level(name):
    network = build_model(name, SMALL[name]).eval()
    strides = SMALL[name]["levels"]
    with torch.no_grad():
        deployed = network.deploy(network(torch.randn(2, 3, 128, 256)))
    a = ANCHORS[name]
    expected = [(c, 128 // s, 256 // s) for s in strides for c in (a, 4 * a)]
    assert [tuple(one.shape) for one in deployed] == [(2, *shape) for shape in expected]
    said = [(o.name, o.role, o.stride, o.anchors) for o in network.outputs]
    assert said == [(f"{r}_{s}", r, s, a) for s in strides for r in ("scores", "boxes")]
    for scores in deployed[::2]:
        assert 0 <= scores.min() <= scores.max() < 0.2  # heads are rare at the start
    assert all(one.isfinite().all() for one in deployed)


# YOLOv5s has 7,022,326 parameters with one class, YOLOv5n 1,872,157 with 80. A class is an output
# of the heads (3 anchors, channels + 1 weights each), and has none here.
@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("yolov5", {"size": "s"}, 7_022_326 - 3 * (128 + 256 + 512 + 3)),
        ("yolov5", {"size": "n"}, 1_872_157 - 80 * 3 * (64 + 128 + 256 + 3)),
    ],
)
def test_sizes_are_those_of_the_original(name, options, parameters):
    with torch.device("meta"):
        network = build_model(name, options)
    assert sum(p.numel() for p in network.parameters()) == parameters


def decoded(network, raw, level):
    """Return (A, h, w, 4) distances of raw (4A, h, w)."""
    out = network.decode(torch.from_numpy(raw)[None], level)[0].numpy()
    return out.reshape(-1, 4, *out.shape[1:]).transpose(0, 2, 3, 1)


def test_anchors_are_moved_and_grown():
    network = build_model("retinanet", SMALL["retinanet"])
    raw = np.random.default_rng(0).normal(0, 0.5, (36, 2, 3)).astype(np.float32)
    got = decoded(network, raw, 2)
    number = 0
    for scale in (1.0, 2 ** (1 / 3), 2 ** (2 / 3)):
        for ratio in (0.5, 1.0, 2.0):
            area = (4 * scale) ** 2  # in cells: 32 px on P3
            width = math.sqrt(area / ratio)
            height = width * ratio
            sizes = network.anchor_sizes(2)[number]
            assert sizes == pytest.approx((32 * width, 32 * height))
            for row in range(2):
                for column in range(3):
                    dx, dy, dw, dh = raw[4 * number : 4 * number + 4, row, column]
                    w, h = width * math.exp(dw), height * math.exp(dh)
                    sides = (w / 2 - dx * width, h / 2 - dy * height)
                    sides += (w / 2 + dx * width, h / 2 + dy * height)
                    assert got[number, row, column] == pytest.approx(sides, rel=1e-5)
            number += 1


def test_a_size_ends_at_the_bound_and_never_overflows():
    network = build_model("retinanet", SMALL["retinanet"])
    raw = np.full((36, 1, 1), 1000.0, np.float32)
    raw[0::4] = raw[1::4] = 0.0
    sizes = np.array(network.anchor_sizes(0)) / 8
    bound = sizes * math.exp(4.135) / 2
    np.testing.assert_allclose(decoded(network, raw, 0)[:, 0, 0, :2], bound, rtol=1e-5)


def test_distances_are_exponentials():
    raw = np.random.default_rng(1).normal(0, 1, (4, 3, 2)).astype(np.float32)
    fcos = build_model("fcos", SMALL["fcos"])
    fovea = build_model("foveabox", SMALL["foveabox"] | {"base_size": 2.5})
    expected = np.exp(raw.astype(np.float64)).transpose(1, 2, 0)[None]
    np.testing.assert_allclose(decoded(fcos, raw, 0), expected, rtol=1e-5)
    np.testing.assert_allclose(decoded(fovea, raw, 1), 2.5 * expected, rtol=1e-5)


def test_fcos_scales_each_level_and_multiplies_by_centerness():
    network = build_model("fcos", SMALL["fcos"]).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = network(image).levels
        network.scales[1] = 3.0
        after = network(image).levels
    torch.testing.assert_close(after[0].boxes, before[0].boxes)
    torch.testing.assert_close(after[1].boxes, 3.0 * before[1].boxes)
    level = Level(
        torch.full((1, 1, 1, 1), 1.0), torch.zeros(1, 4, 1, 1), torch.tensor([[[[-2.0]]]])
    )
    score = network.deploy(Maps(levels=(level,)))[0].item()
    assert score == pytest.approx(1 / (1 + math.exp(-1)) / (1 + math.exp(2)))


@pytest.mark.parametrize(("channels", "groups"), [(256, 32), (48, 6), (20, 2), (4, 1)])
def test_norms_of_fcos_have_32_groups_at_256_channels(channels, groups):
    with torch.device("meta"):
        network = build_model("fcos", LIGHT | {"channels": channels})
    norms = [m for m in network.score_tower if isinstance(m, torch.nn.GroupNorm)]
    assert [norm.num_groups for norm in norms] == [groups]


def test_yolov5_decodes_as_printed():
    network = build_model("yolov5", {"size": "n"})
    raw = np.random.default_rng(2).normal(0, 2, (12, 2, 2)).astype(np.float32)
    got = decoded(network, raw, 1)
    for number, anchor in enumerate([(30, 61), (62, 45), (59, 119)]):
        for row in range(2):
            for column in range(2):
                t = 1 / (1 + np.exp(-raw[4 * number : 4 * number + 4, row, column].astype(float)))
                # px, from the cell's corner as the original counts
                x, y = (2 * t[:2] - 0.5 + (column, row)) * 16
                w, h = (2 * t[2:]) ** 2 * anchor
                box = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
                left, top, right, bottom = got[number, row, column] * 16
                cx, cy = 16 * (column + 0.5), 16 * (row + 0.5)
                mine = [cx - left, cy - top, cx + right, cy + bottom]
                np.testing.assert_allclose(mine, box, rtol=1e-4, atol=1e-4)


def test_start_of_objectness_is_eight_heads_an_image():
    network = build_model("yolov5", {"size": "n"})
    biases = [head.bias.detach() for head in network.heads]
    for stride, bias in zip(network.strides, biases, strict=True):
        assert bias[:3].mean() == pytest.approx(math.log(8 / (640 / stride) ** 2), abs=0.2)
        assert bias[3:].abs().max() < 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": [8, 32]}, r"model.levels: expected strides that double .*got \[8, 32\]"),
        ({"levels": []}, "model.levels"),
        ({"levels": [2, 4]}, "model.levels"),
        ({"levels": [64, 128, 256]}, "model.levels"),
        ({"scales": []}, "scales, ratios and anchor_size above 0"),
        ({"anchor_size": 0.0}, "scales, ratios and anchor_size above 0"),
        ({"depth": -1}, "model.depth"),
        ({"backbone": "resnet50", "width": 0.5}, "model.width: expected 1.0 of resnet50, got 0.5"),
    ],
)
def test_wrong_options_are_told(options, message):
    with pytest.raises(ConfigError, match=message):
        build_model("retinanet", LIGHT | options)


def test_yolov5_ends_at_stride_32():
    with pytest.raises(ConfigError, match=r"model\.levels: expected strides up to 32"):
        build_model("yolov5", {"size": "n", "levels": [4, 8]})
