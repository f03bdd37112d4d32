"""The names above a file are read back from its path."""

from pathlib import Path

import pytest

from dwf_steps.storage.lineage import benchmark_lineage, path_lineage

ALL = {
    "zoo": "iris",
    "canonicalization": "none",
    "representation": "weights",
    "subspace": "pca",
    "generator": "flow",
    "recalibration": "none",
}


@pytest.mark.parametrize(
    ("path", "depth"),
    [
        ("results/iris/zoo.csv", 1),
        ("results/iris/none/alignment.csv", 2),
        ("results/iris/none/weights/gram.npz", 3),
        ("results/iris/none/weights/pca/basis.npz", 4),
        ("results/iris/none/weights/pca/flow/latents.npz", 5),
        ("/scratch/me/results/iris/none/weights/pca/flow/none/metrics.csv", 6),
    ],
)
def test_the_folders_above_a_file_are_its_lineage(path: str, depth: int) -> None:
    assert path_lineage(Path(path), depth) == dict(list(ALL.items())[:depth])


def test_only_the_nearest_folders_count() -> None:
    assert path_lineage(Path("results/iris/none/pca/flow/metrics.csv"), 2) == {
        "zoo": "pca",
        "canonicalization": "flow",
    }


@pytest.mark.parametrize(
    ("path", "depth"),
    [
        ("results/benchmarks/iris/train_zoo-0.tsv", 1),
        ("results/benchmarks/iris/none/stack_weights.tsv", 2),
        ("results/benchmarks/iris/none/weights/accumulate_gram-0.tsv", 3),
        ("results/benchmarks/iris/none/weights/pca/solve_basis.tsv", 4),
        ("results/benchmarks/iris/none/weights/pca/flow/fit_generator.tsv", 5),
        ("/scratch/results/benchmarks/iris/none/weights/pca/flow/none/evaluate.tsv", 6),
    ],
)
def test_a_benchmarks_deeper_levels_are_empty(path: str, depth: int) -> None:
    expected = {level: name if i < depth else "" for i, (level, name) in enumerate(ALL.items())}
    assert benchmark_lineage(Path(path)) == expected
