"""The whole workflow on a micro-zoo: what it writes, and that it holds together."""

import json
import os
import re
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from browser import TAILWIND, opened_in_browser
from checkout import Checkout

from dwf_steps import load_network
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Split
from dwf_steps.decode import Decode, decode
from dwf_steps.generators.decoding import decode_block
from dwf_steps.generators.samples import Samples
from dwf_steps.reporting.record import KEYS
from dwf_steps.storage.matrix import WeightMatrix

CELLS = {
    ("none", "weights", "pca_4", "gaussian"),
    ("git_rebasin", "weights", "pca_4", "gaussian"),
    ("git_rebasin", "weights", "pca_4", "flow"),
    ("git_rebasin", "weights", "raw", "flow"),
    ("git_rebasin", "weights", "raw", "noise"),
    ("git_rebasin", "responses", "pca_4", "gaussian"),
}


TABLES = (
    *(
        "overview",
        "accuracy",
        "class_accuracy",
        "novelty",
        "layers",
        "good_and_new",
        "distances",
        "sets",
        "novelty_accuracy",
    ),
    *("representation", "representation_layers", "ensembles", "cost", "alignment", "precision", "timing"),
)
FIGURES = (
    *("overview", "accuracy_at_novelty", "accuracy_against_iou", "nearest_accuracy", "ensembles"),
    *("accuracy_against_seconds", "explained_variance", "flow_loss"),
)


def table(checkout: Checkout, name: str) -> pd.DataFrame:
    return pd.read_csv(checkout.folder / f"results/tables/{name}.csv")


def test_accuracy_table_has_the_promised_columns_and_a_row_for_every_cell(finished: Checkout) -> None:
    frame = table(finished, "accuracy")
    assert list(frame.columns) == [
        *("zoo", "canonicalization", "representation", "subspace", "generator", "recalibration", "metric"),
        *("zoo_mean", "zoo_std", "zoo_n", "generated_mean", "generated_std", "generated_n", "failed_n"),
        *("repeats", "repeats_std", "p_best"),
    ]
    levels = ["canonicalization", "representation", "subspace", "generator"]
    assert set(frame[levels].itertuples(index=False, name=None)) == CELLS
    assert set(frame.metric) == {"accuracy", "loss", "brier", "calibration_error"}
    assert (frame.zoo_n == 8).all()
    assert (frame.generated_n + frame.failed_n == 6).all()
    assert frame[frame.metric == "accuracy"].generated_mean.between(0, 1).all()


def test_accuracies_by_class_average_to_the_accuracy(finished: Checkout) -> None:
    frame, accuracy = table(finished, "class_accuracy"), table(finished, "accuracy")
    assert list(frame["class"].unique()) == ["setosa", "versicolor", "virginica"]
    accuracy = accuracy[accuracy.metric == "accuracy"].set_index(KEYS)
    for cell, rows in frame.groupby(KEYS):
        for mean in ("zoo_mean", "generated_mean"):
            expected = accuracy.loc[cell, mean]
            assert np.average(rows[mean], weights=rows.examples) == pytest.approx(expected)
    assert len(frame) == 3 * len(accuracy) == 3 * len(CELLS)


def test_novelty_table_has_the_promised_columns(finished: Checkout) -> None:
    frame = table(finished, "novelty")
    promised = ["max_iou_mean", "zoo_max_iou_mean", "nn_distance_mean", "zoo_nn_distance_mean"]
    assert set(promised) < set(frame.columns)
    assert len(frame) == len(CELLS)
    assert frame[[*promised, "held_out_nn_distance_mean"]].notna().all(axis=None)


def test_accuracies_are_those_of_the_networks_files_scored_one_by_one(finished: Checkout) -> None:
    from dwf_steps.config.dataset import SplitsConfig
    from dwf_steps.datasets.loading import load_dataset

    test = load_dataset("iris", SplitsConfig(), Path("data")).test
    inputs, targets = torch.from_numpy(test.inputs), torch.from_numpy(test.targets)
    folder = finished.folder / "results/micro/git_rebasin/weights/pca_4/flow"
    metrics = pd.read_csv(folder / "none/metrics.csv").set_index("network")
    for name, row in metrics.iterrows():
        network = load_network(folder / f"networks/shard-0/{name}.safetensors")
        with torch.no_grad():
            accuracy = (network(inputs).argmax(1) == targets).float().mean().item()
        assert accuracy == pytest.approx(row.accuracy, abs=1e-6)


