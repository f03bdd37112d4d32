"""The generator `autoencoder`: an autoencoder, and another generator of its codes."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dwf_steps.config.generators.autoencoder import AutoencoderConfig
from dwf_steps.flow.autoencoder import EncoderDecoder, Reconstructions
from dwf_steps.flow.fitting import fit_network
from dwf_steps.generators.base import Generator, ReconstructingGenerator, Tools, TrainingNetworks
from dwf_steps.generators.flow import left_out_networks
from dwf_steps.generators.latents import Latents
from dwf_steps.generators.registry import implementation_of
from dwf_steps.generators.samples import Samples
from dwf_steps.metrics.exactness import relative_distances
from dwf_steps.runtime.errors import NumericalError
from dwf_steps.runtime.randomness import derive_seed
from dwf_steps.storage.checkpoint import Checkpoint
from dwf_steps.subspace.basis import ReducedBasis

logger = logging.getLogger(__name__)

AUTOENCODER, MODEL = "autoencoder", "model"  # phases of the fit
FITTED = "fitted autoencoder"  # key of the first phase's result in a checkpoint


class Autoencoder(ReconstructingGenerator[AutoencoderConfig]):
    """Encodes the training networks' latents, samples codes with another generator, and decodes them.

    Codes are passed to that generator as coordinates in a subspace, so that it can be of any kind.

    Attributes
    ----------
    network
        The autoencoder of coordinates in the subspace, divided by ``std``.
    std
        Standard deviation of the coordinates.
    codes
        The training networks' codes, (n, c) float32.
    model
        The generator of codes.
    """

    network: EncoderDecoder
    std: float
    codes: np.ndarray
    model: Generator[Any]

    def fit(self, training: TrainingNetworks, tools: Tools) -> pd.DataFrame:
        latents = Latents.of(training.basis, training.matrix)
        points, self.std = latents.points.to(tools.device), float(latents.scale)
        left_out = left_out_networks(training.trajectories, self.config.training, self.key)
        losses = self._fit_autoencoder(points, left_out, tools.checkpoint)
        with torch.no_grad():
            self.codes = self.network.encode(points).cpu().numpy()
        self._log_errors(training, left_out)
        self.model, phases = self._generator_of_codes(), [losses.assign(phase=AUTOENCODER)]
        if self.config.model.fitted:
            finished = {"network": self.network.state_dict(), "losses": losses.to_dict("records")}
            with Tools(tools.checkpoint.phase(MODEL, {FITTED: finished})) as phase:
                more = self._fit_model(training, phase)
            phases.append(more.assign(phase=MODEL, step=more.step + losses.step.iloc[-1]))
        return pd.concat(phases, ignore_index=True)

    def _fit_autoencoder(self, points: Tensor, left_out: Tensor | None, whole: Checkpoint) -> pd.DataFrame:
        """Fit the autoencoder to latents (n, k), and return its losses.

        It is restored instead if the checkpoint is of the next phase.
        """
        config = self.config
        build = partial(EncoderDecoder, points.shape[1], config)
        if found := (whole.load() or {}).get(FITTED):
            self.network = build().to(points.device).eval()
            self.network.load_state_dict(found["network"])
            return pd.DataFrame(found["losses"])
        # The generator of codes may have the same seed; their draws must differ.
        seed = derive_seed("autoencoder", config.training.seed)
        own = config.training.model_copy(update={"seed": seed})
        paths = Reconstructions(points, left_out, config)
        fit = fit_network(build, paths, own, points.device, whole.phase(AUTOENCODER))
        assert isinstance(fit.velocity, EncoderDecoder)
        self.network = fit.velocity.eval()
        return fit.losses

    def _fit_model(self, training: TrainingNetworks, tools: Tools) -> pd.DataFrame:
        try:
            return self.model.fit(self._of_codes(training), tools)
        except NumericalError as error:
            raise NumericalError(f"{self.model.key}: {error}") from error

    def _log_errors(self, training: TrainingNetworks, left_out: Tensor | None) -> None:
        """Log relative errors of reconstruction for fitted, left-out and held-out networks.

        Errors are relative to the networks' distances from the training mean.
        """
        every = training.basis.coordinates_of(training.matrix, slice(None))
        errors = relative_distances(*map(torch.from_numpy, (self.reconstructed(every), every)))
        n = training.basis.n_training
        unseen = np.zeros(n, bool) if left_out is None else left_out.numpy()
        kinds = {"fitted": errors[:n][~unseen], "left out": errors[:n][unseen], "held-out": errors[n:]}
        stated = [f"{some.mean():.3f} ({len(some)} {kind})" for kind, some in kinds.items() if len(some)]
        logger.info("relative error of reconstructed networks: %s", ", ".join(stated))

    def reconstructed(self, coordinates: np.ndarray) -> np.ndarray:
        points = torch.from_numpy(coordinates / self.std).float()
        device = next(self.network.parameters()).device
        with torch.no_grad():
            codes = self.network.encode(points.to(device))
        return self._decoded(codes)

    def _decoded(self, codes: Tensor) -> np.ndarray:
        with torch.no_grad():
            coordinates: np.ndarray = self.network.decode(codes).cpu().double().numpy() * self.std
        return coordinates

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        drawn = self.model.sample(self._of_codes(training), tools)
        codes = torch.from_numpy(drawn.latents + self.codes.mean(axis=0, dtype=np.float64)).float()
        return training.samples_at(self._decoded(codes.to(tools.device)), drawn.evaluations)

    def _of_codes(self, training: TrainingNetworks) -> TrainingNetworks:
        """Return the training networks with their codes as coordinates.

        The basis cannot express codes as combinations of networks: only the autoencoder decodes them.
        """
        mean = self.codes.mean(axis=0, dtype=np.float64)
        centred, (n, c) = self.codes - mean, self.codes.shape
        variances = centred.var(axis=0, ddof=1)
        basis = ReducedBasis(centred, np.empty((0, c)), np.zeros((c, n)), variances, float(variances.sum()))
        return replace(training, basis=basis)

    def _generator_of_codes(self) -> Generator[Any]:
        generator: Generator[Any] = implementation_of(self.config.model_sampled, Generator)
        generator.key = f"{self.key}.model"
        return generator

    def state(self) -> dict[str, np.ndarray]:
        """Return the autoencoder, the codes, and the bytes of the fitted generator's file as ``model``."""
        state = {f"network.{name}": value.cpu().numpy() for name, value in self.network.state_dict().items()}
        state |= {"codes": self.codes, "std": np.array([self.std])}
        if self.config.model.fitted:
            with TemporaryDirectory() as folder:
                file = Path(folder, "model.safetensors")
                self.model.save(file)
                state["model"] = np.frombuffer(file.read_bytes(), np.uint8)
        return state

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        weights = {
            name.removeprefix("network."): torch.from_numpy(array)
            for name, array in state.items()
            if name.startswith("network.")
        }
        self.network = EncoderDecoder(weights["encoder.0.weight"].shape[1], self.config).eval()
        self.network.load_state_dict(weights)
        self.codes, self.std = state["codes"], float(state["std"][0])
        self._model_file = state.get("model")

    def load(self, path: Path, tools: Tools) -> None:
        super().load(path, tools)
        self.network.to(tools.device)
        self.model = self._generator_of_codes()
        if self._model_file is not None:
            with TemporaryDirectory() as folder:
                file = Path(folder, "model.safetensors")
                file.write_bytes(self._model_file.tobytes())
                self.model.load(file, tools)
