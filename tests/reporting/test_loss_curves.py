"""Losses of what is fitted one after the other are drawn apart."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from dwf_steps.reporting.figures import fits

LABELS = {"zoo": "mine", "canonicalization": "none", "representation": "weights", "subspace": "pca"}


def drawn(losses: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """Return the steps of each line by its label."""
    lines: dict[str, list[float]] = {}

    def read(figure: Figure, _path: Path) -> None:
        for ax in figure.axes:
            lines.update({str(line.get_label()): list(map(float, line.get_xdata())) for line in ax.lines})

    monkeypatch.setattr(fits, "save", read)
    collection: Any = SimpleNamespace(losses=losses)
    fits.loss_curves(collection, Path("flow_loss"))
    return lines


def test_an_autoencoder_and_the_model_of_its_codes_have_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, phases = [1, 2, 3, 4], ["autoencoder", "autoencoder", "model", "model"]
    ae = {"generator": "ae", "run": "a", "step": steps, "phase": phases, "train": 1.0, "validation": 1.0}
    flow = {"generator": "flow", "run": "b", "step": [1, 2], "phase": np.nan, "train": 1.0, "validation": 1.0}
    losses = pd.concat([pd.DataFrame(LABELS | rows) for rows in (ae, flow)], ignore_index=True)
    lines = drawn(losses, monkeypatch)
    assert lines["ae, autoencoder: validation"] == [1, 2]
    assert lines["ae, model: validation"] == [3, 4]
    assert lines["flow: validation"] == [1, 2]
    alone = drawn(pd.DataFrame(LABELS | flow).drop(columns="phase"), monkeypatch)
    named = {label for label in alone if not label.startswith("_")}
    assert named == {"flow: validation", "training"}
