"""Subspaces of the coordinates of networks."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dwf_steps.config.section import Section

Solver = Literal["exact", "randomized"]


class DualPCA(Section):
    """PCA from the n x n Gram matrix of the centred training rows."""

    method: Literal["dual_pca"] = "dual_pca"
    """One pass over the matrix, then an eigendecomposition of the n x n Gram matrix."""
    components: Annotated[int, Field(ge=1)] | None = None
    """Number of components, at most n - 1 for n training networks."""
    variance: Annotated[float, Field(gt=0, le=1)] | None = None
    """Instead of a number of components: the share of the total variance to keep."""
    solver: Solver = "exact"
    """`randomized` computes only the leading components, for zoos of thousands of networks (Halko et al.
    2011). Explained variance refers to the full trace in either case."""

    @model_validator(mode="after")
    def _one_of_two(self) -> "DualPCA":
        if (self.components is None) == (self.variance is None):
            raise ValueError("give exactly one of 'components' and 'variance'")
        return self


class IncrementalPCA(Section):
    """scikit-learn's IncrementalPCA, for comparison; reads the whole matrix."""

    method: Literal["incremental_pca"]
    """Approximate PCA, one batch of rows at a time."""
    components: Annotated[int, Field(ge=1)]
    """Number of components, at most n - 1 for n training networks, and at most batch_size."""
    batch_size: Annotated[int, Field(ge=2)] | None = None
    """Rows per batch; by default all rows."""

    @model_validator(mode="after")
    def _components_fit_batch(self) -> "IncrementalPCA":
        if self.batch_size is not None and self.components > self.batch_size:
            raise ValueError(f"components ({self.components}) must not exceed batch_size ({self.batch_size})")
        return self


class NoSubspace(Section):
    """No reduction: generators work on the full coordinates."""

    method: Literal["none"]
    """The centred coordinates themselves are used."""


SubspaceConfig = Annotated[DualPCA | IncrementalPCA | NoSubspace, Field(discriminator="method")]
