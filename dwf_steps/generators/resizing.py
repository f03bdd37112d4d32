"""Flows over networks of one size, applied to networks of another (Erdogan 2025, arXiv 2504.03710)."""

from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np
import torch

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.relational import RelationalTransformer
from dwf_steps.flow.transformer import UnitTransformer
from dwf_steps.generators.flow import FlowModel
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.matrix import WeightMatrix


@dataclass(frozen=True)
class ResizedFlow:
    """A flow over networks of other widths.

    Attributes
    ----------
    model
        The flow; unlike other models', its coordinates are weights, not relative to the training mean.
    network
        The networks' layout and architecture.
    """

    model: FlowModel
    network: NetworkSpec


def resized(model: FlowModel, matrix: WeightMatrix, widths: list[int]) -> ResizedFlow:
    """Apply a flow to multilayer perceptrons of other widths.

    Transformers on units or on the graph do not depend on widths. The mean and standard deviation of a weight
    are those of its layer, over all hidden units; new hidden layers take those of the first layer between two
    hidden ones.

    Parameters
    ----------
    model
        The fitted flow.
    matrix
        The weights of the zoo that it was fitted to.
    widths
        Widths of the new networks, from input to output.

    Returns
    -------
    The resized flow.

    Raises
    ------
    InputError
        If the velocity network depends on widths, or does not fit these.
    """
    if not isinstance(model.velocity, RelationalTransformer | UnitTransformer):
        raise InputError("only velocity networks that see units or the graph know networks of other widths")
    old = NetworkSpec.of(matrix.layout, matrix.architecture)
    architecture = build(MLPConfig.model_validate(dict(matrix.architecture) | {"widths": widths}))
    new = NetworkSpec(architecture.layout, architecture)
    velocity = model.velocity.resized_to(new)
    centre = matrix.read()[: matrix.n_training].mean(axis=0, dtype=np.float64)
    shift, scale = (
        np.broadcast_to(value, centre.shape) for value in (model.shift.numpy() + centre, model.scale.numpy())
    )
    over_units = partial(_over_units, old, new)
    form = model.form.resized_to(new.layout, new.architecture.rescaling_spec, over_units)
    shift, scale = over_units(shift, scale)
    flow = replace(
        model,
        velocity=velocity,
        shift=torch.from_numpy(shift),
        scale=torch.from_numpy(scale),
        dimension=new.layout.size,
        form=form,
        network=new,
    )
    return ResizedFlow(flow, new)


def _over_units(
    old: NetworkSpec, new: NetworkSpec, shift: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each of the new networks' weights, (d,).

    They are pooled over all hidden units of the corresponding layer of the old networks.
    """
    known, last = {entry.name: entry for entry in old.layout.entries}, len(new.layers()) - 1
    places = {entry.name: entry for entry in new.layout.entries}
    spec, before = old.architecture.permutation_spec(), len(old.layers()) - 1
    means, deviations = np.empty(new.layout.size), np.empty(new.layout.size)
    for layer, kind in product(range(last + 1), ("weight", "bias")):
        same = before if layer == last else min(layer, 1)
        entry, place = known[f"layers.{same}.{kind}"], places[f"layers.{layer}.{kind}"]
        hidden = tuple(axis for axis, units in enumerate(spec[entry.name]) if units is not None)
        own, spread = (values[entry.columns].reshape(entry.shape) for values in (shift, scale))
        mean = own.mean(axis=hidden, keepdims=True)
        deviation = np.sqrt((spread**2 + (own - mean) ** 2).mean(axis=hidden, keepdims=True))
        means[place.columns] = np.broadcast_to(mean, place.shape).ravel()
        deviations[place.columns] = np.broadcast_to(deviation, place.shape).ravel()
    return means, deviations
