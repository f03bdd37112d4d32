"""The flow as a generator: training latents in, new latents out."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from dwf_steps.config.generator import FlowConfig, VelocityConfig
from dwf_steps.errors import InputError
from dwf_steps.flow.solve import integrate
from dwf_steps.flow.velocity import VelocityMLP
from dwf_steps.generators.samples import Samples
from dwf_steps.randomness import torch_generator
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis


@dataclass(frozen=True)
class Latents:
    """What a flow is fitted to: ``points`` (n, k) float32 of unit variance; times ``scale`` they are
    coordinates in the subspace, or centred raw weights.

    One scale for all coordinates keeps the geometry of weight space.
    """

    points: torch.Tensor
    scale: float

    @classmethod
    def of(cls, basis: Basis, matrix: WeightMatrix) -> "Latents":
        """Read the training networks' latents (from the matrix itself where the basis is raw)."""
        if basis.raw:
            rows = matrix.read()[: matrix.n_training]
            coordinates = rows - rows.mean(axis=0, dtype=np.float64)
        else:
            coordinates = basis.coordinates
        scale = float(np.sqrt(coordinates.var(axis=0, ddof=1).mean()))
        return cls(torch.from_numpy(coordinates / scale).float(), scale)


@dataclass(frozen=True)
class FlowModel:
    """A velocity field over latents; a latent times ``scale`` is a coordinate of the subspace."""

    velocity: VelocityMLP
    scale: float

    def save(self, path: Path, config: VelocityConfig) -> None:
        """Write the weights; the metadata say how to rebuild the network."""
        description = {
            "dimension": self.velocity.output.out_features,
            "scale": self.scale,
            "velocity": config.model_dump(),
            "sha256": _digest(self.velocity.state_dict()),
        }
        with replacing(path) as partial:
            # One entry: with several, safetensors writes them in an order that differs from run to run.
            metadata = {"flow": json.dumps(description)}
            save_file(self.velocity.state_dict(), partial, metadata=metadata)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "FlowModel":
        """Read what `save` wrote, in evaluation mode.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        try:
            with safe_open(path, framework="pt", device=str(device)) as file:
                description = json.loads((file.metadata() or {})["flow"])
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError) as error:
            raise _damaged(path, str(error)) from error
        if _digest(state) != description["sha256"]:
            raise _damaged(path, "its weights' SHA-256 is not the one it was written with")
        config = VelocityConfig.model_validate(description["velocity"])
        velocity = VelocityMLP(description["dimension"], config).to(device)
        velocity.load_state_dict(state)
        return cls(velocity.eval(), description["scale"])


def _digest(state: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _damaged(path: Path, found: str) -> InputError:
    return InputError(f"{path}: not the model that was written ({found}); delete {path} and run again")


def sample_flow(model: FlowModel, config: FlowConfig, basis: Basis, device: torch.device) -> Samples:
    """Integrate ``config.sampling.samples`` draws of the source to new networks, all at once."""
    n, k = config.sampling.samples, model.velocity.output.out_features
    draws = torch_generator("sample flow", config.sampling.seed)
    x0 = torch.randn(n, k, generator=draws).mul_(config.source_std * config.sampling.temperature).to(device)
    points = integrate(model.velocity, x0, config.sampling).cpu().numpy().astype(np.float64) * model.scale
    if basis.raw:
        coefficients = np.zeros((n, basis.decoder.shape[1]))
        return Samples(np.empty((n, 0)), coefficients, points.astype(np.float32))
    return Samples.from_latents(points, basis.decoder)
