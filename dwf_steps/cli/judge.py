"""Judge networks that any generator made: how accurate, and how new beside the zoo it learned from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.cli.options import (
    add_data_options,
    add_network_options,
    alignment_methods,
    architecture_of,
    available_cores,
    command_parser,
    files_of,
    validated,
    write_table,
    yaml_value,
)
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.canonicalization import Method
from dwf_steps.config.dataset import BUILT_IN, SplitsConfig, TableFile
from dwf_steps.config.evaluation import MeasurementConfig
from dwf_steps.config.network_files import NetworkFiles
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.evaluate import evaluate
from dwf_steps.evaluate_zoo import evaluate_zoo
from dwf_steps.fetch_data import fetch_data
from dwf_steps.generators.samples import sample_names
from dwf_steps.pipeline.settings.evaluate import Evaluate
from dwf_steps.pipeline.settings.score import Score
from dwf_steps.pipeline.settings.subspace import StackWeights
from dwf_steps.reporting.judgement import GENERATED, HELD_OUT, ZOO, Evaluated, Judgement, judgement_of, shown
from dwf_steps.runtime.command_line import run
from dwf_steps.runtime.errors import InputError
from dwf_steps.score import score
from dwf_steps.stack_weights import stack_weights
from dwf_steps.storage.csv_tables import read_csv
from dwf_steps.storage.manifest import TRAJECTORY, Manifest, Network, write_shard
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.networks import network_groups
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.subspace.basis import raw_basis
from dwf_steps.subspace.gram import accumulate
from dwf_steps.zoo.canonicalizing import canonicalized
from dwf_steps.zoo.importing import read_networks, usable
from dwf_steps.zoo.stored import Place, StoredNetwork, find_networks

UNMEASURED = {"barriers": 0, "ensembles": ()}
MEMORY_MB = 512  # of column blocks while weights are stacked


def judge(
    generated: Place,
    zoo: Place,
    data: str | Path | Mapping[str, Any],
    architecture: Mapping[str, Any] | ArchitectureConfig | None = None,
    *,
    held_out: int | Place = 0,
    files: Mapping[str, Any] | None = None,
    canonicalization: Any = None,
    data_dir: str | Path = "data",
    splits: Mapping[str, Any] | None = None,
    realigned: int = 100,
    threads: int = 1,
) -> Judgement:
    """Judge networks beside the zoo that they are meant to be new members of.

    Zoo, held-out and generated networks are aligned to the zoo's first network, scored on the test set and
    compared with the zoo's training networks, by the functions that the workflow's tables come from.

    Parameters
    ----------
    generated, zoo
        Folders or glob patterns of state dicts, a folder of results, or what `dwf export` wrote.
    data
        A built-in data set's name, a table as ``{"file": "my.csv", "target": "species"}``, or a file
        `data.npz` that the workflow divided.
    architecture
        As a configuration has it: ``{"widths": [784, 10, 10]}``. Without one the zoo's first file names it.
    held_out
        Networks that the generator has not seen: the last ones of the zoo, as many as this, or a folder.
    files
        How networks lie in their files, zoo and generated alike, as a zoo has it: ``{"keys": {"fc1":
        "layers.0"}}``, ...
    canonicalization
        How networks are aligned, as a configuration has it; by default ``["git_rebasin"]``, of transformers
        ``["transfusion"]``, where the architecture states such symmetries.
    data_dir
        Where a built-in data set lies that no dependency ships; it is downloaded if it is not there.
    splits
        How the data are divided, as a configuration has it: as the zoo's were, so that no test example was
        trained on.
    realigned
        Generated networks, and as many training and held-out ones, that are matched to every training
        network. 0 leaves this out.
    threads
        That networks are realigned by.

    Returns
    -------
    The table of `dwf judge`, a row for each network, and whether the generated networks are copies.

    Raises
    ------
    InputError
        If something cannot be read or does not fit; all files that do not fit are named.
    NumericalError
        If alignment changed a network's function: the architecture's symmetries are not stated correctly.
    """
    built = build(architecture_of(architecture, zoo))
    methods = alignment_methods(canonicalization, built)
    evaluation = validated(MeasurementConfig, "realigned", {"realigned": realigned} | UNMEASURED)
    contents: NetworkFiles = validated(NetworkFiles, "files", files or {})
    known, found = (find_networks(place, contents.networks_per_file) for place in (zoo, generated))
    training = list(known.networks)
    count = held_out if isinstance(held_out, int) else 0
    if not isinstance(held_out, int):
        others = [_renamed(one) for one in find_networks(held_out, contents.networks_per_file).networks]
        count, training = len({network.trajectory for network in others}), training + others
    if (left := len({network.trajectory for network in training}) - count) < 2 or count < 0:
        raise InputError(
            f"held_out: found {count}, which leaves {left} of the zoo's networks, expected 2 at least; they "
            "are compared with each other"
        )
    names = sample_names(len(found))
    own = [StoredNetwork(name, one.source) for name, one in zip(names, found.networks, strict=True)]
    with TemporaryDirectory(prefix="dwf-judge-") as name:
        folder = Path(name)
        divided = _divided(data, Path(data_dir), validated(SplitsConfig, "splits", splits or {}), folder)
        dataset = Dataset.load(divided)
        dataset.check_fits(built.config)
        reader = _Reader(built, contents, methods, dataset.train, training[0])
        of_zoo = reader.write(training, folder / "zoo", strict=True)
        made = reader.write(own, folder / "generated", strict=False)
        if found.failed:
            last = Manifest.read(made[-1])
            replace(last, failed=(*last.failed, *sample_names(found.failed, len(own)))).write()
        evaluated = _evaluated(built.config, folder, divided, of_zoo, made, count, evaluation, threads)
    places = {one.name: one.source.where for one in training}
    return judgement_of(
        evaluated,
        {ZOO: places, HELD_OUT: places, GENERATED: {one.name: one.source.where for one in own}},
    )


def _divided(
    data: str | Path | Mapping[str, Any], data_dir: Path, splits: SplitsConfig, folder: Path
) -> Path:
    """Return the file of a data set that is divided, now or earlier."""
    if isinstance(data, str | Path) and Path(data).suffix == ".npz":
        if not Path(data).is_file():
            raise InputError(f"{data}: no such file; expected a data.npz of the workflow's, or a name")
        return Path(data)
    place = folder / "data"
    if isinstance(data, Mapping):
        dataset = load_dataset(validated(TableFile, "data", data), splits, None)
    elif str(data) not in BUILT_IN:
        raise InputError(
            f"data: {str(data)!r} is no data set; expected one of {', '.join(BUILT_IN)}, a table as {{file: "
            "my.csv, target: species}, or a data.npz of the workflow's"
        )
    else:
        if BUILT_IN[str(data)].files:
            fetch_data(str(data), data_dir, place)
        dataset = load_dataset(str(data), splits, place)  # type: ignore[arg-type]
    path = folder / "data.npz"
    dataset.save(path)
    return path


@dataclass(frozen=True)
class _Reader:
    """Reads networks and aligns them to the ``reference``, a zoo's first."""

    architecture: Architecture
    files: NetworkFiles
    methods: list[Method]
    train: Split
    reference: StoredNetwork

    def write(self, networks: Sequence[StoredNetwork], folder: Path, strict: bool) -> list[Path]:
        """Write networks as shards, as many at a time as fit in memory, and return their manifests.

        If ``strict``, every network must be finite and occur only once.
        """
        manifests = []
        reference = self._read([self.reference], strict=True)
        for number, group in enumerate(network_groups(networks, 4 * self.architecture.layout.size)):
            arrays = self._read(group, strict)
            rows = np.flatnonzero(usable(arrays)).tolist()
            kept, names = [group[row] for row in rows], [group[row].source.where for row in rows]
            if kept:
                arrays = canonicalized(
                    self.architecture, names, arrays.select(rows), self.methods, reference, self.train
                ).networks
            manifests.append(folder / f"shard-{number}.json")
            write_shard(
                manifests[-1].with_suffix(""),
                manifests[-1],
                [Network(one.name, arrays.network(i), _trajectory(one)) for i, one in enumerate(kept)],
                self.architecture.config.model_dump(),
                [network.name for row, network in enumerate(group) if row not in rows],
                buffers=self.architecture.buffers,
            )
        return manifests

    def _read(self, networks: Sequence[StoredNetwork], strict: bool) -> StackedNetworks[np.ndarray]:
        sources = [network.source for network in networks]
        return read_networks(sources, self.architecture, self.files, generated=not strict)


