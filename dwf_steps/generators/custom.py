"""The generator `custom`: the user's class, with checks of what it returns."""

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dwf_steps.config.generators.custom import CustomConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.own_folder import writing_below
from dwf_steps.runtime.plugins import describe, find_callable

if TYPE_CHECKING:
    import pandas as pd

LOSSES = ("step", "train", "validation")
BASE = f"{Generator.__module__}.{Generator.__name__}"


def generator_class(target: str, where: str, fitted: bool) -> type[Generator[Any]]:
    """Import a generator class that the configuration names.

    Parameters
    ----------
    target
        The class, ``package.module:Class``.
    where
        The generator's configuration key, for messages.
    fitted
        Whether the settings say that it has a model.

    Returns
    -------
    The class.

    Raises
    ------
    InputError
        If it cannot be imported, is not a class that extends `Generator`, lacks a method, or defines a model
        although ``fitted`` is false.
    """
    key = f"{where}.import"
    found: Any = find_callable(target, key)
    if not (inspect.isclass(found) and issubclass(found, Generator)):
        raise InputError(f"{key}: {target} is {found!r:.80}, expected a class that extends {BASE}")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise InputError(f"{key}: {target} has no {missing}; define this method, as {BASE} describes it")
    own = {name for name in vars(Generator) if getattr(found, name, None) is not getattr(Generator, name)}
    if not fitted and "fit" in own:
        raise InputError(
            f"{where}.fitted: found false, but {target} has a method fit; set it to true, or remove fit"
        )
    if fitted and not ("fit" in own and ({"state", "load_state"} <= own or {"save", "load"} <= own)):
        methods = [name for name in ("fit", "state", "load_state", "save", "load") if name in own]
        raise InputError(
            f"{where}.fitted: found true, but of the methods of a model {target} has "
            f"{' and '.join(methods) or 'none'}; define fit, state and load_state, or set it to false"
        )
    return found


class Custom(Generator[CustomConfig]):
    """Runs the user's class, which may write only into the generator's folder.

    Raises
    ------
    InputError
        From every method: if the user's method fails, or returns something that cannot be used.
    """

    _folder: Path

    @cached_property
    def _own(self) -> Generator[Any]:
        """The instance of the user's class, created once `key` is known."""
        make = generator_class(self.config.target, self.key, self.config.fitted)
        made: Generator[Any] = self._try("__init__", make, self.config)
        return made

    def fit(self, training: TrainingNetworks, tools: Tools) -> "pd.DataFrame":
        import pandas as pd

        self._folder = tools.folder
        losses = self._try("fit", self._own.fit, training, tools)
        expected = f"a pandas.DataFrame with numbers in columns {', '.join(LOSSES)}, a row at least"
        if not isinstance(losses, pd.DataFrame):
            raise self._returned("fit", _called(losses), expected)
        numbers = losses.select_dtypes("number")
        if not len(losses) or not set(LOSSES) <= set(numbers):
            found = (
                f"{len(losses)} rows with numbers in columns {', '.join(map(str, numbers)) or 'of no name'}"
            )
            raise self._returned("fit", found, expected)
        return losses

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        self._folder = tools.folder
        samples = self._try("sample", self._own.sample, training, tools)
        if not isinstance(samples, Samples):
            expected = "Samples, as training.samples_at(points) makes them"
            raise self._returned("sample", _called(samples), expected)
        basis, count = training.basis, self.config.sampling.samples
        widths = {
            "coefficients": (basis.n_training,),
            "latents": tuple(sorted({basis.components, basis.dimension})),
            "offsets": (0, training.layout.size),
        }
        for name, allowed in widths.items():
            array: Any = getattr(samples, name)
            expected = " or ".join(str((count, width)) for width in allowed)
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
                found = f"{name} that are {_called(array)}"
                raise self._returned("sample", found, f"an array of numbers of shape {expected}")
            if array.ndim != 2 or len(array) != count or array.shape[1] not in allowed:
                found = f"{name} of shape {array.shape}"
                raise self._returned("sample", found, f"{expected}, a row for each of sampling.samples")
        return samples

    def state(self) -> dict[str, np.ndarray]:
        state = self._try("state", self._own.state)
        expected = "a dict of NumPy arrays of numbers by name"
        if not isinstance(state, Mapping):
            raise self._returned("state", _called(state), expected)
        for name, array in state.items():
            if not isinstance(name, str):
                raise self._returned("state", f"the name {name!r:.80}", expected)
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
                raise self._returned("state", f"{name!r} that is {_called(array)}", expected)
        return dict(state)

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._try("load_state", self._own.load_state, state)

    def save(self, path: Path) -> None:
        if type(self._own).save is Generator.save:
            super().save(path)
            return
        self._try("save", self._own.save, path)
        if not path.is_file():
            raise self._returned("save", f"without writing {path}", "a file of that name")

    def load(self, path: Path, tools: Tools) -> None:
        self._folder = tools.folder
        if type(self._own).load is Generator.load:
            super().load(path, tools)
            return
        self._try("load", self._own.load, path, tools)

    def _try(self, method: str, call: Callable[..., Any], *given: Any) -> Any:
        try:
            with writing_below(self._folder):
                return call(*given)
        except Exception as error:  # the user's code may raise anything
            raise InputError(
                f"{self.key}.import: {self.config.target}: {method} failed ({describe(error)}); correct it"
            ) from error

    def _returned(self, method: str, found: str, expected: str) -> InputError:
        code = getattr(inspect.unwrap(getattr(type(self._own), method)), "__code__", None)
        where = f" ({Path(code.co_filename).name} line {code.co_firstlineno})" if code else ""
        return InputError(
            f"{self.key}.import: {self.config.target}: {method}{where} returned {found}, expected {expected}"
        )


def _called(value: object) -> str:
    """Return the description of a value of the wrong type, for messages."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}, shape {value.shape}"
    return f"the {type(value).__name__} {' '.join(repr(value).split()):.80}"
