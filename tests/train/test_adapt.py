"""Fine-tuning of a deployed model: its own weights to start with, better ones or none to end."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from sidecars import write_engine

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("lightning_fabric")
cv2 = pytest.importorskip("cv2")

from click.testing import CliRunner  # noqa: E402

from edgecount import EdgeCounter  # noqa: E402
from edgecount.cli import cli  # noqa: E402
from edgecount.errors import ConfigError, ModelError  # noqa: E402
from edgecount.train.adapt import adapt, hold_out, open_trainable  # noqa: E402
from edgecount.train.data.readers import read_samples  # noqa: E402
from edgecount.train.evaluate.torch_backend import counter_for  # noqa: E402


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    """Twelve pictures of 4 to 15 pale discs on a dark floor, which no model takes for heads."""
    folder = tmp_path_factory.mktemp("camera")
    rng = np.random.default_rng(0)
    rows = ["image,x,y"]
    for number in range(12):
        image = rng.integers(30, 50, (160, 224, 3), dtype=np.uint8)
        places = rng.permutation(54)[: 4 + number]
        for place in places:
            x, y = 16 + 24 * (place % 9), 16 + 24 * (place // 9)
            cv2.circle(image, (int(x), int(y)), 6, (150, 180, 200), -1, cv2.LINE_AA)
            rows.append(f"{number}.png,{x},{y}")
        cv2.imwrite(str(folder / f"{number}.png"), image)
    (folder / "points.csv").write_text("\n".join(rows))
    return folder


def run(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def test_a_bundled_model_is_taken_up_where_it_was():
    network, manifest, objective = open_trainable("edgecount-s")
    assert objective.name == "edge"
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    with EdgeCounter("edgecount-s") as bundled, counter_for(network, manifest) as again:
        one, other = bundled.count(image), again.count(image)
    np.testing.assert_allclose(other.density, one.density, rtol=1e-3, atol=1e-5)
    assert other.count == pytest.approx(one.count, rel=1e-3, abs=1e-4)


def test_what_measures_does_not_train(camera):
    samples = read_samples("csv", camera)
    training, held = hold_out(samples, 0.25, seed=3)
    assert len(held) == 3
    assert len(training) == 9
    assert not {s.name for s in training} & {s.name for s in held}
    with pytest.raises(ConfigError, match="expected at least 10 annotated images, got 9"):
        hold_out(training, 0.25, seed=3)
    with pytest.raises(ConfigError, match="holdout: expected a share"):
        hold_out(samples, 1.5, seed=3)
    for rate in (0, math.nan, math.inf):
        with pytest.raises(ConfigError, match="rate: expected a number above 0"):
            adapt("edgecount-n", samples, rate=rate)


@pytest.mark.slow
def test_a_better_model_is_written_and_can_be_adapted_again(camera, tmp_path):
    out = tmp_path / "adapted.onnx"
    done = run(
        "adapt", "edgecount-s", camera, "--reader", "csv", "--out", out, "--steps", 40,
        "--rate", "1e-3", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert record["after"] < 0.7 * record["before"]
    held = {s.name: s for s in read_samples("csv", camera) if s.name in record["held_out"]}
    assert len(held) == 4
    with EdgeCounter(out) as counter:
        errors = [abs(counter.count(s.image()).count - len(s.points)) for s in held.values()]
        assert counter.manifest.name == "edgecount-s-adapted"
        assert counter.manifest.training["adapted"]["images"] == 8
        assert counter.manifest.version.startswith("0.0.0+")
        assert counter.manifest.training["metrics"]["held out"]["images"] == 4
        assert counter.manifest.postprocess.interval is None
    assert np.mean(errors) == pytest.approx(record["after"], rel=0.02, abs=0.02)
    assert run("adapt", "edgecount-s", camera, "--reader", "csv", "--out", out).exit_code == 1
    network, manifest, _ = open_trainable(out)
    assert manifest.name == "edgecount-s-adapted"
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


def test_a_worse_model_is_not_written(camera, tmp_path):
    out = tmp_path / "adapted.onnx"
    done = run(
        "adapt", "edgecount-s", camera, "--reader", "csv", "--out", out, "--steps", 1,
        "--rate", "1e-30",
    )  # fmt: skip
    assert done.exit_code == 1
    assert "not written: on 4 held-out images the mean error went from" in done.stderr
    assert not out.exists()


def test_models_that_cannot_be_trained(camera, tiny_model):
    samples = read_samples("csv", camera)
    with pytest.raises(ModelError, match="expected an edge model"):
        adapt(tiny_model, samples)
    with pytest.raises(ModelError, match="cannot read the checkpoint"):
        adapt("nothing.pt", samples)


def test_an_engine_cannot_be_trained(tmp_path, tiny_model):
    onnx = Path(shutil.copy(tiny_model, tmp_path / "model.onnx"))
    engine = write_engine(tmp_path / "model.engine", b"a plan", onnx)
    with pytest.raises(ModelError, match=r"is an engine, .* expected the \.onnx that it was built"):
        open_trainable(engine.path)
