"""What to do about damage is said so that it works."""

from pathlib import Path

import numpy as np
import pytest

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.arrays import load_arrays
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.manifest import Manifest, Network, write_shard
from dwf_steps.storage.matrix import BUFFERS_FILE, Row, WeightMatrix
from dwf_steps.storage.remedy import rebuild


def test_an_output_is_deleted_and_asked_for_by_name() -> None:
    path = Path("results/a/basis.npz")
    assert rebuild(path) == f"delete {path}, then `snakemake {path}` rebuilds it"
    assert rebuild(path, Path("b.npz")) == (
        f"delete {path} b.npz, then `snakemake {path} b.npz` rebuilds them"
    )


def test_of_a_link_into_a_shared_cache_both_ends_are_deleted(tmp_path: Path) -> None:
    cached, link = tmp_path / "cache" / "abc", tmp_path / "data.npz"
    cached.parent.mkdir()
    cached.write_text("damaged")
    link.symlink_to(cached)
    assert rebuild(link) == f"delete {link} and, in the cache, {cached}, then `snakemake {link}` rebuilds it"


def test_of_a_file_in_a_directory_the_directory_is_what_snakemake_knows(tmp_path: Path) -> None:
    (tmp_path / "train.npz").write_text("damaged")
    with pytest.raises(InputError, match=rf"train\.npz: not the arrays .*; {rebuild(tmp_path)}$"):
        load_arrays(tmp_path / "train.npz", ["pixels"], tmp_path)
    path = tmp_path / "weights.zarr"
    WeightMatrix.create(path, Layout.of({"w": (3,)}), [Row("a")], {}, buffers={"n": np.ones((1, 2))})
    (path / BUFFERS_FILE).write_text("damaged")
    with pytest.raises(InputError, match=rf"buffers\.npz: not the arrays .*; {rebuild(path)}$"):
        WeightMatrix.open(path).buffers  # noqa: B018


def test_of_a_network_in_a_shard_the_manifest_is_what_snakemake_knows(tmp_path: Path) -> None:
    shard, path = tmp_path / "shard-0", tmp_path / "shard-0.json"
    write_shard(shard, path, [Network("a", {"w": np.zeros(3, np.float32)})], {})
    manifest = Manifest.read(path)
    (shard / "a.safetensors").write_text("damaged")
    with pytest.raises(InputError, match=rf"a\.safetensors: SHA-256 is .*; {rebuild(path)}$"):
        manifest.verified_files()
    shard.rename(tmp_path / "cached")
    shard.symlink_to(tmp_path / "cached")
    with pytest.raises(InputError, match=rf"delete {path} and, in the cache, {tmp_path / 'cached'}, then"):
        manifest.verified_files()
