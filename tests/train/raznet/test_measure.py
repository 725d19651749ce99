"""Fusion and zoom are measured as they are used."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

from edgecount import EdgeCounter, FakeBackend  # noqa: E402
from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.data.sample import Sample  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.postprocess.fusion import observe_sample  # noqa: E402
from edgecount.train.raznet.measure import measure_fusion, measure_zoom  # noqa: E402

TINY = {"width": 0.25, "channels": 16, "fine_channels": 8}


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    rng = np.random.default_rng(0)
    made = []
    for index in range(4):
        path = tmp_path / f"{index}.png"
        cv2.imwrite(str(path), rng.integers(0, 256, (96, 128, 3), dtype=np.uint8))
        points = np.array([[20.0, 20.0], [100.0, 70.0]], np.float32)[: 1 + index % 2]
        made.append(Sample(path, points, np.full(len(points), 10.0, np.float32)))
    return made


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_model("edgecount-n", TINY).eval()


def test_density_and_points_are_measured_beside_their_blends(network, samples):
    found = measure_fusion(network, samples)
    assert set(found) == {"density", "points", "squares", "grid"}
    people = [len(sample.points) for sample in samples]
    density = [observe_sample(network, sample).density.sum() for sample in samples]
    mae = np.abs(np.array(density) - people).mean()
    assert found["density"]["mae"] == pytest.approx(mae, rel=1e-6)
    assert all(values["images"] == 4 for values in found.values())


def test_fusion_needs_both_maps_and_two_images(network, samples):
    with pytest.raises(ConfigError, match="expected 2 images or more, got 1"):
        measure_fusion(network, samples[:1])
    with pytest.raises(ConfigError, match="expected a network with a density and a heatmap"):
        measure_fusion(build_model("mcnn"), samples)


def test_zoom_is_measured_through_the_counter(samples):
    people = [(20.0, 20.0)]

    def open_counter(zoom):
        return EdgeCounter(backend=FakeBackend(people), zoom=zoom)

    found = measure_zoom(open_counter, samples, zooms=(0, 1))
    assert set(found) == {0, 1}
    assert found[0]["points_mae"] == 0.5  # one point, and one or two people
    assert found[0]["precision"] == 1.0
    assert found[0]["recall"] == pytest.approx(4 / 6)
    assert found[0]["f1_8"] == pytest.approx(0.8)
    assert found[1]["seconds"] > 0


def test_a_checkpoint_zooms_as_a_deployed_file_does(tmp_path):
    from edgecount.train.checkpoint import save_checkpoint
    from edgecount.train.config import config_from_dict, config_to_dict
    from edgecount.train.open_checkpoint import open_checkpoint

    torch.manual_seed(0)
    config = config_from_dict(
        {"model": {"name": "edgecount-n", **TINY}, "data": [{"reader": "blank"}]}
    )
    made = build_model("edgecount-n", TINY)
    with torch.no_grad():
        made.heatmap.bias.fill_(0.0)
    state = {"config": config_to_dict(config), "step": 1, "ema": made.state_dict()}
    save_checkpoint(tmp_path / "last.pt", state)
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    counted = []
    for zoom in (0, 1):
        with open_checkpoint(tmp_path / "last.pt", zoom=zoom) as counter:
            counted.append(counter.count(image))
    once, twice = counted
    assert twice.peak_count == len(twice.points)
    assert not np.array_equal(twice.points, once.points)
    assert twice.density_count == once.density_count
    assert np.isfinite(twice.count)
