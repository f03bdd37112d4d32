"""Canonicalizations: lists of methods, applied in order."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dwf_steps.config.section import Section, expand_methods


class GitRebasin(Section):
    """Permute hidden units to match a reference network (Git Re-Basin; Ainsworth et al. 2023)."""

    method: Literal["git_rebasin"] = "git_rebasin"
    """Weight matching by coordinate ascent over layers, an exact assignment at each."""
    reference: int | str = 0
    """The network to match: k for seed k (of an imported zoo: its k-th file), a network's name, or
    `medoid`, the training network with the smallest mean distance to the others."""
    iterations: Annotated[int, Field(ge=1)] = 100
    """Sweeps over all layers at most; matching stops earlier when a sweep changes nothing."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides the order in which layers are visited."""


Pairing = Literal["spectra", "weights"]


class Transfusion(Section):
    """Permute attention heads, dimensions within heads and hidden units to match a reference network
    (TransFusion; Rinaldi et al. 2025)."""

    method: Literal["transfusion"] = "transfusion"
    """Assignments of heads, then within each pair of heads, then Git Re-Basin of the MLPs."""
    reference: int | str = 0
    """The network to match, as for git_rebasin."""
    heads: Pairing = "spectra"
    """What pairs heads: the singular values of their projections (the paper's), or `weights`, the closeness
    that the best orders within each pair reach."""
    iterations: Annotated[int, Field(ge=1)] = 100
    """Sweeps over the hidden layers at most."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides the order in which layers are visited."""


class Normalized(Section):
    """Scale the incoming weights of every hidden ReLU unit to unit norm, the outgoing inversely."""

    method: Literal["normalized"] = "normalized"
    """Uses the positive scaling symmetry of ReLU."""


Method = Annotated[GitRebasin | Transfusion | Normalized, Field(discriminator="method")]


MethodName = Literal["git_rebasin", "transfusion", "normalized", "none"]
Canonicalization = Annotated[
    list[Method],
    BeforeValidator(expand_methods, json_schema_input_type=list[Method | MethodName] | Literal["none"]),
]


def reference_of(methods: list[Method]) -> int | str:
    """Return the reference that a canonicalization aligns to; distances are reported to it."""
    chosen = [method.reference for method in methods if isinstance(method, GitRebasin | Transfusion)]
    return chosen[0] if chosen else 0
