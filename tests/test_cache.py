"""Snakemake's between-workflow cache: two checkouts share what is expensive."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from checkout import Checkout, one_cell
from idx_files import write_images

MISS = "results/micro/zoo/shard-0 will be written to global between-workflow cache"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def sharing(new_checkout: Callable[[], Checkout], cache: Path) -> tuple[Checkout, Checkout]:
    """Return two checkouts with one cache: the first has a zoo, the second its tables but no data."""

    def run(target: str, data_dir: str) -> Checkout:
        checkout = one_cell(new_checkout(), "mnist", [784, 4, 10], data_dir=data_dir)
        write_images(checkout.folder / "mine")
        checkout = replace(checkout, variables={**checkout.variables, "SNAKEMAKE_OUTPUT_CACHE": str(cache)})
        checkout.snakemake(target, "--cache")
        return checkout

    return run("zoos", "mine"), run("tables", "nowhere")


def test_the_second_checkout_neither_fetches_nor_trains(sharing: tuple[Checkout, Checkout]) -> None:
    for checkout, executed in zip(sharing, (True, False), strict=True):
        for name in ("data/mnist.log", "micro/train_zoo-0.log", "micro/train_zoo-1.log"):
            # Snakemake leaves an empty log where it took the results from the cache.
            log = checkout.folder / "results/logs" / name
            assert (log.stat().st_size > 0) == executed, name
    network = sharing[1].folder / "results/micro/zoo/shard-0/seed-0.safetensors"
    assert network.resolve() != network.absolute()


def test_zoos_are_the_same_down_to_what_training_took(sharing: tuple[Checkout, Checkout]) -> None:
    first, second = sharing
    for pattern in ("micro/zoo/shard-*", "micro/zoo/shard-*/seed-*", "benchmarks/micro/train_zoo-*"):
        assert first.results(pattern) == second.results(pattern) != {}
    measured = [
        pd.read_csv(path, sep="\t") for path in first.folder.glob("results/benchmarks/micro/train_zoo-*.tsv")
    ]
    timing = pd.read_csv(second.folder / "results/tables/timing.csv").set_index("stage").loc["train_zoo"]
    assert timing.networks == 10
    assert timing.seconds == pytest.approx(sum(frame.s[0] for frame in measured), abs=0.01)
    assert timing.seconds > 0
    assert 50 < timing.peak_memory_mb < 50_000


@pytest.mark.parametrize("options", [["--cache"], []])
def test_both_are_finished_and_stay_so(sharing: tuple[Checkout, Checkout], options: list[str]) -> None:
    for checkout, target in zip(sharing, ("zoos", "tables"), strict=True):
        assert "Nothing to be done" in checkout.snakemake("--dry-run", target, *options)


def test_the_same_zoo_under_another_name_is_in_the_cache(sharing: tuple[Checkout, Checkout]) -> None:
    checkout = sharing[1]
    cell = checkout.config["experiments"][0] | {"zoos": ["renamed"]}
    zoos = {"renamed": checkout.config["zoos"]["micro"]}
    try:
        checkout.write_config(checkout.config | {"zoos": zoos, "experiments": [cell]})
        output = checkout.snakemake("-n", "zoos", "--cache")
    finally:
        checkout.write_config()
    assert "results/renamed/zoo/shard-0 will be obtained from global between-workflow cache" in output


def test_other_settings_or_code_miss_the_cache(sharing: tuple[Checkout, Checkout]) -> None:
    checkout = sharing[1]
    assert MISS not in checkout.snakemake("-n", "zoos", "--cache", "--forceall")
    zoo = checkout.config["zoos"]["micro"] | {"training": {"epochs": 2}}
    try:
        checkout.write_config(checkout.config | {"zoos": {"micro": zoo}})
        assert MISS in checkout.snakemake("-n", "zoos", "--cache")
    finally:
        checkout.write_config()
    code = checkout.folder / "dwf_steps/zoo/training.py"
    before = code.read_text()
    try:
        code.write_text(f"{before}\nANOTHER = 1\n")
        assert MISS in checkout.snakemake("-n", "zoos", "--cache")
    finally:
        code.write_text(before)


def test_after_the_cache_was_emptied_removing_the_broken_links_is_enough(
    sharing: tuple[Checkout, Checkout], cache: Path
) -> None:
    for path in cache.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for checkout in sharing:
        subprocess.run(["find", "results", "-xtype", "l", "-delete"], cwd=checkout.folder, check=True)
        assert {"train_zoo"} <= checkout.pending("zoos") <= {"fetch_data", "divide_data", "train_zoo"}
