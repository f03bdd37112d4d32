"""Sample new networks from a control."""

from pathlib import Path

from dwf_steps.generators.controls import sample_control as sample
from dwf_steps.pipeline.settings.generate import SampleControl
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.subspace.basis import Basis


def sample_control(settings: SampleControl, basis: Path, output: Path) -> None:
    """Write the samples of a control."""
    sample(settings.control, Basis.load(basis)).save(output)


def main() -> None:
    args = parser(__doc__, "basis", "output").parse_args()
    sample_control(parse_settings(SampleControl, args.settings), args.basis, args.output)


if __name__ == "__main__":
    run(main)
