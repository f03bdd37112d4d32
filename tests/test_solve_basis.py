"""Every kind of subspace, from the files of a finished workflow."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkout import Checkout

from dwf_steps.solve_basis import SolveBasis, solve_basis
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis

SUBSPACES: list[dict[str, Any]] = [
    {"method": "dual_pca", "components": 5},
    {"method": "dual_pca", "variance": 0.8},
    {"method": "incremental_pca", "components": 5},
    {"method": "none"},
]


@pytest.mark.parametrize("subspace", SUBSPACES, ids=str)
def test_decoding_training_coordinates_projects_the_training_rows(
    finished: Checkout, tmp_path: Path, subspace: dict[str, Any]
) -> None:
    canon = finished.folder / "results/micro/git_rebasin"
    settings = SolveBasis.model_validate({"subspace": subspace})
    solve_basis(
        settings,
        [canon / "weights/gram/part-0.npz", canon / "weights/gram/part-1.npz"],
        canon / "weights.zarr",
        tmp_path / "basis.npz",
    )
    basis = Basis.load(tmp_path / "basis.npz")
    matrix = WeightMatrix.open(canon / "weights.zarr")
    rows = matrix.read()[: matrix.n_training].astype(np.float64)
    centred = rows - rows.mean(axis=0)
    decoded = basis.coefficients(basis.points(np.eye(len(rows)))) @ centred
    k = basis.dimension
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(decoded, (u[:, :k] * s[:k]) @ vt[:k], atol=1e-4)
    assert basis.explained_variance_ratio.sum() == pytest.approx((s[:k] ** 2).sum() / (s**2).sum(), rel=1e-4)
    if "variance" in subspace:
        assert (s[:k] ** 2).sum() >= 0.8 * (s**2).sum() > (s[: k - 1] ** 2).sum()
