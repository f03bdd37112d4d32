"""Decode a user's images once for all zoos that use them."""

import json
import logging
from pathlib import Path

from dwf_steps.datasets.image_files import read_images
from dwf_steps.pipeline.settings.data import PrepareImages
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.storage.arrays import save_record
from dwf_steps.storage.atomic import replacing

logger = logging.getLogger(__name__)


def prepare_images(settings: PrepareImages, output: Path) -> None:
    """Write decoded images and the names of their classes into a folder.

    Parameters
    ----------
    settings
        Where the images are, and the size to decode them to.
    output
        The folder for ``train.npz``, ``test.npz`` if there is a test set, both `Images`, and
        ``classes.json``, a list of names.

    Raises
    ------
    InputError
        If an image is missing, cannot be decoded or has no class.
    """
    train, test, classes = read_images(settings.images)
    with replacing(output) as partial:
        partial.mkdir()
        for name, images in (("train", train), ("test", test)):
            if images is not None:
                save_record(partial / f"{name}.npz", images)
                logger.info("%s: %d images of %d classes", name, len(images), len(classes))
        (partial / "classes.json").write_text(json.dumps(classes, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run the step with the arguments of the command line."""
    args = parser(__doc__, "output").parse_args()
    prepare_images(parse_settings(PrepareImages, args.settings), args.output)


if __name__ == "__main__":
    run(main)
