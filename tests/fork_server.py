"""Snakemake and steps as forks of one warm process, so that a test of the workflow waits for no imports.

A process with PyTorch costs two seconds before it works, and a run of a micro-zoo has a hundred of them. The
server imports third-party libraries once and forks for every run: the fork imports this package afresh, from
the folder it is asked to work in, with the arguments, environment and output that a new process would have.
What only a new process shows (kills, first lines, clusters) is tested with new processes.
"""

import importlib
import json
import os
import re
import runpy
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

PRELOADED = (
    *(
        "torch",
        "torch.func",
        "torchdiffeq",
        "numpy",
        "pandas",
        "zarr",
        "safetensors.torch",
        "safetensors.numpy",
    ),
    *("scipy.optimize", "scipy.spatial.distance", "scipy.stats", "sklearn.datasets", "sklearn.decomposition"),
    *(
        "sklearn.model_selection",
        "sklearn.utils.extmath",
        "matplotlib.pyplot",
        "tabulate",
        "jinja2",
        "PIL.Image",
    ),
    *("pyarrow.parquet", "google_crc32c", "threadpoolctl", "tqdm.contrib.logging", "pydantic", "yaml"),
    *("snakemake.cli", "snakemake.api", "snakemake.workflow", "snakemake.dag", "snakemake.executors.local"),
    *("snakemake.report.html_reporter", "snakemake_executor_plugin_slurm", "snakemake.utils", "pulp"),
)
ADDRESS = "FORK_SERVER"  # environment variable: the server's socket
STEP = re.compile(r"^(?:set -euo pipefail; +)?exec +python -m (dwf_steps\.\w+) ", re.S)


class Fork:
    """A fork at work, with as much of `subprocess.Popen` as Snakemake uses."""

    def __init__(
        self,
        address: str,
        module: str,
        arguments: Sequence[str],
        folder: Path,
        output: Path,
        env: Mapping[str, str],
    ) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(address)
        request = {
            "module": module,
            "arguments": list(arguments),
            "folder": str(folder),
            "output": str(output),
            "environment": dict(env),
        }
        self._file = self._socket.makefile("rw")
        self._file.write(json.dumps(request) + "\n")
        self._file.flush()
        self.pid = int(self._file.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, as `subprocess` has it."""
        if self.returncode is None:
            self._socket.settimeout(timeout)
            self.returncode = int(self._file.readline())
            self._file.close()
            self._socket.close()
        return self.returncode

    def poll(self) -> int | None:
        return self.returncode

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


class ForkServer:
    """The server of one test process, started when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="forks")

    def run(
        self, module: str, arguments: Sequence[str], folder: Path, env: Mapping[str, str]
    ) -> tuple[int, str]:
        """Run a module to its end; return its exit status and all it printed."""
        address = self._start()
        with tempfile.NamedTemporaryFile(dir=self._folder.name) as output:
            fork = Fork(address, module, arguments, folder, Path(output.name), {**env, ADDRESS: address})
            status = fork.wait()
            return status, Path(output.name).read_text(errors="replace")

    def _start(self) -> str:
        address = f"{self._folder.name}/socket"
        if self._process is None or self._process.poll() is not None:
            threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).resolve()), address],
                env=os.environ | threads | {"OMP_WAIT_POLICY": "passive"},
                stdin=subprocess.PIPE,
            )
            while not Path(address).exists():
                if self._process.poll() is not None:
                    raise RuntimeError(f"the fork server ended with status {self._process.returncode}")
                time.sleep(0.02)
        return address


def serve(address: str) -> dict[str, Any]:
    """Fork for every request. Returns in each fork, with its request; in the server when its parent ends."""
    listener = socket.socket(socket.AF_UNIX)
    partial = f"{address}.partial"
    listener.bind(partial)
    listener.listen(64)
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(ended, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    os.rename(partial, address)
    # Since Python 3.12 a fork warns of threads: those of the libraries hold no lock between two requests.
    warnings.filterwarnings("ignore", ".*multi-threaded", DeprecationWarning)
    waiting: dict[int, Any] = {}
    # What ended stays a zombie until its status was read, as with `subprocess`: benchmarks look for it.
    zombies: dict[Any, tuple[int, Any]] = {}
    with selectors.DefaultSelector() as selector:
        for source in (listener, ended, sys.stdin):
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:  # the parent has ended
                    os._exit(0)
                elif key.fileobj is listener:
                    connection = listener.accept()[0]
                    file = connection.makefile("rw")
                    request: dict[str, Any] = json.loads(file.readline())
                    pid = os.fork()
                    if pid == 0:
                        signal.set_wakeup_fd(-1)
                        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                        listener.close()
                        for other in (connection, *(pair[0] for pair in waiting.values()), *zombies):
                            other.close()
                        return request
                    file.write(f"{pid}\n")
                    file.flush()
                    waiting[pid] = connection, file
                elif key.fileobj in zombies:
                    pid, file = zombies.pop(key.fileobj)
                    selector.unregister(key.fileobj)
                    os.waitpid(pid, 0)
                    with suppress(BrokenPipeError):
                        file.close()
                    key.fileobj.close()
                else:
                    with suppress(BlockingIOError):
                        os.read(ended, 1024)
            for pid in list(waiting):
                result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if result is None:
                    continue
                connection, file = waiting.pop(pid)
                zombies[connection] = pid, file
                selector.register(connection, selectors.EVENT_READ)
                exited = result.si_code == os.CLD_EXITED
                with suppress(BrokenPipeError):
                    file.write(f"{result.si_status if exited else -result.si_status}\n")
                    file.flush()


def run(request: dict[str, Any]) -> None:
    """Become the process that was asked for, and end."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for descriptor, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(source, descriptor)
    path = [request["folder"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.path[:1] = path  # the first was this script's folder
    sys.argv = [request["module"], *request["arguments"]]
    if request["module"] == "snakemake":
        fork_steps()
    status = 0
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def fork_steps() -> None:
    """Make forks of the server of Snakemake's shell commands that run a step; leave all others alone."""
    shell: Any = importlib.import_module("snakemake.shell")
    address = os.environ[ADDRESS]

    class Processes:
        PIPE, STDOUT, CalledProcessError = subprocess.PIPE, subprocess.STDOUT, subprocess.CalledProcessError

        @staticmethod
        def Popen(command: Any, **options: Any) -> Any:
            found = STEP.match(command) if isinstance(command, str) else None
            if found is None:
                return subprocess.Popen(command, **options)
            words = shlex.split(command[found.end() :])
            *arguments, arrow, log, errors = words
            if (arrow, errors) != (">", "2>&1"):
                raise ValueError(f"a step writes `> log 2>&1`, found {words[-3:]}")
            return Fork(address, found[1], arguments, Path.cwd(), Path(log), options["env"])

        def __getattr__(self, name: str) -> Any:
            return getattr(subprocess, name)

    shell.sp = Processes()


def preload() -> None:
    """Import third-party libraries; of this package's own modules, through which some are, none is kept."""
    for name in PRELOADED:
        importlib.import_module(name)
    sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
    libraries = importlib.import_module("dwf_steps.runtime.libraries")
    libraries.torchvision("models")
    libraries.transformers("models.bert.modeling_bert")
    del sys.path[1]
    for name in [name for name in sys.modules if name.partition(".")[0] == "dwf_steps"]:
        del sys.modules[name]


if __name__ == "__main__":
    preload()
    run(serve(sys.argv[1]))
