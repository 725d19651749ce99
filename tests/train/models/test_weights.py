"""Weights from files of every kind, and what is said of files that do not fit."""

import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import MissingExtraError, ModelError  # noqa: E402
from edgecount.train.models.mcnn import MCNN  # noqa: E402
from edgecount.train.models.vgg import VGG16  # noqa: E402
from edgecount.train.models.weights import (  # noqa: E402
    load_backbone,
    load_by_order,
    read_arrays,
    restore_batch_norm,
)


@pytest.fixture
def state():
    torch.manual_seed(0)
    return VGG16(stages=1).state_dict()


def _write(path, state):
    if path.suffix == ".npz":
        np.savez(path, **{name: value.numpy() for name, value in state.items()})
    elif path.suffix == ".safetensors":
        pytest.importorskip("safetensors.torch").save_file(state, path)
    elif path.suffix == ".h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            for name, value in state.items():
                file[name] = value.numpy()
    else:
        torch.save(state, path)


def _same(network, state):
    own = network.state_dict()
    return all(torch.equal(own[name], value) for name, value in state.items())


@pytest.mark.parametrize("suffix", [".npz", ".pth", ".pt", ".safetensors", ".h5"])
def test_every_format_gives_the_same_weights(state, suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    _write(path, state)
    network = VGG16(stages=1)
    assert not _same(network, state)
    load_backbone(network, path)
    assert _same(network, state)


@pytest.mark.parametrize("container", ["state_dict", "model", "ema"])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "module.features."])
def test_containers_and_prefixes_are_seen_through(state, container, prefix, tmp_path):
    path = tmp_path / "weights.pth"
    named = {prefix + name: value for name, value in state.items()}
    torch.save({"epoch": 3, container: named}, path)
    network = VGG16(stages=1)
    load_backbone(network, path)
    assert _same(network, state)


def test_two_backbones_in_one_file_are_not_guessed_between(state, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(
        {f"{p}.{n}": value for p in ("student", "teacher") for n, value in state.items()}, path
    )
    with pytest.raises(ModelError, match=r"lacks 4 of 4 arrays, first 'features\.0\.weight'"):
        load_backbone(VGG16(stages=1), path)


def test_the_classifier_and_further_stages_are_ignored(state, tmp_path):
    path = tmp_path / "weights.pth"
    extra = {"classifier.0.weight": torch.zeros(3), "features.5.weight": torch.zeros(2)}
    torch.save(state | extra, path)
    network = VGG16(stages=1)
    load_backbone(network, path)
    assert _same(network, state)


def test_the_first_array_that_is_missing_is_named(state, tmp_path):
    path = tmp_path / "weights.pth"
    del state["features.2.weight"], state["features.2.bias"]
    torch.save(state, path)
    network = VGG16(stages=1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ModelError, match=r"lacks 2 of 4 arrays, first 'features\.2\.weight'"):
        load_backbone(network, path)
    assert _same(network, before)


def test_the_first_array_of_another_shape_is_named(state, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(state | {"features.2.bias": torch.zeros(63)}, path)
    network = VGG16(stages=1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ModelError, match=r"features\.2\.bias .* shape \(63,\), expected \(64,\)"):
        load_backbone(network, path)
    assert _same(network, before)


@pytest.mark.parametrize("suffix", [".npz", ".pth", ".safetensors", ".h5"])
def test_damaged_files_are_one_clear_error(suffix, state, tmp_path):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(b"not what its name says")
    with pytest.raises(ModelError, match=rf"cannot read .*{suffix}: damaged, or not \{suffix}"):
        read_arrays(path)
    _write(path, state)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match="damaged"):
        read_arrays(path)


def test_missing_files_and_other_kinds(tmp_path):
    with pytest.raises(ModelError, match=r"there is no file .*weights\.npz"):
        read_arrays(tmp_path / "weights.npz")
    with pytest.raises(ModelError, match=r"expected one of \.npz, .*, got weights\.caffemodel"):
        read_arrays(tmp_path / "weights.caffemodel")


class _Code:
    def __reduce__(self):
        return (print, ("this ran",))


def test_code_in_a_checkpoint_is_not_run(tmp_path, capsys):
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "extra": _Code()}, path)
    with pytest.raises(ModelError, match="cannot read"):
        read_arrays(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("suffix", "package"), [(".h5", "h5py"), (".safetensors", "safetensors")])
def test_a_missing_package_is_named_with_its_extra(suffix, package, tmp_path, monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(b"x")
    with pytest.raises(MissingExtraError, match=rf'^{package} is needed .*"edgecount\[train\]"'):
        read_arrays(path)


def test_an_mcnn_of_another_code_base_finds_its_places(tmp_path):
    torch.manual_seed(0)
    trained = MCNN().eval()
    indices = {0: "0", 3: "2", 6: "4", 8: "5"}
    theirs = {}
    for name, value in trained.state_dict().items():
        if name.startswith("fuse"):
            theirs[f"DME.fuse.0.conv.{name.rsplit('.')[-1]}"] = value
        else:
            _, column, layer, kind = name.split(".")
            theirs[f"DME.branch{int(column) + 1}.{indices[int(layer)]}.conv.{kind}"] = value
    path = tmp_path / "mcnn.h5"
    _write(path, theirs)
    network = MCNN().eval()
    load_by_order(network, path)
    assert _same(network, trained.state_dict())


def test_weights_by_order_that_do_not_fit(state, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    with pytest.raises(ModelError, match=r"expected 26 arrays .* got 4; columns\.0\.0\.bias"):
        load_by_order(MCNN(), path)


def test_numbers_in_names_sort_as_numbers(tmp_path):
    network = torch.nn.Sequential(*(torch.nn.Conv2d(1, 1, 1) for _ in range(12)))
    path = tmp_path / "weights.pth"
    torch.save(
        {
            f"layer{i}.{n}": torch.full(s, float(i))
            for i in range(12)
            for n, s in (("weight", (1, 1, 1, 1)), ("bias", (1,)))
        },
        path,
    )
    load_by_order(network, path)
    assert [layer.weight.item() for layer in network] == list(range(12))


def test_measured_norms_have_the_statistics_of_the_images_and_the_same_function():
    torch.manual_seed(0)
    network = VGG16(stages=2, batch_norm=True).eval()
    images = [torch.randn(2, 3, 16, 16) * 3 + 1 for _ in range(2)]
    with torch.no_grad():
        before = network(images[0])[-1]
        restore_batch_norm(network, images)
        torch.testing.assert_close(network(images[0])[-1], before, rtol=1e-3, atol=1e-3)
        first = torch.cat([network.features[0](image) for image in images])
    norm = network.features[1]
    torch.testing.assert_close(norm.running_mean, first.mean((0, 2, 3)), rtol=1e-4, atol=1e-4)
    variance = first.var((0, 2, 3), correction=0)
    torch.testing.assert_close(norm.running_var, variance, rtol=1e-3, atol=1e-3)
