"""Probes and what they are asked come from the zoo's data; groups of networks share out the rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from probed_zoo import ARCHITECTURE, NETWORKS, PROBING, ProbedZoo
from tiny_zoo import flat

from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.representation import loading
from dwf_steps.representation.loading import Probed, part_of, read_in_groups
from dwf_steps.storage.matrix import WeightMatrix

CPU = torch.device("cpu")


def test_probes_are_training_inputs_and_outputs_logits_where_targets_are_classes(tmp_path: Path) -> None:
    zoo = ProbedZoo(tmp_path).begin()
    probed = Probed.load(ARCHITECTURE, PROBING, zoo.data, CPU)
    chosen = choose_probes(Split.load(zoo.data, "train"), 30, PROBING.seed).inputs
    np.testing.assert_array_equal(probed.capture.probes.numpy(), chosen)
    assert probed.softmax
    numbers = Dataset.load(zoo.data).with_splits(
        lambda split: replace(split, targets=split.targets.astype(np.float32) / 2, task="regression")
    )
    numbers.save(tmp_path / "numbers.npz")
    assert not Probed.load(MLPConfig(widths=[4, 5, 1]), PROBING, tmp_path / "numbers.npz", CPU).softmax


@pytest.mark.parametrize("networks", [1, 3, 8])
def test_groups_hold_the_networks_of_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, networks: int
) -> None:
    matrix = WeightMatrix.open(ProbedZoo(tmp_path).begin().weights)
    monkeypatch.setattr(loading, "GROUP_BYTES", 4 * 43 * networks)
    groups = list(read_in_groups(matrix, range(2, 8), CPU))
    assert [row for rows, _ in groups for row in rows] == list(range(2, 8))
    assert max(len(rows) for rows, _ in groups) == min(networks, 6)
    states = list(NETWORKS.values())
    for rows, some in groups:
        for i, row in enumerate(rows):
            np.testing.assert_array_equal(flat(some.numpy().network(i)), flat(states[row]))


def test_groups_are_smaller_where_coordinates_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = WeightMatrix.open(ProbedZoo(tmp_path).begin().weights)
    monkeypatch.setattr(loading, "GROUP_BYTES", 2 * (4 * 43 + 16 * 1000))
    assert [len(rows) for rows, _ in read_in_groups(matrix, range(5), CPU, 1000)] == [2, 2, 1]


@pytest.mark.parametrize(("rows", "parts"), [(10, 3), (3, 3), (2, 3)])
def test_parts_are_all_rows_once(rows: int, parts: int) -> None:
    assert [row for part in range(parts) for row in part_of(rows, part, parts)] == list(range(rows))
