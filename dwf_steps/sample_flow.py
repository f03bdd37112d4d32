"""Sample new networks from a flow by integrating its ODE."""

from functools import partial
from pathlib import Path

from dwf_steps.datasets.splits import Split
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.generators.flow import FlowModel, integrate_flow
from dwf_steps.generators.guidance import GuidedField, decoder_of
from dwf_steps.pipeline.settings.generate import SampleFlow
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis


def sample_flow(
    settings: SampleFlow,
    model: Path,
    basis: Path,
    output: Path,
    weights: Path | None = None,
    data: Path | None = None,
) -> None:
    """Write the samples of a trained flow.

    Parameters
    ----------
    weights, data
        The training networks and their data, where networks are steered by their loss.
    """
    device, subspace = select_device(), Basis.load(basis)
    flow, steer = FlowModel.load(model, device), None
    if guidance := settings.flow.sampling.guidance:
        if weights is None or data is None:
            raise InputError("sampling.guidance: --weights and --data are missing; name them")
        matrix, seed = WeightMatrix.open(weights), settings.flow.sampling.seed
        network = NetworkSpec.of(matrix.layout, matrix.architecture)
        decode, train = decoder_of(flow, subspace, matrix, device), Split.load(data, "train")
        steer = partial(
            GuidedField, network=network, decode=decode, train=train, guidance=guidance, seed=seed
        )
    integrate_flow(flow, settings.flow, subspace, device, steer).save(output)


def main() -> None:
    options = parser(__doc__, "model", "basis", "output")
    for name in ("weights", "data"):
        options.add_argument(
            f"--{name}", type=Path, nargs="?", help="where networks are steered by their loss"
        )
    args = options.parse_args()
    settings = parse_settings(SampleFlow, args.settings)
    sample_flow(settings, args.model, args.basis, args.output, args.weights, args.data)


if __name__ == "__main__":
    run(main)
