"""Each part of the Gram matrix is of its own columns, centred by the training networks' mean."""

from pathlib import Path

import numpy as np
import pytest
from tiny_zoo import damage, flat, random_networks, stack

from dwf_steps.accumulate_gram import AccumulateGram, accumulate_gram
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage import matrix as matrix_module
from dwf_steps.subspace.gram import GramMatrix

NETWORKS = random_networks(6)
ROWS = np.stack([flat(state) for state in NETWORKS.values()]).astype(float)
HELD_OUT = 2


def weights(folder: Path, monkeypatch: pytest.MonkeyPatch, columns: int = 10) -> Path:
    """Return a weight matrix of 43 columns in chunks."""
    monkeypatch.setattr(matrix_module, "CHUNK_BYTES", 4 * len(ROWS) * columns)
    return stack(folder, NETWORKS, HELD_OUT)


@pytest.mark.parametrize("threads", [1, 3])
def test_parts_add_up_to_all_products_of_centred_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    matrix, parts = weights(tmp_path, monkeypatch), []
    for part in range(2):
        path = tmp_path / f"part-{part}.npz"
        accumulate_gram(AccumulateGram(part=part, parts=2), matrix, path, threads)
        parts.append(GramMatrix.load(path))
    centred = ROWS - ROWS[:-HELD_OUT].mean(axis=0)
    assert [(part.start, part.stop) for part in parts] == [(0, 20), (20, 43)]
    for part in parts:
        own = centred[:, part.start : part.stop]
        np.testing.assert_allclose(part.products, own @ own.T, atol=1e-5)
    np.testing.assert_allclose(parts[0].products + parts[1].products, centred @ centred.T, atol=1e-5)
    assert {part.n_training for part in parts} == {4}


def test_damage_of_the_weights_is_named_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = weights(tmp_path, monkeypatch, columns=43)
    (chunk,) = (path for path in (matrix / "c").rglob("*") if path.is_file())
    damage(chunk)
    with pytest.raises(InputError, match=r"weights\.zarr"):
        accumulate_gram(AccumulateGram(part=0, parts=1), matrix, tmp_path / "part-0.npz")
    assert not (tmp_path / "part-0.npz").exists()
