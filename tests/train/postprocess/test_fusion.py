"""The fitted blend: the kernel's own, never much worse than the better of the two alone."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from edgecount import _ext
from edgecount.train.data.sample import Sample
from edgecount.train.engine import THRESHOLDS
from edgecount.train.models.edge import EDGE_OUTPUTS
from edgecount.train.postprocess.fusion import (
    Observation,
    blend,
    fit_blend,
    fit_thresholds,
    observe,
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
