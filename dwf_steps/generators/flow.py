"""The flow as a generator: training latents in, new latents out."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.generators.flow import AnyVelocity, FlowConfig
from dwf_steps.flow.fields import Field, VelocityField, build_velocity
from dwf_steps.flow.graph import MovedNetwork
from dwf_steps.flow.solve import integrate
from dwf_steps.flow.source import STANDARD, Source, kaiming_source
from dwf_steps.generators.samples import Samples
from dwf_steps.geometry.canonical_form import CanonicalForm
from dwf_steps.geometry.product import ProductManifold
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis


@dataclass(frozen=True)
class Latents:
    """What a flow is fitted to: ``points`` (n, k) float32 of unit variance; times ``scale`` plus ``shift``
    they are coordinates in the subspace, or weights relative to the training mean.

    One scale for all coordinates, a 0-d tensor, keeps the geometry of weight space. Where the ``network`` is
    known, each of a unit's weights has its own shift and scale, (k,), over all units. Where there is a
    canonical ``form``, points are its coordinates, and the networks that these stand for are scaled and
    shifted.
    """

    points: torch.Tensor
    shift: torch.Tensor
    scale: torch.Tensor
    network: MovedNetwork | None = None
    form: CanonicalForm | None = None

    @classmethod
    def of(
        cls, basis: Basis, matrix: WeightMatrix, by_unit: bool = False, canonical: bool = False
    ) -> "Latents":
        """Read the training networks' latents (from the matrix itself where the basis is raw).

        Parameters
        ----------
        by_unit
            The latents are to be whole networks seen as units.
        canonical
            They are to be the networks in canonical form.

        Raises
        ------
        InputError
            If they are coordinates in a subspace instead.
        """
        if (by_unit or canonical) and not basis.raw:
            raise InputError("a flow over units needs whole networks: use a subspace of method 'none'")
        if basis.raw:
            rows = matrix.read()[: matrix.n_training]
            mean = rows.mean(axis=0, dtype=np.float64)
            if canonical:
                network = MovedNetwork.of(matrix.layout, matrix.architecture)
                spec = network.architecture.rescaling_spec()
                form = CanonicalForm.of(matrix.layout, spec, rows)
                shift, scale = torch.from_numpy(-mean), torch.tensor(1.0).double()
                return cls(form.points(rows), shift, scale, network, form)
            if by_unit:
                network = MovedNetwork.of(matrix.layout, matrix.architecture)
                centre, spread = network.tokens().statistics(rows)
                points = torch.from_numpy((rows - centre) / spread).float()
                return cls(points, torch.from_numpy(centre - mean), torch.from_numpy(spread), network)
            coordinates = rows - mean
        else:
            coordinates = basis.coordinates
        std = np.sqrt(coordinates.var(axis=0, ddof=1).mean())
        points = torch.from_numpy(coordinates / std).float()
        return cls(points, torch.tensor(0.0).double(), torch.tensor(std))


def source_of(config: FlowConfig, basis: Basis, matrix: WeightMatrix, latents: Latents) -> Source:
    """Return where a flow to the training networks' latents starts."""
    if config.source == "standard":
        return STANDARD
    architecture = MovedNetwork.of(matrix.layout, matrix.architecture).architecture
    if not isinstance(architecture, MLPArchitecture):
        raise InputError("source 'kaiming' needs multilayer perceptrons; use the standard source")
    initial, std = architecture.kaiming_std(), np.empty(matrix.layout.size)
    for entry in matrix.layout.entries:
        std[entry.columns] = initial[entry.name]
    return kaiming_source(basis, matrix, std, latents.shift.numpy(), latents.scale.numpy())


def geodesics_of(form: CanonicalForm | None, config: FlowConfig) -> ProductManifold | None:
    """Return the manifold whose geodesics a flow's ways are, if they are."""
    return form.manifold if form and config.geometry == "geometric" else None


