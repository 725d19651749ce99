"""VGG-16: its taps, its size, and torchvision's names."""

import pytest

torch = pytest.importorskip("torch")

from edgecount.train.models.vgg import VGG16  # noqa: E402


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
