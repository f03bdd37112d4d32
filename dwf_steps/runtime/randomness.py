"""Every random draw of the workflow starts here, from (purpose, keys) hashed with SHA-256."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive_seed(purpose: str, *keys: int | str) -> int:
    """Return a 63-bit seed that is independent for every (purpose, keys)."""
    text = "\x1f".join([purpose, *map(str, keys)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(purpose: str, *keys: int | str) -> np.random.Generator:
    """Return a NumPy generator for one purpose."""
    return np.random.default_rng(derive_seed(purpose, *keys))


def torch_generator(purpose: str, *keys: int | str) -> torch.Generator:
    """Return a CPU generator for one purpose; draws are made on the CPU so that devices agree."""
    import torch

    return torch.Generator().manual_seed(derive_seed(purpose, *keys))
