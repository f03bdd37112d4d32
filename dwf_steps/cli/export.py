"""Export a zoo or generated networks: packed shards, a table and a dataset card, ready for the hub."""

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.cli.options import (
    add_network_options,
    architecture_of,
    command_parser,
    files_of,
    validated,
    write_table,
)
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.network_files import NetworkFiles
from dwf_steps.config.packed import TABLE, shard_name
from dwf_steps.runtime.command_line import run
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.packed import write_packed
from dwf_steps.zoo.exported import NEAREST, ORIGIN, facts_by_name
from dwf_steps.zoo.importing import read_networks, usable
from dwf_steps.zoo.stored import Place, StoredNetwork, find_networks

logger = logging.getLogger(__name__)

PER_SHARD = 100
LOCAL = ["file"]  # what is known of networks but is nobody else's business: paths on this machine
FIRST_COLUMNS = ("seed", "trajectory", "epochs", "accuracy", "test_accuracy")
MEASURED = (
    "accuracy",
    "loss",
    "max_iou",
    "nn_distance",
    "realigned_distance",
    NEAREST,
)  # of generated ones
SCORES = ("accuracy", "train_accuracy", "validation_accuracy", "test_accuracy")
TAGS = ["neural-network-weights", "model-zoo", "weight-space-learning", "safetensors"]
SIZES = {1e3: "n<1K", 1e4: "1K<n<10K", 1e5: "10K<n<100K", 1e6: "100K<n<1M", math.inf: "1M<n<10M"}  # the hub's

CARD = """\
---
{front_matter}---

# {title}

{count} neural networks, {parameters:,} parameters each, as state dicts: {shards} of at most {per_shard}
networks, in which the keys are `{{network}}/{{parameter}}`. `{table}` has a row for each network.

## Architecture

```yaml
{architecture}```

{layers}

## Recipe

{recipe}

## Networks

{scores}

{lineage}

## How to load them

```python
from pathlib import Path
from safetensors import safe_open

folder = Path(".")  # huggingface_hub.snapshot_download("owner/name", repo_type="dataset")
shard, network = "{first_shard}", "{first_network}"
with safe_open(folder / shard, framework="pt") as file:
    keys = [key for key in file.keys() if key.rpartition("/")[0] == network]
    state = {{key.rpartition("/")[2]: file.get_tensor(key) for key in keys}}
# state is what module.load_state_dict takes; {table} says which shard a network lies in
```

As a zoo of dwf-steps, the workflow that wrote this: `import: path/to/this/folder`, with the architecture
above.
"""


