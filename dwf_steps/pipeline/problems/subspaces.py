"""Checks of subspaces against a zoo."""

from collections.abc import Iterator

from dwf_steps.config.representation import WEIGHTS
from dwf_steps.config.subspace import DualPCA, IncrementalPCA
from dwf_steps.config.workflow import WorkflowConfig
from dwf_steps.config.zoo import n_training
from dwf_steps.pipeline.network_facts import coordinates, network_facts


def subspace_problems(
    config: WorkflowConfig, zoo_name: str, representation: str, subspace: str
) -> Iterator[str]:
    """Yield a line if a subspace has more components than a zoo allows.

    Parameters
    ----------
    config
        The configuration.
    zoo_name
        Name of the zoo.
    representation
        Name of the representation.
    subspace
        Name of the subspace.

    Yields
    ------
    The key, what was found, and the maximum.
    """
    zoo, method = config.zoos[zoo_name], config.subspaces[subspace]
    if not isinstance(method, DualPCA | IncrementalPCA) or method.components is None:
        return
    chosen = config.representations[representation]
    n, d = n_training(zoo), coordinates(network_facts(zoo.architecture), chosen)
    what = "weights" if chosen.kind == WEIGHTS else f"coordinates among {representation!r}"
    most = min(n - 1, d)
    if method.components > most:
        yield (
            f"subspaces.{subspace}.components: found {method.components}, but zoo {zoo_name!r} allows at "
            f"most {most} (n - 1 for {n} training networks, and no more than their {d} {what})"
        )
