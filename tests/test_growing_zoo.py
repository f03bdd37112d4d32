"""More networks for a zoo: what is there is used, and the results are those of a run from scratch."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from checkout import Checkout, executed
from test_rerun import ROWS

FIRST = "micro/zoo/shard-[01]*", "micro/*/aligned/shard-[01]*", "micro/*/reference*"
ALWAYS = (
    *("micro/zoo/shard-*.*", "micro/zoo/shard-*/seed-*", "micro/*/aligned/shard-*.*", "micro/*/reference*"),
    *("micro/*/weights.zarr/**/*", "micro/*/weights/gram/*", "micro/*/weights/pca_4/**/*"),
    *(
        "micro/*/*.csv",
        "micro/*/zoo_metrics/**/*",
        "micro/outputs/*",
        "tables/accuracy.*",
        "tables/novelty.*",
        "tables/alignment.*",
    ),
)


class Grown(NamedTuple):
    """A zoo of 10 networks that became one of 15 and then one of 10 again, and one of 15 from scratch."""

    checkout: Checkout
    outputs: dict[str, str]
    written: dict[str, dict[Path, int]]
    results: dict[str, dict[str, bytes]]
    scratch: Checkout


def results(checkout: Checkout) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for pattern in ALWAYS:
        matches = {k: v for k, v in checkout.results(pattern).items() if not k.endswith("_timestamp")}
        assert matches, pattern
        found |= matches
    return found


def written(checkout: Checkout) -> dict[Path, int]:
    """Return when each file of the first ten networks was written."""
    base = checkout.folder / "results"
    paths = [path for pattern in FIRST for path in base.glob(pattern)]
    files = [file for path in paths for file in (path.rglob("seed-*") if path.is_dir() else [path])]
    return {file: os.stat(file).st_mtime_ns for file in files}


def with_seeds(checkout: Checkout, seeds: int, keep_aligned: bool = True) -> Checkout:
    zoo = checkout.config["zoos"]["micro"] | {"seeds": seeds, "matrix": {"gram_jobs": 1}}
    cell = {
        "zoos": ["micro"],
        "canonicalizations": ["to_seed_1"],
        "subspaces": ["pca_4"],
        "generators": ["flow"],
    }
    config = checkout.config | {
        "keep_aligned": keep_aligned,
        "zoos": {"micro": zoo},
        "canonicalizations": {"to_seed_1": [{"method": "git_rebasin", "reference": 1}]},
        "experiments": [cell],
    }
    result = Checkout(checkout.folder, config)
    result.write_config()
    return result


@pytest.fixture(scope="module")
def grown(new_checkout: Callable[[], Checkout]) -> Grown:
    checkout = new_checkout()
    outputs, times, found = {}, {}, {}
    for step, seeds in {"small": 10, "large": 15, "small again": 10}.items():
        checkout = with_seeds(checkout, seeds)
        outputs[step] = checkout.snakemake("all")
        times[step], found[step] = written(checkout), results(checkout)
    scratch = with_seeds(new_checkout(), 15, keep_aligned=False)
    scratch.snakemake("tables")
    return Grown(checkout, outputs, times, found, scratch)


def test_only_the_new_shard_is_trained_and_aligned(grown: Grown) -> None:
    jobs = executed(grown.outputs["large"])
    assert (jobs["train_zoo"], jobs["canonicalize"], jobs["choose_reference"]) == (1, 1, 0)
    assert jobs.keys() >= ROWS
    assert len(grown.written["small"]) > 2 * 10
    assert grown.written["large"] == grown.written["small"]


def test_a_grown_zoo_gives_what_a_run_from_scratch_gives(grown: Grown) -> None:
    assert grown.results["large"] == results(grown.scratch)


def test_a_zoo_made_smaller_again_uses_nothing_of_the_networks_it_no_longer_has(grown: Grown) -> None:
    jobs = executed(grown.outputs["small again"])
    assert jobs.keys().isdisjoint({"train_zoo", "canonicalize", "choose_reference"})
    before, after = grown.results["small"], grown.results["small again"]
    assert {path: after[path] for path in before} == before
    left = {path for path in after.keys() - before.keys()}
    assert left
    assert all(
        "shard-2" in path and any(f"/{part}/" in path for part in ("zoo", "aligned", "outputs"))
        for path in left
    )
    assert grown.checkout.pending() == set()


def test_aligned_networks_that_are_not_kept_are_made_again_when_they_are_needed(grown: Grown) -> None:
    assert not list(grown.scratch.folder.glob("results/micro/*/aligned/*/*"))
    assert len(list(grown.scratch.folder.glob("results/micro/*/aligned/*.json"))) == 3
    assert grown.scratch.pending("tables") == set()
    matrix = grown.scratch.config["zoos"]["micro"]["matrix"]
    matrix["dtype"] = "float16"
    grown.scratch.write_config()
    again = grown.scratch.pending()
    assert "canonicalize" in again
    assert again.isdisjoint({"train_zoo", "choose_reference"})
