"""Scores of classifiers equal their definitions, written out item by item."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import recall_score

from dwf_steps.tasks import classification
from dwf_steps.tasks.classification import (
    Classification,
    accuracy,
    brier,
    class_accuracies,
    entropy,
    expected_calibration_error,
    nll,
    wrong,
)

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
N, M, C = 5, 60, 4
SCORES: list[Score] = [accuracy, nll, brier, expected_calibration_error, wrong]


def outputs(dtype: type = np.float32, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    logits = scale * draws.normal(size=(N, M, C))
    return log_softmax(logits, axis=2).astype(dtype), draws.integers(C, size=M)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scores_are_their_definitions(dtype: type) -> None:
    log_p, targets = outputs(dtype)
    p = np.exp(log_p.astype(np.float64))
    for i in range(N):
        mistakes = [bool(p[i, item].argmax() != targets[item]) for item in range(M)]
        assert wrong(log_p, targets)[i].tolist() == mistakes
        assert accuracy(log_p, targets)[i] == np.mean([not mistake for mistake in mistakes])
        likelihood = np.mean([-np.log(p[i, item, targets[item]]) for item in range(M)])
        assert nll(log_p, targets)[i] == pytest.approx(likelihood, rel=1e-6)
        squares = [((p[i, item] - np.eye(C)[targets[item]]) ** 2).sum() for item in range(M)]
        assert brier(log_p, targets)[i] == pytest.approx(np.mean(squares), rel=1e-5)
        entropies = [-(p[i, item] * np.log(p[i, item])).sum() for item in range(M)]
        np.testing.assert_allclose(entropy(log_p)[i], entropies, rtol=1e-5)


@pytest.mark.parametrize("bins", [1, 3, 15])
def test_the_calibration_error_is_summed_bin_by_bin(bins: int) -> None:
    log_p, targets = outputs()
    found = expected_calibration_error(log_p, targets, bins)
    for i in range(N):
        confidence, right = np.exp(log_p[i]).max(axis=1), log_p[i].argmax(axis=1) == targets
        expected = 0.0
        for b in range(bins):
            inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
            if inside.any():
                expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
        assert found[i] == pytest.approx(expected, rel=1e-5)


def test_a_coin_thrown_by_a_certain_network() -> None:
    log_p = np.log(np.array([[[1.0, 1e-30]] * 4], np.float32))
    targets = np.array([0, 1, 0, 1])
    assert expected_calibration_error(log_p, targets).tolist() == [0.5]
    assert brier(log_p, targets).tolist() == [1.0]
    assert accuracy(log_p, targets).tolist() == [0.5]


def test_a_network_that_guesses_is_calibrated() -> None:
    log_p = np.full((1, 8, 4), np.log(0.25), np.float32)
    targets = np.array([0, 1, 2, 3] * 2)
    assert expected_calibration_error(log_p, targets).item() == pytest.approx(0, abs=1e-7)
    assert brier(log_p, targets).item() == pytest.approx(0.75)
    assert nll(log_p, targets).item() == pytest.approx(np.log(4))
    np.testing.assert_allclose(entropy(log_p), np.log(4), rtol=1e-6)


def test_an_impossible_class_has_no_entropy_and_costs_infinitely_much() -> None:
    log_p = np.array([[[0.0, -np.inf]]], np.float16)
    assert entropy(log_p).tolist() == [[0.0]]
    assert nll(log_p, np.array([1])).tolist() == [np.inf]
    assert nll(log_p, np.array([0])).tolist() == [0.0]
    assert brier(log_p, np.array([1])).tolist() == [2.0]


def test_a_networks_nan_stays_in_its_own_scores() -> None:
    log_p, targets = outputs()
    broken = log_p.copy()
    broken[2] = np.nan
    for score in (nll, brier, expected_calibration_error):
        assert np.isnan(score(broken, targets)).tolist() == [i == 2 for i in range(N)]
    assert accuracy(broken, targets)[2] == 0
    for score in SCORES:
        others = np.delete(score(broken, targets), 2, axis=0)
        np.testing.assert_array_equal(others, np.delete(score(log_p, targets), 2, axis=0))


@pytest.mark.parametrize("networks", [0, 1, 2, 3])
def test_scores_do_not_depend_on_the_block_size(networks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    log_p, targets = outputs()
    whole = [score(log_p, targets) for score in SCORES] + [entropy(log_p)]
    monkeypatch.setattr(classification, "BLOCK_BYTES", networks * M * C * 4)
    blocks = [score(log_p, targets) for score in SCORES] + [entropy(log_p)]
    for a, b in zip(whole, blocks, strict=True):
        np.testing.assert_array_equal(a, b)


def test_inputs_stay_as_they_are() -> None:
    log_p, targets = outputs()
    before = log_p.copy()
    for score in SCORES:
        score(log_p, targets)
    entropy(log_p)
    np.testing.assert_array_equal(log_p, before)


def test_where_classes_are_imbalanced_accuracies_by_class_are_stated_too() -> None:
    draws = np.random.default_rng(0)
    targets = np.array([0] * 12 + [1] * 6 + [3] * 3)
    predictions = np.log(draws.dirichlet(np.ones(4), size=(5, len(targets))))
    found = Classification().scores(predictions, targets)
    chosen = predictions.argmax(2)
    for i in range(5):
        recalls = recall_score(targets, chosen[i], labels=[0, 1, 3], average=None, zero_division=0)
        np.testing.assert_allclose(class_accuracies(wrong(predictions, targets), targets)[i], recalls)
        assert found["balanced_accuracy"][i] == pytest.approx(recalls.mean())
        assert found["lowest_class_accuracy"][i] == pytest.approx(recalls.min())
    balanced = Classification().scores(predictions, np.resize([0, 1, 3], len(targets)))
    assert balanced.keys() == found.keys() - {"balanced_accuracy", "lowest_class_accuracy"}
