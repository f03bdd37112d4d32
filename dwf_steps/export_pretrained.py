"""Give networks the form in which transformers' `from_pretrained` takes them."""

import json
import logging
import os
import shutil
from pathlib import Path

from dwf_steps.architectures.bert import BertArchitecture
from dwf_steps.pipeline.settings.export import ExportPretrained
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.manifest import Manifest

logger = logging.getLogger(__name__)


def export_pretrained(settings: ExportPretrained, data_dir: Path, networks: list[Path], output: Path) -> None:
    """Write a folder for every network: its weights, by hard links where the file system has them, the
    `config.json` and the tokenizer.

    Parameters
    ----------
    data_dir
        Where the texts were cut; the tokenizer lies there.
    networks
        The shards' manifests.
    """
    config = json.dumps(BertArchitecture(settings.architecture).pretrained_config(), indent=2, sort_keys=True)
    files = [path for manifest in networks for path in Manifest.read(manifest).verified_files()]
    with replacing(output) as partial:
        partial.mkdir()
        for file in files:
            folder = partial / file.stem
            shutil.copytree(data_dir / "tokenizer", folder)
            (folder / "config.json").write_text(config + "\n", encoding="utf-8")
            try:
                os.link(file, folder / "model.safetensors")
            except OSError:
                shutil.copy(file, folder / "model.safetensors")
    logger.info("exported %d networks", len(files))


def main() -> None:
    options = parser(__doc__, "data-dir", "output", several=["networks"])
    args = options.parse_args()
    export_pretrained(
        parse_settings(ExportPretrained, args.settings), args.data_dir, args.networks, args.output
    )


if __name__ == "__main__":
    run(main)
