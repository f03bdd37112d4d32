"""Remove the symmetries of a shard's networks, and verify that their functions are unchanged."""

import logging
from collections.abc import Callable, Sequence
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
    """Canonicalize the networks of one shard, and tabulate distances and barriers before and after.

    The table has a row for each network: its weight distance to the reference and the loss barrier at the
    midpoint (on training examples); the same to the shard's next network, as ``pair_...`` (for checkpoints,
    to the checkpoint at the same place on the next trajectory), NaN if there is none; the relative change of
    its function, and the number of sweeps of the matching. Distances and barriers are those to the reference
    even where a method matches to a barycentre.

    Parameters
    ----------
    settings
        The architecture, and the methods in order.
    data
        The zoo's ``data.npz``; functions are compared on training inputs.
    source
        The shard's manifest, ``shard-{k}.json``.
    reference
        The reference's manifest.
    barycentre
        The barycentre's manifest, if a method matches to it.
    output
        The folder for the canonical networks.
    manifest
        Their manifest.
    table
        The shard's part of ``alignment.csv``.

    Raises
    ------
    InputError
        If a file is damaged, or weights are too large to compute with.
    NumericalError
        If a network's function has changed.
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
    pairs = _pairs([record.trajectory for record in shard.networks])
    distances = partial(_distances, architecture)
    barrier = partial(midpoint_barrier, architecture, split=some)
    frame = pd.DataFrame(
        {
            "network": names,
            "distance_before": distances(before, target),
            "distance_after": distances(after, target_after),
            "barrier_before": barrier(before, target),
            "barrier_after": barrier(after, target_after),
            "pair_distance_before": _to_next(before, pairs, distances),
            "pair_distance_after": _to_next(after, pairs, distances),
            "pair_barrier_before": _to_next(before, pairs, barrier),
            "pair_barrier_after": _to_next(after, pairs, barrier),
            "function_change": change,
            "sweeps": canonical.sweeps,
        }
    )
    logger.info("largest relative change of a network's function: %.1e", change.max())
    networks = unstack(names, after, [record.inherited for record in shard.networks])
    description = settings.architecture.model_dump()
    write_shard(output, manifest, networks, description, buffers=architecture.buffers)
    write_csv(table, frame)


def _pairs(trajectories: Sequence[str]) -> list[tuple[slice, slice]]:
    """Return which rows are paired: each network with the next one.

    A checkpoint is paired with the one at the same place on the next trajectory, if there is one.
    """
    starts = [row for row, name in enumerate(trajectories) if row == 0 or name != trajectories[row - 1]]
    pairs: list[tuple[slice, slice]] = []
    for first, second, end in zip(starts, starts[1:], [*starts[2:], len(trajectories)], strict=False):
        count = min(second - first, end - second)
        if pairs and pairs[-1][0].stop == first and pairs[-1][1].stop == second:  # same offset: merge
            pairs[-1] = slice(pairs[-1][0].start, first + count), slice(pairs[-1][1].start, second + count)
        else:
            pairs.append((slice(first, first + count), slice(second, second + count)))
    return pairs


def _to_next(
    networks: StackedNetworks[np.ndarray],
    pairs: Sequence[tuple[slice, slice]],
    measure: Callable[[StackedNetworks[np.ndarray], StackedNetworks[np.ndarray]], np.ndarray],
) -> np.ndarray:
    """Return a measure of each network and the one it is paired with, (n,); NaN for unpaired networks."""
    values = np.full(networks.count, np.nan)
    for first, second in pairs:
        values[first] = measure(networks.select(first), networks.select(second))
    return values


def _distances(
    architecture: Architecture, networks: StackedNetworks[np.ndarray], reference: StackedNetworks[np.ndarray]
) -> np.ndarray:
    parameters = architecture.parameters_of(networks)
    apart = {name: array - reference[name] for name, array in parameters.items()}
    return np.sqrt(squared_norms(StackedNetworks(apart)))


def main() -> None:
    """Run the step with the arguments of the command line."""
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
