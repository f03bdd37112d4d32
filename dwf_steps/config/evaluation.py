"""How networks are judged, alike for every generator and control."""

from typing import Annotated

from pydantic import Field

from dwf_steps.config.section import Section

Count = Annotated[int, Field(ge=0)]


class EvaluationConfig(Section):
    """What is measured of generated networks beyond accuracy, and how thoroughly."""

    realigned: Count = 100
    """Generated networks that are matched anew, by Git Re-Basin, to every single training network; as many
    training networks and held-out ones, evenly spaced, are matched to the others. 0 leaves this out."""
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
