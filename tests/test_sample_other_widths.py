"""Networks of other widths are written whole, each with the scores that it has."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bases import basis_of
from tiny_zoo import flat, iris, log_probabilities, random_networks, stack

from dwf_steps.datasets.splits import Dataset
from dwf_steps.fit_generator import FitGenerator, fit_generator
from dwf_steps.runtime.errors import InputError
from dwf_steps.sample_other_widths import SampleOtherWidths, sample_other_widths
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import load_state

NETWORKS = random_networks(6)
ROWS = np.stack([flat(state) for state in NETWORKS.values()]).astype(float)
GRAPH = {"network": "relational_transformer", "width": 4, "depth": 1, "time_embedding": 4}
FLOW = {
    "kind": "flow",
    "velocity": GRAPH,
    "training": {"steps": 2, "batch_size": 2},
    "sampling": {"samples": 3, "steps": 2, "solver": "euler"},
}


def sampled(folder: Path, widths: list[int], **changes: Any) -> tuple[dict[str, dict], Manifest]:
    weights, model = stack(folder, NETWORKS), folder / "model.safetensors"
    basis_of(ROWS, None).save(folder / "basis.npz")
    flow = {"generator": FLOW | changes}
    losses = folder / "training.csv"
    fit_generator(FitGenerator.model_validate(flow), folder / "basis.npz", weights, model, losses)
    settings = SampleOtherWidths.model_validate({"flow": FLOW | changes, "widths": widths})
    output, manifest = folder / "wide", folder / "wide.json"
    sample_other_widths(settings, model, weights, iris(folder), output, manifest)
    found = Manifest.read(manifest)
    return {path.stem: load_state(path) for path in found.verified_files()}, found


@pytest.mark.parametrize("width", [3, 9])
def test_networks_have_the_widths_asked_for_and_the_scores_they_have(tmp_path: Path, width: int) -> None:
    networks, manifest = sampled(tmp_path, [4, width, 3])
    test = Dataset.load(tmp_path / "data.npz").test
    assert list(networks) == ["sample-0", "sample-1", "sample-2"] and manifest.failed == ()
    for record in manifest.networks:
        state = networks[record.name]
        assert state["layers.0.weight"].shape == (width, 4)
        assert state["layers.1.weight"].shape == (3, width)
        found = log_probabilities(state, test.inputs)
        assert record.facts["accuracy"] == (found.argmax(axis=1) == test.targets).mean()
        loss = -found[np.arange(len(test)), test.targets].mean()
        assert record.facts["loss"] == pytest.approx(loss, rel=1e-4)


def test_networks_of_one_draw_differ(tmp_path: Path) -> None:
    networks, _ = sampled(tmp_path, [4, 9, 3])
    rows = [flat(state) for state in networks.values()]
    assert min(np.abs(rows[i] - rows[j]).max() for i in range(3) for j in range(i)) > 0.01


def test_a_flow_that_knows_no_units_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only velocity networks that see units or the graph know"):
        sampled(tmp_path, [4, 9, 3], velocity={"width": 8, "time_embedding": 4})
    assert not (tmp_path / "wide").exists()
