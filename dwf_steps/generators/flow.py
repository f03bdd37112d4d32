"""Flows as generators: their source, the model's file, and sampling."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.generators.flow_training import FlowTraining
from dwf_steps.config.generators.velocity import AnyVelocity
from dwf_steps.flow.condition import Known, KnownZoos, read_known
from dwf_steps.flow.fields import (
    ConditionalField,
    Field,
    MaskedNetwork,
    VelocityField,
    build_velocity,
    present_of,
)
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.solve import integrate
from dwf_steps.flow.source import Source, kaiming_source
from dwf_steps.flow.velocity import TimeEmbedding
from dwf_steps.generators.base import damaged_model
from dwf_steps.generators.latents import Latents
from dwf_steps.generators.samples import Samples
from dwf_steps.geometry.canonical_form import CanonicalForm
from dwf_steps.geometry.euclidean import EUCLIDEAN
from dwf_steps.geometry.form import IDENTITY, Form, PartForm
from dwf_steps.geometry.manifold import Manifold
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis


def source_of(config: FlowConfig, basis: Basis, matrix: WeightMatrix, latents: Latents) -> Source:
    """Build the source distribution of a flow.

    Parameters
    ----------
    config
        The flow.
    basis
        The subspace.
    matrix
        The zoo's weights.
    latents
        The training networks' latents, whose scale the source shares.

    Returns
    -------
    The source, on the manifold of the flow's geodesics.

    Raises
    ------
    InputError
        If the source needs multilayer perceptrons and the networks are not.
    """
    if config.source == "standard":
        return Source(std=config.source_std, manifold=geodesics_of(latents.form, config))
    architecture = NetworkSpec.of(matrix.layout, matrix.architecture).architecture
    if not isinstance(architecture, MLPArchitecture):
        raise InputError("source 'kaiming' needs multilayer perceptrons; use the standard source")
    initial, std = architecture.kaiming_std(), np.empty(matrix.layout.size)
    for entry in matrix.layout.entries:
        std[entry.columns] = initial[entry.name]
    source = kaiming_source(basis, matrix, std, latents.shift.numpy(), latents.scale.numpy())
    return replace(source, std=config.source_std)


def geodesics_of(form: Form, config: FlowConfig) -> Manifold:
    """Choose the manifold along whose geodesics a flow moves.

    Parameters
    ----------
    form
        The latents' form, which may lie on a manifold.
    config
        The flow.

    Returns
    -------
    The form's manifold if the flow's geometry is ``geometric``, else Euclidean space.
    """
    return form.manifold if config.geometry == "geometric" else EUCLIDEAN


@dataclass(frozen=True)
class FlowModel:
    """A fitted velocity network, and the map from its latents to networks.

    The file holds the source's mean and factor; its standard deviation and manifold are configured (`start`).

    Attributes
    ----------
    velocity
        The network.
    shift, scale
        As in `Latents`.
    dimension
        Number of latents, k.
    source
        The source distribution.
    form
        The latents' form, as in `Latents`.
    condition
        The conditions of a conditional flow's training networks.
    network
        The layout of the latents, if the velocity network or the form needs it.
    """

    velocity: nn.Module
    shift: torch.Tensor
    scale: torch.Tensor
    dimension: int
    source: Source
    form: Form = IDENTITY
    condition: Known | None = None
    network: NetworkSpec | None = None

    @classmethod
    def of(
        cls, velocity: nn.Module, latents: Latents, source: Source, condition: Known | None = None
    ) -> "FlowModel":
        """Return the model of a velocity network that was fitted to latents."""
        parts = latents.shift, latents.scale, latents.points.shape[1], source, latents.form
        return cls(velocity, *parts, condition, latents.network)

    def manifold(self, config: FlowConfig) -> Manifold:
        """Return the manifold along whose geodesics the flow moves."""
        return geodesics_of(self.form, config)

    def start(self, config: FlowConfig) -> Source:
        """Return the source with the configured standard deviation and manifold."""
        return replace(self.source, std=config.source_std, manifold=self.manifold(config))

    def field(self, config: FlowConfig) -> VelocityField:
        """Return the velocity field; of a conditional flow, the unconditional one."""
        parts = self.velocity, config.prediction, self.manifold(config)
        return VelocityField(*parts) if self.condition is None else ConditionalField(*parts)

    def sampling_field(self, config: FlowConfig, count: int) -> VelocityField:
        """Return the velocity field of ``count`` samples, conditional on the configured values."""
        field, sampling = self.field(config), config.sampling
        if self.condition is None or not isinstance(field, ConditionalField):
            return field
        return replace(
            field, condition=self.condition.asked(sampling, count), weight=sampling.condition_weight
        )

    def coordinates(self, points: torch.Tensor, zoos: torch.Tensor | None = None) -> torch.Tensor:
        """Map latents to coordinates, differentiably.

        Parameters
        ----------
        points
            Latents, (n, k).
        zoos
            The number of each latent's zoo, (n,), if every zoo has its own shift and scale.

        Returns
        -------
        Coordinates in the subspace, or rows relative to the training mean, (n, c).
        """
        values = self.form.weights(points)
        shift, scale = self._statistics(zoos)
        return values * scale.to(values) + shift.to(values)

    def latents(self, coordinates: np.ndarray, zoos: torch.Tensor | None = None) -> torch.Tensor:
        """Return the latents (n, k) float32 of coordinates (n, c), the inverse of `coordinates`."""
        shift, scale = (part.cpu().numpy() for part in self._statistics(zoos))
        return self.form.points((coordinates - shift) / scale)

    def _statistics(self, zoos: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        return (self.shift, self.scale) if zoos is None else (self.shift[zoos], self.scale[zoos])

    def save(self, path: Path, config: AnyVelocity) -> None:
        """Write the model; the metadata describe the velocity network.

        Parameters
        ----------
        path
            The file, safetensors.
        config
            The velocity network's architecture.
        """
        state = {f"velocity.{name}": value for name, value in self.velocity.state_dict().items()}
        state |= {"shift": self.shift, "scale": self.scale}
        state |= {f"source.{name}": getattr(self.source, name).contiguous() for name in ("mean", "factor")}
        state |= {
            f"form.{name}": torch.as_tensor(value, dtype=torch.float64)
            for name, value in self.form.state.items()
        }
        state |= {} if self.condition is None else self.condition.state
        description = {
            "dimension": self.dimension,
            "velocity": config.model_dump(),
            "network": None if self.network is None else self.network.description,
            "sha256": _digest(state),
        } | ({} if self.condition is None else self.condition.description)
        with replacing(path) as partial:
            # A single entry, because safetensors writes several in an order that differs between runs.
            save_file(state, partial, metadata={"flow": json.dumps(description)})

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "FlowModel":
        """Read a model, in evaluation mode.

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
            raise damaged_model(path, str(error)) from error
        if _digest(state) != description["sha256"]:
            raise damaged_model(path, "its weights' SHA-256 is not the one it was written with")
        config = TypeAdapter(AnyVelocity).validate_python(description["velocity"])
        network, dimension = None, description["dimension"]
        form: Form = IDENTITY
        columns = state.pop("form.columns").long().cpu().numpy() if "form.columns" in state else None
        if columns is not None:
            form = PartForm(columns, state["shift"].shape[-1])
        if known := description["network"]:
            network = NetworkSpec.of(Layout.from_json(known["layout"]), known["architecture"], columns)
            if "form.shift" in state:
                shift, scale, factors = (
                    state.pop(f"form.{name}").cpu().numpy() for name in ("shift", "scale", "factors")
                )
                spec = network.architecture.rescaling_spec()
                form = CanonicalForm(network.layout, spec, shift, scale, factors)
        condition = read_known(description, state)
        embedding = TimeEmbedding if condition is None else condition.embedding
        present = state.get("velocity.present")
        velocity = build_velocity(dimension, config, network, embedding, present).to(device)
        own_shift, own_scale, mean, factor = (
            state.pop(name).cpu() for name in ("shift", "scale", "source.mean", "source.factor")
        )
        velocity.load_state_dict({name.removeprefix("velocity."): value for name, value in state.items()})
        source = Source(mean, factor)
        return cls(velocity.eval(), own_shift, own_scale, dimension, source, form, condition, network)


