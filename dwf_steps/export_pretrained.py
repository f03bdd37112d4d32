"""Export networks in the format of transformers' `from_pretrained`."""

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
    """Write a folder for every network: weights, `config.json` and the tokenizer.

    Parameters
    ----------
    settings
        The networks' architecture.
    data_dir
        The folder that `prepare_texts` wrote; the tokenizer is in it.
    networks
        The shards' manifests.
    output
        The folder for the networks' folders. Weights are hard links where the file system supports them, else
        copies.

    Raises
    ------
    InputError
        If a network's file has changed since it was written.
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
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "data-dir", "output", several=["networks"])
    args = options.parse_args()
    export_pretrained(
        parse_settings(ExportPretrained, args.settings), args.data_dir, args.networks, args.output
    )


if __name__ == "__main__":
    run(main)
