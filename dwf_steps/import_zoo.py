"""Import existing networks as a zoo."""

from pathlib import Path

from dwf_steps.architectures import build
from dwf_steps.config.imported_networks import imported_networks
from dwf_steps.datasets.splits import Dataset
from dwf_steps.pipeline.settings.zoo import ImportZoo
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest
from dwf_steps.zoo.exported import exported_facts
from dwf_steps.zoo.importing import read_networks, told_by_path
from dwf_steps.zoo.recorded import RECORDED, compare, recorded_facts
from dwf_steps.zoo.shards import write_scored_shard


def import_zoo(
    settings: ImportZoo,
    data: Path,
    output: Path,
    manifest: Path,
) -> None:
    """Check, score and copy the networks of one shard.

    Parameters
    ----------
    settings
        The pattern of the files, how networks are stored in them, the architecture, which networks of all the
        shard has, and where recorded scores are.
    data
        The zoo's ``data.npz``.
    output
        The folder for the networks, one safetensors file each.
    manifest
        Their manifest, ``shard-{k}.json``, with scores on the training, validation and test sets, and with
        what paths, the table of an exported folder and recorded values say of each network; of several
        statements the last one counts.

    Raises
    ------
    InputError
        If networks are missing, cannot be read or do not match the architecture, or if recorded scores are
        expected but not found.
    """
    everything = imported_networks(settings.files, settings.contents.networks_per_file)
    networks = everything[settings.first : settings.first + settings.count]
    if len(networks) < settings.count:
        raise InputError(
            f"found {len(everything)} networks in {settings.files!r}, expected "
            f"{settings.first + settings.count} at least, as when this run started; files have been removed, "
            "run again"
        )
    facts = [
        told_by_path(network) | exported
        for network, exported in zip(networks, exported_facts(networks), strict=True)
    ]
    if settings.recorded is not None:
        facts = [
            known | found
            for known, found in zip(facts, recorded_facts(settings.recorded, networks), strict=True)
        ]
    dataset = Dataset.load(data)
    dataset.check_fits(settings.architecture)
    architecture = build(settings.architecture)
    arrays = read_networks(networks, architecture, settings.contents)
    write_scored_shard(
        architecture,
        dataset,
        arrays.tensors(),
        [network.name for network in networks],
        facts,
        output,
        manifest,
    )
    found = [record.facts for record in Manifest.read(manifest).networks if RECORDED in record.facts]
    compare([known[RECORDED] for known in found], [known["test_accuracy"] for known in found])


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "data", "output", "manifest")
    args = options.parse_args()
    settings = parse_settings(ImportZoo, args.settings)
    import_zoo(settings, args.data, args.output, args.manifest)


if __name__ == "__main__":
    run(main)
