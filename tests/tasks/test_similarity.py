"""Similarities of outputs equal their definitions, pair by pair."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax

from dwf_steps.tasks import similarity
from dwf_steps.tasks.similarity import disagreement, hellinger, jensen_shannon, paired_jensen_shannon

A, B, M, C = 4, 3, 25, 5


@pytest.fixture(params=[1, 2**27], ids=["an item at a time", "all at once"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "BLOCK_BYTES", request.param)


def log_probabilities(n: int, seed: int, scale: float = 2.0) -> np.ndarray:
    return log_softmax(scale * np.random.default_rng(seed).normal(size=(n, M, C)), axis=-1)


@pytest.mark.usefixtures("blocks")
def test_disagreement_is_the_share_of_items_with_another_class() -> None:
    p, q = (log_probabilities(n, seed).argmax(-1) for n, seed in ((A, 0), (B, 1)))
    expected = [[(a != b).mean() for b in q] for a in p]
    np.testing.assert_allclose(disagreement(p, q, C), expected)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_hellinger_is_its_definition_and_a_metric(dtype: type) -> None:
    p, q = (log_probabilities(n, seed).astype(dtype) for n, seed in ((A, 0), (B, 1)))
    for one, other in ((p, q), (p, p)):
        x, y = np.exp(one.astype(np.float64)), np.exp(other.astype(np.float64))
        expected = [[np.sqrt((np.square(np.sqrt(a) - np.sqrt(b)).sum(-1) / 2).mean()) for b in y] for a in x]
        np.testing.assert_allclose(hellinger(one, other), expected, atol=1e-3)
    within = hellinger(p, p)
    np.testing.assert_allclose(np.diag(within), 0, atol=1e-12)
    assert (within[:, None] <= within[:, :, None] + within[None] + 1e-6).all()


def test_certain_and_different_predictions_are_as_far_apart_as_can_be() -> None:
    p, q = np.full((1, M, 2), -60_000.0, np.float16), np.full((1, M, 2), -60_000.0, np.float16)
    p[:, :, 0] = q[:, :, 1] = 0
    assert hellinger(p, q)[0, 0] == pytest.approx(1)
    assert jensen_shannon(p, q)[0, 0] == pytest.approx(np.log(2))


@pytest.mark.usefixtures("blocks")
def test_jensen_shannon_is_scipys() -> None:
    p, q = log_probabilities(A, 0), log_probabilities(B, 1)
    expected = [[(jensenshannon(a, b, axis=-1) ** 2).mean() for b in np.exp(q)] for a in np.exp(p)]
    np.testing.assert_allclose(jensen_shannon(p, q), expected, rtol=1e-5)
    np.testing.assert_allclose(jensen_shannon(q, p), jensen_shannon(p, q).T, rtol=1e-5)
    np.testing.assert_allclose(np.diag(jensen_shannon(p, p)), 0, atol=1e-7)
    np.testing.assert_allclose(paired_jensen_shannon(p[:B], q), np.diag(expected), rtol=1e-5)
