"""Mirror the losses of fits, finished and at work, in TensorBoard's event files."""

import argparse
import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from dwf_steps.cli.options import command_parser
from dwf_steps.generators.autoencoder import AUTOENCODER, FITTED, MODEL
from dwf_steps.runtime.command_line import run
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.csv_tables import read_csv
from dwf_steps.storage.torch_files import load_tensors

logger = logging.getLogger(__name__)

LOSSES, CHECKPOINT = "training.csv", "model.checkpoint"
MIRRORED = "mirrored.json"  # in a run's folder: the rows that its event files hold
NOT_SCALARS = ("step", "phase", "kept")  # columns with other meanings


class Writer(Protocol):
    """What is used of `torch.utils.tensorboard.SummaryWriter`."""

    def __init__(self, log_dir: str, *, purge_step: int | None) -> None: ...

    def add_scalar(self, tag: str, scalar_value: float, global_step: int, walltime: float) -> None:
        """Write one value of a curve."""

    def close(self) -> None:
        """Write what is left."""


@dataclass(frozen=True)
class Row:
    """A row of losses: the step, and a value for each curve by its tag."""

    step: int
    values: Mapping[str, float]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Take numbers from a row of ``training.csv``; a ``phase`` is the first part of the tags."""
        phase = row.get("phase")
        prefix = f"{phase}/" if isinstance(phase, str) and phase else ""
        values = {
            f"{prefix}{name}": float(value)
            for name, value in row.items()
            if name not in NOT_SCALARS and isinstance(value, int | float) and not math.isnan(value)
        }
        return cls(int(row["step"]), values)

    def equals(self, other: Self) -> bool:
        """Return whether both have the same step, tags and values, up to what a csv file rounds."""
        return (
            self.step == other.step
            and self.values.keys() == other.values.keys()
            and all(math.isclose(value, other.values[tag]) for tag, value in self.values.items())
        )


class Mirror:
    """Event files of all fits below ``results``, in folders of the same names below ``logdir``.

    Parameters
    ----------
    results
        The folder of results; nothing in it is written.
    logdir
        TensorBoard's folder, outside of the results.
    writer
        Makes what writes one run's events, by default `torch.utils.tensorboard.SummaryWriter`.

    Raises
    ------
    InputError
        If there are no results, ``logdir`` lies among them, or the package `tensorboard` is missing.
    """

    def __init__(self, results: Path, logdir: Path, writer: Callable[..., Writer] | None = None) -> None:
        if not results.is_dir():
            raise InputError(f"{results}: no such folder; expected the folder of results of a run")
        if logdir.resolve().is_relative_to(results.resolve()):
            raise InputError(
                f"--logdir {logdir}: lies in the results; expected a folder outside of {results}"
            )
        self.results, self.logdir = results, logdir
        self._writer = summary_writer() if writer is None else writer
        self._read: dict[Path, int] = {}

    def update(self) -> int:
        """Write the rows that are not in the event files yet.

        Returns
        -------
        How many were written.

        Raises
        ------
        InputError
            If a file is damaged.
        """
        return sum(map(self._update, self.fits()))

    def fits(self) -> list[Path]:
        """Return the folders of all fits that have ended or saved a checkpoint."""
        found = [*self.results.rglob(LOSSES), *self.results.rglob(CHECKPOINT)]
        return sorted({path.parent for path in found})

    def _update(self, folder: Path) -> int:
        finished, state = folder / LOSSES, folder / CHECKPOINT
        source = finished if finished.is_file() else state
        try:
            changed = source.stat().st_mtime_ns
            if self._read.get(source) == changed:
                return 0
            rows = rows_of_csv(source) if source is finished else rows_of_checkpoint(source)
        except (FileNotFoundError, InputError):
            if source.is_file():
                raise
            return 0  # the fit has ended, or begun again, in the meantime
        self._read[source] = changed
        return self._write(self.logdir / folder.relative_to(self.results), rows, source)

    def _write(self, target: Path, rows: Sequence[Row], source: Path) -> int:
        """Write a run's new rows; of rows that differ from those written before, hide these first."""
        before, same = _mirrored(target), 0
        while same < min(len(before), len(rows)) and before[same].equals(rows[same]):
            same += 1
        new, old = rows[same:], before[same:]
        if not new and (not old or source.name == CHECKPOINT):  # a fit resumed from an earlier step
            return 0
        purge = min(row.step for row in (*new[:1], *old[:1])) if old else None
        target.mkdir(parents=True, exist_ok=True)
        writer, now = self._writer(str(target), purge_step=purge), source.stat().st_mtime
        for row in new:
            for tag, value in row.values.items():
                writer.add_scalar(tag, value, row.step, now)
        writer.close()
        with replacing(target / MIRRORED) as partial:
            partial.write_text(json.dumps([[row.step, dict(row.values)] for row in rows]), encoding="utf-8")
        return len(new)


