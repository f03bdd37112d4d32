"""Join the canonical networks of several zoos into one weight matrix, column block by column block."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from dwf_steps.config.zoo import joint_name
from dwf_steps.pipeline.settings.subspace import JoinZoo
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.storage.padding import Variant, pad_array, widest, write_narrower
from dwf_steps.storage.precision import RelativeError
from dwf_steps.storage.row_facts import join_facts
from dwf_steps.storage.stacked import Sliceable
from dwf_steps.subspace.storing import store

logger = logging.getLogger(__name__)

Part = TypeVar("Part", bound=Sliceable)


def join_zoo(settings: JoinZoo, members: list[Path], output: Path) -> None:
    """Write the rows of several zoos: the training rows of each in turn, then the held-out rows.

    Facts about the networks are kept, and the name of their zoo is added. Networks that are narrower than
    others are padded with absent units.

    Parameters
    ----------
    settings
        The names of the zoos, the architecture that all fit into, and how the matrix is stored.
    members
        Their weight matrices, in the same order.
    output
        ``weights.zarr`` of the joint zoo.

    Raises
    ------
    InputError
        If the networks differ in more than widths.
    """
    matrices = [WeightMatrix.open(path) for path in members]
    zoos = dict(zip(settings.zoos, matrices, strict=True))
    first, layout = matrices[0], widest({zoo: m.layout for zoo, m in zoos.items()})
    for zoo, other in zoos.items():
        if list(other.buffers) != list(first.buffers):
            found, expected = (", ".join(m.buffers) or "none" for m in (other, first))
            raise InputError(
                f"{other.path}: the networks of zoo {zoo!r} have buffers {found}, but those of zoo "
                f"{settings.zoos[0]!r} have {expected}; zoos that are joined must have networks of one kind"
            )
    variants = {zoo: Variant.of(m, layout) for zoo, m in zoos.items()}

    def ordered(parts: Iterable[Part], join: Callable[[list[Part]], Part]) -> Part:
        """Concatenate the zoos' rows: all training rows, then all held-out rows."""
        halves = [
            (part[: m.n_training], part[m.n_training :]) for part, m in zip(parts, matrices, strict=True)
        ]
        return join([half[place] for place in (0, 1) for half in halves])

    rows = ordered(
        ([_renamed(zoo, row) for row in m.rows] for zoo, m in zoos.items()),
        lambda parts: sum(parts, start=list[Row]()),
    )
    shapes = {
        name: np.max([m.buffers[name].shape[1:] for m in matrices], axis=0, initial=0).astype(int).tolist()
        for name in first.buffers
    }
    buffers = {
        name: ordered([pad_array(m.buffers[name], shape) for m in matrices], np.concatenate)
        for name, shape in shapes.items()
    }
    narrower = {zoo: one for zoo, one in variants.items() if not one.padding.whole}
    same = next((m.architecture for m in matrices if m.layout == layout), None)
    architecture = settings.architecture.model_dump() if same is None else same
    error = RelativeError()
    with replacing(output) as partial:
        matrix = WeightMatrix.create(
            partial, layout, rows, architecture, settings.dtype, settings.memory_mb, buffers
        )
        for columns in progress(list(matrix.write_blocks()), "column block"):
            parts = [
                one.padding.pad(zoos[zoo].read(one.padding.own_columns(columns)), columns)
                for zoo, one in variants.items()
            ]
            block = ordered(parts, np.concatenate)
            store(matrix, columns, block.astype(np.float32, copy=False), error)
        matrix.set_storage_error(max(error.relative, *(m.storage_error for m in matrices)))
        join_facts(matrix, zoos)
        write_narrower(matrix, narrower)
    logger.info("joined %d networks of %d zoos", len(rows), len(matrices))


def _renamed(zoo: str, row: Row) -> Row:
    return replace(
        row, name=joint_name(zoo, row.name), trajectory=joint_name(zoo, row.trajectory or row.name)
    )


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "output")
    options.add_argument("--members", type=Path, nargs="+", help="the weight matrix of every zoo, in order")
    args = options.parse_args()
    join_zoo(parse_settings(JoinZoo, args.settings), args.members, args.output)


if __name__ == "__main__":
    run(main)
