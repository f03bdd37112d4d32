"""A GPU's memory, and checks of whether the jobs of an experiment fit into it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dwf_steps.pipeline.load import listing
from dwf_steps.pipeline.settings.generate import FitGenerator
from dwf_steps.pipeline.settings.zoo import TrainZoo
from dwf_steps.pipeline.sizes import Sizes
from dwf_steps.pipeline.steps import Step
from dwf_steps.runtime import gpu
from dwf_steps.runtime.errors import InputError

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

    from dwf_steps.pipeline.experiment import Experiment, Names

RESOURCE = "gpu_memory_mb"
"""Name of the `--resources` value that states the memory of a cluster's GPUs."""
SECONDS = 10  # for nvidia-smi to answer


@dataclass(frozen=True)
class Card:
    """The smallest GPU that jobs may get.

    Attributes
    ----------
    memory_mb
        Its memory in MB.
    source
        Where this number comes from, for messages.
    every_job
        Whether every job that can use a GPU gets it, or only those that request one by `Step.gpu`.
    """

    memory_mb: int
    source: str
    every_job: bool

    @classmethod
    def of(cls, workflow: Workflow) -> Card | None:
        """Return the GPU that jobs will get; None if it is not known."""
        stated = workflow.global_resources.get(RESOURCE).value
        if isinstance(stated, int) and stated > 0:
            return cls(stated, f"--resources {RESOURCE}={stated}", every_job=False)
        found = visible_memory_mb() if workflow.local_exec else None
        return None if found is None else cls(found, "nvidia-smi", every_job=True)


def visible_memory_mb() -> int | None:
    """Return the memory of the smallest GPU that steps on this machine see.

    Returns
    -------
    In MiB; None if there is no GPU or no `nvidia-smi`.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    program = shutil.which("nvidia-smi")
    if program is None or visible in ("", "-1", "NoDevFiles"):
        return None
    command = [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            [*command, *([] if visible is None else ["-i", visible])],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    numbers = [int(line) for line in done.stdout.split() if line.isdigit()]
    return min(numbers, default=None) if done.returncode == 0 else None


def require_memory(workflow: Workflow, experiment: Experiment) -> None:
    """Refuse an experiment with jobs that are known not to fit on the run's GPUs.

    Parameters
    ----------
    workflow
        Snakemake's.
    experiment
        The experiment to run.

    Raises
    ------
    InputError
        Listing what does not fit.
    """
    card = Card.of(workflow) if workflow.is_main_process and os.environ.get(gpu.VARIABLE) != "no" else None
    if card is not None and (problems := list(memory_problems(experiment, card))):
        raise InputError(listing(problems))


def memory_problems(experiment: Experiment, card: Card) -> Iterator[str]:
    """Yield a line for every job that cannot fit on a GPU, even with the smallest possible batches.

    Parameters
    ----------
    experiment
        The experiment to run.
    card
        The GPU.

    Yields
    ------
    The key of the setting, the memory needed and found, and what to change.
    """
    room = (card.memory_mb - gpu.WORKING_MB) * 2**20
    fitted = set(experiment.fitted_by.values())
    for name in experiment.trained_zoos:
        cell = next((cell for cell in experiment.cells if cell.zoo == name), None)
        if cell is not None and _excess(TrainZoo, experiment, cell, card, room):
            sizes = Sizes(experiment, cell)
            one = sizes.on_gpu(1)
            each = sizes.on_gpu(2) - one
            most = int((room - one) // each) + 1
            remedy = f"lower it to {most}" if most > 0 else "lower training.batch_size"
            yield _problem(
                f"zoos.{name}.shard_size",
                f"training {sizes.trained} networks at once",
                sizes.on_gpu(sizes.trained),
                card,
                remedy,
            )
    for cell in {(c.zoo, c.representation, c.subspace, c.generator): c for c in experiment.cells}.values():
        if cell.generator in fitted and _excess(FitGenerator, experiment, cell, card, room):
            needed = FitGenerator.gpu_bytes(Sizes(experiment, cell))
            remedy = "lower its network's width, or use a subspace of fewer components"
            yield _problem(
                f"generators.{cell.generator}", f"the fit to subspace {cell.subspace!r}", needed, card, remedy
            )


def _excess(
    settings: type[TrainZoo | FitGenerator], experiment: Experiment, names: Names, card: Card, room: float
) -> bool:
    """Return whether a job that gets a GPU needs more memory than it has."""
    nothing: Callable[[], Any] = lambda: None  # noqa: E731
    has_card = card.every_job or Step(settings, experiment, nothing).gpu(names)
    return bool(has_card) and settings.gpu_bytes(Sizes(experiment, names)) > room


def _problem(key: str, what: str, needed: float, card: Card, remedy: str) -> str:
    return (
        f"{key}: {what} takes {needed / 2**30:.1f} GiB of GPU memory at least, and "
        f"CUDA itself {gpu.WORKING_MB / 1024:.0f} GiB; found {card.memory_mb / 1024:.1f} GiB "
        f"({card.source}); {remedy}, or use a larger GPU (or none: --resources gpu=0)"
    )
