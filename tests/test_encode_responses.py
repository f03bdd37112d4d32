"""Coordinates are the responses' products with the basis, of held-out networks too."""

import json
from pathlib import Path

import numpy as np
import pytest
from probed_zoo import ARCHITECTURE, LAYERS, NETWORKS, PROBING, ProbedZoo
from tiny_zoo import damage

from dwf_steps.encode_responses import EncodeResponses, encode_responses
from dwf_steps.representation import loading
from dwf_steps.runtime.errors import InputError

FEW = 6  # functions, fewer than the responses have dimensions


def coordinates(zoo: ProbedZoo, name: str) -> np.ndarray:
    """Return a network's coordinates B' Z / sqrt(m), unit by unit."""
    responses, basis = zoo.responses(NETWORKS[name]), np.load(zoo.basis)
    return np.concatenate([(responses[layer].T @ basis[layer]).ravel() for layer in LAYERS]) / 30**0.5


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("group_bytes", [1, 2000, 2**20])
def test_rows_are_the_coordinates_of_all_networks_whatever_the_jobs_and_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int, group_bytes: int
) -> None:
    monkeypatch.setattr(loading, "GROUP_BYTES", group_bytes)
    zoo = ProbedZoo(tmp_path, FEW, parts).begin().sketched().solved().encoded()
    rows = np.concatenate([np.load(manifest.with_suffix(".npy")) for manifest in zoo.manifests])
    expected = np.stack([coordinates(zoo, name) for name in NETWORKS])
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-4)
    assert rows.dtype == np.float32


def test_shares_are_what_the_basis_keeps_of_each_networks_squared_responses(tmp_path: Path) -> None:
    zoo = ProbedZoo(tmp_path, FEW, parts=1).begin().sketched().solved().encoded()
    shares, basis = json.loads(zoo.manifests[0].read_text())["shares"], np.load(zoo.basis)
    for layer in LAYERS:
        for name, share in zip(NETWORKS, shares[layer], strict=True):
            responses = zoo.responses(NETWORKS[name])[layer]
            kept = ((basis[layer].T @ responses) ** 2).sum() / (responses**2).sum()
            assert share == pytest.approx(kept, abs=1e-5)
    assert min(shares[LAYERS[0]]) > 0.9999 > max(shares[LAYERS[1]])


def test_a_damaged_basis_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    zoo = ProbedZoo(tmp_path).begin().sketched().solved()
    damage(zoo.basis)
    settings = EncodeResponses(architecture=ARCHITECTURE, probing=PROBING, part=0, parts=1)
    manifest = zoo.manifests[0]
    with pytest.raises(InputError, match=r"responses\.npz: not the arrays that were written"):
        encode_responses(settings, zoo.basis, zoo.weights, zoo.data, manifest.with_suffix(".npy"), manifest)
    assert not list(tmp_path.glob("encoded/*"))