def test_networks_are_the_decoded_samples_whatever_the_number_of_jobs(
    finished: Checkout, tmp_path: Path
) -> None:
    zoo = finished.folder / "results/micro"
    for cell in ("none/weights/pca_4/gaussian", "git_rebasin/weights/raw/noise"):
        folder, weights = zoo / cell, zoo / cell.split("/")[0] / "weights.zarr"
        samples, matrix = Samples.load(folder / "latents.npz"), WeightMatrix.open(weights)
        expected = decode_block(samples, matrix, slice(0, matrix.layout.size))
        for part in range(4):
            settings = Decode(part=part, parts=4, memory_mb=64)
            output = tmp_path / cell / f"{part}"
            decode(settings, folder / "latents.npz", weights, output, output.with_suffix(".json"))
            for i, name in enumerate(samples.part(part, 4).names, start=samples.part(part, 4).first):
                content = (output / f"{name}.safetensors").read_bytes()
                assert content == (folder / f"networks/shard-0/{name}.safetensors").read_bytes()
                state = load_network(output / f"{name}.safetensors").state_dict()
                flat = torch.cat([state[entry.name].flatten() for entry in matrix.layout.entries])
                np.testing.assert_array_equal(flat.numpy(), expected[i])


def test_networks_among_responses_have_a_first_layer_that_meets_their_samples(finished: Checkout) -> None:
    """By ridge regression, whose penalty is relative to the inputs' mean square and leaves out biases."""
    canon = finished.folder / "results/micro/git_rebasin"
    folder, matrix = canon / "responses/pca_4/gaussian", WeightMatrix.open(canon / "responses.zarr")
    samples = Samples.load(folder / "latents.npz")
    coordinates = matrix.layout.unflatten(decode_block(samples, matrix, slice(0, matrix.layout.size)))
    functions = np.load(canon / "responses/responses.npz")["layers.0.responses"]
    train = Split.load(finished.folder / "results/micro/data.npz", "train")
    inputs = np.column_stack([choose_probes(train, 40, 0).inputs.astype(float), np.ones(40)])
    gram = inputs.T @ inputs
    gram[range(4), range(4)] += 1e-3 * gram.diagonal()[:4].mean()
    for name, wanted in zip(samples.names, coordinates["layers.0.responses"], strict=True):
        target = 40**0.5 * functions @ wanted.T
        expected = np.linalg.solve(gram, inputs.T @ target)
        state = load_network(folder / f"networks/shard-0/{name}.safetensors").state_dict()
        np.testing.assert_allclose(state["layers.0.weight"].T, expected[:4], atol=1e-4)
        np.testing.assert_allclose(state["layers.0.bias"], expected[4], atol=1e-4)


def test_precision_table_states_the_errors_of_every_cell(finished: Checkout) -> None:
    frame = table(finished, "precision")
    assert len(frame) == len(CELLS)
    assert (frame.stored_as == "float32").all()
    assert (frame.storage_error == 0).all()
    assert frame.decoding_error.between(1e-9, 1e-6).all()


def test_zoo_metrics_leave_each_network_out_of_its_own_comparison(finished: Checkout) -> None:
    frame = pd.read_csv(finished.folder / "results/micro/none/zoo_metrics/none/metrics.csv")
    assert list(frame.network) == [f"seed-{s}" for s in range(10)]
    assert list(frame.held_out) == [False] * 8 + [True] * 2
    assert (frame.nearest != frame.network).all()
    assert set(frame.nearest) <= set(frame.network[:8])
    assert (frame.nn_distance > 0.1).all()


def test_canonicalization_keeps_the_zoos_scores_and_shortens_distances(finished: Checkout) -> None:
    frame = table(finished, "alignment").set_index("canonicalization")
    assert (frame.networks == 9).all()
    assert frame.function_change_max.max() < 1e-6
    assert frame.distance_after_mean["git_rebasin"] < frame.distance_before_mean["git_rebasin"]
    assert frame.distance_after_mean["none"] == frame.distance_before_mean["none"]


