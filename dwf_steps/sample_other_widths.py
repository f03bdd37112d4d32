"""Sample networks of widths that a flow was not trained on, and score them."""

import logging
from functools import partial
from pathlib import Path

import numpy as np

from dwf_steps.datasets.splits import Dataset
from dwf_steps.generators.flow import FlowModel, draw
from dwf_steps.generators.guidance import GuidedField
from dwf_steps.generators.resizing import resized
from dwf_steps.generators.samples import sample_names
from dwf_steps.metrics.scores import score_split
from dwf_steps.pipeline.settings.flow_analysis import SampleOtherWidths
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.storage.manifest import finite, unstack, write_shard
from dwf_steps.storage.matrix import WeightMatrix

logger = logging.getLogger(__name__)


def sample_other_widths(
    settings: SampleOtherWidths, model: Path, weights: Path, data: Path, output: Path, manifest: Path
) -> None:
    """Write networks of other widths, with their test scores.

    Parameters
    ----------
    settings
        The flow with its sampling, and the widths of the networks' layers.
    model
        ``model.safetensors``, which `fit_generator` wrote.
    weights
        The matrix of the training networks.
    data
        The zoo's ``data.npz``.
    output
        The folder for the networks, ``sample-{i}.safetensors``.
    manifest
        Their manifest, with ``accuracy`` and ``loss`` on the test set for each; networks with weights that
        are not finite are listed as failed.

    Raises
    ------
    InputError
        If the flow's velocity network does not support other widths, or these.
    """
    device, matrix, dataset = select_device(), WeightMatrix.open(weights), Dataset.load(data)
    flow = resized(FlowModel.load(model, device), matrix, settings.widths)
    sampling = settings.flow.sampling
    steer = None
    if guidance := sampling.guidance:
        steer = partial(
            GuidedField,
            network=flow.network,
            decode=flow.model.coordinates,
            train=dataset.train,
            guidance=guidance,
            seed=sampling.seed,
        )
    points, _ = draw(flow.model, settings.flow, device, steer)
    rows, names = points.astype(np.float32), sample_names(len(points))
    failed: list[str] = []
    fine = np.isfinite(rows).all(axis=1)
    architecture, networks = flow.network.architecture, flow.network.layout.unflatten(rows)
    scores = score_split(architecture, networks.tensors(device), dataset.test)
    logger.info("%d networks, mean test accuracy %.4f", fine.sum(), scores.accuracy[fine].mean())
    facts = [
        {"accuracy": float(accuracy), "loss": float(loss)}
        for accuracy, loss in zip(scores.accuracy, scores.loss, strict=True)
    ]
    every, described = unstack(names, networks, facts), architecture.config.model_dump()
    write_shard(output, manifest, finite(every, failed), described, failed)


def main() -> None:
    """Run the step with the arguments of the command line."""
    args = parser(__doc__, "model", "weights", "data", "output", "manifest").parse_args()
    settings = parse_settings(SampleOtherWidths, args.settings)
    sample_other_widths(settings, args.model, args.weights, args.data, args.output, args.manifest)


if __name__ == "__main__":
    run(main)
