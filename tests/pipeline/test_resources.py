"""What jobs ask for: it grows with the problem and with each attempt, and covers what was measured."""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from checkout import Checkout, changed_config

from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.dataset import DatasetConfig, ImageFiles, SplitsConfig
from dwf_steps.pipeline.sizes import Examples, examples_of

LOCAL = {"all", "gather_alignment"}


def test_a_separate_test_set_counts_by_itself(tmp_path: Path) -> None:
    for name, rows in [("train", 40), ("test", 12)]:
        pd.DataFrame({"img": [b""] * rows, "label": [0] * rows}).to_parquet(tmp_path / f"{name}.parquet")
    images = ImageFiles(train=tmp_path / "train.parquet", size=2)
    both = images.model_copy(update={"test": tmp_path / "test.parquet"})
    cases: list[tuple[DatasetConfig, Examples]] = [
        ("mnist", Examples(60_000, 10_000)),
        ("digits", Examples(1797, 359)),
        (images, Examples(40, 8)),
        (both, Examples(40, 12)),
    ]
    for dataset, expected in cases:
        assert examples_of(dataset, MLPConfig(widths=[12, 2]), SplitsConfig(test=0.2)) == expected


@dataclass(frozen=True)
class Request:
    """One job of a dry run."""

    rule: str
    text: str

    def amount(self, resource: str) -> int:
        found = re.search(rf"\b{resource}=(\d+)", self.text)
        return int(found[1]) if found else 0

    @property
    def benchmark(self) -> str | None:
        found = re.search(r"^    benchmark: (\S+)$", self.text, re.M)
        return found and found[1]


def requests(checkout: Checkout, *arguments: str) -> list[Request]:
    """Return all jobs of a run from the beginning."""
    output = checkout.snakemake("all", "--dry-run", "--forceall", *arguments)
    blocks = re.findall(r"^rule (\w+):\n((?:    .*\n)+)", output, re.M)
    return [Request(rule, text) for rule, text in blocks if rule not in LOCAL]


def largest(checkout: Checkout, resource: str, *arguments: str) -> dict[str, int]:
    """Return the largest request by rule."""
    result: dict[str, int] = {}
    for request in requests(checkout, *arguments):
        result[request.rule] = max(result.get(request.rule, 0), request.amount(resource))
    return result


def test_every_job_asks_for_memory_and_time(finished: Checkout) -> None:
    for request in requests(finished):
        assert request.amount("mem_mb") >= 1000 and request.amount("runtime") >= 10, request.rule


def test_measured_memory_lies_below_what_was_asked_for(finished: Checkout) -> None:
    compared = 0
    for request in requests(finished):
        if request.benchmark:
            with (finished.folder / request.benchmark).open() as file:
                [row] = csv.DictReader(file, delimiter="\t")
            assert float(row["max_rss"]) < request.amount("mem_mb"), request.rule
            compared += 1
    assert compared > 20


def zoo(config: dict[str, Any]) -> dict[str, Any]:
    return config["zoos"]["micro"]


def networks(config: dict[str, Any]) -> None:
    zoo(config).update(seeds=5000, shard_size=5000)


def weights(config: dict[str, Any]) -> None:
    zoo(config)["architecture"]["widths"] = [4, 3000, 3000, 3]


def steps(config: dict[str, Any]) -> None:
    config["generators"]["flow"]["training"]["steps"] = 10**6


GROWS: dict[str, tuple[Callable[[dict[str, Any]], None], str, set[str]]] = {
    "memory with networks": (
        networks,
        "mem_mb",
        {
            *("train_zoo", "canonicalize", "accumulate_gram", "solve_basis", "evaluate_zoo"),
            *("encode_responses", "stack_responses"),
        },
    ),
    "time with networks": (networks, "runtime", {"train_zoo", "solve_basis"}),
    "memory with weights": (
        weights,
        "mem_mb",
        {
            *("train_zoo", "canonicalize", "stack_weights", "fit_generator", "decode"),
            *("sketch_responses", "encode_responses", "stack_responses", "decode_responses"),
        },
    ),
    "time with weights": (
        weights,
        "runtime",
        {"train_zoo", "canonicalize", "fit_generator", "sample_generator", "decode_responses"},
    ),
    "GPUs with work": (steps, "gpu", {"fit_generator"}),
}


@pytest.mark.parametrize("case", GROWS)
def test_requests_grow(finished: Checkout, case: str) -> None:
    change, resource, rules = GROWS[case]
    small = largest(finished, resource)
    with changed_config(finished, change):
        large = largest(finished, resource)
    for rule in rules:
        assert large[rule] > small[rule], rule


def test_each_attempt_asks_for_more(finished: Checkout) -> None:
    for resource in ("mem_mb", "runtime"):
        first, second = (largest(finished, resource, "--attempt", n) for n in ("1", "2"))
        for rule in set(first) - {"tabulate", "plot"}:
            assert second[rule] == 2 * first[rule], rule


def test_the_matrix_in_half_precision_is_read_in_less_time(finished: Checkout) -> None:
    def wide(dtype: str) -> Callable[[dict[str, Any]], None]:
        def change(config: dict[str, Any]) -> None:
            weights(config)
            zoo(config).update(seeds=100, matrix={"dtype": dtype})

        return change

    times = []
    for dtype in ("float16", "float32"):
        with changed_config(finished, wide(dtype)):
            times.append(largest(finished, "runtime")["accumulate_gram"])
    assert times[0] < times[1]


def test_no_gpu_is_asked_for_where_there_is_none(finished: Checkout) -> None:
    with changed_config(finished, steps):
        assert largest(finished, "gpu", "--resources", "gpu=0")["fit_generator"] == 0
        assert largest(finished, "gpu", "--resources", "gpu=1")["fit_generator"] == 1
