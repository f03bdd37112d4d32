"""Subspaces of weight space."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dwf_steps.config.section import Section

Solver = Literal["exact", "randomized"]


class DualPCA(Section):
    """PCA from the n x n Gram matrix of the centred training rows."""

    method: Literal["dual_pca"] = "dual_pca"
    """One pass over the matrix, then the eigendecomposition of n x n products."""
    components: Annotated[int, Field(ge=1)] | None = None
    """Number of components, at most n - 1 for n training networks."""
    variance: Annotated[float, Field(gt=0, le=1)] | None = None
    """Instead of a number: the share of the total variance to keep."""
    solver: Solver = "exact"
    """`randomized` finds the leading components of thousands of networks without the others (Halko et al.
    2011); explained variance is of the full trace in either case."""

    @model_validator(mode="after")
    def _one_of_two(self) -> "DualPCA":
        if (self.components is None) == (self.variance is None):
            raise ValueError("give either 'components' or 'variance', not both and not neither")
        return self


class IncrementalPCA(Section):
    """scikit-learn's IncrementalPCA, for comparison; reads the whole matrix."""

    method: Literal["incremental_pca"]
    """Approximate PCA, batch of rows by batch of rows."""
    components: Annotated[int, Field(ge=1)]
    """Number of components, at most n - 1 for n training networks and at most batch_size."""
    batch_size: Annotated[int, Field(ge=2)] | None = None
    """Rows a batch; by default all of them."""

    @model_validator(mode="after")
    def _components_fit_batch(self) -> "IncrementalPCA":
        if self.batch_size is not None and self.components > self.batch_size:
            raise ValueError(f"components ({self.components}) must not exceed batch_size ({self.batch_size})")
        return self


class NoSubspace(Section):
    """No reduction: generators work on the raw weights."""

    method: Literal["none"]
    """Centred weights are the coordinates."""


SubspaceConfig = Annotated[DualPCA | IncrementalPCA | NoSubspace, Field(discriminator="method")]