def export(
    networks: Place,
    output: str | Path,
    architecture: Mapping[str, Any] | ArchitectureConfig | None = None,
    *,
    files: Mapping[str, Any] | None = None,
    title: str | None = None,
    licence: str = "unknown",
    recipe: str | Path | None = None,
    per_shard: int = PER_SHARD,
) -> pd.DataFrame:
    """Write networks into a folder as packed safetensors shards.

    A table and a dataset card in the format of the Hugging Face hub stand beside them. The folder can be
    imported as a zoo, and evaluated by `judge`.

    Parameters
    ----------
    networks
        A folder of results (`results/{zoo}/zoo`, `.../networks`), or folders or patterns of state dicts.
    output
        The folder to be written; there must be none yet.
    architecture
        As a configuration has it. Without one the first network's file names it.
    files
        How networks lie in their files, as a zoo has it: ``{"keys": {"fc1": "layers.0"}}``, ...
    title
        Of the card; by default the folder's name.
    licence
        An identifier of the hub's: ``mit``, ``cc-by-4.0``, ...
    recipe
        A file that says how the networks were made, such as the configuration; it is copied into the card.
    per_shard
        Networks of a shard.

    Returns
    -------
    The table: ``network``, ``shard``, and all that is known of each, such as seed, epochs and accuracies;
    ``origin`` has the names of the steps that made it, where it lies below `results`.

    Raises
    ------
    InputError
        If something cannot be read or does not fit, a network is not finite, or the folder exists.
    """
    target = Path(output)
    if target.exists():
        raise InputError(f"{target}: exists already; remove it, or export into another folder")
    if per_shard < 1:
        raise InputError(f"per_shard: found {per_shard}, expected 1 at least")
    config = architecture_of(architecture, networks)
    contents: NetworkFiles = validated(NetworkFiles, "files", files or {})
    built, found = build(config), find_networks(networks, contents.networks_per_file)
    measured, origin = _measured(networks), _origin(networks)
    made = {ORIGIN: origin} if origin else {}
    groups = [found.networks[at : at + per_shard] for at in range(0, len(found), per_shard)]
    rows: list[dict[str, Any]] = []
    with replacing(target) as partial:
        partial.mkdir()
        for number, group in enumerate(groups):
            name = shard_name(number, len(groups))
            _write(partial / name, group, config, built, contents)
            rows += [
                {"network": one.name, "shard": name, **made, **one.facts, **measured.get(one.name, {})}
                for one in group
            ]
        table = _ordered(pd.DataFrame(rows).drop(columns=LOCAL, errors="ignore"))
        write_table(partial / TABLE, table)
        text = Path(recipe).read_text(encoding="utf-8") if recipe is not None else None
        card = _card(table, config, built, title or target.name, licence, text, per_shard, found.failed)
        if origin:
            card += f"\nExported from `results/{origin}`: each folder is a step of what made them.\n"
        (partial / "README.md").write_text(card, encoding="utf-8")
    logger.info("exported %d networks in %d shards", len(found), len(groups))
    return table


def _write(
    path: Path,
    group: Sequence[StoredNetwork],
    config: ArchitectureConfig,
    architecture: Architecture,
    files: NetworkFiles,
) -> None:
    arrays = read_networks([one.source for one in group], architecture, files, generated=True)
    if broken := np.flatnonzero(~usable(arrays)).tolist():
        names = ", ".join(group[row].source.where for row in broken)
        raise InputError(f"{names}: weights that are NaN, infinite or beyond all use; leave these out")
    states = {network.name: arrays.network(row) for row, network in enumerate(group)}
    write_packed(path, states, config.model_dump(), architecture.buffers)


def _measured(networks: Place) -> dict[str, dict[str, Any]]:
    """Return what the workflow measured of generated networks, by name, where they are a folder of it."""
    if not isinstance(networks, str | Path):
        return {}
    above = Path(networks).parent
    for path in (above / "metrics.csv", above / "none/metrics.csv"):
        if path.is_file():
            frame = pd.read_csv(path, dtype={"network": str, NEAREST: str})
            return facts_by_name(frame[["network", *(name for name in MEASURED if name in frame)]])
    return {}


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    first = ["network", "shard", *(name for name in FIRST_COLUMNS if name in table)]
    return table[[*first, *(name for name in table if name not in first)]]


def _card(
    table: pd.DataFrame,
    config: ArchitectureConfig,
    architecture: Architecture,
    title: str,
    licence: str,
    recipe: str | None,
    per_shard: int,
    failed: int,
) -> str:
    size = next(name for limit, name in SIZES.items() if len(table) < limit)
    front_matter = {
        "license": licence,
        "pretty_name": title,
        "tags": TAGS,
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": TABLE}],
    }
    shards = table.shard.nunique()
    entries = architecture.layout.entries
    shapes = ", ".join(f"`{entry.name}` {list(entry.shape)}" for entry in entries[:12])
    layers = f"Parameters: {shapes}{', ...' if len(entries) > 12 else ''}."
    if architecture.buffers:
        layers += f" Buffers: {', '.join(f'`{name}`' for name in architecture.buffers[:6])}, ..."
    return CARD.format(
        front_matter=yaml.safe_dump(front_matter, sort_keys=False, allow_unicode=True),
        title=title,
        count=len(table),
        parameters=architecture.layout.size,
        shards="one shard" if shards == 1 else f"{shards} shards",
        per_shard=per_shard,
        table=TABLE,
        architecture=yaml.safe_dump(config.model_dump(mode="json", by_alias=True), sort_keys=False),
        layers=layers,
        recipe=_recipe(table, recipe),
        scores=_scores(table, failed),
        lineage=_lineage(table),
        first_shard=table.shard[0],
        first_network=table.network[0],
    )


