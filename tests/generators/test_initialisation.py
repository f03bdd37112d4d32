"""Flows over the first layer alone, and from networks' own first weights, drawn and matched again."""

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bases import basis_of
from probed_zoo import ARCHITECTURE, HELD_OUT, PROBING, ProbedZoo
from small_config import small_config
from torch import nn

from dwf_steps.architectures import build
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.workflow import Cell
from dwf_steps.config.zoo import FIRST_SEED, plans_of
from dwf_steps.fit_generator import FitGenerator, fit_generator
from dwf_steps.generators.base import TrainingNetworks
from dwf_steps.generators.decoding import decode_block
from dwf_steps.generators.flow import FlowModel
from dwf_steps.generators.initialisation import match_units, new_starts, zoo_starts
from dwf_steps.generators.latents import Latents
from dwf_steps.generators.samples import Samples
from dwf_steps.pipeline.experiment import Experiment
from dwf_steps.pipeline.load import load_config
from dwf_steps.pipeline.paths import Paths
from dwf_steps.runtime.errors import InputError
from dwf_steps.sample_generator import SampleGenerator, sample_generator
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.zoo.training import initial_networks

KINDS = ("he", "default")
CPU = torch.device("cpu")
State = dict[str, np.ndarray]


def initial(seeds: list[int]) -> list[State]:
    """Return the first weights of the networks with these seeds."""
    networks = initial_networks(build(ARCHITECTURE), plans_of(seeds, KINDS)).numpy()
    return [{name: array[i] for name, array in networks.items()} for i in range(len(seeds))]


def carried_along() -> tuple[dict[str, State], list[np.ndarray]]:
    """Return networks near their first weights, each with its hidden units in another order, as training and
    alignment leave them; and these orders."""
    draws, trained, orders = np.random.default_rng(5), {}, []
    # Rows come in another order than seeds, as after alignment to a reference anything may.
    for seed in (3, 0, 7, 1, 2, 6, 4, 5):
        (state,), order = initial([seed]), draws.permutation(5)
        moved = {
            name: (value + draws.normal(0, 0.02, value.shape)).astype(np.float32)
            for name, value in state.items()
        }
        moved["layers.0.weight"], moved["layers.0.bias"] = (
            moved["layers.0.weight"][order],
            moved["layers.0.bias"][order],
        )
        moved["layers.1.weight"] = moved["layers.1.weight"][:, order]
        trained[f"seed-{seed}"] = moved
        orders.append(order)
    return trained, orders


TRAINED, ORDERS = carried_along()
N = len(TRAINED) - HELD_OUT


@pytest.fixture
def zoo(tmp_path: Path) -> ProbedZoo:
    return ProbedZoo(tmp_path).begin(TRAINED).sketched().solved().encoded().stacked()


def of_weights(zoo: ProbedZoo) -> TrainingNetworks:
    """Return the training networks among their weights."""
    rows = WeightMatrix.open(zoo.weights).read().astype(float)
    return TrainingNetworks(basis_of(rows, None, HELD_OUT), zoo.weights, initialisations=KINDS)


def flow(**settings: Any) -> dict[str, Any]:
    """Return the settings of a small flow over first layers, from their own first weights."""
    velocity = {"network": "unit_transformer", "width": 8, "depth": 1, "heads": 2, "time_embedding": 4}
    training = {"steps": 3, "batch_size": 4, "lr": 1e-12, "lr_min": 0.0}
    own = {"kind": "flow", "layers": "first", "source": "initialisation", "velocity": velocity}
    return own | {"training": training, "sampling": {"samples": 4, "steps": 2}} | settings


@pytest.mark.parametrize("scale", [np.ones(4), np.array([1.0, 0.01, 10.0, 1.0])])
def test_the_assignment_of_units_is_the_best_of_all_orders(scale: np.ndarray) -> None:
    draws = np.random.default_rng(0)
    units, wanted = draws.normal(size=(6, 4, 4)), draws.normal(size=(6, 4, 4))
    for found, own, others in zip(match_units(units, wanted, scale), units, wanted, strict=True):
        costs = {p: (((own[list(p)] - others) / scale) ** 2).sum() for p in permutations(range(4))}
        np.testing.assert_array_equal(found, own[list(min(costs, key=lambda p: costs[p]))])


