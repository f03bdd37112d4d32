"""The bootstrap's p-values are uniform without a difference; AUROC is scikit-learn's."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from dwf_steps.metrics.uncertainty import auroc, paired_bootstrap


def test_p_values_without_a_difference_are_spread_evenly() -> None:
    draws = np.random.default_rng(0)
    values = [
        paired_bootstrap(*draws.normal(size=(2, 100)), draws, repeats=1000)  # type: ignore[misc]
        for _ in range(300)
    ]
    assert stats.kstest(values, "uniform").pvalue > 1e-3


def test_pairing_finds_a_difference_that_is_small_beside_the_items_spread() -> None:
    draws = np.random.default_rng(1)
    items = 10 * draws.normal(size=200)
    better = items + 0.1 + 0.1 * draws.normal(size=200)
    assert paired_bootstrap(better, items, draws) < 0.01
    assert paired_bootstrap(better, draws.permutation(items), draws) > 0.05


def test_equal_scores_are_not_different() -> None:
    scores = np.arange(5.0)
    assert paired_bootstrap(scores, scores, np.random.default_rng(0)) == 1


@pytest.mark.parametrize("digits", [1, 8])
def test_auroc_is_scikit_learns_with_and_without_ties(digits: int) -> None:
    draws = np.random.default_rng(0)
    inside, outside = draws.normal(size=(3, 40)).round(digits), draws.normal(0.5, size=(3, 60)).round(digits)
    truth = np.repeat([0, 1], [40, 60])
    expected = [roc_auc_score(truth, np.concatenate(pair)) for pair in zip(inside, outside, strict=True)]
    np.testing.assert_allclose(auroc(inside, outside), expected)
