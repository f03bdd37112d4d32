"""Regression scores are those of SciPy and scikit-learn."""

import numpy as np
from scipy import stats
from sklearn.metrics import mean_absolute_error as their_error
from sklearn.metrics import r2_score

from dwf_steps.tasks.regression import mean_absolute_error, r2, spearman

TARGETS = np.random.default_rng(0).normal(size=50).round(1)
PREDICTIONS = TARGETS + np.random.default_rng(1).normal(size=(4, 50)).round(1)


def test_scores_of_all_networks_are_those_of_each() -> None:
    np.testing.assert_allclose(
        spearman(PREDICTIONS, TARGETS), [stats.spearmanr(p, TARGETS)[0] for p in PREDICTIONS]
    )
    np.testing.assert_allclose(r2(PREDICTIONS, TARGETS), [r2_score(TARGETS, p) for p in PREDICTIONS])
    np.testing.assert_allclose(
        mean_absolute_error(PREDICTIONS, TARGETS), [their_error(TARGETS, p) for p in PREDICTIONS]
    )


def test_a_constant_prediction_has_no_rank_correlation_and_explains_nothing() -> None:
    constant = np.full((1, 50), TARGETS.mean())
    assert np.isnan(spearman(constant, TARGETS)).all()
    np.testing.assert_allclose(r2(constant, TARGETS), 0, atol=1e-12)
