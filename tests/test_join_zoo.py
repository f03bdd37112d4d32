"""The networks of several zoos as one: all of them, by zoo, and those that a zoo holds out at the end."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from tiny_zoo import ARCHITECTURE, State, command, flat, random_networks, stack

from dwf_steps import join_zoo
from dwf_steps.config.dataset import SplitsConfig
from dwf_steps.config.zoo import JointZoo, TrainedZoo, n_training, network_names
from dwf_steps.pipeline.settings.subspace import JoinZoo
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.manifest import Record
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.storage.row_facts import read_facts, write_facts

SEEDS, HELD_OUT = {"one": 3, "other": 4}, {"one": 1, "other": 2}
NETWORKS: dict[str, dict[str, State]] = {
    zoo: {f"seed-{i}": state for i, state in enumerate(random_networks(count, seed=count).values())}
    for zoo, count in SEEDS.items()
}


def config(checkpoints: int = 1) -> JointZoo:
    """Return the same zoos as a configuration has them."""
    joint = JointZoo.model_validate({"zoos": list(SEEDS)})
    more = {"trajectory": {"checkpoints": checkpoints, "every": 1}} if checkpoints > 1 else {}
    for name, seeds in SEEDS.items():
        zoo = {"dataset": "iris", "architecture": {"widths": [4, 5, 3]}, "seeds": seeds}
        joint.members[name] = TrainedZoo.model_validate(zoo | {"held_out": HELD_OUT[name]} | more)
    return joint


def joined(folder: Path, monkeypatch: pytest.MonkeyPatch, dtype: str = "float32") -> WeightMatrix:
    paths = []
    for zoo, networks in NETWORKS.items():
        (folder / zoo).mkdir()
        paths.append(stack(folder / zoo, networks, HELD_OUT[zoo]))
        records = {name: Record(name, "", {"train_loss": float(i)}) for i, name in enumerate(networks)}
        write_facts(WeightMatrix(zarr.open_array(paths[-1]), paths[-1]), records)
    return run(folder, paths, monkeypatch, dtype)


def run(folder: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch, dtype: str) -> WeightMatrix:
    settings = JoinZoo.model_validate(
        {"zoos": list(SEEDS), "architecture": ARCHITECTURE, "dtype": dtype, "memory_mb": 64}
    )
    output = folder / "joint.zarr"
    options = ["--settings", settings.to_argument(), "--members", *paths, "--output", output]
    command(monkeypatch, join_zoo.main, *options)
    return WeightMatrix.open(output)


def test_networks_are_named_after_their_zoo_and_those_held_out_come_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, zoo = joined(tmp_path, monkeypatch), config()
    names = [row.name for row in found.rows]
    assert names == network_names(zoo)
    assert names[:4] == ["one.seed-0", "one.seed-1", "other.seed-0", "other.seed-1"]
    assert names[4:] == ["one.seed-2", "other.seed-2", "other.seed-3"]
    assert (found.n_training, n_training(zoo), zoo.held_out) == (4, 4, 3)
    assert [row.trajectory for row in found.rows] == names
    for row, weights, facts in zip(found.rows, found.read(), read_facts(found), strict=True):
        member, _, name = row.name.partition(".")
        np.testing.assert_array_equal(weights, flat(NETWORKS[member][name]))
        assert (facts.zoo, facts.train_loss) == (member, float(name[-1]))


def test_a_lower_precision_states_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = joined(tmp_path, monkeypatch, "float16")
    own = np.stack([flat(NETWORKS["one"]["seed-0"]), flat(NETWORKS["other"]["seed-1"])])
    np.testing.assert_array_equal(found.read()[[0, 3]], own.astype(np.float16).astype(np.float32))
    assert 0 < found.storage_error < 1e-3


def test_checkpoints_stay_with_their_trajectory() -> None:
    zoo = config(2)
    assert list(zoo.trajectory_sizes())[:5] == [
        "one.seed-0",
        "one.seed-1",
        "other.seed-0",
        "other.seed-1",
        "one.seed-2",
    ]
    assert zoo.names()[4:6] == ["other.seed-0-checkpoint-0", "other.seed-0-checkpoint-1"]
    assert n_training(zoo) == 8


def test_zoos_of_the_same_data_bring_them_once() -> None:
    zoo = config()
    assert zoo.with_data == ["one"]
    other = zoo.members["other"]
    zoo.members["other"] = other.model_copy(update={"splits": SplitsConfig(seed=1)})
    assert zoo.with_data == ["one", "other"]
    zoo.members["other"] = other.model_copy(update={"dataset": "digits"})
    assert zoo.with_data == ["one", "other"]


def test_networks_of_other_parameters_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for name, other in (("one", "bias"), ("other", "scale")):
        paths.append(tmp_path / f"{name}.zarr")
        layout = Layout.of({"weight": (3,), other: (1,)})
        WeightMatrix.create(paths[-1], layout, [Row("a"), Row("b")], {}).array[:] = 1
    with pytest.raises(
        InputError, match="zoo 'other': found networks of weight 3, scale 1, but those of zoo"
    ):
        run(tmp_path, paths, monkeypatch, "float32")
