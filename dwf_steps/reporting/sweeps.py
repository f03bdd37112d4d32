"""Studies: measures along the settings of a sweep."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dwf_steps.reporting.record import GENERATOR_KEYS, KEYS, SECTIONS, swept_families
from dwf_steps.reporting.results import Collection, grouped

SWEPT_MEASURES = ("accuracy", "loss", "max_iou", "nn_distance", "realigned_distance")
BESIDE = ("accuracy", "max_iou", "nn_distance", "realigned_distance")  # stated of the zoo's own networks too


@dataclass(frozen=True)
class Study:
    """A family of definitions that a sweep varies.

    Attributes
    ----------
    family, level
        Its name and level, such as ``generator``.
    settings
        The values that it varies, by the labels of its members.
    """

    family: str
    level: str
    settings: dict[str, dict[str, Any]]


def sweep_table(collection: Collection, costs: pd.DataFrame, family: str, level: str) -> pd.DataFrame:
    """Return one row for every setting of a family and every combination of the other levels.

    ``accuracy_std`` is across networks, ``accuracy_repeats_std`` across the means of ``repeats``; values of
    the zoo's networks are leave-one-out values. Generators that are swept over the same settings as a family
    of another level have rows too, under the name of their own family.

    Parameters
    ----------
    collection
        The results.
    costs
        The `cost_table`.
    family
        Name of the definition with the sweep.
    level
        Its level, such as ``generator``.

    Returns
    -------
    Labels, settings and measures, in this order of columns.
    """
    seconds = {tuple(row[level] for level in KEYS): row for row in costs.to_dict("records")}
    facts = collection.manifests().reindex(columns=[*GENERATOR_KEYS, "evaluations"])
    evaluations = facts.groupby(GENERATOR_KEYS).evaluations.mean()
    rows = []
    for study, keys, group in study_rows(collection, family, level):
        good, zoo = group[~group.failed], collection.zoo(keys)
        named = keys | {study.level: study.family}
        labels = {key: value for key, value in named.items() if key != level}
        own: dict[str, Any] = {}
        for measure in SWEPT_MEASURES:
            own |= {f"{measure}_mean": good[measure].mean(), f"{measure}_std": good[measure].std()}
        for of, some in (("zoo", zoo[~zoo.held_out]), ("held_out", zoo[zoo.held_out])):
            own |= {f"{of}_{measure}_mean": some[measure].mean() for measure in BESIDE}
        own |= {
            "evaluations": evaluations.get(tuple(keys[level] for level in GENERATOR_KEYS)),
            "accuracy_repeats_std": good.groupby("run").accuracy.mean().std(),
            "repeats": group.run.nunique(),
            "n": len(good),
            "failed_n": int(group.failed.sum()),
        }
        cost = seconds[tuple(keys[level] for level in KEYS)]
        own |= {name: cost[name] for name in ("fit_seconds", "seconds_per_network")}
        rows.append(disjoint(labels | {"swept": family}, study.settings[keys[study.level]], own))
    return pd.DataFrame(rows)


def study_rows(
    collection: Collection, family: str, level: str
) -> Iterator[tuple[Study, dict[str, str], pd.DataFrame]]:
    """Yield the networks behind each row of the `sweep_table`, in its order.

    Parameters
    ----------
    collection
        The results.
    family
        Name of the definition with the sweep.
    level
        Its level, such as ``generator``.

    Yields
    ------
    The study that the row belongs to, the row's labels by level, and its networks.
    """
    networks = collection.networks
    for own_family, own_level in [(family, level), *_swept_alike(collection, family, level)]:
        study = Study(own_family, own_level, _settings(collection, own_family, own_level))
        for keys, group in grouped(networks[networks[own_level].isin(study.settings)], KEYS):
            yield study, keys, group


def _settings(collection: Collection, family: str, level: str) -> dict[str, dict[str, Any]]:
    """Return the values that a study varies, by the labels of the family's members."""
    return {
        results.record.label(level, name): member.setting
        for results in collection.results
        for name, member in results.record.members.get(SECTIONS[level], {}).items()
        if member.family == family
    }


def _swept_alike(collection: Collection, family: str, level: str) -> list[tuple[str, str]]:
    """Return the families of generators with the same swept settings as a family of another level.

    These are controls beside a representation.
    """
    if level == "generator":
        return []

    def varied(family: str, level: str) -> set[str]:
        return {key for setting in _settings(collection, family, level).values() for key in setting}

    studies = {
        study: None for results in collection.results for study in swept_families(results.record).items()
    }
    return [study for study in studies if study[1] == "generator" and varied(*study) == varied(family, level)]


def disjoint(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row with the columns of all parts.

    Parameters
    ----------
    parts
        Values by column.

    Returns
    -------
    All values by column.

    Raises
    ------
    ValueError
        If two parts have a column of the same name.
    """
    row: dict[str, Any] = {}
    for part in parts:
        if twice := row.keys() & part.keys():
            raise ValueError(
                f"several columns are called {', '.join(map(repr, twice))}; expected one of each name"
            )
        row |= part
    return row
