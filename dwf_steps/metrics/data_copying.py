"""Do generated networks lie closer to the training networks than held-out networks do?

The three-sample test of Meehan, Chaudhuri & Dasgupta 2020 ("A Non-Parametric Test to Detect Data-Copying in
Generative Models", AISTATS, arXiv 2004.05675). It needs distances to the nearest training network alone, in
any space.
"""

import numpy as np

FEWEST_IN_CELL = 20  # generated networks; cells with fewer are left out (the paper's tau = 20 / m)
MOST_SWEEPS = 100  # of Lloyd's algorithm
RESTARTS = 10


def data_copying(generated: np.ndarray, held_out: np.ndarray) -> float:
    """Return the z-scored Mann-Whitney U of distances to the nearest training network.

    With U the number of pairs in which a generated network of m is further away than a held-out one of n,
    ties counted half, Z_U = (U - m n / 2) / sqrt(m n (m + n + 1) / 12). Around 0, with standard deviation 1,
    where generated networks are as far as held-out ones; far below 0 where they are copies, at least
    -sqrt(3 m n / (m + n + 1)); far above 0 where they miss the zoo. As in the paper, there is neither a
    correction for continuity nor one for ties.

    Parameters
    ----------
    generated, held_out
        Distances (m,) and (n,), in one space.

    Returns
    -------
    float
        NaN without generated, or without held-out networks.
    """
    m, n = len(generated), len(held_out)
    if m == 0 or n == 0:
        return np.nan
    ordered = np.sort(held_out)
    above = (np.searchsorted(ordered, generated) + np.searchsorted(ordered, generated, "right")).sum() / 2
    return float((above - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))


def data_copying_in_cells(
    generated: np.ndarray, held_out: np.ndarray, generated_cells: np.ndarray, held_out_cells: np.ndarray
) -> float:
    """Return C_T, the mean of `data_copying` over the cells of a partition, weighted by their held-out
    networks: copies in one region do not hide behind networks that are too far away in another.

    Cells with fewer than `FEWEST_IN_CELL` generated networks are left out, as are those without any held-out
    one, whose weight would be 0.

    Parameters
    ----------
    generated, held_out
        Distances (m,) and (n,), in one space.
    generated_cells, held_out_cells
        The cell of each, integers (m,) and (n,).

    Returns
    -------
    float
        NaN where no cell is left.
    """
    cells, weights = np.unique(held_out_cells, return_counts=True)
    kept = np.array([np.sum(generated_cells == cell) >= FEWEST_IN_CELL for cell in cells], bool)
    if not kept.any():
        return np.nan
    values = [
        data_copying(generated[generated_cells == cell], held_out[held_out_cells == cell])
        for cell in cells[kept]
    ]
    return float(np.average(values, weights=weights[kept]))


def cell_count(held_out: int) -> int:
    """Return into how many cells a zoo is divided: twice `FEWEST_IN_CELL` held-out networks each, on average;
    at least 1."""
    return max(1, held_out // (2 * FEWEST_IN_CELL))


def kmeans_cells(squared: np.ndarray, cells: int, draws: np.random.Generator) -> np.ndarray:
    """Return which of at most ``cells`` cells each of n training networks belongs to, (n,), by k-means.

    Lloyd's algorithm from seeds of k-means++ (Arthur & Vassilvitskii 2007), the best of `RESTARTS`. Centres
    are means, yet distances are all it needs: ||x - mean C||^2 = mean_j d(x, j)^2 - mean_jk d(j, k)^2 / 2
    over members j and k of a cell C. Any other point belongs to the cell of its nearest training network.

    Parameters
    ----------
    squared
        Squared distances (n, n), Euclidean in some space.
    draws
        Chooses the seeds.
    """
    found = [_lloyd(squared, _seeds(squared, cells, draws)) for _ in range(RESTARTS)]
    best = min(range(RESTARTS), key=lambda restart: found[restart][1])
    return found[best][0]


def _seeds(squared: np.ndarray, cells: int, draws: np.random.Generator) -> list[int]:
    """Return the points that k-means++ begins with, each drawn in proportion to its squared distance from the
    nearest one before; fewer where no more differ."""
    chosen = [int(draws.integers(len(squared)))]
    while len(chosen) < cells and (apart := squared[:, chosen].min(axis=1).astype(np.float64)).any():
        chosen.append(int(draws.choice(len(squared), p=apart / apart.sum())))
    return chosen


def _lloyd(squared: np.ndarray, seeds: list[int]) -> tuple[np.ndarray, float]:
    """Return the points' cells, and the sum of squared distances from their centres."""
    to_centres = squared[:, seeds]
    cells = to_centres.argmin(axis=1)
    for _ in range(MOST_SWEEPS):
        to_centres = _to_means(squared, cells)
        moved = to_centres.argmin(axis=1)
        if (moved == cells).all():
            break
        cells = moved
    return cells, float(to_centres.min(axis=1).sum())


def _to_means(squared: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return the squared distances (n, cells) of all points from the means of those cells that have any."""
    present = np.unique(cells)
    shares = (cells[:, None] == present) / (cells[:, None] == present).sum(axis=0)
    to_members = squared @ shares
    return np.asarray(to_members - (shares * to_members).sum(axis=0) / 2)
