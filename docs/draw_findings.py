"""Draw the figures of docs/findings.md from its tables: one row a generator, one panel a measure.

.venv/bin/python docs/draw_findings.py
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np

from dwf_steps.reporting.figures.style import COLOURS, MARKERS, NEW_COLOUR, STYLE, ZOO_COLOUR

DOCS = Path(__file__).parent
PAGE = DOCS / "findings.md"
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")
LINE_HEIGHT = 0.14  # inches
LABELS_WIDTH = 2.6
PANEL_WIDTH = 2.9
WIDE_PANEL_WIDTH = 4.2  # of a panel alone
LABEL_CHARACTERS = 42  # on a line
DODGE = 0.35  # between the measures of a row, in lines
NEW = 0.95  # of held-out networks' distance
REFERENCE = "held-out networks"  # the end of a row's name that is drawn as a line


@dataclass(frozen=True)
class Panel:
    """A measure: what its axis says, and the table's columns that it shows, name in the legend -> heading.

    ``new`` shades the distances that count as new. ``relative`` divides by held-out networks' value in the
    first column. ``lines`` are drawn besides, label -> value.
    """

    label: str
    columns: dict[str, str]
    new: bool = False
    relative: bool = False
    lines: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """A figure: its file's name, its message, and the section, table (counted from 0) and measures shown."""

    name: str
    title: str
    section: str
    panels: list[Panel]
    table: int = 0
    labels: int = 1  # leading columns that name a row
    left_out: tuple[str, ...] = ()  # rows, by name
    reference: bool = True  # whether held-out networks are a line instead of a row


def tables_of(page: str, section: str) -> list[list[list[str]]]:
    """Return a section's Markdown tables, each as rows of cells, the header first.

    Parameters
    ----------
    page
        Markdown.
    section
        How its heading begins.

    Returns
    -------
    All tables up to the next heading.

    Raises
    ------
    ValueError
        No heading begins so.
    """
    parts = re.split(r"^#+ ", page, flags=re.MULTILINE)
    bodies = [part for part in parts if part.startswith(section)]
    if len(bodies) != 1:
        raise ValueError(f"{PAGE.name} has {len(bodies)} sections that begin with {section!r}; expected 1")
    blocks = re.findall(r"(?:^\|.*\n)+", bodies[0], flags=re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        for block in blocks
    ]


def value_of(cell: str) -> tuple[float, float] | None:
    """Return the first number of a cell and its spread (0 where none stands there), or None without one.

    Parameters
    ----------
    cell
        Such as ``94.5 ± 0.3`` or ``**1.19**``.

    Returns
    -------
    Value and spread, in the cell's units.
    """
    mean, _, spread = cell.replace("*", "").partition("±")
    number, width = NUMBER.match(mean.strip()), NUMBER.match(spread.strip())
    if number is None:
        return None
    return float(number[0].replace(",", "")), float(width[0]) if width else 0.0


def headings_of(header: list[str]) -> list[str]:
    """Return the headings of a table's columns, the second of a name as ``name 2``.

    Parameters
    ----------
    header
        The cells of the table's first row.

    Returns
    -------
    A name for each column.
    """
    names = [label_of(cell) for cell in header]
    counts = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return [name if count == 1 else f"{name} {count}" for name, count in zip(names, counts, strict=True)]


def label_of(cell: str) -> str:
    return re.sub(r"[*`]", "", cell).strip()


def rows_of(table: list[list[str]], labels: int, columns: list[int]) -> Iterator[tuple[str, list[str]]]:
    """Yield label and cells of headings, which have no other cells, and of rows with a number to show."""
    for cells in table[2:]:
        name = [label_of(cell) for cell in cells[:labels]]
        if not any(cells[labels:]):
            yield name[0], []
        elif any(value_of(cells[column]) for column in columns):
            yield ", ".join(part for part in name if part), cells


