"""Crops cut on the training device show what those of the CPU show."""

import dataclasses

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
torch = pytest.importorskip("torch")
pytest.importorskip("yaml")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.config import PhotometricAugmentation  # noqa: E402
from edgecount.train.data.device.jpeg import FACTORS, compress  # noqa: E402
from edgecount.train.data.device.mixture import DeviceMixture  # noqa: E402
from edgecount.train.data.device.photometric import apply_changes  # noqa: E402
from edgecount.train.data.device.taps import crop_taps  # noqa: E402
from edgecount.train.data.mixture import Mixture, MixtureComponent  # noqa: E402
from edgecount.train.data.photometric import (  # noqa: E402
    SUBSAMPLINGS,
    apply_change,
    draw_photometric,
)
from edgecount.train.data.sample import Sample  # noqa: E402
from edgecount.train.data.windows import KERNELS  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.objectives import build_objective  # noqa: E402

NOTHING = dict.fromkeys(vars(PhotometricAugmentation()), 0.0) | {"probability": 1.0}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def picture():
    """Draw edges, texture and colour: 384 x 400."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (24, 25, 3), dtype=np.uint8), (400, 384))
    for x, y in rng.integers(0, 380, (60, 2)).tolist():
        cv2.circle(image, (x, y), 6, rng.integers(0, 256, 3).tolist(), -1)
    noise = rng.normal(0, 4, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def resized(image, taps):
    rows, columns = taps
    wide = (image[:, columns.indices] * columns.weights[None, :, :, None]).sum(2)
    return (wide[rows.indices] * rows.weights[:, :, None, None]).sum(1)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "size", [(384, 400), (173, 201), (100, 400), (500, 640), (500, 300), (1, 1)]
)
def test_resizing_is_that_of_opencv(picture, kernel, size):
    expected = cv2.resize(picture, size[::-1], interpolation=kernel).astype(float)
    got = resized(picture.astype(float), crop_taps(picture.shape[:2], size, kernel))
    # OpenCV rounds its weights to 11 bits, and Lanczos' sum a little more often.
    assert np.abs(np.clip(got, 0, 255) - expected).max() < 1.01


@pytest.mark.parametrize(
    ("step", "mean", "most"),
    [
        ("grey", 0.01, 1),
        ("night", 0.01, 1),
        ("blur", 0.1, 1),
        ("low_resolution", 0.3, 2),
        ("sharpen", 0.1, 3),
        ("chroma", 0.4, 5),
    ],
)
def test_changes_are_those_of_the_cpu(picture, step, mean, most):
    augmentation = PhotometricAugmentation(**NOTHING | {step: 1.0})
    changes = [draw_photometric(np.random.default_rng(seed), augmentation) for seed in range(3)]
    images = torch.from_numpy(np.stack([picture] * 4))
    got = apply_changes(images, [*changes, None], torch.Generator()).numpy().astype(int)
    for image, change in zip(got, changes, strict=False):
        difference = np.abs(image - apply_change(picture, change).astype(int))
        assert difference.mean() < mean
        assert difference.max() <= most
    assert np.array_equal(got[3], picture)


@pytest.mark.parametrize("sampling", range(3))
@pytest.mark.parametrize("quality", [30, 75, 97])
def test_compression_loses_what_a_codec_loses(picture, quality, sampling):
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SUBSAMPLINGS[sampling]]
    expected = cv2.imdecode(cv2.imencode(".jpg", picture, options)[1], cv2.IMREAD_COLOR)
    images = torch.from_numpy(picture[None].copy())
    got = compress(images, [quality], FACTORS[sampling])[0].numpy()
    lost = np.abs(expected.astype(int) - picture).mean()
    assert np.abs(got.astype(int) - picture).mean() == pytest.approx(lost, rel=0.05)
    # Fine steps are rounded up by the one and down by the other now and then.
    assert np.abs(expected.astype(int) - got).mean() < 0.4 * lost + 0.05


def test_sides_that_are_no_multiples_of_a_block(picture):
    odd = torch.from_numpy(picture[None, :37, :51].copy())
    got = compress(odd, [95], FACTORS[2])
    assert got.shape == odd.shape
    assert (got.float() - odd.float()).abs().mean() < 6


def test_noise_has_the_spread_that_was_drawn():
    augmentation = PhotometricAugmentation(**NOTHING | {"noise": 1.0})
    change = draw_photometric(np.random.default_rng(4), augmentation)
    change = dataclasses.replace(change, tone=np.arange(256, dtype=np.uint8), saturation=1.0)
    grey = torch.full((1, 200, 200, 3), 128, dtype=torch.uint8)
    noise = apply_changes(grey, [change], torch.Generator().manual_seed(1)).float() - 128
    assert float(noise.std()) == pytest.approx(change.noise, rel=0.03)
    again = apply_changes(grey, [change], torch.Generator().manual_seed(1)).float() - 128
    assert torch.equal(noise, again)


@pytest.fixture
def mixtures(tmp_path, config):
    """Make one of the CPU and one of a device, of four pictures with 12 heads each."""
    samples = []
    for number in range(4):
        rng = np.random.default_rng(number)
        small = rng.integers(0, 256, (30, 40 + number, 3), dtype=np.uint8)
        image = cv2.resize(small, (240 + 6 * number, 180))
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), image)
        points = rng.uniform(-1, 181, (12, 2)).astype(np.float32)
        samples.append(Sample(path, points, np.full(12, 9.0, np.float32)))
    network = build_model("edgecount-s", {"width": 0.25})
    objective = build_objective("edge", {}, network)
    components = [
        MixtureComponent(samples, 0.5, (0.45, 1.6), native=0.5),
        MixtureComponent(samples[:2], 0.3, (0.7, 1.2), "quarters"),
        MixtureComponent([], 0.2, (1.0, 1.0)),
    ]

    def make(**change):
        changed = dataclasses.replace(config, batch_size=24, crop=(96, 128), seed=3, **change)
        one = Mixture(components, changed, objective.targets, network.input)
        other = DeviceMixture(
            components, changed, objective.batch_targets, network.input, device=CPU
        )
        return one, other

    return make


def test_batches_show_the_same_places_with_the_same_targets(mixtures):
    quiet = PhotometricAugmentation(noise=0.0, jpeg=0.0, kernels=0.5, sharpen=0.2, chroma=0.2)
    threads, device = mixtures(photometric=quiet)
    for step in range(2):
        one, other = threads.batch(step), device.batch(step)
        assert one.names == other.names
        assert "blank" in one.names
        scale = max(threads._spec.scale)
        assert float((one.images - other.images).abs().max()) < 6 * scale
        assert float((one.images - other.images).abs().mean()) < 0.3 * scale
        assert set(one.targets) == {*other.targets, "mask"}
        for name, values in other.targets.items():
            torch.testing.assert_close(values, one.targets[name], rtol=0, atol=1e-5)


def test_a_batch_hangs_on_its_step_alone(mixtures):
    _, device = mixtures(workers=3)
    ahead = list(device.batches(3, 5))
    _, again = mixtures()
    torch.testing.assert_close(ahead[1].images, again.batch(4).images, rtol=0, atol=0)


def test_images_that_do_not_fit_are_refused_before_the_first_step(mixtures):
    with pytest.raises(ConfigError, match=r"cache_gb: .* 4 images .* raise cache_gb"):
        mixtures(cache_gb=0.0003)
