"""Sample new networks from a flow by integrating its ODE."""

from pathlib import Path

from dwf_steps.config.generator import FlowConfig
from dwf_steps.config.section import Section
from dwf_steps.device import select_device
from dwf_steps.generators.flow import FlowModel
from dwf_steps.generators.flow import sample_flow as sample
from dwf_steps.step import parse_settings, parser, run
from dwf_steps.subspace.basis import Basis


class SampleFlowSettings(Section):
    """The flow, with its source and its sampling."""

    flow: FlowConfig


def sample_flow(settings: SampleFlowSettings, model: Path, basis: Path, output: Path) -> None:
    """Write the samples of a trained flow."""
    device = select_device()
    sample(FlowModel.load(model, device), settings.flow, Basis.load(basis), device).save(output)


def main() -> None:
    args = parser(__doc__, "model", "basis", "output").parse_args()
    sample_flow(parse_settings(SampleFlowSettings, args.settings), args.model, args.basis, args.output)


if __name__ == "__main__":
    run(main)
