"""Fetch a data set that no dependency contains, from a local folder or from its mirror."""

import argparse
import logging
import shutil
import tarfile
from pathlib import Path

from dwf_steps.config.dataset import BUILT_IN, FETCHED, missing_files
from dwf_steps.datasets.images import CLASSES, torchvision_class, torchvision_images
from dwf_steps.runtime.command_line import run
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.libraries import torchvision_datasets
from dwf_steps.storage.atomic import replacing

logger = logging.getLogger(__name__)


def fetch_data(name: str, data_dir: Path, output: Path) -> None:
    """Write a data set into a folder, in torchvision's layout.

    Files in ``data_dir``, unpacked or in the mirror's archives, are copied, never linked. Missing files are
    downloaded. Archives are verified by torchvision's digests, and all data are read once.

    Parameters
    ----------
    name
        The data set, such as ``mnist``.
    data_dir
        A folder that may have its files.
    output
        The folder to write.

    Raises
    ------
    InputError
        If a file is missing and cannot be downloaded, or does not have the expected content.
    """
    with replacing(output) as partial:
        partial.mkdir()
        for file in BUILT_IN[name].files:
            _take(name, data_dir / file, partial / file)
        if missing_files(name, partial):
            _take_archive(name, data_dir, partial)
        missing = missing_files(name, partial)
        if missing:
            _download(name, partial, [data_dir / path.relative_to(partial) for path in missing])
        for train in (True, False):
            images = torchvision_images(name, partial, train, data_dir)
            logger.info("%s: %d %s images", name, len(images), "training" if train else "test")


def _take(name: str, source: Path, target: Path) -> None:
    """Copy a file, or unpack the archive that contains it, if there is one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    archive = source.with_name(f"{source.name}.gz")
    if source.is_file():
        logger.info("copying %s", source)
        shutil.copyfile(source, target)
    elif archive.is_file():
        _unpack(name, archive, dict(torchvision_class(name).resources)[archive.name], target.parent)


def _take_archive(name: str, data_dir: Path, folder: Path) -> None:
    """Unpack the single archive that some data sets come in, if it is present."""
    file = getattr(torchvision_class(name), "filename", None)
    if file and (data_dir / file).is_file():
        _unpack(name, data_dir / file, torchvision_class(name).tgz_md5, folder)


def _unpack(name: str, archive: Path, md5: str, folder: Path) -> None:
    utils = torchvision_datasets().utils
    if not utils.check_integrity(archive, md5):
        raise InputError(f"{archive} is not the archive of {name}: its MD5 is not {md5}; replace it")
    logger.info("unpacking %s", archive)
    if not tarfile.is_tarfile(archive):
        utils.extract_archive(archive, folder)
        return
    with tarfile.open(archive) as content:
        # Python 3.12 and later ask which members may be unpacked; torchvision does not say.
        content.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        content.extractall(folder)


def _download(name: str, folder: Path, missing: list[Path]) -> None:
    _, *parts = CLASSES[name]
    try:
        for part in parts:
            torchvision_class(name)(folder, download=True, **part)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{name} is not on this machine and cannot be downloaded ({' '.join(str(error).split())}). Put "
            f"these files there, unpacked or in their archives: {', '.join(map(str, missing))}. Or "
            "name a folder that has them: --config data_dir=/path/to/folder"
        ) from error
    for archive in folder.rglob("*.gz"):
        archive.unlink()


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("name", choices=FETCHED)
    options.add_argument("--data-dir", type=Path, default=Path("data"), help="a folder that may have it")
    options.add_argument("--output", type=Path, required=True)
    args = options.parse_args()
    fetch_data(args.name, args.data_dir, args.output)


if __name__ == "__main__":
    run(main)
