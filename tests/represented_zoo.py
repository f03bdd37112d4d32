"""A tiny zoo in response coordinates, made in a moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tiny_zoo import ARCHITECTURE, State, hidden_units, iris, stack

from dwf_steps.config.representation import ResponsesRepresentation
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Split
from dwf_steps.encode_responses import EncodeResponses, encode_responses
from dwf_steps.sketch_responses import SketchResponses, sketch_responses
from dwf_steps.solve_responses import SolveResponses, solve_responses
from dwf_steps.stack_responses import StackResponses, stack_responses
from dwf_steps.storage.arrays import load_arrays


@dataclass(frozen=True)
class RepresentedZoo:
    """Files of a zoo in weights and in responses, and what these are."""

    data: Path
    weights: Path
    matrix: Path
    responses: Path
    shares: Path
    probing: dict[str, Any]

    @property
    def probes(self) -> np.ndarray:
        """The inputs that networks respond to, (m, features) float64."""
        train = Split.load(self.data, "train")
        return choose_probes(train, self.probing["probes"], self.probing["seed"]).inputs.astype(float)

    def coordinates(self, state: State) -> np.ndarray:
        """Return a network's coordinates B'Z / sqrt(m), computed layer by layer from its definition."""
        hidden = hidden_units(state, self.probes)
        outputs = [
            self.probes @ state["layers.0.weight"].T.astype(float) + state["layers.0.bias"],
            hidden @ state["layers.1.weight"].T.astype(float) + state["layers.1.bias"],
        ]
        bases = load_arrays(self.responses, ["layers.0.responses", "layers.1.responses"]).values()
        coded = [z.T @ basis / np.sqrt(len(z)) for z, basis in zip(outputs, bases, strict=True)]
        return np.concatenate([part.ravel() for part in coded])


def represent(
    folder: Path, networks: Mapping[str, State], held_out: int, probes: int, functions: int
) -> RepresentedZoo:
    """Stack networks, and encode them; the last ``held_out`` of them are no training networks."""
    kind = ResponsesRepresentation(kind="responses", probes=probes, functions=functions)
    probing = kind.probing.model_dump()
    zoo = RepresentedZoo(
        iris(folder),
        stack(folder, networks, held_out),
        folder / "responses.zarr",
        folder / "responses.npz",
        folder / "shares.csv",
        probing,
    )
    sketch, rows = folder / "sketch.npz", folder / "encoded.npy"
    part = {"architecture": ARCHITECTURE, "probing": probing, "part": 0, "parts": 1}
    whole = {"architecture": ARCHITECTURE, "probing": probing, "functions": functions}
    sketch_responses(SketchResponses.model_validate(part | whole), zoo.weights, zoo.data, sketch)
    solve_responses(SolveResponses.model_validate(whole), [sketch], zoo.weights, zoo.data, zoo.responses)
    manifest = rows.with_suffix(".json")
    encode = EncodeResponses.model_validate(part)
    encode_responses(encode, zoo.responses, zoo.weights, zoo.data, rows, manifest)
    settings = StackResponses(dtype="float32", memory_mb=64)
    stack_responses(settings, [manifest], zoo.responses, zoo.weights, zoo.matrix, zoo.shares)
    return zoo
