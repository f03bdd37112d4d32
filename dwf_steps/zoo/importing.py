"""Reading networks that others trained."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from dwf_steps.architectures.base import Architecture
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import progress
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.magnitude import excess
from dwf_steps.storage.networks import unreadable
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.storage.torch_files import load_tensors

LISTED = 20  # problems named in one error message
EXPECTED, REMEDY = "a state dict (name -> tensor)", "save it with torch.save(model.state_dict(), ...)"


def import_networks(
    paths: list[Path],
    expected: NetworkState[np.ndarray],
    keys: Mapping[str, str],
    tied: Mapping[str, str] = MappingProxyType({}),
    generated: bool = False,
) -> StackedNetworks[np.ndarray]:
    """Read one state dict a file and stack them.

    Parameters
    ----------
    paths
        `.safetensors`, or `.pt`/`.pth` holding tensors only: nothing else is ever unpickled.
    expected
        A network of the architecture: its keys, shapes and types.
    keys
        Renames the beginnings of keys.
    tied
        Further names of parameters, each with the one that counts; files may have either, or both.
    generated
        Whether a generator made them: that networks are equal, or not finite, is then a result, to be
        counted, and no reason to refuse them.

    Raises
    ------
    InputError
        Naming every file that cannot be read, has missing or extra keys, wrong shapes or types, weights that
        are not finite or beyond all use, or equals another one.
    """
    states: list[NetworkState[np.ndarray]] = []
    problems: list[str] = []
    for path in progress(paths, "file"):
        try:
            state = _rename(path, _read(path), keys)
        except InputError as error:
            problems.append(str(error))
            continue
        found = [*_untie(state, tied), *_differences(state, expected, generated)]
        problems += [f"{path}: {problem}" for problem in found]
        if not found:
            states.append({name: state[name].astype(own.dtype) for name, own in expected.items()})
    if not (problems or generated):
        problems = _duplicates(paths, states)
    if problems:
        more = f"\n  ... and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
        listing = "\n".join(f"  - {problem}" for problem in problems[:LISTED])
        what = "the networks" if generated else "the zoo"
        raise InputError(f"{what} cannot be imported as it is; nothing was written:\n{listing}{more}")
    return StackedNetworks.stack(states, np.stack)


def expected_state(architecture: Architecture) -> NetworkState[np.ndarray]:
    """Return a network of an architecture, for its keys, shapes and types."""
    state = architecture.initial_state("default", torch_generator("keys and shapes"))
    return {name: value.numpy() for name, value in state.items()}


def usable(networks: StackedNetworks[np.ndarray]) -> np.ndarray:
    """Return which of n networks have weights that can be computed with, all finite and not beyond all use,
    (n,)."""
    rows = range(networks.count)
    return np.array([all(_usable_values(a) for a in networks.network(row).values()) for row in rows], bool)


def _usable_values(array: np.ndarray) -> bool:
    return bool(np.isfinite(array).all()) and excess(array) is None


def _read(path: Path) -> NetworkState[np.ndarray]:
    state = _read_safetensors(path) if path.suffix == ".safetensors" else load_tensors(path)
    if not isinstance(state, dict):
        raise InputError(f"{path}: expected {EXPECTED}, found {type(state).__name__}; {REMEDY}")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise InputError(
                f"{path}: expected {EXPECTED}, found {type(state).__name__} with {key!r} -> "
                f"{type(value).__name__}; {REMEDY}"
            )
        if kind := _unusable(value):
            raise InputError(f"{path}: {key} is {kind}, expected a dense tensor of real numbers; {REMEDY}")
    return {key: _array(value.detach()) for key, value in state.items()}


def _unusable(value: torch.Tensor) -> str | None:
    """Return what kind of tensor it is if NumPy has no such array."""
    if value.layout != torch.strided or value.is_nested:
        return f"a {str(value.layout).removeprefix('torch.')} tensor"
    if value.is_quantized:
        return f"a quantized tensor ({value.dtype})"
    if value.is_meta:
        return "a tensor without values (device meta)"
    return f"a complex tensor ({value.dtype})" if value.is_complex() else None


def _array(value: torch.Tensor) -> np.ndarray:
    """Return integers and truth values as they are, all others as float32, which NumPy knows."""
    array: np.ndarray = (value.float() if value.is_floating_point() else value).numpy()
    return array


def _read_safetensors(path: Path) -> NetworkState[torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, FileNotFoundError) as error:
        raise unreadable(path, error) from error


def _rename(path: Path, state: NetworkState[np.ndarray], keys: Mapping[str, str]) -> NetworkState[np.ndarray]:
    result: NetworkState[np.ndarray] = {}
    for key, array in state.items():
        old = next((old for old in keys if key == old or key.startswith(f"{old}.")), "")
        new = f"{keys.get(old, '')}.{key[len(old) :].lstrip('.')}".strip(".")
        if new in result:
            raise InputError(f"{path}: two keys become {new!r}; correct the zoo's 'keys'")
        result[new] = array
    return result


def _untie(state: NetworkState[np.ndarray], tied: Mapping[str, str]) -> Iterator[str]:
    """Keep tied parameters under one name; yield a line for those that differ."""
    for name, kept in tied.items():
        if name in state and not np.array_equal(state.setdefault(kept, other := state.pop(name)), other):
            yield f"{name} and {kept} are tied in the architecture, but differ"


def _differences(
    state: NetworkState[np.ndarray], expected: NetworkState[np.ndarray], generated: bool
) -> list[str]:
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or extra:
        return [
            f"keys do not fit the architecture: missing {missing}, extra {extra}; rename them with the zoo's "
            "'keys', or correct its architecture"
        ]
    problems = []
    for name, own in expected.items():
        array = state[name]
        if array.shape != own.shape:
            problems.append(f"{name} has shape {array.shape}, the architecture expects {own.shape}")
        elif own.dtype.kind == "f" and array.dtype.kind != "f":
            problems.append(
                f"{name} is {array.dtype}, the architecture expects {own.dtype}; save the network in the "
                "architecture's types"
            )
        elif generated:
            continue
        elif not np.isfinite(array).all():
            bad = int((~np.isfinite(array)).sum())
            problems.append(f"{name} has {bad} weights that are NaN or infinite; leave this network out")
        elif too_large := excess(array):
            problems.append(f"{name} {too_large}; leave this network out")
    return problems


def _duplicates(paths: list[Path], states: list[NetworkState[np.ndarray]]) -> list[str]:
    seen: dict[bytes, Path] = {}
    problems = []
    for path, state in zip(paths, states, strict=True):
        content = b"".join(array.tobytes() for array in state.values())
        first = seen.setdefault(content, path)
        if first is not path:
            problems.append(f"{path}: the same network as {first}; remove one of the two")
    return problems
