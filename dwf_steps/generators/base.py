"""What every generator promises: the base class of all kinds.

A kind of generator is a settings class in `dwf_steps.config.generators`, which names its implementation, and
the implementation: a `Generator`, which draws samples described relative to the training networks, or a
`dwf_steps.generators.network_maker.NetworkMaker`, which makes whole networks.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import numpy as np

from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.generators.base import GeneratorConfig
from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.remedy import rebuild
from dwf_steps.subspace.basis import Basis

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from dwf_steps.runtime.progress import Progress
    from dwf_steps.storage.checkpoint import Checkpoint
    from dwf_steps.storage.layout import Layout
    from dwf_steps.storage.matrix import WeightMatrix
    from dwf_steps.storage.row_facts import RowFacts
    from dwf_steps.storage.stacked import StackedNetworks

Config = TypeVar("Config", bound=GeneratorConfig)


@dataclass(frozen=True)
class TrainingNetworks:
    """The networks that a generator is to resemble, n of them, held-out ones left out.

    Attributes
    ----------
    basis
        The subspace, with the networks' coordinates in it.
    weights
        Where the matrix of their rows lies; where the settings' ``reads_weights`` is false, sampling has
        none.
    encoder
        Makes rows of networks' parameters, where the matrix does not hold these themselves.
    initialisations
        How the zoo's first weights were drawn, in turn over seeds; none where the settings'
        ``reads_initialisations`` is false, or the zoo was not trained here.
    """

    basis: Basis
    weights: Path | None = None
    encoder: Callable[[StackedNetworks[np.ndarray]], np.ndarray] | None = None
    initialisations: tuple[Initialisation, ...] = ()

    @cached_property
    def matrix(self) -> WeightMatrix:
        """The weights of all networks, training rows first; read block by block."""
        from dwf_steps.storage.matrix import WeightMatrix

        if self.weights is None:
            raise InputError("--weights is missing; the generator's settings say that it reads them")
        return WeightMatrix.open(self.weights)

    @property
    def shape(self) -> tuple[int, int]:
        """Networks and coordinates, (n, k)."""
        k = self.layout.size if self.basis.raw else self.basis.dimension
        return self.basis.n_training, k

    @property
    def points(self) -> np.ndarray:
        """Coordinates (n, k) float64 in the subspace; without one, weights relative to their mean (n, d)."""
        if not self.basis.raw:
            return self.basis.coordinates
        rows = self.matrix.read()[: self.basis.n_training]
        centred: np.ndarray = rows - rows.mean(axis=0, dtype=np.float64)
        return centred

    @property
    def layout(self) -> Layout:
        """Which columns of a row are which parameter."""
        return self.matrix.layout

    @property
    def architecture(self) -> Mapping[str, Any]:
        """The networks' architecture, as the configuration describes it."""
        return self.matrix.architecture

    @property
    def trajectories(self) -> list[str]:
        """What training each network is of: networks of one name are checkpoints of one trajectory."""
        return [row.trajectory or row.name for row in self.matrix.rows[: self.basis.n_training]]

    @property
    def facts(self) -> Sequence[RowFacts]:
        """What the zoo knows of each network besides its weights: `validation_accuracy`, `train_loss` and of
        checkpoints `epochs`, each None where it is not known."""
        from dwf_steps.storage.row_facts import read_facts

        return read_facts(self.matrix)[: self.basis.n_training]

    def encode(self, networks: StackedNetworks[np.ndarray]) -> np.ndarray:
        """Return the rows (s, d) float32 of other networks, as the matrix holds the training networks."""
        if self.encoder is not None:
            return self.encoder(networks)
        parts = [networks[entry.name].reshape(networks.count, -1) for entry in self.layout.entries]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def samples_at(self, points: np.ndarray, evaluations: int = 0) -> Samples:
        """Return the networks at points (s, k), or (s, d), as `points` describes the training networks."""
        return Samples(*self.basis.sample_parts(points), evaluations=evaluations)


