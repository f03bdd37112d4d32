"""A fit writes a model and its losses, the same for the same settings, and leaves no checkpoint."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from bases import basis_of
from tiny_zoo import flat, random_networks, stack

from dwf_steps.config.generators.flow_training import FlowTraining
from dwf_steps.fit_generator import FitGenerator, fit_generator
from dwf_steps.flow.condition import KnownZoos
from dwf_steps.generators.flow import FlowModel, left_out_networks
from dwf_steps.generators.samples import Samples
from dwf_steps.pipeline.settings.generate import SampleGenerator
from dwf_steps.runtime.errors import InputError
from dwf_steps.sample_generator import sample_generator
from dwf_steps.storage.manifest import Record
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.row_facts import ATTRIBUTE, RowFacts, write_facts
from dwf_steps.subspace.basis import Basis

NETWORKS = random_networks(8)
ROWS = np.stack([flat(state) for state in NETWORKS.values()]).astype(float)
FLOW: dict[str, Any] = {
    "kind": "flow",
    "source_std": 0.1,
    "velocity": {"width": 16, "time_embedding": 8, "dropout": 0.0},
    "training": {"steps": 40, "batch_size": 8, "lr": 0.01, "ema": 0.0},
}


SCORES = [0.9, 0.8, 0.95, 0.7, 0.85, 0.6, 0.75, 0.65]


def fitted(folder: Path, rows: np.ndarray = ROWS, **changes: Any) -> tuple[Path, pd.DataFrame]:
    """Fit a flow to three coordinates of eight networks; return its model and its losses."""
    if not (folder / "weights.zarr").exists():
        stack(folder, NETWORKS)
    basis_of(rows, 3).save(folder / "basis.npz")
    settings = FitGenerator.model_validate({"generator": FLOW | changes})
    model, losses = folder / "model.safetensors", folder / "training.csv"
    fit_generator(settings, folder / "basis.npz", folder / "weights.zarr", model, losses)
    return model, pd.read_csv(losses)


def test_the_model_knows_the_scale_of_the_training_networks(tmp_path: Path) -> None:
    model, losses = fitted(tmp_path)
    flow = FlowModel.load(model, torch.device("cpu"))
    singular = np.linalg.svd(ROWS - ROWS.mean(axis=0), compute_uv=False)[:3]
    assert float(flow.scale) == pytest.approx(np.sqrt((singular**2).mean() / 7), rel=1e-5)
    assert float(flow.shift) == 0 and flow.dimension == 3
    assert losses.step.iloc[-1] == 40 and losses.step.is_monotonic_increasing
    assert np.isfinite(losses[["train", "validation"]].to_numpy()).all()


def test_a_longer_fit_has_a_lower_loss_on_draws_it_never_saw(tmp_path: Path) -> None:
    short = fitted(tmp_path, training=FLOW["training"] | {"steps": 1})[1].validation.iloc[-1]
    long = fitted(tmp_path, training=FLOW["training"] | {"steps": 300})[1].validation.iloc[-1]
    assert long < 0.8 * short


def test_the_same_settings_give_the_same_bytes_and_no_checkpoint_is_left(tmp_path: Path) -> None:
    first = fitted(tmp_path)[0].read_bytes()
    assert fitted(tmp_path, sampling={"samples": 3})[0].read_bytes() == first, "sampling plays no part"
    assert fitted(tmp_path, training=FLOW["training"] | {"seed": 1})[0].read_bytes() != first
    assert not (tmp_path / "model.checkpoint").exists()


def state_scores(folder: Path, scores: list[float], fact: str = "validation_accuracy") -> None:
    """Stack the networks with what their zoo would state of them."""
    stack(folder, NETWORKS)
    records = {name: Record(name, "", {fact: s}) for name, s in zip(NETWORKS, scores, strict=True)}
    write_facts(WeightMatrix(zarr.open_array(folder / "weights.zarr"), folder / "weights.zarr"), records)


def drawn(folder: Path, model: Path, **changes: Any) -> Samples:
    settings = SampleGenerator.model_validate({"generator": FLOW | changes})
    sample_generator(settings, folder / "basis.npz", folder / "latents.npz", model)
    return Samples.load(folder / "latents.npz")


def test_a_conditional_flow_is_told_scores_and_samples_what_is_asked_for(tmp_path: Path) -> None:
    state_scores(tmp_path, SCORES)
    told = {"condition": {"variable": "accuracy", "dropout": 0.2}}
    model, _ = fitted(tmp_path, **told)
    content = model.read_bytes()
    assert fitted(tmp_path, **told, sampling={"condition": 0.8})[0].read_bytes() == content
    flow = FlowModel.load(model, torch.device("cpu"))
    assert flow.condition is not None and flow.condition.variable == "accuracy"
    assert flow.condition.networks.tolist() == SCORES
    few = {"samples": 3, "steps": 4}
    best = drawn(tmp_path, model, **told, sampling=few)
    same = drawn(tmp_path, model, **told, sampling=few | {"condition": 0.95})
    guided = drawn(tmp_path, model, **told, sampling=few | {"condition_weight": 1.5})
    np.testing.assert_array_equal(best.latents, same.latents)
    assert (best.evaluations, guided.evaluations) == (16, 32)
    assert np.abs(guided.latents - best.latents).max() > 1e-4
    drawn_values = drawn(tmp_path, model, **told, sampling=few | {"condition": "training"})
    assert np.abs(drawn_values.latents - best.latents).max() > 1e-4


def state_zoos(folder: Path) -> None:
    """Stack the networks as those of two zoos, one after the other."""
    stack(folder, NETWORKS)
    facts = [asdict(RowFacts(zoo=zoo)) for zoo in ["one"] * 5 + ["other"] * 3]
    zarr.open_array(folder / "weights.zarr").attrs[ATTRIBUTE] = facts


def test_a_flow_of_several_zoos_says_which_one_each_sample_was_asked_for(tmp_path: Path) -> None:
    state_zoos(tmp_path)
    told = {"condition": {"variable": "zoo", "dropout": 0.2}}
    model, _ = fitted(tmp_path, **told)
    assert fitted(tmp_path, **told, sampling={"zoo": "other"})[0].read_bytes() == model.read_bytes()
    flow = FlowModel.load(model, torch.device("cpu"))
    assert flow.condition == KnownZoos(("one", "other"))
    few = {"samples": 4, "steps": 4}
    turn = drawn(tmp_path, model, **told, sampling=few)
    assert turn.zoos.tolist() == ["one", "other", "one", "other"]
    other = drawn(tmp_path, model, **told, sampling=few | {"zoo": "other"})
    assert other.zoos.tolist() == ["other"] * 4
    np.testing.assert_allclose(turn.latents[1::2], other.latents[1::2], rtol=1e-5, atol=1e-6)
    assert np.abs(turn.latents[::2] - other.latents[::2]).max() > 1e-4


def test_samples_deviate_from_the_mean_of_the_zoo_they_were_asked_for(tmp_path: Path) -> None:
    state_zoos(tmp_path)
    far = ROWS + 100.0 * (np.arange(len(ROWS)) >= 5)[:, None]
    told = {"condition": {"variable": "zoo", "dropout": 0.2}}
    model, _ = fitted(tmp_path, far, **told)
    own = Basis.load(tmp_path / "basis.npz").coordinates
    found = drawn(tmp_path, model, **told, sampling={"samples": 20, "steps": 4})
    for zoo, rows in (("one", own[:5]), ("other", own[5:])):
        apart = np.linalg.norm(found.latents[found.zoos == zoo] - rows.mean(axis=0), axis=1)
        assert apart.max() < 5 * np.linalg.norm(rows - rows.mean(axis=0), axis=1).max()


def test_zoos_are_not_known_of_a_single_ones_networks(tmp_path: Path) -> None:
    stack(tmp_path, NETWORKS)
    with pytest.raises(InputError, match=r"condition\.variable: found no zoo in .*weights\.zarr, expected"):
        fitted(tmp_path, condition={"variable": "zoo"})


def test_networks_left_out_are_not_told_and_the_best_is_of_the_others(tmp_path: Path) -> None:
    state_scores(tmp_path, SCORES)
    training = FLOW["training"] | {"validation_networks": 0.5}
    model, losses = fitted(tmp_path, condition={"variable": "accuracy"}, training=training)
    left_out = left_out_networks(list(NETWORKS), FlowTraining.model_validate(training), "generators.flow")
    assert left_out is not None and left_out.sum() == 4
    flow = FlowModel.load(model, torch.device("cpu"))
    assert flow.condition is not None
    assert flow.condition.networks.tolist() == np.array(SCORES)[~left_out.numpy()].tolist()
    assert losses.kept.sum() == 1 and losses.kept.idxmax() == losses.validation.idxmin()


def test_whole_trajectories_are_left_out_by_the_trainings_seed() -> None:
    trajectories = [f"seed-{i // 3}" for i in range(30)]

    def left_out(**training: Any) -> Any:
        return left_out_networks(trajectories, FlowTraining.model_validate(training), "generators.flow")

    assert left_out() is None
    chosen = left_out(validation_networks=0.2)
    assert chosen.view(10, 3).all(dim=1).sum() == 2 and chosen.sum() == 6
    assert torch.equal(chosen, left_out(validation_networks=0.2))
    assert any((left_out(validation_networks=0.2, seed=seed) != chosen).any() for seed in range(1, 4))
    assert left_out(validation_networks=1e-6).sum() == 3, "at least one"
    with pytest.raises(InputError, match=r"generators\.flow\.training\.validation_networks: 0\.9 leaves 9"):
        left_out(validation_networks=0.9)


@pytest.mark.parametrize(
    ("variable", "found"),
    [
        ("accuracy", "all 8 networks .* have the same validation accuracy, 0.5"),
        ("loss", "found no training loss of 8 of 8 training networks .*'net-0'"),
        ("epoch", "found no epoch of 8 of 8 training networks"),
    ],
)
def test_values_that_tell_nothing_are_refused_with_a_cure(tmp_path: Path, variable: str, found: str) -> None:
    state_scores(tmp_path, [0.5] * 8)
    with pytest.raises(InputError, match=rf"generator\.condition\.variable: {found}.* condition on '.*leave"):
        fitted(tmp_path, condition={"variable": variable})


def test_matrices_that_state_nothing_of_their_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no validation accuracy of 8 of 8 .*weights\.zarr"):
        fitted(tmp_path, condition={"variable": "accuracy"})


def test_missing_weights_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"weights\.zarr: no weight matrix there"):
        settings = FitGenerator.model_validate({"generator": FLOW})
        basis_of(ROWS, 3).save(tmp_path / "basis.npz")
        outputs = tmp_path / "model.safetensors", tmp_path / "training.csv"
        fit_generator(settings, tmp_path / "basis.npz", tmp_path / "weights.zarr", *outputs)
    assert not (tmp_path / "model.safetensors").exists()
