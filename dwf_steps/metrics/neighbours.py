"""Where a zoo's networks lie among its training networks in some coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dwf_steps.metrics.data_copying import cell_count, kmeans_cells
from dwf_steps.metrics.leave_one_out import nearest_others
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.subspace.gram import GramMatrix, distances_among


@dataclass(frozen=True)
class Neighbours:
    """Of n training networks, and then of h held-out ones.

    Attributes
    ----------
    distances
        How far each is from the nearest other training network, (n + h,).
    cells
        Which of the cells of `data_copying_in_cells` each belongs to, held-out ones to that of the training
        network nearest to them; a single one where too few are held out for more. Integers (n + h,).
    """

    distances: np.ndarray
    cells: np.ndarray

    @classmethod
    def of(cls, gram: GramMatrix, trajectories: np.ndarray, seed: int) -> Neighbours:
        """Find them from the Gram matrix of all networks' coordinates.

        Parameters
        ----------
        trajectories
            Those of the training networks, (n,): one network is no neighbour of another of the same one.
        seed
            Of the cells.
        """
        n, products = gram.n_training, gram.products
        nearest, distances = nearest_others(products, trajectories)
        count, cells = cell_count(len(products) - n), np.zeros(n, dtype=np.intp)
        if count > 1:
            among = distances_among(products[:n, :n])
            cells = kmeans_cells(np.square(among, out=among), count, numpy_generator("cells", seed))
        return cls(distances, np.append(cells, cells[nearest[n:]]))
