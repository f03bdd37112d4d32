"""Cut texts of your own into tokens, once for every zoo that asks for them."""

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
    """Write `train.npz`, the folder `tokenizer` and, where there are such, `test.npz` and `classes.json` into
    a folder."""
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
    args = parser(__doc__, "output").parse_args()
    prepare_texts(parse_settings(PrepareTexts, args.settings), args.output)


if __name__ == "__main__":
    run(main)
