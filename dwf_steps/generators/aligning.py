"""Networks that were made elsewhere, in the form of a zoo's."""

import numpy as np

from dwf_steps.datasets.splits import Split
from dwf_steps.generators.network_maker import Request
from dwf_steps.generators.samples import sample_names
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.zoo.canonicalizing import canonicalized, read_goal
from dwf_steps.zoo.importing import usable


def aligned_as_zoo(networks: StackedNetworks[np.ndarray], request: Request) -> StackedNetworks[np.ndarray]:
    """Return n networks in the form that a zoo's have, which was canonicalized so; those with weights that
    nothing can be computed with as they are.

    Raises
    ------
    InputError
        If the request does not say what the zoo's networks were matched to.
    ArithmeticError
        If a network's function changed.
    """
    if request.reference is None:
        raise InputError("--reference is missing; the generator's settings say that networks are aligned")
    rows = np.flatnonzero(usable(networks))
    if not len(rows):
        return networks
    names = sample_names(networks.count, request.first)
    aligned = canonicalized(
        request.architecture,
        [names[row] for row in rows],
        networks.select(rows),
        request.methods,
        read_goal(request.reference),
        Split.load(request.tools.data, "train"),
        read_goal(request.barycentre) if request.barycentre else None,
    )
    result = networks.map(np.copy)
    for name, array in aligned.networks.items():
        result[name][rows] = array
    return result
