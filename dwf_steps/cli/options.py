"""What the commands that people type share: values in YAML on the command line, and networks' options."""

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
    """Return what a YAML text on the command line stands for."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no YAML ({' '.join(str(error).split())}); put it in quotes, as "
            "'{widths: [784, 10, 10]}'"
        ) from None


def yaml_mapping(text: str) -> dict[str, Any]:
    """Return the mapping that a YAML text on the command line stands for."""
    value = yaml_value(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no mapping; expected one as '{{widths: [784, 10, 10]}}'"
        )
    return value


def validated(kind: Any, key: str, value: Any) -> Any:
    """Return what a value stands for in a configuration, a section or another type.

    Raises
    ------
    InputError
        If it does not fit, with the place below ``key``, what was found and what is expected.
    """
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first: Any = error.errors()[0]
        raise InputError(described(first | {"loc": (key, *first["loc"])}, {key: value})) from error


def architecture_of(
    stated: Mapping[str, Any] | ArchitectureConfig | None, networks: Place
) -> ArchitectureConfig:
    """Return the architecture that is stated, or else the one that the networks' files name."""
    if stated is None:
        stated = find_networks(networks).stated_architecture()
    if not isinstance(stated, Mapping):
        return stated
    config: ArchitectureConfig = validated(ArchitectureConfig, "architecture", dict(stated))
    return config


def alignment_methods(stated: Any, architecture: Architecture) -> list[Method]:
    """Return the methods of a canonicalization that is stated as a configuration has it, or else those that
    suit the architecture's symmetries: TransFusion, Git Re-Basin, or none."""
    if stated is None:
        suited = {"attention_spec": "transfusion", "permutation_spec": "git_rebasin"}
        stated = [method for symmetry, method in suited.items() if symmetry in architecture.symmetries][:1]
    methods: list[Method] = validated(Canonicalization, "canonicalization", stated)
    return methods


def command_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser of `dwf {name}`."""
    return argparse.ArgumentParser(prog=f"dwf {name}", description=(description or "").split("\n")[0])


def add_network_options(options: argparse.ArgumentParser) -> None:
    """Add what says how networks' files are read."""
    options.add_argument(
        "--architecture",
        type=yaml_mapping,
        help="as a configuration has it, '{widths: [784, 10, 10]}'; files of this workflow name theirs",
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
        help="what else a zoo says of its files, '{state_dict: model, drop: [\"*.position_ids\"]}'",
    )


def files_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the options say of how networks lie in their files."""
    return args.files | ({"keys": args.keys} if args.keys else {})


def add_data_options(options: argparse.ArgumentParser) -> None:
    """Add where data sets lie, and how they are divided."""
    options.add_argument(
        "--data-dir", type=Path, default=Path("data"), help="where data sets lie that are not built in"
    )
    options.add_argument(
        "--splits", type=yaml_mapping, default={}, help="how the data are divided, '{test: 0.2, seed: 0}'"
    )


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a csv file for people and other programs, atomically."""
    with replacing(path) as partial:
        table.to_csv(partial, index=False)


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
