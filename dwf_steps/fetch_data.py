"""Fetch a data set that no dependency ships: from a folder that has it, or else from its mirror."""

import argparse
import logging
import shutil
from pathlib import Path
from typing import Any

from dwf_steps.config.dataset import BUILT_IN, FETCHED, missing_files
from dwf_steps.datasets.images import CLASSES, idx_images
from dwf_steps.datasets.torchvision_import import torchvision_datasets
from dwf_steps.errors import InputError
from dwf_steps.step import run
from dwf_steps.storage.atomic import replacing

logger = logging.getLogger(__name__)


def fetch_data(name: str, data_dir: Path, output: Path) -> None:
    """Write the data set into the folder ``output``, in torchvision's layout.

    Files that lie in ``data_dir``, unpacked or as the mirror's archives, are copied: an original is never
    linked to. What is not there is downloaded. torchvision's digests of archives are checked, and everything
    is read once.

    Raises
    ------
    InputError
        If a file is neither there nor can be downloaded, or does not hold what its name says.
    """
    with replacing(output) as partial:
        for file in BUILT_IN[name].files:
            _take(name, data_dir / file, partial / file)
        missing = missing_files(name, partial)
        if missing:
            _download(name, partial, [data_dir / path.relative_to(partial) for path in missing])
        for train in (True, False):
            inputs, _ = idx_images(name, partial, train)
            logger.info("%s: %d %s images", name, len(inputs), "training" if train else "test")


def _take(name: str, source: Path, target: Path) -> None:
    """Copy a file, or unpack its archive, whichever is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    archive = source.with_name(f"{source.name}.gz")
    if source.is_file():
        logger.info("copying %s", source)
        shutil.copyfile(source, target)
    elif archive.is_file():
        utils, md5 = torchvision_datasets().utils, dict(_torchvision_class(name).resources)[archive.name]
        if not utils.check_integrity(archive, md5):
            raise InputError(f"{archive} is not the archive of {name}: its MD5 is not {md5}; replace it")
        logger.info("unpacking %s", archive)
        utils.extract_archive(archive, target.parent)


def _download(name: str, folder: Path, missing: list[Path]) -> None:
    try:
        _torchvision_class(name)(folder, download=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{name} is not on this machine and cannot be downloaded ({' '.join(str(error).split())}). Put "
            f"these files there, unpacked or as archives ending in .gz: {', '.join(map(str, missing))}. Or "
            "name a folder that has them: --config data_dir=/path/to/folder"
        ) from error
    for archive in folder.rglob("*.gz"):
        archive.unlink()


def _torchvision_class(name: str) -> Any:
    return getattr(torchvision_datasets(), CLASSES[name])


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("name", choices=FETCHED)
    options.add_argument("--data-dir", type=Path, default=Path("data"), help="where it may already lie")
    options.add_argument("--output", type=Path, required=True)
    args = options.parse_args()
    fetch_data(args.name, args.data_dir, args.output)


if __name__ == "__main__":
    run(main)
