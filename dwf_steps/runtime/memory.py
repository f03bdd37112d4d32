"""A device whose memory is exhausted: what was run at once is halved, and run again."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

# What CUDA and its libraries say where PyTorch's own allocator was not asked.
OTHER_MESSAGES = ("CUDA error: out of memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")

ADVICE = (
    "lower what is held at once: where networks are trained the zoo's `shard_size` or a `batch_size`, where "
    "a generator is fitted its `training.batch_size` or its network's `width`, where it is sampled "
    "`sampling.samples`, where networks are decoded `matrix.memory_mb`; or let fewer jobs share the GPU"
)


def in_halves(size: int, run: Callable[[int], Result], what: str) -> tuple[Result, int]:
    """Return what ``run`` returns for ``size`` at once, or else for half of it, and so on until the device's
    memory is enough; and for how many at once that was.

    Parameters
    ----------
    run
        Does all of its work, a number at a time; does it from the beginning where it is called again.
    what
        What is run at once, in messages.

    Raises
    ------
    RuntimeError
        If the memory is not enough for one at a time.
    """
    while True:
        try:
            return run(size), size
        except RuntimeError as error:
            if size <= 1 or not is_exhausted(error):
                raise
            message = first_line(error)
        # Out here: while an exception is handled, its frames keep what they hold.
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        size = (size + 1) // 2
        logger.warning("%s; going on with %d %s at once", message, size, what)


def is_exhausted(error: BaseException) -> bool:
    """Return whether an error says that a device's memory is not enough."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in OTHER_MESSAGES)
    )


def first_line(error: BaseException) -> str:
    """Return what was asked for and what is free, of PyTorch's long message."""
    return str(error).split("\n")[0].split(" Of the allocated memory")[0].rstrip(". ")


def exhausted(error: BaseException) -> str:
    """Return what a user is told of a device whose memory is not enough."""
    said = first_line(error)
    return f"the GPU's memory is not enough, even with as little at once as can be ({said}); {ADVICE}"
