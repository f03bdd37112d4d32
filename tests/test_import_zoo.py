"""Bringing one's own zoo through the whole workflow."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from checkout import Checkout
from safetensors.numpy import load_file


def own_zoo(checkout: Checkout, **changes: Any) -> Checkout:
    """Ask for one cell over a zoo of the files in ``mine/``, whose keys are not ours."""
    checkout.write_config(
        {
            "zoos": {
                "mine": {
                    "import": "mine",
                    "dataset": "iris",
                    "architecture": {"widths": [4, 6, 5, 3]},
                    "keys": {"fc1": "layers.0", "fc2": "layers.1", "out": "layers.2"},
                    **changes,
                }
            },
            "subspaces": {"most": {"method": "dual_pca", "variance": 0.9}},
            "generators": {"gaussian": {"sampling": {"samples": 4}}},
            "experiments": [
                {
                    "zoos": ["mine"],
                    "canonicalizations": ["git_rebasin"],
                    "subspaces": ["most"],
                    "generators": ["gaussian"],
                }
            ],
        }
    )
    return checkout


def foreign_networks(finished: Checkout, checkout: Checkout) -> list[str]:
    """Save the finished zoo's networks as somebody else's `.pt` files, keys renamed; return their names."""
    (checkout.folder / "mine").mkdir()
    names = {"layers.0": "fc1", "layers.1": "fc2", "layers.2": "out"}
    paths = sorted(finished.folder.glob("results/micro/zoo/shard-*/*.safetensors"))
    for path in paths:
        state = {
            names[key.rpartition(".")[0]] + "." + key.rpartition(".")[2]: torch.from_numpy(array)
            for key, array in load_file(path).items()
        }
        torch.save(state, checkout.folder / f"mine/{path.stem}.pt")
    return [path.stem for path in paths]


def test_an_imported_zoo_scores_like_the_zoo_it_was_copied_from(
    finished: Checkout, new_checkout: Callable[[], Checkout]
) -> None:
    checkout = own_zoo(new_checkout(), held_out=3)
    names = foreign_networks(finished, checkout)
    checkout.snakemake("all")
    columns = ["network", "accuracy", "loss"]
    mine = pd.read_csv(checkout.folder / "results/mine/git_rebasin/zoo_metrics/none/metrics.csv")
    theirs = pd.read_csv(finished.folder / "results/micro/none/zoo_metrics/none/metrics.csv")
    pd.testing.assert_frame_equal(
        mine[columns].sort_values("network", ignore_index=True),
        theirs[columns].sort_values("network", ignore_index=True),
    )
    assert mine.held_out.sum() == 3
    assert list(mine.network[mine.held_out]) == sorted(names)[-3:]
    assert len(pd.read_csv(checkout.folder / "results/tables/accuracy.csv")) == 4


def test_a_broken_network_stops_the_run_before_anything_is_written(
    finished: Checkout, new_checkout: Callable[[], Checkout]
) -> None:
    checkout = own_zoo(new_checkout())
    foreign_networks(finished, checkout)
    state = torch.load(checkout.folder / "mine/seed-4.pt", weights_only=True)
    state["fc1.weight"][0, 0] = np.nan
    torch.save(state, checkout.folder / "mine/seed-4.pt")
    output = checkout.snakemake("all", check=False)
    assert "mine/seed-4.pt: layers.0.weight has 1 weights that are NaN or infinite" in output
    assert "Traceback" not in output
    assert checkout.results("mine/zoo/**/*") == {}


def test_an_empty_zoo_is_refused_before_any_work(new_checkout: Callable[[], Checkout]) -> None:
    checkout = own_zoo(new_checkout())
    output = checkout.snakemake("all", check=False)
    assert "zoos.mine.import: no .safetensors or .pt file matches 'mine'" in output
    assert not (checkout.folder / "results").exists()
