"""Bring existing networks into the workflow as a zoo."""

from pathlib import Path

from dwf_steps.architectures import build
from dwf_steps.config.zoo import matching_files
from dwf_steps.datasets.splits import Dataset
from dwf_steps.pipeline.settings.zoo import ImportZoo
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.zoo.importing import expected_state, import_networks
from dwf_steps.zoo.shards import write_scored_shard


def import_zoo(
    settings: ImportZoo,
    data: Path,
    output: Path,
    manifest: Path,
) -> None:
    """Check, score and copy the shard's networks, by name in order."""
    files = matching_files(settings.files)[settings.first : settings.first + settings.count]
    dataset = Dataset.load(data)
    dataset.check_fits(settings.architecture)
    architecture = build(settings.architecture)
    arrays = import_networks(files, expected_state(architecture), settings.keys, architecture.tied)
    write_scored_shard(
        architecture,
        dataset,
        arrays.tensors(),
        [path.stem for path in files],
        [{"file": str(path)} for path in files],
        output,
        manifest,
    )


def main() -> None:
    options = parser(__doc__, "data", "output", "manifest")
    args = options.parse_args()
    settings = parse_settings(ImportZoo, args.settings)
    import_zoo(settings, args.data, args.output, args.manifest)


if __name__ == "__main__":
    run(main)
