"""A tiny zoo in response coordinates, and what its networks respond, by NumPy."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tiny_zoo import WIDTHS, State, iris, random_networks, stack

from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.representation import Probing
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Split
from dwf_steps.encode_responses import EncodeResponses, encode_responses
from dwf_steps.sketch_responses import SketchResponses, sketch_responses
from dwf_steps.solve_responses import SolveResponses, solve_responses
from dwf_steps.stack_responses import StackResponses, stack_responses
from dwf_steps.storage.arrays import load_arrays

ARCHITECTURE = MLPConfig(widths=WIDTHS)
PROBING = Probing(probes=30, positions=4, seed=1)
LAYERS = ("layers.0.responses", "layers.1.responses")
NETWORKS = random_networks(8)
HELD_OUT = 2


@dataclass(frozen=True)
class ProbedZoo:
    """Eight networks, the last two of them held out, and the files of their responses."""

    folder: Path
    functions: int = 20
    """Six training networks' responses span 18 dimensions. With 30 probes a sketch is square from 10 on."""
    parts: int = 2

    @property
    def weights(self) -> Path:
        return self.folder / "weights.zarr"

    @property
    def data(self) -> Path:
        return self.folder / "data.npz"

    @property
    def basis(self) -> Path:
        return self.folder / "responses.npz"

    @property
    def matrix(self) -> Path:
        return self.folder / "responses.zarr"

    @property
    def sketches(self) -> list[Path]:
        return [self.folder / f"sketch/part-{part}.npz" for part in range(self.parts)]

    @property
    def manifests(self) -> list[Path]:
        return [self.folder / f"encoded/part-{part}.json" for part in range(self.parts)]

    def begin(self, networks: dict[str, State] = NETWORKS) -> "ProbedZoo":
        """Divide the data and stack the networks."""
        iris(self.folder)
        stack(self.folder, networks, HELD_OUT)
        return self

    def sketched(self) -> "ProbedZoo":
        for part, path in enumerate(self.sketches):
            settings = SketchResponses(
                architecture=ARCHITECTURE,
                probing=PROBING,
                functions=self.functions,
                part=part,
                parts=self.parts,
            )
            sketch_responses(settings, self.weights, self.data, path)
        return self

    def solved(self) -> "ProbedZoo":
        settings = SolveResponses(architecture=ARCHITECTURE, probing=PROBING, functions=self.functions)
        solve_responses(settings, self.sketches, self.weights, self.data, self.basis)
        return self

    def encoded(self) -> "ProbedZoo":
        for part, manifest in enumerate(self.manifests):
            settings = EncodeResponses(
                architecture=ARCHITECTURE, probing=PROBING, part=part, parts=self.parts
            )
            rows = manifest.with_suffix(".npy")
            encode_responses(settings, self.basis, self.weights, self.data, rows, manifest)
        return self

    def stacked(self) -> "ProbedZoo":
        settings = StackResponses(dtype="float32", memory_mb=64)
        shares = self.folder / "shares.csv"
        stack_responses(settings, self.manifests, self.basis, self.weights, self.matrix, shares)
        return self

    @property
    def probes(self) -> np.ndarray:
        """The probes (30, 4) in float64."""
        split = choose_probes(Split.load(self.data, "train"), PROBING.probes, PROBING.seed)
        return split.inputs.astype(float)

    def responses(self, state: State) -> dict[str, np.ndarray]:
        """Return what each layer of a network responds to the probes, (30, units) float64."""
        first = self.probes @ state["layers.0.weight"].T.astype(float) + state["layers.0.bias"]
        second = np.maximum(first, 0) @ state["layers.1.weight"].T.astype(float) + state["layers.1.bias"]
        return dict(zip(LAYERS, (first, second), strict=True))

    def coordinates(self, state: State) -> np.ndarray:
        """Return a network's coordinates, every layer's B'Z / sqrt(m), float64."""
        bases = load_arrays(self.basis, list(LAYERS))
        coded = [z.T @ bases[name] / len(z) ** 0.5 for name, z in self.responses(state).items()]
        return np.concatenate([part.ravel() for part in coded])