def _digest(state: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def left_out_networks(trajectories: Sequence[str], training: FlowTraining, key: str) -> torch.Tensor | None:
    """Choose the training networks that a fit holds out for validation.

    Parameters
    ----------
    trajectories
        The training run of each network, (n).
    training
        Number or share of the runs to hold out, and the seed.
    key
        The generator's configuration key, for messages.

    Returns
    -------
    Which networks are held out, (n,) bool: all checkpoints of randomly drawn runs. None if the configuration
    holds out none.

    Raises
    ------
    InputError
        If fewer than two runs remain.
    """
    names = list(dict.fromkeys(trajectories))
    if not (count := training.left_out(len(names))):
        return None
    if len(names) - count < 2:
        raise InputError(
            f"{key}.training.validation_networks: {training.validation_networks:g} leaves {count} of "
            f"{len(names)} trainings out and {len(names) - count} to fit, expected 2 at least; lower it"
        )
    order = torch.randperm(len(names), generator=torch_generator("left out", training.seed))
    chosen = {names[i] for i in order[:count].tolist()}
    return torch.tensor([name in chosen for name in trajectories])


def integrate_flow(
    model: FlowModel,
    config: FlowConfig,
    basis: Basis,
    device: torch.device,
    steer: Callable[[VelocityField], Field] | None = None,
    source: Source | None = None,
) -> Samples:
    """Sample networks from a flow.

    Parameters
    ----------
    model
        The fitted flow.
    config
        The flow, with its sampling.
    basis
        The subspace.
    device
        Where the velocity network is evaluated.
    steer
        Changes the velocity field; None for no change.
    source
        The distribution of starting points; None for the model's.

    Returns
    -------
    ``config.sampling.samples`` samples.
    """
    coordinates, evaluations = draw(model, config, device, steer, source)
    zoos = model.condition.names(config.sampling, len(coordinates)) if model.condition else []
    samples = Samples(*basis.sample_parts(coordinates), evaluations=evaluations)
    return replace(samples, zoos=np.array(zoos, str))


def draw(
    model: FlowModel,
    config: FlowConfig,
    device: torch.device,
    steer: Callable[[VelocityField], Field] | None = None,
    source: Source | None = None,
) -> tuple[np.ndarray, int]:
    """Draw from a flow's source and integrate its velocity field.

    Parameters
    ----------
    model
        The fitted flow.
    config
        The flow, with its sampling.
    device
        Where the velocity network is evaluated.
    steer
        Changes the velocity field; None for no change.
    source
        The distribution of starting points; None for the model's.

    Returns
    -------
    Coordinates in the subspace, or rows relative to the training mean, (``config.sampling.samples``, c); and
    the number of evaluations of the velocity network.
    """
    draws, count = torch_generator("sample flow", config.sampling.seed), config.sampling.samples
    known = model.start(config) if source is None else source
    start = known.draw(
        count, model.dimension, draws, config.sampling.temperature, partners=torch.arange(count)
    )
    zoos = None
    if isinstance(model.condition, KnownZoos):
        asked = model.condition.asked(config.sampling, count)
        zoos = asked[:, 0].long()
        if isinstance(model.velocity, MaskedNetwork):
            start = start * present_of(model.velocity.present.to(start.device), asked)
    field = model.sampling_field(config, len(start))
    steered = field if steer is None else steer(field)
    ends, evaluations = integrate(steered, start.to(device), config.sampling, field.manifold)
    return model.coordinates(ends.cpu().double(), zoos).numpy(), evaluations * field.evaluations