@dataclass(frozen=True)
class FlowModel:
    """A velocity network over latents; a latent, or where there is a canonical ``form`` the weight that it
    stands for, times ``scale`` plus ``shift`` is a coordinate of the subspace, or a weight relative to the
    training mean."""

    velocity: nn.Module
    shift: torch.Tensor
    scale: torch.Tensor
    dimension: int
    source: Source
    form: CanonicalForm | None = None

    def manifold(self, config: FlowConfig) -> ProductManifold | None:
        """Return `geodesics_of` the flow."""
        return geodesics_of(self.form, config)

    def coordinates(self, points: torch.Tensor) -> torch.Tensor:
        """Return what latents (n, k) stand for, differentiably: coordinates in the subspace, or weights
        relative to the training mean."""
        values = points if self.form is None else self.form.weights(points)
        return values * self.scale.to(values) + self.shift.to(values)

    def latents(self, coordinates: np.ndarray) -> torch.Tensor:
        """Return the latents (n, k) float32 that stand for `coordinates`."""
        values = (coordinates - self.shift.cpu().numpy()) / self.scale.cpu().numpy()
        return torch.from_numpy(values).float() if self.form is None else self.form.points(values)

    def save(self, path: Path, config: AnyVelocity, network: Mapping[str, Any] | None = None) -> None:
        """Write the weights; the metadata say how to rebuild the velocity network.

        Parameters
        ----------
        network
            ``layout`` and ``architecture`` of the networks whose units the velocity network, or whose
            canonical form the flow knows.
        """
        state = {f"velocity.{name}": value for name, value in self.velocity.state_dict().items()}
        state |= {"shift": self.shift, "scale": self.scale}
        state |= {f"source.{name}": value.contiguous() for name, value in vars(self.source).items()}
        if self.form is not None:
            numbers = ("shift", "scale", "factors")
            state |= {
                f"form.{name}": torch.as_tensor(getattr(self.form, name), dtype=torch.float64)
                for name in numbers
            }
        description = {
            "dimension": self.dimension,
            "velocity": config.model_dump(),
            "network": network,
            "sha256": _digest(state),
        }
        with replacing(path) as partial:
            # One entry: with several, safetensors writes them in an order that differs from run to run.
            save_file(state, partial, metadata={"flow": json.dumps(description)})

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
        config = TypeAdapter(AnyVelocity).validate_python(description["velocity"])
        network, form, dimension = None, None, description["dimension"]
        if known := description["network"]:
            network = MovedNetwork.of(Layout.from_json(known["layout"]), known["architecture"])
            if "form.shift" in state:
                shift, scale, factors = (
                    state.pop(f"form.{name}").cpu().numpy() for name in ("shift", "scale", "factors")
                )
                spec = network.architecture.rescaling_spec()
                form = CanonicalForm(network.layout, spec, shift, scale, factors)
        velocity = build_velocity(dimension, config, network).to(device)
        own_shift, own_scale, mean, factor = (
            state.pop(name).cpu() for name in ("shift", "scale", "source.mean", "source.factor")
        )
        velocity.load_state_dict({name.removeprefix("velocity."): value for name, value in state.items()})
        return cls(velocity.eval(), own_shift, own_scale, dimension, Source(mean, factor), form)


def _digest(state: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _damaged(path: Path, found: str) -> InputError:
    return InputError(f"{path}: not the model that was written ({found}); delete {path} and run again")


def sample_flow(
    model: FlowModel,
    config: FlowConfig,
    basis: Basis,
    device: torch.device,
    steer: Callable[[VelocityField], Field] | None = None,
) -> Samples:
    """Integrate ``config.sampling.samples`` draws of the source to new networks, all at once; ``steer`` as of
    `draw`."""
    points, evaluations = draw(model, config, device, steer)
    if basis.raw:
        n, offsets = len(points), points.astype(np.float32)
        coefficients = np.zeros((n, basis.n_training))
        return Samples(np.empty((n, 0)), coefficients, offsets, evaluations=evaluations)
    return Samples.from_latents(points, basis, evaluations)


def draw(
    model: FlowModel,
    config: FlowConfig,
    device: torch.device,
    steer: Callable[[VelocityField], Field] | None = None,
) -> tuple[np.ndarray, int]:
    """Return where ``config.sampling.samples`` draws of the source end, as what latents stand for, (n, k),
    and how often the velocity field was evaluated.

    Parameters
    ----------
    steer
        Changes the velocity field.
    """
    n, k = config.sampling.samples, model.dimension
    draws = torch_generator("sample flow", config.sampling.seed)
    noise = torch.randn(n, k, generator=draws).mul_(config.source_std * config.sampling.temperature)
    start = model.source.at(noise)
    manifold = model.manifold(config)
    start = start if manifold is None else manifold.uniform(start)
    field = VelocityField(model.velocity, config.prediction, manifold)
    steered = field if steer is None else steer(field)
    ends, evaluations = integrate(steered, start.to(device), config.sampling, manifold)
    return model.coordinates(ends.cpu().double()).numpy(), evaluations
