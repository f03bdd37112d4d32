"""The content of results folders, as one data frame per kind of result."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from dwf_steps.config.representation import WEIGHTS
from dwf_steps.config.workflow import Cell
from dwf_steps.generators.samples import Samples
from dwf_steps.metrics.measures import measures_in
from dwf_steps.reporting.record import GENERATOR_KEYS, KEYS, RECORD, ExperimentRecord
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.arrays import load_arrays
from dwf_steps.storage.csv_tables import read_csv
from dwf_steps.storage.lineage import benchmark_lineage
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.texts import read_text
from dwf_steps.subspace.basis import Basis

ZOO_KEYS = KEYS[:2]
REPRESENTATION_KEYS = KEYS[:3]
GENERATOR_DEPTH = len(GENERATOR_KEYS)
BASIS_DEPTH = GENERATOR_DEPTH - 1
COMPARED = [*ZOO_KEYS, "recalibration"]  # networks are compared with those that share these
METRICS = "metrics.csv"
OF_MODELS = ("training.csv", "reconstruction.csv")  # of generators that share a model, beside it once
ZOO_STAGES = ("train_zoo", "import_zoo")  # make networks of zoos


def grouped(frame: pd.DataFrame, keys: list[str]) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Yield the rows of each combination of labels.

    Parameters
    ----------
    frame
        With a column for each key.
    keys
        Columns with labels.

    Yields
    ------
    The labels by column, and the rows, in order of appearance.
    """
    for labels, rows in frame.groupby(keys, sort=False):
        yield dict(zip(keys, map(str, labels), strict=True)), rows


def several(values: pd.Series) -> bool:
    """Return whether a column has more than one value.

    Parameters
    ----------
    values
        The column.

    Returns
    -------
    Whether values differ.
    """
    return len(values.unique()) > 1


def with_places(names: pd.Series, places: pd.DataFrame, drawn: pd.Series) -> pd.Series:
    """Add to the names of generators where they draw, if they do so in several places.

    Parameters
    ----------
    names
        A name for each row.
    places
        For each row its representation, subspace or both, a column for each level.
    drawn
        Which rows are drawn in coordinates. The names of all others do not change.

    Returns
    -------
    Names, followed in brackets by the levels that have several values.
    """
    told_apart = [level for level in places if several(places[level][drawn])]
    if not told_apart:
        return names
    return names.where(~drawn, names + " (" + places[told_apart].agg(", ".join, axis=1) + ")")


