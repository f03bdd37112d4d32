"""Choice of the device to compute on."""

import os

import torch

from dwf_steps.runtime import gpu


def select_device() -> torch.device:
    """Choose the device to compute on.

    Returns
    -------
    CUDA if it is present and the run may use it, else the CPU.
    """
    usable = torch.cuda.is_available() and os.environ.get(gpu.VARIABLE) != "no"
    return torch.device("cuda" if usable else "cpu")
