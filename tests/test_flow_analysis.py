"""What flows are good for besides samples: likelihoods, other widths, other data; in the workflow."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from checkout import Checkout, changed_config

from dwf_steps.architectures.loading import load_network

LIKELIHOOD = {"networks": 4, "divergence": "exact", "steps": 10}


@pytest.fixture(scope="module")
def run(new_checkout: Callable[[], Checkout]) -> Checkout:
    checkout = new_checkout()
    config = checkout.config
    training = {"steps": 60, "batch_size": 8}
    sampling = {"samples": 6, "steps": 10, "solver": "euler"}
    mlp = {"kind": "flow", "velocity": {"width": 16}, "training": training, "sampling": sampling}
    guided = sampling | {"guidance": {"scale": 5.0, "transfer": "swapped"}}
    likely = {"likelihood": LIKELIHOOD}
    graph = mlp | {"velocity": {"network": "relational_transformer", "width": 8, "depth": 1}}
    config["zoos"]["micro"]["architecture"]["widths"] = [4, 6, 3]
    config["transfers"] = {"swapped": {"dataset": "iris", "classes": [1, 2, 0]}}
    config["transfers"]["swapped"]["training"] = {"epochs": 0}
    config["generators"] = {
        "flow": mlp | likely,
        "graph": graph | likely | {"geometry": "geometric", "other_widths": [[4, 9, 3], [4, 5, 3]]},
        "guided": graph | {"geometry": "geometric", "other_widths": [[4, 9, 3]], "sampling": guided},
    }
    names = {"zoos": ["micro"], "canonicalizations": ["git_rebasin"]}
    config["experiments"] = [
        names | {"subspaces": ["pca_4"], "generators": ["flow"]},
        names | {"subspaces": ["raw"], "generators": ["graph", "guided"], "transfers": ["swapped"]},
    ]
    checkout.write_config()
    checkout.snakemake("all")
    return checkout


def test_the_table_says_how_likely_networks_are(run: Checkout) -> None:
    table = pd.read_csv(run.folder / "results/tables/likelihood.csv")
    assert list(zip(table.subspace, table.generator, strict=True)) == [
        ("pca_4", "flow"),
        ("raw", "graph"),
    ]
    assert (table[["training_n", "held_out_n", "generated_n"]].to_numpy() == [4, 2, 4]).all()
    rows = pd.read_csv(run.folder / "results/micro/git_rebasin/weights/raw/graph/likelihood.csv")
    assert rows.network.tolist()[:2] == ["seed-0", "seed-2"]
    assert np.isfinite(rows.log_density).all()
    generated = rows[rows.kind == "generated"]
    assert table.generated_mean[1] == pytest.approx((generated.log_density / generated.latents).mean())


def test_networks_of_other_widths_are_written_and_scored(run: Checkout) -> None:
    table = pd.read_csv(run.folder / "results/tables/other_widths.csv")
    assert list(zip(table.generator, table.widths, strict=True)) == [
        ("graph", "4-9-3"),
        ("graph", "4-5-3"),
        ("guided", "4-9-3"),
    ]
    folder = run.folder / "results/micro/git_rebasin/weights/raw/graph/other_widths"
    network = load_network(folder / "4-9-3/sample-0.safetensors")
    assert network(torch.zeros(2, 4)).shape == (2, 3)
    record = json.loads((folder / "4-9-3.json").read_text())["networks"][0]
    assert 0 <= record["facts"]["accuracy"] <= 1


def test_guidance_by_another_data_set_leads_there(run: Checkout) -> None:
    table = pd.read_csv(run.folder / "results/tables/transfer.csv").set_index("generator")
    assert table.zero_shot_mean["guided"] > table.zero_shot_mean["graph"]
    assert not (run.folder / "results/micro/git_rebasin/weights/raw/guided/model.safetensors").exists()


def test_asking_for_more_retrains_nothing(run: Checkout) -> None:
    def more_probes(config: dict[str, Any]) -> None:
        config["generators"]["flow"]["likelihood"]["probes"] = 3

    with changed_config(run, more_probes):
        assert run.pending() == {"likelihood", "tabulate", "plot"}