def draw(finding: Finding, page: str) -> None:
    """Draw a finding as ``docs/findings_<name>.png``.

    Parameters
    ----------
    finding
        What to draw.
    page
        The findings, Markdown.
    """
    table = tables_of(page, finding.section)[finding.table]
    header = headings_of(table[0])
    places = [[header.index(heading) for heading in panel.columns.values()] for panel in finding.panels]
    rows = list(rows_of(table, finding.labels, [column for panel in places for column in panel]))
    held_out = (cells for label, cells in rows if label.endswith(REFERENCE))
    reference = next(held_out, []) if finding.reference else []
    drawn = [
        (fill(label, LABEL_CHARACTERS), cells)
        for label, cells in rows
        if cells is not reference and label not in finding.left_out
    ]
    lines = [label.count("\n") + 1.6 for label, _ in drawn]
    heights = [sum(lines[:i]) + line / 2 for i, line in enumerate(lines)]
    width = PANEL_WIDTH if len(finding.panels) > 1 else WIDE_PANEL_WIDTH
    with plt.rc_context(STYLE):
        size = LABELS_WIDTH + width * len(finding.panels), LINE_HEIGHT * sum(lines) + 1.2
        figure, axes = plt.subplots(1, len(finding.panels), figsize=size, sharey=True, squeeze=False)
        marks = zip(COLOURS, MARKERS, strict=False)
        for ax, panel, columns in zip(axes[0], finding.panels, places, strict=True):
            unit = (value_of(reference[columns[0]]) or (1.0, 0.0))[0] if panel.relative else 1.0
            apart = DODGE * (np.arange(len(columns)) - (len(columns) - 1) / 2)
            for name, column, shift, (colour, marker) in zip(
                panel.columns, columns, apart, marks, strict=False
            ):
                values = [value_of(cells[column]) if cells else None for _, cells in drawn]
                shown = [
                    (y + shift, value[0] / unit, value[1] / unit)
                    for y, value in zip(heights, values, strict=True)
                    if value
                ]
                ax.errorbar(
                    [mean for _, mean, _ in shown],
                    [y for y, _, _ in shown],
                    xerr=[spread for _, _, spread in shown],
                    linestyle="",
                    marker=marker,
                    color=colour,
                    markerfacecolor=colour if name == next(iter(panel.columns)) else "white",
                    capsize=2,
                    elinewidth=1,
                    label=name,
                )
            if reference and not panel.new and (value := value_of(reference[columns[0]])):
                ax.axvline(value[0] / unit, color=ZOO_COLOUR, linestyle="--", linewidth=1, label=REFERENCE)
            for label, at in panel.lines.items():
                ax.axvline(at, color=ZOO_COLOUR, linestyle="--", linewidth=1, label=label)
            if panel.new:
                ax.axvspan(NEW, max(ax.get_xlim()[1], 1.05), color=NEW_COLOUR, alpha=0.1, lw=0, label="new")
            ax.set_xlabel(panel.label)
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, fontsize=8)
        axes[0, 0].set_yticks(heights, [label for label, _ in drawn])
        if all(NUMBER.match(label) for label, _ in drawn):
            axes[0, 0].set_ylabel(header[0])
        for tick, (_, cells) in zip(axes[0, 0].get_yticklabels(), drawn, strict=True):
            tick.set_fontweight("normal" if cells else "bold")
        axes[0, 0].set_ylim(sum(lines), 0)
        figure.suptitle(finding.title, fontsize=10)
        figure.savefig(DOCS / f"findings_{finding.name}.png")
        plt.close(figure)


PER_CENT = "test accuracy (%)"
RELATIVE = "distance / held-out networks'"
DISTANCE = Panel(RELATIVE, {"all layers": "distance", "least layer": "layer"}, new=True)
WHOLE = Panel(RELATIVE, {"all layers": "distance"}, new=True)
REALIGNED = Panel(RELATIVE, {"after matching": "realigned"}, new=True, relative=True)
REFITTED = {"as generated": "accuracy", "last layer refitted": "last layer refitted"}
GENERATED = {"as generated": "accuracy"}
DISTILLED = GENERATED | {"distilled": "distilled"}


def same(*names: str) -> dict[str, str]:
    """Return columns that the legend names as the table does."""
    return {name: name for name in names}


