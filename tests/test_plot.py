"""Every figure that an experiment has is drawn, as pdf and as png, from its tables."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import Checkout
from matplotlib.figure import Figure
from PIL import Image

from dwf_steps.plot import plot
from dwf_steps.reporting import registry
from dwf_steps.reporting.figures import novelty
from dwf_steps.reporting.results import Collection, Results
from dwf_steps.runtime.errors import InputError


def test_all_figures_are_drawn_and_no_other(finished: Checkout, tmp_path: Path) -> None:
    root = finished.folder / "results"
    plot(root, tmp_path)
    names = registry.names("figure", Results.open(root).record)
    endings = (".pdf", ".png")
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}{end}" for name in names for end in endings}
    for name in names:
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF-")
        drawn = np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"))
        assert (drawn < 128).mean() > 0.001, "ink on paper"
        again = np.asarray(Image.open(root / f"figures/{name}.png").convert("L"))
        np.testing.assert_array_equal(drawn, again)


def test_networks_lie_at_the_accuracy_of_their_nearest_training_network(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}
    ranges: list[tuple[tuple[float, float], tuple[float, float]]] = []

    def keep(figure: Figure, _path: Path) -> None:
        for ax in figure.axes:
            dots = [(found.get_offsets().data, found.get_sizes()) for found in ax.collections]
            if dots:
                drawn[ax.get_title()] = dots, ax.lines[0].get_slope()
                ranges.append((ax.get_xlim(), ax.get_ylim()))

    monkeypatch.setattr(novelty, "save", keep)
    root = finished.folder / "results"
    novelty.nearest_accuracy(Collection([Results.open(root)]), tmp_path / "figure.pdf")
    (generated, held_out), slope = drawn["gaussian (weights)\nnone"]
    zoo = pd.read_csv(root / "micro/none/zoo_metrics/none/metrics.csv").set_index("network")
    networks = pd.read_csv(next((root / "micro/none").glob("weights/*/gaussian/none/metrics.csv")))
    for (found, sizes), expected in ((generated, networks), (held_out, zoo[zoo.held_out])):
        nearest = zoo.accuracy[expected.nearest]
        counts = Counter(zip(nearest, expected.accuracy, strict=True))
        assert [tuple(place) for place in found] == sorted(counts)
        # Areas grow with the number of networks.
        assert list(np.argsort(sizes, kind="stable")) == list(
            np.argsort([counts[place] for place in sorted(counts)], kind="stable")
        )
    assert slope == 1
    assert len(ranges) > 2 and len(set(ranges)) == 1, "equal ranges: alignment keeps accuracies"


def test_results_without_tables_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; run `snakemake tables` there first"):
        plot(tmp_path, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_a_changed_table_is_named(finished: Checkout, tmp_path: Path) -> None:
    root = tmp_path / "results"
    shutil.copytree(finished.folder / "results", root)
    table = root / "tables/ensembles.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("gaussian", "normal"), encoding="utf-8")
    with pytest.raises(InputError, match=r"ensembles\.csv: SHA-256 is"):
        plot(root, tmp_path / "figures")
