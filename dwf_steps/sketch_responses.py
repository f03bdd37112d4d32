"""Sketch the responses of one part of the training networks to probes, layer by layer."""

import logging
from pathlib import Path

from dwf_steps.pipeline.settings.represent import SketchResponses
from dwf_steps.representation.loading import Probed, part_of, read_in_groups, save_sketches
from dwf_steps.representation.responses import Sketches
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.progress import Progress
from dwf_steps.storage.matrix import WeightMatrix

logger = logging.getLogger(__name__)


def sketch_responses(settings: SketchResponses, weights: Path, data: Path, output: Path) -> None:
    """Write the sketches of one part of the training networks, a group of networks in memory at a time.

    Held-out networks are not read.

    Parameters
    ----------
    settings
        Which part of the networks, of how many parts; the architecture, the probes, and the number of
        response functions.
    weights
        The weight matrix.
    data
        The zoo's ``data.npz``; its training inputs are the probes.
    output
        ``sketch/part-{k}.npz``, the `Sketches` of the layers.

    Raises
    ------
    InputError
        If the architecture cannot be traced, the data have too few training examples, or a network's
        responses are not finite.
    """
    matrix = WeightMatrix.open(weights)
    probed = Probed.load(settings.architecture, settings.probing, data, select_device())
    sketches = Sketches(probed.capture, probed.trace, settings.functions, settings.probing.seed)
    rows = part_of(matrix.n_training, settings.part, settings.parts)
    with Progress("network", len(rows)) as report:
        for group, networks in read_in_groups(matrix, rows, probed.device):
            sketches.add(networks, [matrix.rows[row].name for row in group])
            report.advance(len(group))
    save_sketches(output, sketches)
    logger.info("sketched %d layers of %d networks", len(sketches.layers), len(rows))


def main() -> None:
    """Run the step with the arguments of the command line."""
    args = parser(__doc__, "weights", "data", "output").parse_args()
    settings = parse_settings(SketchResponses, args.settings)
    sketch_responses(settings, args.weights, args.data, args.output)


if __name__ == "__main__":
    run(main)
