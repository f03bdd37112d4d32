"""What a validated configuration asks for: its cells, and the facts of zoos and generators that jobs depend
on."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.canonicalization import reference_of, until_barycentre
from dwf_steps.config.generators.base import GeneratorConfig
from dwf_steps.config.imported_networks import files_in_order
from dwf_steps.config.network_files import parts_of
from dwf_steps.config.packed import SHARD, TABLE
from dwf_steps.config.representation import RepresentationConfig, ResponsesRepresentation
from dwf_steps.config.workflow import Cell, WorkflowConfig
from dwf_steps.config.zoo import (
    AnyZoo,
    ImportedZoo,
    JointZoo,
    TrainedZoo,
    n_held_out,
    network_names,
    reference_name,
    trajectory_names,
)
from dwf_steps.pipeline.fingerprint import file_fingerprint
from dwf_steps.pipeline.network_facts import NetworkFacts, network_facts
from dwf_steps.pipeline.sizes import examples_of

Names = Any
"""The wildcards of a job, or a `Cell`: which zoo, canonicalization, ... by attributes ``zoo``, ``canon``,
..."""


class Experiment:
    """A configuration, and what follows from it."""

    def __init__(self, config: WorkflowConfig) -> None:
        self.config = config
        self.fitted_by = config.fitted_by()
        self._networks: dict[str, list[str]] = {}
        self._facts: dict[str, NetworkFacts] = {}
        self._examples: dict[str, int] = {}

    @cached_property
    def cells(self) -> list[Cell]:
        """Every combination that the experiments ask for."""
        return self.config.cells()

    @cached_property
    def zoos(self) -> list[str]:
        """The zoos that the experiments use."""
        return list(dict.fromkeys(cell.zoo for cell in self.cells))

    @cached_property
    def zoos_with_data(self) -> list[TrainedZoo | ImportedZoo]:
        """The zoos whose data are needed: those that the experiments use, and the members of joint ones."""
        found: dict[str, TrainedZoo | ImportedZoo] = {}
        for name in dict.fromkeys(cell.zoo for cell in self.config.cells_made()):
            zoo = self.config.zoos[name]
            found |= zoo.members if isinstance(zoo, JointZoo) else {name: zoo}
        return list(found.values())

    @cached_property
    def imported_zoos(self) -> list[str]:
        return [name for name, zoo in self.config.zoos.items() if isinstance(zoo, ImportedZoo)]

    @cached_property
    def trained_zoos(self) -> list[str]:
        return [name for name, zoo in self.config.zoos.items() if isinstance(zoo, TrainedZoo)]

    @cached_property
    def joint_zoos(self) -> list[str]:
        return [name for name, zoo in self.config.zoos.items() if isinstance(zoo, JointZoo)]

    @cached_property
    def single_zoos(self) -> list[str]:
        """Zoos with data of their own."""
        return [name for name in self.config.zoos if name not in self.joint_zoos]

    @cached_property
    def sampled(self) -> list[str]:
        """Generators whose samples are decoded."""
        return [name for name, generator in self.config.generators.items() if generator.makes == "samples"]

    @cached_property
    def made(self) -> list[str]:
        """Generators that make whole networks."""
        return [name for name in self.config.generators if name not in self.sampled]

    @cached_property
    def autoencoders(self) -> list[str]:
        """Generators that encode networks and decode what they draw."""
        return [name for name, generator in self.config.generators.items() if generator.remedies]

    @cached_property
    def with_likelihood(self) -> list[str]:
        """Generators whose networks' log-densities are asked for."""
        return [name for name, generator in self.config.generators.items() if generator.has_likelihood]

    @cached_property
    def with_other_widths(self) -> list[str]:
        """Generators of which networks of other widths are asked for."""
        return [name for name, generator in self.config.generators.items() if generator.other_sizes]

    @cached_property
    def to_barycentre(self) -> list[str]:
        """Canonicalizations that match networks to their mean."""
        return [name for name, methods in self.config.canonicalizations.items() if until_barycentre(methods)]

    @cached_property
    def encoded(self) -> list[str]:
        """Representations whose coordinates are responses."""
        defined = self.config.representations.items()
        return [name for name, kind in defined if isinstance(kind, ResponsesRepresentation)]

    @cached_property
    def recalibrations(self) -> list[str]:
        """Recalibrations that change networks."""
        return [name for name, methods in self.config.recalibrations.items() if methods]

    def zoo(self, names: Names) -> AnyZoo:
        return self.config.zoos[names.zoo]

    def single_zoo(self, names: Names) -> TrainedZoo | ImportedZoo:
        """Return the zoo of a job that reads data of the zoo's own."""
        zoo = self.zoo(names)
        assert not isinstance(zoo, JointZoo)
        return zoo

    def joint_zoo(self, names: Names) -> JointZoo:
        """Return the zoo of a job that takes other zoos' networks together."""
        zoo = self.zoo(names)
        assert isinstance(zoo, JointZoo)
        return zoo

    def representation(self, names: Names) -> RepresentationConfig:
        """Return a job's representation: in zoos of several with as many probes and functions for each."""
        zoo, found = self.zoo(names), self.config.representations[names.representation]
        if isinstance(zoo, JointZoo) and isinstance(found, ResponsesRepresentation):
            count = len(zoo.members)
            more = {"probes": count * found.probes, "functions": count * found.functions}
            return found.model_copy(update=more)
        return found

    def responses(self, names: Names) -> ResponsesRepresentation:
        """Return the representation of a job that makes response coordinates, or turns them into weights."""
        representation = self.representation(names)
        assert isinstance(representation, ResponsesRepresentation)
        return representation

    def drawn_in(self, names: Names) -> Cell | None:
        """Return where a generator's networks are made, if that is in a zoo of several."""
        return self.config.drawn_in(Cell(*(getattr(names, level, "") for level in Cell._fields)))

    def generator(self, names: Names) -> GeneratorConfig:
        return self.config.generators[names.generator]

    def architecture(self, names: Names) -> ArchitectureConfig:
        """Return a zoo's architecture, with a digest of its code where that is the user's own."""
        architecture = self.zoo(names).architecture
        if architecture.kind == "module":
            source = self.network_facts(names.zoo).source_file
            assert source is not None
            return architecture.model_copy(update={"code": file_fingerprint(source)})
        return architecture

    def reference(self, names: Names) -> str:
        """Return the name of the network that a canonicalization aligns to, or `medoid`."""
        methods = self.config.canonicalizations[names.canon]
        return reference_name(self.zoo(names), reference_of(methods))

    def network_names(self, zoo: str) -> list[str]:
        """Return the names of a zoo's networks, in row order."""
        if zoo not in self._networks:
            self._networks[zoo] = network_names(self.config.zoos[zoo])
        return self._networks[zoo]

    def imported_files(self, names: Names) -> list[Path]:
        """Return the files that one job reads of an imported zoo, each once."""
        zoo, shard = self.zoo(names), self.imported_shard(names)
        assert isinstance(zoo, ImportedZoo)
        networks = zoo.networks[shard.start : shard.stop]
        recorded = [] if zoo.recorded is None else [zoo.recorded.path(network) for network in networks]
        files = [part for path in files_in_order(networks) for part in parts_of(path)]
        tables = {path.parent / TABLE for path in files if SHARD.fullmatch(path.name)}
        return list(dict.fromkeys([*files, *filter(Path.is_file, sorted(tables)), *recorded]))

    def n_networks(self, zoo: str) -> int:
        return len(self.network_names(zoo))

    def n_trainings(self, zoo: str) -> int:
        return len(trajectory_names(self.config.zoos[zoo]))

    def network_facts(self, zoo: str) -> NetworkFacts:
        """Return what is known of a zoo's networks; found once for all jobs, of which there may be
        thousands."""
        if zoo not in self._facts:
            self._facts[zoo] = network_facts(self.config.zoos[zoo].architecture)
        return self._facts[zoo]

    def n_examples(self, zoo: str) -> int:
        """Return about how many examples a zoo's networks are trained and scored on."""
        if zoo not in self._examples:
            config = self.config.zoos[zoo]
            single = config.members.values() if isinstance(config, JointZoo) else [config]
            self._examples[zoo] = sum(
                examples_of(self.config.dataset(one), one.architecture) for one in single
            )
        return self._examples[zoo]

    def n_shards(self, zoo: str) -> int:
        """Return the number of jobs that train or import a zoo."""
        config = self.single_zoo(SimpleNamespace(zoo=zoo))
        if isinstance(config, ImportedZoo):
            return -(-self.n_networks(zoo) // config.shard_size)
        return config.n_shards

    def imported_shard(self, names: Names) -> range:
        """Return which of an imported zoo's networks one job reads, counted in row order."""
        zoo = self.single_zoo(names)
        first = zoo.shard_size * int(names.shard)
        return range(first, min(first + zoo.shard_size, self.n_networks(names.zoo)))

    def made_shard(self, names: Names) -> range:
        """Return which of a generator's networks one job makes."""
        parts, count, part = self.n_generated_shards(names), self.generator(names).count, int(names.shard)
        return range(count * part // parts, count * (part + 1) // parts)

    def n_encoding_jobs(self, names: Names) -> int:
        """Return the number of jobs over which networks are divided when their responses are encoded."""
        return min(self.responses(names).jobs, self.n_networks(names.zoo) - n_held_out(self.zoo(names)))

    def n_generated_shards(self, names: Names) -> int:
        """Return the number of jobs over which a generator's samples are divided when they are made."""
        generator = self.generator(names)
        if generator.in_one_job:
            return 1
        return min(self.zoo(names).matrix.decode_jobs, generator.count)
