"""A test for data copying: are generated networks closer to the training networks than held-out ones are.

The three-sample test of Meehan, Chaudhuri & Dasgupta 2020 ("A Non-Parametric Test to Detect Data-Copying in
Generative Models", AISTATS, arXiv 2004.05675). It only needs distances to the nearest training network, in
any space.
"""

import numpy as np

FEWEST_IN_CELL = 20  # generated networks; cells with fewer are left out (the paper's tau = 20 / m)
MOST_SWEEPS = 100  # of Lloyd's algorithm
RESTARTS = 10


def data_copying(generated: np.ndarray, held_out: np.ndarray) -> float:
    """Return the z-scored Mann-Whitney U of distances to the nearest training network.

    Let U be the number of pairs in which a generated network (of m) is further away than a held-out one (of
    n), with ties counted half. Then Z_U = (U - m n / 2) / sqrt(m n (m + n + 1) / 12). It has mean 0 and
    standard deviation 1 if generated networks are as far away as held-out ones; it is far below 0 for copies,
    at least -sqrt(3 m n / (m + n + 1)), and far above 0 for networks that miss the zoo. As in the paper,
    neither continuity nor ties are corrected for.

    Parameters
    ----------
    generated, held_out
        Distances (m,) and (n,), in the same space.

    Returns
    -------
    Z_U; NaN if there are no generated or no held-out networks.
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
    """Return C_T, the mean of `data_copying` over the cells of a partition.

    Cells are weighted by their number of held-out networks. Copies in one region are found even if networks
    in another region are too far away. Cells with fewer than `FEWEST_IN_CELL` generated networks are left
    out, as are cells without held-out networks, whose weight would be 0.

    Parameters
    ----------
    generated, held_out
        Distances (m,) and (n,), in the same space.
    generated_cells, held_out_cells
        The cell of each network, integers (m,) and (n,).

    Returns
    -------
    C_T; NaN if all cells are left out.
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
    """Return the number of cells to divide a zoo into.

    Parameters
    ----------
    held_out
        The number of held-out networks.

    Returns
    -------
    The number for which each cell has at least twice `FEWEST_IN_CELL` held-out networks on average; at least
    1.
    """
    return max(1, held_out // (2 * FEWEST_IN_CELL))


def kmeans_cells(squared: np.ndarray, cells: int, draws: np.random.Generator) -> np.ndarray:
    """Divide n training networks into cells by k-means, given only their distances.

    Lloyd's algorithm, seeded by k-means++ (Arthur & Vassilvitskii 2007); the best of `RESTARTS` runs. Centres
    are means, but distances suffice: ||x - mean C||^2 = mean_j d(x, j)^2 - mean_jk d(j, k)^2 / 2 over the
    members j and k of a cell C. Other points belong to the cell of their nearest training network.

    Parameters
    ----------
    squared
        Squared Euclidean distances between the networks, (n, n).
    cells
        The largest number of cells.
    draws
        Source of randomness for the seeds.

    Returns
    -------
    The cell of each network, integers from 0, (n,).
    """
    found = [_lloyd(squared, _seeds(squared, cells, draws)) for _ in range(RESTARTS)]
    best = min(range(RESTARTS), key=lambda restart: found[restart][1])
    return found[best][0]


def _seeds(squared: np.ndarray, cells: int, draws: np.random.Generator) -> list[int]:
    """Draw the seeds of k-means++; fewer than ``cells`` if fewer points differ.

    Each is drawn in proportion to its squared distance to the nearest earlier one.
    """
    chosen = [int(draws.integers(len(squared)))]
    while len(chosen) < cells and (apart := squared[:, chosen].min(axis=1).astype(np.float64)).any():
        chosen.append(int(draws.choice(len(squared), p=apart / apart.sum())))
    return chosen


def _lloyd(squared: np.ndarray, seeds: list[int]) -> tuple[np.ndarray, float]:
    """Return the points' cells and the sum of squared distances to their centres."""
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
    """Return the squared distances (n, cells) of all points to the means of the non-empty cells."""
    present = np.unique(cells)
    shares = (cells[:, None] == present) / (cells[:, None] == present).sum(axis=0)
    to_members = squared @ shares
    return np.asarray(to_members - (shares * to_members).sum(axis=0) / 2)
