"""All controls, recalibrations and sweeps at once, through the real workflow."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from checkout import Checkout, executed
from safetensors.numpy import load_file
from torch import nn

from dwf_steps.cli.judge import judge
from dwf_steps.storage.manifest import Manifest
from dwf_steps.tabulate import main as tabulate

SAMPLES = {"samples": 6}
CONTROLS = {
    "kernel_density": {},
    "parameter_gaussian": {},
    "soup": {"networks": 3},
    "copy": {"sampling": {"samples": 8}},
    "held_out": {"sampling": {"samples": 2}},
    "random_init": {},
    "retrained": {"equal_cost_to": "gaussian"},
    "snapshots": {},
    "bootstrap": {"by": "unit"},
    "untrained": {},
    "distilled": {"probes": 50, "training": {"steps": 8}},
}
KINDS = CONTROLS | {
    "autoencoder": {
        "latent": 3,
        "hidden": [16],
        "training": {"steps": 60},
        "model": {"kind": "diffusion", "denoiser": {"width": 16}, "training": {"steps": 60}},
    }
}
GEOMETRIES = ("normalized", "geometric", "guided")
CELL = "results/micro/git_rebasin/weights/pca_4"


def save_elsewhere(folder: Path) -> None:
    """Save five networks as another tool's, of which one has a weight that is not finite."""
    folder.mkdir()
    for i in range(5):
        torch.manual_seed(i)
        layers = {f"fc{k}": nn.Linear(*size) for k, size in enumerate([(4, 6), (6, 5), (5, 3)])}
        state = nn.ModuleDict(layers).state_dict()
        if i == 2:
            state["fc1.bias"][0] = torch.nan
        torch.save(state, folder / f"net-{i}.pt")


@pytest.fixture(scope="module")
def run(new_checkout: Callable[[], Checkout]) -> Checkout:
    checkout = new_checkout()
    config = deepcopy(checkout.config)
    for kind, settings in KINDS.items():
        config["generators"][kind] = {"kind": kind, "sampling": SAMPLES} | settings
    config["generators"]["noise"]["sweep"] = {"std": [0.01, 0.5]}
    for geometry in GEOMETRIES:
        config["generators"][geometry] = deepcopy(config["generators"]["flow"]) | {
            "geometry": "normalized" if geometry == "normalized" else "geometric",
            "sampling": {"samples": 6, "solver": "euler", "steps": 10},
        }
    config["generators"]["guided"]["sampling"]["guidance"] = {"scale": 2.0}
    config["generators"]["flow"]["sweep"] = {"training.seed": [0, 1]}
    save_elsewhere(checkout.folder / "elsewhere")
    keys = {f"fc{i}": f"layers.{i}" for i in range(3)}
    config["generators"]["elsewhere"] = {
        "kind": "networks",
        "files": "elsewhere/*.pt",
        "keys": keys,
        "aligned": True,
    }
    config["recalibrations"] = {"none": [], "repaired": ["repair", "last_layer"]}
    config["zoos"]["micro"]["out_of_distribution"] = "shuffled"
    config["evaluation"] = {"ensembles": [1, 2, 6]}
    cell = {"zoos": ["micro"], "canonicalizations": ["git_rebasin"], "subspaces": ["pca_4"]}
    config["experiments"] = [
        cell | {"generators": ["flow", "gaussian", "noise", "elsewhere", *KINDS]},
        cell | {"generators": ["copy", "held_out"], "recalibrations": ["repaired"]},
        cell | {"subspaces": ["raw"], "generators": [*GEOMETRIES]},
    ]
    checkout = Checkout(checkout.folder, config)
    checkout.write_config()
    checkout.snakemake("all")
    return checkout


def table(run: Checkout, name: str) -> pd.DataFrame:
    return pd.read_csv(run.folder / f"results/tables/{name}.csv")


