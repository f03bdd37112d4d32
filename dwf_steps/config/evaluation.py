"""How networks are judged, alike for every generator and control."""

from typing import Annotated

from pydantic import Field

from dwf_steps.config.section import Section

Count = Annotated[int, Field(ge=0)]


class MeasurementConfig(Section):
    """What is measured of networks beyond accuracy, and how thoroughly: what their evaluation depends on."""

    realigned: Count = 100
    """Generated networks that are matched again, by Git Re-Basin, to every single training network; as many
    training networks and held-out ones, evenly spaced, are matched to the others. Distances in single layers
    are measured of these. 0 leaves this out."""
    barriers: Count = 100
    """Generated networks whose interpolation barrier to their nearest training network is measured."""
    neighbours: Annotated[int, Field(ge=1)] = 5
    """k of precision, recall, density and coverage: a set reaches as far as each network's k-th neighbour."""
    ensembles: tuple[Annotated[int, Field(ge=1)], ...] = (1, 2, 5, 10, 20, 50, 100)
    """Sizes of ensembles; those with more networks than there are are left out."""
    draws: Annotated[int, Field(ge=1)] = 10
    """Random subsets over which ensembles and optimal transport distances are averaged."""
    seed: Count = 0
    """Seed of these subsets."""


class EvaluationConfig(MeasurementConfig):
    """What is measured of generated networks beyond accuracy, and which of them count as good and as new."""

    decoded: Annotated[int, Field(ge=1)] = 20
    """Training networks, evenly spaced, and as many held-out ones, that are decoded from their own
    coordinates in every representation of kind `responses`, and reconstructed by every autoencoder: tables
    `representation`, `representation_layers` and `reconstruction`."""

    good_margin: Annotated[float, Field(ge=0)] = 0.02
    """How far below the mean of the zoo's training networks a network may score to count as good: in test
    accuracy, or in Spearman's rank correlation where numbers are predicted. An autoencoder that costs its
    training networks more is warned of."""
    novelty_factors: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = (
        *(0.5, 0.75, 0.95, 1.0, 1.5),
        *(2.0, 3.0, 4.0, 6.0),
    )
    """How many times as far from its nearest training network as those are from theirs, on average, a network
    must be to count as new: the table `good_and_new` has a row for each."""
