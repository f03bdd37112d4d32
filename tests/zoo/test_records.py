"""What is known of a zoo comes in the order of the weight matrix."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dwf_steps.architectures import build
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.architecture import MLPConfig
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.metrics.scores import score_split
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.matrix import Row
from dwf_steps.storage.networks import load_state
from dwf_steps.zoo.records import ZooRecords
from dwf_steps.zoo.shards import write_scored_shard

SHARDS = [["seed-0", "seed-1", "seed-2"], ["seed-3", "seed-4"]]


def architecture() -> MLPArchitecture:
    return build(MLPConfig(widths=[4, 6, 3]))


def random_dataset() -> Dataset:
    draws = np.random.default_rng(0)
    parts = [
        Split(draws.normal(size=(m, 4)).astype(np.float32), draws.integers(3, size=m)) for m in (30, 10, 20)
    ]
    return Dataset(*parts)


def random_networks(n: int, seed: int) -> dict[str, torch.Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return {e.name: torch.randn(n, *e.shape, generator=draws) for e in architecture().layout.entries}


def written_zoo(folder: Path) -> tuple[list[Path], list[Path]]:
    """Write two shards and return their manifests and predictions."""
    paths = []
    for k, names in enumerate(SHARDS):
        manifest, predictions = folder / f"shard-{k}.json", folder / f"shard-{k}.npz"
        networks = random_networks(len(names), seed=k)
        facts = [{"seed": int(name.removeprefix("seed-"))} for name in names]
        write_scored_shard(
            architecture(),
            random_dataset(),
            networks,
            names,
            facts,
            folder / f"shard-{k}",
            manifest,
            predictions,
        )
        paths.append((manifest, predictions))
    manifests, predictions_of = zip(*paths, strict=True)
    return list(manifests), list(predictions_of)


def rows(*seeds: int) -> list[Row]:
    return [Row(f"seed-{s}", held_out=s == 4) for s in seeds]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (3, 0, 2, 1, 4), (1, 3)])
def test_records_and_mistakes_follow_the_rows(tmp_path: Path, order: tuple[int, ...]) -> None:
    zoo = ZooRecords.read(*written_zoo(tmp_path), rows(*order))
    assert [record.name for record in zoo.records] == [f"seed-{s}" for s in order]
    assert [record.facts["seed"] for record in zoo.records] == list(order)
    test = random_dataset().test
    both = [score_split(architecture(), random_networks(len(SHARDS[k]), seed=k), test) for k in (0, 1)]
    wrong = np.concatenate([scores.predictions for scores in both]) != test.targets
    np.testing.assert_array_equal(zoo.wrong, wrong[list(order)])
    assert zoo.wrong.any()
    assert not zoo.wrong.all()


def test_recorded_accuracy_is_the_share_that_is_not_wrong(tmp_path: Path) -> None:
    zoo = ZooRecords.read(*written_zoo(tmp_path), rows(0, 1, 2, 3, 4))
    recorded = [record.facts["test_accuracy"] for record in zoo.records]
    np.testing.assert_allclose(recorded, 1 - zoo.wrong.mean(axis=1), rtol=1e-12)


def test_a_row_that_the_zoo_does_not_have_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="seed-9"):
        ZooRecords.read(*written_zoo(tmp_path), rows(0, 9))


def test_a_shard_has_scores_on_every_split(tmp_path: Path) -> None:
    manifests, _ = written_zoo(tmp_path)
    networks, dataset = random_networks(3, seed=0), random_dataset()
    for i, record in enumerate(Manifest.read(manifests[0]).networks):
        for name in ("train", "validation", "test"):
            scores = score_split(architecture(), networks, getattr(dataset, name))
            assert record.facts[f"{name}_accuracy"] == scores.accuracy[i]
            assert record.facts[f"{name}_loss"] == scores.loss[i]
        assert record.facts["seed"] == i


def test_a_shards_files_hold_the_networks(tmp_path: Path) -> None:
    manifests, _ = written_zoo(tmp_path)
    for i, path in enumerate(Manifest.read(manifests[1]).verified_files()):
        assert path.name == f"seed-{3 + i}.safetensors"
        for name, value in random_networks(2, seed=1).items():
            np.testing.assert_array_equal(load_state(path)[name], value[i].numpy())
