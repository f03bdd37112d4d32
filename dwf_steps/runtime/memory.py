"""Recovery from exhausted device memory: halve the batch and retry."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

# Messages of CUDA and its libraries for allocations that bypass PyTorch's allocator.
OTHER_MESSAGES = ("CUDA error: out of memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")

ADVICE = (
    "lower what is held at once: the zoo's `shard_size` or a `batch_size` when training networks, a "
    "generator's `training.batch_size` or its network's `width` when fitting, `sampling.samples` when "
    "sampling, `matrix.memory_mb` when decoding; or let fewer jobs share the GPU"
)


def in_halves(size: int, run: Callable[[int], Result], what: str) -> tuple[Result, int]:
    """Run a computation, halving its batch size until it fits into the device's memory.

    Parameters
    ----------
    size
        The batch size of the first attempt.
    run
        Does all of the work in batches of the given size. It starts from the beginning when it is called
        again.
    what
        What a batch consists of, for the log, such as "networks".

    Returns
    -------
    The result of ``run``, and the batch size that fitted.

    Raises
    ------
    RuntimeError
        If the memory is not enough for a batch of one; or any other error of ``run``.
    """
    while True:
        try:
            return run(size), size
        except RuntimeError as error:
            if size <= 1 or not is_exhausted(error):
                raise
            message = first_line(error)
        # Not in the handler: while an exception is handled, its frames keep their tensors alive.
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        size = (size + 1) // 2
        logger.warning("%s; continuing with %d %s at a time", message, size, what)


def is_exhausted(error: BaseException) -> bool:
    """Return whether an error was caused by a lack of device memory.

    Parameters
    ----------
    error
        The error.

    Returns
    -------
    Whether PyTorch, CUDA or one of its libraries could not allocate memory.
    """
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in OTHER_MESSAGES)
    )


def first_line(error: BaseException) -> str:
    """Shorten PyTorch's message about a lack of memory.

    Parameters
    ----------
    error
        The error.

    Returns
    -------
    The part that states how much was requested and how much is free.
    """
    return str(error).split("\n")[0].split(" Of the allocated memory")[0].rstrip(". ")


def exhausted(error: BaseException) -> str:
    """Return the message for the user when a device's memory is not enough.

    Parameters
    ----------
    error
        The error that PyTorch raised.

    Returns
    -------
    PyTorch's message, and the settings that reduce memory use.
    """
    said = first_line(error)
    return f"the GPU's memory is not enough, even for the smallest possible batch ({said}); {ADVICE}"
