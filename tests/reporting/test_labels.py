"""Names beside points cover neither one another nor what else is written in a panel."""

from itertools import combinations

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from dwf_steps.reporting.figures.labels import beside, spread_out

NAMES = ("distilled", "flow matched", "gaussian", "noise")


def placed(points: list[tuple[float, float]], fixed: tuple[float, float, str]) -> list[Annotation]:
    """Return the names of points in a panel where something is written already."""
    figure, ax = plt.subplots()
    ax.set(xlim=(0, 1.1), ylim=(0, 1.03))
    ax.text(*fixed, ha="right", va="center")
    names = [beside(ax, *point, name, "black") for point, name in zip(points, NAMES, strict=False)]
    figure.draw_without_rendering()
    spread_out(ax, names)
    figure.draw_without_rendering()
    plt.close(figure)
    return names


def boxes(ax: Axes) -> list[Bbox]:
    return [Text.get_window_extent(text) for text in ax.texts]


@pytest.mark.parametrize(
    "points",
    [
        [(0.9, 0.95), (0.8, 0.94), (0.85, 0.9), (0.7, 0.3)],
        [(0.9, 0.95)] * 4,
        [(0.1, 0.95), (0.2, 0.93), (0.95, 0.96), (0.9, 0.92)],
    ],
)
def test_no_name_covers_another_or_what_is_written_already(points: list[tuple[float, float]]) -> None:
    names = placed(points, (0.9, 0.96, "held-out networks"))
    ax = names[0].axes
    assert ax is not None and len(boxes(ax)) == 1 + len(points)
    assert not any(one.overlaps(other) for one, other in combinations(boxes(ax), 2))


def test_no_name_covers_a_point() -> None:
    figure, ax = plt.subplots()
    ax.set(xlim=(0, 1.1), ylim=(0, 1.03))
    points = [(0.95, 0.94), (0.8, 0.95), (0.75, 0.9)]
    for point in points:
        ax.plot(*point, marker="o", markersize=7)
    names = [beside(ax, *point, name, "black") for point, name in zip(points, NAMES, strict=False)]
    figure.draw_without_rendering()
    spread_out(ax, names)
    figure.draw_without_rendering()
    plt.close(figure)
    marks = ax.transData.transform(points)
    assert not any(box.contains(*mark) for box in boxes(ax) for mark in marks)


def test_names_stay_beside_their_points_where_there_is_room() -> None:
    names = placed([(0.9, 0.9), (0.9, 0.6), (0.3, 0.6), (0.2, 0.3)], (0.9, 0.2, "copies"))
    assert [name.get_position()[1] for name in names] == [0, 0, 0, 0]


def test_of_two_points_at_one_height_the_outer_ones_name_moves_down() -> None:
    outer, inner = placed([(0.9, 0.9), (0.85, 0.9)], (0.9, 0.2, "copies"))
    assert inner.get_position()[1] == 0
    height = Text.get_window_extent(inner).height * 72 / 100
    assert -1.5 * height < outer.get_position()[1] <= -height
