"""The result tables, from the metrics of every combination that was run."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.lineage import LEVELS, benchmark_lineage, lineage
from dwf_steps.storage.manifest import Manifest

KEYS = list(LEVELS)
SCORES = ("accuracy", "loss")


def accuracy_table(metrics: list[Path], zoo_metrics: list[Path]) -> pd.DataFrame:
    """Return mean and standard deviation of every score, zoo and generated side by side.

    Zoo values are over its training networks; failed networks are counted, not averaged.
    """
    rows = []
    for keys, generated, zoo in _with_their_zoos(metrics, zoo_metrics):
        training, good = zoo[~zoo.held_out], generated[~generated.failed]
        rows += [
            keys
            | {
                "metric": score,
                "zoo_mean": training[score].mean(),
                "zoo_std": training[score].std(),
                "zoo_n": len(training),
                "generated_mean": good[score].mean(),
                "generated_std": good[score].std(),
                "generated_n": len(good),
                "failed_n": int(generated.failed.sum()),
            }
            for score in SCORES
        ]
    return pd.DataFrame(rows)


def novelty_table(metrics: list[Path], zoo_metrics: list[Path]) -> pd.DataFrame:
    """Return how close generated networks come to training networks, beside the zoo's own leave-one-out
    values and those of its held-out networks."""
    rows = []
    for keys, generated, zoo in _with_their_zoos(metrics, zoo_metrics):
        values = {
            f"{prefix}{measure}_mean": frame[measure].mean()
            for measure in ("max_iou", "nn_distance")
            for prefix, frame in (
                ("", generated[~generated.failed]),
                ("zoo_", zoo[~zoo.held_out]),
                ("held_out_", zoo[zoo.held_out]),
            )
        }
        rows.append(keys | values | {"failed_n": int(generated.failed.sum())})
    return pd.DataFrame(rows)


def alignment_table(alignments: list[Path]) -> pd.DataFrame:
    """Return what each canonicalization did to distances and barriers, the reference itself left out."""
    rows = []
    for path in alignments:
        frame = pd.read_csv(path)
        others = frame[frame.distance_before > 0]
        measures = ("distance_before", "distance_after", "barrier_before", "barrier_after")
        rows.append(
            lineage(path, 2)
            | {"networks": len(others)}
            | {f"{measure}_mean": others[measure].mean() for measure in measures}
            | {"function_change_max": frame.function_change.max(), "sweeps_mean": others.sweeps.mean()}
        )
    return pd.DataFrame(rows)


def precision_table(generated: list[Path]) -> pd.DataFrame:
    """Return what the weight matrix' precision and decoding in float32 cost, each as the root mean square of
    the error relative to that of the distance from the training mean.

    Parameters
    ----------
    generated
        Manifests of the generated networks' shards; of several shards the largest error counts.
    """
    rows = [lineage(path.parent, 4) | Manifest.read(path).facts for path in generated]
    return pd.DataFrame(rows).groupby(KEYS, sort=False, as_index=False).max()


def timing_table(
    benchmarks: list[Path], zoo_networks: Mapping[str, int], samples: Mapping[str, int]
) -> pd.DataFrame:
    """Return seconds and peak memory of every stage, the jobs of one stage added up.

    Parameters
    ----------
    benchmarks
        Snakemake's benchmark files, named after their stage.
    zoo_networks, samples
        Networks by zoo, and by generator: what a stage's seconds are divided by.
    """
    rows = []
    for path in benchmarks:
        keys = benchmark_lineage(path)
        measured = pd.read_csv(path, sep="\t", na_values="-")
        rows.append(
            {"stage": path.stem.partition("-")[0]}
            | keys
            | {"seconds": measured.s.mean(), "peak_memory_mb": measured.max_rss.mean()}
        )
    frame = pd.DataFrame(rows).groupby(["stage", *KEYS], sort=False, as_index=False)
    table = frame.agg(seconds=("seconds", "sum"), peak_memory_mb=("peak_memory_mb", "max"))
    table["networks"] = [
        samples[generator] if generator else zoo_networks[zoo]
        for zoo, generator in zip(table.zoo, table.generator, strict=True)
    ]
    table["seconds_per_network"] = table.seconds / table.networks
    return table


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write ``path`` with the endings .csv (full precision), .md and .tex (booktabs)."""
    shown = frame.map(lambda value: f"{value:.4g}" if isinstance(value, float) else value)
    shown = shown.mask(frame.isna(), "")
    texts = {
        ".csv": frame.to_csv(index=False),
        ".md": shown.to_markdown(index=False, disable_numparse=True) + "\n",
        ".tex": shown.to_latex(index=False, escape=True),
    }
    for ending, text in texts.items():
        with replacing(path.with_suffix(ending)) as partial:
            partial.write_text(text)


def _with_their_zoos(
    metrics: list[Path], zoo_metrics: list[Path]
) -> Iterator[tuple[dict[str, str], pd.DataFrame, pd.DataFrame]]:
    """Yield each combination's names, its generated networks' metrics, and its zoo's."""
    zoos = {tuple(lineage(path, 2).values()): pd.read_csv(path) for path in zoo_metrics}
    for path in metrics:
        keys = lineage(path, 4)
        yield keys, pd.read_csv(path), zoos[keys["zoo"], keys["canonicalization"]]