def _evaluated(
    config: ArchitectureConfig,
    folder: Path,
    data: Path,
    zoo: list[Path],
    generated: list[Path],
    held_out: int,
    evaluation: MeasurementConfig,
    threads: int,
) -> Evaluated:
    """Do what the workflow's rules do from aligned networks on, by the same functions."""
    weights, gram, basis = (folder / name for name in ("weights.zarr", "gram.npz", "basis.npz"))
    stack_weights(StackWeights(held_out=held_out, dtype="float32", memory_mb=MEMORY_MB), zoo, weights)
    products = accumulate(WeightMatrix.open(weights), threads=threads)
    products.save(gram)
    raw_basis(products.products, products.n_training).save(basis)
    outputs = {manifest: manifest.with_suffix(".npz") for manifest in (*zoo, *generated)}
    for manifest, output in outputs.items():
        score(Score(architecture=config), data, None, manifest, output)
    zoo_outputs, own_outputs = ([outputs[manifest] for manifest in some] for some in (zoo, generated))
    zoo_metrics, zoo_layers, classes, ensembles = (
        folder / f"zoo_{name}.csv" for name in ("metrics", "layers", "classes", "sizes")
    )
    settings = Evaluate(architecture=config, evaluation=evaluation)
    evaluate_zoo(settings, zoo_outputs, weights, [gram], zoo_metrics, zoo_layers, classes, ensembles, threads)
    evaluate(
        settings,
        data,
        generated,
        own_outputs,
        weights,
        [gram],
        basis,
        zoo_outputs,
        zoo_metrics,
        folder,
        threads,
    )
    metrics, layers, sets = (read_csv(folder / f"{name}.csv") for name in ("metrics", "layers", "sets"))
    return Evaluated(metrics, read_csv(zoo_metrics), layers, read_csv(zoo_layers), sets.iloc[0])


