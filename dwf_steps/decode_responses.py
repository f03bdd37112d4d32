"""Decode samples in response coordinates into complete networks."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.generators.decoding import compare_with_float64, compared_blocks, decode_block
from dwf_steps.generators.samples import Samples
from dwf_steps.pipeline.settings.represent import DecodeResponses
from dwf_steps.representation.decoding import Decoder
from dwf_steps.representation.loading import Probed
from dwf_steps.representation.selection import UnitSelection
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.progress import Progress
from dwf_steps.storage.manifest import Network, finite, unstack, write_shard
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.padding import Variant, variants_of
from dwf_steps.storage.precision import RelativeError
from dwf_steps.storage.stacked import StackedNetworks

logger = logging.getLogger(__name__)


def decode_responses(
    settings: DecodeResponses,
    samples: Path,
    matrix: Path,
    basis: Path,
    weights: Path,
    data: Path,
    output: Path,
    manifest: Path,
) -> None:
    """Write one shard of networks, decoded layer by layer from their response coordinates.

    As many networks are decoded at a time as fit into the memory budget, one at least. A sample whose
    coordinates or weights are not finite gets no file and is listed as failed. A sample for a member of a
    joint zoo is decoded on the probes from that zoo's data, in the architecture of its networks.

    Parameters
    ----------
    settings
        Which part of the samples; the architecture, probes and decoding; the memory budget in MiB.
    samples
        ``latents.npz``, all samples of the generator.
    matrix
        The training networks' response coordinates.
    basis
        ``responses.npz``, the response basis.
    weights
        The weight matrix; only buffers are read, which provide the counters of batch normalisation.
    data
        The zoo's ``data.npz``; its training inputs are the probes.
    output
        The folder for the networks, ``sample-{i}.safetensors``.
    manifest
        Their manifest.

    Raises
    ------
    InputError
        If a file is damaged, or the architecture cannot be traced.
    """
    drawn = Samples.load(samples).part(settings.part, settings.parts)
    zoo = WeightMatrix.open(weights)
    coordinates, device = WeightMatrix.open(matrix), select_device()
    variants, numbers = variants_of(coordinates, drawn.asked)
    buffers = zoo.buffers.network(0)
    kinds = [
        (number, settings.data_of.get(zoo or ""))
        for number, zoo in zip(numbers.tolist(), drawn.asked, strict=True)
    ]
    widths = {
        number: NetworkDecoding.load(settings, variants[number], basis, data, buffers, device)
        for number in np.unique(numbers).tolist()
    }
    decoding = {kind: widths[kind[0]].on_data_of(kind[1]) for kind in dict.fromkeys(kinds)}
    shard = Shard(drawn, coordinates, [decoding[kind] for kind in kinds], settings.memory_mb * 2**20)
    facts = {
        "stored_as": str(shard.matrix.array.dtype),
        "storage_error": shard.matrix.storage_error,
        **drawn.facts,
    }
    write_shard(
        output,
        manifest,
        shard.networks(facts),
        shard.matrix.architecture,
        (name for name in drawn.names if name in shard.failed),
        facts,
        list(zoo.buffers),
    )
    for name in shard.failed:
        logger.warning("%s failed: its coordinates or weights are not finite", name)


@dataclass(frozen=True, eq=False)
class NetworkDecoding:
    """Everything that decoding networks of one width and data set needs, besides their coordinates.

    Attributes
    ----------
    variant
        Where their coordinates are among those of wider networks.
    probed
        The architecture's layers and the probes.
    decoder
        Decodes on these probes.
    buffers
        Those of one network of the zoo, from which counters are copied, n = 1.
    """

    variant: Variant
    probed: Probed
    decoder: Decoder
    buffers: StackedNetworks[torch.Tensor]

    @classmethod
    def load(
        cls,
        settings: DecodeResponses,
        variant: Variant,
        basis: Path,
        data: Path,
        buffers: Mapping[str, np.ndarray],
        device: torch.device,
    ) -> NetworkDecoding:
        """Read what networks of a variant are decoded with.

        Parameters
        ----------
        settings
            As of `decode_responses`.
        variant
            Whose networks are decoded.
        basis, data
            As of `decode_responses`.
        buffers
            Of one network, of the matrix's layout.
        device
            Where to decode.
        """
        architecture = settings.architecture
        if not variant.padding.whole:
            architecture = TypeAdapter(ArchitectureConfig).validate_python(variant.architecture)
        probed = Probed.load(architecture, settings.probing, data, device)
        return cls(
            variant,
            probed,
            Decoder.load(settings.decoding, probed, basis),
            StackedNetworks.of_one(variant.cut_buffers(buffers)).tensors(device),
        )

    def on_data_of(self, zoo: str | None) -> NetworkDecoding:
        """Return the same on the probes from the data of a joint zoo's member; on all of them if None."""
        if zoo is None:
            return self
        chosen = self.probed.from_data_of(zoo)
        probed = self.probed.only(chosen)
        decoder = replace(self.decoder, capture=probed.capture, basis=self.decoder.basis.only(chosen))
        return replace(self, probed=probed, decoder=decoder)

    def decoded(self, candidates: np.ndarray) -> StackedNetworks[np.ndarray]:
        """Return the networks of n rows (n, c, d) of coordinates, each of c candidates."""
        n, c, _ = candidates.shape
        own = self.variant.padding.cut(candidates)
        drawn, buffers = torch.from_numpy(own).to(self.probed.device), self.buffers.select([0] * n)
        coordinates = self._selection.choose(self.decoder, drawn, buffers) if c > 1 else drawn[:, 0]
        return self.decoder.decode(coordinates, buffers).numpy()

    @cached_property
    def _selection(self) -> UnitSelection:
        """How units are chosen; computed once for all groups, since it takes running a network."""
        return UnitSelection.of(self.probed.capture.architecture, self.probed.trace)


