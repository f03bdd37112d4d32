"""Names that are written beside points."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

GAP = 0.5  # points between names
TEXT = "#333333"
LEVEL = 0.1  # of accuracy: points that differ less lie at one height


def beside(ax: Axes, x: float, y: float, text: str, colour: str) -> Annotation:
    """Write a point's name on its inner side, with a line of the point's colour from its near end to it.

    Parameters
    ----------
    ax
        The panel.
    x, y
        The point, in data coordinates; x is relative to held-out networks.
    text
        Its name.
    colour
        Its colour.

    Returns
    -------
    The name, which `spread_out` may move.
    """
    inner = -1 if x > 0.6 else 1
    line = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
    return ax.annotate(
        text,
        (x, y),
        (14 * inner, 0),
        textcoords="offset points",
        color=TEXT,
        ha="right" if inner < 0 else "left",
        va="center",
        arrowprops={**line, "relpos": (float(inner < 0), 0.5)},
        zorder=7,
    )


def spread_out(ax: Axes, names: list[Annotation]) -> None:
    """Move names down until none covers another name or its line, other text of the panel, or a point.

    Names are placed from the highest to the lowest; at the same height, the innermost comes first. The figure
    must have been drawn.

    Parameters
    ----------
    ax
        The panel.
    names
        Names from `beside`, which are moved in place.
    """
    point = ax.figure.dpi / 72
    taken = [text.get_window_extent() for text in ax.texts if text not in names] + _marks(ax, point)
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
                lowest = min(other.ymin for other in covered)
                box = box.translated(0, lowest - GAP * point - box.y1)
            name.set_position((name.get_position()[0], (box.y0 - start.y0) / point))
            near_end = (box.x1 if side == "right" else box.x0), (box.y0 + box.y1) / 2
            line = np.sort([near_end, ax.transData.transform(name.xy)], axis=0)
            taken += [box, Bbox(line)]


def _marks(ax: Axes, point: float) -> list[Bbox]:
    """Return the boxes of all points of curves, for a typographical point of ``point`` pixels."""
    boxes = []
    for line in ax.get_lines():
        if line.get_marker() not in ("None", ""):
            size = line.get_markersize() * point
            corners = ax.transData.transform(line.get_xydata()) - size / 2
            boxes += [Bbox.from_bounds(left, low, size, size) for left, low in corners]
    return boxes
