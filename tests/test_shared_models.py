"""Flows that differ in how they are sampled share one model; nothing else does."""

from collections.abc import Callable
from copy import deepcopy

import pandas as pd
import yaml
from checkout import MICRO, Checkout, executed

from dwf_steps.pipeline.load import load_config


def test_only_flows_that_are_fitted_alike_share_a_model() -> None:
    raw = yaml.safe_load(MICRO) | {"canonicalizations": {"none": [], "git_rebasin": ["git_rebasin"]}}
    flow = raw["generators"]["flow"]
    for kind in ("gaussian", "noise"):
        raw["generators"][kind]["kind"] = kind
    raw["generators"] |= {
        "warmer": flow | {"sampling": {"temperature": 2.0}},
        "wider": flow | {"source_std": 1.0},
        "again": flow | {"sampling": {"solver": "euler"}},
    }
    found = load_config(raw).fitted_by()
    assert found == {"flow": "flow", "warmer": "flow", "wider": "wider", "again": "flow"}


def test_a_sweep_over_sampling_trains_once(new_checkout: Callable[[], Checkout]) -> None:
    checkout = new_checkout()
    config = deepcopy(checkout.config)
    config["generators"]["flow"]["sweep"] = {"sampling.solver": ["euler", "rk4", "dopri5"]}
    config["experiments"] = [
        {
            "zoos": ["micro"],
            "canonicalizations": ["none"],
            "subspaces": ["pca_4"],
            "generators": ["flow"],
        }
    ]
    checkout = Checkout(checkout.folder, config)
    checkout.write_config()
    jobs = executed(checkout.snakemake("all"))
    assert (jobs["fit_generator"], jobs["sample_generator"]) == (1, 3)
    sweep = pd.read_csv(checkout.folder / "results/tables/sweep_flow.csv")
    assert list(sweep["sampling.solver"]) == ["euler", "rk4", "dopri5"]
    assert list(sweep.evaluations[:2]) == [10, 40]
    assert sweep.evaluations[2] > 10
    cost = pd.read_csv(checkout.folder / "results/tables/cost.csv")
    assert len(set(cost.fit_seconds)) == 1 and cost.fit_seconds[0] > 0
    assert checkout.pending() == set()
