"""A stage takes six files: rules, their line in the Snakefile, settings, step, library function, test."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from additions import add, run_its_tests
from checkout import Checkout, executed
from safetensors.numpy import load_file

FILES = {
    "rules/norms.smk": '''
"""Norms of generated networks, layer by layer."""

from dwf_steps.pipeline.paths import GENERATOR
from dwf_steps.pipeline.settings.norms import MeasureNorms

measure_norms = RUN.step(MeasureNorms)
normed_manifests = PATHS.generated_shards(f"{GENERATOR}/networks/shard-*.json")


rule measure_norms:
    input:
        networks=normed_manifests,
    output:
        "results/{zoo}/{canon}/{representation}/{subspace}/{generator}/norms.csv",
    log:
        "results/logs/{zoo}/{canon}/{representation}/{subspace}/{generator}/measure_norms.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=measure_norms.mem_mb,
        runtime=measure_norms.runtime,
    params:
        settings=measure_norms.settings,
        networks=normed_manifests.argument,
        code=measure_norms.code,
    shell:
        "python -m dwf_steps.measure_norms --settings {params.settings:q} --networks {params.networks:q}"
        " --output {output} > {log} 2>&1"
''',
    "dwf_steps/pipeline/settings/norms.py": '''
"""Settings of norms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class MeasureNorms(StepSettings):
    """Which norm: 2 is Euclidean."""

    order: float = 2

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls()

    @staticmethod
    def work(sizes: Sizes) -> Work:
        return Work(8 * sizes.d, 4 * sizes.g * sizes.d / sizes.READ)
''',
    "dwf_steps/metrics/norms.py": '''
"""Norms of networks."""

from collections.abc import Mapping

import numpy as np


def norms_by_layer(state: Mapping[str, np.ndarray], order: float) -> dict[str, float]:
    """Return the norm of every array of a network, by name."""
    return {name: float(np.linalg.norm(array.ravel(), order)) for name, array in state.items()}
''',
    "dwf_steps/measure_norms.py": '''
"""Measure the norms of networks, layer by layer."""

from pathlib import Path

import pandas as pd

from dwf_steps.metrics.norms import norms_by_layer
from dwf_steps.pipeline.settings.norms import MeasureNorms
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import load_state


def measure_norms(settings: MeasureNorms, networks: list[Path], output: Path) -> None:
    """Write a row a network."""
    files = [path for manifest in networks for path in Manifest.read(manifest).verified_files()]
    rows = [{"network": path.stem} | norms_by_layer(load_state(path), settings.order) for path in files]
    write_csv(output, pd.DataFrame(rows))


def main() -> None:
    args = parser(__doc__, "output", several=["networks"]).parse_args()
    measure_norms(parse_settings(MeasureNorms, args.settings), args.networks, args.output)


if __name__ == "__main__":
    run(main)
''',
    "tests/test_measure_norms.py": '''
"""Norms are those of each layer."""

import numpy as np

from dwf_steps.metrics.norms import norms_by_layer


def test_of_a_triangle() -> None:
    assert norms_by_layer({"a": np.array([[3.0], [4.0]])}, 2) == {"a": 5.0}
''',
}
INCLUDED = 'include: "rules/export.smk"\n'
TARGET = "results/micro/git_rebasin/weights/pca_4/flow/norms.csv"


@pytest.fixture(scope="module")
def added(
    finished: Checkout, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Checkout, set[str], dict[str, int]]:
    """Return a finished checkout with one more stage that has run, the files it took, and the jobs."""
    folder = tmp_path_factory.mktemp("stage") / "copy"
    shutil.copytree(finished.folder, folder)
    files = add(folder, FILES, {"Snakefile": (INCLUDED, INCLUDED + 'include: "rules/norms.smk"\n')})
    checkout = replace(finished, folder=folder)
    return checkout, files, executed(checkout.snakemake(TARGET))


def test_it_touches_six_files(added: tuple[Checkout, set[str], dict[str, int]]) -> None:
    assert added[1] == {*FILES, "Snakefile"}
    assert len(added[1]) <= 6


def test_its_test_passes(added: tuple[Checkout, set[str], dict[str, int]]) -> None:
    assert "1 passed" in run_its_tests(added[0])


def test_it_runs_alone_on_what_is_there(added: tuple[Checkout, set[str], dict[str, int]]) -> None:
    assert added[2] == {"measure_norms": 1}
    folder = added[0].folder
    table = pd.read_csv(folder / TARGET, index_col="network")
    assert len(table) == 6
    for name, row in table.iterrows():
        state = load_file(
            folder / f"results/micro/git_rebasin/weights/pca_4/flow/networks/shard-0/{name}.safetensors"
        )
        assert {key: pytest.approx(np.sqrt((state[key] ** 2).sum())) for key in state} == dict(row)


def test_a_changed_formula_and_no_other_change_runs_it_again(
    added: tuple[Checkout, set[str], dict[str, int]],
) -> None:
    checkout = added[0]
    file = checkout.folder / "dwf_steps/metrics/norms.py"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace('"""Norms of networks."""', '"""Norms."""'), encoding="utf-8")
    assert checkout.pending(TARGET, "all") == set()
    file.write_text(before.replace("array.ravel()", "2 * array.ravel()"), encoding="utf-8")
    assert checkout.pending(TARGET, "all") == {"measure_norms"}