def rows_of_csv(path: Path) -> list[Row]:
    """Return the rows of a finished fit's ``training.csv``.

    Parameters
    ----------
    path
        The file, with its digest beside it.

    Returns
    -------
    The rows, in the file's order.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    rows = read_csv(path).to_dict("records")
    return [Row.of({str(name): value for name, value in row.items()}) for row in rows]


def rows_of_checkpoint(path: Path) -> list[Row]:
    """Return the rows that a fit at work has reported up to its last checkpoint.

    Parameters
    ----------
    path
        The checkpoint, of one network's fit or of an autoencoder and the generator of its codes.

    Returns
    -------
    The rows, as `rows_of_csv` returns them once the fit has ended; none for a generator of the user's, whose
    checkpoints are its own.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    state = load_tensors(path)["state"]
    if not isinstance(state, dict):
        return []
    if FITTED not in state:
        phase = {"phase": AUTOENCODER} if AUTOENCODER in state else {}
        return [Row.of(row | phase) for row in state.get(AUTOENCODER, state).get("rows", [])]
    first, more = state[FITTED]["losses"], state.get(MODEL, {}).get("rows", [])
    after = first[-1]["step"]
    return [
        *(Row.of(row | {"phase": AUTOENCODER}) for row in first),
        *(Row.of(row | {"phase": MODEL, "step": after + row["step"]}) for row in more),
    ]


def _mirrored(target: Path) -> list[Row]:
    path = target / MIRRORED
    if not path.is_file():
        return []
    return [Row(step, values) for step, values in json.loads(path.read_text(encoding="utf-8"))]


def summary_writer() -> Callable[..., Writer]:
    """Return TensorBoard's writer.

    Returns
    -------
    The class `torch.utils.tensorboard.SummaryWriter`.

    Raises
    ------
    InputError
        If the package `tensorboard` is missing.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError(
            f"TensorBoard cannot be imported ({error}); install it beside this package, in the folder of its "
            "checkout, with: .venv/bin/python -m pip install '.[tensorboard]' -c envs/constraints.txt"
        ) from error
    writer: Callable[..., Writer] = SummaryWriter
    return writer


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `dwf tensorboard`.

    Parameters
    ----------
    arguments
        What follows the command's name; by default what the process was started with.

    Raises
    ------
    InputError
        If there is nothing to mirror, a file is damaged, or `Mirror` refuses a folder.
    """
    options = command_parser("tensorboard", __doc__)
    options.add_argument("results", type=Path, help="the folder of results; nothing in it is changed")
    options.add_argument(
        "--logdir", type=Path, required=True, help="TensorBoard's folder, outside of the results"
    )
    options.add_argument(
        "--watch", type=_seconds, metavar="SECONDS", help="add new rows again and again, until Ctrl-C"
    )
    args = options.parse_args(arguments)
    mirror = Mirror(args.results, args.logdir)
    if not (mirror.fits() or args.watch):
        raise InputError(f"{args.results}: no {LOSSES} in it; fit a generator first, or add --watch 30")
    written = mirror.update()
    logger.info("%d new rows; to see them: tensorboard --logdir %s", written, args.logdir)
    try:
        while args.watch:
            time.sleep(args.watch)
            if written := mirror.update():
                logger.info("%d new rows", written)
    except KeyboardInterrupt:
        return


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"found {text}, expected a number of seconds above 0")
    return value


if __name__ == "__main__":
    run(main)
