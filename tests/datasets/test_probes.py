"""Probes are training examples, chosen by number and seed alone."""

import numpy as np
import pytest

from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Split
from dwf_steps.runtime.errors import InputError

M = 40
TRAIN = Split(
    np.arange(3 * M, dtype=np.float32).reshape(M, 3), np.arange(M, dtype=np.float32), "regression", 0.1, 5.0
)


def test_probes_are_training_examples_with_their_targets_none_twice() -> None:
    found = choose_probes(TRAIN, 15, seed=3)
    rows = found.targets.astype(int)
    assert len(found) == len(set(rows.tolist())) == 15
    np.testing.assert_array_equal(found.inputs, TRAIN.inputs[rows])
    assert (found.task, found.tolerance, found.scale) == ("regression", 0.1, 5.0)
    assert sorted(choose_probes(TRAIN, M, seed=3).targets) == sorted(TRAIN.targets)


def test_fewer_probes_of_a_seed_are_the_first_of_more_and_other_seeds_draw_others() -> None:
    few, many = (choose_probes(TRAIN, probes, seed=3) for probes in (5, 20))
    np.testing.assert_array_equal(few.targets, many.targets[:5])
    assert set(choose_probes(TRAIN, 20, seed=4).targets) != set(many.targets)


def test_every_example_is_drawn_equally_often() -> None:
    counts = np.zeros(M)
    for seed in range(400):
        counts[choose_probes(TRAIN, 10, seed).targets.astype(int)] += 1
    assert counts.sum() == 4000
    # Each count is hypergeometric, of variance 400 * 1/4 * 3/4 = 75: five deviations.
    assert np.abs(counts - 100).max() < 5 * np.sqrt(75)


def test_more_probes_than_training_examples_are_refused() -> None:
    with pytest.raises(InputError, match="probes: found 41, but the data have 40 training examples"):
        choose_probes(TRAIN, M + 1, seed=0)