def test_timing_covers_every_stage(finished: Checkout) -> None:
    frame = table(finished, "timing")
    assert set(frame.stage) == {
        *("train_zoo", "canonicalize", "stack_weights", "accumulate_gram", "solve_basis"),
        *("sketch_responses", "solve_responses", "encode_responses", "stack_responses"),
        *("fit_generator", "sample_generator", "decode", "score", "evaluate"),
    }
    assert (frame.seconds > 0).all()
    zoo = frame[frame.stage == "train_zoo"].iloc[0]
    assert zoo.networks == 10
    assert zoo.seconds_per_network == pytest.approx(zoo.seconds / 10)


def test_every_table_and_figure_comes_in_every_format(finished: Checkout) -> None:
    for name in TABLES:
        for kind in ("csv", "md", "tex"):
            assert (finished.folder / f"results/tables/{name}.{kind}").stat().st_size > 100
        assert r"\toprule" in (finished.folder / f"results/tables/{name}.tex").read_text()
    for name in FIGURES:
        assert (finished.folder / f"results/figures/{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (finished.folder / f"results/figures/{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_on_metrics_names_every_column(finished: Checkout) -> None:
    page = Path(__file__).parents[1] / "docs/metrics.md"
    named = set(re.findall(r"`([a-z_0-9*]+)`", page.read_text()))
    columns = {column for name in TABLES for column in table(finished, name).columns}
    unnamed = columns - {*KEYS, "stage"}
    for ends in (r"$^", r"_(mean|std|n)$", r"^(zoo|held_out|pair)_|_(mean|max)$"):
        unnamed = {c for c in unnamed if not any(fnmatchcase(re.sub(ends, "", c), name) for name in named)}
    assert unnamed == set()


def test_a_second_run_has_nothing_to_do(finished: Checkout) -> None:
    assert "Nothing to be done" in finished.snakemake("all")


@pytest.mark.parametrize("target", ["zoos", "aligned", "bases", "flows", "networks", "tables", "figures"])
def test_intermediate_targets_exist_and_are_done(finished: Checkout, target: str) -> None:
    assert "Nothing to be done" in finished.snakemake("--dry-run", target)


@pytest.fixture(scope="module")
def report(finished: Checkout) -> Path:
    finished.snakemake("--report", "results/report.html")
    return finished.folder / "results/report.html"


def test_the_report_is_self_contained_and_has_captions(report: Path) -> None:
    page = report.read_text(encoding="utf-8")
    assert "micro (10 networks, 2 held out)" in page
    assert "largest wrong-set IoU" in page
    loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', page)
    assert loaded == []


def test_the_report_opens_with_the_summary_the_overview_and_its_table(
    finished: Checkout, report: Path, tmp_path: Path
) -> None:
    opened = opened_in_browser(
        report, tmp_path, (".prose h1", "#overview img", "#overview table", "#rulegraph")
    )
    assert opened.messages == [TAILWIND]
    tops = [place["top"] for place in opened.places.values()]
    assert tops[0] >= 0 and tops == sorted(tops) and len(set(tops)) == len(tops)
    assert tops[2] < opened.height, "all three are seen without scrolling"
    assert opened.places["#overview img"]["naturalWidth"] > 1000
    summary = (finished.folder / "results/summary.md").read_text(encoding="utf-8")
    for line in summary.splitlines()[2:]:
        assert line.removeprefix("- ") in opened.text
    for row in table(finished, "overview").itertuples():
        assert row.generator in opened.text and f"{row.accuracy_mean:.4g}" in opened.text


def test_shards_do_not_change_a_networks_weights(finished: Checkout, new_checkout) -> None:
    other = new_checkout()
    config = json.loads(json.dumps(other.config))
    config["zoos"]["micro"]["shard_size"] = 100
    other.write_config(config)
    other.snakemake("zoos")
    for seed in range(10):
        mine = load_network(finished.folder / f"results/micro/zoo/shard-{seed // 5}/seed-{seed}.safetensors")
        theirs = load_network(other.folder / f"results/micro/zoo/shard-0/seed-{seed}.safetensors")
        for (name, a), b in zip(mine.state_dict().items(), theirs.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, msg=name)


def test_every_file_may_be_read_by_whom_the_umask_lets_read(finished: Checkout) -> None:
    os.umask(umask := os.umask(0))
    files = [path for path in (finished.folder / "results").rglob("*") if path.is_file()]
    modes = {str(path): oct(path.stat().st_mode & 0o777) for path in files}
    assert modes == dict.fromkeys(modes, oct(0o666 & ~umask))
