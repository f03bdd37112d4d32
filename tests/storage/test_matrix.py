"""The weight matrix: column blocks of all rows, training rows first."""

import re
from pathlib import Path

import numpy as np
import pytest

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage import matrix as matrix_module
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix

LAYOUT = Layout.of({"weight": (5, 4), "bias": (5,)})


def rows_of(held_out: list[bool]) -> list[Row]:
    return [Row(f"seed-{i}", f"digest-{i}", out) for i, out in enumerate(held_out)]


def test_a_matrix_is_opened_as_it_was_written(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 25)).astype(np.float32)
    rows = rows_of([False, False, True])
    created = WeightMatrix.create(tmp_path / "w.zarr", LAYOUT, rows, {"kind": "mlp", "widths": [4, 5]})
    created.array[:] = values
    opened = WeightMatrix.open(tmp_path / "w.zarr")
    np.testing.assert_array_equal(opened.read(), values)
    assert opened.array.dtype == np.float32
    assert opened.rows == rows
    assert opened.layout == LAYOUT
    assert opened.architecture == {"kind": "mlp", "widths": [4, 5]}
    assert opened.n_training == 2


@pytest.mark.parametrize(
    ("budget", "columns"), [(1, 1), (3 * 4, 1), (3 * 4 * 7, 7), (3 * 4 * 8 - 1, 7), (10**9, 25)]
)
def test_a_chunk_is_a_column_block_of_all_rows_within_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int, columns: int
) -> None:
    monkeypatch.setattr(matrix_module, "CHUNK_BYTES", budget)
    matrix = WeightMatrix.create(tmp_path / "w.zarr", LAYOUT, rows_of([False] * 3), {})
    assert matrix.array.chunks == (3, columns)


@pytest.mark.parametrize("columns", [1, 7, 24, 25])
def test_column_blocks_are_the_chunks_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr(matrix_module, "CHUNK_BYTES", columns * 3 * 4)
    values = np.random.default_rng(0).normal(size=(3, 25)).astype(np.float32)
    matrix = WeightMatrix.create(tmp_path / "w.zarr", LAYOUT, rows_of([False] * 3), {})
    matrix.array[:] = values
    blocks = list(matrix.column_blocks())
    assert [block.stop - block.start for block in blocks[:-1]] == [columns] * (len(blocks) - 1)
    assert [block.start for block in blocks[1:]] == [block.stop for block in blocks[:-1]]
    np.testing.assert_array_equal(np.concatenate([matrix.read(b) for b in blocks], axis=1), values)


def test_a_block_holds_the_columns_asked_for(tmp_path: Path) -> None:
    values = np.arange(75, dtype=np.float32).reshape(3, 25)
    matrix = WeightMatrix.create(tmp_path / "w.zarr", LAYOUT, rows_of([False] * 3), {})
    matrix.array[:] = values
    np.testing.assert_array_equal(matrix.read(slice(3, 9)), values[:, 3:9])


@pytest.mark.parametrize("held_out", [[True, False], [False, True, False], [True, True, False]])
def test_held_out_rows_before_training_rows_are_refused(tmp_path: Path, held_out: list[bool]) -> None:
    with pytest.raises(ValueError, match="training rows must come before held-out rows"):
        WeightMatrix.create(tmp_path / "w.zarr", LAYOUT, rows_of(held_out), {})
    assert not (tmp_path / "w.zarr").exists()


@pytest.mark.parametrize("held_out", [0, 1, 3])
def test_training_rows_are_counted(tmp_path: Path, held_out: int) -> None:
    rows = rows_of([False] * (5 - held_out) + [True] * held_out)
    assert WeightMatrix.create(tmp_path / "w.zarr", LAYOUT, rows, {}).n_training == 5 - held_out


def test_an_opened_matrix_cannot_be_written(tmp_path: Path) -> None:
    WeightMatrix.create(tmp_path / "w.zarr", LAYOUT, rows_of([False] * 3), {})
    opened = WeightMatrix.open(tmp_path / "w.zarr")
    with pytest.raises(ValueError, match="read-only"):
        opened.array[:] = 1


def test_a_missing_matrix_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.zarr"
    with pytest.raises(InputError, match=re.escape(f"{path}: no weight matrix there")):
        WeightMatrix.open(path)


