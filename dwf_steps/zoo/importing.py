"""Reading networks that others trained."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from dwf_steps.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.networks import unreadable

LISTED = 20  # problems named in one error message


def import_networks(paths: list[Path], layout: Layout, keys: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Read one state dict a file and stack them, parameters (n, *shape) float32.

    Parameters
    ----------
    paths
        `.safetensors`, or `.pt`/`.pth` holding tensors only: nothing else is ever unpickled.
    layout
        What the architecture expects.
    keys
        Renames the beginnings of keys.

    Raises
    ------
    InputError
        Naming every file that cannot be read, has missing or extra keys, wrong shapes or weights that are
        not finite, or equals another one.
    """
    states: list[dict[str, np.ndarray]] = []
    problems: list[str] = []
    for path in paths:
        try:
            state = {_renamed(key, keys): array for key, array in _read(path).items()}
        except InputError as error:
            problems.append(str(error))
            continue
        found = _differences(state, layout)
        problems += [f"{path}: {problem}" for problem in found]
        if not found:
            states.append({e.name: state[e.name].astype(np.float32) for e in layout.entries})
    if not problems:
        problems = _duplicates(paths, states)
    if problems:
        more = f"\n  ... and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
        listing = "\n".join(f"  - {problem}" for problem in problems[:LISTED])
        raise InputError(f"the zoo cannot be imported as it is; nothing was written:\n{listing}{more}")
    return {e.name: np.stack([state[e.name] for state in states]) for e in layout.entries}


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, FileNotFoundError, EOFError, RuntimeError, UnpicklingError) as error:
        if isinstance(error, UnpicklingError) and "weights_only" in str(error).lower():
            raise InputError(
                f"{path}: holds objects other than tensors, which are never unpickled; save it with "
                "torch.save(model.state_dict(), ...) or as safetensors"
            ) from error
        raise unreadable(path, error) from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(
            f"{path}: expected a state dict (name -> tensor), found {type(state).__name__}; save it with "
            "torch.save(model.state_dict(), ...)"
        )
    return {key: value.float().numpy() for key, value in state.items()}


def _renamed(key: str, keys: Mapping[str, str]) -> str:
    for old, new in keys.items():
        if key == old or key.startswith(f"{old}."):
            return new + key[len(old) :]
    return key


def _differences(state: Mapping[str, np.ndarray], layout: Layout) -> list[str]:
    expected = {e.name: e.shape for e in layout.entries}
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or extra:
        return [
            f"keys do not fit the architecture: missing {missing}, extra {extra}; rename them with the zoo's "
            "'keys', or correct its architecture"
        ]
    problems = []
    for name, shape in expected.items():
        array = state[name]
        if array.shape != shape:
            problems.append(f"{name} has shape {array.shape}, the architecture expects {shape}")
        elif not np.isfinite(array).all():
            bad = int((~np.isfinite(array)).sum())
            problems.append(f"{name} has {bad} weights that are NaN or infinite; leave this network out")
    return problems


def _duplicates(paths: list[Path], states: list[dict[str, np.ndarray]]) -> list[str]:
    seen: dict[bytes, Path] = {}
    problems = []
    for path, state in zip(paths, states, strict=True):
        content = b"".join(array.tobytes() for array in state.values())
        first = seen.setdefault(content, path)
        if first is not path:
            problems.append(f"{path}: the same network as {first}; remove one of the two")
    return problems
