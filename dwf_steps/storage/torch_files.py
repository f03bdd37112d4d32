"""Safe reading of `.pt` files: only tensors are unpickled, and any damage raises `InputError`."""

import logging
import struct
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.networks import unreadable

# What the unpickler may raise on bytes that are not a checkpoint, or only half of one.
DAMAGE = (struct.error, OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError, AttributeError)

logger = logging.getLogger(__name__)


class LeftOut:
    """Placeholder for an object other than tensors and plain containers.

    The object itself is not created; its class is neither imported nor called.
    """

    def __new__(cls, *_: object) -> "LeftOut":
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


def load_tensors(path: Path, leave_out: bool = False) -> Any:
    """Read a file that ``torch.save`` wrote, unpickling only tensors and plain containers.

    Parameters
    ----------
    path
        The file.
    leave_out
        Whether the file may have other objects beside tensors, such as hyperparameters in checkpoints; each
        is replaced by `LeftOut`.

    Returns
    -------
    The file's content, with tensors on the CPU.

    Raises
    ------
    InputError
        If the file is missing or damaged, or has other objects although ``leave_out`` is false, or without
        any tensors.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except UnpicklingError as error:
        if "weights_only" not in str(error).lower():
            raise unreadable(path, error) from error
        if leave_out and _holds_tensors(content := _without_objects(path)):
            return content
        raise InputError(
            f"{path}: holds objects other than tensors, which are never unpickled, or is damaged; save it "
            "with torch.save(model.state_dict(), ...) or as safetensors"
        ) from error
    except DAMAGE as error:
        raise unreadable(path, error) from error


def _without_objects(path: Path) -> Any:
    """Return a file's content with other objects left out; None if it cannot be read."""
    try:
        names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
        with torch.serialization.safe_globals([(LeftOut, name) for name in names]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, *DAMAGE):
        return None
    _say_what_is_left_out(", ".join(names))
    return content


@cache
def _say_what_is_left_out(names: str) -> None:
    """Log which objects are left out, once for all files."""
    logger.info("files contain objects that are not tensors, which are left out: %s", names)


def _holds_tensors(content: Any) -> bool:
    if isinstance(content, dict):
        return any(map(_holds_tensors, content.values()))
    if isinstance(content, list | tuple):
        return any(map(_holds_tensors, content))
    return isinstance(content, torch.Tensor) and content.ndim > 0
