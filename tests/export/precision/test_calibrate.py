"""Calibration: extremes and histograms, ranges from them, the cache."""

from pathlib import Path

import numpy as np
import pytest
from graphs import pixels, small_model

from edgecount.errors import OutputError
from edgecount.export.defaults import METHODS
from edgecount.export.graph.queries import tidy, with_outputs
from edgecount.export.graph.session import open_session
from edgecount.export.precision import calibrate as calibration
from edgecount.export.precision.calibrate import (
    BINS,
    PERCENTILE,
    SAMPLES,
    Values,
    calibrate,
    calibration_key,
    load_calibration,
)


def values_of(*arrays):
    values = Values()
    for array in arrays:
        values.add(np.asarray(array, np.float32))
    return values


def test_extremes_are_exact_and_no_value_is_lost():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(0, scale, 5000) for scale in (0.01, 3.0, 100.0)]
    values = values_of(*arrays)
    everything = np.concatenate(arrays).astype(np.float32)
    assert values.low == everything.min()
    assert values.high == everything.max()
    assert values.counts.sum() == 15000
    edges = np.linspace(-values.reach, values.reach, BINS + 1)
    # Widening moves no count across an edge, whatever the order of the images.
    assert values.counts.tolist() == np.histogram(everything, edges)[0].tolist()


def test_the_mean_of_each_channel():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(3, 1, 4, 20, 30)).astype(np.float32)
    values = values_of(*images)
    assert values.sums / values.images == pytest.approx(images.mean((0, 1, 3, 4)), abs=1e-6)
    endless = np.full((1, 2, 4, 4), np.inf, np.float32)
    endless[0, 1, 0] = -np.inf
    assert not np.isfinite(values_of(endless, endless).sums).any()
    assert not values_of(np.zeros(5)).images


def test_ranges():
    rng = np.random.default_rng(1)
    bulk = rng.normal(0, 1, 200_000)
    values = values_of(bulk, [50.0])
    assert values.range("minmax") == (values.low, 50.0)
    low, high = values.range("percentile")
    assert low == pytest.approx(-3.72, abs=0.25)
    assert high == pytest.approx(3.72, abs=0.25)
    entropy = values.range("entropy")
    assert 2.0 < entropy[1] < 10.0


def test_entropy_keeps_a_flat_histogram_whole():
    values = values_of(np.linspace(-1, 1, 100_001))
    low, high = values.range("entropy")
    assert high > 0.9
    assert low < -0.9


@pytest.mark.parametrize("method", METHODS)
def test_zero_lies_in_every_range(method):
    assert values_of([2.0, 3.0]).range(method)[0] == 0.0
    assert values_of([-3.0, -2.0]).range(method)[1] == 0.0
    assert values_of([0.0, 0.0]).range(method) == (0.0, 0.0)


def test_what_a_graph_makes_is_watched():
    model = tidy(small_model())
    feeds = [{"image": pixels(seed=seed)} for seed in range(3)]
    steps = []
    seen = calibrate(
        model, iter(feeds), ["image", "sum"], threads=1, progress=lambda: steps.append(1)
    )
    session = open_session(with_outputs(model, ["sum"]), 1)
    sums = np.concatenate([session.run(["sum"], feed)[0].ravel() for feed in feeds])
    assert seen.values["sum"].low == sums.min()
    assert seen.values["sum"].high == sums.max()
    assert seen.values["image"].largest == max(np.abs(feed["image"]).max() for feed in feeds)
    assert seen.images == len(steps) == 3


