"""Numbers of networks that no command line could list: trained in one job, imported, generated and
evaluated."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from checkout import Checkout, executed, one_cell

from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import save_network

TRAINED, IMPORTED, GENERATED = 10_000, 26_000, 10_000


def test_one_job_trains_ten_thousand_networks(new_checkout: Callable[[], Checkout]) -> None:
    checkout = one_cell(new_checkout(), "iris", [4, 1, 3])
    checkout.config["zoos"]["micro"] |= {"seeds": TRAINED, "shard_size": TRAINED, "held_out": 10}
    checkout.write_config()
    jobs = executed(checkout.snakemake("zoos"))
    assert jobs["train_zoo"] == 1
    shard = Manifest.read(checkout.folder / "results/micro/zoo/shard-0.json")
    assert [record.facts["seed"] for record in shard.networks] == list(range(TRAINED))


def numbered_networks(folder: Path, count: int) -> None:
    """Write networks of widths 4 and 3 that differ in one weight."""
    folder.mkdir()
    state = {"layers.0.weight": np.zeros((3, 4), np.float32), "layers.0.bias": np.zeros(3, np.float32)}
    save_network(folder / "first.safetensors", state, {})
    content = bytearray((folder / "first.safetensors").read_bytes())
    (folder / "first.safetensors").unlink()
    for number in range(count):
        content[-4:] = np.float32(number / count).tobytes()
        (folder / f"network-{number:05d}.safetensors").write_bytes(content)


def test_twenty_six_thousand_files_are_imported_in_shards(new_checkout: Callable[[], Checkout]) -> None:
    checkout = new_checkout()
    numbered_networks(
        checkout.folder / "a folder of others' networks, with a name as long as they have", IMPORTED
    )
    checkout = one_cell(checkout, "iris", [4, 3])
    checkout.config["zoos"]["micro"] = {
        "import": "a folder of others' networks, with a name as long as they have",
        "dataset": "iris",
        "architecture": {"widths": [4, 3]},
        "shard_size": 13_000,
    }
    checkout.write_config()
    jobs = executed(checkout.snakemake("zoos"))
    assert jobs["import_zoo"] == 2
    manifests = [Manifest.read(checkout.folder / f"results/micro/zoo/shard-{k}.json") for k in range(2)]
    names = [record.name for manifest in manifests for record in manifest.networks]
    assert names == [f"network-{number:05d}" for number in range(IMPORTED)]


def test_ten_thousand_generated_networks_are_evaluated(
    new_checkout: Callable[[], Checkout],
) -> None:
    checkout = one_cell(new_checkout(), "iris", [4, 1, 3])
    checkout.config["generators"]["gaussian"]["sampling"]["samples"] = GENERATED
    checkout.config["evaluation"] = {"realigned": 0, "barriers": 0, "ensembles": [1, 100], "draws": 1}
    checkout.config["zoos"]["micro"] |= {"shard_size": 10, "matrix": {"decode_jobs": 2}}
    checkout.write_config()
    path = "results/micro/git_rebasin/weights/pca_4/gaussian/none/metrics.csv"
    checkout.snakemake(path)
    metrics = pd.read_csv(checkout.folder / path)
    assert len(metrics) == GENERATED and not metrics.failed.any()
