"""Where to compute: chosen in one place."""

import torch


def select_device() -> torch.device:
    """Return CUDA when it is present, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
