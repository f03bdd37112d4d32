"""Held-out networks are for judging: nothing that generates may depend on a bit of them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from checkout import Checkout, executed
from safetensors.numpy import load_file

from dwf_steps.storage.manifest import Manifest, sha256
from dwf_steps.storage.networks import describe, save_network
from dwf_steps.subspace.basis import Basis

CANON = "results/micro/git_rebasin"
MADE = [f"{CANON}/weights/pca_4/{name}/networks/shard-0.json" for name in ("flow", "gaussian")]


def replace_held_out_networks(checkout: Checkout) -> None:
    """Give seeds 8 and 9, which are held out, other weights, as if they had always had them."""
    path = checkout.folder / "results/micro/zoo/shard-1.json"
    manifest = Manifest.read(path)
    records = []
    for record in manifest.networks:
        if record.name in ("seed-8", "seed-9"):
            file = manifest.file(record)
            state = {name: 10 - 3 * array for name, array in load_file(file).items()}
            save_network(file, state, describe(file).architecture)
            record = replace(record, sha256=sha256(file))
        records.append(record)
    replace(manifest, networks=tuple(records)).write()


def test_other_held_out_networks_change_no_basis_no_flow_and_no_sample(
    finished: Checkout, tmp_path: Path
) -> None:
    shutil.copytree(finished.folder, tmp_path / "checkout")
    other = replace(finished, folder=tmp_path / "checkout")
    replace_held_out_networks(other)
    other.snakemake(*MADE, "--rerun-triggers", "mtime")

    before, after = (Basis.load(c.folder / CANON / "weights/pca_4/basis.npz") for c in (finished, other))
    assert not np.allclose(before.held_out_coordinates, after.held_out_coordinates)
    for name in ("coordinates", "decoder", "variances"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    for pattern in (
        *("micro/git_rebasin/reference/*", "micro/git_rebasin/weights/pca_4/flow/*.safetensors"),
        "micro/git_rebasin/weights/pca_4/*/networks/**/*.safetensors",
    ):
        expected = finished.results(pattern)
        assert expected and other.results(pattern) == expected
    names = {record["name"] for record in json.loads((other.folder / MADE[0]).read_text())["networks"]}
    assert names == {f"sample-{i}" for i in range(6)}


def test_other_held_out_networks_move_no_barycentre_and_no_network_aligned_to_it(
    finished: Checkout, tmp_path: Path
) -> None:
    shutil.copytree(finished.folder, tmp_path / "checkout")
    cell = {
        "zoos": ["micro"],
        "canonicalizations": ["to_mean"],
        "subspaces": ["raw"],
        "generators": ["noise"],
    }
    to_mean = {"to_mean": [{"method": "git_rebasin", "target": "barycentre"}]}
    config = finished.config | {"canonicalizations": to_mean, "experiments": [cell]}
    checkout = replace(finished, folder=tmp_path / "checkout", config=config)
    checkout.write_config()
    checkout.snakemake("aligned")
    before = checkout.results("micro/to_mean/**/*.safetensors")

    replace_held_out_networks(checkout)
    assert executed(checkout.snakemake("aligned", "--rerun-triggers", "mtime"))["find_barycentre"] == 1
    after = checkout.results("micro/to_mean/**/*.safetensors")
    changed = {Path(path).stem for path in before if before[path] != after[path]}
    assert changed == {"seed-8", "seed-9"}
    assert "micro/to_mean/barycentre/barycentre.safetensors" in before
