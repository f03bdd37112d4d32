"""Accuracy on another data set over epochs of fine-tuning."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from dwf_steps.reporting.figures import fits

LABELS = {"zoo": "mnist", "canonicalization": "none", "representation": "weights", "subspace": "pca"}
LABELS |= {"recalibration": "none", "transfer": "digits"}
ACCURACIES = {"early": ([0.9, 0.8], [0.5, 0.4]), "late": ([0.1, 0.2], [0.6, 0.7])}


def test_the_title_names_the_most_accurate_networks_after_the_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        LABELS | {"generator": generator, "epoch": epoch, "accuracy": accuracy}
        for generator, epochs in ACCURACIES.items()
        for epoch, accuracies in enumerate(epochs)
        for accuracy in accuracies
    ]
    found: dict[str, Any] = {}

    def keep(figure: Figure, _path: Path) -> None:
        found["title"] = figure.get_suptitle().replace("\n", " ")
        found["lines"] = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}

    monkeypatch.setattr(fits, "save", keep)
    collection: Any = SimpleNamespace(transfers=pd.DataFrame(rows))
    fits.transfer_curves(collection, tmp_path / "transfer.pdf")
    assert found["title"] == "The most accurate after fine-tuning: late, 65.0 %"
    np.testing.assert_allclose(found["lines"]["early"], [[0, 0.85], [1, 0.45]])
    # Without networks that work there is nothing to name.
    collection.transfers = collection.transfers.assign(accuracy=np.nan)
    fits.transfer_curves(collection, tmp_path / "transfer.pdf")
    assert found["title"] == ""
