"""The stage that finds the barycentre of training networks, where a canonicalization asks for it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from checkout import Checkout, changed_config
from pipeline.test_resources import largest
from test_rerun import ROWS

from dwf_steps.architectures import build
from dwf_steps.architectures.loading import load_network
from dwf_steps.config.architecture import ResNetConfig
from dwf_steps.config.canonicalization import GitRebasin
from dwf_steps.find_barycentre import FindBarycentre, find_barycentre
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage import networks as networks_module
from dwf_steps.storage.manifest import Manifest, unstack, write_shard
from dwf_steps.storage.networks import load_state
from dwf_steps.storage.stacked import StackedNetworks

CONFIG = ResNetConfig(kind="resnet20", width_multiplier=0.15, image_size=4, classes=3)
ARCHITECTURE = build(CONFIG)
TO_MEAN = GitRebasin(target="barycentre")


@pytest.fixture
def manifests(tmp_path: Path) -> list[Path]:
    """Return the manifests of two shards of three residual networks, and of one that is the reference."""
    draws, paths = np.random.default_rng(0), []
    for shard, names in (("a", "012"), ("b", "345"), ("reference", "0")):
        networks = StackedNetworks(
            {
                name: np.stack([draws.random(shape, np.float32) for _ in names])
                if "num_batches" not in name
                else np.full((len(names), *shape), 4)
                for name, shape in ARCHITECTURE.shapes.items()
            }
        )
        paths.append(tmp_path / f"{shard}.json")
        write_shard(
            *(tmp_path / shard, paths[-1], unstack([f"net-{i}" for i in names], networks)),
            CONFIG.model_dump(),
            buffers=ARCHITECTURE.buffers,
        )
    return paths


def found(manifests: list[Path], held_out: int) -> Path:
    *shards, reference = manifests
    settings = FindBarycentre(architecture=CONFIG, before=[], matching=TO_MEAN, held_out=held_out)
    output = reference.with_name("barycentre")
    data = reference.with_name("data.npz")  # not there: weights are matched without
    find_barycentre(settings, shards, reference, data, output, output.with_suffix(".json"))
    (path,) = Manifest.read(output.with_suffix(".json")).verified_files()
    return path


def test_it_is_a_network_and_its_manifest_says_how_far_the_others_lie(manifests: list[Path]) -> None:
    path = found(manifests, 0)
    assert {
        p.num_batches_tracked.item() for p in load_network(path).modules() if hasattr(p, "running_mean")
    } == {4}
    (record,) = Manifest.read(path.parent.with_suffix(".json")).networks
    assert len(record.facts["spreads"]) > 1
    assert (np.diff(record.facts["spreads"]) <= 0).all()


def test_one_network_at_a_time_in_memory_gives_the_same(
    manifests: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = load_state(found(manifests, 0))
    monkeypatch.setattr(networks_module, "NETWORKS_BYTES", 1)
    for name, array in load_state(found(manifests, 0)).items():
        np.testing.assert_allclose(array, at_once[name], rtol=1e-6)


def test_held_out_networks_are_not_even_read(manifests: list[Path]) -> None:
    before = found(manifests, 2).read_bytes()
    for name in ("net-4", "net-5"):
        (manifests[1].with_suffix("") / f"{name}.safetensors").write_bytes(b"")
    assert found(manifests, 2).read_bytes() == before
    with pytest.raises(InputError, match=r"net-4\.safetensors: SHA-256 is"):
        found(manifests, 1)


@pytest.fixture(scope="module")
def run(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Return a checkout whose zoo is also aligned to its barycentre."""
    folder = tmp_path_factory.mktemp("barycentre") / "checkout"
    shutil.copytree(finished.folder, folder)
    cell = {"zoos": ["micro"], "canonicalizations": ["git_rebasin", "to_mean"], "subspaces": ["pca_4"]}
    methods = ["normalized", {"method": "git_rebasin", "target": "barycentre"}]
    checkout = Checkout(
        folder,
        finished.config
        | {"canonicalizations": {"to_mean": methods}}
        | {"experiments": [cell | {"generators": ["gaussian"]}]},
    )
    checkout.write_config()
    checkout.snakemake("tables")
    return checkout


