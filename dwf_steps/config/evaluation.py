"""How networks are evaluated, in the same way for every generator and control."""

from typing import Annotated

from pydantic import Field

from dwf_steps.config.section import Section

Count = Annotated[int, Field(ge=0)]


class MeasurementConfig(Section):
    """Measurements of networks other than accuracy, on which the evaluation's results depend."""

    realigned: Count = 100
    """Number of generated networks that are aligned by Git Re-Basin to each training network separately. The
    same number of training and of held-out networks, evenly spaced, is aligned to the other training
    networks. Distances in single layers are measured on these networks. 0 skips this measurement."""
    barriers: Count = 100
    """Number of generated networks for which the interpolation barrier to the nearest training network is
    measured."""
    neighbours: Annotated[int, Field(ge=1)] = 5
    """k of precision, recall, density and coverage: the neighbourhood of a network extends to its k-th
    nearest neighbour."""
    ensembles: tuple[Annotated[int, Field(ge=1)], ...] = (1, 2, 5, 10, 20, 50, 100)
    """Sizes of ensembles; sizes above the number of networks are left out."""
    draws: Annotated[int, Field(ge=1)] = 10
    """Number of random subsets over which ensembles and optimal transport distances are averaged."""
    seed: Count = 0
    """Seed of the random subsets."""


class EvaluationConfig(MeasurementConfig):
    """Measurements of networks other than accuracy, and the criteria for good and for new networks."""

    decoded: Annotated[int, Field(ge=1)] = 20
    """Number of training networks, evenly spaced, and of held-out networks that are decoded from their own
    coordinates in every representation of kind `responses`, and reconstructed by every autoencoder. The
    results are in the tables `representation`, `representation_layers` and `reconstruction`."""

    good_margin: Annotated[float, Field(ge=0)] = 0.02
    """How far below the mean of the zoo's training networks a good network may score: in test accuracy, or in
    Spearman's rank correlation where numbers are predicted. An autoencoder whose reconstructions of training
    networks lose more than this causes a warning."""
    novelty_factors: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = (
        *(0.5, 0.75, 0.95, 1.0, 1.5),
        *(2.0, 3.0, 4.0, 6.0),
    )
    """Thresholds for new networks: the distance to the nearest training network, as a multiple of the mean
    distance from a training network to the nearest other one. The table `good_and_new` has a row for each
    factor."""
