"""What no GPU of a run can hold is refused before work starts."""

from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout, changed_config
from small_config import small_config

from dwf_steps.pipeline.cards import Card, memory_problems, visible_memory_mb
from dwf_steps.pipeline.experiment import Experiment
from dwf_steps.pipeline.load import load_config
from dwf_steps.runtime import gpu

WIDE = {"widths": [4, 3000, 3000, 3]}
D = 4 * 3000 + 3000 + 3000 * 3000 + 3000 + 3000 * 3 + 3


def problems(card_mb: int, subspace: str = "dual_pca", every_job: bool = True, **zoo: Any) -> list[str]:
    """Return what of a zoo of ten networks, and of a flow, a card of so many MB cannot hold."""
    config = small_config()
    config["zoos"]["iris"] |= zoo
    if subspace == "none":
        config["subspaces"]["pca"] = {"method": "none"}
    experiment = Experiment(load_config(config))
    return list(memory_problems(experiment, Card(card_mb, "nvidia-smi", every_job)))


def test_networks_that_cannot_be_trained_at_once_are_refused_with_how_many_can() -> None:
    """Weights, gradients, two moments of Adam and the best weights: 20 bytes a weight and network."""
    card = gpu.WORKING_MB + 1000
    [problem] = problems(card, architecture=WIDE)
    most = int(1000 * 2**20 // (20 * D))
    assert problem.startswith("zoos.iris.shard_size: training 10 networks at once takes 1.7 GiB ")
    assert f"lower it to {most}," in problem and "2.0 GiB (nvidia-smi)" in problem
    assert not problems(card, architecture=WIDE, shard_size=most)
    assert problems(card, architecture=WIDE, shard_size=most + 1)


def test_momentum_alone_takes_less_than_adam() -> None:
    card = gpu.WORKING_MB + int(10 * 18 * D / 2**20)
    assert problems(card, architecture=WIDE)
    sgd = {"optimizer": "sgd", "momentum": 0.9}
    assert not problems(card, architecture=WIDE, training=sgd)


def test_a_fit_to_raw_weights_that_no_card_holds_is_refused() -> None:
    [problem] = problems(80_000, subspace="none", architecture=WIDE, shard_size=1)
    assert problem.startswith("generators.flow: the fit to subspace 'pca' takes ")
    assert f"{20 * 512 * (2 * D + 64) / 2**30:.0f}." in problem and "width" in problem


def test_jobs_that_ask_for_no_gpu_need_none() -> None:
    assert not problems(gpu.WORKING_MB + 1000, every_job=False, architecture=WIDE)


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that lists two cards, or the one that it is asked for."""
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\ncase "$*" in *"-i 1") echo 24576;; *-i*) exit 6;; *) echo 81559; echo 24576;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return program


@pytest.mark.usefixtures("nvidia_smi")
@pytest.mark.parametrize(
    ("visible", "memory"), [(None, 24576), ("1", 24576), ("", None), ("-1", None), ("7", None)]
)
def test_the_smallest_visible_card_counts(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, memory: int | None
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_memory_mb() == memory


def test_without_nvidia_smi_no_card_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_memory_mb() is None


def test_a_run_whose_cards_memory_is_stated_is_refused(finished: Checkout) -> None:
    def wide(config: dict[str, Any]) -> None:
        config["zoos"]["micro"] |= {"architecture": WIDE, "training": {"epochs": 500, "batch_size": 16}}

    with changed_config(finished, wide):
        stated = ("zoos", "--dry-run", "--forceall", "--resources", "gpu=4")
        output = finished.snakemake(*stated, f"gpu_memory_mb={gpu.WORKING_MB + 500}", check=False)
        assert "the configuration has 1 problem:" in output
        assert "zoos.micro.shard_size: training 5 networks at once" in output
        assert f"--resources gpu_memory_mb={gpu.WORKING_MB + 500}" in output
        assert "Estimates" in finished.snakemake(*stated, "gpu_memory_mb=40000")
        no_gpu = finished.snakemake(
            "zoos", "--dry-run", "--forceall", "--resources", "gpu=0", "gpu_memory_mb=1001"
        )
        assert "Estimates" in no_gpu