def test_the_table_says_what_aligning_to_the_mean_gains(run: Checkout) -> None:
    rows = pd.read_csv(run.folder / "results/micro/to_mean/alignment.csv")
    assert list(rows.network) == [f"seed-{i}" for i in range(10)]
    assert rows.function_change.max() < 1e-6
    # Two shards of five: the last of each has no next one.
    pairs = [name for name in rows if name.startswith("pair_")]
    assert len(pairs) == 4
    assert list(rows[pairs].isna().all(axis=1)) == [False] * 4 + [True] + [False] * 4 + [True]
    assert not rows[pairs].drop([4, 9]).isna().any(axis=None)
    assert rows.distance_after[0] == 0 and (rows.distance_after[1:] > 0).all()
    table = pd.read_csv(run.folder / "results/tables/alignment.csv").set_index("canonicalization")
    assert list(table.networks) == [9, 9]
    for name in pairs:
        assert table.loc["to_mean", f"{name}_mean"] == pytest.approx(rows[name].mean())


def test_distances_between_pairs_are_of_the_networks_as_stored(run: Checkout) -> None:
    rows = pd.read_csv(run.folder / "results/micro/to_mean/alignment.csv").set_index("network")
    for column, folder in (("pair_distance_before", "zoo"), ("pair_distance_after", "to_mean/aligned")):
        one, other = (
            load_state(run.folder / f"results/micro/{folder}/shard-1/seed-{i}.safetensors") for i in (5, 6)
        )
        expected = np.sqrt(sum(float(((one[name] - other[name]) ** 2).sum()) for name in one))
        assert rows.loc["seed-5", column] == pytest.approx(expected, rel=1e-6)


def test_networks_lie_as_close_together_as_the_stage_found_them(run: Checkout) -> None:
    folder = run.folder / "results/micro/to_mean"
    states = [load_state(folder / f"aligned/shard-{i // 5}/seed-{i}.safetensors") for i in range(8)]
    weights = np.stack([np.concatenate([array.ravel() for array in state.values()]) for state in states])
    spread = np.sqrt(((weights - weights.mean(axis=0)) ** 2).sum(axis=1).mean())
    (record,) = Manifest.read(folder / "barycentre.json").networks
    assert record.facts["spreads"][-1] == pytest.approx(spread, rel=1e-5)


def zoo(config: dict[str, Any]) -> dict[str, Any]:
    return config["zoos"]["micro"]


def to_mean(config: dict[str, Any]) -> list[Any]:
    return config["canonicalizations"]["to_mean"]


ALIGNED = {"canonicalize", "gather_alignment"}
AFTER = ROWS - {"fit_generator", "plot"}
CASES: dict[str, tuple[Callable[[dict[str, Any]], None], set[str]]] = {
    "rounds": (lambda config: to_mean(config)[1].update(rounds=3), {"find_barycentre", *ALIGNED, *AFTER}),
    "a method before": (lambda config: to_mean(config).pop(0), {"find_barycentre", *ALIGNED, *AFTER}),
    "a method after": (lambda config: to_mean(config).append("normalized"), {*ALIGNED, *AFTER}),
    "the reference": (
        lambda config: to_mean(config)[1].update(reference=1),
        {"choose_reference", "find_barycentre", *ALIGNED, *AFTER},
    ),
    "networks held out": (
        lambda config: zoo(config).update(held_out=3),
        {"find_barycentre", *ALIGNED, *AFTER},
    ),
    "a network instead": (lambda config: to_mean(config)[1].update(target="reference"), {*ALIGNED, *AFTER}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_changed_setting_reruns_its_stage_and_what_follows(run: Checkout, case: str) -> None:
    change, expected = CASES[case]
    with changed_config(run, change):
        assert run.pending("tables") == expected


def test_more_networks_move_the_barycentre_and_so_all_are_aligned_anew(run: Checkout) -> None:
    with changed_config(run, lambda config: zoo(config).update(seeds=15)):
        output = run.snakemake("--dry-run", "results/micro/to_mean/alignment.csv")
    assert output.count("rule train_zoo:") == output.count("rule find_barycentre:") == 1
    assert output.count("rule canonicalize:") == 3
    assert "rule choose_reference:" not in output


def test_more_rounds_ask_for_more_time(run: Checkout) -> None:
    def wide(rounds: int) -> Callable[[dict[str, Any]], None]:
        def change(config: dict[str, Any]) -> None:
            to_mean(config)[1].update(rounds=rounds)
            zoo(config)["architecture"]["widths"] = [4, 3000, 3000, 3]

        return change

    times = []
    for rounds in (10, 100):
        with changed_config(run, wide(rounds)):
            times.append(largest(run, "runtime")["find_barycentre"])
    assert times[1] > 2 * times[0]
