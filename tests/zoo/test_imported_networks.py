"""The names, the order and the trainings of others' networks follow from their paths."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from small_config import small_config

from dwf_steps.canonicalize import _pairs
from dwf_steps.config.imported_networks import imported_networks, names_of
from dwf_steps.config.zoo import ImportedZoo, n_held_out, n_training, reference_name, trajectory_names
from dwf_steps.pipeline.experiment import Experiment
from dwf_steps.pipeline.load import load_config


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def zoo(pattern: str | list[str], **settings: Any) -> ImportedZoo:
    described = {"import": pattern, "dataset": "iris", "architecture": {"widths": [4, 2, 3]}}
    return ImportedZoo.model_validate(described | settings)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a.pt", "b.safetensors", "c.0.pth"], ["a", "b", "c.0"]),
        (["zoo/1/model.pt", "zoo/2/model.pt"], ["1", "2"]),
        (["zoo/1/end/model.pt", "zoo/2/end/model.pt"], ["1", "2"]),
        (["zoo/x/1/model.pt", "zoo/y/1/model.pt", "zoo/x/2/model.pt"], ["x-1", "y-1", "x-2"]),
        (["zoo/x/a.pt", "zoo/y/a.pt", "zoo/y/b.pt"], ["x-a", "y-a", "y-b"]),
        (["zoo/model.pt", "zoo/deep/er/model.pt"], ["model", "deep-er"]),
        (["zoo/a/last/model.pt", "zoo/a/b/last/model.pt"], ["last-model", "b"]),
        (["n1/model.safetensors", "n2/model.safetensors.index.json"], ["n1", "n2"]),
    ],
)
def test_networks_are_called_by_their_files_or_by_what_differs_in_their_paths(
    paths: list[str], names: list[str]
) -> None:
    assert names_of([Path(path) for path in paths]) == names


def test_files_of_one_name_in_many_folders_are_a_zoo(tmp_path: Path) -> None:
    touch(tmp_path, *(f"NN_tune_trainable_{i:05d}/checkpoint_000050/checkpoints" for i in range(4)))
    found = zoo(f"{tmp_path}/*/checkpoint_000050/checkpoints")
    assert found.names() == [f"NN_tune_trainable_{i:05d}" for i in range(4)] == trajectory_names(found)


def test_trainings_and_epochs_are_read_from_paths(tmp_path: Path) -> None:
    touch(tmp_path, *(f"seed_{seed}/epoch_{epoch}.pt" for seed in (2, 10) for epoch in (5, 10, 100)))
    found = zoo(f"{tmp_path}/seed_{{seed}}/epoch_{{epoch}}.pt", held_out=1)
    assert found.names() == [f"seed_{s}-epoch_{e}" for s in (2, 10) for e in (5, 10, 100)]
    assert trajectory_names(found) == ["seed-2", "seed-10"]
    assert [network.texts["epoch"] for network in found.networks] == ["5", "10", "100"] * 2
    assert (n_held_out(found), n_training(found)) == (3, 3)
    assert reference_name(found, 0) == "seed_2-epoch_100"


def test_trainings_may_have_different_numbers_of_checkpoints(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.pt", "a/2.pt", "a/3.pt", "b/1.pt", "c/1.pt", "c/2.pt")
    found = zoo(f"{tmp_path}/{{run}}/{{step}}.pt", held_out=2)
    assert found.trajectory_sizes() == {"run-a": 3, "run-b": 1, "run-c": 2}
    assert (n_held_out(found), n_training(found)) == (3, 3)
    assert [reference_name(found, k) for k in range(3)] == ["a-3", "b-1", "c-2"]
    (tmp_path / "b/1.pt").rename(tmp_path / "b/4.pt")
    (tmp_path / "c/1.pt").rename(tmp_path / "c/5.pt")
    (tmp_path / "c/2.pt").rename(tmp_path / "c/6.pt")
    assert zoo(f"{tmp_path}/{{run}}/{{step}}.pt").names() == ["a-1", "a-2", "a-3", "b-4", "c-5", "c-6"]


def test_everything_but_epoch_and_step_tells_trainings_apart(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *(
            f"{o}/{s}/ep{e:03d}_it{i}.pt"
            for o in ("adam", "sgd")
            for s in (0, 1)
            for e, i in ((0, 9), (1, 2))
        ),
    )
    found = zoo(f"{tmp_path}/{{optimizer}}/{{seed}}/ep{{epoch}}_it{{step}}.pt")
    assert found.trajectory_sizes() == {f"optimizer-{o}-seed-{s}": 2 for o in ("adam", "sgd") for s in (0, 1)}
    assert [network.path.name for network in found.networks[:2]] == ["ep000_it9.pt", "ep001_it2.pt"]


def test_a_name_that_stands_twice_is_the_same_text(tmp_path: Path) -> None:
    touch(tmp_path, "run1/net1_5.pt", "run1/net2_5.pt", "run2/net2_5.pt")
    found = zoo(f"{tmp_path}/run{{seed}}/net{{seed}}_{{epoch}}.pt")
    assert trajectory_names(found) == ["seed-1", "seed-2"]


def test_numbers_are_numbers_and_other_text_may_vary(tmp_path: Path) -> None:
    touch(tmp_path, "deep/er/x_seed1.pt", "deep/y_seed2.5.pt", "deep/y_seedlast.pt", "seed3.pt")
    assert trajectory_names(zoo(f"{tmp_path}/**/*seed{{seed}}.pt")) == ["seed-1", "seed-3"]


def test_pretrained_folders_may_be_checkpoints_of_trainings(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *(
            f"run-{r}/checkpoint-{s}/{f}"
            for r in "ab"
            for s in (9, 10)
            for f in ("model.safetensors", "optimizer.pt")
        ),
    )
    found = zoo(f"{tmp_path}/run-{{run}}/checkpoint-{{step}}")
    assert found.names() == [f"run-{r}-checkpoint-{s}" for r in "ab" for s in (9, 10)]
    assert found.trajectory_sizes() == {"run-a": 2, "run-b": 2}


def test_a_file_whose_name_has_braces_is_still_a_file(tmp_path: Path) -> None:
    touch(tmp_path, "net{a}.pt", "net{b}.pt")
    found = zoo([f"{tmp_path}/net{{a}}.pt", f"{tmp_path}/net{{b}}.pt"])
    assert found.names() == ["net{a}", "net{b}"] == trajectory_names(found)


def test_networks_of_one_file_have_its_name_and_their_number(tmp_path: Path) -> None:
    touch(tmp_path, "a.pt", "b.pt")
    networks = imported_networks(str(tmp_path), 3)
    assert [network.name for network in networks] == [f"{file}-{i}" for file in "ab" for i in range(3)]
    assert networks[4].where == f"{tmp_path / 'b.pt'}, network 1"
    assert imported_networks(f"{tmp_path}/{{run}}.pt", 3)[4].trajectory == "run-b"


def test_names_in_braces_need_plain_patterns() -> None:
    with pytest.raises(
        ValidationError, match=r"names in braces; beside these only `\*` and `\*\*/` stand for"
    ):
        zoo("seed_[0-9]/{epoch}.pt")


def test_recorded_values_are_told_apart_by_names_of_the_path() -> None:
    with pytest.raises(
        ValidationError,
        match="found the name 'run', which `import` does not have in braces; it has epoch, seed",
    ):
        zoo("{seed}/{epoch}.pt", recorded={"file": "{run}.json"})
    with pytest.raises(ValidationError, match=r"found the name 'step', .* it has none"):
        zoo("a/*.pt", recorded={"file": "a.json", "match": {"step": "iteration"}})


def test_a_shard_depends_on_its_networks_their_parts_and_their_tables(tmp_path: Path) -> None:
    for run in "abc":
        (tmp_path / run).mkdir()
        weights = {"layers.0.weight": "model-1.safetensors", "layers.0.bias": "model-2.safetensors"}
        (tmp_path / run / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
        for name in (*weights.values(), "log.csv"):
            (tmp_path / run / name).touch()
    recorded = {"file": f"{tmp_path}/{{run}}/log.csv", "accuracy": "acc"}
    raw = small_config()
    described = {"import": f"{tmp_path}/{{run}}", "recorded": recorded, "shard_size": 2}
    raw["zoos"]["iris"] = described | {"dataset": "iris", "architecture": {"widths": [4, 2, 3]}}
    experiment = Experiment(load_config(raw))
    read = [experiment.imported_files(SimpleNamespace(zoo="iris", shard=str(shard))) for shard in range(2)]
    files = ("model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors")
    assert read == [
        [tmp_path / run / file for run in runs for file in files]
        + [tmp_path / run / "log.csv" for run in runs]
        for runs in ("ab", "c")
    ]
    assert experiment.n_shards("iris") == 2
    assert experiment.network_names("iris") == ["a", "b", "c"]


@pytest.mark.parametrize("trajectories", ["abcd", "aabbcc", "aaabbccc", "a", "aabbc", "aaa"])
def test_pairs_are_of_one_place_on_neighbouring_trainings(trajectories: str) -> None:
    places = [trajectories[:i].count(name) for i, name in enumerate(trajectories)]
    known = {(name, place): row for row, (name, place) in enumerate(zip(trajectories, places, strict=True))}
    expected = [
        (row, known[following, place])
        for row, (name, place) in enumerate(zip(trajectories, places, strict=True))
        if (following := chr(ord(name) + 1), place)[0:2] in known
    ]
    pairs = [
        pair
        for first, second in _pairs(trajectories)
        for pair in zip(_rows(first), _rows(second), strict=True)
    ]
    assert pairs == expected


def _rows(rows: slice) -> range:
    return range(rows.start, rows.stop)
