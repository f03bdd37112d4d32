"""Tokenise a user's texts once for all zoos that use them."""

import json
import logging
from pathlib import Path

from dwf_steps.config.dataset import PADDING
from dwf_steps.datasets.text_files import read_texts
from dwf_steps.pipeline.settings.data import PrepareTexts
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.storage.arrays import save_record
from dwf_steps.storage.atomic import replacing

logger = logging.getLogger(__name__)


def prepare_texts(settings: PrepareTexts, output: Path) -> None:
    """Write tokenised texts, their tokenizer and the names of their classes into a folder.

    Parameters
    ----------
    settings
        Where the texts are, and how they are tokenised.
    output
        The folder for ``train.npz``, ``test.npz`` if there is a test set, both `Texts`, the folder
        ``tokenizer``, and, for classification, ``classes.json``, a list of names.

    Raises
    ------
    InputError
        If a file is missing or damaged, or a text has no class.
    """
    train, test, classes, tokenizer = read_texts(settings.texts)
    with replacing(output) as partial:
        partial.mkdir()
        for name, texts in (("train", train), ("test", test)):
            if texts is not None:
                save_record(partial / f"{name}.npz", texts)
                full = (texts.tokens[:, -1] != PADDING).mean()
                logger.info("%s: %d texts, %.1f %% of them of full length", name, len(texts), 100 * full)
        logger.info("%d tokens", len(tokenizer))
        tokenizer.save_pretrained(partial / "tokenizer")
        if classes:
            (partial / "classes.json").write_text(json.dumps(classes, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run the step with the arguments of the command line."""
    args = parser(__doc__, "output").parse_args()
    prepare_texts(parse_settings(PrepareTexts, args.settings), args.output)


if __name__ == "__main__":
    run(main)
