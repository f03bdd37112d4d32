"""Data sets, divided into training, validation and test."""

from pathlib import Path

from dwf_steps.config.dataset import BUILT_IN, DatasetConfig, SplitsConfig, TableFile
from dwf_steps.datasets.splits import Dataset, divide
from dwf_steps.datasets.tables import bundled_table, table_from_file
from dwf_steps.errors import InputError


def load_dataset(dataset: DatasetConfig, splits: SplitsConfig, data_dir: Path | None) -> Dataset:
    """Load a data set, divide it, and standardise the inputs with the training set's statistics.

    Tables are standardised feature by feature; images by one mean and one standard deviation.

    Parameters
    ----------
    dataset
        Its name, or a table of one's own.
    splits
        How it is divided.
    data_dir
        The folder of a data set that was fetched; no other kind needs one.

    Raises
    ------
    InputError
        If a file is missing or does not hold what it should.
    """
    if isinstance(dataset, TableFile):
        inputs, targets = table_from_file(dataset)
        return divide(inputs, targets, splits)
    if BUILT_IN[dataset].files:
        from dwf_steps.datasets.images import idx_images

        if data_dir is None:
            raise InputError(f"{dataset}: --data-dir is missing; name the folder it was fetched into")
        return divide(
            *idx_images(dataset, data_dir, train=True), splits, *idx_images(dataset, data_dir, train=False)
        )
    inputs, targets = bundled_table(dataset)
    return divide(inputs, targets, splits, image=dataset == "digits")
