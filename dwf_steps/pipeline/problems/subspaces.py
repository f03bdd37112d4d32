"""Subspaces that a zoo does not allow."""

from collections.abc import Iterator

from dwf_steps.config.subspace import DualPCA, IncrementalPCA
from dwf_steps.config.workflow import WorkflowConfig
from dwf_steps.config.zoo import n_training
from dwf_steps.pipeline.network_facts import network_facts


def subspace_problems(config: WorkflowConfig, zoo_name: str, subspace: str) -> Iterator[str]:
    zoo, method = config.zoos[zoo_name], config.subspaces[subspace]
    if not isinstance(method, DualPCA | IncrementalPCA) or method.components is None:
        return
    n, d = n_training(zoo), network_facts(zoo.architecture).n_parameters
    most = min(n - 1, d)
    if method.components > most:
        yield (
            f"subspaces.{subspace}.components: found {method.components}, but zoo {zoo_name!r} allows at "
            f"most {most} (n - 1 for {n} training networks, and no more than their {d} weights)"
        )
