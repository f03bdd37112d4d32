"""Loading a data set and splitting it."""

import json
from pathlib import Path

from dwf_steps.config.dataset import BUILT_IN, DatasetConfig, ImageFiles, SplitsConfig, TableFile, TextFiles
from dwf_steps.datasets.splits import Dataset, divide
from dwf_steps.datasets.tables import bundled_table, table_from_file
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.arrays import load_record
from dwf_steps.storage.remedy import rebuild


def load_dataset(dataset: DatasetConfig, splits: SplitsConfig, data_dir: Path | None) -> Dataset:
    """Load a data set, split it, and standardise the inputs with the training set's statistics.

    Tables are standardised by feature, images by channel; tokens are not standardised.

    Parameters
    ----------
    dataset
        Name of a data set, or a description of a table, images or texts.
    splits
        The shares of the splits.
    data_dir
        The folder of a data set that was fetched or prepared; None for others.

    Returns
    -------
    The data set, with the names of its classes, if any.

    Raises
    ------
    InputError
        If a file is missing or invalid.
    """
    if isinstance(dataset, TableFile):
        examples, held_out, classes = table_from_file(dataset)
        task, tolerance, scale = dataset.task, dataset.tolerance, dataset.scale
        return divide(
            *examples, splits, held_out, task=task, tolerance=tolerance, scale=scale, classes=classes
        )
    if isinstance(dataset, str) and not BUILT_IN[dataset].files:
        examples, classes = bundled_table(dataset)
        return divide(*examples, splits, shape=BUILT_IN[dataset].shape, classes=classes)
    if data_dir is None:
        raise InputError(f"{dataset}: --data-dir is missing; name the folder it was fetched into")
    if isinstance(dataset, TextFiles):
        return _texts(dataset, splits, data_dir)
    # Imported here because torchvision takes a second, and other data do not need it.
    from dwf_steps.datasets.images import Images, torchvision_images

    train: Images
    test: Images | None
    if isinstance(dataset, ImageFiles):
        test_path = data_dir / "test.npz"
        train = load_record(data_dir / "train.npz", Images, data_dir)
        test = load_record(test_path, Images, data_dir) if test_path.exists() else None
        names = _prepared_classes(data_dir)
    else:
        test = torchvision_images(dataset, data_dir, train=False)
        train, names = torchvision_images(dataset, data_dir, train=True), test.classes
    held_back = (test.inputs, test.targets) if test is not None else None
    return divide(train.inputs, train.targets, splits, held_back, train.pixels.shape[1:], classes=names)


def _prepared_classes(data_dir: Path) -> tuple[str, ...]:
    """Return the names of classes that `prepare_images` or `prepare_texts` wrote; empty for regression."""
    path = data_dir / "classes.json"
    try:
        return tuple(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else ()
    except ValueError as error:
        raise InputError(f"{path}: not the names that were written ({error}); {rebuild(data_dir)}") from error


def _texts(dataset: TextFiles, splits: SplitsConfig, data_dir: Path) -> Dataset:
    from dwf_steps.datasets.text_files import Texts

    train = load_record(data_dir / "train.npz", Texts, data_dir)
    held_back = None
    if dataset.test is not None:
        test = load_record(data_dir / "test.npz", Texts, data_dir)
        held_back = (test.tokens, test.targets)
    return divide(
        train.tokens,
        train.targets,
        splits,
        held_back,
        task=dataset.task,
        tolerance=dataset.tolerance,
        scale=dataset.scale,
        tokens=True,
        classes=_prepared_classes(data_dir),
    )
