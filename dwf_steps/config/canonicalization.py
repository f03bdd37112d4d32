"""Canonicalizations: lists of methods, applied in order."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from dwf_steps.config.section import Section


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


class Normalized(Section):
    """Scale the incoming weights of every hidden ReLU unit to unit norm, the outgoing inversely."""

    method: Literal["normalized"] = "normalized"
    """Uses the positive scaling symmetry of ReLU."""


Method = Annotated[GitRebasin | Normalized, Field(discriminator="method")]


def _expand(value: Any) -> Any:
    """Let `[git_rebasin]` stand for `[{method: git_rebasin}]`, and `none` for the empty list."""
    if value == "none":
        return []
    if isinstance(value, list):
        return [{"method": item} if isinstance(item, str) else item for item in value if item != "none"]
    return value


MethodName = Literal["git_rebasin", "normalized", "none"]
Canonicalization = Annotated[
    list[Method],
    BeforeValidator(_expand, json_schema_input_type=list[Method | MethodName] | Literal["none"]),
]


def reference_of(methods: list[GitRebasin | Normalized]) -> int | str:
    """Return the reference that a canonicalization aligns to; distances are reported to it."""
    chosen = [method.reference for method in methods if isinstance(method, GitRebasin)]
    return chosen[0] if chosen else 0