class Tools:
    """What a step gives a generator besides the training networks; a context manager.

    Parameters
    ----------
    checkpoint
        Only where something is fitted or trained.
    data
        The data set, where the settings' ``reads_data`` is true.
    folder
        The generator's own.
    """

    def __init__(
        self, checkpoint: Checkpoint | None = None, data: Path | None = None, folder: Path | None = None
    ) -> None:
        self._checkpoint, self._data, self._folder = checkpoint, data, folder
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @cached_property
    def device(self) -> torch.device:
        """Where to compute; what never asks imports no PyTorch."""
        from dwf_steps.runtime.device import select_device

        return select_device()

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Where a fit keeps its state, so that one that was killed goes on where it was.

        Its `load` returns the last state of this very fit (same settings, code and networks), `save_if_due`
        keeps a new one now and then. Who asks for it must call `save_if_due` every few seconds: from then on
        SIGTERM, which a cluster sends before it kills a job, waits for that.
        """
        if self._checkpoint is None:
            raise ValueError("there is no checkpoint: nothing is fitted here")
        return self._open.enter_context(self._checkpoint)

    @property
    def data(self) -> Path:
        """The data set's file."""
        if self._data is None:
            raise InputError("--data is missing; the generator's settings say that it reads data")
        return self._data

    @cached_property
    def folder(self) -> Path:
        """Where the generator's files lie, and others that it writes may; a temporary one where a step has
        none."""
        return self._folder or Path(self._open.enter_context(TemporaryDirectory()))

    def progress(self, unit: str, total: int, done: int = 0) -> Progress:
        """Return a reporter, to be used as a context manager and told of each step by `advance`."""
        from dwf_steps.runtime.progress import Progress

        return Progress(unit, total, done)


class Generator(ABC, Generic[Config]):
    """Draws new networks that resemble the training networks.

    A kind without a model implements `sample` alone. One with a model (``fitted`` in its settings) also
    implements `fit`, and either `state` and `load_state` or, for a file format of its own, `save` and `load`.
    Every draw must come from `draws`, or from a generator seeded by `dwf_steps.runtime.randomness`, so that
    the same settings give the same networks.

    Parameters
    ----------
    config
        The settings. For `fit` those that do not decide the fit are at their defaults.

    Attributes
    ----------
    key
        Where the configuration has these settings, for messages.
    """

    key: str = "generator"

    def __init__(self, config: Config) -> None:
        self.config = config

    @abstractmethod
    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        """Return ``config.sampling.samples`` new networks."""

    def fit(self, training: TrainingNetworks, tools: Tools) -> pd.DataFrame:
        """Fit the model.

        Returns
        -------
        The losses along the way, a row each: ``step``, ``train`` and ``validation`` (NaN where there is
        none).
        """
        raise NotImplementedError(f"{type(self).__name__} has no model to fit")

    def state(self) -> dict[str, np.ndarray]:
        """Return the fitted model as arrays by name."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its model consists of")

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` returned."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its model is read")

    def save(self, path: Path) -> None:
        """Write the model: its `state` as safetensors, with a digest."""
        from safetensors.numpy import save_file

        state = {name: np.ascontiguousarray(array) for name, array in self.state().items()}
        with replacing(path) as partial:
            save_file(state, partial, metadata={"sha256": _digest(state)})

    def load(self, path: Path, tools: Tools) -> None:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                digest = (file.metadata() or {})["sha256"]
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError) as error:
            raise damaged_model(path, str(error)) from error
        if _digest(state) != digest:
            raise damaged_model(path, "its arrays' SHA-256 is not the one it was written with")
        self.load_state(state)

    def draws(self, purpose: str = "sample") -> np.random.Generator:
        """Return the generator of random numbers that sampling draws from, or that of another ``purpose``,
        seeded by purpose, kind and seed; a fit's seed is that of the settings' defaults."""
        return numpy_generator(f"{purpose} {self.config.kind}", self.config.sampling.seed)


def _digest(state: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        array = state[name]
        digest.update(json.dumps([name, str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def damaged_model(path: Path, found: str) -> InputError:
    """Return the error of a model that is not as it was written, with what to do about it."""
    return InputError(f"{path}: not the model that was written ({found}); {rebuild(path)}")


class ReconstructingGenerator(Generator[Config]):
    """A generator that encodes networks, and decodes what it draws."""

    @abstractmethod
    def reconstructed(self, coordinates: np.ndarray) -> np.ndarray:
        """Return networks, encoded and decoded.

        Parameters
        ----------
        coordinates
            (s, k) in the subspace, or where that reduces nothing rows relative to the training networks'
            mean.

        Returns
        -------
        np.ndarray
            (s, k), as given.
        """
