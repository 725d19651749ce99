"""ShuffleNetV2: shapes, sizes, the shuffle, and weights of its authors' code."""

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError, ModelError  # noqa: E402
from edgecount.train.models.shufflenet_authors import authors_order  # noqa: E402
from edgecount.train.models.shufflenet_v2 import (  # noqa: E402
    ShuffleNetV2,
    ShuffleUnit,
    shuffle_channels,
)
from edgecount.train.models.weights import load_backbone  # noqa: E402

F = torch.nn.functional
DATA = Path(os.environ.get("EDGECOUNT_DATA", Path(__file__).parents[4] / "shared" / "data"))
BACKBONE = DATA / "backbones" / "shufflenet_v2_x0.5.npz"


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return ShuffleNetV2(width=0.5).eval()


@pytest.mark.parametrize(
    ("width", "channels"), [(0.5, (24, 48, 96, 192)), (1.0, (24, 116, 232, 464))]
)
@pytest.mark.parametrize("size", [(64, 64), (32, 96)])
def test_taps_at_four_strides(width, channels, size):
    network = ShuffleNetV2(width=width).eval()
    with torch.no_grad():
        taps = network(torch.randn(2, 3, *size))
    assert {s: tuple(t.shape) for s, t in taps.items()} == {
        s: (2, c, size[0] // s, size[1] // s) for s, c in zip((4, 8, 16, 32), channels, strict=True)
    }
    assert network.channels == dict(zip((4, 8, 16, 32), channels, strict=True))


@pytest.mark.parametrize(("width", "last", "published"), [(0.5, 192, 1.37), (1.0, 464, 2.28)])
def test_with_its_classifier_it_has_the_published_size(width, last, published):
    parameters = sum(p.numel() for p in ShuffleNetV2(width=width).parameters())
    classifier = last * 1024 + 2 * 1024 + 1024 * 1000 + 1000
    assert (parameters + classifier) / 1e6 == pytest.approx(published, abs=0.005)


def test_another_width_is_refused():
    with pytest.raises(ConfigError, match=r"expected 0\.5 or 1\.0 .*, got 0\.75"):
        ShuffleNetV2(width=0.75)


def test_names_are_those_of_torchvision(backbone):
    shapes = {name: tuple(value.shape) for name, value in backbone.state_dict().items()}
    expected = {
        "conv1.0.weight": (24, 3, 3, 3),
        "conv1.1.running_var": (24,),
        "stage2.0.branch1.0.weight": (24, 1, 3, 3),
        "stage2.0.branch1.2.weight": (24, 24, 1, 1),
        "stage2.0.branch2.0.weight": (24, 24, 1, 1),
        "stage2.0.branch2.3.weight": (24, 1, 3, 3),
        "stage2.3.branch2.5.weight": (24, 24, 1, 1),
        "stage3.7.branch2.6.bias": (48,),
        "stage4.0.branch1.3.weight": (96,),
        "stage4.3.branch2.6.running_mean": (96,),
    }
    assert {name: shapes[name] for name in expected} == expected
    assert "stage2.1.branch1.0.weight" not in shapes


def test_the_shuffle_interleaves_both_halves():
    x = torch.arange(6.0).reshape(1, 6, 1, 1).expand(2, 6, 2, 3)
    shuffled = shuffle_channels(x)
    assert shuffled.shape == (2, 6, 2, 3)
    assert shuffled[1, :, 1, 2].tolist() == [0, 3, 1, 4, 2, 5]


def test_at_stride_1_the_first_half_passes_through():
    torch.manual_seed(0)
    unit = ShuffleUnit(8, 8, 1).eval()
    x = torch.randn(1, 8, 4, 4)
    with torch.no_grad():
        out = unit(x)
        torch.testing.assert_close(out[:, 0::2], x[:, :4])
        torch.testing.assert_close(out[:, 1::2], unit.branch2(x[:, 4:]))


@pytest.mark.parametrize("half", [2, 3, 6, 24, 58])
def test_channels_pass_through_as_many_units_in_either_order(half):
    order = authors_order(2 * half).tolist()
    assert sorted(order) == list(range(2 * half))
    for ours, theirs in enumerate(order):
        assert (ours < half) == (theirs < half)
        # the place after the shuffle, and whether the next unit transforms it
        place = 2 * ours if ours < half else 2 * (ours - half) + 1
        assert (place >= half) == (theirs % 2 == 1)
        if place < half:
            assert order[place] == theirs // 2


def _authors_arrays(network):
    """Random arrays under the authors' names, with the shapes of the network's."""
    names = {"conv1.": "first_conv.", "branch1.": "branch_proj.", "branch2.": "branch_main."}
    generator = torch.Generator().manual_seed(1)
    arrays = {}
    for name, value in network.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)  # noqa: PLW2901
        if name.endswith("num_batches_tracked"):
            continue
        if value.ndim == 4:
            gain = (2.0 / value[0].numel()) ** 0.5
            arrays[name] = torch.randn(value.shape, generator=generator) * gain
        else:
            arrays[name] = torch.rand(value.shape, generator=generator) + 0.5
    return arrays


