"""Significance of differences, and areas under ROC curves."""

import numpy as np


def paired_bootstrap(a: np.ndarray, b: np.ndarray, draws: np.random.Generator, repeats: int = 2000) -> float:
    """Return the two-sided p-value of mean(a) = mean(b), with the m items resampled in pairs.

    It is twice the share of resamples in which the difference of the means is zero or has the opposite sign
    (Efron & Tibshirani 1993, chapter 16, by the bootstrap interval).

    Parameters
    ----------
    a, b
        Values for the same items, (m,).
    draws
        Source of randomness.
    repeats
        The number of resamples.

    Returns
    -------
    The p-value, between 1 / ``repeats`` and 1; 1 if a and b are equal.
    """
    difference = a - b
    if not np.any(difference):
        return 1.0
    counts = draws.multinomial(len(difference), np.full(len(difference), 1 / len(difference)), size=repeats)
    means = counts @ difference
    against = np.mean(means <= 0) if difference.sum() > 0 else np.mean(means >= 0)
    return float(np.clip(2 * against, 1 / repeats, 1.0))


def auroc(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of scores that should be higher for outside items.

    It is the probability that an outside score exceeds an inside score, with ties counted half
    (Mann-Whitney).

    Parameters
    ----------
    inside, outside
        Scores of n networks or ensembles for both kinds of items, (n, m) and (n, m').

    Returns
    -------
    Areas between 0 and 1, (n,).
    """
    # Imported here: the import takes half a second, and few evaluations have shifted inputs.
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([inside, outside], axis=1), axis=1)
    count = outside.shape[1]
    above = ranks[:, inside.shape[1] :].sum(axis=1) - count * (count + 1) / 2
    return above / (inside.shape[1] * count)
