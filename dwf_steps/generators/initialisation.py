"""Where flows start that are paired with networks' first weights."""

import numpy as np

from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.zoo import NetworkPlan, new_plans, plans_of, seed_of
from dwf_steps.flow.source import PairedSource
from dwf_steps.flow.units import spread
from dwf_steps.generators.base import TrainingNetworks
from dwf_steps.generators.flow import FlowModel, Latents
from dwf_steps.generators.layers import architecture_of, first_units
from dwf_steps.runtime.errors import InputError
from dwf_steps.zoo.training import initial_networks


def zoo_starts(config: FlowConfig, training: TrainingNetworks, latents: Latents) -> PairedSource:
    """Return the training networks' own first weights as latents, each paired with its network.

    They are drawn again from the networks' seeds. Canonicalization has permuted a network's units since; its
    permutation is not known here. So the initial units of the first layer are matched to the network's by
    `match_units`.

    Raises
    ------
    InputError
        If how the zoo's networks were initialised, or the seed of one, is not known.
    """
    rows = training.basis.whole_networks(training.matrix)
    kinds = _initialisations(training)
    plans = [plans_of([seed_of(name)], kinds)[0] for name in training.trajectories]
    initial, units = _initial_rows(training, plans), first_units(training.layout, training.architecture)
    scale = spread(rows[:, units].reshape(-1, units.shape[1]))
    initial[:, units] = match_units(initial[:, units], rows[:, units], scale)
    points = latents.at(initial - rows.mean(axis=0, dtype=np.float64))
    return PairedSource(mean=points.mean(dim=0), std=config.source_std, starts=points)


def new_starts(config: FlowConfig, training: TrainingNetworks, model: FlowModel) -> PairedSource:
    """Return the first weights of networks that the zoo does not have, as latents of the ``model``: one for
    each sample.

    Units of the first layer are matched to the mean of the training networks' first weights by `match_units`,
    for velocity networks that tell units apart by their place.
    """
    plans = new_plans(config.sampling.seed, range(config.sampling.samples), _initialisations(training))
    rows = training.basis.whole_networks(training.matrix)
    mean = rows.mean(axis=0, dtype=np.float64)
    initial, units = _initial_rows(training, plans), first_units(training.layout, training.architecture)
    scale = spread(rows[:, units].reshape(-1, units.shape[1]))
    places = model.coordinates(model.source.mean[None].double()).numpy() + mean
    initial[:, units] = match_units(initial[:, units], places[:, units], scale)
    points = model.latents(initial - mean)
    return PairedSource(mean=model.source.mean, std=config.source_std, starts=points)


def match_units(initial: np.ndarray, trained: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return ``initial`` units (n, units, features) reordered, network by network, to the partners of
    ``trained`` ones, (n, units, features) or (1, units, features).

    The assignment minimises the total squared distance exactly. Every feature counts in units of its
    deviation over trained units, ``scale`` (features,): of response coordinates the few with most variance
    are those that training changes most, and alone would tell units apart badly. On 20 MLPs 784-32-32-10 of
    MNIST all 640 units find their partners, 138 of them where coordinates are not scaled.
    """
    # Imported here: it takes half a second, which drawing from other sources need not pay.
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    matched = np.empty_like(initial)
    wanted = np.broadcast_to(trained, initial.shape)
    for own, units, others in zip(matched, initial, wanted, strict=True):
        _, partners = linear_sum_assignment(cdist(others / scale, units / scale, "sqeuclidean"))
        own[:] = units[partners]
    return matched


def _initial_rows(training: TrainingNetworks, plans: list[NetworkPlan]) -> np.ndarray:
    """Return the rows (s, d) of untrained networks in the coordinates of the training networks; columns of
    other layers than the first mean nothing."""
    networks = initial_networks(architecture_of(training.architecture), plans)
    return training.encode(networks.numpy())


def _initialisations(training: TrainingNetworks) -> tuple[Initialisation, ...]:
    if not training.initialisations:
        raise InputError(
            "source 'initialisation' needs to know how the zoo's first weights were drawn; found nothing of "
            "it, as of imported networks. Use source: 'standard'"
        )
    return training.initialisations
