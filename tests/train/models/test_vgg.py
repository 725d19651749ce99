"""VGG-16: its taps, its size, and torchvision's names."""

import itertools

import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError, ModelError  # noqa: E402
from edgecount.train.models.vgg import VGG16  # noqa: E402
from edgecount.train.models.weights import load_backbone  # noqa: E402


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return VGG16().eval()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (16, 48)])
def test_each_stage_halves_the_size_and_the_last_pooling_is_left_out(backbone, height, width):
    with torch.no_grad():
        taps = backbone(torch.randn(2, 3, height, width))
    assert [tuple(tap.shape) for tap in taps] == [
        (2, channels, height >> stage, width >> stage)
        for stage, channels in enumerate((64, 128, 256, 512, 512))
    ]
    assert backbone.channels == (64, 128, 256, 512, 512)


def test_the_convolutions_hold_the_published_14_71_million_weights(backbone):
    assert sum(p.numel() for p in backbone.parameters()) == 14_714_688


@pytest.mark.parametrize(
    ("batch_norm", "indices"),
    [
        (False, [0, 2, 5, 7, 10, 12, 14, 17, 19, 21]),
        (True, [0, 3, 7, 10, 14, 17, 20, 24, 27, 30]),
    ],
)
def test_convolutions_are_numbered_as_in_torchvision(batch_norm, indices):
    network = VGG16(stages=4, batch_norm=batch_norm)
    names = [n for n, p in network.named_parameters() if p.ndim == 4]
    assert names == [f"features.{index}.weight" for index in indices]
    norms = [n for n in network.state_dict() if n.endswith("running_mean")]
    assert norms == [f"features.{index + 1}.running_mean" for index in indices if batch_norm]


def test_taps_are_taken_after_the_relu(backbone):
    with torch.no_grad():
        taps = backbone(torch.randn(1, 3, 16, 16))
    assert all(tap.min() == 0 for tap in taps)


def test_without_imagenet_weights_the_signal_reaches_the_last_stage(backbone):
    with torch.no_grad():
        taps = backbone(torch.randn(1, 3, 64, 64))
    assert all(0.1 < tap.std() < 10 for tap in taps)


def test_ten_layers_start_from_imagenet_and_the_rest_from_gaussians(tmp_path):
    torch.manual_seed(0)
    given = {name: torch.full_like(value, 0.5) for name, value in VGG16().state_dict().items()}
    path = tmp_path / "vgg16.pth"
    torch.save({**given, "classifier.0.weight": torch.zeros(2, 2)}, path)
    backbone = VGG16(pretrained_layers=10)
    load_backbone(backbone, path)
    weights = [p.detach() for p in backbone.parameters() if p.ndim == 4]
    assert all(float(w.min()) == float(w.max()) == 0.5 for w in weights[:10])
    for w in weights[10:]:
        assert float(w.mean()) == pytest.approx(0.0, abs=1e-4)
        assert float(w.std()) == pytest.approx(0.01, rel=0.01)
    biases = [p.detach() for p in backbone.parameters() if p.ndim == 1]
    assert [float(b.max()) for b in biases] == [0.5] * 10 + [0.0] * 3
    del given["features.28.weight"]  # of the last layer, which ten layers need not have
    torch.save(given, path)
    load_backbone(VGG16(pretrained_layers=10), path)
    with pytest.raises(ModelError, match=r"lacks 1 of 26 arrays, first 'features\.28\.weight'"):
        load_backbone(VGG16(), path)


def test_batch_norms_belong_to_the_layer_before_them():
    backbone = VGG16(batch_norm=True, pretrained_layers=2)
    assert {name.split(".")[1] for name in backbone.pretrained_names} == {"0", "1", "3", "4"}


def test_a_thin_network_has_a_share_of_the_channels():
    backbone = VGG16(width=0.25)
    assert backbone.channels == (16, 32, 64, 128, 128)
    assert VGG16(width=0.01).channels == (8, 8, 8, 8, 8)
    widths, kernels = (3, 16, 16, 32, 32, 64, 64, 64, 128, 128, 128, 128, 128, 128), 9
    pairs = itertools.pairwise(widths)
    expected = sum(kernels * one * other + other for one, other in pairs)
    assert sum(p.numel() for p in backbone.parameters()) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0.0}, r"model\.width: expected a number above 0, got 0"),
        ({"pretrained_layers": 14}, r"model\.pretrained_layers: expected 0 to 13 convolutions"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        VGG16(**options)
