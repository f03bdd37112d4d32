"""What a rule needs for its step: settings, fingerprint of the code, memory, time, threads, GPUs."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable

from dwf_steps.config.generators.base import GeneratorConfig
from dwf_steps.pipeline.experiment import Experiment, Names
from dwf_steps.pipeline.fingerprint import fingerprint
from dwf_steps.pipeline.settings.base import StepSettings
from dwf_steps.pipeline.sizes import Sizes
from dwf_steps.runtime import gpu
from dwf_steps.runtime.plugins import find_plugin

PROCESS_MB = 1000  # Python with PyTorch (450 measured) and, in a cluster's job, Snakemake around it twice
MEMORY_MARGIN = 1.5
START_MINUTES = 10  # environments and imports from a busy shared file system
TIME_MARGIN = 4
THREADS = 4  # where there is work for more than one
LARGE_NETWORK = 10_000  # weights: smaller ones train side by side, a thread each
LARGE_MATRIX = 10**8  # weights of all networks: jobs on smaller matrices run side by side


class Step:
    """One rule's step, with methods that are Snakemake's input functions."""

    def __init__(
        self, settings: type[StepSettings], experiment: Experiment, unbind_threads: Callable[[], None]
    ) -> None:
        self.name = step_name(settings)
        self._settings, self._experiment, self._unbind_threads = settings, experiment, unbind_threads

    def settings(self, wildcards: Names) -> str:
        """Return the settings for the step's command line."""
        return self._settings.of(self._experiment, wildcards).to_argument()

    def code(self, _wildcards: Names) -> str:
        """Return the fingerprint of the code that the step imports."""
        return fingerprint(f"dwf_steps.{self.name}")

    def fit_code(self, wildcards: Names) -> str:
        """Return the fingerprint of the step, the generator's code, and user code that the fit runs."""
        return self._generator_code(wildcards, self._experiment.generator(wildcards).as_fitted())

    def sampling_code(self, wildcards: Names) -> str:
        """Return the fingerprint of the step, the generator's code, and user code that sampling runs."""
        return self._generator_code(wildcards, self._experiment.generator(wildcards))

    def _generator_code(self, wildcards: Names, generator: GeneratorConfig) -> str:
        files = [
            find_plugin(target, f"generators.{wildcards.generator}.{key}").source_file
            for key, target in generator.plugins.items()
        ]
        return fingerprint(f"dwf_steps.{self.name}", *generator.modules, files=files)

    def threads(self, wildcards: Names) -> int:
        """Return the number of threads: one for small problems, of which several jobs run side by side."""
        self._unbind_threads()
        sizes = Sizes(self._experiment, wildcards)
        if self._settings.threads == "networks":
            return 1 if sizes.d < LARGE_NETWORK else THREADS
        if self._settings.threads == "matrix":
            return 1 if sizes.n * sizes.coordinates < LARGE_MATRIX else THREADS
        return 1

    def mem_mb(self, wildcards: Names, attempt: int) -> int:
        """Return the requested memory in MB: the estimate with a margin, increasing with each attempt."""
        held = self._settings.work(Sizes(self._experiment, wildcards)).held
        process = PROCESS_MB + gpu.HOST_MB * self.gpu(wildcards)
        return attempt * (process + math.ceil(MEMORY_MARGIN * held / 2**20))

    def runtime(self, wildcards: Names, attempt: int) -> int:
        """Return the requested minutes: the step's estimate with a margin, increasing with each attempt."""
        return attempt * (START_MINUTES + math.ceil(TIME_MARGIN * self.seconds(wildcards) / 60))

    def seconds(self, wildcards: Names) -> float:
        """Return the estimated duration of the job in seconds."""
        sizes = Sizes(self._experiment, wildcards)
        seconds = self._settings.work(sizes).seconds
        if not self.gpu(wildcards):
            return seconds
        small = self._settings.small_operations or sizes.multiplications < gpu.LARGE_NETWORK
        rest = self._settings.seconds_without_gpu(sizes)
        return rest + (seconds - rest) / (gpu.SPEED if small else gpu.SPEED_LARGE)

    def disk(self, wildcards: Names) -> float:
        """Return the bytes of the large files that the job leaves."""
        return self._settings.disk(Sizes(self._experiment, wildcards))

    def gpu(self, wildcards: Names) -> int:
        """Return the number of GPUs: one if the work is long and can use it, otherwise none."""
        if not self._settings.accelerated or os.environ.get(gpu.VARIABLE) == "no":
            return 0
        sizes = Sizes(self._experiment, wildcards)
        return int(self._settings.uses_gpu(sizes) and self._settings.work(sizes).seconds > gpu.SECONDS)


def step_name(settings: type[StepSettings]) -> str:
    """Return the name of the rule, and of the module, for a class of settings.

    Parameters
    ----------
    settings
        Such as `TrainZoo`.

    Returns
    -------
    Such as ``train_zoo``.
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", settings.__name__).lower()
