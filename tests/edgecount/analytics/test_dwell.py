"""Stays that are known, in the mean and one by one."""

import numpy as np
import pytest

from edgecount import Backend, EdgeCounter
from edgecount.analytics import Exclusion, MeanStay, Stays
from edgecount.errors import ConfigError, InputError
from edgecount.regions import Region
from edgecount.result import CountResult

SIZE = (640, 480)
SHOP = Region("shop", [(200, 100), (400, 100), (400, 400), (200, 400)])


def result_of(points, peak_count=0, size=SIZE):
    listed = np.column_stack([points, np.full(len(points), 0.9)]).astype(np.float32)
    return CountResult(
        count=float(len(points)),
        density_count=None,
        peak_count=None if peak_count is None else len(points),
        points=listed.reshape(-1, 3),
        density=np.zeros((0, 0), np.float32),
        density_stride_xy=(0.0, 0.0),
        regions={},
        overflow=False,
        size=size,
        model="tiny",
        backend="fake",
    )


def test_the_mean_stay_needs_nobody_to_be_recognised():
    rng = np.random.default_rng(0)
    stay, leaving, into = MeanStay(horizon=3000.0), [], 0
    for second in range(6000):
        for _ in range(rng.poisson(0.2)):
            into += 1
            leaving.append(second + rng.exponential(120.0))
        leaving = [end for end in leaving if end > second]
        noisy = max(len(leaving) + rng.normal(0, 4), 0.0)
        mean = stay.update(float(second), noisy, into=float(into))
    assert mean == pytest.approx(120.0, rel=0.12)


def test_a_gap_starts_the_mean_stay_anew():
    stay = MeanStay(horizon=100.0)
    for step in range(200):
        stay.update(float(step), 12.0, into=0.5 * step)
    assert stay.update(200.0, None, into=100.0) is None
    assert stay.update(205.0, 12.0, into=102.5) == pytest.approx(24.0, rel=0.05)
    # In hours without a count people were there that nobody counted in.
    assert stay.update(9000.0, 12.0, into=103.0) is None
    for step in range(40):
        mean = stay.update(9001.0 + step, 12.0, into=103.0 + 0.5 * step)
    assert mean == pytest.approx(24.0, rel=0.06)


def test_arrivals_that_are_counted_anew_start_the_mean_stay_anew():
    stay = MeanStay(horizon=600.0)
    told = []
    for second in range(2400):
        into = 0.2 * (second % 1200)  # a counter that is made anew, or reset each day
        told.append(stay.update(float(second), 12.0, into=into))
    assert told[1199] == pytest.approx(60.0, rel=0.01)
    assert told[1230] is None
    assert {round(one) for one in told[1260:] if one is not None} == {60}


def test_people_who_turn_back_on_a_line_start_no_mean_anew():
    stay = MeanStay(horizon=600.0)
    for second in range(1200):
        into = 0.2 * second - 1.5 * (second % 100 == 50)  # three are half across, and turn back
        mean = stay.update(float(second), 12.0, into=into)
        assert second < 120 or mean == pytest.approx(60.0, rel=0.1)


def test_few_arrivals_say_nothing():
    stay = MeanStay()
    assert stay.update(0.0, 5.0, into=100.0) is None
    assert stay.update(60.0, 5.0, into=109.0) is None
    assert stay.update(120.0, 5.0, into=112.0) == pytest.approx(5 * 120 / 12)


def test_single_stays_are_told_where_heads_can_be_followed():
    rng = np.random.default_rng(1)
    stays, left = Stays(SHOP, SIZE), []
    for step in range(400):
        time = step / 10
        # One walks through in 20 s, one stands inside all the time, one stays outside.
        walker = 100 + 10 * time
        points = np.array([[walker, 200.0], [300.0, 350.0], [500.0, 200.0]])
        report = stays.update(time, result_of(points + rng.normal(0, 1, points.shape)))
        left += report.left
    assert left == [pytest.approx(20.0, abs=0.5)]
    assert report.staying == (pytest.approx(39.9, abs=0.2),)
    assert report.found > 0.98


def test_somebody_who_stands_at_the_border_stays_once():
    rng, stays = np.random.default_rng(1), Stays(SHOP)
    left = []
    for step in range(600):
        at = rng.normal((202.0, 250.0), (3.0, 1.0), (1, 2))
        report = stays.update(step / 10, result_of(at))
        left += report.left
    assert left == []
    assert report.staying == pytest.approx((59.9,), abs=1.0)
    for step in range(600, 620):
        left += stays.update(step / 10, result_of(np.array([[150.0, 250.0]]))).left
    assert left == pytest.approx([59.9], abs=1.0)


