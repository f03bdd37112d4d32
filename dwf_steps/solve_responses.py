"""Compute the response basis: functions on the probes that span every layer's responses."""

import logging
from pathlib import Path

from dwf_steps.pipeline.settings.represent import SolveResponses
from dwf_steps.representation.loading import Probed, add_sketches, read_in_groups, save_basis, shapes_of
from dwf_steps.representation.responses import Sketches
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.storage.matrix import WeightMatrix

logger = logging.getLogger(__name__)


def solve_responses(
    settings: SolveResponses, sketch: list[Path], weights: Path, data: Path, output: Path
) -> None:
    """Write the response basis, computed from the sketches of all parts.

    For layers that read the inputs directly, it depends on the probes alone.

    Parameters
    ----------
    settings
        The architecture, the probes, and the number of response functions.
    sketch
        The sketches, ``sketch/part-{k}.npz``.
    weights
        The weight matrix; one network is read, to determine shapes.
    data
        The zoo's ``data.npz``; its training inputs are the probes.
    output
        ``responses.npz``, a `ResponseBasis`.

    Raises
    ------
    InputError
        If a sketch is damaged.
    """
    matrix = WeightMatrix.open(weights)
    probed = Probed.load(settings.architecture, settings.probing, data, select_device())
    sketches = Sketches(probed.capture, probed.trace, settings.functions, settings.probing.seed)
    for part in sketch:
        add_sketches(part, sketches)
    _, network = next(read_in_groups(matrix, range(1), probed.device))
    basis = sketches.basis(shapes_of(probed.capture.architecture), network)
    save_basis(output, basis)
    for name, functions in basis.functions.items():
        logger.info("%s: %d functions of %d values", name, functions.shape[1], functions.shape[0])


def main() -> None:
    """Run the step with the arguments of the command line."""
    args = parser(__doc__, "weights", "data", "output", several=["sketch"]).parse_args()
    settings = parse_settings(SolveResponses, args.settings)
    solve_responses(settings, args.sketch, args.weights, args.data, args.output)


if __name__ == "__main__":
    run(main)
