"""People across lines: sums that no roll-up, restart or reset changes."""

import numpy as np
import pytest
from recorded import START, rows

SINCE = float(START - 86_400)


def crossed(history, table="days"):
    found = rows(history, table, "line:gate")
    return sum(one.into for one in found), sum(one.out for one in found)


def test_sums_are_kept_over_resets_and_roll_ups(open_history, take):
    history, chance = open_history(), np.random.default_rng(3)
    into = out = 0.0
    total, since = [0.0, 0.0], float(START)
    for number in range(5000):
        if number % 1200 == 1199:
            into = out = 0.0
            since = float(START + 2 * number)
        new, gone = [(0, 0), (0, 0), (1, 0), (0, 1), (0.4, 0.2)][chance.integers(5)]
        into, out = into + new, out + gone
        total[0] += new
        total[1] += gone
        take(history, 2.0, lines={"gate": (into, out, since)})
    history.close()
    for table in ("minutes", "hours", "days"):
        found = rows(history, table, "line:gate")
        assert min(one.into for one in found) >= 0
        assert min(one.out for one in found) >= 0
        assert crossed(history, table) == pytest.approx(total)
    for points in (1, 7, 50, 500):
        series = history.series("door", "line:gate", START - 60, START + 10_200, points)
        assert abs(sum(one or 0 for one in series["into"]) - total[0]) < 0.01
        assert abs(sum(one or 0 for one in series["out"]) - total[1]) < 0.01
        assert set(series["mean"]) == {None}


def test_a_restart_counts_nobody_twice_and_misses_nobody(open_history, take):
    history = open_history()
    for number in range(100):
        take(history, lines={"gate": (float(number), 0.0, float(START))})
    history.close()
    again = open_history()
    take(again, 30, lines={"gate": (105.0, 2.0, float(START))})
    again.close()
    assert crossed(again) == (105.0, 2.0)


def test_counts_that_fell_behind_the_noted_ones_give_no_negative_steps(open_history, take):
    history = open_history()
    for into in (0.0, 8.0, 10.0, 7.0, 8.0):  # the power was cut before 10 were noted elsewhere
        take(history, lines={"gate": (into, into, float(START))})
    history.close()
    assert crossed(history) == (11.0, 11.0)


def test_a_start_that_moves_back_with_the_clock_is_no_reset(open_history, take):
    history = open_history()
    take(history, lines={"gate": (0.0, 0.0, float(START))})
    take(history, lines={"gate": (500.0, 0.0, float(START))})
    take(history, lines={"gate": (501.0, 0.0, float(START - 9000))})
    history.close()
    assert crossed(history) == (501.0, 0.0)


def test_those_who_crossed_before_the_history_began_belong_to_no_minute(open_history, take):
    history = open_history()
    take(history, lines={"gate": (900.0, 800.0, SINCE)})
    take(history, lines={"gate": (902.0, 801.0, SINCE)})
    history.close()
    assert crossed(history) == (2.0, 1.0)


def test_a_reset_while_the_service_was_away(open_history, take):
    history = open_history()
    take(history, lines={"gate": (0.0, 0.0, float(START))})
    take(history, lines={"gate": (40.0, 0.0, float(START))})
    history.close()
    again = open_history()
    take(again, 3000, lines={"gate": (3.0, 0.0, float(START + 1000))})
    again.close()
    assert crossed(again) == (43.0, 0.0)


def test_an_older_copy_that_is_put_back_has_no_peak(open_history, take):
    history = open_history()
    take(history, lines={"gate": (0.0, 0.0, float(START))})
    take(history, lines={"gate": (40.0, 0.0, float(START))})
    history.close()
    again = open_history()  # a week later, the counts since midnight
    start = float(START + 7 * 86_400)
    take(again, 7 * 86_400 + 50_000, lines={"gate": (1500.0, 0.0, start)})
    take(again, lines={"gate": (1503.0, 0.0, start)})
    again.close()
    assert crossed(again) == (43.0, 0.0)


def test_lines_are_counted_while_the_count_is_not_known(open_history, take):
    history = open_history()
    for number in range(50):
        take(history, count=None, lines={"gate": (float(number), 0.0, float(START))})
    history.close()
    assert crossed(history) == (49.0, 0.0)
    assert rows(history, "minutes") == []
