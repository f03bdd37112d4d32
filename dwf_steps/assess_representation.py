"""Decode networks of the zoo from their own coordinates: how exact is a representation?"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dwf_steps.datasets.splits import Split
from dwf_steps.metrics.exactness import functions_compared, relative_distances
from dwf_steps.pipeline.settings.represent import AssessRepresentation
from dwf_steps.representation.decoding import Decoder, networks_at_once
from dwf_steps.representation.loading import Probed, load_basis
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
    """Write a row for each of some training networks, evenly spaced, and of as many held-out ones, decoded
    from their own coordinates.

    ``trained`` and ``decoded`` are the network's score on the test set before and after: its accuracy, or
    Spearman's rank correlation where numbers are predicted, as ``metric`` says. ``agreement`` is the share of
    test items on which both come down to the same answer, ``iou`` the wrong-set IoU of the two,
    ``weight_error`` the distance between their weights relative to the network's norm, and
    ``coordinate_error`` that between their coordinates relative to the coordinates' norm: what probes see of
    the difference. As many networks are decoded at a time as fit into the memory that the settings state, one
    at least.

    Parameters
    ----------
    matrix, weights
        The zoo's coordinates and its weights.
    """
    zoo, coordinates = WeightMatrix.open(weights), WeightMatrix.open(matrix)
    probed = Probed.load(settings.architecture, settings.probing, data, select_device())
    functions, test = load_basis(basis, probed), Split.load(data, "test")
    decoder = Decoder(**settings.decoding.model_dump(), softmax=probed.softmax)
    n, h = zoo.n_training, len(zoo.rows) - zoo.n_training
    rows = np.r_[evenly(settings.networks, n), n + evenly(settings.networks, h)]
    size = networks_at_once(probed.capture, functions, settings.memory_mb * 2**20)
    parts = []
    for start in progress(range(0, len(rows), size), "group of networks"):
        group = rows[start : start + size]
        own = zoo.networks(group).tensors(probed.device)
        coded = torch.from_numpy(coordinates.take(group)).to(probed.device)
        buffers = zoo.buffers.select([0] * len(group)).tensors(probed.device)
        decoded = decoder.decode(probed.capture, functions, coded, buffers)
        again, _ = encode(probed.capture, functions, decoded)
        frame = functions_compared(probed.capture.architecture, own, decoded, test)
        frame.insert(0, "held_out", [zoo.rows[row].held_out for row in group])
        frame.insert(0, "network", [zoo.rows[row].name for row in group])
        frame["weight_error"] = relative_distances(
            *(_weights(networks, functions) for networks in (decoded, own))
        )
        frame["coordinate_error"] = relative_distances(again, coded)
        parts.append(frame)
    found = pd.concat(parts, ignore_index=True)
    write_csv(output, found)
    loss = (found.trained - found.decoded).max()
    logger.info("decoded %d networks; the %s of one falls by %.4f", len(found), found.metric[0], loss)


def _weights(networks: StackedNetworks[Tensor], basis: ResponseBasis) -> Tensor:
    """Return the parameters of k networks, (k, d)."""
    return torch.cat([networks[name].flatten(1) for name in basis.shapes], dim=1)


def main() -> None:
    paths = ("matrix", "basis", "weights", "data", "output")
    args = parser(__doc__, *paths).parse_args()
    settings = parse_settings(AssessRepresentation, args.settings)
    assess_representation(settings, *(getattr(args, name) for name in paths))


if __name__ == "__main__":
    run(main)
