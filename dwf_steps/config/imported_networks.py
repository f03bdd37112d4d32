"""The networks of an imported zoo: their names, their order, and the trainings they come from."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from dwf_steps.config.network_files import INDEX, found_files
from dwf_steps.config.packed import SHARD, networks_of, trainings_of

ALONG = ("epoch", "step")  # names in braces that distinguish checkpoints of one training
ENDINGS = (f".safetensors{INDEX}", f".bin{INDEX}", ".safetensors", ".pt", ".pth", ".ckpt", ".bin")


@dataclass(frozen=True)
class ImportedNetwork:
    """One network of an imported zoo.

    Attributes
    ----------
    name
        Its file's name, or the parts in which the files' paths differ, where names repeat or paths identify
        trainings.
    path, number
        Its file, and its index in the file; None where it is the only network there.
    texts
        The part of the path that each name in braces of `import` stands for.
    """

    name: str
    path: Path
    number: int | None
    texts: Mapping[str, str]

    @property
    def trajectory(self) -> str:
        """The training that it is a checkpoint of.

        Networks with the same texts, apart from `epoch` and `step`, belong to one training. If its path has
        no such texts, this is the network's own name.
        """
        return _training(self.texts) or self.name

    @property
    def where(self) -> str:
        """Where it was found, for messages and manifests."""
        return str(self.path) if self.number is None else f"{self.path}, network {self.number}"


def imported_networks(patterns: str | list[str], networks_per_file: int | None) -> list[ImportedNetwork]:
    """Return the networks that are found in files.

    Parameters
    ----------
    patterns
        Folders or glob patterns, as in `import`.
    networks_per_file
        Number of networks in each file; None for one network per file.

    Returns
    -------
    Networks in row order: by name, or by training and epoch where paths give these; those of packed shards in
    the order in which they were exported.
    """
    found = found_files(patterns)
    trainings = {path.parent: trainings_of(path.parent) for path in found if SHARD.fullmatch(path.name)}
    told = any(found.values())
    paths = sorted(found, key=(lambda path: _place(path, found[path])) if told else _by_name)
    networks = []
    for path, name in zip(paths, names_of(paths, by_path=told), strict=True):
        if packed := networks_of(path):
            networks += [
                ImportedNetwork(one, path, number, trainings[path.parent].get(one, {}))
                for number, one in enumerate(packed)
            ]
        elif networks_per_file is None:
            networks.append(ImportedNetwork(name, path, None, found[path]))
        else:
            networks += [
                ImportedNetwork(f"{name}-{number}", path, number, found[path])
                for number in range(networks_per_file)
            ]
    return networks


def trajectory_sizes(networks: Sequence[ImportedNetwork]) -> dict[str, int]:
    """Return how many networks each training has.

    Parameters
    ----------
    networks
        In row order.

    Returns
    -------
    Number of networks by name of the training, in row order.
    """
    return dict(Counter(network.trajectory for network in networks))


def files_in_order(networks: Sequence[ImportedNetwork]) -> list[Path]:
    """Return the files of networks.

    Parameters
    ----------
    networks
        In row order.

    Returns
    -------
    Each file once, in row order.
    """
    return [path for path, _ in groupby(network.path for network in networks)]


def base_name(path: Path) -> str:
    """Return a network file's name without its suffix.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    The name without ``.safetensors``, ``.safetensors.index.json`` and the like.
    """
    name = path.name
    if name.endswith(ENDINGS):
        ending = next(ending for ending in ENDINGS if name.endswith(ending))
        return name.removesuffix(ending) or name
    return path.stem


def names_of(paths: Sequence[Path], by_path: bool = False) -> list[str]:
    """Return the names of the networks in files.

    Parameters
    ----------
    paths
        The files, in any order.
    by_path
        Whether to name files by their paths even if their own names are distinct.

    Returns
    -------
    For each file its name without suffix or, if these names repeat or ``by_path`` is set, the parts in which
    the paths differ, joined by hyphens.
    """
    own = [base_name(path) for path in paths]
    if len(set(own)) == len(own) and not by_path:
        return own
    parts = [(*path.parent.parts, name) for path, name in zip(paths, own, strict=True)]
    if len({len(levels) for levels in parts}) == 1:
        differ = [len(set(level)) > 1 for level in zip(*parts, strict=True)]
        kept = [[part for part, differs in zip(levels, differ, strict=True) if differs] for levels in parts]
    else:
        first, last = _common(parts), _common([levels[::-1] for levels in parts])
        kept = [list(levels[first : len(levels) - last] or levels[first:]) for levels in parts]
    return ["-".join(levels) or name for levels, name in zip(kept, own, strict=True)]


def _common(parts: Sequence[Sequence[str]]) -> int:
    """Return how many leading parts are the same in all."""
    common = 0
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common += 1
    return common


def _by_name(path: Path) -> tuple[str, str]:
    return base_name(path), str(path)


def _training(texts: Mapping[str, str]) -> str:
    """Return the name of a training, given the texts of its path; empty if there are none."""
    told = [f"{name}-{text}" for name, text in texts.items() if name not in ALONG]
    return "-".join(told) or ("training" if texts else "")


def _place(path: Path, texts: Mapping[str, str]) -> tuple[Any, ...]:
    training, text = _training(texts) or base_name(path), str(path)
    along = [float(texts.get(name, 0)) for name in ALONG]
    others = () if any(name in texts for name in ALONG) else _natural(text)
    return _natural(training), training, along, others, text


@lru_cache(maxsize=1000)
def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that orders numbers in texts by their value."""
    parts = re.split(r"(\d+)", text)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)
