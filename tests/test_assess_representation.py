"""What a representation loses is measured on networks decoded from their own coordinates."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from represented_zoo import RepresentedZoo, represent
from tiny_zoo import ARCHITECTURE, State, flat, log_probabilities, random_networks

from dwf_steps.assess_representation import AssessRepresentation, assess_representation
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.representation import Probing
from dwf_steps.datasets.splits import Split
from dwf_steps.representation.decoding import Decoder
from dwf_steps.representation.loading import Probed, load_basis
from dwf_steps.storage.csv_tables import read_csv
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks

NETWORKS = random_networks(7)
HELD_OUT = 2


def assessed(zoo: RepresentedZoo, output: Path, **settings: float | str) -> pd.DataFrame:
    """Return what is written of networks decoded by plain least squares."""
    plain = {"architecture": ARCHITECTURE, "probing": zoo.probing, "matching": "pre_activations"}
    plain |= {"ridge": 1e-3, "iterations": 1, "networks": 20, "memory_mb": 64}
    chosen = AssessRepresentation.model_validate(plain | settings)
    assess_representation(chosen, zoo.matrix, zoo.responses, zoo.weights, zoo.data, output)
    return read_csv(output)


def test_training_networks_are_decoded_exactly_where_the_basis_holds_all_their_responses(
    tmp_path: Path,
) -> None:
    zoo = represent(tmp_path, NETWORKS, HELD_OUT, probes=60, functions=60)
    found = assessed(zoo, tmp_path / "exactness.csv", ridge=1e-12)
    assert found.network.tolist() == list(NETWORKS)
    assert found.held_out.tolist() == [False] * 5 + [True] * 2
    training, held_out = found[~found.held_out], found[found.held_out]
    np.testing.assert_array_equal(training.trained, training.decoded)
    assert (training.agreement == 1).all() and (training.iou == 1).all()
    np.testing.assert_allclose(training[["weight_error", "coordinate_error"]], 0, atol=1e-6)
    # Held-out networks had no part in the basis, which their responses leave.
    assert (held_out[["weight_error", "coordinate_error"]] > 1e-3).all(axis=None)


def decoded_alone(zoo: RepresentedZoo) -> list[State]:
    """Return all networks decoded one at a time, by plain least squares."""
    weights, coordinates = WeightMatrix.open(zoo.weights), WeightMatrix.open(zoo.matrix).read()
    config, probing = MLPConfig.model_validate(ARCHITECTURE), Probing.model_validate(zoo.probing)
    probed = Probed.load(config, probing, zoo.data, torch.device("cpu"))
    basis = load_basis(zoo.responses, probed, weights)
    decode = partial(Decoder(matching="pre_activations").decode, probed.capture, basis)
    rows = (torch.from_numpy(row[None]) for row in coordinates)
    return [dict(decode(row, StackedNetworks()).numpy().network(0)) for row in rows]


def test_losses_are_those_of_the_decoded_networks(tmp_path: Path) -> None:
    zoo = represent(tmp_path, NETWORKS, HELD_OUT, probes=60, functions=1)
    found, test = assessed(zoo, tmp_path / "exactness.csv"), Split.load(zoo.data, "test")
    for row, own, other in zip(found.itertuples(), NETWORKS.values(), decoded_alone(zoo), strict=True):
        before, after = (log_probabilities(state, test.inputs).argmax(axis=1) for state in (own, other))
        assert row.trained == pytest.approx((before == test.targets).mean())
        assert row.decoded == pytest.approx((after == test.targets).mean())
        assert row.agreement == pytest.approx((before == after).mean())
        wrong, still = before != test.targets, after != test.targets
        assert row.iou == pytest.approx((wrong & still).sum() / (wrong | still).sum())
        errors = [(row.weight_error, flat), (row.coordinate_error, zoo.coordinates)]
        for error, described in errors:
            expected, reached = described(own), described(other)
            size = np.linalg.norm(expected)
            assert error == pytest.approx(np.linalg.norm(reached - expected) / size, rel=1e-3, abs=1e-5)
    assert (found.weight_error > 0.01).all() and (found.agreement < 1).any()


def test_some_training_networks_evenly_spaced_and_as_many_held_out_ones_are_decoded(tmp_path: Path) -> None:
    zoo = represent(tmp_path, NETWORKS, HELD_OUT, probes=20, functions=5)
    found = assessed(zoo, tmp_path / "some.csv", networks=2)
    assert found.network.tolist() == ["net-0", "net-2", "net-5", "net-6"]
    assert assessed(zoo, tmp_path / "one.csv", networks=1).network.tolist() == ["net-0", "net-5"]


def test_memory_for_one_network_at_a_time_decodes_the_same(tmp_path: Path) -> None:
    zoo = represent(tmp_path, NETWORKS, HELD_OUT, probes=20, functions=5)
    alone = assessed(zoo, tmp_path / "alone.csv", memory_mb=0)
    pd.testing.assert_frame_equal(alone, assessed(zoo, tmp_path / "together.csv"), rtol=1e-3, atol=1e-6)
