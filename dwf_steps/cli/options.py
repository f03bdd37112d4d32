"""Options that the commands share: YAML values, and how networks are stored."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import TypeAdapter, ValidationError

from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.canonicalization import Canonicalization, Method
from dwf_steps.pipeline.load import described
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.atomic import replacing
from dwf_steps.zoo.stored import Place, find_networks


def yaml_value(text: str) -> Any:
    """Parse a YAML value from the command line.

    Parameters
    ----------
    text
        YAML.

    Returns
    -------
    The value.

    Raises
    ------
    argparse.ArgumentTypeError
        If the text is not valid YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not valid YAML ({' '.join(str(error).split())}); put it in quotes, as in "
            "'{widths: [784, 10, 10]}'"
        ) from None


def yaml_mapping(text: str) -> dict[str, Any]:
    """Parse a YAML mapping from the command line.

    Parameters
    ----------
    text
        YAML, such as ``{widths: [784, 10, 10]}``.

    Returns
    -------
    The mapping.

    Raises
    ------
    argparse.ArgumentTypeError
        If the text is not valid YAML, or not a mapping.
    """
    value = yaml_value(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a mapping; expected one such as '{{widths: [784, 10, 10]}}'"
        )
    return value


def validated(kind: Any, key: str, value: Any) -> Any:
    """Validate a value as part of a configuration.

    Parameters
    ----------
    kind
        The type, such as a section of the configuration.
    key
        The name of the value, for messages.
    value
        The value, of plain Python types.

    Returns
    -------
    An instance of the type.

    Raises
    ------
    InputError
        If the value is not valid; the message has the place below ``key``, the value found and the expected
        one.
    """
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first: Any = error.errors()[0]
        raise InputError(described(first | {"loc": (key, *first["loc"])}, {key: value})) from error


def architecture_of(
    stated: Mapping[str, Any] | ArchitectureConfig | None, networks: Place
) -> ArchitectureConfig:
    """Determine the architecture of networks.

    Parameters
    ----------
    stated
        The architecture, or its configuration as a mapping; None to read it from the networks' files.
    networks
        Where the networks are, and how they are stored.

    Returns
    -------
    The architecture's configuration.

    Raises
    ------
    InputError
        If the configuration is not valid, or the files do not state an architecture.
    """
    if stated is None:
        stated = find_networks(networks).stated_architecture()
    if not isinstance(stated, Mapping):
        return stated
    config: ArchitectureConfig = validated(ArchitectureConfig, "architecture", dict(stated))
    return config


def alignment_methods(stated: Any, architecture: Architecture) -> list[Method]:
    """Determine the methods that align networks.

    Parameters
    ----------
    stated
        A canonicalization in the form of the configuration file; None to choose by architecture.
    architecture
        The networks' architecture.

    Returns
    -------
    The methods in order. Chosen by architecture: TransFusion for transformers, Git Re-Basin for other
    architectures with permutation symmetries, no method for the rest.

    Raises
    ------
    InputError
        If the canonicalization is not valid.
    """
    if stated is None:
        suited = {"attention_spec": "transfusion", "permutation_spec": "git_rebasin"}
        stated = [method for symmetry, method in suited.items() if symmetry in architecture.symmetries][:1]
    methods: list[Method] = validated(Canonicalization, "canonicalization", stated)
    return methods


def command_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return the argument parser of a command.

    Parameters
    ----------
    name
        The command, as in ``dwf {name}``.
    description
        The command's docstring; its first line is shown.

    Returns
    -------
    A parser without options.
    """
    return argparse.ArgumentParser(prog=f"dwf {name}", description=(description or "").split("\n")[0])


def add_network_options(options: argparse.ArgumentParser) -> None:
    """Add the options ``--architecture``, ``--keys`` and ``--files``, which state how networks are stored.

    Parameters
    ----------
    options
        The parser to extend.
    """
    options.add_argument(
        "--architecture",
        type=yaml_mapping,
        help="as in a configuration, '{widths: [784, 10, 10]}'; not needed for files of this workflow",
    )
    options.add_argument(
        "--keys",
        type=yaml_mapping,
        default={},
        help="renames the beginnings of the files' keys, '{fc1: layers.0, fc2: layers.1}'",
    )
    options.add_argument(
        "--files",
        type=yaml_mapping,
        default={},
        help="a zoo's other keys for its files, '{state_dict: model, drop: [\"*.position_ids\"]}'",
    )


def files_of(args: argparse.Namespace) -> dict[str, Any]:
    """Combine the options ``--files`` and ``--keys``.

    Parameters
    ----------
    args
        Parsed arguments.

    Returns
    -------
    How networks are stored, as in a zoo's configuration.
    """
    return args.files | ({"keys": args.keys} if args.keys else {})


def add_data_options(options: argparse.ArgumentParser) -> None:
    """Add the options ``--data-dir`` and ``--splits``, for where data sets are and how they are divided.

    Parameters
    ----------
    options
        The parser to extend.
    """
    options.add_argument(
        "--data-dir", type=Path, default=Path("data"), help="the folder of data sets that are not built in"
    )
    options.add_argument(
        "--splits", type=yaml_mapping, default={}, help="how the data are divided, '{test: 0.2, seed: 0}'"
    )


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a csv file without a digest, for people and other programs, atomically.

    Parameters
    ----------
    path
        The csv file.
    table
        Its rows; the index is not written.
    """
    with replacing(path) as partial:
        table.to_csv(partial, index=False)


def available_cores() -> int:
    """Count the cores that this process may use.

    Returns
    -------
    The number of cores.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
