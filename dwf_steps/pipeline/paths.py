"""The paths of all files, input functions of the rules, and lists of what experiments request.

A path is the lineage of its file: a file depends on what lies above it and on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snakemake.io import ancient

from dwf_steps.config.dataset import FETCHED, DerivedData, ImageFiles, TableFile, TextFiles
from dwf_steps.config.network_files import parts_of
from dwf_steps.config.representation import WEIGHTS
from dwf_steps.config.zoo import ImportedZoo
from dwf_steps.pipeline.experiment import Experiment, Names
from dwf_steps.pipeline.input_files import input_files, stamps

REPRESENTATION = "results/{zoo}/{canon}/{representation}"
GENERATOR = f"{REPRESENTATION}/{{subspace}}/{{generator}}"
CELL = f"{GENERATOR}/{{recalibration}}"
REPRESENTATION_BENCHMARKS = REPRESENTATION.replace("results/", "results/benchmarks/")
GENERATOR_BENCHMARKS = GENERATOR.replace("results/", "results/benchmarks/")
CELL_BENCHMARKS = CELL.replace("results/", "results/benchmarks/")
RECONSTRUCTION = "reconstruction.csv"
EVALUATED = ("metrics.csv", "layers.csv", "classes.csv", "sets.csv", "ensembles.csv", "items.npz")
ZOO_EVALUATED = ("metrics.csv", "layers.csv", "classes.csv", "ensembles.csv")


class Numbered:
    """Files that differ only in a number.

    An instance is the input function for all of them. Its `argument` lists them on a command line in a form
    that does not grow with their number.
    """

    def __init__(self, pattern: Callable[[Names], str], count: Callable[[Names], int]) -> None:
        self._pattern, self._count = pattern, count

    def __call__(self, wildcards: Names) -> list[str]:
        pattern = self._pattern(wildcards)
        return [pattern.replace("*", str(number)) for number in range(self._count(wildcards))]

    def argument(self, wildcards: Names) -> str:
        """Return what `dwf_steps.runtime.numbered` reads; empty if there are no files."""
        count = self._count(wildcards)
        return self._pattern(wildcards).replace("*", f"[0..{count - 1}]") if count else ""


def filled(pattern: str) -> Callable[[Names], str]:
    """Return a function that fills wildcards into a pattern.

    Parameters
    ----------
    pattern
        With the names of wildcards in braces.

    Returns
    -------
    A function that maps wildcards to a path.
    """
    return lambda wildcards: pattern.format(**_mapping(wildcards))


def _mapping(names: Names) -> dict[str, str]:
    return names._asdict() if hasattr(names, "_asdict") else dict(names.items())


class Paths:
    """The paths of an experiment."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.texts = [
            name for name, files in experiment.config.datasets.items() if isinstance(files, TextFiles)
        ]
        self.images = [
            name for name, files in experiment.config.datasets.items() if isinstance(files, ImageFiles)
        ]

    # What experiments request.

    def requested(self, pattern: str, generators: Collection[str] | None = None) -> list[str]:
        """Return the paths of a pattern over the cells of the experiments, each once.

        Parameters
        ----------
        pattern
            With the names of wildcards in braces.
        generators
            Those whose cells are included; None for all.

        Returns
        -------
        Paths in the order of the cells.
        """
        cells = self.experiment.cells
        chosen = [cell for cell in cells if generators is None or cell.generator in generators]
        return list(dict.fromkeys(pattern.format(**cell._asdict()) for cell in chosen))

    def fitted(self, pattern: str) -> list[str]:
        """Return the paths of a pattern over the generators whose models the experiments need, each once."""
        fitted_by = self.experiment.fitted_by
        cells = [cell for cell in self.experiment.cells if cell.generator in fitted_by]
        models = [cell._replace(generator=fitted_by[cell.generator]) for cell in cells]
        return list(dict.fromkeys(pattern.format(**cell._asdict()) for cell in models))

    def requested_networks(
        self,
        pattern: str,
        generators: Collection[str] | None = None,
        recalibrations: Collection[str] | None = None,
    ) -> list[str]:
        """Return the paths of a pattern over all shards of generated networks, each once."""
        return list(
            dict.fromkeys(
                pattern.format(**cell._asdict(), shard=shard)
                for cell in self.experiment.cells
                if generators is None or cell.generator in generators
                if recalibrations is None or cell.recalibration in recalibrations
                for shard in range(self.experiment.n_generated_shards(cell))
            )
        )

    @property
    def zoo_manifests(self) -> list[str]:
        return [
            f"results/{zoo}/zoo/shard-{shard}.json"
            for zoo in self.experiment.zoos
            for shard in range(self.experiment.n_shards(zoo))
        ]

    @property
    def generated(self) -> list[str]:
        return self.requested_networks(f"{GENERATOR}/networks/shard-{{shard}}.json")

    @property
    def evaluated(self) -> list[str]:
        return [path for name in EVALUATED for path in self.requested(f"{CELL}/{name}")]

    @property
    def zoo_evaluated(self) -> list[str]:
        folder = "results/{zoo}/{canon}/zoo_metrics/{recalibration}"
        return [path for name in ZOO_EVALUATED for path in self.requested(f"{folder}/{name}")]

    @property
    def assessed(self) -> list[str]:
        """The files on how much each representation of responses keeps, and how exact decoding is."""
        cells = [cell for cell in self.experiment.cells if cell.representation in self.experiment.encoded]
        folders = dict.fromkeys(REPRESENTATION.format(**cell._asdict()) for cell in cells)
        return [f"{folder}/{name}.csv" for folder in folders for name in ("exactness", "shares")]

    @property
    def pretrained(self) -> list[str]:
        return [
            f"{CELL}/pretrained".format(**cell._asdict())
            for cell in self.experiment.cells
            if self.experiment.zoo(cell).architecture.kind == "bert"
        ]

    @property
    def transferred(self) -> list[str]:
        asked = self.experiment.config.transferred()
        return [f"{CELL}/transfers/{name}.csv".format(**cell._asdict()) for cell, name in asked]

    @property
    def likelihoods(self) -> list[str]:
        return self.requested(f"{GENERATOR}/likelihood.csv", self.experiment.with_likelihood)

    @property
    def reconstructions(self) -> list[str]:
        """The reconstruction errors of autoencoders, once for each model."""
        asked = self.fitted(f"{GENERATOR}/{RECONSTRUCTION}")
        return [path for path in asked if Path(path).parent.name in self.experiment.autoencoders]

    @property
    def other_widths(self) -> list[str]:
        folders = self.requested(f"{GENERATOR}/other_widths", self.experiment.with_other_widths)
        return [
            f"{path}/{size}.json"
            for path in folders
            for size in self.experiment.config.generators[Path(path).parts[-2]].other_sizes
        ]

    @property
    def datasets(self) -> list[str]:
        """The folders of all data sets that have to be fetched or decoded."""
        config = self.experiment.config
        zoos = self.experiment.zoos_with_data
        asked = [name for zoo in zoos for name in (zoo.dataset, zoo.out_of_distribution)]
        asked += [config.transfers[name].dataset for _, name in config.transferred()]
        made = [*FETCHED, *self.images, *self.texts]
        sources = dict.fromkeys(self._source(name) for name in asked)
        return [f"results/data/{name}" for name in sources if name in made]

    # Data.

    def own_files(self, wildcards: Names) -> list[str]:
        """Return the files of the user's images or texts, or of a zoo's table."""
        return input_files(self._own_files(wildcards))

    def own_stamps(self, wildcards: Names) -> list[str]:
        """Return the stamps of those of these files that cannot be inputs."""
        return stamps(self._own_files(wildcards))

    def _own_files(self, wildcards: Names) -> list[Path | None]:
        if "zoo" in wildcards.keys():  # noqa: SIM118
            dataset = self.experiment.single_zoo(wildcards).dataset
            return [dataset.file, dataset.test] if isinstance(dataset, TableFile) else []
        files = self.experiment.config.datasets[wildcards.dataset]
        assert isinstance(files, ImageFiles | TextFiles)
        return [files.train, files.test, getattr(files, "tokenizer", None)]

    def zoo_data(self, wildcards: Names) -> Any:
        return self._data_folder(self.experiment.single_zoo(wildcards).dataset)

    def transfer_data(self, wildcards: Names) -> Any:
        return self._data_folder(self.experiment.config.transfers[wildcards.transfer].dataset)

    def shifted_data(self, wildcards: Names) -> Any:
        """Return the folder of the out-of-distribution data set, if it is one that is fetched."""
        shift = self.experiment.zoo(wildcards).out_of_distribution
        return ancient(f"results/data/{shift}") if shift in FETCHED else []

    def member_data(self, wildcards: Names) -> list[str]:
        """Return the data of all members of a joint zoo, each data set once."""
        return [f"results/{name}/data.npz" for name in self.experiment.joint_zoo(wildcards).with_data]

    def _data_folder(self, dataset: Any) -> Any:
        """Return the folder of a data set that is fetched or decoded.

        The content of fetched data sets does not depend on when they were written.
        """
        source = self._source(dataset)
        if source in (*self.images, *self.texts):
            return f"results/data/{source}"
        return ancient(f"results/data/{source}") if source in FETCHED else []

    def _source(self, dataset: Any) -> str:
        """Return the name of a data set, or of the one that it is derived from."""
        derived = self.experiment.config.datasets.get(str(dataset))
        return derived.of if isinstance(derived, DerivedData) else str(dataset)

    def made_files(self, wildcards: Names) -> list[str]:
        """Return the user's files from which a generator's networks are read."""
        return input_files(self._made_files(wildcards))

    def made_stamps(self, wildcards: Names) -> list[str]:
        """Return the stamps of those of these files that cannot be inputs."""
        return stamps(self._made_files(wildcards))

    def _made_files(self, wildcards: Names) -> list[Path]:
        sources, shard = self.experiment.generator(wildcards).sources, self.experiment.made_shard(wildcards)
        files = dict.fromkeys(sources[shard.start : shard.stop])
        return [part for path in files for part in parts_of(path)]

    # The zoo and its canonicalization.

    def zoo_shards(self, pattern: str) -> Numbered:
        """Return the paths of a pattern, with ``*`` for the number, over all shards of the zoo."""
        return Numbered(filled(pattern), lambda names: self.experiment.n_shards(names.zoo))

    def member_weights(self, wildcards: Names) -> list[str]:
        """Return the canonicalized networks of all members of a joint zoo."""
        members = self.experiment.joint_zoo(wildcards).members
        return [f"results/{name}/{wildcards.canon}/weights.zarr" for name in members]

    def imported_files(self, wildcards: Names) -> list[str]:
        return input_files(self.experiment.imported_files(wildcards))

    def imported_stamps(self, wildcards: Names) -> list[str]:
        """Return the stamps of those of these files that cannot be inputs."""
        return stamps(self.experiment.imported_files(wildcards))

    @property
    def reference_shards(self) -> Numbered:
        """The manifests of the shards among whose networks the reference is chosen.

        If the reference is given by name, this is a single shard.
        """

        def pattern(wildcards: Names) -> str:
            shard = self._reference_shard(wildcards)
            return f"results/{wildcards.zoo}/zoo/shard-{'*' if shard is None else shard}.json"

        def count(wildcards: Names) -> int:
            return self.experiment.n_shards(wildcards.zoo) if self._reference_shard(wildcards) is None else 1

        return Numbered(pattern, count)

    def _reference_shard(self, wildcards: Names) -> int | None:
        zoo, reference = self.experiment.single_zoo(wildcards), self.experiment.reference(wildcards)
        if reference == "medoid":
            return None
        place = self.experiment.network_names(wildcards.zoo).index(reference)
        return place // (zoo.shard_size * (1 if isinstance(zoo, ImportedZoo) else zoo.checkpoints))

    def barycentre(self, wildcards: Names) -> list[str]:
        """Return the manifest of the mean to which networks are aligned, if they are."""
        if wildcards.canon not in self.experiment.to_barycentre:
            return []
        return [f"results/{wildcards.zoo}/{wildcards.canon}/barycentre.json"]

    def reference_if_canonicalizing(self, wildcards: Names) -> list[str]:
        """Return the manifest of the reference, for a generator whose networks are canonicalized."""
        canonicalized = self.experiment.generator(wildcards).canonicalized
        return [f"results/{wildcards.zoo}/{wildcards.canon}/reference.json"] if canonicalized else []

    def barycentre_if_canonicalizing(self, wildcards: Names) -> list[str]:
        """Return the manifest of the mean to which these networks are aligned, if they are."""
        return self.barycentre(wildcards) if self.reference_if_canonicalizing(wildcards) else []

    @property
    def distinct_shards(self) -> Numbered:
        """The manifests of an imported zoo, in which no network may occur twice; none for other zoos."""

        def count(wildcards: Names) -> int:
            imported = isinstance(self.experiment.zoo(wildcards), ImportedZoo)
            return self.experiment.n_shards(wildcards.zoo) if imported else 0

        return Numbered(filled("results/{zoo}/zoo/shard-*.json"), count)

    @property
    def gram_parts(self) -> Numbered:
        """The parts of the Gram matrix of the job's representation."""
        return self._gram_parts(f"{REPRESENTATION}/gram/part-*.npz")

    @property
    def weights_gram_parts(self) -> Numbered:
        """The parts of the Gram matrix of weights, in which novelty is measured for every representation."""
        return self._gram_parts(f"results/{{zoo}}/{{canon}}/{WEIGHTS}/gram/part-*.npz")

    def other_coordinates(self, wildcards: Names) -> list[str]:
        """Return the zoo in the job's representation, unless that is weights."""
        return self._if_encoded(f"{REPRESENTATION}.zarr", wildcards)

    def neighbours(self, wildcards: Names) -> list[str]:
        """Return the zoo's nearest neighbours in the job's representation, unless that is weights."""
        return self._if_encoded(f"{REPRESENTATION}/neighbours.npz", wildcards)

    def response_basis(self, wildcards: Names) -> list[str]:
        """Return the basis of the job's representation, unless that is weights."""
        return self._if_encoded(f"{REPRESENTATION}/responses.npz", wildcards)

    def _if_encoded(self, pattern: str, wildcards: Names) -> list[str]:
        encoded = wildcards.representation in self.experiment.encoded
        return [pattern.format(**_mapping(wildcards))] if encoded else []

    @property
    def other_gram_parts(self) -> Numbered:
        """The parts of the Gram matrix of the job's representation, unless that is weights."""

        def count(wildcards: Names) -> int:
            encoded = wildcards.representation in self.experiment.encoded
            return self.experiment.zoo(wildcards).matrix.gram_jobs if encoded else 0

        return Numbered(filled(f"{REPRESENTATION}/gram/part-*.npz"), count)

    def _gram_parts(self, pattern: str) -> Numbered:
        return Numbered(filled(pattern), lambda names: self.experiment.zoo(names).matrix.gram_jobs)

    def representation_parts(self, pattern: str) -> Numbered:
        """Return the paths of a pattern, with ``*`` for the number, over all jobs that encode responses."""
        return Numbered(filled(f"{REPRESENTATION}/{pattern}"), self.experiment.n_encoding_jobs)

    # Generated networks.

    def generated_shards(self, pattern: str) -> Numbered:
        """Return the paths of a pattern, with ``*`` for the number, over a generator's shards."""
        return Numbered(filled(pattern), self.experiment.n_generated_shards)

    @property
    def made_in_joint_zoo(self) -> Numbered:
        """The manifests of networks made in a joint zoo, for a generator that takes them from there."""

        def pattern(wildcards: Names) -> str:
            names = self.experiment.drawn_in(wildcards)
            return f"{GENERATOR}/networks/shard-*.json".format(**names._asdict()) if names else ""

        def count(wildcards: Names) -> int:
            names = self.experiment.drawn_in(wildcards)
            return self.experiment.n_generated_shards(names) if names else 0

        return Numbered(pattern, count)

    def recalibrated_shards(self, ending: str) -> Numbered:
        """Return the shards of networks after recalibration, or their manifests.

        Parameters
        ----------
        ending
            Suffix of the paths: empty for shards, ``.json`` for manifests.

        Returns
        -------
        The files of all shards.
        """
        return Numbered(
            lambda wildcards: f"{self._recalibrated(wildcards)}/shard-*{ending}",
            self.experiment.n_generated_shards,
        )

    def recalibrated_networks(self, wildcards: Names) -> str:
        return f"{self._recalibrated(wildcards)}/shard-{wildcards.shard}"

    def recalibrated_manifest(self, wildcards: Names) -> str:
        return f"{self.recalibrated_networks(wildcards)}.json"

    def _recalibrated(self, wildcards: Names) -> str:
        """Return the folder of recalibrated networks, or the generator's if there are no methods."""
        changed = wildcards.recalibration in self.experiment.recalibrations
        return f"{CELL if changed else GENERATOR}/networks".format(**_mapping(wildcards))

    def model(self, wildcards: Names) -> list[str]:
        """Return the model of a generator that has one: that of the first generator with the same fit."""
        fitted_by = self.experiment.fitted_by
        if wildcards.generator not in fitted_by:
            return []
        names = _mapping(wildcards) | {"generator": fitted_by[wildcards.generator]}
        return [f"{GENERATOR}/model.safetensors".format(**names)]

    def reconstruction(self, wildcards: Names) -> list[str]:
        """Return the reconstruction error of an autoencoder, which is measured before it is sampled.

        When it was measured does not matter.
        """
        if wildcards.generator not in self.experiment.autoencoders:
            return []
        return [ancient(str(Path(path).with_name(RECONSTRUCTION))) for path in self.model(wildcards)]

    def weights_if_read(self, wildcards: Names) -> list[str]:
        """Return the training networks' coordinates, for a generator that reads them when it is sampled."""
        reads = self.experiment.generator(wildcards).reads_weights
        return [f"{REPRESENTATION}.zarr".format(**_mapping(wildcards))] if reads else []

    def zoo_weights_if_read(self, wildcards: Names) -> list[str]:
        """Return the training networks' weights, for a generator that makes networks and reads weights."""
        reads = self.experiment.generator(wildcards).reads_weights
        return [f"results/{wildcards.zoo}/{wildcards.canon}/weights.zarr"] if reads else []

    def basis_if_encoding(self, wildcards: Names) -> list[str]:
        """Return the basis of the job's representation, for a generator that encodes networks."""
        encodes = self.experiment.generator(wildcards).encodes_networks
        return self.response_basis(wildcards) if encodes else []

    def basis_if_fitting_encodes(self, wildcards: Names) -> list[str]:
        """Return the basis of the job's representation, for a generator whose fit encodes networks."""
        initialised = self.experiment.generator(wildcards).reads_initialisations
        return self.basis_if_encoding(wildcards) if initialised else []

    def data_if_fitting_encodes(self, wildcards: Names) -> list[str]:
        """Return the data of the zoo, for a fit that encodes networks by their responses."""
        return [f"results/{wildcards.zoo}/data.npz"] if self.basis_if_fitting_encodes(wildcards) else []

    def data_if_read(self, wildcards: Names) -> list[str]:
        """Return the data, for a generator that reads them.

        Generators that encode networks by their responses read data, as do those whose networks are
        canonicalized.
        """
        generator = self.experiment.generator(wildcards)
        reads = generator.reads_data or generator.canonicalized or self.basis_if_encoding(wildcards)
        return [self.generator_data(wildcards)] if reads else []

    def generator_data(self, wildcards: Names) -> str:
        """Return the data of the zoo or, if the generator uses a transfer's, of the transfer.

        A generator reads these data; networks of other widths are scored on them.
        """
        transfer = self.experiment.generator(wildcards).data_of
        if transfer is None:
            return f"results/{wildcards.zoo}/data.npz"
        return f"results/transfers/{transfer}/data.npz"

    @property
    def zoo_outputs(self) -> Numbered:
        """The predictions of the zoo's networks, after the recalibration of the generated networks."""

        def recalibrated(wildcards: Names) -> bool:
            return wildcards.recalibration in self.experiment.recalibrations

        def pattern(wildcards: Names) -> str:
            if recalibrated(wildcards):
                return "results/{zoo}/{canon}/zoo_outputs/{recalibration}.npz".format(**_mapping(wildcards))
            return f"results/{wildcards.zoo}/outputs/shard-*.npz"

        def count(wildcards: Names) -> int:
            return 1 if recalibrated(wildcards) else self.experiment.n_shards(wildcards.zoo)

        return Numbered(pattern, count)

    # Benchmarks.

    @property
    def zoo_costs(self) -> Numbered:
        """The benchmarks of the zoo's training, for a control that is trained at equal cost."""
        return Numbered(self._zoo_benchmark, self._matched_shards)

    @property
    def matched_zoo(self) -> Numbered:
        """The zoo's manifests, for a control that is trained at equal cost."""
        return Numbered(filled("results/{zoo}/zoo/shard-*.json"), self._matched_shards)

    def _matched_shards(self, wildcards: Names) -> int:
        matched = self.experiment.generator(wildcards).cost_matched
        return self.experiment.n_shards(wildcards.zoo) if matched else 0

    def _zoo_benchmark(self, names: Names) -> str:
        stage = "import_zoo" if names.zoo in self.experiment.imported_zoos else "train_zoo"
        return f"results/benchmarks/{names.zoo}/{stage}-*.tsv"

    def generator_costs(self, wildcards: Names) -> list[str]:
        """Return the benchmarks of another generator, for a control that is trained at equal cost."""
        name = self.experiment.generator(wildcards).cost_matched
        if name is None:
            return []
        names = SimpleNamespace(zoo=wildcards.zoo, generator=name)
        subspace = f"{REPRESENTATION_BENCHMARKS}/{{subspace}}"
        folder = subspace.format(**_mapping(wildcards))
        shards = range(self.experiment.n_generated_shards(names))
        fitted_by = self.experiment.fitted_by
        fit = [f"{folder}/{fitted_by[name]}/fit_generator.tsv"] if name in fitted_by else []
        return [
            *fit,
            f"{folder}/{name}/sample_generator.tsv",
            *(f"{folder}/{name}/decode-{shard}.tsv" for shard in shards),
        ]

    def _encoding_benchmarks(self, zoo: str, canon: str, representation: str) -> list[str]:
        if representation not in self.experiment.encoded:
            return []
        names = SimpleNamespace(zoo=zoo, canon=canon, representation=representation)
        folder = REPRESENTATION_BENCHMARKS.format(**vars(names))
        parts = range(self.experiment.n_encoding_jobs(names))
        scattered = ("sketch_responses", "encode_responses")
        return [
            *(f"{folder}/{stage}-{part}.tsv" for stage in scattered for part in parts),
            *(f"{folder}/{stage}_responses.tsv" for stage in ("solve", "stack")),
        ]

    @property
    def benchmarks(self) -> list[str]:
        """The benchmark files of all jobs whose times are in tables."""
        of = self.experiment
        zoos = [SimpleNamespace(zoo=zoo) for zoo in of.zoos]
        aligned = list(dict.fromkeys((cell.zoo, cell.canon) for cell in of.cells))
        represented = list(dict.fromkeys(cell[:3] for cell in of.cells))
        return [
            *(
                path
                for names in zoos
                for path in Numbered(self._zoo_benchmark, lambda names: of.n_shards(names.zoo))(names)
            ),
            *(
                f"results/benchmarks/{zoo}/{canon}/canonicalize-{shard}.tsv"
                for zoo, canon in aligned
                for shard in range(of.n_shards(zoo))
            ),
            *self.requested("results/benchmarks/{zoo}/{canon}/stack_weights.tsv"),
            *(path for names in represented for path in self._encoding_benchmarks(*names)),
            *(
                f"results/benchmarks/{zoo}/{canon}/{representation}/accumulate_gram-{part}.tsv"
                for zoo, canon, representation in represented
                for part in range(of.config.zoos[zoo].matrix.gram_jobs)
            ),
            *self.requested(f"{REPRESENTATION_BENCHMARKS}/{{subspace}}/solve_basis.tsv"),
            *self.fitted(f"{GENERATOR_BENCHMARKS}/fit_generator.tsv"),
            *self.requested(f"{GENERATOR_BENCHMARKS}/sample_generator.tsv", of.sampled),
            *self.requested_networks(f"{GENERATOR_BENCHMARKS}/decode-{{shard}}.tsv", of.sampled),
            *self.requested_networks(f"{GENERATOR_BENCHMARKS}/make_networks-{{shard}}.tsv", of.made),
            *self.requested_networks(
                f"{CELL_BENCHMARKS}/recalibrate-{{shard}}.tsv", recalibrations=of.recalibrations
            ),
            *self.requested_networks(f"{CELL_BENCHMARKS}/score-{{shard}}.tsv"),
            *self.requested(f"{CELL_BENCHMARKS}/evaluate.tsv"),
        ]
