"""Draw the figures, each as pdf and png."""

from pathlib import Path

from dwf_steps.reporting.figures import accuracy_against_iou, explained_variance, loss_curves
from dwf_steps.step import parser, run


def plot(
    metrics: list[Path], zoo_metrics: list[Path], losses: list[Path], bases: list[Path], output: Path
) -> None:
    """Draw all figures into the folder ``output``."""
    accuracy_against_iou(metrics, zoo_metrics, output / "accuracy_against_iou.pdf")
    explained_variance(bases, output / "explained_variance.pdf")
    loss_curves(losses, output / "flow_loss.pdf")


def main() -> None:
    options = parser(__doc__, "output", settings=False)
    for name in ("metrics", "zoo-metrics", "bases"):
        options.add_argument(f"--{name}", required=True, nargs="+", type=Path)
    options.add_argument("--losses", nargs="*", default=[], type=Path)
    args = options.parse_args()
    plot(args.metrics, args.zoo_metrics, args.losses, args.bases, args.output)


if __name__ == "__main__":
    run(main)
