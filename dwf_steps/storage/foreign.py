"""Reading of networks from files that other programs wrote.

A file's content becomes state dicts of an architecture, or problems that name what does not fit. Only tensors
and plain containers are unpickled; other objects beside them are left out.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from dwf_steps.config.network_files import INDEX, NetworkFiles, parts_of
from dwf_steps.config.packed import networks_of
from dwf_steps.config.patterns import expression, filled_in
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.magnitude import excess
from dwf_steps.storage.manifest import sha256
from dwf_steps.storage.networks import unreadable
from dwf_steps.storage.packed import unpacked
from dwf_steps.storage.stacked import NetworkState
from dwf_steps.storage.torch_files import load_tensors

EXPECTED, REMEDY = "a state dict (name -> tensor)", "save it with torch.save(model.state_dict(), ...)"
USUAL_KEY = "state_dict"  # used by PyTorch Lightning and by PyTorch's ImageNet example
SHOWN = 10  # keys that a message lists

# Prefixes that wrappers add to all keys of a state dict: DistributedDataParallel and AveragedModel; Lightning
# modules, which conventionally store their network as `self.model`.
PREFIXES = ("module.", "model.")
# Parts that wrappers of a submodule insert into its keys: torch.compile, FullyShardedDataParallel and
# activation checkpointing. No user's module has such a name.
INSIDE = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ForeignNetwork:
    """A network read from a file.

    Attributes
    ----------
    where
        The file, and the network's place in it, for messages.
    state
        Its arrays, with the architecture's keys and types; None if there are problems.
    problems
        Each a sentence that begins with ``where``.
    """

    where: str
    state: NetworkState[np.ndarray] | None
    problems: tuple[str, ...] = ()


def network_sha256(path: Path) -> str:
    """Return the digest of all that a network is read from.

    Parameters
    ----------
    path
        Its file, or the index of the files that it is divided over.

    Returns
    -------
    In hexadecimal, SHA-256 of the file; of an index that of a list, as `sha256sum` writes it, of the index
    and of every file that it names.
    """
    parts = parts_of(path)
    if len(parts) == 1:
        return sha256(path)
    listing = "".join(f"{sha256(part)}  {part.name}\n" for part in parts)
    return hashlib.sha256(listing.encode()).hexdigest()


class ForeignNetworks:
    """Reads files of other programs as networks of one architecture.

    Conversions that apply to all files, such as stripping a prefix, are logged once.

    Parameters
    ----------
    files
        How networks are stored in their files.
    expected
        A network of the architecture: its keys, shapes and types, in the order of its ``state_dict()``.
    tied
        Alternative names of tied parameters, each mapped to the name that is kept; files may have either, or
        both.
    generated
        Whether the networks were generated: NaN, infinite and huge weights are then not reported as problems.
    """

    def __init__(
        self,
        files: NetworkFiles,
        expected: NetworkState[np.ndarray],
        tied: Mapping[str, str] = MappingProxyType({}),
        generated: bool = False,
    ) -> None:
        self.files, self.expected, self.tied, self.generated = files, expected, tied, generated
        self._keep = [expression(pattern) for pattern in files.keep]
        self._drop = [expression(pattern) for pattern in files.drop]
        self._rename = [(expression(old), new) for old, new in files.rename.items()]
        stated = files.state_dict or []
        self._keys = [stated] if isinstance(stated, str) else stated
        self._names: dict[tuple[str, ...], _Names] = {}
        self._logged: set[str] = set()

    def read(self, path: Path) -> list[ForeignNetwork]:
        """Return the networks of a file, in order: one, or as many as ``files.networks_per_file`` states.

        Parameters
        ----------
        path
            A ``.safetensors`` file, the index of a network that is split into several such files
            (``model.safetensors.index.json``), or a file that ``torch.save`` wrote.

        Raises
        ------
        InputError
            If the file cannot be read, or has another number of networks. Problems of a single network are
            listed in its ``problems`` instead.
        """
        content, count = _load(path), self.files.networks_per_file
        if packed := networks_of(path):
            pairs = zip(packed, unpacked(content, packed), strict=True)
            return [self._network(f"{path}, network {name}", state, ()) for name, state in pairs]
        if count is None:
            return [self._network(str(path), content, self._keys)]
        together, rest = _under(content, self._keys)
        found = _several(path, together, count, self.files.flat)
        return [self._network(f"{path}, network {i}", item, rest) for i, item in enumerate(found)]

    def _network(self, where: str, content: Any, keys: Sequence[str]) -> ForeignNetwork:
        """Return the network that is stored under ``keys`` in ``content``."""
        called: dict[str, str] = {}
        try:
            chosen = self._chosen(where, content, keys)
            if self.files.flat:
                state = self._divided(where, chosen)
            else:
                state, called = self._named(where, chosen)
        except InputError as error:
            return ForeignNetwork(where, None, (str(error),))
        found = [*_untie(state, self.tied), *_differences(state, self.expected, called, self.generated)]
        if found:
            return ForeignNetwork(where, None, tuple(f"{where}: {problem}" for problem in found))
        with np.errstate(over="ignore"):
            return ForeignNetwork(
                where, {name: state[name].astype(own.dtype) for name, own in self.expected.items()}
            )

    # Finding the network in the file's content.

    def _chosen(self, where: str, content: Any, keys: Sequence[str]) -> Any:
        """Return what is stored under the configured keys, or else the only state dict."""
        chosen, rest = _under(content, keys)
        if rest:
            found = _first_keys(chosen) if isinstance(chosen, dict) else type(chosen).__name__
            raise InputError(
                f"{where}: nothing under {rest[0]!r}, found {found}; correct `state_dict`, the key of the "
                "state dict"
            )
        return chosen if self.files.state_dict is not None else self._unwrapped(where, chosen)

    def _unwrapped(self, where: str, content: Any) -> Any:
        """Return the only state dict of a checkpoint that has other entries too."""
        if self.files.flat or not isinstance(content, dict) or _has_tensors(content):
            return content
        inside = [key for key, value in content.items() if isinstance(value, dict) and _has_tensors(value)]
        if not inside:
            return content
        if USUAL_KEY not in inside and len(inside) > 1:
            raise InputError(
                f"{where}: found several state dicts, under {', '.join(map(repr, inside))}; state with "
                "`state_dict` which one is the network"
            )
        chosen = USUAL_KEY if USUAL_KEY in inside else inside[0]
        others = [key for key in inside if key != chosen]
        self._log(
            f"files are checkpoints: the state dict under {chosen!r} is read"
            + (f", not those under {', '.join(map(repr, others))}" if others else "")
        )
        return content[chosen]

    # Names of its keys.

    def _named(self, where: str, state: Any) -> tuple[NetworkState[np.ndarray], dict[str, str]]:
        """Return a state dict's arrays by the architecture's names, and for each its name in the file."""
        if not isinstance(state, dict):
            raise InputError(f"{where}: expected {EXPECTED}, found {type(state).__name__}; {REMEDY}")
        for key in state:
            if not isinstance(key, str):
                raise InputError(f"{where}: expected {EXPECTED}, found {_entry(state, key)}; {REMEDY}")
        names = self._names_of(where, tuple(state))
        for key in names.new:
            _require_array(where, key, state)
            if state[key].is_floating_point() and state[key].dtype != torch.float32:
                self._log(f"files have weights of {state[key].dtype}, which are stored as torch.float32")
        arrays = {new: _array(state[key]) for key, new in names.new.items()}
        return arrays, {new: key for key, new in names.new.items()}

    def _names_of(self, where: str, keys: tuple[str, ...]) -> "_Names":
        """Map a file's keys to the architecture's names; computed once for all files with the same keys."""
        if keys not in self._names:
            self._names[keys] = self._best(where, keys)
        names = self._names[keys]
        for prefix in names.stripped:
            self._log(f"keys of files have {prefix!r}, which a wrapper put there; it is stripped")
        return names

    def _best(self, where: str, keys: tuple[str, ...]) -> "_Names":
        """Return the names that match the architecture best; among equals, those with the least stripped."""
        candidates: list[_Names] = []
        error: InputError | None = None
        for stripped, known in self._stripped(keys):
            try:
                candidates.append(_Names(self._renamed(where, known), stripped))
            except InputError as clash:
                error = error or clash
        if not candidates:
            assert error is not None
            raise error
        return min(candidates, key=self._misfits)

    def _misfits(self, names: "_Names") -> int:
        found = {self.tied.get(name, name) for name in names.new.values()}
        return len(found ^ self.expected.keys())

    def _stripped(self, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
        """Yield the kept keys with no prefix stripped, with one stripped, and so on.

        Each item has the prefixes that were stripped and, by the file's keys, the shortened names.
        """
        current: dict[str, str] = {key: key for key in keys}
        stripped: tuple[str, ...] = ()
        while True:
            wanted = {key: now for key, now in current.items() if self._wanted(key, now)}
            yield stripped, wanted
            current = wanted or current
            values = current.values()
            if inside := next((text for text in INSIDE if any(text in now for now in values)), None):
                current = {key: now.replace(inside, "") for key, now in current.items()}
            elif before := next(
                (p for p in PREFIXES if values and all(v.startswith(p) for v in values)), None
            ):
                current = {key: now.removeprefix(before) for key, now in current.items()}
            else:
                return
            stripped = (*stripped, inside or str(before))

    def _wanted(self, *names: str) -> bool:
        """Return whether a key is kept and not dropped, under any of its names."""
        kept = not self._keep or any(one.fullmatch(name) for one in self._keep for name in names)
        return kept and not any(one.fullmatch(name) for one in self._drop for name in names)

    def _renamed(self, where: str, known: dict[str, str]) -> dict[str, str]:
        result: dict[str, str] = {}
        first: dict[str, str] = {}
        for key, now in known.items():
            new = _with_new_beginning(now, self.files.keys)
            for old, pattern in self._rename:
                if found := old.fullmatch(new):
                    new = filled_in(pattern, found.groupdict())
            if (other := first.setdefault(new, key)) != key:
                raise InputError(
                    f"{where}: two keys become {new!r} ({other!r} and {key!r}); correct `keys` or `rename`"
                )
            result[key] = new
        return result

    # Networks stored as one vector.

    def _divided(self, where: str, vector: Any) -> NetworkState[np.ndarray]:
        """Split one vector into the arrays of a network."""
        size = sum(own.size for own in self.expected.values())
        if not isinstance(vector, torch.Tensor) or tuple(vector.shape) != (size,):
            found = (
                f"shape {tuple(vector.shape)}" if isinstance(vector, torch.Tensor) else type(vector).__name__
            )
            raise InputError(
                f"{where}: expected one vector of the architecture's {size:,} parameters and buffers, found "
                f"{found}; correct the architecture, or leave `flat` out"
            )
        _require_array(where, "the vector", {"the vector": vector})
        ends = np.cumsum([own.size for own in self.expected.values()])[:-1]
        parts = np.split(_array(vector), ends)
        arrays = zip(self.expected.items(), parts, strict=True)
        return {name: part.reshape(own.shape).astype(own.dtype) for (name, own), part in arrays}

    def _log(self, line: str) -> None:
        if line not in self._logged:
            self._logged.add(line)
            logger.info("%s", line)


@dataclass(frozen=True)
class _Names:
    """The architecture's names by the file's keys, and the prefixes ``stripped`` from these."""

    new: dict[str, str]
    stripped: tuple[str, ...]


def _under(content: Any, keys: Sequence[str]) -> tuple[Any, Sequence[str]]:
    """Return the content under nested keys, and the keys that were not found."""
    for place, key in enumerate(keys):
        if not isinstance(content, dict) or key not in content:
            return content, keys[place:]
        content = content[key]
    return content, ()


def _with_new_beginning(key: str, keys: Mapping[str, str]) -> str:
    old = next((old for old in keys if key == old or key.startswith(f"{old}.")), "")
    return f"{keys.get(old, '')}.{key[len(old) :].lstrip('.')}".strip(".")


def _load(path: Path) -> Any:
    if path.name.endswith(INDEX):
        return _load_divided(path)
    return _read_safetensors(path) if path.suffix == ".safetensors" else load_tensors(path, leave_out=True)


def _load_divided(path: Path) -> dict[str, Any]:
    """Return the tensors that an index lists, read from the files beside it."""
    try:
        places: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        names = list(dict.fromkeys(places.values()))
    except FileNotFoundError as error:
        raise unreadable(path, error) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: not an index of a network in several files ({error!r}), expected JSON with "
            "'weight_map', key -> file; write or copy it again"
        ) from error
    state: dict[str, Any] = {}
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise InputError(f"{path}: names the file {name!r}, expected files beside it; write it again")
        part = _load(path.with_name(name))
        state |= {key: value for key, value in part.items() if places.get(key) == name}
    if missing := [key for key in places if key not in state]:
        raise InputError(
            f"{path}: names {len(missing)} keys that its files do not have, as {missing[0]!r} in "
            f"{places[missing[0]]}; copy all of its files again"
        )
    return state


def _read_safetensors(path: Path) -> NetworkState[torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, FileNotFoundError) as error:
        raise unreadable(path, error) from error


def _several(path: Path, content: Any, count: int, flat: bool) -> Sequence[Any]:
    """Return the networks of one file."""
    if isinstance(content, dict) and _has_tensors(content) and not flat:
        sizes = {key: value.shape[:1] for key, value in content.items() if isinstance(value, torch.Tensor)}
        if other := next((key for key, size in sizes.items() if size != (count,)), None):
            raise InputError(
                f"{path}: found one state dict, in which {other} has shape {tuple(content[other].shape)}, "
                f"expected {count} networks stacked along the first axis; correct `networks_per_file`, or "
                "leave it out"
            )
        return [
            {key: value[i] if isinstance(value, torch.Tensor) else value for key, value in content.items()}
            for i in range(count)
        ]
    items = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(items, list | tuple | torch.Tensor):
        raise InputError(
            f"{path}: expected a list of {count} networks, found {type(content).__name__}; correct "
            "`networks_per_file`, or leave it out"
        )
    if len(items) != count:
        named = f" ({_first_keys(content)})" if isinstance(content, dict) else ""
        raise InputError(
            f"{path}: found {len(items)} networks{named}, expected {count} as `networks_per_file` states; "
            "correct it, or state with `state_dict` under which key they are"
        )
    return list(items)


def _has_tensors(content: dict[Any, Any]) -> bool:
    """Return whether some entries are arrays; single numbers are often training statistics."""
    return any(isinstance(value, torch.Tensor) and value.ndim > 0 for value in content.values())


def _require_array(where: str, key: str, state: Mapping[str, Any]) -> None:
    value = state[key]
    if not isinstance(value, torch.Tensor):
        raise InputError(
            f"{where}: expected {EXPECTED}, found {_entry(state, key)}; {REMEDY}, or name the key in `drop`"
        )
    if kind := _unusable(value):
        raise InputError(f"{where}: {key} is {kind}, expected a dense tensor of real numbers; {REMEDY}")


def _entry(state: Mapping[Any, Any], key: Any) -> str:
    return f"{type(state).__name__} with {key!r} -> {type(state[key]).__name__}"


def _first_keys(content: dict[Any, Any]) -> str:
    keys = [repr(key) for key in content]
    return ", ".join(keys[:SHOWN]) + (", ..." if len(keys) > SHOWN else "") if keys else "an empty dict"


def _unusable(value: torch.Tensor) -> str | None:
    """Describe a tensor that has no equivalent in NumPy; return None for any other."""
    if value.layout != torch.strided or value.is_nested:
        return f"a {str(value.layout).removeprefix('torch.')} tensor"
    if value.is_quantized:
        return f"a quantized tensor ({value.dtype})"
    if value.is_meta:
        return "a tensor without values (device meta)"
    return f"a complex tensor ({value.dtype})" if value.is_complex() else None


def _array(value: torch.Tensor) -> np.ndarray:
    """Return a NumPy array: integers and booleans unchanged, floating-point numbers as float32."""
    value = value.detach()
    array: np.ndarray = (value.float() if value.is_floating_point() else value).numpy()
    return array


def _untie(state: NetworkState[np.ndarray], tied: Mapping[str, str]) -> Iterator[str]:
    """Keep one name of each tied parameter; yield a line for those whose values differ."""
    for name, kept in tied.items():
        if name in state and not np.array_equal(state.setdefault(kept, other := state.pop(name)), other):
            yield f"{name} and {kept} are tied in the architecture, but differ"


def _differences(
    state: NetworkState[np.ndarray],
    expected: NetworkState[np.ndarray],
    called: Mapping[str, str],
    generated: bool,
) -> list[str]:
    """Return the problems of a network; ``called`` has the names that its file uses."""
    missing = sorted(expected.keys() - state.keys())
    if (extra := sorted(called.get(name, name) for name in state.keys() - expected.keys())) or missing:
        return [
            f"keys do not fit the architecture: missing {missing}, extra {extra}; rename them with `keys` or "
            "`rename`, leave others out with `drop`, or correct the architecture"
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