def _recipe(table: pd.DataFrame, recipe: str | None) -> str:
    if recipe is not None:
        return f"```yaml\n{recipe.rstrip()}\n```"
    known = [
        f"{name}: {', '.join(map(str, table[name].dropna().unique()[:8]))}"
        for name in ("initialisation", "epochs")
        if name in table
    ]
    return f"{'; '.join(known).capitalize()}." if known else "Not stated."


def _scores(table: pd.DataFrame, failed: int) -> str:
    lines = [
        f"- {name.replace('_', ' ')}: {100 * table[name].mean():.2f} % on average "
        f"(standard deviation {100 * table[name].std(ddof=0):.2f}, from {100 * table[name].min():.2f} to "
        f"{100 * table[name].max():.2f})"
        for name in SCORES
        if name in table and table[name].notna().any()
    ]
    if "max_iou" in table:
        lines.append(
            f"- max IoU with a training network: {table.max_iou.mean():.3f} on average (1: the same mistakes)"
        )
    if failed:
        lines.append(f"- {failed} more networks failed when they were generated, and have no weights")
    return "\n".join(lines) or "Their accuracies are not known."


def _lineage(table: pd.DataFrame) -> str:
    lines = []
    if "seed" in table:
        lines.append(f"Seeds {table.seed.min():.0f} to {table.seed.max():.0f}, column `seed`.")
    if "trajectory" in table:
        lines.append(
            f"They are checkpoints of {table.trajectory.nunique()} trainings: those of one `trajectory` "
            "descend from each other."
        )
    if NEAREST in table:
        lines.append("`nearest` is the training network that a generated one is closest to in weights.")
    return " ".join(lines)


def _origin(networks: Place) -> str:
    """Return what made networks, the names in their path below `results`; nothing of others."""
    parts = Path(networks).parts if isinstance(networks, str | Path) else ()
    if "results" not in parts:
        return ""
    return "/".join(parts[len(parts) - parts[::-1].index("results") :])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `dwf export`.

    Parameters
    ----------
    arguments
        What was typed behind it; by default the process's own arguments.
    """
    options = command_parser("export", __doc__)
    options.add_argument(
        "networks", nargs="+", help="a folder of results, or folders or patterns of networks"
    )
    options.add_argument("-o", "--output", type=Path, required=True, help="the folder to be written")
    add_network_options(options)
    options.add_argument("--title", help="of the card; by default the folder's name")
    options.add_argument(
        "--licence", "--license", default="unknown", help="as the hub calls it: mit, cc-by-4.0"
    )
    options.add_argument("--recipe", type=Path, help="a file that says how they were made, for the card")
    options.add_argument("--per-shard", type=int, default=PER_SHARD, help="networks of a shard")
    args = options.parse_args(arguments)
    table = export(
        args.networks[0] if len(args.networks) == 1 else args.networks,
        args.output,
        args.architecture,
        files=files_of(args),
        title=args.title,
        licence=args.licence,
        recipe=args.recipe,
        per_shard=args.per_shard,
    )
    shards = table.shard.nunique()
    print(f"wrote {len(table)} networks in {shards} shards, {TABLE} and README.md to {args.output}")
    print(f"upload: huggingface-cli upload OWNER/NAME {args.output} --repo-type dataset")


if __name__ == "__main__":
    run(main)
