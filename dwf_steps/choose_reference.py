"""Choose the network that a canonicalization aligns to and that distances are reported to."""

import shutil
from pathlib import Path

import numpy as np

from dwf_steps.config.section import Section
from dwf_steps.errors import InputError
from dwf_steps.progress import progress
from dwf_steps.step import parse_settings, parser, run
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import load_state
from dwf_steps.subspace.gram import squared_distances


class ChooseReferenceSettings(Section):
    """A network's name, or `medoid` of those that are not held out."""

    reference: str
    held_out: list[str]


def medoid(paths: list[Path]) -> int:
    """Return which network has the smallest mean Euclidean distance to the others, as they are.

    Networks are compared parameter by parameter, so that only one parameter of all is in memory.
    """
    gram = np.zeros((len(paths), len(paths)))
    for name in progress(load_state(paths[0]), "parameter"):
        rows = np.stack([load_state(path)[name].ravel() for path in paths]).astype(np.float64)
        rows -= rows.mean(axis=0)
        gram += rows @ rows.T
    return int(np.sqrt(squared_distances(gram)).sum(axis=1).argmin())


def choose_reference(settings: ChooseReferenceSettings, manifests: list[Path], output: Path) -> None:
    """Copy the chosen training network to ``output``.

    Raises
    ------
    InputError
        If there is no training network of that name.
    """
    candidates = {
        record.name: manifest.file(record)
        for manifest in map(Manifest.read, manifests)
        for record in manifest.networks
        if record.name not in settings.held_out
    }
    name = settings.reference
    if name == "medoid":
        name = list(candidates)[medoid(list(candidates.values()))]
    if name not in candidates:
        raise InputError(
            f"reference {name!r} is no training network; expected one of {', '.join(list(candidates)[:10])}"
        )
    with replacing(output) as partial:
        shutil.copyfile(candidates[name], partial)


def main() -> None:
    options = parser(__doc__, "output")
    options.add_argument("--manifests", required=True, nargs="+", type=Path)
    args = options.parse_args()
    choose_reference(parse_settings(ChooseReferenceSettings, args.settings), args.manifests, args.output)


if __name__ == "__main__":
    run(main)