def test_every_generator_is_in_every_table_and_repetitions_are_one_row(run: Checkout) -> None:
    expected = {"flow", "gaussian", "elsewhere", "noise std=0.01", "noise std=0.5", *KINDS, *GEOMETRIES}
    for name in ("accuracy", "novelty", "distances", "sets", "ensembles", "cost"):
        assert set(table(run, name).generator) - {"zoo"} == expected, name
    accuracy = table(run, "accuracy").query("metric == 'accuracy' and recalibration == 'none'")
    flow = accuracy.set_index("generator").loc["flow"]
    assert (flow.repeats, flow.generated_n) == (2, 12)
    parts = [pd.read_csv(run.folder / f"{CELL}/flow_seed_{s}/none/metrics.csv").accuracy for s in (0, 1)]
    assert flow.repeats_std == pytest.approx(np.std([part.mean() for part in parts], ddof=1))
    assert flow.generated_mean == pytest.approx(pd.concat(parts).mean())
    families = {"flow", "gaussian", "noise", "elsewhere", *KINDS, *GEOMETRIES}
    assert set(table(run, "novelty_accuracy").generator) == families


def test_what_an_autoencoder_loses_is_stated_before_it_is_sampled(run: Checkout) -> None:
    stated = table(run, "reconstruction").set_index("kind")
    assert dict(stated.n) == {"training": 8, "held_out": 2} and set(stated.generator) == {"autoencoder"}
    assert stated[["trained_mean", "decoded_mean", "coordinate_error_mean"]].notna().all(axis=None)
    files = [run.folder / CELL / f"autoencoder/{name}" for name in ("reconstruction.csv", "latents.npz")]
    assert files[0].stat().st_mtime_ns < files[1].stat().st_mtime_ns


def test_a_study_has_its_table_and_figure(run: Checkout) -> None:
    sweep = table(run, "sweep_noise")
    assert list(sweep["std"]) == [0.01, 0.5]
    assert sweep.max_iou_mean[0] > sweep.max_iou_mean[1]
    assert (run.folder / "results/figures/sweep_noise.png").stat().st_size > 1000
    assert not (run.folder / "results/figures/sweep_flow.png").exists()  # seeds alone are no study


def test_copies_are_as_the_zoo_and_held_out_networks_as_the_held_out(run: Checkout) -> None:
    for recalibration in ("none", "repaired"):
        zoo = pd.read_csv(run.folder / f"results/micro/git_rebasin/zoo_metrics/{recalibration}/metrics.csv")
        training, held_out = zoo[~zoo.held_out], zoo[zoo.held_out]
        copies = pd.read_csv(run.folder / f"{CELL}/copy/{recalibration}/metrics.csv")
        assert sorted(copies.accuracy) == pytest.approx(sorted(training.accuracy))
        np.testing.assert_allclose(copies.max_iou, 1)
        again = pd.read_csv(run.folder / f"{CELL}/held_out/{recalibration}/metrics.csv")
        measures = ["accuracy", "max_iou", "mean_iou", "nn_distance", "span_share", "realigned_distance"]
        np.testing.assert_allclose(again[measures], held_out[measures], rtol=1e-3, atol=1e-4)


def test_recalibrated_networks_differ_from_the_generated_ones_in_what_was_repaired(run: Checkout) -> None:
    before, after = (
        Manifest.read(run.folder / f"{CELL}/{place}/shard-0.json").verified_files()
        for place in ("copy/networks", "copy/repaired/networks")
    )
    assert [path.stem for path in before] == [path.stem for path in after]
    for one, other in zip(map(load_file, before), map(load_file, after), strict=True):
        assert all(not np.array_equal(one[name], other[name]) for name in one)


def test_a_control_at_equal_cost_was_trained_for_fewer_steps_than_the_zoo(run: Checkout) -> None:
    steps = Manifest.read(run.folder / f"{CELL}/retrained/networks/shard-0.json").facts["steps"]
    assert 1 <= steps <= 8 * 7


def test_a_distilled_networks_seconds_are_those_of_its_own_jobs(run: Checkout) -> None:
    benchmarks = run.folder / "results/benchmarks/micro/git_rebasin/weights/pca_4/distilled"
    seconds = [pd.read_csv(path, sep="\t").s.item() for path in benchmarks.glob("make_networks-*.tsv")]
    assert seconds
    cost = table(run, "cost").query("recalibration == 'none'").set_index("generator")
    assert cost.seconds_per_network["distilled"] == pytest.approx(sum(seconds) / 6)
    assert cost.fit_seconds["distilled"] == 0


def test_held_out_networks_cost_their_training(run: Checkout) -> None:
    cost = table(run, "cost").query("recalibration == 'none'").set_index("generator")
    trained = cost.training_seconds_per_network.iloc[0]
    assert cost.seconds_per_network["held_out"] > trained
    assert np.isinf(cost.break_even["held_out"])


