"""Join the data of several zoos, as probes for networks of all of them."""

from pathlib import Path

import numpy as np

from dwf_steps.datasets.splits import PARTS, Dataset, Split
from dwf_steps.pipeline.settings.data import JoinData
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import numpy_generator


def join_data(settings: JoinData, members: list[Path], output: Path) -> None:
    """Write examples of several zoos' data in random order, equally many of each, and whose each one is.

    Each of training, validation and test takes from every zoo as many examples as the smallest one has.

    Parameters
    ----------
    settings
        The names of the zoos.
    members
        Their ``data.npz``, in the same order.
    output
        ``data.npz`` of the joint zoo.

    Raises
    ------
    InputError
        If the data differ in features or in the task.
    """
    datasets = [Dataset.load(path) for path in members]
    first = datasets[0]
    for name, path, other in zip(settings.zoos, members, datasets, strict=True):
        own, found = _described(first), _described(other)
        if own != found:
            raise InputError(
                f"{path}: the data of zoo {name!r} are {found}, but those of zoo {settings.zoos[0]!r} are "
                f"{own}; zoos that are joined must have data that fit the same networks"
            )
    train, validation, test = (
        _together(settings.zoos, [getattr(dataset, part) for dataset in datasets], part) for part in PARTS
    )
    shapes = {dataset.shape for dataset in datasets}
    shape = shapes.pop() if len(shapes) == 1 else None
    Dataset(train, validation, test, shape=shape).save(output)


def _described(dataset: Dataset) -> str:
    train = dataset.train
    numbers = f", tolerance {train.tolerance:g}, scale {train.scale:g}" if train.task == "regression" else ""
    return f"of {dataset.n_features} features for {train.task}{numbers}"


def _together(zoos: list[str], splits: list[Split], part: str) -> Split:
    draws, fewest, first = numpy_generator(f"joined {part}", 0), min(map(len, splits)), splits[0]
    chosen = [draws.permutation(len(split))[:fewest] for split in splits]
    order = draws.permutation(fewest * len(splits))
    inputs, targets = (
        np.concatenate([getattr(split, name)[rows] for split, rows in zip(splits, chosen, strict=True)])[
            order
        ]
        for name in ("inputs", "targets")
    )
    data_sets = np.repeat(zoos, fewest)[order]
    return Split(inputs, targets, first.task, first.tolerance, first.scale, data_sets)


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "output")
    options.add_argument("--members", type=Path, nargs="+", help="the data of every zoo, in order")
    args = options.parse_args()
    join_data(parse_settings(JoinData, args.settings), args.members, args.output)


if __name__ == "__main__":
    run(main)
