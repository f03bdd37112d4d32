"""Concatenate the alignment tables of all shards."""

from pathlib import Path

from dwf_steps.runtime.command_line import parser, run
from dwf_steps.storage.texts import read_text, write_text


def gather_alignment(tables: list[Path], output: Path) -> None:
    """Write one table with the rows of all shards.

    Parameters
    ----------
    tables
        The tables that `canonicalize` wrote, in order.
    output
        ``alignment.csv``.

    Raises
    ------
    InputError
        If a table has changed since it was written.
    """
    first, *others = map(read_text, tables)
    write_text(output, first + "".join(text.partition("\n")[2] for text in others))


def main() -> None:
    """Run the step with the arguments of the command line."""
    args = parser(__doc__, "output", several=["tables"], settings=False).parse_args()
    gather_alignment(args.tables, args.output)


if __name__ == "__main__":
    run(main)
