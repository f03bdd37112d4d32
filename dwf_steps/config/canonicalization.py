"""Canonicalizations: lists of methods, applied in order."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dwf_steps.config.representation import Probing
from dwf_steps.config.section import Section, Seed, expand_methods


class UnitMatching(Section):
    """What methods that permute units share."""

    reference: int | str = 0
    """A training network: k for seed k (of an imported zoo: its k-th file), a network's name, or `medoid`,
    the one with the smallest mean distance to the others."""
    target: Literal["reference", "barycentre"] = "reference"
    """What networks are matched to: the reference network, or the mean of all training networks, which is
    found by aligning them to the reference, then to their mean, and again."""
    rounds: Annotated[int, Field(ge=1)] = 10
    """Means at most, of a barycentre; the search ends earlier when aligning to one brings networks no closer
    together than aligning to the last."""


class WeightMatching(UnitMatching):
    """What methods that match units by their weights share."""

    iterations: Annotated[int, Field(ge=1)] = 100
    """Sweeps over all layers at most; matching stops earlier when a sweep changes nothing."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides the order in which layers are visited."""


class GitRebasin(WeightMatching):
    """Permute hidden units to match a reference network (Git Re-Basin; Ainsworth et al. 2023) or the mean of
    all."""

    method: Literal["git_rebasin"] = "git_rebasin"
    """Weight matching by coordinate ascent over layers, an exact assignment at each; around a residual stream
    from two starts, of which the better result is kept."""


Pairing = Literal["spectra", "weights"]


class Transfusion(WeightMatching):
    """Permute attention heads, dimensions within heads and hidden units to match a reference network
    (TransFusion; Rinaldi et al. 2025) or the mean of all."""

    method: Literal["transfusion"] = "transfusion"
    """Assignments of heads, then within each pair of heads, then Git Re-Basin of the MLPs; before them of
    the residual stream, where its order is a symmetry that a module states or tracing finds."""
    heads: Pairing = "spectra"
    """What pairs heads: the singular values of their projections (the paper's), or `weights`, the closeness
    that the best orders within each pair reach."""


class ActivationMatching(UnitMatching):
    """Permute hidden units to match a reference network's, or all networks' mean, by what they respond to
    training inputs (Li et al. 2016, arXiv 1511.07543; Ainsworth et al. 2023, section 3.1)."""

    method: Literal["activation_matching"] = "activation_matching"
    """One exact assignment for every set of interchangeable units, none of which depends on another's. A
    barycentre is the mean of responses."""
    compare: Literal["activations", "pre_activations"] = "activations"
    """What units respond with: `activations` after the elementwise activation that follows, or what goes into
    it. Both are taken after a batch normalisation; where no activation alone follows, as before a residual
    sum, they are the same."""
    measure: Literal["distance", "correlation"] = "distance"
    """How pairs of units are judged: by the squared `distance` of their responses, or by their `correlation`
    over probes, which neither scales nor offsets change."""
    probes: Annotated[int, Field(ge=2)] = 1000
    """Training inputs, without labels, chosen by seed."""
    positions: Annotated[int, Field(ge=1)] = 4
    """Of convolutions and of layers over tokens: output positions sampled of every probe."""
    seed: Seed = 0
    """Seed of probes and positions."""

    @property
    def probing(self) -> Probing:
        """Which inputs networks respond to, and where."""
        return Probing(probes=self.probes, positions=self.positions, seed=self.seed)


class Normalized(Section):
    """Scale the incoming weights of every hidden ReLU unit to unit norm, the outgoing inversely."""

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
    """Return the reference that a canonicalization aligns to; distances are reported to it."""
    chosen = [method.reference for method in methods if isinstance(method, UnitMatching)]
    return chosen[0] if chosen else 0


def until_barycentre(methods: list[Method]) -> list[Method]:
    """Return the methods up to the one, included, that matches networks to their barycentre; none where no
    method does."""
    for i, method in enumerate(methods):
        if isinstance(method, UnitMatching) and method.target == "barycentre":
            return methods[: i + 1]
    return []


def activation_matching_of(methods: list[Method]) -> ActivationMatching | None:
    """Return the method that matches units by their responses, if there is one."""
    return next((method for method in methods if isinstance(method, ActivationMatching)), None)
