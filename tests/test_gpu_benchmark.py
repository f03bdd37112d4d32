"""`benchmarks/gpu.py`, with small sizes and without a GPU: complete, and continued after interruptions."""

import importlib
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        return importlib.import_module("gpu")


@pytest.fixture(scope="module")
def measured(gpu: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of a whole run; an error of the script's own would be a note in it."""
    path = tmp_path_factory.mktemp("gpu") / "gpu.csv"
    run(gpu, "--tiny", "--output", path)
    return path


def run(gpu: ModuleType, *arguments: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["gpu.py", *map(str, arguments)])
        gpu.main()


def test_every_part_is_measured_beside_a_plain_loop(gpu: ModuleType, measured: Path) -> None:
    rows = gpu.read(measured)
    assert not [row for row in rows if row.note]
    assert [row.part for row in rows if row.way == gpu.DONE] == list(gpu.PARTS)
    cases = {(row.part, row.case) for row in rows if row.case}
    for part, case in cases:
        of_case = [row for row in rows if (row.part, row.case) == (part, case)]
        assert of_case[0].way == gpu.PLAIN and of_case[0].ratio == 1.0
        assert len(of_case) > 1
        for row in of_case:
            assert row.per_second > 0 and row.memory_gb > 0
            assert math.isclose(row.ratio, row.per_second / of_case[0].per_second)


def test_what_is_measured_is_not_measured_again(
    gpu: ModuleType, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = measured.read_bytes()
    run(gpu, "--tiny", "--output", measured)
    assert measured.read_bytes() == before
    assert capsys.readouterr().out.count("measured already") == len(gpu.PARTS)


def test_a_part_that_was_interrupted_is_measured_again(
    gpu: ModuleType, measured: Path, tmp_path: Path
) -> None:
    path = tmp_path / "gpu.csv"
    rows = gpu.read(measured)
    for row in rows:
        if row.part in ("mlp_zoo", "flow_sampling") and (row.part, row.way) != ("flow_sampling", gpu.DONE):
            gpu.add(path, row)
    run(gpu, "--tiny", "--output", path, "--parts", "flow_sampling")
    found = gpu.read(path)
    kept, before = ([str(row) for row in some if row.part == "mlp_zoo"] for some in (found, rows))
    assert kept == before
    ways = [(row.case, row.way) for row in found if row.part == "flow_sampling"]
    assert ways == [(row.case, row.way) for row in rows if row.part == "flow_sampling"]


def test_a_part_ends_with_its_time(gpu: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "gpu.csv"
    run(gpu, "--tiny", "--output", path, "--parts", "vit", "--limit", "0")
    assert [row.way for row in gpu.read(path)] == [gpu.LIMIT, gpu.DONE]


def test_a_way_that_fails_is_a_row_that_says_why(gpu: ModuleType, tmp_path: Path) -> None:
    measuring = gpu.Run("vit", tmp_path / "gpu.csv", True, torch.device("cpu"), math.inf)

    def fail() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    measuring.measure("ViT", "8 at once", "network steps", 8, fail)
    [row] = gpu.read(measuring.output)
    assert row.note == "out of memory: CUDA out of memory. Tried to allocate 2.00 GiB"
    assert math.isnan(row.per_second)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(gpu: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no GPU .* --tiny"):
        run(gpu, "--output", tmp_path / "gpu.csv")


def test_all_parts_together_take_less_than_eight_minutes(gpu: ModuleType) -> None:
    assert sum(seconds for _, seconds in gpu.PARTS.values()) <= 7 * 60
