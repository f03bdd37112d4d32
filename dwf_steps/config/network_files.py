"""Files with networks from elsewhere: which files they are, and how networks are stored in them."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from dwf_steps.config.patterns import WITHIN_FOLDER, expression, glob_of, groups_of
from dwf_steps.config.section import Section

INDEX = ".index.json"  # of networks that are split over several files


class NetworkFiles(Section):
    """How networks from elsewhere are stored in their files, and what their keys are called there.

    These settings alone decide what `dwf_steps.storage.foreign.ForeignNetworks` reads from a file. They are
    applied in this order: `state_dict`, `networks_per_file`, `flat`, prefixes of wrappers, `keep` and `drop`,
    `keys`, `rename`.
    """

    state_dict: str | list[str] | None = None
    """The key of a file under which the state dict is stored; a list of keys, `[model, ema]`, if it is
    nested. By default the file is the state dict, or has it under `state_dict`, or has exactly one under any
    other key."""
    networks_per_file: Annotated[int, Field(ge=1)] | None = None
    """Number of networks in each file, for files with several: a list of state dicts, a mapping of names to
    state dicts, or one state dict whose tensors are stacked along the first axis."""
    flat: bool = False
    """Whether a network is a single vector of all its parameters and buffers, in the order of the
    architecture's `state_dict()`."""
    keep: list[str] = Field(default_factory=list)
    """The only keys to read, if files have more: names or patterns such as `backbone.*`."""
    drop: list[str] = Field(default_factory=list)
    """Keys to ignore: names or patterns such as `*.position_ids`. Entries that are not tensors can be ignored
    too."""
    keys: dict[str, str] = Field(default_factory=dict)
    """Replaces prefixes of the files' keys: `{fc1: layers.0, fc2: layers.1}`; an empty text removes a prefix:
    `{net: ""}`. The prefixes that DDP, `torch.compile` and Lightning put before all keys (`module.`,
    `_orig_mod.`, `model.`) are removed automatically if the keys fit the architecture only without them."""
    rename: dict[str, str] = Field(default_factory=dict)
    """Renames whole keys by patterns, after `keys`: `{"{layer}.gamma": "{layer}.weight"}`. A name in braces
    stands for any text, the same on both sides."""

    @field_validator("rename")
    @classmethod
    def _known_names(cls, rename: dict[str, str]) -> dict[str, str]:
        for old, new in rename.items():
            if unknown := [name for name in groups_of(new) if name not in groups_of(old)]:
                raise ValueError(
                    f"{new!r} has {{{unknown[0]}}}, which {old!r} does not have; expected "
                    "names of the pattern before the colon"
                )
        return rename

    @property
    def contents(self) -> "NetworkFiles":
        """These settings alone, without those of a section that extends them."""
        return NetworkFiles(**{name: getattr(self, name) for name in NetworkFiles.model_fields})


def parts_of(path: Path) -> list[Path]:
    """Return all files that a network is read from.

    Parameters
    ----------
    path
        A network's file, or the index of a network that is split over several files.

    Returns
    -------
    The file itself and, for an index, the files that it lists. An unreadable index is returned alone: reading
    it reports the error.
    """
    if not path.name.endswith(INDEX):
        return [path]
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()
        return [path, *(path.parent / name for name in dict.fromkeys(names))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # reported when it is read
        return [path]


# The network in a folder written by `save_pretrained`: the first of these that exists
# (transformers, diffusers and huggingface_hub: `SAFE_WEIGHTS_NAME`, `WEIGHTS_NAME`, ...).
PRETRAINED = (
    "model.safetensors",
    f"model.safetensors{INDEX}",
    "diffusion_pytorch_model.safetensors",
    f"diffusion_pytorch_model.safetensors{INDEX}",
    "pytorch_model.bin",
    f"pytorch_model.bin{INDEX}",
)
FOLDER_ENDINGS = (".safetensors", ".pt", ".pth", ".ckpt", f".safetensors{INDEX}")  # of networks
TRAINER = re.compile(r"(optimizer|scheduler|scaler|rng_state(_\d+)?)\.(pt|pth)")  # transformers' Trainer

# Names in braces that stand for numbers; all others stand for one character or more.
NUMBERS = {"seed": r"\d+", "epoch": r"\d+(?:\.\d+)?", "step": r"\d+"}


def found_files(patterns: str | list[str]) -> dict[Path, dict[str, str]]:
    """Return the network files that folders or glob patterns stand for.

    A folder stands for the network files in it; a folder written by `save_pretrained` or by a download from
    the hub stands for its network, and a folder of such folders for theirs. A network that is split over
    several files is represented by its index. Hidden files are found only if they are named in full.

    Parameters
    ----------
    patterns
        One or several folders, files or glob patterns, which may have names in braces.

    Returns
    -------
    Files in no particular order, each with the text that every name in braces of its pattern stands for.
    """
    found: dict[Path, dict[str, str]] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        path = Path(pattern)
        if path.is_dir():
            found |= {file: {} for file in _seen(_in_folder(path))}
        elif path.is_file():
            found[path] = {}
        else:
            fits = expression(str(path), WITHIN_FOLDER, NUMBERS) if groups_of(pattern) else None
            for match in _seen(_globbed(Path(glob_of(pattern)) if fits else path)):
                fit = fits.fullmatch(str(match)) if fits else None
                if fit or not fits:
                    is_file = match.suffix in FOLDER_ENDINGS  # spares a look at the disk for each
                    files = [match] if is_file or not match.is_dir() else _seen(_in_folder(match))
                    found |= {file: fit.groupdict() if fit else {} for file in files}
    indices = [path for path in found if path.name.endswith(INDEX)]
    for part in {part for index in indices for part in parts_of(index)[1:]}:
        found.pop(part, None)
    return found


def matching_files(patterns: str | list[str]) -> list[Path]:
    """Return the files that `found_files` finds, sorted by name.

    Parameters
    ----------
    patterns
        As for `found_files`.

    Returns
    -------
    Paths, sorted by file name and then by path.
    """
    return sorted(found_files(patterns), key=lambda path: (path.stem, str(path)))


def _globbed(pattern: Path) -> Iterator[Path]:
    anchor = Path(pattern.anchor) if pattern.is_absolute() else Path()
    with suppress(ValueError):  # not a pattern, so nothing matches it
        yield from anchor.glob(str(pattern.relative_to(pattern.anchor)))


def _in_folder(folder: Path) -> list[Path]:
    """Return the networks in a folder, or those in its subfolders if it has none itself."""
    own = _listed(folder) or _pretrained(folder)
    if own:
        return own
    return [path for inner in _seen(folder.iterdir()) if inner.is_dir() for path in _pretrained(inner)]


def _listed(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [
            folder / entry.name
            for entry in entries
            if entry.name.endswith(FOLDER_ENDINGS) and not TRAINER.fullmatch(entry.name) and entry.is_file()
        ]


def _pretrained(folder: Path) -> list[Path]:
    """Return the one network of a folder.

    The folder was written by `save_pretrained`, or is a repository in the hub's cache.
    """
    if (snapshots := folder / "snapshots").is_dir():
        main = folder / "refs/main"
        names = [main.read_text(encoding="utf-8").strip()] if main.is_file() else os.listdir(snapshots)
        return _pretrained(snapshots / names[0]) if len(names) == 1 else []
    return [folder / name for name in PRETRAINED if (folder / name).is_file()][:1]


def _seen(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if not path.name.startswith(".")]
