"""Remove the symmetries of a shard's networks, and prove that their functions stayed."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.datasets.splits import Split
from dwf_steps.metrics.barrier import BARRIER_EXAMPLES, midpoint_barrier
from dwf_steps.pipeline.settings.canonicalize import Canonicalize
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.manifest import Manifest, unstack, write_shard
from dwf_steps.storage.networks import stack_states
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.git_rebasin import squared_norms
from dwf_steps.zoo.canonicalizing import canonicalized, read_goal

logger = logging.getLogger(__name__)


def canonicalize(
    settings: Canonicalize,
    data: Path,
    source: Path,
    reference: Path,
    barycentre: Path | None,
    output: Path,
    manifest: Path,
    table: Path,
) -> None:
    """Canonicalize the networks of one shard and tabulate what it did to each.

    ``source``, ``reference`` and ``barycentre`` are manifests; the last where a method matches to it. The
    table has distances and loss barriers at the midpoint (on training examples), before and after: to the
    reference, whatever was matched to, and, ``pair_...``, to the shard's next network, of checkpoints to the
    next training's, if there is one.
    """
    train = Split.load(data, "train")
    some = train.first(BARRIER_EXAMPLES)
    architecture = build(settings.architecture)
    shard = Manifest.read(source)
    names = [record.name for record in shard.networks]
    before, target = stack_states(shard.verified_files()), read_goal(reference)
    mean = read_goal(barycentre) if barycentre else None
    canonical = canonicalized(architecture, names, before, settings.methods, target, train, mean)
    after, target_after, change = canonical.networks, canonical.reference, canonical.function_change
    apart = sum(record.trajectory == shard.networks[0].trajectory for record in shard.networks)
    distances = partial(_distances, architecture)
    barrier = partial(midpoint_barrier, architecture, split=some)
    frame = pd.DataFrame(
        {
            "network": names,
            "distance_before": distances(before, target),
            "distance_after": distances(after, target_after),
            "barrier_before": barrier(before, target),
            "barrier_after": barrier(after, target_after),
            "pair_distance_before": _to_next(before, apart, distances),
            "pair_distance_after": _to_next(after, apart, distances),
            "pair_barrier_before": _to_next(before, apart, barrier),
            "pair_barrier_after": _to_next(after, apart, barrier),
            "function_change": change,
            "sweeps": canonical.sweeps,
        }
    )
    logger.info("largest change of a function: %.1e relative", change.max())
    networks = unstack(names, after, [record.inherited for record in shard.networks])
    description = settings.architecture.model_dump()
    write_shard(output, manifest, networks, description, buffers=architecture.buffers)
    write_csv(table, frame)


def _to_next(
    networks: StackedNetworks[np.ndarray],
    apart: int,
    measure: Callable[[StackedNetworks[np.ndarray], StackedNetworks[np.ndarray]], np.ndarray],
) -> np.ndarray:
    """Return what is measured between each network and the one so far ``apart``, (n,), NaN for the last."""
    parts = slice(-apart), slice(apart, None)
    first, second = (networks.select(rows) for rows in parts)
    return np.append(measure(first, second) if networks.count > apart else [], np.full(apart, np.nan))


def _distances(
    architecture: Architecture, networks: StackedNetworks[np.ndarray], reference: StackedNetworks[np.ndarray]
) -> np.ndarray:
    parameters = architecture.parameters_of(networks)
    apart = {name: array - reference[name] for name, array in parameters.items()}
    return np.sqrt(squared_norms(StackedNetworks(apart)))


def main() -> None:
    options = parser(__doc__, "data", "source", "reference", "output", "manifest", "table")
    options.add_argument("--barycentre", type=Path, nargs="?", help="where a method matches to it")
    args = options.parse_args()
    canonicalize(
        parse_settings(Canonicalize, args.settings),
        args.data,
        args.source,
        args.reference,
        args.barycentre,
        args.output,
        args.manifest,
        args.table,
    )


if __name__ == "__main__":
    run(main)
