"""Shards: what was written is what is read, or an error says which file changed."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest, Network, sha256, unstack, write_shard
from dwf_steps.storage.networks import load_state
from dwf_steps.storage.stacked import StackedNetworks

N = 4


def stacked() -> StackedNetworks[np.ndarray]:
    draws = np.random.default_rng(0)
    return StackedNetworks(
        weight=draws.normal(size=(N, 3, 2)).astype(np.float32),
        bias=draws.normal(size=(N, 3)).astype(np.float32),
    )


def networks() -> Iterator[Network]:
    names = [f"seed-{i}" for i in range(N)]
    facts = [{"test_accuracy": 0.5 + i / 10, "seed": i} for i in range(N)]
    return unstack(names, stacked(), facts)


def written(folder: Path) -> Manifest:
    write_shard(folder / "shard-0", folder / "shard-0.json", networks(), {"kind": "mlp"})
    return Manifest.read(folder / "shard-0.json")


def test_a_shard_is_read_as_it_was_written(tmp_path: Path) -> None:
    manifest = written(tmp_path)
    assert [record.name for record in manifest.networks] == [f"seed-{i}" for i in range(N)]
    assert [record.facts["seed"] for record in manifest.networks] == list(range(N))
    assert manifest.networks[2].facts["test_accuracy"] == 0.7
    for i, path in enumerate(manifest.verified_files()):
        assert path == tmp_path / "shard-0" / f"seed-{i}.safetensors"
        for name, array in load_state(path).items():
            np.testing.assert_array_equal(array, stacked()[name][i])


def test_digests_are_sha256_of_the_bytes(tmp_path: Path) -> None:
    manifest = written(tmp_path)
    for record in manifest.networks:
        content = manifest.file(record).read_bytes()
        assert record.sha256 == hashlib.sha256(content).hexdigest() == sha256(manifest.file(record))
    assert len({record.sha256 for record in manifest.networks}) == N


def test_writing_the_same_networks_twice_gives_the_same_digests(tmp_path: Path) -> None:
    first, second = written(tmp_path / "a"), written(tmp_path / "b")
    assert first.networks == second.networks


@pytest.mark.parametrize("position", [0, 20, -1])
def test_a_flipped_bit_is_detected(tmp_path: Path, position: int) -> None:
    manifest = written(tmp_path)
    path = tmp_path / "shard-0" / "seed-2.safetensors"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{re.escape(str(path))}: SHA-256 is {sha256(path)[:16]}"):
        manifest.verified_files()


def test_a_missing_file_is_detected(tmp_path: Path) -> None:
    manifest = written(tmp_path)
    (tmp_path / "shard-0" / "seed-1.safetensors").unlink()
    with pytest.raises(InputError, match=r"seed-1\.safetensors: SHA-256 is no file"):
        manifest.verified_files()


def test_exchanged_files_are_detected(tmp_path: Path) -> None:
    manifest = written(tmp_path)
    first, second = (manifest.file(record) for record in manifest.networks[:2])
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    with pytest.raises(InputError, match=r"seed-0\.safetensors"):
        manifest.verified_files()


def test_a_shard_replaces_an_older_one_whole(tmp_path: Path) -> None:
    written(tmp_path)
    write_shard(
        tmp_path / "shard-0",
        tmp_path / "shard-0.json",
        unstack(["other"], StackedNetworks({"w": np.zeros((1, 2))})),
        {},
    )
    assert [path.name for path in (tmp_path / "shard-0").iterdir()] == ["other.safetensors"]
    assert [record.name for record in Manifest.read(tmp_path / "shard-0.json").networks] == ["other"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shard-0", "shard-0.json"]


def test_a_failure_leaves_the_older_shard(tmp_path: Path) -> None:
    def failing() -> Iterator[Network]:
        yield from unstack(["other"], StackedNetworks({"weight": np.zeros((1, 2))}))
        raise RuntimeError("disk full")

    before = written(tmp_path)
    with pytest.raises(RuntimeError, match="disk full"):
        write_shard(tmp_path / "shard-0", tmp_path / "shard-0.json", failing(), {})
    assert Manifest.read(tmp_path / "shard-0.json") == before
    assert len(before.verified_files()) == N
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shard-0", "shard-0.json"]


def test_stacked_networks_are_taken_apart_in_order() -> None:
    first, second = unstack(["a", "b"], StackedNetworks({"w": np.arange(6).reshape(2, 3)}))
    assert (first.name, second.name) == ("a", "b")
    assert first.facts == {}
    np.testing.assert_array_equal(second.state["w"], [3, 4, 5])
