"""Bringing one's own zoo through the whole workflow."""

import json
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
from dwf_steps.metrics.leave_one_out import nearest_others
from dwf_steps.runtime.errors import InputError
from dwf_steps.stack_weights import StackWeights, stack_weights
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.networks import load_state
from dwf_steps.storage.row_facts import read_facts

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


def checkpoints(folder: Path, epochs: dict[int, list[int]]) -> dict[tuple[int, int], State]:
    """Write others' runs, each with its checkpoints and a log; return the networks by seed and epoch."""
    networks = iter(random_networks(sum(map(len, epochs.values()))).values())
    written = {}
    for seed, after in epochs.items():
        run = folder / f"runs/seed_{seed}"
        run.mkdir(parents=True)
        rows = [{"epoch": epoch, "test_acc": seed / 100 + epoch / 100} for epoch in after]
        pd.DataFrame(rows).to_csv(run / "log.csv", index=False)
        for epoch in after:
            state = written[seed, epoch] = next(networks)
            tensors = {f"model.{key}": torch.from_numpy(array) for key, array in state.items()}
            torch.save({"epoch": epoch, "state_dict": tensors}, run / f"epoch_{epoch}.ckpt")
    return written


def imported_runs(folder: Path, count: int, first: int = 0) -> Manifest:
    """Import some checkpoints, in row order."""
    settings = {
        "architecture": ARCHITECTURE,
        "files": f"{folder}/runs/seed_{{seed}}/epoch_{{epoch}}.ckpt",
        "recorded": {"file": f"{folder}/runs/seed_{{seed}}/log.csv", "accuracy": "test_acc"},
        "first": first,
        "count": count,
    }
    shard = folder / f"zoo/shard-{first}"
    import_zoo(ImportZoo.model_validate(settings), iris(folder), shard, shard.with_suffix(".json"))
    return Manifest.read(shard.with_suffix(".json"))


def test_checkpoints_of_one_run_are_one_trajectory(tmp_path: Path) -> None:
    epochs = {2: [1, 10, 9], 10: [3], 9: [0, 5]}
    networks = checkpoints(tmp_path, epochs)
    shards = [imported_runs(tmp_path, 4), imported_runs(tmp_path, 2, first=4)]
    records = [record for shard in shards for record in shard.networks]
    order = [(seed, epoch) for seed in sorted(epochs) for epoch in sorted(epochs[seed])]
    assert [record.name for record in records] == [f"seed_{seed}-epoch_{epoch}" for seed, epoch in order]
    assert [record.trajectory for record in records] == [f"seed-{seed}" for seed, _ in order]
    for record, place, path in zip(
        records, order, [path for shard in shards for path in shard.verified_files()], strict=True
    ):
        seed, epoch = place
        assert (record.facts["seed"], record.facts["epochs"]) == (seed, epoch)
        assert record.facts["recorded_accuracy"] == seed / 100 + epoch / 100
        for key, array in load_state(path).items():
            np.testing.assert_array_equal(array, networks[place][key])


def test_neighbours_in_time_are_no_neighbours_in_the_matrix(tmp_path: Path) -> None:
    checkpoints(tmp_path, {seed: [1, 2] for seed in range(3)} | {3: [1, 2, 3]})
    zoo = imported_runs(tmp_path, 9)
    path = tmp_path / "weights.zarr"
    stack_weights(StackWeights(held_out=1, dtype="float32", memory_mb=64), [zoo.path], path, zoo=[zoo.path])
    matrix = WeightMatrix.open(path)
    assert [row.name for row in matrix.rows if row.held_out] == [
        f"seed_3-epoch_{epoch}" for epoch in (1, 2, 3)
    ]
    np.testing.assert_array_equal(matrix.trajectories, [0, 0, 1, 1, 2, 2])
    assert [known.epochs for known in read_facts(matrix)] == [1, 2] * 3 + [1, 2, 3]
    rows = matrix.read()[:6].astype(np.float64)
    nearest, _ = nearest_others(rows @ rows.T, matrix.trajectories)
    assert (matrix.trajectories[nearest] != matrix.trajectories).all()


