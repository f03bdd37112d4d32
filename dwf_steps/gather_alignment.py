"""Gather what canonicalization did to each shard's networks in one table."""

from pathlib import Path

from dwf_steps.runtime.command_line import parser, run
from dwf_steps.storage.atomic import replacing


def gather_alignment(tables: list[Path], output: Path) -> None:
    """Write the tables one after the other, under the header of the first."""
    with replacing(output) as partial, partial.open("w", encoding="utf-8") as file:
        for i, table in enumerate(tables):
            header, *rows = table.read_text(encoding="utf-8").splitlines(keepends=True)
            file.writelines(rows if i else [header, *rows])


def main() -> None:
    args = parser(__doc__, "output", several=["tables"], settings=False).parse_args()
    gather_alignment(args.tables, args.output)


if __name__ == "__main__":
    run(main)
