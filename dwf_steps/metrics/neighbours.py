"""Nearest training networks of a zoo's networks, in given coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dwf_steps.metrics.data_copying import cell_count, kmeans_cells
from dwf_steps.metrics.leave_one_out import nearest_others
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.subspace.gram import GramMatrix, distances_among


@dataclass(frozen=True)
class Neighbours:
    """Distances and cells of n training networks, followed by h held-out ones.

    Attributes
    ----------
    distances
        The distance of each network to the nearest training network of another training run, (n + h,).
    cells
        The cell of each network for `data_copying_in_cells`, integers (n + h,). Held-out networks belong to
        the cell of their nearest training network. There is a single cell if few networks are held out.
    """

    distances: np.ndarray
    cells: np.ndarray

    @classmethod
    def of(cls, gram: GramMatrix, trajectories: np.ndarray, seed: int) -> Neighbours:
        """Find the neighbours, given the Gram matrix of all networks' coordinates.

        Parameters
        ----------
        gram
            Of training networks and held-out networks.
        trajectories
            The training run of each training network, (n,): networks of the same run are no neighbours.
        seed
            Seed of k-means.
        """
        n, products = gram.n_training, gram.products
        nearest, distances = nearest_others(products, trajectories)
        count, cells = cell_count(len(products) - n), np.zeros(n, dtype=np.intp)
        if count > 1:
            among = distances_among(products[:n, :n])
            cells = kmeans_cells(np.square(among, out=among), count, numpy_generator("cells", seed))
        return cls(distances, np.append(cells, cells[nearest[n:]]))
