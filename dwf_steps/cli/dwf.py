"""The command `dwf`: evaluate, align and export networks without the workflow; losses in TensorBoard."""

import importlib
import os
import sys
from collections.abc import Sequence

from dwf_steps.runtime.command_line import run

COMMANDS = {
    "judge": "how accurate generated networks are, and how new compared with the zoo",
    "align": "reorder a network's units to match another's, without changing its function",
    "export": "write a zoo or generated networks as packed shards with a dataset card",
    "tensorboard": "mirror the losses of fits, finished and at work, in TensorBoard's event files",
}
USAGE_ERROR = 2  # as argparse's


def usage() -> str:
    """Describe the commands.

    Returns
    -------
    A line for each command, below a heading.
    """
    lines = [f"  dwf {name:11} {what}" for name, what in COMMANDS.items()]
    return "\n".join(["Commands, each with --help:", *lines])


def dispatch(arguments: Sequence[str]) -> None:
    """Run a command; without one, or with ``--help``, list the commands.

    Parameters
    ----------
    arguments
        The command's name and its options.

    Raises
    ------
    SystemExit
        With status 2, if there is no such command.
    """
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        sys.stdout.write(f"{usage()}\n")
        return
    if name not in COMMANDS:
        sys.stderr.write(f"dwf: there is no command {name!r}\n{usage()}\n")
        raise SystemExit(USAGE_ERROR)
    # Imported here, so that only the requested command's imports take time.
    importlib.import_module(f"dwf_steps.cli.{name}").main(rest)


def main() -> None:
    # Set before PyTorch is imported: threads that spin while they wait slow down a busy machine.
    """Run `dwf` with the arguments of the command line."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    run(lambda: dispatch(sys.argv[1:]))


if __name__ == "__main__":
    main()
