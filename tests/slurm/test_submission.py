"""What the executor plugin asks Slurm for, of jobs with and without a GPU, and what the profile may hold."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import Checkout, changed_config
from pipeline.test_resources import Request, requests, steps

pytest.importorskip("snakemake_executor_plugin_slurm")
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string

PROFILE = Path(__file__).resolve().parents[2] / "slurm/config.yaml"
SUBMISSION = {
    **{"run_uuid": "run", "slurm_logfile": "log", "comment_str": "comment", "workdir": "."},
    **{"account": "", "partition": ""},
}


class Resources(dict[str, Any]):
    """A job's resources, by attributes too."""

    __getattr__ = dict.__getitem__


class Job:
    """A job of a dry run, as the plugin sees it."""

    def __init__(self, request: Request) -> None:
        text = re.search(r"^    resources: (.*)$", request.text, re.M)
        assert text
        pairs = dict(pair.split("=", 1) for pair in text[1].split(", "))
        self.resources = Resources(
            {name: int(value) if value.isdigit() else value for name, value in pairs.items()}
        )
        threads = re.search(r"^    threads: (\d+)$", request.text, re.M)
        self.threads = int(threads[1]) if threads else 1

    @property
    def command(self) -> str:
        """The command that submits it."""
        return get_submit_command(self, SUBMISSION) + set_gres_string(self)


def commands(checkout: Checkout, *arguments: str) -> dict[str, str]:
    """Return the command of one job of each rule, with the profile for clusters."""
    found = requests(checkout, "--profile", "slurm", *arguments)
    return {request.rule: Job(request).command for request in found}


@pytest.fixture(scope="module")
def long(finished: Checkout) -> Any:
    """A checkout whose flows are long enough for a GPU."""
    with changed_config(finished, steps):
        yield finished


def test_a_gpu_is_asked_for_as_the_plugin_documents(long: Checkout) -> None:
    found = commands(long)
    assert found["fit_generator"].endswith(" --gpus=1") and "--ntasks" not in found["fit_generator"]
    for rule in ("stack_weights", "canonicalize", "solve_basis"):
        assert "--gpus" not in found[rule] and "--ntasks=1" in found[rule]
    for command in found.values():
        assert re.search(r" -t [1-9]\d* ", command) and re.search(r" --mem [1-9]\d* ", command)
        assert "--cpus-per-task=" in command


def test_a_model_and_a_partition_are_asked_for_where_the_profile_names_them(long: Checkout) -> None:
    asked = ("fit_generator:gpu_model=a100", "fit_generator:cpus_per_gpu=6")
    command = commands(long, "--set-resources", *asked)["fit_generator"]
    assert command.endswith(" --gpus=a100:1") and "--cpus-per-gpu=6" in command


def test_where_there_are_no_gpus_none_is_asked_for(long: Checkout) -> None:
    found = commands(long, "--resources", "gpu=0")
    assert found["fit_generator"] and not [rule for rule, command in found.items() if "--gpus" in command]


@pytest.mark.parametrize("without", ["groups", "set-resources"])
def test_the_profile_may_be_used_with_its_commented_lines(long: Checkout, without: str) -> None:
    """Rules that it names exist, and what it groups follows one another; a group has one partition."""
    lines = [re.sub(r"^(\s*)# (?=\s*[\w-]+:( |$))", r"\1", line) for line in PROFILE.read_text().splitlines()]
    profile = yaml.safe_load("\n".join(lines))
    assert {"default-resources", "set-resources", "groups", "slurm-array-jobs", "slurm-qos"} <= profile.keys()
    assert profile["resources"]["gpu_memory_mb"]
    named = {*profile["groups"], *profile["set-resources"]}
    del profile[without]
    folder = long.folder / f"without-{without}"
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(profile))
    (folder / "partitions.yaml").write_text("partitions: {}\n")
    output = long.snakemake("all", "--dry-run", "--forceall", "--profile", folder.name)
    missing = {"find_barycentre", "recalibrate"}  # which the micro-zoo does not need
    assert named - missing <= set(re.findall(r"^ *rule (\w+):$", output, re.M))
    assert ("gpu_model=a100" in output) == (without == "groups")
    assert "slurm_account=my_project" in output
