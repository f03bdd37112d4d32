"""Files that hold others' networks: which ones they are, and how the networks lie in them."""

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

INDEX = ".index.json"  # of networks that are divided over several files


class NetworkFiles(Section):
    """How others' networks lie in their files, and what their keys are called there.

    This is all that decides what `dwf_steps.storage.foreign.ForeignNetworks` reads from a file, whoever asks
    for it. It is taken in this order: `state_dict`, `networks_per_file`, `flat`, prefixes of wrappers, `keep`
    and `drop`, `keys`, `rename`.
    """

    state_dict: str | list[str] | None = None
    """The key under which a file holds the state dict, `[model, ema]` for one inside another. Without it a
    file is a state dict, or holds one under `state_dict`, or a single one under another key."""
    networks_per_file: Annotated[int, Field(ge=1)] | None = None
    """Of files with several networks, how many each has: a list of state dicts, a mapping of names to state
    dicts, or one state dict whose tensors are stacked along a first axis."""
    flat: bool = False
    """Whether a network is one vector of all its parameters and buffers, in the order of the architecture's
    `state_dict()`."""
    keep: list[str] = Field(default_factory=list)
    """The only keys that are read, where a file has more: names or patterns, as `backbone.*`."""
    drop: list[str] = Field(default_factory=list)
    """Keys that are left out: names or patterns, as `*.position_ids`; also of what is no tensor."""
    keys: dict[str, str] = Field(default_factory=dict)
    """Renames the beginnings of the files' keys: `{fc1: layers.0, fc2: layers.1}`; an empty text strips
    one: `{net: ""}`. What DDP, `torch.compile` and Lightning put before all keys (`module.`, `_orig_mod.`,
    `model.`) is stripped without asking where the keys fit only then."""
    rename: dict[str, str] = Field(default_factory=dict)
    """Renames whole keys by patterns, after `keys`: `{"{layer}.gamma": "{layer}.weight"}`; a name in braces
    stands for any text, the same on both sides."""

    @field_validator("rename")
    @classmethod
    def _known_names(cls, rename: dict[str, str]) -> dict[str, str]:
        for old, new in rename.items():
            if unknown := [name for name in groups_of(new) if name not in groups_of(old)]:
                raise ValueError(
                    f"{new!r} has {{{unknown[0]}}}, which {old!r} has not; expected names of the pattern "
                    "before the colon"
                )
        return rename

    @property
    def contents(self) -> "NetworkFiles":
        """These settings alone, of a section that has more."""
        return NetworkFiles(**{name: getattr(self, name) for name in NetworkFiles.model_fields})


def parts_of(path: Path) -> list[Path]:
    """Return all files that a network is read from: itself and, of an index, those that it names."""
    if not path.name.endswith(INDEX):
        return [path]
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()
        return [path, *(path.parent / name for name in dict.fromkeys(names))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # named when it is read
        return [path]


# The network of a folder that `save_pretrained` wrote, the first that is there
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

# What names in braces may be that are numbers; the texts of all others have one character or more.
NUMBERS = {"seed": r"\d+", "epoch": r"\d+(?:\.\d+)?", "step": r"\d+"}


def found_files(patterns: str | list[str]) -> dict[Path, dict[str, str]]:
    """Return the network files that folders or glob patterns stand for, in no order, each with the texts of
    the pattern's names in braces; hidden ones only where they are named in full.

    A folder stands for the network files in it, a folder that `save_pretrained` or a download from the hub
    left for its network, and a folder of such folders for theirs. Networks that are divided over several
    files stand for them by their index.
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
                    is_file = match.suffix in FOLDER_ENDINGS  # the disk need not be asked of each
                    files = [match] if is_file or not match.is_dir() else _seen(_in_folder(match))
                    found |= {file: fit.groupdict() if fit else {} for file in files}
    indices = [path for path in found if path.name.endswith(INDEX)]
    for part in {part for index in indices for part in parts_of(index)[1:]}:
        found.pop(part, None)
    return found


def matching_files(patterns: str | list[str]) -> list[Path]:
    """Return the files that `found_files` finds, by name in order."""
    return sorted(found_files(patterns), key=lambda path: (path.stem, str(path)))


def _globbed(pattern: Path) -> Iterator[Path]:
    anchor = Path(pattern.anchor) if pattern.is_absolute() else Path()
    with suppress(ValueError):  # no pattern, so nothing matches it
        yield from anchor.glob(str(pattern.relative_to(pattern.anchor)))


def _in_folder(folder: Path) -> list[Path]:
    """Return the networks in a folder; where it has none itself those of its folders that have one each."""
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
    """Return the one network of a folder that `save_pretrained` wrote, or of a repository in the hub's
    cache."""
    if (snapshots := folder / "snapshots").is_dir():
        main = folder / "refs/main"
        names = [main.read_text(encoding="utf-8").strip()] if main.is_file() else os.listdir(snapshots)
        return _pretrained(snapshots / names[0]) if len(names) == 1 else []
    return [folder / name for name in PRETRAINED if (folder / name).is_file()][:1]


def _seen(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if not path.name.startswith(".")]
