"""EfficientNet-Lite0: shapes, size, TensorFlow's padding, and its weights under other names."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError, ModelError  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.efficientnet_lite import EfficientNetLite  # noqa: E402
from edgecount.train.models.weights import load_backbone  # noqa: E402

F = torch.nn.functional


@pytest.mark.parametrize(("blocks", "last"), [(12, 192), (13, 192), (16, 320)])
def test_taps_at_four_strides(blocks, last):
    network = EfficientNetLite(blocks=blocks).eval()
    with torch.no_grad():
        taps = network(torch.randn(1, 3, 64, 96))
    expected = {4: 24, 8: 40, 16: 112, 32: last}
    assert network.channels == expected
    assert {stride: tuple(values.shape) for stride, values in taps.items()} == {
        stride: (1, channels, 64 // stride, 96 // stride) for stride, channels in expected.items()
    }


def test_with_its_classifier_it_has_the_published_size():
    parameters = sum(p.numel() for p in EfficientNetLite(blocks=16).parameters())
    classifier = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert (parameters + classifier) / 1e6 == pytest.approx(4.65, abs=0.01)


@pytest.mark.parametrize("blocks", [11, 17])
def test_other_numbers_of_blocks_are_refused(blocks):
    with pytest.raises(ConfigError, match=f"blocks: expected 12 to 16, got {blocks}"):
        EfficientNetLite(blocks=blocks)
    with pytest.raises(ConfigError, match=r"width: expected 1\.0 .*, got 0\.5"):
        build_model("edgecount-s", {"backbone": "efficientnet_lite0", "width": 0.5})


def theirs(network):
    """Its weights as TensorFlow's code names them, in half precision but for the norms."""
    names = dict(network._names())
    arrays = {}
    for name, ours in names.items():
        module = network.get_submodule(ours)
        for key, value in module.state_dict().items():
            if key != "num_batches_tracked":
                half = isinstance(module, torch.nn.Conv2d)
                arrays[f"{name}.{key}"] = value.numpy().astype("f2" if half else "f4")
    return arrays


def same_padding(x, weight, stride, groups):
    """Convolve as TensorFlow defines SAME, for an even side."""
    total = max(weight.shape[-1] - stride, 0)
    pads = (total // 2, total - total // 2)
    return F.conv2d(F.pad(x, pads * 2), weight, None, stride, 0, 1, groups)


def reference(arrays, image):
    """Compute the features from TensorFlow's names alone."""

    def norm(x, name):
        keys = ("running_mean", "running_var", "weight", "bias")
        mean, var, weight, bias = (torch.from_numpy(arrays[f"{name}.{key}"]) for key in keys)
        return F.batch_norm(x, mean, var, weight, bias, False, 0.0, 1e-3)

    def conv(x, name, stride=1, depthwise=False):
        weight = torch.from_numpy(arrays[f"{name}.weight"]).float()
        return same_padding(x, weight, stride, x.shape[1] if depthwise else 1)

    x = F.relu6(norm(conv(image, "_conv_stem", 2), "_bn0"))
    for number in range(16):
        name, before = f"_blocks.{number}", x
        stride = 2 if number in (1, 3, 5, 11) else 1
        if number:
            x = F.relu6(norm(conv(x, f"{name}._expand_conv"), f"{name}._bn0"))
        x = F.relu6(norm(conv(x, f"{name}._depthwise_conv", stride, True), f"{name}._bn1"))
        x = norm(conv(x, f"{name}._project_conv"), f"{name}._bn2")
        if stride == 1 and x.shape == before.shape:
            x = x + before
    return x


def test_weights_of_tensorflow_in_two_files_give_its_features(tmp_path):
    torch.manual_seed(0)
    made = EfficientNetLite(blocks=16).eval()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    arrays = theirs(made)
    late = {name for name in arrays if name.startswith(("_blocks.13", "_blocks.14", "_blocks.15"))}
    np.savez(tmp_path / "lite0_a.npz", **{n: v for n, v in arrays.items() if n not in late})
    np.savez(tmp_path / "lite0_b.npz", **{n: arrays[n] for n in late})
    network = EfficientNetLite(blocks=16).eval()
    load_backbone(network, tmp_path / "lite0_*.npz")
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            network(image)[32], reference(arrays, image), rtol=1e-4, atol=1e-4
        )
    with pytest.raises(ModelError, match=r"lite0_a\.npz lacks .* arrays"):
        load_backbone(EfficientNetLite(blocks=16), tmp_path / "lite0_a.npz")


def test_every_weight_gets_a_gradient():
    options = {"backbone": "efficientnet_lite0", "blocks": 16}
    network = build_model("edgecount-s", options).train()
    maps = network(torch.randn(2, 3, 64, 64))
    (maps.density.sum() + maps.heatmap_logits.sum() + maps.offset.sum()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_folded_norms_leave_the_function_as_it_was():
    torch.manual_seed(0)
    from edgecount.train.models.fold import fold_batch_norm

    network = EfficientNetLite(blocks=12).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before, after = network(image), fold_batch_norm(network)(image)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in fold_batch_norm(network).modules())
    for stride, features in before.items():
        torch.testing.assert_close(after[stride], features, rtol=1e-4, atol=1e-4)
