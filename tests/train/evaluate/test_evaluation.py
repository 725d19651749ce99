"""Measures of a counter whose answers are known."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy")

from edgecount import CountResult, EdgeCounter, RegionCount
from edgecount.errors import ConfigError, SourceError
from edgecount.manifest import InputSpec, Manifest, OutputSpec
from edgecount.runtime.pipeline.job import Outcome
from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.evaluation import (
    Evaluation,
    ImageRecord,
    evaluate_counter,
    head_radii,
)
from edgecount.train.targets.density import density_map
from edgecount.train.targets.kernels import Kernels


class KnownCounter:
    """Gives the results it was made with, in turn."""

    manifest = Manifest("known", "1", "", InputSpec(), (OutputSpec("density", "density", 8),))
    backend = SimpleNamespace(name="none")
    regions = ()

    def __init__(self, *results):
        self.results = list(results)

    def count(self, image):
        result = self.results.pop(0)
        assert result.size == (image.shape[1], image.shape[0])
        return result

    def count_each(self, images):
        return (Outcome(self.count(image())) for image in images)


def counted(count, *, density=None, points=None, interval=None):
    """Make a result for an image of 64 x 64 px, with cells of 8 px."""
    found = np.zeros((0, 3)) if points is None else np.insert(np.array(points), 2, 0.9, axis=1)
    return CountResult(
        count=count,
        density_count=None if density is None else float(density.sum()),
        peak_count=None if points is None else len(found),
        points=found.astype(np.float32).reshape(-1, 3),
        density=np.zeros((0, 0), np.float32) if density is None else density,
        density_stride_xy=(0.0, 0.0) if density is None else (8.0, 8.0),
        regions={},
        overflow=False,
        size=(64, 64),
        model="known",
        backend="none",
        interval=interval,
    )


def annotated(folder, name, points, sizes=4.0, boxes=None):
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), np.full((64, 64, 3), 90, np.uint8))
    points = np.array(points, np.float32).reshape(-1, 2)
    return Sample(path, points, np.full(len(points), sizes, np.float32), boxes)


def at(**cells):
    """(8, 8) density with people in cells named r0c0."""
    density = np.zeros((8, 8), np.float32)
    for name, people in cells.items():
        density[int(name[1]), int(name[3])] = people
    return density


def test_every_metric_of_two_images(tmp_path):
    samples = [
        annotated(tmp_path, "pair", [[12.0, 12.0], [52.0, 52.0]], 8.0),
        annotated(tmp_path, "empty", []),
    ]
    results = (
        # 5 px off: within half the diagonal of a box of 8 px, 5.66, and not within 4 px.
        counted(3.0, density=at(r1c1=1.0, r6c6=1.5), points=[[12.0, 12.0], [55.0, 56.0]]),
        counted(0.5, density=at(r0c0=0.5), points=[[4.0, 4.0]]),
    )
    steps = []
    evaluation = evaluate_counter(KnownCounter(*results), samples, progress=lambda: steps.append(1))
    assert len(steps) == 2
    assert [image.name for image in evaluation.images] == ["pair", "empty"]
    assert [image.error for image in evaluation.images] == [1.0, 0.5]
    summary = evaluation.summary()
    assert summary["count"]["mae"] == 0.75
    assert summary["density_count"]["bias"] == 0.5
    assert summary["peak_count"]["mae"] == 0.5
    assert summary["points"] == {
        "precision": pytest.approx(2 / 3),
        "recall": 1.0,
        "f1": pytest.approx(0.8),
    }
    assert [values["recall"] for values in summary["points_at"].values()] == [0.5, 1, 1]
    assert list(summary["points_at"]) == ["4", "8", "16"]
    # half a side of 8 px is 4 px
    assert summary["points_short_side"]["recall"] == 0.5
    # pairs at 0 and 5 px, of 3 points and 2 heads
    assert summary["localisation"] == {
        "precision": pytest.approx((100 + 96) / 3 / 100),
        "recall": pytest.approx((100 + 96) / 2 / 100),
        "error": 2.5,
    }
    assert "average_precision" not in summary
    assert summary["game"] == [0.5, 0.5, 0.5, 0.5]
    assert summary["game_of_points"] == [0.5, 0.5, 0.5, pytest.approx(1.5)]
    # The image without people has no likeness, and takes no part in the means.
    truth = density_map(samples[0].points, 64, 64, stride=8)
    error = np.square((at(r1c1=1.0, r6c6=1.5) - truth) / truth.max()).mean()
    assert summary["psnr"] == pytest.approx(-10 * np.log10(error), rel=1e-5)
    assert evaluation.images[1].ssim is None
    assert 0 < summary["ssim"] < 1
    # The density of the image without people is all background.
    assert evaluation.images[1].background == 0.5
    assert summary["false_recognition"] == pytest.approx(0.5 / 3)
    tails = truth[truth < 1e-5 * 64].sum()
    assert summary["false_recognition_of_truth"] == pytest.approx(tails / 2, rel=1e-5)
    assert summary["kernels"] == {"sigma": 0, "beta": 0.3, "neighbours": 3, "max_sigma": 25}
    assert [level["highest"] for level in summary["levels"]] == [0, 2]
    json.dumps([summary, *(image.to_dict() for image in evaluation.images)], allow_nan=False)


def test_average_precision_is_of_all_candidates_and_counts_of_the_models_threshold(tmp_path):
    boxes = np.array([[8, 8, 16, 16], [48, 48, 56, 56]], np.float32)
    sample = annotated(tmp_path, "a", [[12.0, 12.0], [52.0, 52.0]], 8.0, boxes)
    # a head found, a false one, and below the model's threshold the other head, its box too low
    places = np.array([[12, 12, 0.9], [30, 30, 0.5], [52, 52, 0.02]], np.float32)
    found = np.array([[8, 8, 16, 16], [26, 26, 34, 34], [48, 50, 56, 58]], np.float32)
    candidates = dataclasses.replace(counted(3.0, points=places[:, :2]), points=places, boxes=found)
    above = dataclasses.replace(counted(2.0, points=places[:2, :2]), boxes=found[:2])
    evaluation = evaluate_counter(
        KnownCounter(above), [sample], candidates=KnownCounter(candidates)
    )
    summary = evaluation.summary()
    assert summary["count"]["mae"] == 0.0
    assert summary["points"]["recall"] == 0.5
    # precision 1 up to recall 0.5, that is 51 of 101 recalls, then 2/3
    both = (51 + 50 * 2 / 3) / 101
    ranked = summary["average_precision"]
    assert ranked["points"]["4"] == {"ap": pytest.approx(both), "recall": 1.0}
    assert ranked["points"]["ap"] == pytest.approx(both)
    # the low box overlaps its head by 48 of 80 px: by 0.6
    assert ranked["boxes"]["ap50"] == pytest.approx(both)
    assert ranked["boxes"]["ap75"] == pytest.approx(51 / 101)
    assert ranked["boxes"]["ap"] == pytest.approx((3 * both + 7 * 51 / 101) / 10)
    assert ranked["boxes"]["ar"] == pytest.approx((3 * 1.0 + 7 * 0.5) / 10)
    json.dumps([summary, evaluation.images[0].to_dict()], allow_nan=False)


def test_the_best_candidate_of_a_heatmap_has_the_first_choice_whatever_its_place(tmp_path):
    boxes = np.array([[8, 8, 16, 16]], np.float32)
    sample = annotated(tmp_path, "a", [[12.0, 12.0]], 8.0, boxes)
    # in raster order, as peaks come: the worse one first, and both would find the head
    places = np.array([[11, 10, 0.1], [12, 12, 0.9]], np.float32)
    found = np.array([[9, 8, 17, 16], [8, 8, 16, 16]], np.float32)
    candidates = dataclasses.replace(counted(1.0, points=places[:, :2]), points=places, boxes=found)
    above = dataclasses.replace(counted(1.0, points=places[1:, :2]), boxes=found[1:])
    evaluation = evaluate_counter(
        KnownCounter(above), [sample], candidates=KnownCounter(candidates)
    )
    ranked = evaluation.summary()["average_precision"]
    assert ranked["points"]["4"] == {"ap": 1.0, "recall": 1.0}
    assert ranked["boxes"]["ap50"] == 1.0


def test_a_head_is_compared_by_the_part_of_its_box_inside_the_frame(tmp_path):
    annotation = np.array([[-6, 8, 4, 16], [56, 60, 70, 68]], np.float32)
    sample = annotated(tmp_path, "a", [[1.0, 12.0], [60.0, 62.0]], 8.0, annotation)
    inside = np.array([[0, 8, 4, 16], [56, 60, 64, 64]], np.float32)
    result = dataclasses.replace(counted(2.0, points=[[2.0, 12.0], [60.0, 62.0]]), boxes=inside)
    evaluation = evaluate_counter(KnownCounter(result), [sample], candidates=KnownCounter(result))
    assert evaluation.summary()["average_precision"]["boxes"]["ap"] == 1.0


def test_a_false_box_in_a_picture_without_heads_counts_against_the_precision(tmp_path):
    boxes = np.array([[8, 8, 16, 16]], np.float32)
    samples = [
        annotated(tmp_path, "head", [[12.0, 12.0]], 8.0, boxes),
        annotated(tmp_path, "empty", []),  # readers give it no boxes
    ]
    results = [
        dataclasses.replace(
            counted(1.0, points=[[12.0, 12.0]]),
            points=np.array([[12, 12, score]], np.float32),
            boxes=boxes,
        )
        for score in (0.6, 0.8)
    ]
    evaluation = evaluate_counter(
        KnownCounter(*results), samples, candidates=KnownCounter(*results)
    )
    # the false one comes first: precision 1 / 2 at every recall
    ranked = evaluation.summary()["average_precision"]
    assert ranked["points"]["4"]["ap"] == 0.5
    assert ranked["boxes"]["ap50"] == ranked["boxes"]["ap"] == 0.5


def test_the_truth_is_drawn_with_the_kernels_that_are_given_or_trained_on(tmp_path):
    sample = annotated(tmp_path, "a", [[12.0, 12.0], [52.0, 40.0]])
    kernels = Kernels(sigma=9.0)
    right = kernels.density(sample.points, 64, 64, stride=8)
    counter = KnownCounter(counted(2.0, density=right))
    summary = evaluate_counter(counter, [sample], kernels=kernels).summary()
    assert summary["ssim"] == pytest.approx(1, abs=1e-6)
    assert summary["psnr"] > 90
    assert summary["false_recognition"] == pytest.approx(summary["false_recognition_of_truth"])
    assert summary["false_recognition"] < 0.001
    assert summary["kernels"]["sigma"] == 9
    trained = KnownCounter(counted(2.0, density=right))
    facts = {"kernels": dataclasses.asdict(kernels)}
    trained.manifest = dataclasses.replace(counter.manifest, training=facts)
    assert evaluate_counter(trained, [sample]).summary() == summary


def test_a_model_of_points_alone_has_no_density(tmp_path):
    sample = annotated(tmp_path, "a", [[12.0, 12.0]])
    points = counted(2.0, points=[[12.0, 12.0], [60.0, 60.0]])
    summary = evaluate_counter(KnownCounter(points), [sample]).summary()
    points = {"points", "points_short_side", "points_at", "localisation"}
    assert set(summary) == {"count", "peak_count", "game", "levels"} | points
    assert summary["game"] == [1, 1, 1, 1]


def test_a_model_of_density_alone_has_no_points(tmp_path):
    sample = annotated(tmp_path, "a", [[12.0, 12.0]])
    summary = evaluate_counter(KnownCounter(counted(1.0, density=at(r1c1=1.0))), [sample]).summary()
    assert "points" not in summary
    assert "peak_count" not in summary
    assert "game_of_points" not in summary
    assert summary["game"] == [0, 0, 0, 0]
    assert summary["false_recognition"] == 0


def test_a_set_without_people_has_no_likeness(tmp_path):
    sample = annotated(tmp_path, "a", [])
    blank = counted(0.0, density=at(), points=np.zeros((0, 2)))
    summary = evaluate_counter(KnownCounter(blank), [sample]).summary()
    assert "ssim" not in summary
    assert "false_recognition" not in summary
    assert summary["points"]["f1"] == 0
    assert summary["count"]["mae"] == 0


class BoundedCounter(KnownCounter):
    """A counter whose results may be restricted to regions."""

    refine = EdgeCounter.refine


def test_groups_without_people_have_no_nae_and_are_left_out_of_its_mean():
    def image(group, true, count):
        return ImageRecord(name="x", path=Path("x.png"), true=true, count=count, group=group)

    full, empty = image("full", 10, 12.0), image("empty", 0, 31.0)
    summary = Evaluation([full, empty]).summary()
    assert {name: group["nae"] for name, group in summary["groups"].items()} == {
        "full": pytest.approx(0.2),
        "empty": None,
    }
    assert summary["mean_of_groups"]["nae"] == pytest.approx(0.2)
    assert summary["mean_of_groups"]["mae"] == pytest.approx(16.5)
    nobody = json.loads(json.dumps(Evaluation([empty]).summary()))
    assert nobody["count"]["nae"] is nobody["levels"][0]["nae"] is None
    assert nobody["mean_of_groups"]["nae"] is None


def test_the_likeness_of_a_density_is_that_inside_the_annotated_region(tmp_path):
    # A head on the border of the left half, all of whose kernel is rescaled into it. The estimate
    # is right there but for 0.1 of the peak too much in one cell, and far off outside.
    outline = np.array([[0, 0], [31, 0], [31, 63], [0, 63]], np.float32)
    sample = dataclasses.replace(annotated(tmp_path, "a", [[31.9, 32.0]]), region=outline)
    mask = np.zeros((64, 64), bool)
    mask[:, :32] = True
    kernels = Kernels(sigma=4.0)
    truth = kernels.density(sample.points, 64, 64, stride=8, region=mask)
    peak, outside = float(truth.max()), at(r3c6=3.0, r4c4=0.5)
    inside = {"annotated 0": RegionCount("annotated 0", 1.0, 1.0, None)}
    records = []
    for wrong in (at(), at(r0c0=0.1 * peak)):
        result = dataclasses.replace(counted(1.0, density=truth + wrong + outside), regions=inside)
        counter = BoundedCounter(result)
        records += evaluate_counter(counter, [sample], kernels=kernels).images
    right, off = records
    assert (right.psnr, right.ssim) == (100, pytest.approx(1, abs=1e-6))
    # one of 64 cells is a tenth of the peak off
    assert off.psnr == pytest.approx(-10 * np.log10(0.1**2 / 64), abs=1e-3)
    assert off.ssim < 1
    assert (right.background, off.background) == (0, pytest.approx(0.1 * peak, rel=1e-5))
    assert (right.estimated, right.tails) == (pytest.approx(1, rel=1e-5), 0)
    assert right.game[0] == pytest.approx(0, abs=1e-5)


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    sample = annotated(tmp_path, "broken", [])
    sample.path.write_bytes(b"\x89PNG, or not")
    with pytest.raises(SourceError, match=r"broken\.png"):
        evaluate_counter(KnownCounter(), [sample])


def test_no_samples_are_an_error():
    with pytest.raises(ConfigError, match="at least one annotated image"):
        evaluate_counter(KnownCounter(), [])


def test_radii_are_half_the_diagonal_of_the_box_or_of_a_square(tmp_path):
    boxes = np.array([[10, 10, 16, 18]], np.float32)
    assert head_radii(annotated(tmp_path, "a", [[13, 14]], 7.0, boxes)) == pytest.approx([5.0])
    assert head_radii(annotated(tmp_path, "b", [[13, 14]], 2.0)) == pytest.approx([np.sqrt(2)])


def test_an_interval_is_judged_by_the_truths_inside_and_by_its_width(tmp_path):
    samples = [annotated(tmp_path, f"{n}", [[8.0 * i + 4, 8] for i in range(n)]) for n in range(4)]
    results = (
        counted(0.25, interval=(0.0, 1.5)),  # over 1, since fewer are counted
        counted(2.0, interval=(1.0, 4.0)),  # the truth is the lower end
        counted(4.0, interval=(2.5, 6.5)),  # above the truth
        counted(1.0, interval=(0.5, 2.5)),  # below the truth
    )
    evaluation = evaluate_counter(KnownCounter(*results), samples)
    assert evaluation.images[2].interval == (2.5, 6.5)
    summary = evaluation.summary()
    assert summary["interval"] == {"coverage": 0.5, "width": (1.5 + 1.5 + 1.0 + 2.0) / 4}
    json.dumps([summary, *(image.to_dict() for image in evaluation.images)], allow_nan=False)


def test_metrics_of_kept_records_need_no_counter(tmp_path):
    records = [ImageRecord("a", tmp_path, true, true + 1.0) for true in range(10)]
    summary = Evaluation(records).summary()
    assert set(summary) == {"count", "levels"}
    assert [level["bias"] for level in summary["levels"]] == [1] * 5
