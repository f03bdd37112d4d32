"""Accuracy at novelty on curves whose frontiers are known."""

import numpy as np
import pytest

from dwf_steps.reporting.frontier import Curve, area_over


def curve(*points: tuple[float, float]) -> Curve:
    closeness, accuracy = zip(*points, strict=True)
    return Curve.through(np.array(closeness), np.array(accuracy))


def test_between_two_settings_the_frontier_is_straight_and_never_falls() -> None:
    rising = curve((0.8, 0.9), (0.2, 0.3))
    np.testing.assert_allclose(rising.frontier(np.array([0.2, 0.5, 0.8, 1.0])), [0.3, 0.6, 0.9, 0.9])
    humped = curve((0.2, 0.5), (0.4, 0.9), (0.8, 0.1))
    np.testing.assert_allclose(humped.frontier(np.array([0.3, 0.4, 0.6, 0.8])), [0.7, 0.9, 0.9, 0.9])


def test_where_every_setting_is_closer_there_is_no_accuracy() -> None:
    assert np.isnan(curve((0.5, 0.9)).frontier(np.array([0.49])))[0]
    assert curve((0.5, 0.9)).frontier(np.array([0.5]))[0] == 0.9


def test_the_area_is_the_mean_height_above_the_best_of_all_controls() -> None:
    generator, low, steep = curve((0, 0.5), (1, 0.9)), curve((0, 0.4), (1, 0.4)), curve((0, 0.0), (1, 1.0))
    assert area_over(generator, [low]) == pytest.approx(0.3, abs=1e-6)
    assert area_over(generator, [generator]) == 0
    # max(0.4, x) against 0.5 + 0.4 x: the integral of the second is 0.7, of the first 0.16 + 0.42.
    assert area_over(generator, [low, steep]) == pytest.approx(0.7 - 0.58, abs=1e-5)
    assert np.isnan(area_over(generator, []))


def test_a_range_that_only_one_of_two_reaches_does_not_count() -> None:
    newer, older = curve((0.0, 0.5), (0.5, 0.5)), curve((0.4, 0.2), (0.5, 0.2))
    assert area_over(newer, [older]) == pytest.approx(0.3)
    assert area_over(older, [newer]) == pytest.approx(-0.3)