def test_every_network_starts_at_its_own_first_weights_in_its_own_order_of_units(zoo: ProbedZoo) -> None:
    training = of_weights(zoo)
    matrix = training.matrix
    latents = Latents.of(
        training.basis, matrix, by_unit=True, columns=np.sort(_first_columns(matrix)), positions=False
    )
    config = FlowConfig.model_validate(flow())
    source = zoo_starts(config, training, latents)
    assert source.starts.shape == (N, 5 * 5)
    mean = matrix.read()[:N].mean(axis=0, dtype=np.float64)
    found = latents.form.weights(source.starts).numpy() * latents.scale.numpy() + latents.shift.numpy() + mean
    networks = matrix.layout.unflatten(found)
    for row in range(N):
        (state,) = initial([int(matrix.rows[row].name.removeprefix("seed-"))])
        for name in ("layers.0.weight", "layers.0.bias"):
            np.testing.assert_allclose(networks[name][row], state[name][ORDERS[row]], atol=1e-5)
    np.testing.assert_allclose(source.mean, source.starts.mean(dim=0))


def _first_columns(matrix: WeightMatrix) -> np.ndarray:
    entries = [entry for entry in matrix.layout.entries if entry.name.startswith("layers.0.")]
    return np.concatenate([np.arange(matrix.layout.size)[entry.columns] for entry in entries])


def test_among_responses_starts_are_what_first_weights_respond(zoo: ProbedZoo, tmp_path: Path) -> None:
    """A flow that does not move returns, in the first layer, what new networks' first weights respond, and in
    all others the training networks' mean."""
    rows = WeightMatrix.open(zoo.matrix).read().astype(float)
    basis_of(rows, None, HELD_OUT).save(tmp_path / "basis.npz")
    own = {"architecture": ARCHITECTURE, "probing": PROBING, "initialisations": KINDS}
    model, latents = tmp_path / "model.safetensors", tmp_path / "latents.npz"
    found = {}
    for seed in (0, 1):
        generator = flow(sampling={"samples": 4, "steps": 2, "seed": seed})
        fit_generator(
            FitGenerator.model_validate({"generator": generator, **own}),
            tmp_path / "basis.npz",
            zoo.matrix,
            model,
            tmp_path / "training.csv",
            data=zoo.data,
            responses=zoo.basis,
        )
        sample_generator(
            SampleGenerator.model_validate({"generator": generator, **own}),
            tmp_path / "basis.npz",
            latents,
            model,
            zoo.matrix,
            zoo.data,
            zoo.basis,
        )
        matrix = WeightMatrix.open(zoo.matrix)
        found[seed] = decode_block(Samples.load(latents), matrix, slice(None))
        coordinates = found[seed][:, :25].reshape(4, 5, 5)
        for i, state in enumerate(initial([FIRST_SEED + 10**6 * seed + i for i in range(4)])):
            expected = zoo.coordinates(state)[:25].reshape(5, 5)
            # The order of units plays no part.
            distances = np.abs(coordinates[i][:, None] - expected).max(axis=2)
            assert sorted(distances.argmin(axis=1)) == list(range(5))
            assert distances.min(axis=1).max() < 1e-4
        mean = rows[:N, 25:].mean(axis=0)
        np.testing.assert_allclose(found[seed][:, 25:], np.tile(mean, (4, 1)), atol=1e-5)
    assert (np.abs(found[0] - found[1]).max(axis=1) > 0.1).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_new_starts_deviate_from_the_zoos_mean_at_their_temperature(
    zoo: ProbedZoo, temperature: float
) -> None:
    training, config = of_weights(zoo), FlowConfig.model_validate(flow(source_std=temperature))
    columns = np.sort(_first_columns(training.matrix))
    latents = Latents.of(training.basis, training.matrix, by_unit=True, columns=columns)
    source = zoo_starts(config, training, latents)
    model = FlowModel.of(nn.Identity(), latents, source)
    starts = new_starts(config, training, model)
    assert starts.starts.shape == (4, 25)
    drawn = starts.draw(4, 25, torch.Generator(), partners=torch.arange(4))
    torch.testing.assert_close(drawn, source.mean + temperature * (starts.starts - source.mean))


