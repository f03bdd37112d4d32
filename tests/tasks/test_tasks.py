"""Tasks, told by their name; regression: every measure, recomputed on small cases."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score
from torch.nn import functional as F

from dwf_steps.config.dataset import SplitsConfig
from dwf_steps.config.evaluation import EvaluationConfig
from dwf_steps.datasets.splits import Dataset, Split, divide
from dwf_steps.metrics.ensembles import ensemble_measures
from dwf_steps.metrics.function import accuracies_by_class, function_measures
from dwf_steps.storage.outputs import Outputs
from dwf_steps.tasks import task_of
from dwf_steps.tasks.classification import Classification
from dwf_steps.tasks.regression import Regression

N, M, TOLERANCE = 4, 30, 0.125
DRAWS = np.random.default_rng(0)
TARGETS = (np.arange(M) % 5 / 4).astype(np.float32)
PREDICTIONS = (TARGETS + DRAWS.normal(scale=0.2, size=(N, M))).astype(np.float32)[:, :, None]


def outputs(predictions: np.ndarray = PREDICTIONS) -> Outputs:
    names = np.array([f"seed-{i}" for i in range(len(predictions))])
    return Outputs(
        names, predictions, TARGETS, np.empty((len(predictions), 0, 1), np.float32), "regression", TOLERANCE
    )


def test_a_task_is_found_by_its_name() -> None:
    assert isinstance(task_of("classification", 0.0, 1.0), Classification)
    numbers = task_of("regression", 0.2, 30.0)
    assert isinstance(numbers, Regression) and (numbers.tolerance, numbers.scale) == (0.2, 30.0)
    with pytest.raises(ValueError, match="found the task 'ranking'; expected 'classification' or"):
        task_of("ranking", 0.0, 1.0)  # type: ignore[arg-type]


def test_the_name_of_the_task_is_stored_with_data_and_with_predictions(tmp_path: Path) -> None:
    inputs = DRAWS.normal(size=(40, 3))
    numbers = DRAWS.random(40)
    for task, tolerance, scale in (("classification", 0.0, 1.0), ("regression", TOLERANCE, 30.0)):
        targets = numbers if task == "regression" else np.arange(40) % 4
        divided = divide(inputs, targets, SplitsConfig(), task=task, tolerance=tolerance, scale=scale)
        divided.save(tmp_path / "data.npz")
        for part in ("train", "validation", "test"):
            split = Split.load(tmp_path / "data.npz", part)
            assert (split.task, split.tolerance, split.scale) == (task, tolerance, scale)
        assert Dataset.load(tmp_path / "data.npz").n_classes == (1 if task == "regression" else 4)
    replace(outputs(), scale=30.0).save(tmp_path / "outputs.npz")
    found = Outputs.load([tmp_path / "outputs.npz"] * 2)
    assert (len(found), found.task) == (2 * N, "regression")
    assert (found.tolerance, found.scale) == (TOLERANCE, 30.0)


def test_losses_are_pytorchs() -> None:
    logits, classes = torch.randn(3, 6, 4), torch.randint(4, (3, 6))
    for targets in (classes, classes[0]):
        expected = F.cross_entropy(logits.transpose(1, 2), targets.expand(3, -1), reduction="none")
        torch.testing.assert_close(Classification().losses(logits, targets), expected)
    numbers, wanted = torch.randn(3, 6, 1), torch.rand(3, 6)
    expected = F.mse_loss(numbers[..., 0], wanted, reduction="none")
    torch.testing.assert_close(Regression(0.1).losses(numbers, wanted), expected)


def test_learning_a_probability_is_learning_labels_drawn_from_it() -> None:
    """The loss of probabilities q is the mean over labels of theirs, its gradient p - q; it is least, the
    entropy of q, where p = q."""
    task = Classification()
    logits, wanted = torch.randn(3, 6, 4, requires_grad=True), torch.randn(3, 6, 4).softmax(-1)
    losses = task.distillation_losses(logits, wanted)
    of_labels = torch.stack([task.losses(logits, torch.full((3, 6), label)) for label in range(4)], dim=-1)
    torch.testing.assert_close(losses, (wanted * of_labels).sum(-1))
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    torch.testing.assert_close(gradient, task.answers(logits).detach() - wanted)
    lowest = task.distillation_losses(wanted.log() + 5, wanted)
    torch.testing.assert_close(lowest, torch.special.entr(wanted).sum(-1))
    assert (losses > lowest).all()


def test_learning_a_certain_answer_is_learning_the_label() -> None:
    logits, labels = torch.randn(3, 6, 4), torch.randint(4, (3, 6))
    found = Classification().distillation_losses(logits, F.one_hot(labels, 4).float())
    torch.testing.assert_close(found, Classification().losses(logits, labels))
    numbers, wanted = torch.randn(3, 6, 1), torch.rand(3, 6, 1)
    task = Regression(0.1)
    torch.testing.assert_close(task.answers(numbers), numbers)
    found = task.distillation_losses(numbers, wanted)
    torch.testing.assert_close(found, task.losses(numbers, wanted[..., 0]))


def test_scores_of_numbers_are_those_of_scikit_learn_and_scipy() -> None:
    scores = Regression(TOLERANCE).scores(PREDICTIONS, TARGETS)
    for i in range(N):
        numbers = PREDICTIONS[i, :, 0].astype(float)
        assert scores["r2"][i] == pytest.approx(r2_score(TARGETS, numbers))
        assert scores["mean_absolute_error"][i] == pytest.approx(mean_absolute_error(TARGETS, numbers))
        assert scores["spearman"][i] == pytest.approx(spearmanr(TARGETS, numbers).statistic)
        assert scores["loss"][i] == pytest.approx(np.mean((numbers - TARGETS) ** 2))
        assert scores["accuracy"][i] == np.mean(np.abs(numbers - TARGETS) <= TOLERANCE)


def test_errors_are_in_the_targets_own_unit_and_nothing_else_depends_on_it() -> None:
    low, high = -150.0, 150.0
    task, scaled = Regression(TOLERANCE, high - low), Regression(TOLERANCE)
    scores, plain = task.scores(PREDICTIONS, TARGETS), scaled.scores(PREDICTIONS, TARGETS)
    targets, numbers = (
        low + (high - low) * values for values in (TARGETS, PREDICTIONS[..., 0].astype(float))
    )
    for i in range(N):
        expected = mean_absolute_error(targets, numbers[i])
        assert scores["mean_absolute_error"][i] == pytest.approx(expected)
    apart = task.divergences(PREDICTIONS[:2], PREDICTIONS[2:])["mean_absolute_difference"]
    np.testing.assert_allclose(apart, np.abs(numbers[:2] - numbers[2:]).mean(axis=1), rtol=1e-5)
    for name in ("accuracy", "loss", "spearman", "r2"):
        np.testing.assert_array_equal(scores[name], plain[name])


def test_measures_of_networks_and_ensembles_know_the_targets_unit() -> None:
    wide, unit = replace(outputs(), scale=300.0), outputs()
    for name in ("mean_absolute_error", "mean_absolute_difference"):
        own, plain = (function_measures(found, found)[name] for found in (wide, unit))
        np.testing.assert_allclose(own, 300 * plain, rtol=1e-6)
    own, plain = (ensemble_measures(found, EvaluationConfig()).mean_absolute_error for found in (wide, unit))
    np.testing.assert_allclose(own, 300 * plain)


def test_right_is_what_is_not_wrong_and_no_prediction_is_wrong() -> None:
    task, predictions = Regression(TOLERANCE), PREDICTIONS.copy()
    predictions[1, 3] = np.nan
    wrong = task.wrong(predictions, TARGETS)
    assert wrong[1, 3]
    right = task.right(torch.from_numpy(predictions), torch.from_numpy(TARGETS)).numpy()
    np.testing.assert_array_equal(right, ~wrong)
    assert 0 < wrong.mean() < 1


def test_choices_are_the_nearest_of_the_stars() -> None:
    predictions = np.array([-0.4, 0.0, 0.1, 0.13, 0.5, 0.62, 0.63, 1.0, 1.7], np.float32)[None, :, None]
    assert Regression(TOLERANCE).choices(predictions).tolist() == [[0, 0, 0, 1, 2, 2, 3, 4, 4]]


def test_distances_are_root_mean_squares_and_exactly_zero_for_equals() -> None:
    found = Regression(TOLERANCE).distances(PREDICTIONS, PREDICTIONS[:2])
    for i in range(N):
        for j in range(2):
            assert found[i, j] == pytest.approx(
                np.sqrt(np.mean((PREDICTIONS[i] - PREDICTIONS[j]) ** 2)), abs=1e-6
            )
    assert found[0, 0] == found[1, 1] == 0


def test_networks_are_compared_by_their_mistakes() -> None:
    frame = function_measures(outputs(), outputs(), np.arange(N))
    wrong = np.abs(PREDICTIONS[..., 0] - TARGETS) > TOLERANCE
    stars = np.round(PREDICTIONS[..., 0] * 4).clip(0, 4)
    for i in range(N):
        others = [j for j in range(N) if j != i]
        ious = [(wrong[i] & wrong[j]).sum() / (wrong[i] | wrong[j]).sum() for j in others]
        assert frame.max_iou.iloc[i] == pytest.approx(max(ious))
        assert frame.disagreement.iloc[i] == pytest.approx(np.mean([stars[i] != stars[j] for j in others]))
        similar = PREDICTIONS[others[int(np.argmax(ious))]]
        assert frame.mean_absolute_difference.iloc[i] == pytest.approx(
            np.abs(PREDICTIONS[i] - similar).mean()
        )


def test_an_ensemble_predicts_the_mean() -> None:
    frame = ensemble_measures(outputs(), EvaluationConfig(ensembles=[N]))
    expected = np.mean((PREDICTIONS.mean(axis=0)[:, 0] - TARGETS) ** 2)
    assert frame.loss.item() == pytest.approx(expected, rel=1e-5)
    assert frame.auroc.isna().all()


def test_accuracies_by_class_are_of_classes_alone() -> None:
    numbers = accuracies_by_class(outputs(), np.zeros((N, M), bool))
    assert list(numbers) == ["network", "class", "examples", "accuracy"] and numbers.empty
    names, targets = np.array(["a", "b"]), np.array([2, 0, 2, 2])
    networks = Outputs(names, np.zeros((2, 4, 3)), targets, np.empty((2, 0, 3)))
    mistakes = np.array([[False, True, True, False], [True, False, True, True]])
    found = accuracies_by_class(networks, mistakes)
    expected = [("a", "0", 1, 0.0), ("a", "2", 3, 2 / 3), ("b", "0", 1, 1.0), ("b", "2", 3, 0.0)]
    assert list(found.itertuples(index=False, name=None)) == expected
    named = accuracies_by_class(replace(networks, classes=np.array(["ant", "bee", "cat"])), mistakes)
    assert named["class"].tolist() == ["ant", "cat"] * 2
