"""Counts inside annotated regions, through the counter that users call."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount import EdgeCounter, Region  # noqa: E402
from edgecount.errors import ConfigError, SourceError  # noqa: E402
from edgecount.manifest import FusionSpec, Manifest, PostprocessSpec  # noqa: E402
from edgecount.regions import rasterise  # noqa: E402
from edgecount.train.data.sample import Sample  # noqa: E402
from edgecount.train.evaluate.counting import count_sample, count_samples, regions_of  # noqa: E402
from edgecount.train.evaluate.evaluation import evaluate_counter  # noqa: E402
from edgecount.train.evaluate.torch_backend import counter_for  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402


def covered(mask):
    """The share of each pixel that the regions of a mask cover."""
    size = mask.shape[::-1]
    return rasterise(regions_of(mask), size=size, grid=mask.shape, cell=(1.0, 1.0)).sum(axis=0)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_regions_of_a_mask_cover_its_pixels_and_no_others(share):
    rng = np.random.default_rng(int(10 * share))
    for _ in range(20):
        mask = rng.random((7, 9)) < share
        assert np.array_equal(covered(mask), mask.astype(np.float32))


def test_a_lake_with_an_island_is_two_regions():
    mask = np.zeros((60, 80), np.uint8)
    cv2.ellipse(mask, (40, 30), (35, 25), 10, 0, 360, 1, -1)
    cv2.circle(mask, (38, 28), 12, 0, -1)
    cv2.circle(mask, (38, 28), 5, 1, -1)
    regions = regions_of(mask > 0)
    assert sorted(len(region.excluded) for region in regions) == [0, 1]
    assert np.array_equal(covered(mask > 0), mask.astype(np.float32))
    with pytest.raises(ConfigError, match="expected an annotated region with a pixel at least"):
        regions_of(np.zeros((4, 4), bool))


@pytest.fixture
def counter():
    torch.manual_seed(0)
    network = build_model("edgecount-n", {"width": 0.25, "channels": 16, "fine_channels": 8}).eval()
    with torch.no_grad():  # a peak in many a cell
        network.heatmap.weight.normal_(0.0, 1000.0)
        network.heatmap.bias.zero_()
    manifest = Manifest(
        name="random",
        version="1",
        description="random weights",
        input=network.input,
        outputs=network.outputs,
        postprocess=PostprocessSpec(threshold=0.3, fusion=FusionSpec()),
    )
    with counter_for(network, manifest) as opened:
        yield opened


def picture(folder, name, region, group=""):
    image = np.random.default_rng(len(name)).integers(0, 255, (70, 90, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / f"{name}.png"), image)
    points = np.array([[30.0, 30.0]], np.float32)
    return Sample(
        folder / f"{name}.png", points, np.ones(1, np.float32), region=region, group=group
    )


SQUARE = np.array([[16, 8], [55, 8], [55, 47], [16, 47]], np.float32)


def test_only_what_is_annotated_is_counted(tmp_path, counter):
    sample = picture(tmp_path, "bounded", SQUARE)
    image, mask = sample.image(), sample.mask(70, 90)
    assert mask.sum() == 40 * 40
    whole = counter.count(image)
    inside = count_sample(counter, sample)
    shares = np.zeros_like(whole.density)
    for row, column in np.ndindex(shares.shape):
        part = mask[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        shares[row, column] = part.mean() if part.size else 0.0
    np.testing.assert_allclose(inside.density, whole.density * shares, rtol=1e-5, atol=1e-7)
    assert inside.density_count == pytest.approx(float((whole.density * shares).sum()), rel=1e-5)
    assert inside.density_count < 0.6 * whole.density_count
    within = [mask[int(y), int(x)] for x, y, _ in whole.points if y < 70 and x < 90]
    assert inside.peak_count == sum(within) < whole.peak_count
    given = Region("by hand", [[16, 8], [56, 8], [56, 48], [16, 48]])
    counter.regions = [given]
    assert inside.count == pytest.approx(counter.count(image).regions["by hand"].count, rel=1e-6)
    assert inside.interval is None


def test_whole_and_bounded_images_come_in_their_order_and_the_regions_come_back(tmp_path, counter):
    own = {"mine": [[0, 0], [20, 0], [20, 20]]}
    counter.regions = own
    samples = [
        picture(tmp_path, "a", None),
        picture(tmp_path, "bb", SQUARE),
        picture(tmp_path, "ccc", SQUARE),
        picture(tmp_path, "dddd", None),
    ]
    samples.insert(2, Sample(tmp_path / "missing.png", *[np.zeros((0, 2))] * 2, region=SQUARE))
    results = list(count_samples(counter, samples))
    with pytest.raises(SourceError, match="missing"):
        results.pop(2)()
    del samples[2]
    for sample, result in zip(samples, results, strict=True):
        expected = count_sample(counter, sample)
        assert result().count == expected.count
        assert result().size == (90, 70)
    assert list(counter.regions) == [Region("mine", own["mine"])]
    left_out = []
    broken = [*samples, Sample(tmp_path / "gone.png", *[np.zeros((0, 2))] * 2, region=SQUARE)]
    evaluated = evaluate_counter(counter, broken, on_error=lambda one, _: left_out.append(one.name))
    assert [image.name for image in evaluated.images] == ["a", "bb", "ccc", "dddd"]
    assert left_out == ["gone"]


def test_scenes_have_errors_of_their_own_and_a_mean(tmp_path, counter):
    scenes = ("S1", "S1", "S1", "S2")
    samples = [
        picture(tmp_path, "x" * (n + 1), SQUARE, group=scene) for n, scene in enumerate(scenes)
    ]
    evaluation = evaluate_counter(counter, samples)
    summary = evaluation.summary()
    errors = [image.count - 1 for image in evaluation.images]
    first, second = np.abs(errors[:3]).mean(), abs(errors[3])
    assert summary["groups"]["S1"]["mae"] == pytest.approx(first)
    assert summary["groups"]["S1"]["images"] == 3
    assert summary["groups"]["S2"]["mae"] == pytest.approx(second)
    assert summary["mean_of_groups"]["mae"] == pytest.approx((first + second) / 2)
    assert summary["count"]["mae"] == pytest.approx((3 * first + second) / 4)


def test_a_counter_that_changes_results_is_refused_for_regions(tmp_path, counter):
    class Changing(EdgeCounter):
        def refine(self, frame, result):
            return result

    with Changing(counter.manifest, backend=counter.backend) as other:
        with pytest.raises(ConfigError, match=r"bounded\.png is annotated.*Changing changes"):
            count_sample(other, picture(tmp_path, "bounded", SQUARE))
        assert count_sample(other, picture(tmp_path, "whole", None)).size == (90, 70)