@pytest.mark.parametrize("network", ["mlp", "unit_transformer"])
def test_a_fitted_flow_over_first_layers_is_read_again(zoo: ProbedZoo, tmp_path: Path, network: str) -> None:
    rows = WeightMatrix.open(zoo.matrix).read().astype(float)
    basis_of(rows, None, HELD_OUT).save(tmp_path / "basis.npz")
    velocity = {"width": 8, "time_embedding": 4, "network": network}
    generator = flow(
        source="standard",
        velocity=velocity | ({"heads": 2, "depth": 1} if network == "unit_transformer" else {}),
        training={"steps": 60, "batch_size": 8, "lr": 0.01, "ema": 0.5},
    )
    files = (tmp_path / "basis.npz", zoo.matrix, tmp_path / "model.safetensors", tmp_path / "training.csv")
    fit_generator(FitGenerator.model_validate({"generator": generator}), *files)
    model = FlowModel.load(files[2], CPU)
    assert model.dimension == 25
    x = torch.randn(3, 25, generator=torch.Generator().manual_seed(0))
    assert model.velocity(torch.full((3, 1), 0.5), x).abs().max() > 0.01
    coordinates = model.coordinates(x.double()).numpy()
    assert coordinates.shape == (3, rows.shape[1])
    assert (coordinates[:, 25:] == 0).all()
    torch.testing.assert_close(model.latents(coordinates), x)
    # Latents have unit variance: of each coordinate over networks and units, or over all coordinates.
    latents = model.latents(rows[:N] - rows[:N].mean(axis=0)).numpy().reshape(N * 5, 5)
    if network == "unit_transformer":
        np.testing.assert_allclose(latents.std(axis=0), 1, rtol=1e-4)
        np.testing.assert_allclose(latents.mean(axis=0), 0, atol=1e-5)
    else:
        within = latents.reshape(N, 25).var(axis=0, ddof=1).mean()
        assert within == pytest.approx(1, rel=1e-4)


def test_a_subspace_that_reduces_networks_is_refused(zoo: ProbedZoo) -> None:
    matrix = WeightMatrix.open(zoo.matrix)
    basis = basis_of(matrix.read().astype(float), 3, HELD_OUT)
    with pytest.raises(InputError, match="use a subspace of method 'none'"):
        Latents.of(basis, matrix, columns=np.arange(25))


def test_networks_whose_first_weights_are_not_known_are_refused(zoo: ProbedZoo, tmp_path: Path) -> None:
    training, config = of_weights(zoo), FlowConfig.model_validate(flow())
    latents = Latents.of(training.basis, training.matrix, by_unit=True)
    imported = TrainingNetworks(training.basis, zoo.weights)
    with pytest.raises(
        InputError, match=r"source 'initialisation' needs to know how .* networks were initialised"
    ):
        zoo_starts(config, imported, latents)
    renamed = ProbedZoo(tmp_path / "renamed")
    renamed.folder.mkdir()
    renamed.begin({f"net-{name}": state for name, state in TRAINED.items()})
    with pytest.raises(InputError, match="net-seed-3: found no seed in this name, expected one like seed-0"):
        zoo_starts(config, of_weights(renamed), latents)


def test_the_fit_is_told_of_first_weights_and_given_data_where_it_encodes_them() -> None:
    raw = small_config()
    raw["zoos"]["iris"] |= {"initialisations": ["he", "default"]}
    raw["representations"] = {"responses": {"kind": "responses", "probes": 20, "functions": 10}}
    raw["subspaces"] = {"pca": {"method": "none"}}
    raw["generators"] = {
        "paired": flow(),
        "unpaired": flow(source="standard"),
        "control": {"kind": "untrained"},
    }
    raw["experiments"][0] |= {
        "representations": ["weights", "responses"],
        "generators": list(raw["generators"]),
    }
    experiment = Experiment(load_config(raw))
    paths, known, given = Paths(experiment), {}, {}
    for representation in ("weights", "responses"):
        for generator in raw["generators"]:
            names = Cell("iris", "none", representation, "pca", generator, "none")
            cell = representation, generator
            given[cell] = *paths.data_if_fitting_encodes(names), *paths.basis_if_fitting_encodes(names)
            known[cell] = [of.of(experiment, names) for of in (FitGenerator, SampleGenerator)]
    encoding = "results/iris/data.npz", "results/iris/none/responses/responses.npz"
    assert given.pop(("responses", "paired")) == encoding
    assert not any(given.values())
    for (representation, generator), steps in known.items():
        drawn = ("he", "default") if generator == "paired" else ()
        assert [step.initialisations for step in steps] == [drawn, drawn]
        probed = [representation == "responses" and generator == "paired"] * 2
        probed[1] |= representation == "responses" and generator == "control"
        for step, encodes in zip(steps, probed, strict=True):
            assert (step.probing is not None) is (step.architecture is not None) is encodes
