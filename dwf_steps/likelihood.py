"""Write log-densities under a flow of training networks, held-out ones, and its own samples."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dwf_steps.flow.likelihood import log_density
from dwf_steps.generators.flow import FlowModel
from dwf_steps.generators.samples import Samples
from dwf_steps.pipeline.settings.flow_analysis import Likelihood
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.storage.arrays import evenly
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis

CHUNK_SIZE = 256  # networks whose trajectories are followed at a time, where the velocity network states none

logger = logging.getLogger(__name__)


def likelihood(
    settings: Likelihood, model: Path, basis: Path, weights: Path, samples: Path, output: Path
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
            subspace.coordinates_of(matrix, rows),
            subspace.sample_coordinates(generated.latents, generated.offsets)[chosen],
        ]
    )
    field, source = flow.field(settings.flow), flow.start(settings.flow)
    points = flow.latents(coordinates).to(device)
    chunks = points.split(int(getattr(flow.velocity, "chunk_size", CHUNK_SIZE)))
    density = [log_density(field, chunk, config, source) for chunk in chunks]
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


def main() -> None:
    args = parser(__doc__, "model", "basis", "weights", "samples", "output").parse_args()
    settings = parse_settings(Likelihood, args.settings)
    likelihood(settings, args.model, args.basis, args.weights, args.samples, args.output)


if __name__ == "__main__":
    run(main)
