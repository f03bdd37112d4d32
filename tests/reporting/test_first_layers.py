"""First layers as images: which weights are shown, of which networks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dwf_steps.config.generators.base import GeneratorFacts
from dwf_steps.reporting.figures import first_layers as module
from dwf_steps.reporting.record import ExperimentRecord
from dwf_steps.reporting.results import Collection, Results
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.manifest import Network, write_shard
from dwf_steps.storage.matrix import Row, WeightMatrix

CELL = ("mine", "git_rebasin", "weights", "raw", "flow", "none")
RECORD = ExperimentRecord(
    cells=[CELL],
    members={},
    generators={
        "flow": GeneratorFacts(kind="flow", control=False, shows_training=False, costs_training=False)
    },
    fitted_by={"flow": "flow"},
    zoo_networks={"mine": 4},
    zoo_trainings={"mine": 4},
    image_shapes={"mine": (1, 2, 3)},
    samples={"flow": 1},
)
LAYOUT = Layout.of({"layers.0.bias": (4,), "layers.0.weight": (4, 6), "layers.1.weight": (2, 4)})


def test_units_of_a_linear_layer_are_images_and_those_of_a_convolution_its_kernels() -> None:
    linear = np.arange(24.0).reshape(2, 12)
    units = module.units_of({"bias": np.zeros(2), "weight": linear}, (3, 2, 2))
    assert units is not None
    np.testing.assert_array_equal(
        units[1], (linear[1, :4] + linear[1, 4:8] + linear[1, 8:]).reshape(2, 2) / 3
    )
    kernels = np.arange(24.0).reshape(2, 3, 2, 2)
    units = module.units_of({"weight": kernels}, (3, 9, 9))
    assert units is not None
    np.testing.assert_array_equal(units, kernels.mean(axis=1))
    assert module.units_of({"weight": np.zeros((2, 7))}, (3, 2, 2)) is None


def test_the_training_network_shown_is_the_one_nearest_to_a_generated_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(0).normal(size=(4, LAYOUT.size)).astype(np.float32)
    names = [Row(f"seed-{i}", held_out=i == 3) for i in range(4)]
    (tmp_path / "mine/git_rebasin").mkdir(parents=True)
    WeightMatrix.create(tmp_path / "mine/git_rebasin/weights.zarr", LAYOUT, names, {}).array[:] = rows
    folder = tmp_path.joinpath(*CELL[:-1])
    made = {name: array[0] for name, array in LAYOUT.unflatten(rows[2:3] + 0.1).items()}
    (folder / "networks").mkdir(parents=True)
    write_shard(
        folder / "networks/shard-0", folder / "networks/shard-0.json", [Network("sample-0", made)], {}
    )
    (folder / CELL[-1]).mkdir()
    measured = pd.DataFrame({"network": ["sample-0"], "nearest": ["seed-2"], "nn_distance": [0.4]})
    write_csv(folder / CELL[-1] / "metrics.csv", measured)

    shown = []

    def units(network: dict[str, np.ndarray], shape: tuple[int, int, int]) -> np.ndarray:
        shown.append(network)
        return np.zeros((4, *shape[1:]))

    monkeypatch.setattr(module, "units_of", units)
    module.first_layers(Collection([Results(tmp_path, RECORD)]), tmp_path / "figure.pdf")
    assert (tmp_path / "figure.png").is_file()
    weights = LAYOUT.unflatten(rows)["layers.0.weight"]
    expected = [weights[2], weights[3], weights[2] + np.float32(0.1)]
    for network, weight in zip(shown, expected, strict=True):
        np.testing.assert_allclose(network["layers.0.weight"], weight)
