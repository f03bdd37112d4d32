"""Studies: what changes along a sweep."""

from typing import Any

import pandas as pd

from dwf_steps.reporting.results import KEYS, SECTIONS, Collection, ExperimentRecord, grouped

MEASURES = ["accuracy", "loss", "max_iou", "nn_distance"]


def swept_families(record: ExperimentRecord) -> dict[str, str]:
    """Return the families of which the experiments use members that a study varies, and their level."""
    used = {level: {cell[place] for cell in record.cells} for place, level in enumerate(KEYS)}
    return {
        member.family: level
        for level, section in SECTIONS.items()
        for name, member in record.members.get(section, {}).items()
        if name in used[level] and member.setting
    }


def sweep_table(collection: Collection, costs: pd.DataFrame, family: str, level: str) -> pd.DataFrame:
    """Return one row for every setting of a family, and every combination of the other levels.

    ``accuracy_std`` is across networks, ``accuracy_repeats_std`` that of the means of ``repeats``.

    Parameters
    ----------
    costs
        The `cost_table`.
    """
    record = collection.results[0].record
    settings = {
        record.label(level, name): member.setting
        for name, member in record.members[SECTIONS[level]].items()
        if member.family == family
    }
    networks = collection.networks
    facts = collection.manifests().reindex(columns=[*KEYS[:4], "evaluations"])
    evaluations = facts.groupby(KEYS[:4]).evaluations.mean()
    rows = []
    for keys, group in grouped(networks[networks[level].isin(settings)], KEYS):
        good = group[~group.failed]
        row: dict[str, Any] = {key: value for key, value in keys.items() if key != level}
        row |= {"swept": family} | settings[keys[level]] | {"label": keys[level]}
        for measure in MEASURES:
            row |= {f"{measure}_mean": good[measure].mean(), f"{measure}_std": good[measure].std()}
        row |= {
            "evaluations": evaluations.get(tuple(keys[level] for level in KEYS[:4])),
            "accuracy_repeats_std": good.groupby("run").accuracy.mean().std(),
            "repeats": group.run.nunique(),
            "n": len(good),
            "failed_n": int(group.failed.sum()),
        }
        rows.append(row)
    costs = costs[[*KEYS, "fit_seconds", "seconds_per_network"]].rename(columns={level: "label"})
    table = pd.DataFrame(rows)
    return table.merge(costs, on=[key for key in [*KEYS, "label"] if key != level], how="left").drop(
        columns="label"
    )
