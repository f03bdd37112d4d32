"""Canonicalizations: lists of methods, applied in order."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dwf_steps.config.representation import Probing
from dwf_steps.config.section import Section, Seed, expand_methods


class UnitMatching(Section):
    """Settings shared by the methods that permute units."""

    reference: int | str = 0
    """The network that the others are aligned to, a training network: k for seed k (in an imported zoo, its
    k-th file), a network's name, or `medoid`, the network with the smallest mean distance to the others."""
    target: Literal["reference", "barycentre"] = "reference"
    """What networks are matched to: the reference network, or the mean of all training networks
    (`barycentre`), which is found by aligning all networks to the reference, then repeatedly to their
    mean."""
    rounds: Annotated[int, Field(ge=1)] = 10
    """Maximum number of means computed in the search for the barycentre. It ends earlier when a round brings
    networks no closer together than the one before."""


class WeightMatching(UnitMatching):
    """Settings shared by the methods that match units by their weights."""

    iterations: Annotated[int, Field(ge=1)] = 100
    """Maximum number of sweeps over all layers; matching stops earlier when a sweep changes nothing."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the order in which layers are visited."""


class GitRebasin(WeightMatching):
    """Permute hidden units to match a reference network or the mean of all networks.

    Git Re-Basin, Ainsworth et al. 2023.
    """

    method: Literal["git_rebasin"] = "git_rebasin"
    """Weight matching by coordinate ascent over layers, with an exact assignment at each. Networks with a
    residual stream are matched from two starting points, and the better result is kept."""


Pairing = Literal["spectra", "weights"]


class Transfusion(WeightMatching):
    """Permute attention heads, dimensions within heads, and hidden units of transformers.

    They are matched to a reference network (TransFusion; Rinaldi et al. 2025) or to the mean of all networks.
    """

    method: Literal["transfusion"] = "transfusion"
    """Assigns heads, then dimensions within each pair of heads, then matches the MLPs by Git Re-Basin. The
    residual stream is matched first where permuting it is a symmetry, which a module declares or tracing
    finds."""
    heads: Pairing = "spectra"
    """What heads are paired by: the singular values of their projections (`spectra`, as in the paper), or how
    close their `weights` are once the dimensions within each pair are optimally permuted."""


class ActivationMatching(UnitMatching):
    """Permute hidden units by their responses to training inputs.

    Units are matched to those of a reference network or to the mean of all networks (Li et al. 2016, arXiv
    1511.07543; Ainsworth et al. 2023, section 3.1).
    """

    method: Literal["activation_matching"] = "activation_matching"
    """Solves one exact assignment for every set of interchangeable units; the assignments are independent of
    each other. The barycentre is the mean of the responses."""
    compare: Literal["activations", "pre_activations"] = "activations"
    """Which responses are compared: `activations`, after the elementwise activation that follows the layer,
    or `pre_activations`, before it. Both are taken after batch normalisation. Where no activation directly
    follows, as before a residual sum, the two are the same."""
    measure: Literal["distance", "correlation"] = "distance"
    """How pairs of units are compared: by the squared `distance` between their responses, or by their
    `correlation` over probes, which is invariant to scale and offset."""
    probes: Annotated[int, Field(ge=2)] = 1000
    """Number of training inputs, chosen by `seed`; their labels are not used."""
    positions: Annotated[int, Field(ge=1)] = 4
    """Number of output positions sampled per probe, in convolutions and in layers over tokens."""
    seed: Seed = 0
    """Seed of the choice of probes and positions."""

    @property
    def probing(self) -> Probing:
        """The inputs and positions at which responses are taken."""
        return Probing(probes=self.probes, positions=self.positions, seed=self.seed)


class Normalized(Section):
    """Scale the incoming weights of every hidden ReLU unit to unit norm, and the outgoing ones inversely."""

    method: Literal["normalized"] = "normalized"
    """Uses the positive scaling symmetry of ReLU."""


Matching = Annotated[GitRebasin | Transfusion | ActivationMatching, Field(discriminator="method")]
Method = Annotated[GitRebasin | Transfusion | ActivationMatching | Normalized, Field(discriminator="method")]


MethodName = Literal["git_rebasin", "transfusion", "activation_matching", "normalized", "none"]
Canonicalization = Annotated[
    list[Method],
    BeforeValidator(expand_methods, json_schema_input_type=list[Method | MethodName] | Literal["none"]),
]


def reference_of(methods: list[Method]) -> int | str:
    """Return the reference network of a canonicalization, to which distances are reported.

    Parameters
    ----------
    methods
        In the order in which they are applied.

    Returns
    -------
    A number or a name, as in the settings of the first method that permutes units; 0 if no method does.
    """
    chosen = [method.reference for method in methods if isinstance(method, UnitMatching)]
    return chosen[0] if chosen else 0


def until_barycentre(methods: list[Method]) -> list[Method]:
    """Return the methods up to and including the one that matches networks to their barycentre.

    Parameters
    ----------
    methods
        In the order in which they are applied.

    Returns
    -------
    The first methods of the list; none if no method matches to a barycentre.
    """
    for i, method in enumerate(methods):
        if isinstance(method, UnitMatching) and method.target == "barycentre":
            return methods[: i + 1]
    return []


def activation_matching_of(methods: list[Method]) -> ActivationMatching | None:
    """Return the method that matches units by their responses.

    Parameters
    ----------
    methods
        In the order in which they are applied.

    Returns
    -------
    Its settings; None if there is no such method.
    """
    return next((method for method in methods if isinstance(method, ActivationMatching)), None)
