"""Names that are written beside points."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text

GAP = 0.5  # points between names
LEVEL = 0.1  # of accuracy: points that differ less lie at one height


def beside(ax: Axes, x: float, y: float, text: str, colour: str) -> Annotation:
    """Write a point's name on its inner side, with a line to it."""
    inner = -1 if x > 0.6 else 1
    return ax.annotate(
        text,
        (x, y),
        (14 * inner, 0),
        textcoords="offset points",
        color=colour,
        ha="right" if inner < 0 else "left",
        va="center",
        arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2},
        zorder=7,
    )


def spread_out(ax: Axes, names: list[Annotation]) -> None:
    """Move names down, from the highest to the lowest, until none covers another one or any other text of the
    panel; of points at one height the innermost is named first. The figure has been drawn."""
    point = ax.figure.dpi / 72
    taken = [text.get_window_extent() for text in ax.texts if text not in names]
    for side, inner in (("left", -1), ("right", 1)):
        of_side = sorted(
            (name for name in names if name.get_horizontalalignment() == side), key=lambda name: -name.xy[1]
        )
        heights = np.array([name.xy[1] for name in of_side])
        level = np.cumsum(np.append(0, -np.diff(heights) > LEVEL)) if len(of_side) else heights
        order = sorted(range(len(of_side)), key=lambda i: (level[i], inner * of_side[i].xy[0]))
        for name in (of_side[i] for i in order):
            box = start = Text.get_window_extent(name)  # without the line
            while covered := [other for other in taken if box.overlaps(other)]:
                lowest = min(other.y0 for other in covered)
                box = box.translated(0, lowest - GAP * point - box.y1)
            name.set_position((name.get_position()[0], (box.y0 - start.y0) / point))
            taken.append(box)
