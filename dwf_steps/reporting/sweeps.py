"""Studies: what changes along a sweep."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dwf_steps.reporting.record import GENERATOR_KEYS, KEYS, SECTIONS
from dwf_steps.reporting.results import Collection, grouped

SWEPT_MEASURES = ["accuracy", "loss", "max_iou", "nn_distance"]


def sweep_table(collection: Collection, costs: pd.DataFrame, family: str, level: str) -> pd.DataFrame:
    """Return one row for every setting of a family, and every combination of the other levels.

    ``accuracy_std`` is across networks, ``accuracy_repeats_std`` that of the means of ``repeats``.

    Parameters
    ----------
    costs
        The `cost_table`.
    """
    settings = {
        results.record.label(level, name): member.setting
        for results in collection.results
        for name, member in results.record.members.get(SECTIONS[level], {}).items()
        if member.family == family
    }
    networks = collection.networks
    facts = collection.manifests().reindex(columns=[*GENERATOR_KEYS, "evaluations"])
    evaluations = facts.groupby(GENERATOR_KEYS).evaluations.mean()
    rows = []
    for keys, group in grouped(networks[networks[level].isin(settings)], KEYS):
        good = group[~group.failed]
        labels = {key: value for key, value in keys.items() if key != level} | {"swept": family}
        own: dict[str, Any] = {"label": keys[level]}
        for measure in SWEPT_MEASURES:
            own |= {f"{measure}_mean": good[measure].mean(), f"{measure}_std": good[measure].std()}
        own |= {
            "evaluations": evaluations.get(tuple(keys[level] for level in GENERATOR_KEYS)),
            "accuracy_repeats_std": good.groupby("run").accuracy.mean().std(),
            "repeats": group.run.nunique(),
            "n": len(good),
            "failed_n": int(group.failed.sum()),
        }
        rows.append(disjoint(labels, settings[keys[level]], own))
    costs = costs[[*KEYS, "fit_seconds", "seconds_per_network"]].rename(columns={level: "label"})
    table = pd.DataFrame(rows)
    return table.merge(costs, on=[key for key in [*KEYS, "label"] if key != level], how="left").drop(
        columns="label"
    )


def disjoint(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of all parts.

    Raises
    ------
    ValueError
        If two of them have a column of one name.
    """
    row: dict[str, Any] = {}
    for part in parts:
        if twice := row.keys() & part.keys():
            raise ValueError(
                f"several columns are called {', '.join(map(repr, twice))}; expected one of each name"
            )
        row |= part
    return row
