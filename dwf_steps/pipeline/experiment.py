"""What a validated configuration requests: its cells, and properties of zoos and generators."""

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
from dwf_steps.pipeline.sizes import Examples, examples_of

Names = Any
"""The wildcards of a job, or a `Cell`, with attributes ``zoo``, ``canon`` and so on."""


class Experiment:
    """A configuration, and what follows from it."""

    def __init__(self, config: WorkflowConfig) -> None:
        self.config = config
        self.fitted_by = config.fitted_by()
        self._networks: dict[str, list[str]] = {}
        self._facts: dict[str, NetworkFacts] = {}
        self._examples: dict[str, Examples] = {}

    @cached_property
    def cells(self) -> list[Cell]:
        """All combinations in the experiments."""
        return self.config.cells()

    @cached_property
    def zoos(self) -> list[str]:
        """The zoos in the experiments."""
        return list(dict.fromkeys(cell.zoo for cell in self.cells))

    @cached_property
    def zoos_with_data(self) -> list[TrainedZoo | ImportedZoo]:
        """The zoos whose data are needed: those in the experiments, and members of joint zoos."""
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
        """The zoos that have their own data, that is, all but joint zoos."""
        return [name for name in self.config.zoos if name not in self.joint_zoos]

    @cached_property
    def sampled(self) -> list[str]:
        """The generators whose samples are decoded."""
        return [name for name, generator in self.config.generators.items() if generator.makes == "samples"]

    @cached_property
    def made(self) -> list[str]:
        """The generators that make networks directly."""
        return [name for name in self.config.generators if name not in self.sampled]

    @cached_property
    def autoencoders(self) -> list[str]:
        """The generators that encode networks and decode samples."""
        return [name for name, generator in self.config.generators.items() if generator.remedies]

    @cached_property
    def with_likelihood(self) -> list[str]:
        """The generators under which log-densities of networks are requested."""
        return [name for name, generator in self.config.generators.items() if generator.has_likelihood]

    @cached_property
    def with_other_widths(self) -> list[str]:
        """The generators from which networks of other widths are requested."""
        return [name for name, generator in self.config.generators.items() if generator.other_sizes]

    @cached_property
    def to_barycentre(self) -> list[str]:
        """The canonicalizations that match networks to their mean."""
        return [name for name, methods in self.config.canonicalizations.items() if until_barycentre(methods)]

    @cached_property
    def encoded(self) -> list[str]:
        """The representations whose coordinates are responses."""
        defined = self.config.representations.items()
        return [name for name, kind in defined if isinstance(kind, ResponsesRepresentation)]

    @cached_property
    def recalibrations(self) -> list[str]:
        """The recalibrations that change networks."""
        return [name for name, methods in self.config.recalibrations.items() if methods]

    def zoo(self, names: Names) -> AnyZoo:
        return self.config.zoos[names.zoo]

    def single_zoo(self, names: Names) -> TrainedZoo | ImportedZoo:
        """Return the zoo of a job that reads the zoo's data, which is not a joint zoo."""
        zoo = self.zoo(names)
        assert not isinstance(zoo, JointZoo)
        return zoo

    def joint_zoo(self, names: Names) -> JointZoo:
        """Return the zoo of a job that combines the networks of several zoos."""
        zoo = self.zoo(names)
        assert isinstance(zoo, JointZoo)
        return zoo

    def representation(self, names: Names) -> RepresentationConfig:
        """Return a job's representation.

        In joint zoos, probes and functions are the configured numbers times the number of
        data sets.
        """
        zoo, found = self.zoo(names), self.config.representations[names.representation]
        if isinstance(zoo, JointZoo) and isinstance(found, ResponsesRepresentation):
            count = len(zoo.with_data)
            more = {"probes": count * found.probes, "functions": count * found.functions}
            return found.model_copy(update=more)
        return found

    def responses(self, names: Names) -> ResponsesRepresentation:
        """Return the representation of a job that encodes networks as responses, or decodes responses."""
        representation = self.representation(names)
        assert isinstance(representation, ResponsesRepresentation)
        return representation

    def drawn_in(self, names: Names) -> Cell | None:
        """Return the cell of a joint zoo from which a generator's networks are taken, if there is one."""
        return self.config.drawn_in(Cell(*(getattr(names, level, "") for level in Cell._fields)))

    def generator(self, names: Names) -> GeneratorConfig:
        return self.config.generators[names.generator]

    def architecture(self, names: Names) -> ArchitectureConfig:
        """Return a zoo's architecture, with a digest of its code if the user defines it."""
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
        """Return the files of an imported zoo that one job reads, each once."""
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
        """Return what is known of a zoo's networks.

        It is computed once, since there may be thousands of jobs.
        """
        if zoo not in self._facts:
            self._facts[zoo] = network_facts(self.config.zoos[zoo].architecture)
        return self._facts[zoo]

    def examples(self, zoo: str) -> Examples:
        """Return roughly how many examples a zoo's networks are trained and scored on."""
        if zoo not in self._examples:
            config = self.config.zoos[zoo]
            single = (
                [config.members[name] for name in config.with_data]
                if isinstance(config, JointZoo)
                else [config]
            )
            counts = [examples_of(self.config.dataset(one), one.architecture, one.splits) for one in single]
            self._examples[zoo] = Examples(sum(c.all for c in counts), sum(c.test for c in counts))
        return self._examples[zoo]

    def n_shards(self, zoo: str) -> int:
        """Return the number of jobs that train or import a zoo."""
        config = self.single_zoo(SimpleNamespace(zoo=zoo))
        if isinstance(config, ImportedZoo):
            return -(-self.n_networks(zoo) // config.shard_size)
        return config.n_shards

    def imported_shard(self, names: Names) -> range:
        """Return the indices, in row order, of the networks that one job imports."""
        zoo = self.single_zoo(names)
        first = zoo.shard_size * int(names.shard)
        return range(first, min(first + zoo.shard_size, self.n_networks(names.zoo)))

    def made_shard(self, names: Names) -> range:
        """Return the indices of a generator's networks that one job makes."""
        parts, count, part = self.n_generated_shards(names), self.generator(names).count, int(names.shard)
        return range(count * part // parts, count * (part + 1) // parts)

    def n_encoding_jobs(self, names: Names) -> int:
        """Return the number of jobs over which networks are divided to encode their responses."""
        return min(self.responses(names).jobs, self.n_networks(names.zoo) - n_held_out(self.zoo(names)))

    def n_generated_shards(self, names: Names) -> int:
        """Return the number of jobs over which a generator's networks are divided."""
        generator = self.generator(names)
        if generator.in_one_job:
            return 1
        return min(self.zoo(names).matrix.decode_jobs, generator.count)