@dataclass(frozen=True)
class Shard:
    """The samples of one shard, and everything that decoding them needs.

    Attributes
    ----------
    samples
        The shard's samples.
    matrix
        The training networks' coordinates.
    decoding
        For each of the samples' networks, what it is decoded with.
    memory
        The budget for networks that are decoded at a time, in bytes.
    failed
        Names of the samples that have not yielded a network so far.
    """

    samples: Samples
    matrix: WeightMatrix
    decoding: list[NetworkDecoding]
    memory: int
    failed: list[str] = field(default_factory=list)

    def networks(self, facts: dict[str, object]) -> Iterator[Network]:
        """Yield the finite networks, then add to ``facts`` the precision of the samples' coordinates."""
        error = RelativeError()
        count, candidates = self.samples.networks, self.samples.candidates
        parts = -(-len(self.samples) * 4 * self.matrix.layout.size // max(1, self.memory // 2))
        parts = min(parts, count)
        fit = min(one.decoder.networks_at_once(self.memory) for one in set(self.decoding))
        size = max(1, fit // candidates)
        with Progress("network", count) as report:
            done = 0
            for part in range(parts):
                some = self.samples.part(part, parts)
                rows = self._coordinates(some, error).reshape(some.networks, candidates, -1)
                works = np.isfinite(rows).all(axis=(1, 2))
                names = np.array(some.names)
                self.failed.extend(names[~works].tolist())
                for start in range(0, int(works.sum()), size):
                    group = np.flatnonzero(works)[start : start + size]
                    decoded = self._decoded(names[group].tolist(), rows[group], group + done)
                    yield from finite(decoded, self.failed)
                    report.advance(len(group))
                done += some.networks
        facts["decoding_error"] = error.relative

    def _decoded(self, names: list[str], rows: np.ndarray, numbers: np.ndarray) -> list[Network]:
        """Return the networks of rows (n, c, d), in order, given which of the samples' networks they are."""
        found: dict[int, Network] = {}
        decoding = [self.decoding[number] for number in numbers.tolist()]
        for kind in dict.fromkeys(decoding):
            places = [i for i, one in enumerate(decoding) if one is kind]
            own = unstack([names[i] for i in places], kind.decoded(rows[places]))
            architecture = kind.variant.architecture
            found |= {
                i: replace(network, architecture=architecture) for i, network in zip(places, own, strict=True)
            }
        return [found[i] for i in range(len(names))]

    def _coordinates(self, samples: Samples, error: RelativeError) -> np.ndarray:
        """Return the coordinates (k, d) float32 of some samples, in one pass over the matrix."""
        rows = np.empty((len(samples), self.matrix.layout.size), np.float32)
        compared = compared_blocks(self.matrix)
        for columns in self.matrix.column_blocks():
            rows[:, columns] = decode_block(samples, self.matrix, columns)
            if columns.start in compared:
                compare_with_float64(error, samples, self.matrix, columns, rows[:, columns])
        return rows


def main() -> None:
    """Run the step with the arguments of the command line."""
    paths = ("samples", "matrix", "basis", "weights", "data", "output", "manifest")
    args = parser(__doc__, *paths).parse_args()
    settings = parse_settings(DecodeResponses, args.settings)
    decode_responses(settings, *(getattr(args, name) for name in paths))


if __name__ == "__main__":
    run(main)
