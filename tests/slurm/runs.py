"""Running the workflow on a cluster, as a user would, and looking on."""

import re
import subprocess
import sys
from dataclasses import dataclass

from checkout import Checkout, environment
from slurm.cluster import Cluster

# What the profile leaves to the cluster, and asking it often. The plugin asks ten seconds later each time it
# finds no job ended, so that the first question comes when a micro-zoo's job has had the time to end.
SETTINGS = (
    *("--slurm-status-command", "squeue", "--slurm-no-account"),
    *("--slurm-init-seconds-before-status-checks", "8", "--seconds-between-status-checks", "1"),
)


@dataclass(frozen=True)
class ClusterRun:
    """A run of `snakemake --profile slurm` in a checkout."""

    checkout: Checkout
    cluster: Cluster
    process: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, checkout: Checkout, cluster: Cluster, *arguments: str) -> "ClusterRun":
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", *arguments, *SETTINGS]
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
        """Return the job that Snakemake submitted, like `rule_train_zoo/micro_0`, by Slurm's job id."""
        lines = re.findall(
            r"submitted with SLURM jobid (\d+) \(log: \S+/slurm_logs/(\S+)/\S+\.log\)", self.output
        )
        return dict(lines)

    def at_work(self, job: str, log: str) -> str:
        """Wait until a job's step has begun to write its log; return Slurm's job id."""

        def begun() -> bool:
            assert self.process.poll() is None, self.output[-8000:]
            return job in self.submitted().values() and (self.checkout.folder / log).is_file()

        self.cluster.wait_for(begun, f"{job} to be at work", seconds=900)
        return next(number for number, name in self.submitted().items() if name == job)
