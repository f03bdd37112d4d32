"""Users' own code that a configuration names: found, checked, and announced before it runs."""

import functools
import importlib
import inspect
import logging
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.libraries import despite_missing_operators

logger = logging.getLogger(__name__)

_announced: set[str] = set()


@dataclass(frozen=True)
class Plugin:
    """A user's callable, ``make``, and the ``source_file`` with the code that determines its results."""

    make: Callable[..., Any]
    source_file: Path


def find_plugin(target: str, key: str) -> Plugin:
    """Import an object of the user's that the configuration names.

    The module is searched on the Python path, then in the working directory. Importing runs its code, so a
    log line names the file first.

    Parameters
    ----------
    target
        ``package.module:name``.
    key
        The configuration's key, for messages, such as ``generators.mine.import``.

    Returns
    -------
    The callable and its source file.

    Raises
    ------
    InputError
        If there is no such object, if importing it fails, or if it is not a class or function defined in a
        Python file outside the standard library.
    """
    module_name, _, name = target.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    _announce(_refuse_standard(module_name, target, key), target, key)
    try:
        module = despite_missing_operators(functools.partial(importlib.import_module, module_name))
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise InputError(
            f"{key}: {target} cannot be imported ({describe(error)}); expected package.module:callable, on "
            "the Python path or in the working directory"
        ) from error
    return Plugin(found, _source_file(found, module, target, key))


def find_callable(target: str, key: str) -> Callable[..., Any]:
    """Import a callable of the user's that the configuration names.

    Parameters
    ----------
    target
        ``package.module:name``.
    key
        The configuration's key, for messages.

    Returns
    -------
    The callable.

    Raises
    ------
    InputError
        As `find_plugin`.
    """
    return find_plugin(target, key).make


def describe(error: BaseException) -> str:
    """Describe an error of the user's code in one line.

    Parameters
    ----------
    error
        The error, with its traceback.

    Returns
    -------
    Its type and message, and the file and line of the user's code that raised it.
    """
    message = " ".join(str(error).split())
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not _is_foreign(Path(frame.filename))
    ]
    where = f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {message}{where}" if message else f"{type(error).__name__}{where}"


def _announce(file: Path | None, target: str, key: str) -> None:
    """Log, once per process, which file the configuration's key runs."""
    line = f"{key}: {target} runs the code in {file}"
    if file is None or line in _announced:
        return
    _announced.add(line)
    if logging.getLogger().hasHandlers():
        logger.info(line)
    else:  # while Snakemake reads the configuration
        sys.stderr.write(f"{line}\n")


def _refuse_standard(module_name: str, target: str, key: str) -> Path | None:
    """Return the file of a module that is not imported yet, None where there is none.

    Raises
    ------
    InputError
        If it is built in, compiled, or part of the standard library.
    """
    file: str | None = None
    search: Any = None
    parts = module_name.split(".")
    for depth in range(len(parts)):
        spec = _find_spec(".".join(parts[: depth + 1]), search)
        if spec is None:
            return None
        file, search = spec.origin, spec.submodule_search_locations
        if parts[0] in sys.stdlib_module_names:
            raise InputError(
                f"{key}: {target} is part of Python's standard library ({file}), expected a class or "
                "function defined in your own Python file; if you mean a file of this name, rename it"
            )
    if file is not None and not file.endswith(".py"):
        raise InputError(f"{key}: {target} is compiled code ({file}), expected a Python file")
    return Path(file) if file is not None else None


def _find_spec(name: str, search: Any) -> Any:
    """Locate a module without importing it or its parent packages."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is not None and (spec := find(name, search)) is not None:
            return spec
    return None


def _source_file(found: Any, module: ModuleType, target: str, key: str) -> Path:
    """Return the Python file that determines a callable's results.

    For a `functools.partial` or an instance with `__call__`, it is the file that created the object.
    """
    made = found
    while isinstance(made, functools.partial):
        made = made.func
    made = inspect.unwrap(made) if callable(made) else made
    expected = "expected a class or function defined in a Python file"
    if not callable(made):
        raise InputError(f"{key}: {target} is {_kind(found)}, which cannot be called; {expected}")
    defined = inspect.isclass(made) or inspect.isfunction(made) or inspect.ismethod(made)
    try:
        file = inspect.getfile(made if defined else type(made))
    except (TypeError, OSError):
        raise InputError(f"{key}: {target} is {_kind(found)}, built in or compiled; {expected}") from None
    if _is_standard(Path(file)) and not _is_module_class(made):
        raise InputError(
            f"{key}: {target} is {_kind(found)} from Python's standard library ({file}); {expected} of yours"
        )
    if isinstance(found, functools.partial) or not defined:
        file = module.__file__ or file
    if not file.endswith(".py"):
        raise InputError(f"{key}: {target} is defined in {file}, expected a Python file")
    return Path(file)


def _kind(found: Any) -> str:
    return f"the {type(found).__name__} {found!r:.80}"


def _is_module_class(found: Any) -> bool:
    """Return whether an object is a class of PyTorch modules, without importing PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and inspect.isclass(found) and issubclass(found, torch.nn.Module)


def _is_standard(file: Path) -> bool:
    library = Path(sysconfig.get_path("stdlib")).resolve()
    return file.resolve().is_relative_to(library) and not is_installed(file)


def _is_foreign(file: Path) -> bool:
    """Return whether a file is part of the standard library or an installed package, not the user's own."""
    return _is_standard(file) or is_installed(file)


def is_installed(file: Path) -> bool:
    """Return whether a file is part of an installed package, or of this one.

    Parameters
    ----------
    file
        The file.

    Returns
    -------
    Whether it lies in the Python installation's package folders or in this package.
    """
    places = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    places.add(Path(__file__).resolve().parents[1])
    return any(file.resolve().is_relative_to(place) for place in places)