def _distances_by_layer(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of distances in single layers, with all columns even if no network was realigned."""
    return _with_columns(frame, "network", "layer", "distance").astype({"distance": float})


def _accuracies_by_class(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of accuracies on single classes, with all columns even if it has no rows."""
    return _with_columns(frame, "network", "class", "examples", "accuracy").astype({"accuracy": float})


def _with_columns(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    return frame.reindex(columns=list(dict.fromkeys([*frame.columns, *names])))


@dataclass(frozen=True)
class Results:
    """One results folder, and the record of its experiments."""

    root: Path
    record: ExperimentRecord

    @classmethod
    def open(cls, root: Path) -> "Results":
        """Open a folder whose tables were made.

        Parameters
        ----------
        root
            The folder.

        Returns
        -------
        Its results.

        Raises
        ------
        InputError
            If there are no tables.
        """
        path = root / RECORD
        if not path.is_file():
            raise InputError(f"{path}: no such file; run `snakemake tables` there first")
        return cls(root, ExperimentRecord.model_validate_json(read_text(path)))

    def labels(self, cell: Cell, depth: int = len(KEYS)) -> dict[str, str]:
        """Return a cell's names in tables, down to a level."""
        return {
            level: self.record.label(level, name) for level, name in zip(KEYS[:depth], cell, strict=False)
        }

    def folder(self, cell: Cell, depth: int = len(KEYS)) -> Path:
        """Return the folder of a cell, down to a level."""
        return self.root.joinpath(*cell[:depth])

    def prefixes(self, depth: int) -> list[Cell]:
        """Return one cell for every combination of the first levels."""
        return list({cell[:depth]: cell for cell in self.record.cells}.values())


class Collection:
    """The results of one or several folders.

    Rows with the same labels are repetitions, which differ in ``run``. The first columns of every frame are
    the labels of the levels (`KEYS`, or for zoos `ZOO_KEYS` or `COMPARED`).
    """

    def __init__(self, results: Sequence[Results]) -> None:
        self.results = list(results)

    @cached_property
    def networks(self) -> pd.DataFrame:
        """Generated networks, one row each."""
        return self._read(METRICS, len(KEYS))

    @cached_property
    def layers(self) -> pd.DataFrame:
        """Distances of realigned generated networks in single layers, one row per network and layer."""
        return _distances_by_layer(self._read("layers.csv", len(KEYS)))

    @cached_property
    def classes(self) -> pd.DataFrame:
        """Accuracies of generated networks on single classes, one row per network and class."""
        return _accuracies_by_class(self._read("classes.csv", len(KEYS)))

    @cached_property
    def sets(self) -> pd.DataFrame:
        """Measures of each generator's networks as a set, one row each."""
        return self._read("sets.csv", len(KEYS))

    @cached_property
    def ensembles(self) -> pd.DataFrame:
        """Ensembles of generated networks, one row per size."""
        return self._read("ensembles.csv", len(KEYS))

    @cached_property
    def zoos(self) -> pd.DataFrame:
        """The zoos' networks, with each recalibration of the generated networks, one row each."""
        return self._read_zoos(METRICS)

    @cached_property
    def zoo_layers(self) -> pd.DataFrame:
        """Distances of the zoos' realigned networks in single layers, one row per network and layer."""
        return _distances_by_layer(self._read_zoos("layers.csv")).astype({"held_out": bool})

    @cached_property
    def zoo_classes(self) -> pd.DataFrame:
        """Accuracies of the zoos' networks on single classes, one row per network and class."""
        return _accuracies_by_class(self._read_zoos("classes.csv")).astype({"held_out": bool})

    @cached_property
    def zoo_ensembles(self) -> pd.DataFrame:
        """Ensembles of training networks, one row per size."""
        return self._read_zoos("ensembles.csv")

    @cached_property
    def alignments(self) -> pd.DataFrame:
        """The effects of canonicalizations, one row per network."""
        return self._read("alignment.csv", 2)

    @cached_property
    def exactness(self) -> pd.DataFrame:
        """Networks of zoos that were decoded from their own coordinates, one row each."""
        return self._read_represented("exactness.csv")

    @cached_property
    def response_shares(self) -> pd.DataFrame:
        """The shares of squared responses that representations keep, one row per layer."""
        return self._read_represented("shares.csv")

    @cached_property
    def losses(self) -> pd.DataFrame:
        """The losses of every fit, once for each model."""
        return self._read("training.csv", GENERATOR_DEPTH)

    @cached_property
    def reconstructions(self) -> pd.DataFrame:
        """Networks of zoos that autoencoders encoded and decoded, one row each, once for each model."""
        return self._read("reconstruction.csv", GENERATOR_DEPTH)

    @cached_property
    def transfers(self) -> pd.DataFrame:
        """Networks on other data sets, one row per epoch of fine-tuning, starting with epoch 0."""
        frames = []
        for results in self.results:
            for cell, name in results.record.transferred:
                path = results.folder(cell) / "transfers" / f"{name}.csv"
                labels = results.labels(cell) | {"transfer": name, "run": str(path)}
                frames.append(read_csv(path).assign(**labels))
        return pd.concat(frames, ignore_index=True)

    @cached_property
    def likelihoods(self) -> pd.DataFrame:
        """Log-densities of networks under flows, one row per network."""
        frames = [
            read_csv(results.folder(cell, GENERATOR_DEPTH) / "likelihood.csv").assign(
                **results.labels(cell, GENERATOR_DEPTH)
            )
            for results in self.results
            for cell in results.prefixes(GENERATOR_DEPTH)
            if cell.generator in results.record.likelihoods
        ]
        return pd.concat(frames, ignore_index=True)

    @cached_property
    def halfway(self) -> pd.DataFrame:
        """Networks half-way between two training networks, one row each.

        Columns such as ``ends_accuracy`` are the mean scores of these two after the same recalibration.
        """
        frames = []
        for results, cell in self.cells():
            if cell.generator not in results.record.halfway:
                continue
            samples = Samples.load(results.folder(cell, GENERATOR_DEPTH) / "latents.npz")
            ends = np.argsort(samples.coefficients, axis=1)[:, -2:]  # those with a weight of a half
            zoo = read_csv(
                results.root / cell.zoo / cell.canon / "zoo_metrics" / cell.recalibration / METRICS
            )
            frame, training = read_csv(results.folder(cell) / METRICS), zoo[~zoo.held_out]
            for score in training.columns.intersection(list(measures_in("accuracy"))):
                frame[f"ends_{score}"] = training[score].to_numpy()[ends].mean(axis=1)
            frames.append(frame.assign(**results.labels(cell)))
        return pd.concat(frames, ignore_index=True)

    @cached_property
    def other_widths(self) -> pd.DataFrame:
        """Networks of other widths than in their flow's fit, one row each; failed ones have no scores."""
        rows = []
        for results in self.results:
            for cell in results.prefixes(GENERATOR_DEPTH):
                folder = results.folder(cell, GENERATOR_DEPTH) / "other_widths"
                for name in results.record.other_widths.get(cell.generator, []):
                    manifest = Manifest.read(folder / f"{name}.json")
                    labels = results.labels(cell, GENERATOR_DEPTH) | {"widths": name}
                    rows += [labels | {"failed": False} | record.facts for record in manifest.networks]
                    rows += [labels | {"failed": True} for _ in manifest.failed]
        return pd.DataFrame(rows, columns=[*GENERATOR_KEYS, "widths", "failed", "accuracy", "loss"])

    def bases(self) -> Iterator[tuple[dict[str, str], Basis]]:
        """Yield every basis with its labels."""
        for results in self.results:
            for cell in results.prefixes(BASIS_DEPTH):
                path = results.folder(cell, BASIS_DEPTH) / "basis.npz"
                yield results.labels(cell, BASIS_DEPTH), Basis.load(path)

    @cached_property
    def correct(self) -> dict[tuple[str, ...], np.ndarray]:
        """The share of networks that are right about each test item, (m,), by labels."""
        found: dict[tuple[str, ...], list[np.ndarray]] = {}
        for results, cell in self.cells():
            labels = tuple(results.labels(cell).values())
            stored = load_arrays(results.folder(cell) / "items.npz", ["correct"])
            found.setdefault(labels, []).append(stored["correct"])
        return {labels: np.mean(items, axis=0) for labels, items in found.items()}

    @cached_property
    def generators(self) -> pd.DataFrame:
        """The ``family`` and the properties of the generator behind each label."""
        rows = {}
        for results, cell in self.cells():
            facts = results.record.generators[cell.generator].model_dump()
            family = results.record.family("generator", cell.generator)
            label = results.record.label("generator", cell.generator)
            rows[label] = {"generator": label, "family": family} | facts
        return pd.DataFrame(rows.values())

    @cached_property
    def drawn_in(self) -> dict[str, dict[str, str]]:
        """By label of a generator that takes its networks from a joint zoo, the labels of its source.

        The source is the joint zoo, and the generator there.
        """
        return {
            results.record.label("generator", name): {
                "zoo": results.record.label("zoo", zoo),
                "generator": results.record.label("generator", generator),
            }
            for results in self.results
            for name, (zoo, generator) in results.record.drawn_in.items()
        }

    def zoo(self, labels: Mapping[str, str]) -> pd.DataFrame:
        """Return the networks of the zoo that a combination's networks are compared with."""
        return self.zoos[(self.zoos[COMPARED] == [labels[level] for level in COMPARED]).all(axis=1)]

    def cells(self) -> Iterator[tuple[Results, Cell]]:
        """Yield every combination that was run, with its results folder."""
        for results in self.results:
            for cell in results.record.cells:
                yield results, cell

    def manifests(self) -> pd.DataFrame:
        """Return the facts of the shards of generated networks, one row each."""
        rows = []
        for results in self.results:
            for cell in results.prefixes(GENERATOR_DEPTH):
                folder = results.folder(cell, GENERATOR_DEPTH) / "networks"
                for path in sorted(folder.glob("shard-*.json")):
                    rows.append(results.labels(cell, GENERATOR_DEPTH) | Manifest.read(path).facts)
        return pd.DataFrame(rows)

    @cached_property
    def benchmarks(self) -> pd.DataFrame:
        """Seconds and peak memory (MB) of every job behind the combinations, one row each.

        Levels below the job's are empty. The fit of a model has a row for each generator that uses it.
        """
        rows = []
        for results in self.results:
            asked = {cell[:depth] for cell in results.record.made for depth in range(1, len(KEYS) + 1)}
            for path in sorted((results.root / "benchmarks").rglob("*.tsv")):
                stage, names = path.stem.partition("-")[0], benchmark_lineage(path)
                sharing = [names]
                if stage == "fit_generator":
                    models = results.record.fitted_by.items()
                    sharing = [names | {"generator": flow} for flow, by in models if by == names["generator"]]
                sharing = [own for own in sharing if tuple(filter(None, own.values())) in asked]
                if not sharing:
                    continue
                measured = pd.read_csv(path, sep="\t", na_values="-")
                for own in sharing:
                    labels = {level: results.record.label(level, name) for level, name in own.items() if name}
                    rows.append(
                        {"stage": stage}
                        | dict.fromkeys(KEYS, "")
                        | labels
                        | {
                            "run": str(path.parent),
                            "seconds": measured.s.mean(),
                            "peak_memory_mb": measured.max_rss.mean(),
                            "networks": self._divisor(results, own, stage),
                        }
                    )
        return pd.DataFrame(rows)

    def _divisor(self, results: Results, names: dict[str, str], stage: str) -> int:
        """Return the number of networks by which a stage's seconds are divided.

        The seconds of trainings are divided by the number of trainings, not of checkpoints, since an ensemble
        has at most one checkpoint of each.
        """
        if names["generator"]:
            return results.record.samples[names["generator"]]
        of = results.record.zoo_trainings if stage in ZOO_STAGES else results.record.zoo_networks
        return of[names["zoo"]]

    def _read_represented(self, name: str) -> pd.DataFrame:
        depth, frames = len(REPRESENTATION_KEYS), []
        for results in self.results:
            for cell in results.prefixes(depth):
                if cell.representation != WEIGHTS:
                    frame = read_csv(results.folder(cell, depth) / name)
                    frames.append(frame.assign(**results.labels(cell, depth)))
        return pd.concat(frames, ignore_index=True)

    def _read_zoos(self, name: str) -> pd.DataFrame:
        frames = []
        for results in self.results:
            compared = dict.fromkeys((c.zoo, c.canon, c.recalibration) for c in results.record.cells)
            for zoo, canon, recalibration in compared:
                folder = results.root / zoo / canon / "zoo_metrics" / recalibration
                frame = read_csv(folder / name)
                for level, value in zip(COMPARED, (zoo, canon, recalibration), strict=True):
                    frame.insert(COMPARED.index(level), level, results.record.label(level, value))
                frame.insert(len(COMPARED), "run", str(folder))
                frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def _read(self, name: str, depth: int) -> pd.DataFrame:
        frames, read = [], set[Path]()
        for results in self.results:
            for cell in results.prefixes(depth):
                folder = results.folder(cell, depth)
                if name in OF_MODELS:
                    models = results.record.fitted_by
                    asked = name == "training.csv" or cell.generator in results.record.autoencoders
                    model = models.get(cell.generator) if asked else None
                    if model is None or (folder := folder.with_name(model)) in read:
                        continue
                    read.add(folder)
                frame = read_csv(folder / name)
                for place, (level, label) in enumerate(results.labels(cell, depth).items()):
                    frame.insert(place, level, label)
                frame.insert(depth, "run", str(folder))
                frames.append(frame)
        filled = [frame for frame in frames if len(frame)]
        return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=[*KEYS, "run"])
