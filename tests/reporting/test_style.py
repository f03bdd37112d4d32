"""What figures share: scales, and room for names."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dwf_steps.reporting.figures.style import LEGEND_WIDTH, PANEL, panels, save, scale_by_odds


def labels(accuracies: list[float]) -> tuple[list[str], str]:
    """Return the labels of ticks within the range, and the scale."""
    figure, axes = plt.subplots(1, 2)
    scale_by_odds(axes, accuracies)
    figure.draw_without_rendering()
    first, second = axes
    assert first.get_ylim() == second.get_ylim()
    low, high = first.get_ylim()
    assert low < np.nanmin(accuracies) and high > np.nanmax(accuracies)
    ticks = zip(first.get_yticks(), first.get_yticklabels(), strict=True)
    shown = [label.get_text() for tick, label in ticks if low <= tick <= high]
    plt.close(figure)
    return shown, first.get_yscale()


def test_accuracies_near_one_are_told_apart_by_log_odds() -> None:
    assert labels([0.5, 0.9, 0.99, np.nan]) == (
        ["50%", "70%", "80%", "90%", "95%", "97%", "98%", "99%"],
        "logit",
    )


def test_accuracies_that_are_close_to_each_other_have_ticks_too() -> None:
    shown, scale = labels([0.53, 0.68])
    assert len(shown) >= 3 and scale == "logit"


@pytest.mark.parametrize("accuracies", [[0.5, 1.0], [0.0, 0.5], [-0.2, 0.7], [1.0, 1.0]])
def test_log_odds_that_are_not_finite_leave_the_scale_linear(accuracies: list[float]) -> None:
    shown, scale = labels(accuracies)
    assert len(shown) >= 3 and scale == "linear"


def test_long_names_widen_the_figure_instead_of_the_legend_covering_panels(tmp_path: Path) -> None:
    with panels(["row"], ["column"]) as (figure, axes):
        axes["row", "column"].plot([0, 1], [0, 1], label="a name of very many words " * 4)
        save(figure, tmp_path / "figure.pdf")
        figure.draw_without_rendering()
        (legend,) = figure.legends
        panel = axes["row", "column"].get_window_extent()
        assert figure.get_figwidth() > PANEL[0] + LEGEND_WIDTH
        assert panel.x1 < legend.get_window_extent().x0 and panel.width > PANEL[0] / 2 * figure.dpi