def _authors_forward(arrays, x):
    """Run the authors' network: even channels pass, odd ones are transformed, both are joined."""

    def layer(name, index, x, stride=1, relu=False):
        weight = arrays[f"{name}.{index}.weight"]
        groups = weight.shape[0] if weight.shape[1] == 1 else 1
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2, groups=groups)
        norm = [
            arrays[f"{name}.{index + 1}.{part}"]
            for part in ("running_mean", "running_var", "weight", "bias")
        ]
        x = F.batch_norm(x, *norm)
        return F.relu(x) if relu else x

    x = F.max_pool2d(layer("first_conv", 0, x, 2, relu=True), 3, 2, 1)
    stages = []
    for stage, units in (("stage2", 4), ("stage3", 8), ("stage4", 4)):
        for unit in range(units):
            stride = 2 if unit == 0 else 1
            kept, main = (x, x) if unit == 0 else (x[:, 0::2], x[:, 1::2])
            if unit == 0:
                name = f"{stage}.0.branch_proj"
                kept = layer(name, 2, layer(name, 0, kept, 2), relu=True)
            name = f"{stage}.{unit}.branch_main"
            main = layer(name, 3, layer(name, 0, main, relu=True), stride)
            x = torch.cat([kept, layer(name, 5, main, relu=True)], dim=1)
        stages.append(x)
    return stages


def test_weights_of_the_authors_code_give_the_authors_function(backbone, tmp_path):
    arrays = _authors_arrays(backbone)
    path = tmp_path / "authors.npz"
    np.savez(path, **{name: value.numpy() for name, value in arrays.items()})
    load_backbone(backbone, path)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        taps = backbone(image)
        for stride, theirs in zip((8, 16, 32), _authors_forward(arrays, image), strict=True):
            order = authors_order(backbone.channels[stride])
            expected = shuffle_channels(theirs[:, order])
            torch.testing.assert_close(taps[stride], expected, rtol=1e-4, atol=1e-4)


def test_weights_with_torchvisions_names_are_taken_as_they_are(backbone, tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, **{name: value.numpy() for name, value in backbone.state_dict().items()})
    other = ShuffleNetV2(width=0.5).eval()
    load_backbone(other, path)
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(other(image)[32], backbone(image)[32])


def test_weights_of_the_authors_code_for_another_width(tmp_path):
    path = tmp_path / "authors.npz"
    arrays = _authors_arrays(ShuffleNetV2(width=1.0))
    np.savez(path, **{name: value.numpy() for name, value in arrays.items()})
    with pytest.raises(ModelError, match=r"stage2\.0\.branch1\.2\.weight in .* has shape \(58, 24"):
        load_backbone(ShuffleNetV2(width=0.5), path)


@pytest.mark.skipif(not BACKBONE.is_file(), reason="no ImageNet weights at hand")
def test_real_weights_meet_the_statistics_that_their_norms_expect(backbone):
    cv2 = pytest.importorskip("cv2")
    load_backbone(backbone, BACKBONE)
    paths = sorted((DATA / "shanghaitech" / "part_B" / "train" / "images").glob("*.jpg"))[:4]
    images = [cv2.resize(cv2.imread(str(path)), (256, 192))[:, :, ::-1] for path in paths]
    batch = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2) / np.float32(255))
    off = []

    def measure(norm, arguments):
        difference = arguments[0].mean((0, 2, 3)) - norm.running_mean
        off.append((difference.abs() / (norm.running_var + norm.eps).sqrt()).median().item())

    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_pre_hook(measure)
    with torch.no_grad():
        backbone(batch)
    # in standard deviations; with the channels in the wrong order it is 0.9
    assert np.median(off) < 0.4
