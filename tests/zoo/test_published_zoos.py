"""Zoos that others published come in as `docs/own_zoo.md` says: small ones, laid out as theirs are."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tiny_zoo import iris
from torch import Tensor

from dwf_steps.config.zoo import ImportedZoo
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.import_zoo import ImportZoo, import_zoo
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import load_state

PAGE = (Path(__file__).resolve().parents[2] / "docs/own_zoo.md").read_text()
ZOOS: dict[str, Any] = {
    name: zoo
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    for name, zoo in yaml.safe_load(block)["zoos"].items()
}
SCRIPTS = {code.split(".py", 1)[0][2:]: code for code in re.findall(r"```python\n(.*?)```", PAGE, re.S)}


def imported(name: str, data: Path, **changes: Any) -> tuple[ImportedZoo, Manifest]:
    """Import the networks of a zoo as the page describes it, but for some ``changes``."""
    zoo = ImportedZoo.model_validate(ZOOS[name] | changes)
    settings = ImportZoo(
        architecture=zoo.architecture,
        files=zoo.files,
        contents=zoo.contents,
        recorded=zoo.recorded,
        first=0,
        count=len(zoo.networks),
    )
    import_zoo(settings, data, Path("zoo/shard-0"), Path("zoo/shard-0.json"))
    return zoo, Manifest.read(Path("zoo/shard-0.json"))


class LMDB:
    """Databases as the package `lmdb` opens them, of which the script needs little."""

    def __init__(self, databases: dict[str, dict[str, bytes]]) -> None:
        self.databases = databases

    def open(self, path: str, readonly: bool, lock: bool) -> "LMDB":
        assert readonly and not lock
        return LMDB({"": self.databases[Path(path).name]})

    def begin(self) -> "LMDB":
        return self

    def cursor(self) -> list[tuple[bytes, bytes]]:
        return [(key.encode(), value) for key, value in self.databases[""].items()]

    def __enter__(self) -> "LMDB":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_gpts_runs_are_unpacked_and_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    widths, draws = [4, 5, 3], torch.Generator().manual_seed(0)
    shapes = [(5, 4), (5,), (3, 5), (3,)]  # fc1.weight, fc1.bias, fc2.weight, fc2.bias
    networks: dict[str, list[Tensor]] = {}
    databases: dict[str, dict[str, bytes]] = {}
    for folder in ("1a2b", "3c4d_5e6f"):  # the second holds two runs
        databases[folder], recorded = {}, {}
        for run in folder.split("_"):
            places = [f"{run}/ep{epoch:03d}_it{step:05d}.pt" for epoch, step in ((0, 0), (2, 70), (10, 5))]
            for place in places:
                networks[place] = [torch.randn(shape, generator=draws) for shape in shapes]
                flat = torch.cat([value.flatten() for value in networks[place]])
                databases[folder][place] = flat.numpy().tobytes()
                databases[folder][f"{place}_arch"] = np.float32([20, 5, 15, 3]).tobytes()
            recorded[run] = {"checkpoints": {p: {"avg_test_err": 10.0 * i} for i, p in enumerate(places)}}
        Path("checkpoint_datasets/mnist", folder).mkdir(parents=True)
        content = recorded if "_" in folder else recorded[folder] | {"metadata": {"optimal_test_err": 0.0}}
        Path("checkpoint_datasets/mnist", folder, "runs.json").write_text(json.dumps(content))
    monkeypatch.setitem(sys.modules, "lmdb", SimpleNamespace(open=LMDB(databases).open))
    monkeypatch.setattr(sys, "argv", ["unpack_gpt.py", "checkpoint_datasets/mnist", "gpt_mnist", "2"])
    exec(compile(SCRIPTS["unpack_gpt"], "unpack_gpt.py", "exec"), {"__name__": "__main__"})

    zoo, manifest = imported("gpt_mnist", iris(tmp_path), dataset="iris", architecture={"widths": widths})
    assert zoo.trajectory_sizes() == {f"run-{run}": 3 for run in ("1a2b", "3c4d", "5e6f")}
    for i, (record, path) in enumerate(zip(manifest.networks, manifest.verified_files(), strict=True)):
        place = str(zoo.networks[i].path.relative_to("gpt_mnist"))
        assert record.trajectory == f"run-{place[:4]}"
        assert record.facts["recorded_accuracy"] == pytest.approx(1 - 0.1 * (i % 3))
        assert (record.facts["epochs"], record.facts["step"]) == [(0, 0), (2, 70), (10, 5)][i % 3]
        state = load_state(path)
        for name, value in zip(
            [f"layers.{k}.{part}" for k in (0, 1) for part in ("weight", "bias")],
            networks[place],
            strict=True,
        ):
            np.testing.assert_array_equal(state[name], value.numpy())


def grey_images(path: Path) -> Path:
    """Write a few random images with classes, divided as a zoo's data are."""
    draws = np.random.default_rng(0)
    parts = [
        Split(draws.normal(size=(12, 784)).astype(np.float32), draws.integers(10, size=12)) for _ in range(3)
    ]
    Dataset(*parts, shape=(1, 28, 28)).save(path)
    return path


