"""Bringing one's own zoo through the whole workflow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from checkout import Checkout
from safetensors.numpy import load_file
from tiny_zoo import ARCHITECTURE, State, iris, log_probabilities, random_networks

from dwf_steps.datasets.splits import Dataset
from dwf_steps.import_zoo import ImportZoo, import_zoo
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import load_state

NETWORKS = random_networks(4)


def imported(folder: Path, networks: dict[str, State], first: int = 0, count: int = 4) -> Manifest:
    """Import a shard of somebody else's files, in which layers are called otherwise."""
    (folder / "mine").mkdir(exist_ok=True)
    for name, state in networks.items():
        renamed = {key.replace("layers.", "fc"): torch.from_numpy(array) for key, array in state.items()}
        torch.save(renamed, folder / f"mine/{name}.pt")
    settings = {
        "architecture": ARCHITECTURE,
        "files": str(folder / "mine"),
        "contents": {"keys": {"fc0": "layers.0", "fc1": "layers.1"}},
    }
    chosen = ImportZoo.model_validate(settings | {"first": first, "count": count})
    import_zoo(chosen, iris(folder), folder / f"shard-{first}", folder / f"shard-{first}.json")
    return Manifest.read(folder / f"shard-{first}.json")


def test_networks_are_taken_over_to_the_last_bit_and_scored(tmp_path: Path) -> None:
    manifest = imported(tmp_path, NETWORKS)
    test = Dataset.load(tmp_path / "data.npz").test
    for record, path in zip(manifest.networks, manifest.verified_files(), strict=True):
        state = NETWORKS[record.name]
        assert load_state(path).keys() == state.keys()
        for key, array in load_state(path).items():
            np.testing.assert_array_equal(array, state[key])
        found = log_probabilities(state, test.inputs)
        assert record.facts["test_accuracy"] == (found.argmax(axis=1) == test.targets).mean()
        assert Path(record.facts["file"]).name == f"{record.name}.pt"


def test_shards_share_out_the_files_by_name(tmp_path: Path) -> None:
    shards = [imported(tmp_path, NETWORKS, first, count) for first, count in ((0, 3), (3, 1))]
    names = [[record.name for record in shard.networks] for shard in shards]
    assert names == [["net-0", "net-1", "net-2"], ["net-3"]]


def test_all_files_that_do_not_fit_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    networks = random_networks(3)
    del networks["net-0"]["layers.1.bias"]
    networks["net-2"]["layers.0.weight"][0, 0] = np.inf
    with pytest.raises(
        InputError, match=r"(?s)net-0\.pt: .*layers\.1\.bias.*net-2\.pt: layers\.0\.weight"
    ) as found:
        imported(tmp_path, networks, count=3)
    assert "net-1" not in str(found.value)
    assert not (tmp_path / "shard-0").exists()


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
