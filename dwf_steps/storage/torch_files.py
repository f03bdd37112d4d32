"""Reading `.pt` files: tensors only, and damage is one kind of error."""

import logging
import struct
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.networks import unreadable

# On bytes that are no checkpoint, or half of one, the unpickler fails wherever it happens to be.
DAMAGE = (struct.error, OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError, AttributeError)

logger = logging.getLogger(__name__)


class LeftOut:
    """Stands where a file has something other than tensors and plain containers: nothing of that is created,
    imported or called."""

    def __new__(cls, *_: object) -> "LeftOut":
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


def load_tensors(path: Path, leave_out: bool = False) -> Any:
    """Return what ``torch.save`` wrote, on the CPU. Nothing but tensors and plain containers is ever
    unpickled.

    Parameters
    ----------
    leave_out
        Whether other objects may lie beside tensors, as hyperparameters do in checkpoints: each of them is a
        `LeftOut` then.

    Raises
    ------
    InputError
        If the file is missing, damaged, or holds other objects, unless they may be left out and there are
        tensors beside them.
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
    """Return a file's content with all that is no tensor or plain container left out; None if that fails."""
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
    """Say it once, of however many files."""
    logger.info("files have objects that are no tensors, which are left out: %s", names)


def _holds_tensors(content: Any) -> bool:
    if isinstance(content, dict):
        return any(map(_holds_tensors, content.values()))
    if isinstance(content, list | tuple):
        return any(map(_holds_tensors, content))
    return isinstance(content, torch.Tensor) and content.ndim > 0
