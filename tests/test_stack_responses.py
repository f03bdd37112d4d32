"""The matrix of coordinates has the rows of the weights', and is written column block by column block."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from probed_zoo import HELD_OUT, LAYERS, ProbedZoo
from tiny_zoo import damage

from dwf_steps.runtime.errors import InputError
from dwf_steps.stack_responses import StackResponses, stack_responses
from dwf_steps.storage import matrix as matrix_module
from dwf_steps.storage.encoded import Encoded
from dwf_steps.storage.manifest import Record
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.row_facts import RowFacts, read_facts, write_facts


@pytest.fixture
def zoo(tmp_path: Path) -> ProbedZoo:
    return ProbedZoo(tmp_path, functions=6).begin().sketched().solved().encoded()


def rows(zoo: ProbedZoo) -> np.ndarray:
    return np.concatenate([np.load(manifest.with_suffix(".npy")) for manifest in zoo.manifests])


@pytest.mark.parametrize("columns", [1, 7, 43])
def test_it_holds_the_encoded_rows_and_what_is_known_of_the_networks(
    zoo: ProbedZoo, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr(matrix_module, "CHUNK_BYTES", 4 * 8 * columns)
    stated = WeightMatrix(zarr.open_array(zoo.weights), zoo.weights)
    losses = {row.name: 0.5 * i for i, row in enumerate(stated.rows)}
    write_facts(stated, {name: Record(name, "", {"train_loss": loss}) for name, loss in losses.items()})
    zoo.stacked()
    matrix, weights = WeightMatrix.open(zoo.matrix), WeightMatrix.open(zoo.weights)
    assert read_facts(matrix) == [RowFacts(train_loss=loss) for loss in losses.values()]
    np.testing.assert_array_equal(matrix.read(), rows(zoo))
    assert matrix.rows == weights.rows and matrix.n_training == 8 - HELD_OUT
    assert matrix.architecture == weights.architecture
    assert [entry.name for entry in matrix.layout.entries] == list(LAYERS)
    assert matrix.layout.size == 5 * 5 + 3 * 6
    assert matrix.storage_error == 0


def test_half_precision_states_its_error(zoo: ProbedZoo, tmp_path: Path) -> None:
    settings = StackResponses(dtype="float16", memory_mb=64)
    stack_responses(settings, zoo.manifests, zoo.basis, zoo.weights, zoo.matrix, tmp_path / "shares.csv")
    matrix, training = WeightMatrix.open(zoo.matrix), rows(zoo)[:-HELD_OUT].astype(float)
    stored = matrix.read()
    assert stored.dtype == np.float16
    lost = np.linalg.norm(stored[:-HELD_OUT] - training)
    expected = lost / np.linalg.norm(training - training.mean(axis=0))
    assert matrix.storage_error == pytest.approx(expected, rel=1e-3)


def test_shares_are_means_over_training_and_over_held_out_networks(zoo: ProbedZoo, tmp_path: Path) -> None:
    zoo.stacked()
    table = pd.read_csv(tmp_path / "shares.csv", index_col="layer", comment="#")
    parts = [Encoded.read(manifest).shares for manifest in zoo.manifests]
    for layer in LAYERS:
        shares = [share for part in parts for share in part[layer]]
        assert table.training[layer] == pytest.approx(np.mean(shares[:6]))
        assert table.held_out[layer] == pytest.approx(np.mean(shares[6:]))


def test_damaged_rows_are_named_and_nothing_is_written(zoo: ProbedZoo) -> None:
    damage(zoo.manifests[1].with_suffix(".npy"))
    with pytest.raises(InputError, match=r"part-1\.npy: SHA-256 is .*delete \S+part-1\.json"):
        zoo.stacked()
    assert not zoo.matrix.exists()


def test_a_damaged_manifest_is_named(zoo: ProbedZoo) -> None:
    zoo.manifests[0].write_text("{")
    with pytest.raises(InputError, match=r"part-0\.json: not a manifest that this workflow wrote"):
        zoo.stacked()


def test_rows_that_are_missing_are_noticed(zoo: ProbedZoo, tmp_path: Path) -> None:
    settings = StackResponses(dtype="float32", memory_mb=64)
    with pytest.raises(InputError, match=r"found parts of 4 x 43 numbers, expected 8 x 43"):
        stack_responses(settings, zoo.manifests[:1], zoo.basis, zoo.weights, zoo.matrix, tmp_path / "s.csv")