def test_the_cache_is_of_one_model_and_its_images(tmp_path):
    model = tidy(small_model())
    feeds = [{"image": pixels(seed=seed)} for seed in range(2)]
    seen = calibrate(model, feeds, ["image", "sum"], threads=1)
    images = [tmp_path / "one.png", tmp_path / "two.png"]
    for number, image in enumerate(images):
        image.write_bytes(bytes([number]))
    data = model.SerializeToString()
    key = calibration_key(data, "RGB", images)
    path = tmp_path / "calibration.npz"
    seen.save(path, key)
    again = load_calibration(path, key)
    assert again is not None
    assert again.images == 2
    for method in METHODS:
        assert again.ranges(method) == seen.ranges(method)
    assert again.means().keys() == seen.means().keys() == {"image", "sum"}
    for name, means in seen.means().items():
        assert again.means()[name].tolist() == means.tolist()
    for other in (
        calibration_key(data, "RGB", images[:1]),
        calibration_key(data, "BGR", images),
        calibration_key(data + b"0", "RGB", images),
    ):
        assert load_calibration(path, other) is None
    images[1].write_bytes(b"another")
    assert calibration_key(data, "RGB", images) != key
    whole = path.read_bytes()
    for damaged in (whole[:100], b"", whole[:200] + bytes(50) + whole[250:]):
        path.write_bytes(damaged)
        assert load_calibration(path, key) is None
    assert load_calibration(tmp_path / "none.npz", key) is None


@pytest.mark.parametrize("width", [96, 120, 128, 160, 192, 250, 256, 384])
@pytest.mark.parametrize("step", [2, 3, 4, 8])
def test_a_large_tensor_is_sampled_across_its_columns(width, step):
    """As behind a transposed convolution: some of the columns hold much larger values."""
    rng = np.random.default_rng(3)
    for factor in (2, 3, 4, 6, 8):  # of the samples that are taken
        rows = -(-factor * SAMPLES // (8 * width))
        array = np.abs(rng.standard_normal((1, 8, rows, width), np.float32))
        array[..., 1::step] *= 20
        true = float(np.quantile(array, PERCENTILE))
        found = values_of(array).range("percentile")[1]
        assert found == pytest.approx(true, rel=0.05), factor


def test_large_channels_and_rows_are_sampled():
    array = np.abs(np.random.default_rng(4).standard_normal((1, 64, 160, 200), np.float32))
    array[:, ::16] *= 20
    array[:, :, ::2] *= 3
    found = values_of(array).range("percentile")[1]
    assert found == pytest.approx(float(np.quantile(array, PERCENTILE)), rel=0.05)


@pytest.mark.parametrize("size", [SAMPLES + 1, 1_000_003, 2**31 - 1, 10**12 + 7])
def test_places_lie_inside_and_rise(size):
    places = calibration._sample(size)
    assert places[0] >= 0
    assert places[-1] < size
    assert (np.diff(places) >= 0).all()
    assert np.diff(places).max() < 2.01 * size / SAMPLES + 1


def test_sampling_is_the_same_every_time():
    array = np.random.default_rng(5).standard_normal((1, 4, 400, 600), np.float32)
    one, other = values_of(array, array), values_of(array, array)
    assert one.counts.tolist() == other.counts.tolist()
    assert one.counts.sum() == 2 * SAMPLES


def test_a_cache_of_the_sampling_before_is_not_used(tmp_path, monkeypatch):
    image = tmp_path / "one.png"
    image.write_bytes(b"1")
    now = calibration_key(b"model", "RGB", [image])
    monkeypatch.setattr(calibration, "FORMAT", 1)
    assert calibration_key(b"model", "RGB", [image]) != now


@pytest.mark.parametrize("full", ["folder", "disk"])
def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch, full):
    seen = calibrate(tidy(small_model()), [{"image": pixels()}], ["sum"], threads=1)
    path = tmp_path / "calibration.npz"
    if full == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"older")

        def no_space(self, data):
            self.touch()
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", no_space)
    with pytest.raises(OutputError, match=r"cannot write .*calibration\.npz"):
        seen.save(path, "key")
    assert [entry.name for entry in tmp_path.iterdir()] == ["calibration.npz"]
    assert full == "folder" or path.read_bytes() == b"older"