def test_networks_of_one_file_are_divided_over_shards(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    states = [{key: torch.from_numpy(array) for key, array in state.items()} for state in NETWORKS.values()]
    torch.save(states, tmp_path / "mine/all.pt")
    records = []
    for first in (0, 2):
        settings = {
            "architecture": ARCHITECTURE,
            "files": str(tmp_path / "mine"),
            "contents": {"networks_per_file": 4},
            "first": first,
            "count": 2,
        }
        shard = tmp_path / f"shard-{first}"
        import_zoo(ImportZoo.model_validate(settings), iris(tmp_path), shard, shard.with_suffix(".json"))
        manifest = Manifest.read(shard.with_suffix(".json"))
        records += list(zip(manifest.networks, manifest.verified_files(), strict=True))
    assert [record.name for record, _ in records] == [f"all-{number}" for number in range(4)]
    for number, ((record, path), state) in enumerate(zip(records, NETWORKS.values(), strict=True)):
        assert record.facts["file"] == f"{tmp_path / 'mine/all.pt'}, network {number}"
        for key, array in load_state(path).items():
            np.testing.assert_array_equal(array, state[key])


def test_files_that_went_away_are_a_problem(tmp_path: Path) -> None:
    checkpoints(tmp_path, {0: [1, 2]})
    with pytest.raises(
        InputError, match=r"found 2 networks in .*epoch_\{epoch\}\.ckpt', expected 3 at least"
    ):
        imported_runs(tmp_path, 3)


def own_zoo(checkout: Checkout, **changes: Any) -> Checkout:
    """Ask for one cell over a zoo of the files in ``mine/``, whose keys are not ours."""
    checkout.write_config(
        {
            "zoos": {
                "mine": {
                    "import": "mine/seed-{seed}/last.ckpt",
                    "recorded": {"file": "recorded.json", "accuracy": "test_accuracy"},
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
    """Save the finished zoo's networks as somebody else's checkpoints, keys renamed, and their accuracies;
    return their names."""
    names = {"layers.0": "fc1", "layers.1": "fc2", "layers.2": "out"}
    paths = sorted(finished.folder.glob("results/micro/zoo/shard-*/*.safetensors"))
    for path in paths:
        state = {
            names[key.rpartition(".")[0]] + "." + key.rpartition(".")[2]: torch.from_numpy(array)
            for key, array in load_file(path).items()
        }
        (checkout.folder / "mine" / path.stem).mkdir(parents=True)
        torch.save({"epoch": 3, "state_dict": state}, checkout.folder / "mine" / path.stem / "last.ckpt")
    manifests = map(Manifest.read, finished.folder.glob("results/micro/zoo/shard-*.json"))
    known = {record.name: record.facts for manifest in manifests for record in manifest.networks}
    (checkout.folder / "recorded.json").write_text(json.dumps(list(known.values())))
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
    assert list(mine.network[mine.held_out]) == sorted(names, key=lambda name: int(name[5:]))[-3:]
    log = next(checkout.folder.glob("results/logs/mine/import_zoo-*.log")).read_text()
    assert "recorded accuracies differ from those measured on the test set by 0.0000 (median), 0.0000" in log
    assert len(pd.read_csv(checkout.folder / "results/tables/accuracy.csv")) == 4


def test_a_broken_network_stops_the_run_before_anything_is_written(
    finished: Checkout, new_checkout: Callable[[], Checkout]
) -> None:
    checkout = own_zoo(new_checkout())
    foreign_networks(finished, checkout)
    path = checkout.folder / "mine/seed-4/last.ckpt"
    content = torch.load(path, weights_only=True)
    content["state_dict"]["fc1.weight"][0, 0] = np.nan
    torch.save(content, path)
    output = checkout.snakemake("all", check=False)
    assert "mine/seed-4/last.ckpt: layers.0.weight has 1 weights that are NaN or infinite" in output
    assert "Traceback" not in output
    assert checkout.results("mine/zoo/**/*") == {}


def test_an_empty_zoo_is_refused_before_any_work(new_checkout: Callable[[], Checkout]) -> None:
    checkout = own_zoo(new_checkout())
    output = checkout.snakemake("all", check=False)
    assert "zoos.mine.import: no .safetensors or .pt file matches 'mine/seed-{seed}/last.ckpt'" in output
    assert not (checkout.folder / "results").exists()