def test_heads_that_the_edge_cuts_stay():
    whole = Region("all", [(0, 0), (1, 0), (1, 1), (0, 1)], fractions=True)
    stays = Stays(whole)
    at = np.array([[100.0, 100.0], [640.0, 200.0], [300.0, 480.0], [0.0, 0.0]])
    for step in range(30):
        report = stays.update(step / 10, result_of(at))
    assert len(report.staying) == 4


def test_crowds_in_which_nobody_can_be_followed_are_refused():
    rng = np.random.default_rng(2)
    stays = Stays(SHOP, SIZE)
    for step in range(100):
        report = stays.update(step / 10, result_of(rng.uniform(0, 480, (200, 2))))
    assert report.found < 0.9
    assert report.staying is None


def test_somebody_who_is_missed_for_a_moment_has_not_left():
    stays, left = Stays(SHOP, SIZE), []
    for step in range(100):
        seen = [] if step % 10 in (4, 5, 6) else [[300.0, 200.0]]
        report = stays.update(step / 10, result_of(np.array(seen).reshape(-1, 2)))
        left += report.left
    assert left == []
    assert report.staying == (pytest.approx(9.9, abs=0.1),)


@pytest.mark.parametrize("fps", [1, 30])
def test_the_mean_stay_is_the_same_at_any_rate_and_keeps_little(fps):
    stay = MeanStay(horizon=100.0)
    for step in range(400 * fps):
        time = step / fps
        mean = stay.update(time, 12.0, into=0.5 * np.floor(time))
    assert mean == pytest.approx(24.0, rel=0.02)
    assert len(stay._passed) <= 2002


def test_a_frame_of_another_size_starts_everybody_anew():
    shares = Region("shop", SHOP.polygon / SIZE, fractions=True)
    stays = Stays(shares)
    for step in range(60):
        size = SIZE if step < 30 else (320, 240)
        here = np.array([[300.0, 200.0]]) * (size[0] / SIZE[0])
        report = stays.update(step / 10, result_of(here, size=size))
    assert report.staying == (pytest.approx(2.9, abs=0.2),)


def test_heads_in_excluded_areas_do_not_stay():
    stays = Stays(Region("shop", SHOP.polygon, excluded=[[(250, 150), (350, 150), (350, 250)]]))
    for step in range(20):
        report = stays.update(step / 10, result_of(np.array([[340.0, 160.0], [220.0, 300.0]])))
    assert len(report.staying) == 1


def test_what_is_refused():
    with pytest.raises(ConfigError, match="horizon: expected seconds above 0"):
        MeanStay(0.0)
    with pytest.raises(InputError, match="expected people, 0 or more, got -1"):
        MeanStay().update(0.0, -1.0, into=0.0)
    with pytest.raises(InputError, match=r"count, into: expected people, .*, got 1.0, -3"):
        MeanStay().update(0.0, 1.0, into=-3)
    mean = MeanStay()
    mean.update(10.0, None, into=0.0)
    with pytest.raises(InputError, match="expected 10 s or later, got 5"):
        mean.update(5.0, 1.0, into=0.0)
    with pytest.raises(ConfigError, match=r"size: expected width and height in pixels, got \(0, 9"):
        Stays(SHOP, (0, 9))
    stays = Stays(SHOP, SIZE)
    with pytest.raises(InputError, match="expected head points, and tiny gives none"):
        stays.update(0.0, result_of(np.zeros((0, 2)), None))


def test_an_empty_place_ends_no_mean_stay(make_manifest):
    """A density without a last ReLU adds up to a little less than nobody there."""

    class Below(Backend):
        name = "below"

        def infer(self, inputs):
            height, width = inputs["image"].shape[2:]
            return {"density": np.full((1, 1, height // 8, width // 8), -0.0002, np.float32)}

        def close(self):
            pass

    counter = EdgeCounter(make_manifest(roles=("density",)), backend=Below())
    stay, image = MeanStay(horizon=100.0), np.zeros((480, 640, 3), np.uint8)
    for second in range(3):
        result = counter.count(image)
        assert result.count == 0.0
        assert result.density_count < 0
        assert stay.update(second, result.count, into=0) is None
    areas = [[(0, 0), (320, 0), (320, 480), (0, 480)]]
    assert Exclusion(areas, manifest=counter.manifest).apply(result).count == 0.0
