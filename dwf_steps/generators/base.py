"""Base class of all generators, and what their methods receive.

A kind of generator consists of a settings class in `dwf_steps.config.generators`, which names its
implementation, and the implementation: a `Generator`, which draws samples described relative to the training
networks, or a `dwf_steps.generators.network_maker.NetworkMaker`, which makes whole networks.
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
    """The n training networks; held-out networks are excluded.

    Attributes
    ----------
    basis
        The subspace, with the networks' coordinates in it.
    weights
        Path of the matrix of their rows; None when sampling if the settings' ``reads_weights`` is false.
    encoder
        Converts networks' parameters into rows; None if rows are the parameters themselves.
    initialisations
        How the zoo's networks were initialised, cycling over seeds; empty if the settings'
        ``reads_initialisations`` is false, or if the zoo was imported.
    """

    basis: Basis
    weights: Path | None = None
    encoder: Callable[[StackedNetworks[np.ndarray]], np.ndarray] | None = None
    initialisations: tuple[Initialisation, ...] = ()

    @cached_property
    def matrix(self) -> WeightMatrix:
        """Rows of all networks, training networks first, read in blocks."""
        from dwf_steps.storage.matrix import WeightMatrix

        if self.weights is None:
            raise InputError("--weights is missing; the generator's settings say that it reads them")
        return WeightMatrix.open(self.weights)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of networks and of coordinates, (n, k)."""
        k = self.layout.size if self.basis.raw else self.basis.dimension
        return self.basis.n_training, k

    @property
    def points(self) -> np.ndarray:
        """Coordinates in the subspace, (n, k) float64; without one, weights relative to the mean, (n, d)."""
        if not self.basis.raw:
            return self.basis.coordinates
        rows = self.matrix.read()[: self.basis.n_training]
        centred: np.ndarray = rows - rows.mean(axis=0, dtype=np.float64)
        return centred

    @property
    def layout(self) -> Layout:
        """The columns of each parameter, or layer's coordinates, in a row."""
        return self.matrix.layout

    @property
    def architecture(self) -> Mapping[str, Any]:
        """The networks' architecture, as the configuration describes it."""
        return self.matrix.architecture

    @property
    def trajectories(self) -> list[str]:
        """The training run of each network, (n): checkpoints of one run share a name."""
        return [row.trajectory or row.name for row in self.matrix.rows[: self.basis.n_training]]

    @property
    def facts(self) -> Sequence[RowFacts]:
        """What the zoo records of each network.

        These are `validation_accuracy`, `train_loss` and, for checkpoints, `epochs`; None if not known.
        """
        from dwf_steps.storage.row_facts import read_facts

        return read_facts(self.matrix)[: self.basis.n_training]

    def encode(self, networks: StackedNetworks[np.ndarray]) -> np.ndarray:
        """Convert other networks into rows of the matrix's coordinates, (s, d) float32."""
        if self.encoder is not None:
            return self.encoder(networks)
        parts = [networks[entry.name].reshape(networks.count, -1) for entry in self.layout.entries]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def samples_at(self, points: np.ndarray, evaluations: int = 0) -> Samples:
        """Return the networks at points (s, k), or (s, d) without a subspace, in `points`' coordinates."""
        return Samples(*self.basis.sample_parts(points), evaluations=evaluations)


class Tools:
    """What a step provides to a generator besides the training networks; a context manager.

    Parameters
    ----------
    checkpoint
        State of a fit or a training; None if the step has none.
    data
        The data set's file, if the settings' ``reads_data`` is true.
    folder
        The generator's folder.
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
        """The device to compute on; PyTorch is imported on first access."""
        from dwf_steps.runtime.device import select_device

        return select_device()

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The saved state of this fit, from which an interrupted fit continues.

        `load` returns the last state saved with the same settings, code and networks; `save_if_due` saves a
        new one at intervals. Call `save_if_due` every few seconds once this attribute has been accessed: from
        then on SIGTERM, which a cluster sends before it kills a job, takes effect at the next call.
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
        """The generator's folder, where it may write files; a temporary one if the step has none."""
        return self._folder or Path(self._open.enter_context(TemporaryDirectory()))

    def progress(self, unit: str, total: int, done: int = 0) -> Progress:
        """Return a progress reporter, a context manager whose `advance` counts steps."""
        from dwf_steps.runtime.progress import Progress

        return Progress(unit, total, done)


class Generator(ABC, Generic[Config]):
    """Draws new networks that resemble the training networks.

    A kind without a model implements only `sample`. One with a model (``fitted`` in its settings) also
    implements `fit`, and either `state` and `load_state` or, for its own file format, `save` and `load`. All
    random numbers must come from `draws`, or from a generator seeded by `dwf_steps.runtime.randomness`, so
    that the same settings give the same networks.

    Parameters
    ----------
    config
        The settings. In `fit`, those that do not affect the fit have their default values.

    Attributes
    ----------
    key
        The configuration key of these settings, for messages.
    """

    key: str = "generator"

    def __init__(self, config: Config) -> None:
        self.config = config

    @abstractmethod
    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        """Draw ``config.sampling.samples`` new networks.

        Parameters
        ----------
        training
            The training networks.
        tools
            Device, data and folder.
        """

    def fit(self, training: TrainingNetworks, tools: Tools) -> pd.DataFrame:
        """Fit the model.

        Parameters
        ----------
        training
            The training networks.
        tools
            Device, checkpoint, data and folder.

        Returns
        -------
        The losses, a row per report: ``step``, ``train`` and ``validation`` (NaN if there is none).
        """
        raise NotImplementedError(f"{type(self).__name__} has no model to fit")

    def state(self) -> dict[str, np.ndarray]:
        """Return the fitted model as arrays by name."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its model consists of")

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the model from what `state` returned."""
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
        """Return a random number generator, seeded by ``purpose``, kind and the sampling seed.

        In a fit the sampling seed has its default value.
        """
        return numpy_generator(f"{purpose} {self.config.kind}", self.config.sampling.seed)


def _digest(state: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        array = state[name]
        digest.update(json.dumps([name, str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def damaged_model(path: Path, found: str) -> InputError:
    """Build the error for a model file that was altered after it was written.

    Parameters
    ----------
    path
        The file.
    found
        What is wrong with it.

    Returns
    -------
    The error, with advice on how to rebuild the file.
    """
    return InputError(f"{path}: not the model that was written ({found}); {rebuild(path)}")


class ReconstructingGenerator(Generator[Config]):
    """A generator that encodes networks, and decodes what it draws."""

    @abstractmethod
    def reconstructed(self, coordinates: np.ndarray) -> np.ndarray:
        """Encode and decode networks.

        Parameters
        ----------
        coordinates
            Coordinates in the subspace, (s, k); without a subspace, rows relative to the training mean.

        Returns
        -------
        Their reconstructions, (s, k).
        """
