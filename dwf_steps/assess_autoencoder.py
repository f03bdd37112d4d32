"""Reconstruct networks of the zoo by an autoencoder: what does it lose, before it generates any?"""

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
from dwf_steps.representation.decoding import Decoder, networks_at_once
from dwf_steps.representation.loading import Probed, load_basis
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
"""From rows (k, d) of a representation's matrix, and buffers, to networks."""

MEANINGS = {
    "training": "networks that it generates can hardly do better",
    "held-out": "it knows the networks that it was fitted to rather than networks",
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
    """Write a row for each of some training networks, evenly spaced, and of as many held-out ones, encoded
    and decoded by the autoencoder.

    Columns are those of `assess_representation`; ``coordinate_error`` is relative to the distance from the
    training mean, in the subspace. What subspace and representation lose is part of the loss. Running
    statistics of batch normalisation are those of training examples. A line warns where training
    networks, or held-out ones, lose more than the settings' margin on average.

    Parameters
    ----------
    matrix, weights
        The zoo in the generator's representation, and its weights.
    responses
        The basis of responses, where these describe networks.
    key
        What messages call the generator.
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
    """Return what makes networks of rows, and how many at a time fit into the settings' memory."""
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
    functions = load_basis(responses, probed)
    decoder = Decoder(**settings.decoding.model_dump(), softmax=probed.softmax)

    def decoded(rows: Tensor, buffers: StackedNetworks[Tensor]) -> StackedNetworks[Tensor]:
        return decoder.decode(probed.capture, functions, rows, buffers)

    return decoded, networks_at_once(probed.capture, functions, memory)


def _state(found: pd.DataFrame, margin: float, key: str, remedies: Mapping[str, str]) -> None:
    """Log what is lost on average, with a warning and what may help where it is more than the margin."""
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
    options = parser(__doc__, "model", "basis", "matrix", "weights", "data", "output")
    options.add_argument("--responses", type=Path, nargs="?", help="where responses describe networks")
    options.add_argument("--key", default=Generator.key, help="what messages call the generator")
    args = options.parse_args()
    settings = parse_settings(AssessAutoencoder, args.settings)
    files = (args.model, args.basis, args.matrix, args.weights, args.data, args.output)
    assess_autoencoder(settings, *files, args.responses, args.key)


if __name__ == "__main__":
    run(main)
