"""Stacking networks' files into the weight matrix."""

from pathlib import Path

import numpy as np
import pytest

from dwf_steps.runtime.errors import InputError
from dwf_steps.stack_weights import StackWeights, stack_weights
from dwf_steps.storage import matrix as matrix_module
from dwf_steps.storage.manifest import Manifest, Record, unstack, write_shard
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.row_facts import RowFacts, read_facts
from dwf_steps.storage.stacked import StackedNetworks

VALUES = np.random.default_rng(0).normal(size=(5, 23)).astype(np.float32)


def shards(folder: Path, values: np.ndarray = VALUES) -> list[Path]:
    """Write five networks (a 4 x 5 weight and 3 biases) as two shards; return the manifests."""
    paths = []
    for k, rows in enumerate((range(3), range(3, 5))):
        parameters = StackedNetworks(bias=values[rows, :3], weight=values[rows, 3:].reshape(-1, 4, 5))
        paths.append(folder / f"shard-{k}.json")
        write_shard(folder / f"shard-{k}", paths[-1], unstack([f"net-{i}" for i in rows], parameters), {})
    return paths


def stacked(folder: Path, manifests: list[Path], held_out: int, dtype: str = "float32") -> WeightMatrix:
    settings = StackWeights.model_validate({"held_out": held_out, "dtype": dtype, "memory_mb": 64})
    stack_weights(settings, manifests, folder / "weights.zarr")
    return WeightMatrix.open(folder / "weights.zarr")


@pytest.mark.parametrize("chunk_columns", [1, 4, 7, 23])
def test_rows_are_the_networks_with_held_out_ones_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_columns: int
) -> None:
    monkeypatch.setattr(matrix_module, "CHUNK_BYTES", 5 * 4 * chunk_columns)
    matrix = stacked(tmp_path, shards(tmp_path), 2)
    assert [row.name for row in matrix.rows] == ["net-0", "net-1", "net-2", "net-3", "net-4"]
    assert matrix.n_training == 3
    networks = matrix.layout.unflatten(matrix.read())
    np.testing.assert_array_equal(networks["bias"], VALUES[:, :3])
    np.testing.assert_array_equal(networks["weight"], VALUES[:, 3:].reshape(5, 4, 5))


def test_half_precision_rounds_to_nearest(tmp_path: Path) -> None:
    matrix = stacked(tmp_path, shards(tmp_path), 0, dtype="float16")
    assert matrix.array.dtype == np.float16
    np.testing.assert_array_equal(
        matrix.layout.unflatten(matrix.read())["bias"], VALUES[:, :3].astype("float16")
    )


def test_weights_too_large_for_half_precision_are_named(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[3, 1] = 1e5
    with pytest.raises(InputError, match=r"net-3: weight 1 is 100000\.0, too large for float16"):
        stacked(tmp_path, shards(tmp_path, values), 0, dtype="float16")
    assert not (tmp_path / "weights.zarr").exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_named(tmp_path: Path, bad: float) -> None:
    values = VALUES.copy()
    values[4, 2] = bad
    with pytest.raises(InputError, match=rf"net-4\.safetensors: weight 2 is {bad}"):
        stacked(tmp_path, shards(tmp_path, values), 0)
    assert not (tmp_path / "weights.zarr").exists()


def test_a_finite_weight_beyond_all_use_is_named_with_its_parameter(tmp_path: Path) -> None:
    for column, name in ((2, "bias"), (3, "weight"), (22, "weight")):
        values = VALUES.copy()
        values[4, column] = -2e17
        (folder := tmp_path / str(column)).mkdir()
        with pytest.raises(InputError, match=rf"net-4\.safetensors: {name} has a weight of size 2\.0e\+17"):
            stacked(folder, shards(folder, values), 0)


def test_a_network_file_that_changed_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    manifests = shards(tmp_path)
    file = tmp_path / "shard-1/net-4.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"net-4\.safetensors: SHA-256 is .*delete .*shard-1\.json"):
        stacked(tmp_path, manifests, 0)
    assert not (tmp_path / "weights.zarr").exists()


def test_the_storage_error_is_that_of_the_training_rows(tmp_path: Path) -> None:
    matrix = stacked(tmp_path, shards(tmp_path), 1, dtype="float16")
    training = VALUES[:-1].astype(np.float64)
    error = training.astype(np.float16) - training
    expected = np.linalg.norm(error) / np.linalg.norm(training - training.mean(axis=0))
    assert matrix.storage_error == pytest.approx(expected, rel=1e-4)
    assert 1e-5 < matrix.storage_error < 1e-3


def test_float32_is_stored_without_error(tmp_path: Path) -> None:
    assert stacked(tmp_path, shards(tmp_path), 0).storage_error == 0


def test_networks_brought_along_twice_are_named_by_their_files(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[4] = values[1]
    manifests = shards(tmp_path, values)
    settings = StackWeights(held_out=0, dtype="float32", memory_mb=64)
    with pytest.raises(InputError, match="net-4: the same network as net-1; remove one of the two"):
        stack_weights(settings, manifests, tmp_path / "weights.zarr", distinct=manifests)


def test_the_last_trajectories_are_held_out_over_all_shards(tmp_path: Path) -> None:
    manifests = shards(tmp_path)
    matrix = stacked(tmp_path, manifests, 3)
    assert [row.held_out for row in matrix.rows] == [False, False, True, True, True]


def test_what_the_zoo_knows_of_its_networks_is_kept_in_row_order(tmp_path: Path) -> None:
    manifests, zoo = shards(tmp_path), tmp_path / "zoo.json"
    stated = {"validation_accuracy": 0.9, "train_loss": 0.1, "test_accuracy": 0.8, "epochs": 3}
    checkpoint = stated | {"trajectory": "net", "epochs": 1.5}
    facts = {"net-4": stated, "net-0": checkpoint, "net-2": {"train_loss": float("nan")}}
    Manifest(zoo, tuple(Record(name, "", known) for name, known in facts.items())).write()
    settings = StackWeights(held_out=3, dtype="float32", memory_mb=64)
    stack_weights(settings, manifests, tmp_path / "weights.zarr", zoo=[zoo])
    assert read_facts(WeightMatrix.open(tmp_path / "weights.zarr")) == [
        RowFacts(0.9, 0.1, 1.5),
        *[RowFacts()] * 3,
        RowFacts(0.9, 0.1),
    ]
