"""Download a data set that no dependency ships, into the layout that the workflow reads."""

import argparse
from pathlib import Path
from urllib.error import URLError

from dwf_steps.config.dataset import missing_files
from dwf_steps.datasets.images import CLASSES
from dwf_steps.datasets.torchvision_import import torchvision_datasets
from dwf_steps.errors import InputError
from dwf_steps.step import run


def fetch(name: str, data_dir: Path) -> None:
    """Download ``name`` below ``data_dir`` with torchvision.

    Raises
    ------
    InputError
        If no mirror can be reached.
    """
    try:
        getattr(torchvision_datasets(), CLASSES[name])(data_dir, download=True)
    except (URLError, RuntimeError) as error:
        files = ", ".join(str(path) for path in missing_files(name, data_dir))  # type: ignore[arg-type]
        raise InputError(
            f"{name} could not be downloaded ({error}); copy these files by hand: {files}"
        ) from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(CLASSES))
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    args = parser.parse_args()
    fetch(args.name, args.data_dir)


if __name__ == "__main__":
    run(main)
