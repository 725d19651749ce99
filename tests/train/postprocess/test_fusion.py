"""The fitted blend: the kernel's own, never much worse than the better of the two alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from edgecount import _ext
from edgecount.manifest import FusionSpec, InputSpec, Manifest, PostprocessSpec
from edgecount.runtime.pipeline.postprocess import MapGrid, count_options
from edgecount.runtime.pipeline.preprocess import InputGeometry
from edgecount.train.data.sample import Sample
from edgecount.train.engine import THRESHOLDS
from edgecount.train.evaluate.torch_backend import counter_for
from edgecount.train.manifest import manifest_of, postprocess_to_dict
from edgecount.train.models import build_model
from edgecount.train.models.edge import EDGE_OUTPUTS
from edgecount.train.postprocess.fusion import (
    Observation,
    blend,
    fit_blend,
    fit_postprocess,
    fit_thresholds,
    least_error,
    observe,
    observe_sample,
    outcome,
)


def maps(seed, height=43, width=70):
    rng = np.random.default_rng(seed)
    heatmap = rng.random((1, height, width), np.float32) ** 4
    offset = np.full((1, 2, height, width), 0.5, np.float32)
    density = rng.random((1, -(-height // 2), -(-width // 2)), np.float32) * 0.2
    return heatmap, offset, density


@pytest.mark.parametrize("seed", range(4))
def test_blend_is_what_the_kernel_computes(seed):
    heatmap, offset, density = maps(seed)
    sample = Sample(Path("x.jpg"), np.array([[8.0, 12.0]], np.float32), np.array([9.0], np.float32))
    maps_by_role = {"heatmap": heatmap, "offset": offset[0], "density": density}
    seen = observe(maps_by_role, sample, EDGE_OUTPUTS)
    assert seen.people == 1
    counted = _ext.count_maps(
        heatmap, offset, density, window=3, threshold=0.3, fuse_cell=8, fuse_low=2, fuse_high=8
    )
    assert blend(seen, 0.3, 2.0, 8.0) == pytest.approx(float(counted.count[0]), rel=1e-5)


def one_cell(density, peaks, people):
    cell = np.array([[float(density)]])
    values = {threshold: np.array([[float(peaks)]]) for threshold in THRESHOLDS}
    return Observation(cell, cell, values, dict.fromkeys(THRESHOLDS, 0), people)


def test_sparse_cells_go_to_the_points_and_dense_ones_to_the_density():
    sparse = [one_cell(2.5, 1, 1), one_cell(0.4, 0, 0)]
    dense = [one_cell(14, 9, 15), one_cell(18, 10, 19)]
    fusion = fit_blend([sparse, dense], [0.3]).fusion
    assert fusion.low >= 2.0
    assert fusion.high <= 12.0


def error(group, spec):
    ends = spec.threshold, spec.fusion.low, spec.fusion.high
    return np.mean([abs(blend(seen, *ends) - seen.people) for seen in group])


def test_every_group_gets_the_better_of_the_two():
    crowded = [one_cell(12, 6, 12.5), one_cell(9, 1, 9.5)]
    sparse = [one_cell(0.6, 2, 1.5)] * 20
    spec = fit_blend([crowded, sparse], [0.3])
    assert error(crowded, spec) <= 0.5 * 1.03 + 1e-9
    assert error(sparse, spec) <= 0.5 * 1.03 + 1e-9


def test_the_worst_group_loses_least():
    """Equal local densities: either stream alone would cost one group three times its error."""
    right_density = [one_cell(3, 9, 3.5)]
    right_points = [one_cell(3, 5, 4.5)] * 20
    spec = fit_blend([right_density, right_points], [0.3])
    assert max(error(right_density, spec), error(right_points, spec)) / 0.5 < 3


def test_pictures_of_nobody_have_no_say_in_f1():
    def seen(people, found):
        peaks = {threshold: np.array([[float(n)]]) for threshold, n in found.items()}
        matches = {threshold: min(n, people) for threshold, n in found.items()}
        return Observation(np.zeros((1, 1)), np.zeros((1, 1)), peaks, matches, people)

    occupied = [seen(100, {0.2: 100, 0.3: 99, 0.4: 96, 0.5: 80})]  # F1 1, 0.995, 0.98, 0.89
    nobody = [seen(0, dict.fromkeys((0.2, 0.3, 0.4, 0.5), 0))]
    assert fit_thresholds([occupied]) == [0.2, 0.3]
    assert fit_thresholds([occupied, nobody, nobody]) == [0.2, 0.3]
    assert fit_thresholds([nobody]) == [0.2, 0.3, 0.4, 0.5]


def test_a_few_images_that_are_worse_by_chance_do_not_decide():
    """At one crowding the points are right in a hundred images, and in three of four others."""
    many = [one_cell(3, 5, 5)] * 100
    few = [one_cell(3, 5, 5)] * 3 + [one_cell(3, 12, 3)]
    spec = fit_blend([many, few], [0.3])
    assert error(many, spec) == pytest.approx(0.0, abs=0.01)
    assert error(few, spec) > 2.0  # the density alone has 1.5


def test_the_threshold_with_the_best_f1_is_chosen():
    seen = one_cell(3, 3, 4)
    seen.peaks[0.2][:] = 9
    seen.matches.update({0.2: 4, 0.3: 3, 0.5: 1})
    assert fit_thresholds([[seen]])[0] == 0.3


def test_a_threshold_nearly_as_good_that_harms_no_group_is_chosen():
    def twice(density, peaks, others, people):
        seen = one_cell(density, peaks, people)
        seen.peaks[0.3] = np.array([[float(others)]])
        return seen

    # At 0.35 the points are right in one group and the density in the other, at the same crowding;
    # at 0.3 the points err in both, and the density alone serves.
    groups = [[twice(3, 9, 9, 3.5)], [twice(3, 4.5, 2, 4.4)] * 20]
    assert fit_blend(groups, [0.35, 0.3]).threshold == 0.3
    assert fit_blend(groups, [0.35]).threshold == 0.35
    harmless = [[one_cell(12, 6, 12.5)], [one_cell(0.6, 2, 1.5)]]
    assert fit_blend(harmless, [0.35, 0.3]).threshold == 0.35


def test_thresholds_close_to_the_best_come_after_it():
    seen = one_cell(3, 100, 100)
    seen.matches.update({0.2: 10, 0.25: 79, 0.3: 80, 0.35: 80, 0.4: 70, 0.5: 10})
    assert fit_thresholds([[seen]]) == [0.3, 0.35, 0.25]


def test_of_thresholds_that_find_as_well_the_one_that_counts_best_is_taken():
    def image(people, **peaks):
        counts = {float(name[1:]) / 100: np.array([[float(n)]]) for name, n in peaks.items()}
        return Observation(np.zeros((1, 1)), np.zeros((1, 1)), counts, {}, people)

    dense = [image(1000, t30=1100, t35=1000, t40=900)]  # errors of 10%, 0 and 10%
    sparse = [image(10, t30=10, t35=13, t40=16), image(10, t30=10, t35=13, t40=16)]
    assert least_error([dense], [0.3, 0.35, 0.4]) == 0.35
    # 10% and 0 against 0 and 30%: people would have given the dense set all the say
    assert least_error([dense, sparse], [0.35, 0.3, 0.4]) == 0.3
    assert least_error([dense], [0.4, 0.3]) == 0.4


@pytest.mark.parametrize("shape", [(43, 70), (48, 64), (5, 9), (1, 2)])
@pytest.mark.parametrize("grid", [0, 4])
def test_blend_on_a_grid_is_what_the_counter_computes(shape, grid):
    """By way of the manifest's options, and so with ends that are scaled to the frame's cells."""
    heatmap, offset, density = maps(0, *shape)
    sample = Sample(Path("x.jpg"), np.zeros((0, 2), np.float32), np.zeros(0, np.float32))
    by_role = {"heatmap": heatmap, "offset": offset[0], "density": density}
    seen = observe(by_role, sample, EDGE_OUTPUTS, grid=grid)
    spec = PostprocessSpec(3, 0.3, FusionSpec(64, 2.0, 8.0, grid))
    outputs = tuple(replace(output, unit=1.0) for output in EDGE_OUTPUTS)
    manifest = Manifest("m", "1", "", InputSpec(), outputs, spec)
    height, width = (4 * side for side in shape)
    cells = MapGrid(manifest, InputGeometry((width, height), (height, width), (height, width)))
    counted = _ext.count_maps(heatmap, offset, density, **count_options(cells, 0.3, 0))
    assert blend(seen, 0.3, 2.0, 8.0) == pytest.approx(float(counted.count[0]), rel=1e-5)
    if grid:
        assert max(seen.density.shape) <= 4


def test_a_network_says_the_grid_and_the_manifest_keeps_it(tmp_path):
    import cv2

    path = tmp_path / "x.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8))
    sample = Sample(path, np.array([[8.0, 12.0]], np.float32), np.array([9.0], np.float32))
    network = build_model("edgecount-n", {"width": 0.25, "channels": 16, "fine_channels": 8})
    assert fit_postprocess(network.eval(), [[sample]]).fusion.grid == 0
    network.fusion_grid = 4
    spec = fit_postprocess(network, [[sample]])
    assert spec.fusion.grid == 4
    assert fit_postprocess(network, [[sample]], grid=0).fusion.grid == 0
    state = {
        "config": {"model": "edgecount-n", "data": [{"reader": "blank"}]},
        "step": 1,
        "postprocess": postprocess_to_dict(spec),
    }
    manifest = manifest_of(network, state)
    assert manifest.postprocess.fusion == spec.fusion
    with counter_for(network, manifest) as counter:
        counted = counter.count(sample.image()).count
    seen = observe_sample(network, sample, grid=4)
    assert counted == pytest.approx(outcome(seen, spec).count, rel=1e-4)
    del state["postprocess"]  # of a run that did not end
    assert manifest_of(network, state).postprocess.fusion.grid == 4
