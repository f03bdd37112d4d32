"""The workflow started from another folder, and what its steps find around them."""

from pathlib import Path

import yaml
from checkout import FORKS, ROOT, environment

SURROUNDINGS = f"""
configfile: "{ROOT}/workflow_config.yaml"
include: "{ROOT}/rules/common.smk"
rule surroundings:
    output: "variables"
    shell: "env > {{output}}"
"""

ANOTHER_WORKFLOW = f"""
configfile: "mine.yaml"
module dwf:
    snakefile: "{ROOT}/Snakefile"
    config: config
use rule * from dwf as dwf_*
rule everything:
    input: rules.dwf_all.input
    default_target: True
"""


def snakemake(folder: Path, *arguments: str, fails: bool = False, **variables: str) -> str:
    status, output = FORKS.run("snakemake", ["--cores", "1", *arguments], folder, environment() | variables)
    assert bool(status) == fails, output
    return output


def test_the_default_configuration_and_profile_are_found_from_every_folder(tmp_path: Path) -> None:
    there = tmp_path / "there"
    for folder, option in ((tmp_path, ("--directory", str(there))), (there, ())):
        there.mkdir(exist_ok=True)
        output = snakemake(folder, "--snakefile", str(ROOT / "Snakefile"), *option, "-n", "zoos")
        assert str(ROOT / "profiles/default") in output
        zoos = yaml.safe_load((ROOT / "workflow_config.yaml").read_text())["zoos"]
        assert any(f"results/{zoo}/zoo/shard-0.json" in output for zoo in zoos)
    status, output = FORKS.run(
        "dwf_steps.cli.status",
        ["--snakefile", str(ROOT / "Snakefile"), "--directory", "there", "zoos"],
        tmp_path,
        environment() | {"PYTHONPATH": str(ROOT)},
    )
    assert status == 0 and "train_zoo: output files have to be generated" in output
    assert [path.name for path in tmp_path.iterdir()] == ["there"]  # not even Snakemake's own folder


def test_a_default_configuration_in_the_working_directory_takes_precedence(tmp_path: Path) -> None:
    (tmp_path / "workflow_config.yaml").write_text("mistaken: 1")
    output = snakemake(tmp_path, "--snakefile", str(ROOT / "Snakefile"), "-n", fails=True)
    assert "unknown key 'mistaken'" in output


def test_another_workflow_can_use_this_one_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(ANOTHER_WORKFLOW)
    grid = {
        "zoos": ["wine"],
        "canonicalizations": ["git_rebasin"],
        "subspaces": ["raw"],
        "generators": ["noise"],
    }
    config = {
        "zoos": {"wine": {"dataset": "wine", "architecture": {"widths": [13, 3]}}},
        "subspaces": {"raw": {"method": "none"}},
        "experiments": [grid],
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    output = snakemake(tmp_path, "-n")
    assert "results/wine/git_rebasin/weights/raw/noise/none/metrics.csv" in output
    assert "rule dwf_evaluate:" in output


def test_steps_end_with_snakemake_and_their_threads_wait_without_spinning(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SURROUNDINGS)
    snakemake(tmp_path, "surroundings", PYTHONPATH=str(ROOT), OMP_WAIT_POLICY="")
    variables = dict(line.split("=", 1) for line in (tmp_path / "variables").read_text().splitlines())
    assert variables["OMP_WAIT_POLICY"] == "passive"
    assert int(variables["DWF_ENDS_WITH_PARENT"]) > 0


APPTAINER = """#!/bin/sh
[ "$1" = --version ] && echo "apptainer version 1.4.0" && exit
echo "$@" > apptainer.log
while [ "$1" != -c ]; do shift; done
sh -c "$2" &
wait $!
"""


def test_in_a_container_steps_do_not_wait_for_their_parents_end(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SURROUNDINGS)
    program = tmp_path / "bin/apptainer"
    program.parent.mkdir()
    program.write_text(APPTAINER)
    program.chmod(0o755)
    found = {"PATH": f"{program.parent}:{environment()['PATH']}", "PYTHONPATH": str(ROOT)}
    arguments = ("surroundings", "--sdm", "apptainer")
    assert "DWF_CONTAINER names no image" in snakemake(tmp_path, *arguments, fails=True, **found)
    (tmp_path / "dwf.sif").touch()
    snakemake(tmp_path, *arguments, **found, DWF_CONTAINER="dwf.sif")
    assert f"exec --home {tmp_path}" in (tmp_path / "apptainer.log").read_text()
    assert " dwf.sif " in (tmp_path / "apptainer.log").read_text()
    variables = dict(line.split("=", 1) for line in (tmp_path / "variables").read_text().splitlines())
    assert variables["DWF_ENDS_WITH_PARENT"] == ""
