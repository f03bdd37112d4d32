"""Fit a flow to the training networks' latents."""

import logging
from pathlib import Path

from dwf_steps.config.generator import FlowConfig, VelocityConfig
from dwf_steps.config.section import Section
from dwf_steps.flow.training import train_flow as fit
from dwf_steps.generators.flow import FlowModel, Latents, geodesics_of, source_of
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.storage.checkpoint import Checkpoint, identity
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis

logger = logging.getLogger(__name__)


class TrainFlowSettings(Section):
    """The flow; how it is sampled plays no part."""

    flow: FlowConfig


def train_flow(
    settings: TrainFlowSettings,
    basis: Path,
    weights: Path,
    output: Path,
    losses: Path,
    code: str = "",
    checkpoint_seconds: float = 20.0,
) -> None:
    """Train the velocity field, resuming a checkpoint of the very same run, and write it."""
    matrix = WeightMatrix.open(weights)
    by_unit = not isinstance(settings.flow.velocity, VelocityConfig)
    subspace = Basis.load(basis)
    canonical = settings.flow.geometry != "euclidean"
    latents = Latents.of(subspace, matrix, by_unit, canonical)
    manifold = geodesics_of(latents.form, settings.flow)
    source = source_of(settings.flow, subspace, matrix, latents)
    checkpoint = Checkpoint(
        output.with_suffix(".checkpoint"),
        identity(settings.model_dump_json(), code, latents.points.numpy().tobytes()),
        checkpoint_seconds,
    )
    logger.info("%d networks, %d latents", *latents.points.shape)
    with checkpoint:
        flow = fit(
            latents.points, settings.flow, select_device(), checkpoint, latents.network, source, manifold
        )
    write_csv(losses, flow.losses)
    network = None
    if by_unit or canonical:
        network = {"layout": matrix.layout.to_json(), "architecture": matrix.architecture}
    dimension = latents.points.shape[1]
    model = FlowModel(flow.velocity, latents.shift, latents.scale, dimension, source, latents.form)
    model.save(output, settings.flow.velocity, network)
    checkpoint.discard()


def main() -> None:
    options = parser(__doc__, "basis", "weights", "output", "losses")
    options.add_argument(
        "--code", default="", help="fingerprint of the code, part of a checkpoint's identity"
    )
    options.add_argument("--checkpoint-seconds", type=float, default=20.0, help="between two checkpoints")
    args = options.parse_args()
    settings = parse_settings(TrainFlowSettings, args.settings)
    train_flow(
        settings, args.basis, args.weights, args.output, args.losses, args.code, args.checkpoint_seconds
    )


if __name__ == "__main__":
    run(main)