def test_ensembles_of_every_size_are_there_with_their_seconds(run: Checkout) -> None:
    ensembles = table(run, "ensembles")
    sizes = ensembles.groupby(["generator", "recalibration"])["size"].agg(list)
    assert sizes["zoo", "none"] == sizes["copy", "repaired"] == sizes["flow", "none"] == [1, 2, 6]
    assert sizes["held_out", "none"] == [1, 2]
    assert ensembles.auroc.between(0, 1).all()
    assert (ensembles.groupby(["generator", "recalibration"]).seconds.diff().dropna() > 0).all()


def test_the_summary_has_a_line_for_each_zoo(run: Checkout) -> None:
    text = (run.folder / "results/summary.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(lines) == 2
    assert lines[1].startswith("- micro: the zoo scores ")
    assert "as new as the held-out networks by max IoU, " in lines[1]
    assert lines[0].startswith("- 133 networks were generated by 20 generators for 1 zoo; 1 failed.")
    assert "nan" not in text


def test_several_results_folders_become_one_set_of_tables(
    run: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = run.folder / "results"
    other = tmp_path / "other"
    other.symlink_to(results)
    monkeypatch.setattr(
        "sys.argv", ["tabulate", str(results), str(other), "--output", str(tmp_path / "merged")]
    )
    tabulate()
    merged, single = (
        pd.read_csv(folder / "accuracy.csv").query("metric == 'accuracy'")
        for folder in (tmp_path / "merged", results / "tables")
    )
    assert list(merged.repeats) == list(2 * single.repeats)
    np.testing.assert_allclose(merged.generated_mean, single.generated_mean)
    record = json.loads((tmp_path / "merged/experiment.json").read_text())
    assert len(record["cells"]) == 23


def test_networks_made_elsewhere_are_judged_and_their_cost_is_not_known(run: Checkout) -> None:
    metrics = pd.read_csv(run.folder / f"{CELL}/elsewhere/none/metrics.csv").set_index("network")
    assert list(metrics.index[metrics.failed]) == ["sample-2"]
    assert (metrics.realigned_distance <= metrics.nn_distance + 1e-4)[~metrics.failed].all()
    cost = table(run, "cost").query("recalibration == 'none'").set_index("generator")
    assert cost.loc["elsewhere", ["fit_seconds", "seconds_per_network", "break_even"]].isna().all()
    assert (
        "elsewhere (5 networks made elsewhere)"
        in json.loads((run.folder / "results/tables/experiment.json").read_text())["scope"]
    )


def test_judging_without_the_workflow_finds_what_it_found(run: Checkout) -> None:
    found = judge(
        run.folder / f"{CELL}/gaussian/networks",
        run.folder / "results/micro/zoo",
        run.folder / "results/micro/data.npz",
        held_out=2,
    ).networks
    zoo = pd.read_csv(run.folder / "results/micro/git_rebasin/zoo_metrics/none/metrics.csv")
    generated = pd.read_csv(run.folder / f"{CELL}/gaussian/none/metrics.csv")
    measures = ["accuracy", "max_iou", "mean_iou", "disagreement", "nn_distance", "realigned_distance"]
    np.testing.assert_allclose(found[found.group != "generated"][measures], zoo[measures], rtol=1e-4)
    again = found[found.group == "generated"]
    np.testing.assert_allclose(again[measures[:4]], generated[measures[:4]], rtol=1e-4)


def test_nothing_is_left_to_do_but_what_reads_a_changed_file(run: Checkout) -> None:
    assert executed(run.snakemake("--dry-run", "all")) == {}
    (run.folder / "elsewhere/net-4.pt").write_bytes((run.folder / "elsewhere/net-3.pt").read_bytes())
    jobs = executed(run.snakemake("--dry-run", "networks"))
    assert jobs.keys() == {"make_networks"}


def test_guidance_lowers_the_loss_and_shares_the_flows_model(run: Checkout) -> None:
    cell = run.folder / "results/micro/git_rebasin/weights/raw"
    plain, guided = (pd.read_csv(cell / name / "none/metrics.csv").loss for name in ("geometric", "guided"))
    assert guided.mean() < plain.mean()
    assert not (cell / "guided/model.safetensors").exists()