def test_double_precision_is_kept_where_asked_for(tmp_path: Path) -> None:
    matrix = WeightMatrix.create(tmp_path / "w.zarr", LAYOUT, rows_of([False]), {}, dtype="float64")
    matrix.array[:] = 1 / 3
    assert WeightMatrix.open(tmp_path / "w.zarr").read()[0, 0] == 1 / 3


def sharded(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, WeightMatrix]:
    """Return values and a matrix of them with chunks of 3 columns, 4 chunks a shard."""
    monkeypatch.setattr(matrix_module, "CHUNK_BYTES", 3 * 3 * 4)
    monkeypatch.setattr(matrix_module, "SHARDS_PER_BUDGET", 2**20 // (3 * 3 * 4 * 4))
    values = np.random.default_rng(0).normal(size=(3, 25)).astype(np.float32)
    matrix = WeightMatrix.create(path, LAYOUT, rows_of([False] * 3), {}, memory_mb=1)
    for columns in matrix.write_blocks():
        matrix.array[:, columns] = values[:, columns]
    return values, matrix


def test_many_chunks_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values, matrix = sharded(tmp_path / "w.zarr", monkeypatch)
    assert [block.stop - block.start for block in matrix.write_blocks()] == [12, 12, 1]
    assert len([path for path in (tmp_path / "w.zarr/c").rglob("*") if path.is_file()]) == 3
    blocks = list(matrix.column_blocks())
    assert len(blocks) == 9
    np.testing.assert_array_equal(np.concatenate([matrix.read(b) for b in blocks], axis=1), values)


@pytest.mark.parametrize("parts", [1, 2, 4, 9, 12])
def test_parts_divide_the_blocks_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    _, matrix = sharded(tmp_path / "w.zarr", monkeypatch)
    divided = [block for part in range(parts) for block in matrix.column_blocks(part, parts)]
    assert divided == list(matrix.column_blocks())


def test_a_flipped_bit_is_found_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, matrix = sharded(tmp_path / "w.zarr", monkeypatch)
    shard = tmp_path / "w.zarr/c/0/1"
    content = bytearray(shard.read_bytes())
    content[5] ^= 1
    shard.write_bytes(content)
    np.testing.assert_array_equal(matrix.read(slice(0, 12)).shape, (3, 12))
    with pytest.raises(InputError, match=r"w\.zarr: columns 12 to 15 are damaged"):
        matrix.read(slice(12, 15))


@pytest.mark.parametrize("kept", [0, 10, 100])
def test_a_truncated_file_is_found_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    _, matrix = sharded(tmp_path / "w.zarr", monkeypatch)
    shard = tmp_path / "w.zarr/c/0/0"
    shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(InputError, match="columns 3 to 6 are damaged"):
        matrix.read(slice(3, 6))


def test_chunks_that_were_never_written_read_as_nan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, matrix = sharded(tmp_path / "w.zarr", monkeypatch)
    (tmp_path / "w.zarr/c/0/1").unlink()
    matrix.array[:, 12:15] = 1.0  # the second shard now holds one of its four chunks
    assert (matrix.read(slice(12, 15)) == 1).all()
    assert np.isnan(matrix.read(slice(15, 18))).all()
    (tmp_path / "w.zarr/c/0/2").unlink()
    assert np.isnan(matrix.read(slice(24, 25))).all()


def test_a_damaged_index_of_a_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sharded(tmp_path / "w.zarr", monkeypatch)
    shard = tmp_path / "w.zarr/c/0/1"
    content = bytearray(shard.read_bytes())
    content[-10] ^= 4
    shard.write_bytes(content)
    with pytest.raises(InputError, match=r"columns 12 to 15 are damaged \(the checksum"):
        WeightMatrix.open(tmp_path / "w.zarr").read(slice(12, 15))


@pytest.mark.parametrize(
    ("memory", "group_size"), [(1, 1), (4 * 2 * 3 * 2, 2), (4 * 2 * 3 * 5 - 1, 4), (10**6, 9)]
)
def test_chunks_are_grouped_within_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int, group_size: int
) -> None:
    _, matrix = sharded(tmp_path / "w.zarr", monkeypatch)
    groups = matrix.chunk_groups(rows=2, memory=memory)
    assert max(map(len, groups)) == group_size
    assert [chunk for group in groups for chunk in group] == list(matrix.column_blocks())
