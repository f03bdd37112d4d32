"""Names that are written beside points."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation

LABEL_HEIGHT = 11  # points
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


def spread_out(ax: Axes, texts: list[Annotation]) -> None:
    """Move names of one side apart, downward from the highest, until none covers another; of points at one
    height the innermost is named first."""
    points_of = ax.figure.dpi / 72
    for side, inner in (("left", -1), ("right", 1)):
        beside = sorted(
            (text for text in texts if text.get_horizontalalignment() == side), key=lambda text: -text.xy[1]
        )
        heights = np.array([text.xy[1] for text in beside])
        level = np.cumsum(np.append(0, -np.diff(heights) > LEVEL)) if len(beside) else heights
        order = sorted(range(len(beside)), key=lambda i: (level[i], inner * beside[i].xy[0]))
        ceiling = np.inf
        for text in (beside[i] for i in order):
            height = ax.transData.transform(text.xy)[1] / points_of
            placed = min(height, ceiling)
            text.set_position((text.get_position()[0], placed - height))
            ceiling = placed - LABEL_HEIGHT
