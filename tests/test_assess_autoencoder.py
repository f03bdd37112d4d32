"""What an autoencoder loses of networks is measured on networks that it encoded and decoded."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from bases import basis_of
from probed_zoo import ARCHITECTURE, HELD_OUT, NETWORKS, PROBING, ProbedZoo
from tiny_zoo import State, flat, log_probabilities

from dwf_steps.assess_autoencoder import AssessAutoencoder, assess_autoencoder
from dwf_steps.config.representation import Decoding
from dwf_steps.datasets.splits import Split
from dwf_steps.fit_generator import FitGenerator, fit_generator
from dwf_steps.generators.autoencoder import Autoencoder
from dwf_steps.generators.base import Tools
from dwf_steps.representation.decoding import Decoder
from dwf_steps.representation.loading import Probed, load_basis
from dwf_steps.storage.csv_tables import read_csv
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks

RIDGE = 1e-3
GENERATOR: dict[str, Any] = {
    "kind": "autoencoder",
    "latent": 3,
    "hidden": [],
    "noise": {"input": 0, "latent": 0},
    "training": {"steps": 300, "lr": 0.02, "batch_size": 6, "weight_decay": 0},
    "model": {"kind": "gaussian"},
}
DECODING = Decoding(ridge=RIDGE, matching="pre_activations", iterations=1)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> ProbedZoo:
    folder = tmp_path_factory.mktemp("zoo")
    return ProbedZoo(folder).begin().sketched().solved().encoded().stacked()


def assessed(
    zoo: ProbedZoo, folder: Path, matrix: Path, components: int | None, generator: dict[str, Any], **more: Any
) -> tuple[pd.DataFrame, Autoencoder]:
    """Fit an autoencoder; return what is written of networks, and the autoencoder."""
    basis, model, output = folder / "basis.npz", folder / "model.safetensors", folder / "reconstruction.csv"
    basis_of(WeightMatrix.open(matrix).read().astype(float), components, HELD_OUT).save(basis)
    settings = FitGenerator.model_validate({"generator": generator})
    fit_generator(settings, basis, matrix, model, folder / "training.csv")
    given = {"architecture": ARCHITECTURE, "networks": 20, "margin": 0.02, "memory_mb": 64, **more}
    asked = AssessAutoencoder(generator=settings.generator, **given)
    responses = None if matrix == zoo.weights else zoo.basis
    assess_autoencoder(asked, model, basis, matrix, zoo.weights, zoo.data, output, responses, "generators.ae")
    autoencoder = Autoencoder(settings.generator)
    autoencoder.load(model, Tools())
    return read_csv(output), autoencoder


def rows_again(matrix: Path, autoencoder: Autoencoder) -> np.ndarray:
    """Return all rows of a matrix after encoding and decoding, in all of its coordinates."""
    rows = WeightMatrix.open(matrix).read().astype(float)
    mean = rows[:-HELD_OUT].mean(axis=0)
    return mean + autoencoder.reconstructed(rows - mean)


def check(found: pd.DataFrame, zoo: ProbedZoo, again: list[State]) -> None:
    """Compute predictions and weights of networks before and after independently."""
    test = Split.load(zoo.data, "test")
    assert found.network.tolist() == list(NETWORKS)
    assert found.held_out.tolist() == [False] * (len(NETWORKS) - HELD_OUT) + [True] * HELD_OUT
    for row, own, other in zip(found.itertuples(), NETWORKS.values(), again, strict=True):
        before, after = (log_probabilities(state, test.inputs).argmax(axis=1) for state in (own, other))
        assert row.trained == pytest.approx((before == test.targets).mean())
        assert row.decoded == pytest.approx((after == test.targets).mean())
        assert row.agreement == pytest.approx((before == after).mean())
        error = np.linalg.norm(flat(other) - flat(own)) / np.linalg.norm(flat(own))
        assert row.weight_error == pytest.approx(error, rel=1e-3)
    assert (found.agreement < 1).any()


def test_losses_are_those_of_reconstructed_weights(zoo: ProbedZoo, tmp_path: Path) -> None:
    found, autoencoder = assessed(zoo, tmp_path, zoo.weights, None, GENERATOR)
    rows, matrix = rows_again(zoo.weights, autoencoder), WeightMatrix.open(zoo.weights)
    networks = matrix.layout.unflatten(rows.astype(np.float32))
    check(found, zoo, [dict(networks.network(i)) for i in range(len(rows))])
    own = matrix.read().astype(float)
    away = np.linalg.norm(rows - own, axis=1) / np.linalg.norm(own - own[:-HELD_OUT].mean(axis=0), axis=1)
    np.testing.assert_allclose(found.coordinate_error, away, rtol=1e-3)


def test_losses_are_those_of_networks_decoded_from_reconstructed_responses(
    zoo: ProbedZoo, tmp_path: Path
) -> None:
    more = {"probing": PROBING, "decoding": DECODING}
    found, autoencoder = assessed(zoo, tmp_path, zoo.matrix, None, GENERATOR, **more)
    probed = Probed.load(ARCHITECTURE, PROBING, zoo.data, torch.device("cpu"))
    rows = torch.from_numpy(rows_again(zoo.matrix, autoencoder)).float()
    functions = load_basis(zoo.basis, probed)
    decoder = Decoder(probed.capture, functions, matching="pre_activations", ridge=RIDGE)
    decoded = [decoder.decode(row[None], StackedNetworks()) for row in rows]
    check(found, zoo, [dict(some.numpy().network(0)) for some in decoded])


def test_a_code_as_long_as_the_subspace_loses_nothing_and_no_line_warns(
    zoo: ProbedZoo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    whole = {**GENERATOR, "latent": 5, "training": {**GENERATOR["training"], "steps": 1500}}
    found, _ = assessed(zoo, tmp_path, zoo.weights, 5, whole)
    training = found[~found.held_out]
    assert (training.coordinate_error < 1e-2).all() and (training.weight_error < 1e-2).all()
    assert (training.decoded - training.trained).abs().max() < 0.05
    assert (found[found.held_out].weight_error > 0.1).all()  # the subspace does not hold them
    assert "reconstructing training networks costs" not in caplog.text
    lines = [message for message in caplog.messages if message.startswith("generators.ae")]
    assert "6 training networks score" in lines[0] and "2 held-out networks score" in lines[1]


def test_a_loss_above_the_margin_is_warned_of(
    zoo: ProbedZoo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found, _ = assessed(zoo, tmp_path, zoo.weights, 5, GENERATOR | {"latent": 1}, margin=-1)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    kinds = {"training": found[~found.held_out], "held-out": found[found.held_out]}
    for message, (kind, some) in zip(warnings, kinds.items(), strict=True):
        lost = some.trained.mean() - some.decoded.mean()
        assert message.startswith(
            f"generators.ae: reconstructing {kind} networks costs {lost:.4f} of their accuracy, more than "
            "evaluation.good_margin (-1): "
        )
    assert "raise latent" in warnings[0] and "validation_networks" in warnings[1]


def test_memory_for_one_network_at_a_time_finds_the_same(zoo: ProbedZoo, tmp_path: Path) -> None:
    for name in ("alone", "together"):
        (tmp_path / name).mkdir()
    alone, _ = assessed(zoo, tmp_path / "alone", zoo.weights, 4, GENERATOR, memory_mb=0)
    together, _ = assessed(zoo, tmp_path / "together", zoo.weights, 4, GENERATOR)
    pd.testing.assert_frame_equal(alone, together)
