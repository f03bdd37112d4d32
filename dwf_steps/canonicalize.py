"""Remove the symmetries of a shard's networks, and prove that their functions stayed."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.canonicalization import Canonicalization
from dwf_steps.config.section import Section
from dwf_steps.datasets.splits import Dataset
from dwf_steps.metrics.barrier import BARRIER_EXAMPLES, midpoint_barrier
from dwf_steps.step import parse_settings, parser, run
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.manifest import Manifest, unstack, write_shard
from dwf_steps.storage.networks import load_state, stack_states
from dwf_steps.symmetry.canonical import canonicalize as apply_methods
from dwf_steps.symmetry.canonical import function_change, require_same_function
from dwf_steps.symmetry.git_rebasin import squared_norms

PROBE_EXAMPLES = 256

logger = logging.getLogger(__name__)


class CanonicalizeSettings(Section):
    """The methods, and what they are applied to."""

    methods: Canonicalization
    architecture: ArchitectureConfig


def canonicalize(
    settings: CanonicalizeSettings,
    data: Path,
    source: Path,
    reference: Path,
    output: Path,
    manifest: Path,
    table: Path,
) -> None:
    """Canonicalize the networks of one shard and tabulate what it did to each.

    ``source`` and ``reference`` are manifests. The table has the distance to the reference and the loss
    barrier at the midpoint (on training examples), before and after.
    """
    train = Dataset.load(data).train
    some = train.first(BARRIER_EXAMPLES)
    architecture = build(settings.architecture)
    shard = Manifest.read(source)
    names = [record.name for record in shard.networks]
    (reference_file,) = Manifest.read(reference).verified_files()
    before, target = stack_states(shard.verified_files()), load_state(reference_file)
    canonical = apply_methods(architecture, before, target, settings.methods)
    change = function_change(architecture, before, canonical.networks, some.inputs[:PROBE_EXAMPLES])
    require_same_function(names, change)
    after = {name: array.astype(before[name].dtype) for name, array in canonical.networks.items()}
    target_after = {name: array.astype(target[name].dtype) for name, array in canonical.reference.items()}
    frame = pd.DataFrame(
        {
            "network": names,
            "distance_before": _distances(architecture, before, target),
            "distance_after": _distances(architecture, after, target_after),
            "barrier_before": midpoint_barrier(architecture, before, target, some),
            "barrier_after": midpoint_barrier(architecture, after, target_after, some),
            "function_change": change,
            "sweeps": canonical.sweeps,
        }
    )
    logger.info("largest change of a function: %.1e relative", change.max())
    networks = unstack(names, after)
    description = settings.architecture.model_dump()
    write_shard(output, manifest, networks, description, buffers=architecture.buffers)
    with replacing(table) as partial:
        frame.to_csv(partial, index=False)


def _distances(
    architecture: Architecture, networks: dict[str, np.ndarray], reference: dict[str, np.ndarray]
) -> np.ndarray:
    parameters = architecture.parameters_of(networks)
    return np.sqrt(squared_norms({name: array - reference[name] for name, array in parameters.items()}))


def main() -> None:
    options = parser(__doc__, "data", "source", "reference", "output", "manifest", "table")
    args = options.parse_args()
    settings = parse_settings(CanonicalizeSettings, args.settings)
    canonicalize(settings, args.data, args.source, args.reference, args.output, args.manifest, args.table)


if __name__ == "__main__":
    run(main)
