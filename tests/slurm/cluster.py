"""A real Slurm on one machine, in one folder: started without systemd, gone when it is stopped.

As a script: `python tests/slurm/cluster.py COMMAND ...` runs a command on such a cluster, a shell if none is
given.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = ("slurm-wlm", "munge")
PROGRAMS = ("slurmctld", "slurmd", "munged", "mungekey", "sbatch", "squeue", "scontrol", "scancel")
SYSTEM_PATH = os.pathsep.join(["/usr/sbin", "/usr/bin", "/sbin", "/bin"])
CPUS = 3

SLURM_CONF = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
MinJobAge=3600
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=1440 State=UP
"""


class Unavailable(Exception):
    """Why there is no Slurm here."""


@dataclass
class Cluster:
    """A running Slurm; commands find it through ``environment``."""

    folder: Path
    daemons: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to talk to this cluster and to no other."""
        return {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": os.pathsep.join([str(self.folder / "bin"), os.environ.get("PATH", ""), SYSTEM_PATH]),
        }

    def run(self, *command: str) -> str:
        """Run a Slurm command and return what it prints."""
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}")
        return done.stdout

    def ended_jobs(self) -> dict[str, dict[str, str]]:
        """Return Slurm's own record of every job that ended, by job id; an array's tasks by `3_1`."""
        records = self.folder / "jobs.txt"
        lines = records.read_text().splitlines() if records.exists() else []
        jobs = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]
        return {
            f"{job['ArrayJobId']}_{job['ArrayTaskId']}" if "ArrayJobId" in job else job["JobId"]: job
            for job in jobs
        }

    def start_daemon(self, name: str, *command: str) -> None:
        """Start a daemon in the foreground of its own session."""
        with (self.folder / f"{name}.out").open("ab") as out:
            self.daemons[name] = subprocess.Popen(
                command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_controller(self) -> None:
        """Start slurmctld; started again it continues from its saved state."""
        self.start_daemon("slurmctld", program("slurmctld"), "-D")

    def stop_controller(self) -> None:
        """Stop slurmctld, letting it save its state.

        Killed outright, Slurm itself forgets or repeats the jobs of the last seconds.
        """
        daemon = self.daemons.pop("slurmctld")
        daemon.terminate()
        daemon.wait(timeout=20)

    def wait_until_idle(self) -> None:
        """Wait until the node takes jobs."""
        self.wait_for(lambda: "idle" in self.run("sinfo", "--noheader", "--format=%t"), "the node to be idle")

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 300) -> None:
        """Wait for ``condition``, however busy the machine; a Slurm command that fails means not yet."""
        deadline, reason = time.monotonic() + seconds, ""
        while True:
            try:
                if condition():
                    return
            except RuntimeError as error:
                reason = str(error)
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}: {reason}\n{self.logs()}")
            time.sleep(0.1)

    def logs(self) -> str:
        """Return the ends of the daemons' logs."""
        return "\n".join(
            f"{path.name}:\n{path.read_text(errors='replace')[-2000:]}"
            for pattern in ("*.log", "*.out")
            for path in sorted(self.folder.glob(pattern))
        )

    def stop(self) -> None:
        """Stop all jobs, then all daemons."""
        if "slurmctld" in self.daemons and self.daemons["slurmctld"].poll() is None:
            subprocess.run(
                [program("scancel"), f"--user={os.geteuid()}"],
                env={**os.environ, **self.environment},
                timeout=60,
                check=False,
            )
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons.clear()


def program(name: str) -> str:
    """Return the path of a program of Slurm or munge, which lie in sbin."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), SYSTEM_PATH]))
    if not found:
        raise Unavailable(f"{name} is not installed; install the Debian packages {' '.join(PACKAGES)}")
    return found


def install() -> None:
    """Install Slurm with apt-get where it is missing and we may.

    Raises
    ------
    Unavailable
        If it is missing and cannot be installed.
    """
    try:
        for name in PROGRAMS:
            program(name)
    except Unavailable:
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise
    else:
        return
    for command in (
        ["apt-get", "update"],
        ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES],
    ):
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        if done.returncode:
            raise Unavailable(f"{' '.join(command)} failed: {done.stdout[-500:]}")


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a Slurm of one node in ``folder``, and stop it at the end.

    Raises
    ------
    Unavailable
        If it is missing and cannot be installed.
    TimeoutError
        If it does not start; the message holds the ends of the daemons' logs.
    """
    install()
    host = socket.gethostname().split(".")[0]
    for name in ("bin", "state", "spool"):
        (folder / name).mkdir(parents=True)
    # munged wants to be sure that nobody else can replace its socket or read its key.
    folder.chmod(0o755)
    configuration = SLURM_CONF.format(
        name=f"test{os.getpid()}",
        host=host,
        controller_port=free_port(),
        node_port=free_port(),
        folder=folder,
        user=os.environ.get("USER", "root") if os.geteuid() else "root",
        cpus=CPUS,
        memory_mb=CPUS * 8000,
    )
    (folder / "slurm.conf").write_text(configuration)
    # Snakemake's jobs start srun without SLURM_CONF; on a real cluster srun knows where to look.
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {program("srun")} "$@"\n')
    srun.chmod(0o755)
    result = Cluster(folder)
    try:
        result.run(program("mungekey"), "--create", f"--keyfile={folder}/munge.key")
        result.start_daemon(
            "munged",
            *(program("munged"), "--foreground", "--force"),
            *(f"--socket={folder}/munge.socket", f"--key-file={folder}/munge.key"),
            *(f"--pid-file={folder}/munge.pid", f"--seed-file={folder}/munge.seed"),
            f"--log-file={folder}/munged.log",
        )
        result.wait_for((folder / "munge.socket").exists, "munged")
        result.start_controller()
        result.start_daemon("slurmd", program("slurmd"), "-D", "-N", host)
        result.wait_until_idle()
        yield result
    finally:
        result.stop()


def main() -> int:
    command = sys.argv[1:] or [os.environ.get("SHELL", "/bin/sh")]
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as running:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return subprocess.run(command, env={**os.environ, **running.environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
