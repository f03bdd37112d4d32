"""Draw figures of the pages on symmetries, subspaces, generators and evaluation from the default experiment.

make results && .venv/bin/python docs/draw.py
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import TypeAdapter

from dwf_steps.architectures import build
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.datasets.splits import Split
from dwf_steps.metrics.scores import score_split
from dwf_steps.reporting.figures.style import COLOURS, panels, save
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import ARCHITECTURE, load_state, read_metadata
from dwf_steps.storage.stacked import StackedNetworks

DOCS = Path(__file__).parent
RESULTS = Path("results")
PAIRS = 20
ALONG = np.linspace(0, 1, 21)


def losses_between(manifest: Path, split: Split) -> np.ndarray:
    """Return the loss along straight lines between networks of consecutive seeds, (pairs, positions)."""
    files = Manifest.read(manifest).verified_files()[1 : 2 * PAIRS + 1]  # the first is the reference
    config = TypeAdapter(ArchitectureConfig).validate_json(read_metadata(files[0])[ARCHITECTURE])
    architecture = build(config)
    states = StackedNetworks.stack([load_state(file) for file in files], np.stack)
    first, second = states.select(slice(0, None, 2)), states.select(slice(1, None, 2))
    columns = []
    for share in ALONG:
        between = {name: ((1 - share) * first[name] + share * second[name]).astype("f4") for name in first}
        columns.append(score_split(architecture, StackedNetworks(between).tensors(), split).loss)
    return np.stack(columns, axis=1)


def draw_symmetries(path: Path) -> None:
    """Draw the loss between networks as trained and aligned: mean and range over pairs."""
    zoo = RESULTS / "digits"
    test = Split.load(zoo / "data.npz", "test")
    places = {"as trained": "zoo/shard-0.json", "aligned": "git_rebasin/aligned/shard-0.json"}
    with panels(["all"], ["digits"]) as (figure, axes):
        ax = axes["all", "digits"]
        for (label, place), colour in zip(places.items(), COLOURS, strict=False):
            losses = losses_between(zoo / place, test)
            ax.plot(ALONG, losses.mean(axis=0), color=colour, label=label)
            ax.fill_between(ALONG, losses.min(axis=0), losses.max(axis=0), color=colour, alpha=0.15, lw=0)
        ax.set(xlabel="position between two networks", ylabel="test loss (nats)", ylim=(0, None))
        with TemporaryDirectory() as folder:
            save(figure, Path(folder) / path.name)
            shutil.copy(Path(folder) / path.name, path)


def main() -> None:
    draw_symmetries(DOCS / "symmetries.png")
    shutil.copy(RESULTS / "figures/explained_variance.png", DOCS / "subspaces.png")
    shutil.copy(RESULTS / "figures/accuracy_at_novelty.png", DOCS / "generators.png")
    shutil.copy(RESULTS / "figures/overview.png", DOCS / "overview.png")


if __name__ == "__main__":
    main()