@pytest.mark.parametrize("last", [False, True])
def test_model_zoos_of_ray_tune_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "model_zoo", raising=False)
    Path("model_zoo.py").write_text(SCRIPTS["model_zoo"])
    import model_zoo  # type: ignore[import-not-found]

    states = {}
    for run in range(3):
        folder = Path(f"tune_zoo_mnist_uniform/NN_tune_trainable_{run:05d}_seed={run}")
        for epoch in (0, 25, 50):
            (folder / f"checkpoint_{epoch:06d}").mkdir(parents=True)
            torch.manual_seed(100 * run + epoch)
            state = states[run, epoch] = model_zoo.CNN().state_dict()
            torch.save(state, folder / f"checkpoint_{epoch:06d}/checkpoints")
            torch.save({"state": {}, "param_groups": []}, folder / f"checkpoint_{epoch:06d}/optimizer")
        results = [
            {"training_iteration": e, "test_acc": e / 100 + run / 1000, "config": {"seed": run}}
            for e in range(51)
        ]
        (folder / "params.json").write_text(json.dumps({"seed": run, "model::nlin": "tanh"}))
        (folder / "result.json").write_text("".join(f"{json.dumps(row)}\n" for row in results))

    changes: dict[str, Any] = {}
    if last:
        described = ZOOS["tune_mnist"]
        assert (
            "`checkpoint_000050` in place of `checkpoint_{epoch}`, and `where: {training_iteration: 50}`"
            in PAGE
        )
        recorded = {key: value for key, value in described["recorded"].items() if key != "match"}
        changes = {
            "import": described["import"].replace("{epoch}", "000050"),
            "recorded": recorded | {"where": {"training_iteration": 50}},
        }
    zoo, manifest = imported("tune_mnist", grey_images(tmp_path / "data.npz"), **changes)
    epochs = (50,) if last else (0, 25, 50)
    assert list(zoo.trajectory_sizes().values()) == [len(epochs)] * 3
    for record, path, (run, epoch) in zip(
        manifest.networks, manifest.verified_files(), [(r, e) for r in range(3) for e in epochs], strict=True
    ):
        assert record.name == f"NN_tune_trainable_{run:05d}_seed={run}" + (
            "" if last else f"-checkpoint_{epoch:06d}"
        )
        assert record.facts["recorded_accuracy"] == epoch / 100 + run / 1000
        assert record.facts.get("epochs", 50) == epoch
        for name, array in load_state(path).items():
            np.testing.assert_array_equal(array, states[run, epoch][name].numpy())


def test_deepweightflows_lists_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draws = torch.Generator().manual_seed(0)
    shapes = {"fc1": (5, 4), "fc2": (5, 5), "fc3": (3, 5)}
    states = [
        {f"{fc}.weight": torch.randn(shape, generator=draws) for fc, shape in shapes.items()}
        | {f"{fc}.bias": torch.randn(shape[:1], generator=draws) for fc, shape in shapes.items()}
        for _ in range(ZOOS["published"]["networks_per_file"])
    ]
    torch.save(states, "mnist_models.pt")
    _, manifest = imported("published", iris(tmp_path), dataset="iris", architecture={"widths": [4, 5, 5, 3]})
    assert [record.name for record in manifest.networks] == [f"mnist_models-{i}" for i in range(100)]
    for path, state in zip(manifest.verified_files(), states, strict=True):
        written = load_state(path)
        for name, value in state.items():
            np.testing.assert_array_equal(
                written[f"layers.{int(name[2]) - 1}.{name.partition('.')[2]}"], value.numpy()
            )
