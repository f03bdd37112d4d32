"""A fit writes a model and its losses, the same for the same settings, and leaves no checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from bases import basis_of
from tiny_zoo import flat, random_networks, stack

from dwf_steps.fit_generator import FitGenerator, fit_generator
from dwf_steps.generators.flow import FlowModel
from dwf_steps.runtime.errors import InputError

NETWORKS = random_networks(8)
ROWS = np.stack([flat(state) for state in NETWORKS.values()]).astype(float)
FLOW = {
    "kind": "flow",
    "source_std": 0.1,
    "velocity": {"width": 16, "time_embedding": 8, "dropout": 0.0},
    "training": {"steps": 40, "batch_size": 8, "lr": 0.01, "ema": 0.0},
}


def fitted(folder: Path, **changes: Any) -> tuple[Path, pd.DataFrame]:
    """Fit a flow to three coordinates of eight networks; return its model and its losses."""
    if not (folder / "weights.zarr").exists():
        stack(folder, NETWORKS)
    basis_of(ROWS, 3).save(folder / "basis.npz")
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


def test_missing_weights_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"weights\.zarr: no weight matrix there"):
        settings = FitGenerator.model_validate({"generator": FLOW})
        basis_of(ROWS, 3).save(tmp_path / "basis.npz")
        outputs = tmp_path / "model.safetensors", tmp_path / "training.csv"
        fit_generator(settings, tmp_path / "basis.npz", tmp_path / "weights.zarr", *outputs)
    assert not (tmp_path / "model.safetensors").exists()
