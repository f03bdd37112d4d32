"""Is a difference more than chance? Is one set of scores higher than another?"""

import numpy as np


def paired_bootstrap(a: np.ndarray, b: np.ndarray, draws: np.random.Generator, repeats: int = 2000) -> float:
    """Return the two-sided p-value of mean(a) = mean(b), the m items resampled in pairs.

    Twice the share of resamples in which the difference of the means has not the sign it has in the data,
    at most 1 and at least 1 / ``repeats`` (Efron & Tibshirani 1993, chapter 16, by the bootstrap interval).

    Parameters
    ----------
    a, b
        (m,), of the same items.
    """
    difference = a - b
    if not np.any(difference):
        return 1.0
    counts = draws.multinomial(len(difference), np.full(len(difference), 1 / len(difference)), size=repeats)
    means = counts @ difference
    against = np.mean(means <= 0) if difference.sum() > 0 else np.mean(means >= 0)
    return float(np.clip(2 * against, 1 / repeats, 1.0))


def auroc(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of n scores that should be higher outside, (n,).

    The probability that a score outside exceeds one inside, ties counted half (Mann-Whitney).

    Parameters
    ----------
    inside, outside
        (n, m) and (n, m'), scores of either kind of items.
    """
    # Imported here: it takes half a second, and most networks are asked about no other inputs.
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([inside, outside], axis=1), axis=1)
    count = outside.shape[1]
    above = ranks[:, inside.shape[1] :].sum(axis=1) - count * (count + 1) / 2
    return above / (inside.shape[1] * count)
