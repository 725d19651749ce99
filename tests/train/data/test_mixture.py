"""Batches of crops: seed and step alone decide, processes share them, all images are in them."""

import dataclasses

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("yaml")

from edgecount.errors import ConfigError, SourceError  # noqa: E402
from edgecount.train.config import config_from_dict  # noqa: E402
from edgecount.train.data.assemble import load_data  # noqa: E402
from edgecount.train.data.mixture import Mixture  # noqa: E402
from edgecount.train.data.readers import read_samples  # noqa: E402
from edgecount.train.data.splits import hold_out  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.objectives import build_objective  # noqa: E402


def mixture_of(config, folder, **change):
    network = build_model(config.model.name, config.model.options)
    objective = build_objective("edge", {}, network)
    data = load_data(config, folder)
    config = dataclasses.replace(config, seed=1)
    return Mixture(data.components, config, objective.targets, network.input, **change)


def test_batches_depend_on_seed_and_step_alone(config, tmp_path):
    threads = dataclasses.replace(config, workers=3)
    ahead = list(mixture_of(threads, tmp_path).batches(3, 6))
    again = mixture_of(dataclasses.replace(config, cache_gb=0.0), tmp_path).batch(4)
    torch.testing.assert_close(ahead[1].images, again.images, rtol=0, atol=0)
    torch.testing.assert_close(ahead[1].targets["counts"], again.targets["counts"])
    assert not torch.equal(ahead[0].images, ahead[1].images)


def test_pictures_of_nothing_hold_nobody(config, tmp_path):
    components = load_data(config, tmp_path).components
    for given in (components, components[1:]):  # with photos to blur, and without
        changed = dataclasses.replace(config, crop=(32, 64), batch_size=40, seed=1)
        network = build_model("edgecount-n", {"width": 0.25})
        objective = build_objective("edge", {}, network)
        mixture = Mixture(given, changed, objective.targets, network.input)
        batch = mixture.batch(0)
        blank = [index for index, name in enumerate(batch.names) if name == "blank"]
        assert blank
        assert batch.images.shape == (40, 3, 32, 64)
        assert float(batch.targets["counts"][blank].abs().sum()) == 0.0


def test_processes_share_the_crops_of_a_batch(config, tmp_path):
    whole = mixture_of(config, tmp_path).batch(2)
    for rank in range(2):
        part = mixture_of(config, tmp_path, rank=rank, processes=2).batch(2)
        torch.testing.assert_close(part.images, whole.images[rank::2], rtol=0, atol=0)


def test_the_same_file_at_two_sizes_is_two_images(settings, tmp_path):
    settings["data"] = [
        {"reader": "shanghaitech", "path": "part_X"},
        {"reader": "shanghaitech", "path": "part_X", "shrink": 0.5},
    ]
    mixture = mixture_of(config_from_dict(settings), tmp_path)
    whole, half = (mixture._cache.get(part.samples[0]).shape for part in mixture.components)
    assert (whole, half) == ((96, 128, 3), (48, 64, 3))


def test_images_of_the_same_name_are_held_out_one_by_one(shanghaitech):
    samples = read_samples("shanghaitech", shanghaitech)
    twins = [dataclasses.replace(sample, name="twin") for sample in samples * 5]
    training, held = hold_out(twins, 3)
    assert (len(training), len(held)) == (7, 3)


def test_sets_say_how_their_images_are_read(settings, tmp_path):
    entry = {"reader": "shanghaitech", "path": "part_X", "max_pixels": 99, "accept_damaged": True}
    settings["data"] = [entry]
    mixture = mixture_of(config_from_dict(settings), tmp_path)
    sample = mixture.components[0].samples[0]
    assert sample.accept_damaged
    with pytest.raises(SourceError, match="expected at most 99"):
        sample.image()
    settings["data"] = [entry | {"max_pixels": 0}]
    with pytest.raises(ConfigError, match=r"data.max_pixels: expected 1 or more, got 0"):
        config_from_dict(settings)
