"""Canonicalizing a shard, called as the step calls it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dwf_steps.architectures import build
from dwf_steps.canonicalize import canonicalize
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.canonicalization import GitRebasin
from dwf_steps.config.dataset import SplitsConfig
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.pipeline.settings.canonicalize import Canonicalize
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest, unstack, write_shard
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.permutation import permute

CONFIG = MLPConfig(widths=[4, 5, 3])
N = 3


def canonicalized(folder: Path, networks: StackedNetworks[np.ndarray]) -> pd.DataFrame:
    """Return the table of one shard, whose first network is the reference."""
    load_dataset("iris", SplitsConfig(), Path("data")).save(folder / "data.npz")
    one = networks.select(slice(1))
    for name, some in {"shard-0": networks, "reference": one}.items():
        shard = unstack([f"seed-{i}" for i in range(some.count)], some)
        write_shard(folder / name, folder / f"{name}.json", shard, CONFIG.model_dump())
    canonicalize(
        Canonicalize(methods=[GitRebasin()], architecture=CONFIG),
        folder / "data.npz",
        folder / "shard-0.json",
        folder / "reference.json",
        None,
        folder / "aligned",
        folder / "aligned.json",
        folder / "alignment.csv",
    )
    return pd.read_csv(folder / "alignment.csv")


def shuffled_copies() -> StackedNetworks[np.ndarray]:
    architecture, draws = build(CONFIG), np.random.default_rng(0)
    drawn = {e.name: draws.normal(size=e.shape).astype(np.float32) for e in architecture.layout.entries}
    copies = StackedNetworks({name: np.stack([array] * N) for name, array in drawn.items()})
    orders = {"hidden.0": np.stack([np.arange(5), [4, 2, 0, 1, 3], [1, 0, 2, 4, 3]])}
    return permute(copies, architecture.permutation_spec(), orders)


def test_shuffled_copies_end_at_the_reference(tmp_path: Path) -> None:
    frame = canonicalized(tmp_path, shuffled_copies())
    assert frame.network.tolist() == ["seed-0", "seed-1", "seed-2"]
    assert (frame.distance_before > 1).tolist() == [False, True, True]
    assert (frame.distance_after == 0).all()
    np.testing.assert_allclose(frame.barrier_after, 0, atol=1e-6)
    aligned = Manifest.read(tmp_path / "aligned.json")
    assert len({record.sha256 for record in aligned.networks}) == 1


def test_a_network_of_enormous_weights_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    networks = shuffled_copies()
    networks["layers.1.weight"][2, 0, 3] = -2e21
    with pytest.raises(InputError, match=r"^seed-2: layers\.1\.weight\[0, 3\] is -2e\+21, expected at most"):
        canonicalized(tmp_path, networks)
    assert not list(tmp_path.glob("align*"))
