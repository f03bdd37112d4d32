"""Choosing the reference network."""

from pathlib import Path

import numpy as np
import pytest

from dwf_steps import choose_reference as choose_reference_module
from dwf_steps.choose_reference import ChooseReference, choose_reference
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest, unstack, write_shard
from dwf_steps.storage.networks import load_state
from dwf_steps.storage.stacked import StackedNetworks

ROWS = np.random.default_rng(0).standard_normal((7, 12)).astype(np.float32)


@pytest.fixture
def manifests(tmp_path: Path) -> list[Path]:
    paths = []
    for k, rows in enumerate((range(4), range(4, 7))):
        parameters = StackedNetworks(w=ROWS[rows, :8].reshape(-1, 2, 4), b=ROWS[rows, 8:])
        paths.append(tmp_path / f"shard-{k}.json")
        networks = unstack([f"net-{i}" for i in rows], parameters)
        write_shard(tmp_path / f"shard-{k}", paths[-1], networks, {"kind": "any"})
    return paths


def chosen(manifests: list[Path], reference: str, held_out: int) -> int:
    output = manifests[0].with_name("reference")
    settings = ChooseReference(reference=reference, held_out=held_out)
    choose_reference(settings, manifests, output, output.with_suffix(".json"))
    (path,) = Manifest.read(output.with_suffix(".json")).verified_files()
    state = load_state(path)
    row = np.concatenate([state["w"].ravel(), state["b"]])
    return int(np.flatnonzero((row == ROWS).all(axis=1))[0])


def test_a_network_is_chosen_by_name(manifests: list[Path]) -> None:
    assert chosen(manifests, "net-5", 0) == 5


@pytest.mark.parametrize("held_out", [0, 1, 3])
@pytest.mark.parametrize("block_bytes", [1, 4 * 7 * 5, 2**28])
def test_the_medoid_has_the_smallest_mean_distance_to_the_other_training_networks(
    manifests: list[Path], held_out: int, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose_reference_module, "BLOCK_BYTES", block_bytes)
    training = list(range(7 - held_out))
    distances = np.linalg.norm(ROWS[training][:, None] - ROWS[training][None], axis=2)
    assert chosen(manifests, "medoid", held_out) == training[int(distances.mean(axis=1).argmin())]


def test_a_network_that_is_not_there_is_an_error(manifests: list[Path]) -> None:
    with pytest.raises(InputError, match="'net-9' is not a training network"):
        chosen(manifests, "net-9", 0)


def test_a_damaged_network_is_no_reference(manifests: list[Path]) -> None:
    path = manifests[0].with_name("shard-1") / "net-5.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"net-5\.safetensors: SHA-256 is .* delete .*shard-1\.json"):
        chosen(manifests, "net-5", 0)
