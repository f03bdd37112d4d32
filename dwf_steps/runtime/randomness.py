"""Random number generators, seeded by the SHA-256 of (purpose, keys)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive_seed(purpose: str, *keys: int | str) -> int:
    """Derive an independent seed for every combination of purpose and keys.

    Parameters
    ----------
    purpose
        What the draws are for, such as "subsets".
    keys
        Seeds and names that distinguish draws for the same purpose.

    Returns
    -------
    A 63-bit integer.
    """
    text = "\x1f".join([purpose, *map(str, keys)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(purpose: str, *keys: int | str) -> np.random.Generator:
    """Return a NumPy generator for one purpose.

    Parameters
    ----------
    purpose
        What the draws are for.
    keys
        Seeds and names that distinguish draws for the same purpose.

    Returns
    -------
    A generator with the seed of `derive_seed`.
    """
    return np.random.default_rng(derive_seed(purpose, *keys))


def torch_generator(purpose: str, *keys: int | str) -> torch.Generator:
    """Return a PyTorch generator for one purpose.

    Parameters
    ----------
    purpose
        What the draws are for.
    keys
        Seeds and names that distinguish draws for the same purpose.

    Returns
    -------
    A CPU generator with the seed of `derive_seed`; drawing on the CPU gives the same numbers on all devices.
    """
    import torch

    return torch.Generator().manual_seed(derive_seed(purpose, *keys))
