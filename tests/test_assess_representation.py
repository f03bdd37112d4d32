"""What a representation loses is measured on networks decoded from their own coordinates."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from probed_zoo import ARCHITECTURE, HELD_OUT, NETWORKS, PROBING, ProbedZoo
from scipy.stats import spearmanr
from tiny_zoo import State, flat, log_probabilities

from dwf_steps.architectures import build
from dwf_steps.assess_representation import AssessRepresentation, assess_representation
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.representation import Decoding
from dwf_steps.datasets.splits import Split
from dwf_steps.metrics.exactness import functions_compared
from dwf_steps.representation.decoding import Decoder
from dwf_steps.representation.loading import Probed, load_basis
from dwf_steps.storage.csv_tables import read_csv
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks

N = len(NETWORKS) - HELD_OUT
RIDGE = 1e-3


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> ProbedZoo:
    """Return a zoo whose basis holds all that training networks respond."""
    return ProbedZoo(tmp_path_factory.mktemp("whole")).begin().sketched().solved().encoded().stacked()


@pytest.fixture(scope="module")
def poor(tmp_path_factory: pytest.TempPathFactory) -> ProbedZoo:
    """Return a zoo with a single function for each layer but the first."""
    zoo = ProbedZoo(tmp_path_factory.mktemp("poor"), functions=1)
    return zoo.begin().sketched().solved().encoded().stacked()


def assessed(
    zoo: ProbedZoo, output: Path, networks: int = 20, ridge: float = RIDGE, memory_mb: int = 64
) -> pd.DataFrame:
    """Return what is written of networks decoded by plain least squares."""
    settings = AssessRepresentation(
        architecture=ARCHITECTURE,
        probing=PROBING,
        decoding=Decoding(ridge=ridge, matching="pre_activations", iterations=1),
        networks=networks,
        memory_mb=memory_mb,
    )
    assess_representation(settings, zoo.matrix, zoo.basis, zoo.weights, zoo.data, output)
    return read_csv(output)


def test_training_networks_are_decoded_exactly_where_the_basis_holds_all_their_responses(
    whole: ProbedZoo, tmp_path: Path
) -> None:
    found = assessed(whole, tmp_path / "exactness.csv", ridge=1e-12)
    assert found.network.tolist() == list(NETWORKS)
    assert found.held_out.tolist() == [False] * N + [True] * HELD_OUT
    training, held_out = found[~found.held_out], found[found.held_out]
    np.testing.assert_array_equal(training.trained, training.decoded)
    assert (training.agreement == 1).all() and (training.iou == 1).all()
    np.testing.assert_allclose(training.coordinate_error, 0, atol=1e-6)
    # Weights to a unit that no probe activates are any; the other networks' are all found.
    alive = [
        (whole.responses(NETWORKS[name])["layers.0.responses"] > 0).any(axis=0).all()
        for name in training.network
    ]
    assert sum(alive) >= 3
    np.testing.assert_allclose(training.weight_error[alive], 0, atol=1e-5)
    # Held-out networks had no part in the basis, which their responses leave.
    assert (held_out[["weight_error", "coordinate_error"]] > 1e-3).all(axis=None)


def decoded_alone(zoo: ProbedZoo) -> list[State]:
    """Return all networks decoded one at a time, by plain least squares."""
    coordinates = WeightMatrix.open(zoo.matrix).read()
    probed = Probed.load(ARCHITECTURE, PROBING, zoo.data, torch.device("cpu"))
    basis = load_basis(zoo.basis, probed)
    decode = Decoder(probed.capture, basis, matching="pre_activations", ridge=RIDGE).decode
    rows = (torch.from_numpy(row[None]) for row in coordinates)
    return [dict(decode(row, StackedNetworks()).numpy().network(0)) for row in rows]


def test_losses_are_those_of_the_decoded_networks(poor: ProbedZoo, tmp_path: Path) -> None:
    found, test = assessed(poor, tmp_path / "exactness.csv"), Split.load(poor.data, "test")
    assert set(found.metric) == {"accuracy"}
    for row, own, other in zip(found.itertuples(), NETWORKS.values(), decoded_alone(poor), strict=True):
        before, after = (log_probabilities(state, test.inputs).argmax(axis=1) for state in (own, other))
        assert row.trained == pytest.approx((before == test.targets).mean())
        assert row.decoded == pytest.approx((after == test.targets).mean())
        assert row.agreement == pytest.approx((before == after).mean())
        wrong, still = before != test.targets, after != test.targets
        assert row.iou == pytest.approx((wrong & still).sum() / (wrong | still).sum())
        for error, described in ((row.weight_error, flat), (row.coordinate_error, poor.coordinates)):
            expected, reached = described(own), described(other)
            size = np.linalg.norm(expected)
            assert error == pytest.approx(np.linalg.norm(reached - expected) / size, rel=1e-3, abs=1e-5)
    assert (found.weight_error > 0.01).all() and (found.agreement < 1).any()


def test_where_numbers_are_predicted_the_score_is_spearmans_rank_correlation() -> None:
    draws = np.random.default_rng(0)
    inputs, targets = draws.normal(size=(50, 3)).astype(np.float32), draws.random(50, np.float32)
    architecture, networks = build(MLPConfig(widths=[3, 1])), list[State]()
    for seed in range(2):
        seeded = np.random.default_rng(seed)
        weight, bias = seeded.normal(size=(2, 1, 3)), seeded.normal(size=(2, 1))
        networks.append({"layers.0.weight": weight, "layers.0.bias": bias})
    tensors = [
        StackedNetworks({name: torch.from_numpy(value).float() for name, value in some.items()})
        for some in networks
    ]
    test = Split(inputs, targets, "regression", tolerance=0.1)
    found = functions_compared(architecture, *tensors, test)
    assert set(found.metric) == {"spearman"}
    for column, some in zip(("trained", "decoded"), networks, strict=True):
        for i, value in enumerate(found[column]):
            predicted = inputs @ some["layers.0.weight"][i, 0] + some["layers.0.bias"][i, 0]
            assert value == pytest.approx(spearmanr(predicted, targets).statistic, abs=1e-4)


def test_some_training_networks_evenly_spaced_and_as_many_held_out_ones_are_decoded(
    poor: ProbedZoo, tmp_path: Path
) -> None:
    assert assessed(poor, tmp_path / "two.csv", networks=2).network.tolist() == [
        *("net-0", "net-3", "net-6", "net-7")
    ]
    assert assessed(poor, tmp_path / "one.csv", networks=1).network.tolist() == ["net-0", "net-6"]


def test_memory_for_one_network_at_a_time_decodes_the_same(poor: ProbedZoo, tmp_path: Path) -> None:
    alone = assessed(poor, tmp_path / "alone.csv", memory_mb=0)
    pd.testing.assert_frame_equal(alone, assessed(poor, tmp_path / "together.csv"), rtol=1e-3, atol=1e-6)
