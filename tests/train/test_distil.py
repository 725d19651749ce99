"""A network that learns from a teacher's maps."""

import dataclasses
import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("yaml")

from edgecount.errors import ConfigError, ModelError  # noqa: E402
from edgecount.train import loop  # noqa: E402
from edgecount.train.config import Teacher, config_from_dict  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.base import Maps  # noqa: E402
from edgecount.train.objectives import build_objective  # noqa: E402
from edgecount.train.objectives.distil import Distilled  # noqa: E402

TINY = {"width": 0.25, "channels": 16, "fine_channels": 8}


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    student = build_model("edgecount-n", TINY).eval()
    teacher = build_model("edgecount-s", {"backbone": "efficientnet_lite0", "channels": 16}).eval()
    return student, teacher


def distilled(student, teacher, **weights):
    objective = build_objective("edge", {}, student)
    return Distilled(student, objective, teacher, Teacher("best.pt", **weights))


def test_the_teacher_sees_the_same_pixels(networks):
    student, teacher = networks
    pixels = torch.randint(0, 256, (2, 3, 64, 64)).float()

    def normalised(spec):
        mean, scale = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (spec.mean, spec.scale))
        return (pixels - mean) * scale

    given = distilled(student, teacher).image_targets(normalised(student.input))
    with torch.no_grad():
        maps = teacher(normalised(teacher.input))
    torch.testing.assert_close(given["teacher_density"], maps.density, rtol=1e-3, atol=1e-5)
    expected = torch.sigmoid(maps.heatmap_logits)
    torch.testing.assert_close(given["teacher_heatmap"], expected, rtol=1e-3, atol=1e-5)


def test_maps_like_the_teachers_cost_nothing_more(networks):
    student, teacher = networks
    system = distilled(student, teacher, density=2.0, heatmap=3.0)
    images = torch.randn(2, 3, 64, 64)
    given = system.image_targets(images)
    targets = {
        "counts": torch.zeros(2, 1, 8, 8),
        "heatmap": torch.zeros(2, 1, 16, 16),
        "heads": torch.zeros(2, 1, 16, 16),
        "offset": torch.zeros(2, 2, 16, 16),
        **given,
    }
    same = Maps(given["teacher_density"], torch.logit(given["teacher_heatmap"]), None, None)
    terms = system.losses(same, targets, 0.0)
    assert float(terms["teacher_blocks"]) == pytest.approx(0, abs=1e-4)
    assert float(terms["teacher_heatmap"]) == pytest.approx(0, abs=1e-3)
    other = Maps(
        2 * given["teacher_density"], torch.logit(given["teacher_heatmap"]) + 1, None, None
    )
    more = system.losses(other, targets, 0.0)
    assert float(more["teacher_blocks"]) > 0.01
    assert float(more["teacher_heatmap"]) > 0.01
    plain = system.objective.losses(other, targets, 0.0)
    assert set(more) == {*plain, "teacher_blocks", "teacher_heatmap"}


def test_the_teacher_says_nothing_of_what_is_not_annotated(networks):
    student, teacher = networks
    system = distilled(student, teacher)
    region = torch.zeros(1, 1, 64, 64)
    region[..., :32, :44] = 1.0
    teacher_density = torch.rand(1, 1, 8, 8)
    targets = {"teacher_density": teacher_density, "region": region}
    seen = system._seen(targets, "density")
    torch.testing.assert_close(seen[..., :4, :5], teacher_density[..., :4, :5])
    torch.testing.assert_close(seen[..., :4, 5], 0.5 * teacher_density[..., :4, 5])
    assert float(seen[..., 4:, :].abs().max()) == float(seen[..., 6:].abs().max()) == 0.0


def test_a_finer_density_is_summed_to_the_teachers_cells(networks):
    _, teacher = networks
    student = build_model("edgecount-n", {**TINY, "density_stride": 4}).eval()
    system = distilled(student, teacher)
    images = torch.randn(1, 3, 64, 64)
    given = system.image_targets(images)
    region = torch.zeros(1, 1, 64, 64)
    region[..., :32, :44] = 1.0
    targets = {
        "counts": torch.zeros(1, 1, 16, 16),
        "heatmap": torch.zeros(1, 1, 16, 16),
        "heads": torch.zeros(1, 1, 16, 16),
        "offset": torch.zeros(1, 2, 16, 16),
        **given,
    }
    quarters = given["teacher_density"].repeat_interleave(2, 2).repeat_interleave(2, 3) / 4
    logits = torch.logit(given["teacher_heatmap"])
    terms = system.losses(Maps(quarters, logits, None, None), targets, 0.0)
    assert float(terms["teacher_blocks"]) == pytest.approx(0, abs=1e-4)
    seen = system._seen({**targets, "region": region}, "density")
    torch.testing.assert_close(seen[..., :4, 5], 0.5 * given["teacher_density"][..., :4, 5])
    assert float(seen[..., 4:, :].abs().max()) == 0.0


def test_the_teacher_is_neither_trained_nor_kept(networks):
    student, teacher = networks
    system = distilled(student, teacher)
    assert list(system.parameters()) == []
    assert not any("teacher" in name for name in system.state_dict())


def test_other_cells_are_refused(networks):
    student, _ = networks
    with pytest.raises(ConfigError, match=r"density of stride 8 .* a multiple of it, got stride 1"):
        distilled(student, build_model("hsrnet"))
    with pytest.raises(ConfigError, match="two networks with a density"):
        distilled(student, build_model("centernet", {"head_channels": 8}))


def test_a_run_with_a_teacher_is_resumed_like_any_other(settings, tmp_path):
    settings["report"] = False
    loop.train(config_from_dict(settings), tmp_path / "teacher", device="cpu")
    settings["teacher"] = {"checkpoint": str(tmp_path / "teacher" / "last.pt")}
    config = config_from_dict(settings)
    loop.train(config, tmp_path / "whole", device="cpu")
    calls = iter([False, True, True])
    loop.train(config, tmp_path / "parts", device="cpu", stop=lambda: next(calls))
    loop.train(config, tmp_path / "parts", device="cpu", resume=True)
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    ]
    for whole, parts in zip(*logs, strict=True):
        assert whole["teacher_blocks"] == pytest.approx(parts["teacher_blocks"])
        assert whole["teacher_heatmap"] > 0
    changed = dataclasses.replace(config, teacher=Teacher(config.teacher.checkpoint, density=0.5))
    with pytest.raises(ConfigError, match="resume: teacher differ"):
        loop.train(changed, tmp_path / "whole", device="cpu", resume=True)


def test_a_deployed_model_can_be_the_teacher(settings, tmp_path):
    settings |= {"report": False, "steps": 2, "teacher": {"checkpoint": "edgecount-s"}}
    loop.train(config_from_dict(settings), tmp_path / "run", device="cpu")
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["teacher_blocks"] > 0
    settings["teacher"]["checkpoint"] = "nowhere.pt"
    with pytest.raises(ModelError, match=r"teacher.checkpoint: there is no file"):
        loop.train(config_from_dict(settings), tmp_path / "other", device="cpu")
