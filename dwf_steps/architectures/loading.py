"""Loading networks from their files."""

from pathlib import Path

import torch
from pydantic import TypeAdapter
from torch import nn

from dwf_steps.architectures import build
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.networks import ARCHITECTURE, load_state, read_metadata


def load_network(path: str | Path) -> nn.Module:
    """Load a network as a PyTorch module.

    Parameters
    ----------
    path
        A safetensors file written by this workflow.

    Returns
    -------
    The module, in evaluation mode.

    Raises
    ------
    InputError
        If the file is unreadable or does not state its architecture.
    """
    path = Path(path)
    metadata = read_metadata(path)
    if ARCHITECTURE not in metadata:
        raise InputError(
            f"{path}: no '{ARCHITECTURE}' in the file's metadata (found {sorted(metadata)}); "
            "only networks written by this workflow can be rebuilt from the file alone"
        )
    config = TypeAdapter(ArchitectureConfig).validate_json(metadata[ARCHITECTURE])
    architecture = build(config)
    state = {name: torch.from_numpy(array) for name, array in load_state(path).items()}
    module = architecture.module()
    module.load_state_dict(state | {name: state[kept] for name, kept in architecture.tied.items()})
    return module.eval()
