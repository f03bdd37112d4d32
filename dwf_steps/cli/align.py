"""Align one network to another: reorder its units to match; its function stays, and that is verified."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.cli.options import (
    add_network_options,
    alignment_methods,
    architecture_of,
    command_parser,
    files_of,
    validated,
    yaml_value,
)
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.imported_networks import ImportedNetwork
from dwf_steps.config.network_files import NetworkFiles
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.runtime.command_line import run
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.networks import save_network
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.git_rebasin import squared_norms
from dwf_steps.zoo.canonicalizing import canonicalized
from dwf_steps.zoo.importing import read_networks

PROBES = 256  # random inputs on which functions are compared where there are no data


@dataclass(frozen=True)
class Alignment:
    """A network aligned to a reference.

    Attributes
    ----------
    network
        Its arrays by name, units reordered.
    before, after
        Euclidean distances to the reference, over all parameters.
    function_change
        The largest change of an output, relative to the largest output, in float64.
    """

    network: NetworkState[np.ndarray]
    before: float
    after: float
    function_change: float


def align(
    reference: str | Path,
    network: str | Path,
    architecture: Mapping[str, Any] | ArchitectureConfig | None = None,
    output: str | Path | None = None,
    *,
    files: Mapping[str, Any] | None = None,
    canonicalization: Any = None,
    data: str | Path | None = None,
) -> Alignment:
    """Align a network to a reference of the same architecture.

    Parameters
    ----------
    reference, network
        Files of state dicts, `.safetensors` or `.pt`.
    architecture
        As a configuration has it: ``{"widths": [784, 10, 10]}``. Without one the reference's file names it.
    output
        Where the aligned network is written, as `.safetensors`.
    files
        How networks lie in their files, as a zoo has it: ``{"keys": {"fc1": "layers.0"}}``, ...
    canonicalization
        How it is aligned, as a configuration has it; by default ``["git_rebasin"]``, of transformers
        ``["transfusion"]``.
    data
        A file `data.npz` that the workflow divided: functions are compared on its training inputs, and units
        respond to them where a method matches by that. Without one they are compared on random inputs.

    Returns
    -------
    The aligned network, its distances to the reference, and by how much its function changed.

    Raises
    ------
    InputError
        If a file cannot be read or does not fit, or the architecture states no symmetry.
    NumericalError
        If the network's function changed: the architecture's symmetries are not stated correctly.
    """
    config = architecture_of(architecture, reference)
    built = build(config)
    methods = alignment_methods(canonicalization, built)
    if not methods:
        raise InputError(
            f"{config.called}: states no symmetry by which networks could be aligned (`permutation_spec`)"
        )
    contents: NetworkFiles = validated(NetworkFiles, "files", files or {})
    sources = [ImportedNetwork(Path(path).stem, Path(path), None, {}) for path in (reference, network)]
    read = [read_networks([source], built, contents) for source in sources]
    train = Dataset.load(Path(data)).train if data is not None else _random_inputs(built)
    aligned = canonicalized(built, [str(network)], read[1], methods, read[0], train)
    state = aligned.networks.network(0)
    if output is not None:
        if Path(output).suffix != ".safetensors":
            raise InputError(f"{output}: is no safetensors file; choose a name that ends with .safetensors")
        with replacing(Path(output)) as partial:
            save_network(partial, state, config.model_dump(), built.buffers)
    return Alignment(
        state,
        _distance(built, read[1], read[0]),
        _distance(built, aligned.networks, aligned.reference),
        float(aligned.function_change[0]),
    )


def _random_inputs(architecture: Architecture) -> Split:
    """Return normal inputs, or random tokens, without targets."""
    config, draws = architecture.config, torch_generator("inputs of aligned networks")
    shape = (PROBES, config.features)
    if config.vocabulary_size is not None:
        inputs = torch.randint(1, config.vocabulary_size, shape, generator=draws).float()
    else:
        inputs = torch.randn(shape, generator=draws)
    return Split(inputs.numpy(), np.zeros(PROBES, np.int64))


def _distance(
    architecture: Architecture, one: StackedNetworks[np.ndarray], other: StackedNetworks[np.ndarray]
) -> float:
    parameters = architecture.parameters_of(one)
    apart = {name: array.astype(np.float64) - other[name] for name, array in parameters.items()}
    return float(np.sqrt(squared_norms(StackedNetworks(apart)))[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `dwf align`.

    Parameters
    ----------
    arguments
        What was typed behind it; by default the process's own arguments.
    """
    options = command_parser("align", __doc__)
    options.add_argument("reference", type=Path, help="the network that stays as it is")
    options.add_argument("network", type=Path, help="the network whose units are reordered")
    options.add_argument("-o", "--output", type=Path, required=True, help="where the aligned one is written")
    add_network_options(options)
    options.add_argument(
        "--canonicalization", type=yaml_value, help="how it is aligned; by default [git_rebasin]"
    )
    options.add_argument("--data", type=Path, help="a data.npz of the workflow's, to compare functions on")
    args = options.parse_args(arguments)
    found = align(
        args.reference,
        args.network,
        args.architecture,
        args.output,
        files=files_of(args),
        canonicalization=args.canonicalization,
        data=args.data,
    )
    inputs = "random inputs" if args.data is None else "training inputs"
    print(f"distance to {args.reference}: {found.before:.4g} before, {found.after:.4g} after")
    print(f"largest change of an output on {inputs}: {found.function_change:.1e} relative")
    print(f"wrote {args.output}")


if __name__ == "__main__":
    run(main)
