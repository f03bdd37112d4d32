"""Canonicalizations: lists of methods, applied in order."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dwf_steps.config.section import Section, expand_methods


class WeightMatching(Section):
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
    """Assignments of heads, then within each pair of heads, then Git Re-Basin of the MLPs."""
    heads: Pairing = "spectra"
    """What pairs heads: the singular values of their projections (the paper's), or `weights`, the closeness
    that the best orders within each pair reach."""


class Normalized(Section):
    """Scale the incoming weights of every hidden ReLU unit to unit norm, the outgoing inversely."""

    method: Literal["normalized"] = "normalized"
    """Uses the positive scaling symmetry of ReLU."""


Matching = Annotated[GitRebasin | Transfusion, Field(discriminator="method")]
Method = Annotated[GitRebasin | Transfusion | Normalized, Field(discriminator="method")]


MethodName = Literal["git_rebasin", "transfusion", "normalized", "none"]
Canonicalization = Annotated[
    list[Method],
    BeforeValidator(expand_methods, json_schema_input_type=list[Method | MethodName] | Literal["none"]),
]


def reference_of(methods: list[Method]) -> int | str:
    """Return the reference that a canonicalization aligns to; distances are reported to it."""
    chosen = [method.reference for method in methods if isinstance(method, WeightMatching)]
    return chosen[0] if chosen else 0


def until_barycentre(methods: list[Method]) -> list[Method]:
    """Return the methods up to the one, included, that matches networks to their barycentre; none where no
    method does."""
    for i, method in enumerate(methods):
        if isinstance(method, WeightMatching) and method.target == "barycentre":
            return methods[: i + 1]
    return []
