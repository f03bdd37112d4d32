"""Starting points of flows whose source is the networks' initial weights."""

import numpy as np

from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.zoo import NetworkPlan, new_plans, plans_of, seed_of
from dwf_steps.flow.source import PairedSource
from dwf_steps.flow.units import spread
from dwf_steps.generators.base import TrainingNetworks
from dwf_steps.generators.flow import FlowModel
from dwf_steps.generators.latents import Latents
from dwf_steps.generators.layers import architecture_of, first_units
from dwf_steps.runtime.errors import InputError
from dwf_steps.zoo.training import initial_networks


def zoo_starts(config: FlowConfig, training: TrainingNetworks, latents: Latents) -> PairedSource:
    """Compute the training networks' initial weights as starting points of a flow.

    They are drawn again from the networks' seeds. Canonicalization has permuted the networks' units, and its
    permutations are not known here, so the initial units of the first layer are matched to each network's by
    `match_units`.

    Parameters
    ----------
    config
        The flow.
    training
        The training networks.
    latents
        Their latents.

    Returns
    -------
    The starting point of each training network.

    Raises
    ------
    InputError
        If a network's initialisation or seed is not known.
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
    """Compute the initial weights of new networks, one for each sample, as starting points.

    Their seeds are not in the zoo. Units of the first layer are matched to the mean of the training networks'
    starting points by `match_units`, for velocity networks that distinguish units by position.

    Parameters
    ----------
    config
        The flow, with its sampling.
    training
        The training networks.
    model
        The fitted flow.

    Returns
    -------
    The starting point of each sample.

    Raises
    ------
    InputError
        If it is not known how the zoo was initialised.
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
    """Permute initial units to match trained ones.

    The assignment minimises the total squared distance exactly, with features divided by ``scale``. Without
    it, the few response coordinates with most variance would dominate, which are those that training changes
    most. On 20 MLPs 784-32-32-10 of MNIST all 640 units are matched correctly, and 138 without scaling.

    Parameters
    ----------
    initial
        Units of initial networks, (n, units, features).
    trained
        Units to match, (n, units, features), or (1, units, features) for all networks.
    scale
        Standard deviation of each feature over trained units, (features,).

    Returns
    -------
    The initial units in the order of their partners, (n, units, features).
    """
    # Imported here because it takes half a second, and other sources do not need it.
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    matched = np.empty_like(initial)
    wanted = np.broadcast_to(trained, initial.shape)
    for own, units, others in zip(matched, initial, wanted, strict=True):
        _, partners = linear_sum_assignment(cdist(others / scale, units / scale, "sqeuclidean"))
        own[:] = units[partners]
    return matched


def _initial_rows(training: TrainingNetworks, plans: list[NetworkPlan]) -> np.ndarray:
    """Return the rows (s, d) of untrained networks; only the columns of the first layer are meaningful."""
    networks = initial_networks(architecture_of(training.architecture), plans)
    return training.encode(networks.numpy())


def _initialisations(training: TrainingNetworks) -> tuple[Initialisation, ...]:
    if not training.initialisations:
        raise InputError(
            "source 'initialisation' needs to know how the zoo's networks were initialised, which is not "
            "known, as for imported networks; use source: 'standard'"
        )
    return training.initialisations
