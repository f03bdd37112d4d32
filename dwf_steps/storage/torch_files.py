"""Reading `.pt` files: tensors only, and damage is one kind of error."""

import struct
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.networks import unreadable

# On bytes that are no checkpoint, or half of one, the unpickler fails wherever it happens to be.
DAMAGE = (struct.error, OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError, AttributeError)


def load_tensors(path: Path) -> Any:
    """Return what ``torch.save`` wrote, on the CPU.

    Raises
    ------
    InputError
        If the file is missing, damaged, or holds anything but tensors and plain containers, which is
        never unpickled.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except UnpicklingError as error:
        if "weights_only" not in str(error).lower():
            raise unreadable(path, error) from error
        raise InputError(
            f"{path}: holds objects other than tensors, which are never unpickled, or is damaged; save it "
            "with torch.save(model.state_dict(), ...) or as safetensors"
        ) from error
    except DAMAGE as error:
        raise unreadable(path, error) from error
