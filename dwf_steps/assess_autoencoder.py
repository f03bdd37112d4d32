"""Measure how well an autoencoder reconstructs networks of the zoo."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.recalibration import BatchNorm
from dwf_steps.datasets.splits import Split
from dwf_steps.generators.base import Generator, ReconstructingGenerator, Tools, TrainingNetworks
from dwf_steps.generators.decoding import decode_block
from dwf_steps.generators.registry import implementation_of
from dwf_steps.metrics.exactness import functions_compared, relative_distances
from dwf_steps.pipeline.settings.generate import AssessAutoencoder
from dwf_steps.recalibration.methods import apply_recalibration
from dwf_steps.representation.decoding import Decoder
from dwf_steps.representation.loading import Probed
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.arrays import evenly
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.subspace.basis import Basis

logger = logging.getLogger(__name__)

Decode = Callable[[Tensor, StackedNetworks[Tensor]], StackedNetworks[Tensor]]
"""Decodes rows (k, d) of a representation's matrix, with buffers, into networks."""

MEANINGS = {
    "training": "networks that it generates can hardly do better",
    "held-out": "it does not generalise beyond the networks that it was fitted to",
}


def assess_autoencoder(
    settings: AssessAutoencoder,
    model: Path,
    basis: Path,
    matrix: Path,
    weights: Path,
    data: Path,
    output: Path,
    responses: Path | None = None,
    key: str = Generator.key,
) -> None:
    """Encode and decode networks with a generator's autoencoder, and compare them with the originals.

    Evenly spaced training networks and as many held-out networks are used, a row each. The columns are those
    of `assess_representation`, except that ``coordinate_error`` is relative to the distance from the training
    mean in the subspace. The loss includes that of the subspace and of the representation. Running statistics
    of batch normalisation are recomputed on training examples. A warning is logged if training or held-out
    networks lose more than ``settings.margin`` of their score on average.

    Parameters
    ----------
    settings
        The generator, the number of networks, the margin, the memory budget in MiB, and the probes where the
        representation is responses.
    model
        ``model.safetensors``, which `fit_generator` wrote.
    basis
        ``basis.npz``, the generator's subspace.
    matrix
        All networks in the generator's representation.
    weights
        The weight matrix of the same networks.
    data
        The zoo's ``data.npz``.
    output
        ``reconstruction.csv``.
    responses
        ``responses.npz``, where the representation is responses.
    key
        The generator's key in the configuration, for messages.

    Raises
    ------
    InputError
        If ``responses`` is missing although the representation is responses.
    """
    generator: ReconstructingGenerator[Any] = implementation_of(settings.generator, ReconstructingGenerator)
    generator.key = key
    subspace, rows_of, zoo = Basis.load(basis), WeightMatrix.open(matrix), WeightMatrix.open(weights)
    n, h = zoo.n_training, len(zoo.rows) - zoo.n_training
    chosen = np.r_[evenly(settings.networks, n), n + evenly(settings.networks, h)]
    coordinates = subspace.coordinates_of(rows_of, chosen)
    architecture, test = build(settings.architecture), Split.load(data, "test")
    with Tools() as given:
        generator.load(model, given)
        device = given.device
    again = generator.reconstructed(coordinates)
    samples = TrainingNetworks(subspace).samples_at(again)
    rows = np.concatenate(
        [decode_block(samples, rows_of, block) for block in rows_of.column_blocks()], axis=1
    )
    decode, size = _decoder(settings, architecture, rows_of, data, responses, device)
    parts = []
    for start in progress(range(0, len(chosen), size), "group of networks"):
        group = chosen[start : start + size]
        own = zoo.networks(group).tensors(device)
        buffers = zoo.buffers.select([0] * len(group)).tensors(device)
        decoded = decode(torch.from_numpy(rows[start : start + size]).to(device), buffers)
        frame = functions_compared(architecture, own, decoded, test)
        frame.insert(0, "held_out", [zoo.rows[row].held_out for row in group])
        frame.insert(0, "network", [zoo.rows[row].name for row in group])
        names = [entry.name for entry in zoo.layout.entries]
        flat = [torch.cat([some[name].flatten(1) for name in names], dim=1) for some in (decoded, own)]
        frame["weight_error"] = relative_distances(*flat)
        parts.append(frame)
    found = pd.concat(parts, ignore_index=True)
    found["coordinate_error"] = relative_distances(*map(torch.from_numpy, (again, coordinates)))
    write_csv(output, found)
    _state(found, settings.margin, key, settings.generator.remedies)


def _decoder(
    settings: AssessAutoencoder,
    architecture: Architecture,
    matrix: WeightMatrix,
    data: Path,
    responses: Path | None,
    device: torch.device,
) -> tuple[Decode, int]:
    """Return a function that decodes rows into networks, and how many rows fit into the memory budget."""
    memory = settings.memory_mb * 2**20
    if settings.probing is None or settings.decoding is None:
        train = Split.load(data, "train")

        def unflattened(rows: Tensor, buffers: StackedNetworks[Tensor]) -> StackedNetworks[Tensor]:
            networks = matrix.layout.unflatten(rows.cpu().numpy()).tensors(device).replaced(buffers)
            if not buffers:
                return networks
            return apply_recalibration(architecture, networks, [BatchNorm()], train, [StackedNetworks()])

        return unflattened, max(1, memory // (16 * matrix.layout.size))
    if responses is None:
        raise InputError("--responses is missing; the settings say that responses describe networks")
    probed = Probed.load(settings.architecture, settings.probing, data, device)
    decoder = Decoder.load(settings.decoding, probed, responses)
    return decoder.decode, decoder.networks_at_once(memory)


def _state(found: pd.DataFrame, margin: float, key: str, remedies: Mapping[str, str]) -> None:
    """Log the mean loss of score; warn, and suggest remedies, if it exceeds the margin."""
    metric = found.metric.iloc[0]
    for kind, some in (("training", found[~found.held_out]), ("held-out", found[found.held_out])):
        if some.empty:
            continue
        logger.info(
            "%s: %d %s networks score %.4f (%s), reconstructed %.4f; relative error of coordinates %.3f",
            *(key, len(some), kind, some.trained.mean(), metric, some.decoded.mean()),
            some.coordinate_error.mean(),
        )
        if (lost := some.trained.mean() - some.decoded.mean()) > margin:
            logger.warning(
                "%s: reconstructing %s networks costs %.4f of their %s, more than "
                "evaluation.good_margin (%g): %s; %s",
                *(key, kind, lost, metric, margin, MEANINGS[kind], remedies[kind]),
            )


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "model", "basis", "matrix", "weights", "data", "output")
    options.add_argument("--responses", type=Path, nargs="?", help="where the representation is responses")
    options.add_argument("--key", default=Generator.key, help="the generator's key, for messages")
    args = options.parse_args()
    settings = parse_settings(AssessAutoencoder, args.settings)
    files = (args.model, args.basis, args.matrix, args.weights, args.data, args.output)
    assess_autoencoder(settings, *files, args.responses, args.key)


if __name__ == "__main__":
    run(main)
