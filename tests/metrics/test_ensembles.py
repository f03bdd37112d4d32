"""Ensembles average probabilities; the rest is scikit-learn's word against ours."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss, roc_auc_score

from dwf_steps.config.evaluation import EvaluationConfig
from dwf_steps.metrics.ensembles import ensemble_measures
from dwf_steps.storage.outputs import Outputs

N, M, C = 6, 80, 4


def outputs(shifted: int = 50) -> tuple[Outputs, np.ndarray, np.ndarray]:
    """Return outputs and the logits behind them."""
    draws = np.random.default_rng(0)
    inside, outside = 3 * draws.normal(size=(N, M, C)), draws.normal(size=(N, shifted, C))
    names = np.array([f"sample-{i}" for i in range(N)])
    predicted = [log_softmax(logits, axis=-1).astype(np.float16) for logits in (inside, outside)]
    return Outputs(names, predicted[0], draws.integers(C, size=M), predicted[1]), inside, outside


def test_the_ensemble_of_all_networks_scores_what_its_mean_probabilities_score() -> None:
    predicted, inside, outside = outputs()
    row = ensemble_measures(predicted, EvaluationConfig(ensembles=(N,))).iloc[0]
    mean, strange = softmax(inside, axis=-1).mean(axis=0), softmax(outside, axis=-1).mean(axis=0)
    assert row["draws"] == 1
    assert row.accuracy == pytest.approx((mean.argmax(axis=1) == predicted.targets).mean())
    assert row.loss == pytest.approx(log_loss(predicted.targets, mean, labels=range(C)), rel=1e-3)
    assert row.brier == pytest.approx(
        np.square(mean - np.eye(C)[predicted.targets]).sum(axis=1).mean(), rel=1e-3
    )
    entropies = [-(p * np.log(p)).sum(axis=1) for p in (mean, strange)]
    truth = np.repeat([0, 1], [M, 50])
    assert row.auroc == pytest.approx(roc_auc_score(truth, np.concatenate(entropies)), abs=1e-3)


def test_ensembles_of_one_score_on_average_what_networks_score() -> None:
    predicted, inside, _ = outputs()
    row = ensemble_measures(predicted, EvaluationConfig(ensembles=(1,), draws=2000)).iloc[0]
    singles = (inside.argmax(axis=-1) == predicted.targets).mean(axis=1)
    assert row.accuracy == pytest.approx(singles.mean(), abs=0.01)
    assert row.accuracy_std == pytest.approx(singles.std(), rel=0.1)


def test_sizes_beyond_the_number_of_networks_are_left_out_and_no_shift_means_no_auroc() -> None:
    frame = ensemble_measures(outputs(shifted=0)[0], EvaluationConfig(ensembles=(1, 6, 7)))
    assert list(frame["size"]) == [1, 6]
    assert frame.auroc.isna().all()


def test_an_ensemble_has_one_checkpoint_of_a_training_at_most() -> None:
    predicted, trajectories = outputs()[0], np.array([0, 0, 0, 1, 1, 1])
    alike = predicted.predictions[[0, 0, 0, 3, 3, 3]]
    both = Outputs(predicted.names, alike, predicted.targets, predicted.shifted)
    frame = ensemble_measures(both, EvaluationConfig(ensembles=(1, 2, 3), draws=5), trajectories)
    assert list(frame["size"]) == [1, 2]
    assert frame.accuracy_std[1] == 0
    pair = Outputs(
        predicted.names[:2], predicted.predictions[[0, 3]], predicted.targets, predicted.shifted[:2]
    )
    whole = ensemble_measures(pair, EvaluationConfig(ensembles=(2,)))
    assert frame.accuracy[1] == pytest.approx(whole.accuracy[0])