FINDINGS = [
    Finding(
        "zoos",
        "Zoos of other seeds differ by a tenth of a point",
        "Three other zoos",
        [
            Panel(PER_CENT, same("distilled", "chosen units")),
            Panel(PER_CENT, same("from scratch, 1,000 steps", "units, first", "Gaussian, first")),
        ],
    ),
    Finding(
        "first_layer",
        "Choosing units is worth more than any model of them",
        "What raises a first layer",
        [Panel(PER_CENT, GENERATED, lines={"held-out networks": 96.2}), DISTANCE],
    ),
    Finding(
        "mnist_1000_responses",
        "A thousand training networks: chosen units reach 95.5 %, new in every layer",
        "A thousand training networks",
        [Panel(PER_CENT, DISTILLED, lines={"held-out networks": 96.2}), DISTANCE],
    ),
    Finding(
        "diffusion",
        "Among responses all lie on one curve: the more accurate, the nearer to training networks",
        "Flow matching beside diffusion, autoencoders",
        [Panel(PER_CENT, {"among responses": "responses: accuracy"}), DISTANCE],
        labels=2,
    ),
    Finding(
        "digits_peers",
        "No model among responses leaves the curve of the controls",
        "Flows, diffusion, autoencoders and tokens",
        [
            Panel(
                PER_CENT,
                {"among responses": "responses: accuracy", "among weights": "weights: accuracy"},
                lines={"held-out networks": 96.9},
            ),
            DISTANCE,
        ],
    ),
    Finding(
        "conditional",
        "One flow for three data sets is less than a point below flows of one",
        "One flow for three data sets",
        [Panel(PER_CENT, same("digits", "rotated", "permuted"))],
    ),
    Finding(
        "mnist_10_10",
        "Ten hidden units a layer: from 50,000 images chosen units come within half a point of their zoo",
        "MNIST 784-10-10, 250 training networks",
        [Panel(PER_CENT, DISTILLED), DISTANCE],
    ),
    Finding(
        "digits_responses",
        "Digits: new networks as good as trained ones",
        "Digits 64-32-32-10, and a small convolutional network",
        [Panel(PER_CENT, DISTILLED, lines={"held-out networks": 96.9}), DISTANCE],
    ),
    Finding(
        "resnet20_responses",
        "ResNet-20: after 300 steps within three points of the zoo, on 5,000 images within one",
        "CIFAR-10: ResNets and a small vision transformer",
        [
            Panel(
                PER_CENT,
                {
                    "as generated": "accuracy",
                    "100 steps": "100 steps",
                    "300 steps": "300 steps (400 from scratch)",
                },
            ),
            DISTANCE,
        ],
    ),
    Finding(
        "bert_responses",
        "BERT: among responses generated networks predict as well as trained ones",
        "BERT on sentences",
        [Panel("Spearman's correlation", {"as generated": "Spearman", "distilled": "distilled"}), DISTANCE],
    ),
    Finding(
        "temperature",
        "Temperature costs a Gaussian four points among responses, sixty among weights",
        "What response coordinates depend on",
        [Panel(PER_CENT, same("Gaussian among responses", "Gaussian among weights"))],
        table=1,
    ),
    Finding(
        "mnist_probes",
        "MNIST: from 200 inputs chosen units reach 92.7 %, distillation on the same inputs 82.0 %",
        "What response coordinates depend on",
        [
            Panel(
                PER_CENT,
                {
                    "chosen units": "chosen units",
                    "distilled from scratch": "distilled from scratch, 1,000 steps",
                    "Gaussian": "Gaussian",
                },
                lines={"held-out networks": 96.2},
            )
        ],
        table=2,
    ),
    Finding(
        "digits_units",
        "Of the new networks only a flow's over units work: 92.6 %, a Gaussian's 61.1 %",
        "Digits 64-16-10: a flow over hidden units",
        [Panel(PER_CENT, REFITTED), REALIGNED],
    ),
    Finding(
        "mnist_published",
        "Among weights what is accurate is near a training network; new networks reach 24 %",
        "MNIST, 100 networks: the published setting",
        [Panel(PER_CENT, REFITTED), REALIGNED],
        left_out=("training networks, each left out",),
    ),
    Finding(
        "mnist_capacity",
        "Alignment helps flows that are too small to remember their training networks",
        "MNIST, 100 networks: alignment against capacity",
        [
            Panel(PER_CENT, same("aligned", "not aligned")),
            Panel("max IoU with training networks", {"aligned": "max IoU", "not aligned": "max IoU 2"}),
        ],
    ),
    Finding(
        "mnist_1000",
        "A thousand training networks: among weights new ones reach 23 % as generated",
        "MNIST, 1,000 networks",
        [Panel(PER_CENT, REFITTED), REALIGNED],
    ),
    Finding(
        "digits_source",
        "A wider source makes newer and worse networks",
        "Digits 64-32-32-10: the papers' studies",
        [
            Panel(
                PER_CENT,
                {
                    "around the mean": "Gaussian around the mean: accuracy",
                    "untrained networks": "untrained networks (Kaiming): accuracy",
                },
                lines={"held-out networks": 96.9},
            ),
            Panel(
                "distance to the nearest training network",
                {"around the mean": "distance", "untrained networks": "distance 2"},
                lines={"held-out networks": 16.8},
            ),
        ],
    ),
    Finding(
        "breast_cancer",
        "Breast cancer: once networks are aligned, a Gaussian reaches the zoo as flows do",
        "Breast cancer 30-16-16-2",
        [
            Panel(PER_CENT, {"as trained": "as trained: accuracy", "aligned": "aligned: accuracy"}),
            Panel("test loss (nats)", {"as trained": "loss", "aligned": "loss 2"}),
        ],
        left_out=("thesis, all flows",),
    ),
    Finding(
        "mnist_small",
        "Guided networks are as good as networks trained for as many steps, and nearly as new",
        "MNIST 784-10-10: geometric flows",
        [
            Panel(PER_CENT, {"784-10-10": "accuracy", "784-32-10": "784-32-10"}),
            Panel(RELATIVE, {"after matching": "distance"}, relative=True),
        ],
        table=1,
    ),
    Finding(
        "mnist_small_to_digits",
        "Guided to digits by a Euclidean flow, networks are ahead before and after training on digits",
        "MNIST 784-10-10: geometric flows",
        [
            Panel(
                "test accuracy on digits (%)",
                {"as generated": "digits, as generated"} | same("one epoch", "five epochs"),
            )
        ],
        table=1,
        reference=False,
    ),
    Finding(
        "barycentre",
        "Aligned to their mean, networks are easier to generate",
        "Alignment to a mean instead of a network",
        [
            Panel(PER_CENT, same("flow, to a network", "flow, to their mean")),
            Panel(PER_CENT, same("Gaussian, to a network", "Gaussian, to their mean")),
        ],
        table=1,
    ),
    Finding(
        "resnet20",
        "Copied batch-norm statistics are worth nothing, recomputed ones nearly everything",
        "ResNet-20 on CIFAR-10, half as wide: batch",
        [Panel(PER_CENT, same("recomputed", "generated", "copied"))],
    ),
    Finding(
        "bert",
        "Ranks survive what values do not",
        "BERT on reviews",
        [
            Panel("Spearman's correlation", {"as trained": "Spearman, as trained"}),
            Panel("predictions within half a star (%)", {"as trained": "right"}),
        ],
    ),
    Finding(
        "resnet18",
        "ResNet-18: recomputed statistics keep copies and near copies alone",
        "ResNet-18 on CIFAR-10",
        [Panel(PER_CENT, same("recomputed", "generated", "copied"))],
    ),
    Finding(
        "vit",
        "A vision transformer: what scores like the zoo is near a training network",
        "A vision transformer on CIFAR-10",
        [Panel(PER_CENT, same("TransFusion", "as trained"))],
    ),
]


def main() -> None:
    page = PAGE.read_text()
    for finding in FINDINGS:
        draw(finding, page)


if __name__ == "__main__":
    main()
