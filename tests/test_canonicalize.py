"""Canonicalizing a shard, called as the step calls it."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dwf_steps.architectures import build
from dwf_steps.canonicalize import canonicalize
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.canonicalization import ActivationMatching, GitRebasin, Matching
from dwf_steps.config.dataset import SplitsConfig
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Split
from dwf_steps.find_barycentre import find_barycentre
from dwf_steps.pipeline.settings.canonicalize import Canonicalize, FindBarycentre
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest, unstack, write_shard
from dwf_steps.storage.networks import load_state, stack_states
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.permutation import permute

CONFIG = MLPConfig(widths=[4, 5, 3])
N = 3


BY_WEIGHTS, BY_RESPONSES = GitRebasin(), ActivationMatching(probes=30)


def written(folder: Path, networks: StackedNetworks[np.ndarray]) -> None:
    """Write data, a shard of networks, and a reference, which is its first network."""
    load_dataset("iris", SplitsConfig(), Path("data")).save(folder / "data.npz")
    one = networks.select(slice(1))
    for name, some in {"shard-0": networks, "reference": one}.items():
        shard = unstack([f"seed-{i}" for i in range(some.count)], some)
        write_shard(folder / name, folder / f"{name}.json", shard, CONFIG.model_dump())


def canonicalized(
    folder: Path, networks: StackedNetworks[np.ndarray], method: Matching = BY_WEIGHTS
) -> pd.DataFrame:
    """Return the table of one shard, whose first network is the reference."""
    written(folder, networks)
    barycentre = None
    if method.target == "barycentre":
        barycentre = folder / "barycentre.json"
        settings = FindBarycentre(architecture=CONFIG, before=[], matching=method, held_out=0)
        find_barycentre(
            settings,
            [folder / "shard-0.json"],
            folder / "reference.json",
            folder / "data.npz",
            folder / "barycentre",
            barycentre,
        )
    canonicalize(
        Canonicalize(methods=[method], architecture=CONFIG),
        folder / "data.npz",
        folder / "shard-0.json",
        folder / "reference.json",
        barycentre,
        folder / "aligned",
        folder / "aligned.json",
        folder / "alignment.csv",
    )
    return pd.read_csv(folder / "alignment.csv")


def random_networks(n: int) -> StackedNetworks[np.ndarray]:
    architecture, draws = build(CONFIG), np.random.default_rng(1)
    return StackedNetworks(
        {e.name: draws.normal(size=(n, *e.shape)).astype(np.float32) for e in architecture.layout.entries}
    )


def activations(folder: Path, shard: str) -> np.ndarray:
    """Return the hidden activations (n, m, units) of a shard's networks on the probes, by NumPy."""
    networks = stack_states(Manifest.read(folder / f"{shard}.json").verified_files())
    inputs = choose_probes(Split.load(folder / "data.npz", "train"), BY_RESPONSES.probes, 0).inputs
    before = inputs @ networks["layers.0.weight"].transpose(0, 2, 1) + networks["layers.0.bias"][:, None]
    return np.maximum(before, 0).astype(float)


def shuffled_copies() -> StackedNetworks[np.ndarray]:
    architecture, draws = build(CONFIG), np.random.default_rng(0)
    drawn = {e.name: draws.normal(size=e.shape).astype(np.float32) for e in architecture.layout.entries}
    copies = StackedNetworks({name: np.stack([array] * N) for name, array in drawn.items()})
    orders = {"hidden.0": np.stack([np.arange(5), [4, 2, 0, 1, 3], [1, 0, 2, 4, 3]])}
    return permute(copies, architecture.permutation_spec(), orders)


@pytest.mark.parametrize("target", ["reference", "barycentre"])
@pytest.mark.parametrize("method", [BY_WEIGHTS, BY_RESPONSES], ids=lambda method: method.method)
def test_shuffled_copies_end_at_the_reference(tmp_path: Path, method: Matching, target: str) -> None:
    frame = canonicalized(tmp_path, shuffled_copies(), method.model_copy(update={"target": target}))
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


def test_matched_by_responses_no_network_could_respond_more_like_the_reference(tmp_path: Path) -> None:
    frame = canonicalized(tmp_path, random_networks(6), BY_RESPONSES)
    assert frame.function_change.max() < 1e-6 and (frame.sweeps == 1).all()
    found, before = activations(tmp_path, "aligned"), activations(tmp_path, "shard-0")
    orders = [list(order) for order in permutations(range(5))]
    every = [((before[:, :, order] - before[0]) ** 2).sum(axis=(1, 2)) for order in orders]
    np.testing.assert_allclose(((found - found[0]) ** 2).sum(axis=(1, 2)), np.min(every, axis=0), rtol=1e-4)


def test_a_barycentre_of_responses_is_their_mean_and_brings_them_closer_together(tmp_path: Path) -> None:
    to_mean = BY_RESPONSES.model_copy(update={"target": "barycentre"})
    canonicalized(tmp_path, random_networks(12), to_mean)
    (record,) = Manifest.read(tmp_path / "barycentre.json").networks
    mean = load_state(tmp_path / "barycentre/barycentre.safetensors")
    assert list(mean) == ["layers.0.responses"]
    found = activations(tmp_path, "aligned")
    np.testing.assert_allclose(mean["layers.0.responses"][:30], found.mean(axis=0), rtol=1e-4, atol=1e-5)
    spread = np.sqrt(((found - found.mean(axis=0)) ** 2).sum(axis=(1, 2)).mean())
    assert record.facts["spreads"][-1] == pytest.approx(spread, rel=1e-4)
    assert record.facts["spreads"][-1] < record.facts["spreads"][0]
