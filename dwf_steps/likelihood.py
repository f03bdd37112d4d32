"""Say how likely a flow finds training networks, held-out ones, and its own samples."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dwf_steps.config.generator import FlowConfig
from dwf_steps.config.section import Section
from dwf_steps.flow.fields import VelocityField
from dwf_steps.flow.likelihood import log_density
from dwf_steps.generators.flow import FlowModel
from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.storage.arrays import evenly
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis

logger = logging.getLogger(__name__)


class LikelihoodSettings(Section):
    """The flow, with the networks whose likelihood is asked for."""

    flow: FlowConfig


def likelihood(
    settings: LikelihoodSettings, model: Path, basis: Path, weights: Path, samples: Path, output: Path
) -> None:
    """Write one row a network: its ``kind`` ("training", "held_out" or "generated"), the ``log_density`` of
    its latents in nats, and their number, ``latents``.

    Held-out networks are projected to the subspace.
    """
    config, device = settings.flow.likelihood, select_device()
    if config is None:
        raise ValueError("no likelihood is asked for")
    flow, subspace, matrix = FlowModel.load(model, device), Basis.load(basis), WeightMatrix.open(weights)
    training = evenly(config.networks, matrix.n_training)
    held_out = matrix.n_training + evenly(config.networks, len(matrix.rows) - matrix.n_training)
    generated = Samples.load(samples)
    chosen = evenly(config.networks, len(generated))
    rows = np.concatenate([training, held_out])
    coordinates = np.concatenate(
        [
            coordinates_of(subspace, matrix, rows),
            (generated.offsets if subspace.raw else generated.latents)[chosen],
        ]
    )
    field = VelocityField(flow.velocity, settings.flow.prediction, flow.manifold(settings.flow))
    points, size = flow.latents(coordinates).to(device), int(getattr(flow.velocity, "together", 256))
    density = [log_density(field, part, config, settings.flow.source_std) for part in points.split(size)]
    frame = pd.DataFrame(
        {
            "network": [matrix.rows[row].name for row in rows] + [generated.names[k] for k in chosen],
            "kind": ["training"] * len(training) + ["held_out"] * len(held_out) + ["generated"] * len(chosen),
            "log_density": torch.cat(density).cpu().numpy(),
            "latents": points.shape[1],
        }
    )
    for kind, found in frame.groupby("kind", sort=False).log_density:
        logger.info("%s: %.4f nats a latent", kind, found.mean() / points.shape[1])
    write_csv(output, frame)


def coordinates_of(basis: Basis, matrix: WeightMatrix, rows: np.ndarray) -> np.ndarray:
    """Return coordinates in the subspace of the matrix's ``rows``, or their weights relative to the training
    networks' mean."""
    if not basis.raw:
        return np.concatenate([basis.coordinates, basis.held_out_coordinates])[rows]
    weights = matrix.read()
    return weights[rows] - weights[: matrix.n_training].mean(axis=0, dtype=np.float64)


def main() -> None:
    args = parser(__doc__, "model", "basis", "weights", "samples", "output").parse_args()
    settings = parse_settings(LikelihoodSettings, args.settings)
    likelihood(settings, args.model, args.basis, args.weights, args.samples, args.output)


if __name__ == "__main__":
    run(main)
