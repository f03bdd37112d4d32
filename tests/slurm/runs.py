"""Running the workflow on a cluster, as a user would, and looking on."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from checkout import Checkout, environment
from slurm.cluster import Cluster

PROMPT_SNAKEMAKE = str(Path(__file__).with_name("prompt_snakemake.py"))
# What the profile leaves to the cluster.
SETTINGS = ("--slurm-status-command", "squeue", "--slurm-no-account", "--max-status-checks-per-second", "4")


@dataclass(frozen=True)
class ClusterRun:
    """A run of `snakemake --profile slurm` in a checkout."""

    checkout: Checkout
    cluster: Cluster
    process: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, checkout: Checkout, cluster: Cluster, *arguments: str) -> "ClusterRun":
        command = [sys.executable, PROMPT_SNAKEMAKE, "--profile", "slurm", *arguments, *SETTINGS]
        with (checkout.folder / "run.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--configfile", "experiment.yaml"],
                cwd=checkout.folder,
                env={**environment(), **cluster.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return cls(checkout, cluster, process)

    @property
    def output(self) -> str:
        """All that Snakemake has printed."""
        return (self.checkout.folder / "run.log").read_text()

    def finish(self, seconds: float = 900) -> str:
        """Wait for the end of a successful run and return its output."""
        status = self.process.wait(timeout=seconds)
        assert status == 0, self.output[-8000:]
        return self.output

    def submitted(self) -> dict[str, str]:
        """Return the job that Snakemake submitted, like `rule_divide_data/micro`, by Slurm's job id; tasks
        of an array, like `rule_train_zoo`, by `3_1`."""
        output = self.output
        jobs: dict[str, str] = dict(
            re.findall(r"submitted with SLURM jobid (\d+) \(log: \S+/slurm_logs/(\S+)/\S+\.log\)", output)
        )
        rules = {
            number: rule
            for rule, number in re.findall(r"^rule (\w+):\n(?: .*\n)*? +jobid: (\d+)$", output, re.M)
        }
        for numbers, array in re.findall(
            r"^Submitted array job with Snakemake IDs (\S+) and SLURM job ID (\d+)\.", output, re.M
        ):
            for task, number in enumerate(numbers.split(","), 1):
                jobs[f"{array}_{task}"] = f"rule_{rules[number]}"
        return jobs

    def at_work(self, job: str, log: Path) -> str:
        """Wait until a job's step has begun to write its log; return Slurm's job id."""

        def begun() -> bool:
            assert self.process.poll() is None, self.output[-8000:]
            return any(name.startswith(job) for name in self.submitted().values()) and log.is_file()

        self.cluster.wait_for(begun, f"{job} to be at work", seconds=900)
        return next(number for number, name in self.submitted().items() if name.startswith(job))
