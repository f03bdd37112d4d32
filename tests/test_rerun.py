"""Rerun exactly what changed: each case by dry run on a finished workflow."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout, changed_config

AFTER_FLOW = {"decode", "score", "evaluate", "tabulate", "plot"}
ROWS = {
    *("stack_weights", "accumulate_gram", "solve_basis", "evaluate_zoo"),
    *("fit_generator", "sample_generator", *AFTER_FLOW),
}
AFTER_COORDINATES = {"decode_responses", "score", "evaluate", "tabulate", "plot"}
ENCODING = {
    *("sketch_responses", "solve_responses", "encode_responses", "stack_responses"),
    "assess_representation",
}
DECODING = {"assess_representation", *AFTER_COORDINATES}
COORDINATES = {
    *ENCODING,
    *("accumulate_gram", "find_neighbours", "solve_basis", "sample_generator"),
    *AFTER_COORDINATES,
}
AFTER_ROWS = {*ROWS, *COORDINATES}
AFTER_ZOO = {"score_zoo", "choose_reference", "canonicalize", "gather_alignment", *AFTER_ROWS}


@contextmanager
def changed_code(checkout: Checkout, path: str, old: str, new: str) -> Iterator[None]:
    file = checkout.folder / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    try:
        yield
    finally:
        file.write_text(text)


def flow(config: dict[str, Any]) -> dict[str, Any]:
    return config["generators"]["flow"]


def zoo(config: dict[str, Any]) -> dict[str, Any]:
    return config["zoos"]["micro"]


def responses(config: dict[str, Any]) -> dict[str, Any]:
    return config["representations"]["responses"]


CONFIG_CASES: dict[str, tuple[Callable[[dict[str, Any]], None], set[str]]] = {
    "flow width": (
        lambda config: flow(config)["velocity"].update(width=24),
        {"fit_generator", "sample_generator", *AFTER_FLOW},
    ),
    "number of samples": (
        lambda config: flow(config)["sampling"].update(samples=7),
        {"sample_generator", *AFTER_FLOW},
    ),
    "solver": (
        lambda config: flow(config)["sampling"].update(solver="euler"),
        {"sample_generator", *AFTER_FLOW},
    ),
    "a control's setting": (
        lambda config: config["generators"]["noise"].update(std=0.3),
        {"sample_generator", *AFTER_FLOW},
    ),
    "components": (
        lambda config: config["subspaces"]["pca_4"].update(components=3),
        {"solve_basis", "fit_generator", "sample_generator", *AFTER_FLOW, *AFTER_COORDINATES},
    ),
    "epochs": (lambda config: zoo(config)["training"].update(epochs=9), {"train_zoo", *AFTER_ZOO}),
    "jobs of the Gram matrix": (
        lambda config: zoo(config)["matrix"].update(gram_jobs=1),
        AFTER_ROWS - {"stack_weights", *ENCODING},
    ),
    "jobs of decoding": (
        lambda config: zoo(config)["matrix"].update(decode_jobs=2),
        {*AFTER_FLOW, *AFTER_COORDINATES},
    ),
    "the ridge of decoding": (lambda config: responses(config).update(ridge=0.1), DECODING),
    "what decoding matches": (
        lambda config: responses(config).update(matching="pre_activations"),
        DECODING,
    ),
    "probes": (lambda config: responses(config).update(probes=50), COORDINATES),
    "response functions": (lambda config: responses(config).update(functions=9), COORDINATES),
    "jobs of encoding": (lambda config: responses(config).update(jobs=1), COORDINATES),
    "the solver of a subspace": (
        lambda config: config["subspaces"]["pca_4"].update(solver="randomized"),
        {"solve_basis", "fit_generator", "sample_generator", *AFTER_FLOW, *AFTER_COORDINATES},
    ),
    "precision of the matrix": (lambda config: zoo(config)["matrix"].update(dtype="float16"), AFTER_ROWS),
    "networks held out": (lambda config: zoo(config).update(held_out=3), AFTER_ROWS),
    "what networks find strange": (
        lambda config: zoo(config).update(out_of_distribution="shuffled"),
        {"score_zoo", "score", "evaluate_zoo", "evaluate", "tabulate", "plot"},
    ),
    "how ensembles are judged": (
        lambda config: config.update(evaluation={"ensembles": [1, 3]}),
        {"evaluate_zoo", "evaluate", "tabulate", "plot"},
    ),
    "the seed of what evaluation draws": (
        lambda config: config.update(evaluation={"seed": 3}),
        {"evaluate_zoo", "find_neighbours", "evaluate", "tabulate", "plot"},
    ),
    "which networks count as good and new": (
        lambda config: config.update(evaluation={"good_margin": 0.1, "novelty_factors": [1]}),
        {"tabulate", "plot"},
    ),
    "how many networks are decoded from their own coordinates": (
        lambda config: config.update(evaluation={"decoded": 3}),
        {"assess_representation", "tabulate", "plot"},
    ),
    "a recalibration": (
        lambda config: config.update(recalibrations={"none": ["last_layer"]}),
        {"recalibrate", "recalibrate_zoo", "score", "evaluate_zoo", "evaluate", "tabulate", "plot"},
    ),
    "data folder": (lambda config: config.update(data_dir="elsewhere"), set()),
    "a definition nobody uses": (
        lambda config: config["generators"].update(other={"kind": "noise", "std": 0.5}),
        set(),
    ),
}


@pytest.mark.parametrize("case", CONFIG_CASES)
def test_a_changed_setting_reruns_its_stage_and_what_follows(finished: Checkout, case: str) -> None:
    change, expected = CONFIG_CASES[case]
    with changed_config(finished, change):
        assert finished.pending() == expected
    assert finished.pending() == set()


def test_more_seeds_train_and_align_only_the_new_shard(finished: Checkout) -> None:
    with changed_config(finished, lambda config: zoo(config).update(seeds=15)):
        output = finished.snakemake("--dry-run", "aligned")
    assert output.count("rule train_zoo:") == 1
    assert output.count("rule canonicalize:") == 2


CODE_CASES = {
    "a comment": ("dwf_steps/flow/path.py", "import torch\n", "import torch  # a remark\n", set()),
    "a docstring": (
        "dwf_steps/flow/path.py",
        '"""The probability path',
        '"""The famous probability path',
        set(),
    ),
    "layout": (
        "dwf_steps/zoo/optimization.py",
        "    optimizer.step()\n",
        "    optimizer.step(\n    )\n\n",
        set(),
    ),
    "the path's formula": (
        "dwf_steps/flow/path.py",
        "x1, t), noise, sigma)",
        "x1, t), 2 * noise, sigma)",
        {"fit_generator", "sample_generator", *AFTER_FLOW},
    ),
    "the novelty metric": (
        "dwf_steps/metrics/novelty.py",
        "where=union > 0",
        "where=union > 1",
        {"assess_representation", "evaluate", "evaluate_zoo", "tabulate", "plot"},
    ),
    "the fit of a layer": (
        *(
            "dwf_steps/representation/matching.py",
            "(reached - wanted).square()",
            "2 * (reached - wanted).square()",
        ),
        DECODING,
    ),
    "a table": (
        *("dwf_steps/reporting/tables.py", "SIGNIFICANT = 0.05", "SIGNIFICANT = 0.06"),
        {"tabulate", "plot"},
    ),
    "a figure": ("dwf_steps/reporting/figures/novelty.py", "alpha=0.25", "alpha=0.5", {"plot"}),
}


@pytest.mark.parametrize("case", CODE_CASES)
def test_changed_code_reruns_the_stages_that_import_it(finished: Checkout, case: str) -> None:
    path, old, new, expected = CODE_CASES[case]
    with changed_code(finished, path, old, new):
        assert finished.pending() == expected
    assert finished.pending() == set()


def test_a_deleted_result_is_made_again_from_what_is_there(finished: Checkout) -> None:
    metrics = finished.folder / "results/micro/git_rebasin/weights/pca_4/flow/none/metrics.csv"
    content, moved = metrics.read_bytes(), Path(f"{metrics}.away")
    metrics.rename(moved)
    try:
        assert finished.pending() == {"evaluate", "tabulate", "plot"}
    finally:
        moved.rename(metrics)
    assert metrics.read_bytes() == content
