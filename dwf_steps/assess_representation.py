"""Measure how exactly networks of the zoo are decoded from their own coordinates."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dwf_steps.datasets.splits import Split
from dwf_steps.metrics.exactness import functions_compared, relative_distances
from dwf_steps.pipeline.settings.represent import AssessRepresentation
from dwf_steps.representation.decoding import Decoder
from dwf_steps.representation.loading import Probed
from dwf_steps.representation.responses import ResponseBasis, encode
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.arrays import evenly
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks

logger = logging.getLogger(__name__)


def assess_representation(
    settings: AssessRepresentation, matrix: Path, basis: Path, weights: Path, data: Path, output: Path
) -> None:
    """Decode networks from their response coordinates, and compare them with the originals.

    Evenly spaced training networks and as many held-out networks are used, a row each. ``trained`` and
    ``decoded`` are a network's test score before and after: its accuracy, or Spearman's rank correlation for
    regression, as ``metric`` states. ``agreement`` is the share of test items with the same predicted class
    (for regression, with numbers in the same interval of twice the tolerance); ``iou`` is the wrong-set IoU
    of the two networks. ``weight_error`` is the distance between their weights relative to the network's
    norm; ``coordinate_error`` is the distance between their coordinates relative to the norm of the
    coordinates, which is the part of the difference that the probes detect.

    Parameters
    ----------
    settings
        The architecture, the probes, the decoding, the number of networks, and the memory budget in MiB,
        which at least one network at a time may exceed.
    matrix
        The zoo's response coordinates.
    basis
        ``responses.npz``, the response basis.
    weights
        The zoo's weight matrix.
    data
        The zoo's ``data.npz``.
    output
        ``exactness.csv``.
    """
    zoo, coordinates = WeightMatrix.open(weights), WeightMatrix.open(matrix)
    probed = Probed.load(settings.architecture, settings.probing, data, select_device())
    decoder, test = Decoder.load(settings.decoding, probed, basis), Split.load(data, "test")
    n, h = zoo.n_training, len(zoo.rows) - zoo.n_training
    rows = np.r_[evenly(settings.networks, n), n + evenly(settings.networks, h)]
    size = decoder.networks_at_once(settings.memory_mb * 2**20)
    parts = []
    for start in progress(range(0, len(rows), size), "group of networks"):
        group = rows[start : start + size]
        own = zoo.networks(group).tensors(probed.device)
        coded = torch.from_numpy(coordinates.take(group)).to(probed.device)
        buffers = zoo.buffers.select([0] * len(group)).tensors(probed.device)
        decoded = decoder.decode(coded, buffers)
        again, _ = encode(probed.capture, decoder.basis, decoded)
        frame = functions_compared(probed.capture.architecture, own, decoded, test)
        frame.insert(0, "held_out", [zoo.rows[row].held_out for row in group])
        frame.insert(0, "network", [zoo.rows[row].name for row in group])
        frame["weight_error"] = relative_distances(
            *(_weights(networks, decoder.basis) for networks in (decoded, own))
        )
        frame["coordinate_error"] = relative_distances(again, coded)
        parts.append(frame)
    found = pd.concat(parts, ignore_index=True)
    write_csv(output, found)
    loss = (found.trained - found.decoded).max()
    logger.info("decoded %d networks; %s falls by at most %.4f", len(found), found.metric[0], loss)


def _weights(networks: StackedNetworks[Tensor], basis: ResponseBasis) -> Tensor:
    """Return the parameters of k networks, (k, d)."""
    return torch.cat([networks[name].flatten(1) for name in basis.shapes], dim=1)


def main() -> None:
    """Run the step with the arguments of the command line."""
    paths = ("matrix", "basis", "weights", "data", "output")
    args = parser(__doc__, *paths).parse_args()
    settings = parse_settings(AssessRepresentation, args.settings)
    assess_representation(settings, *(getattr(args, name) for name in paths))


if __name__ == "__main__":
    run(main)
