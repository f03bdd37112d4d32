"""Compute log-densities under a flow of training networks, held-out networks and its own samples."""

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

CHUNK_SIZE = 256  # networks integrated at a time, unless the velocity network has a ``chunk_size``

logger = logging.getLogger(__name__)


def likelihood(
    settings: Likelihood, model: Path, basis: Path, weights: Path, samples: Path, output: Path
) -> None:
    """Write one row for each network: its ``kind``, ``log_density`` in nats and number of ``latents``.

    The kind is "training", "held_out" or "generated". Held-out networks are projected to the subspace.

    Parameters
    ----------
    settings
        The flow, with the number of networks of each kind and the options of the likelihood.
    model
        ``model.safetensors``, which `fit_generator` wrote.
    basis
        ``basis.npz``, the flow's subspace.
    weights
        The matrix of all networks in the flow's representation.
    samples
        ``latents.npz``, the flow's samples.
    output
        ``likelihood.csv``.

    Raises
    ------
    ValueError
        If the flow's settings do not request likelihoods.
    """
    config, device = settings.flow.likelihood, select_device()
    if config is None:
        raise ValueError("the flow's settings do not request likelihoods")
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
        logger.info("%s: %.4f nats per latent", kind, found.mean() / points.shape[1])
    write_csv(output, frame)


def main() -> None:
    """Run the step with the arguments of the command line."""
    args = parser(__doc__, "model", "basis", "weights", "samples", "output").parse_args()
    settings = parse_settings(Likelihood, args.settings)
    likelihood(settings, args.model, args.basis, args.weights, args.samples, args.output)


if __name__ == "__main__":
    run(main)