def _renamed(network: StoredNetwork) -> StoredNetwork:
    """Return a network of another folder, whose name may be one of the zoo's as well."""
    name, trajectory = (f"{HELD_OUT}-{text}" for text in (network.name, network.trajectory))
    return replace(network, name=name, facts={TRAJECTORY: trajectory})


def _trajectory(network: StoredNetwork) -> dict[str, Any]:
    return {TRAJECTORY: network.trajectory} if TRAJECTORY in network.facts else {}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `dwf judge`.

    Parameters
    ----------
    arguments
        What was typed behind it; by default the process's own arguments.
    """
    options = command_parser("judge", __doc__)
    options.add_argument("generated", nargs="+", help="folders or patterns of networks")
    options.add_argument("--zoo", required=True, nargs="+", help="the same, of the networks learned from")
    options.add_argument(
        "--data",
        required=True,
        type=yaml_value,
        help="a built-in data set, '{file: my.csv, target: species}', or a data.npz of the workflow's",
    )
    add_network_options(options)
    options.add_argument(
        "--held-out",
        type=yaml_value,
        default=0,
        help="how many of the zoo's, the last, or a folder of others",
    )
    options.add_argument(
        "--canonicalization", type=yaml_value, help="how networks are aligned; by default git_rebasin"
    )
    add_data_options(options)
    options.add_argument(
        "--realigned", type=int, default=100, help="networks that are matched to all of the zoo"
    )
    options.add_argument("--csv", type=Path, help="where the table is written")
    options.add_argument("--networks", type=Path, help="where a row for each network is written")
    args = options.parse_args(arguments)
    judgement = judge(
        args.generated,
        args.zoo,
        args.data,
        args.architecture,
        held_out=args.held_out,
        files=files_of(args),
        canonicalization=args.canonicalization,
        data_dir=args.data_dir,
        splits=args.splits,
        realigned=args.realigned,
        threads=available_cores(),
    )
    for path, frame in ((args.csv, judgement.table), (args.networks, judgement.networks)):
        if path is not None:
            write_table(path, frame)
    print(shown(judgement))


if __name__ == "__main__":
    run(main)
