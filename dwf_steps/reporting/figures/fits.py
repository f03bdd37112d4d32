"""Figures of what was fitted: bases, generators, and networks in fine-tuning."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dwf_steps.reporting.figures.style import (
    distinct,
    in_percents,
    label_panels,
    listed,
    mark_of,
    names_of,
    panels,
    save,
    state,
)
from dwf_steps.reporting.overview import in_percent
from dwf_steps.reporting.record import GENERATOR_KEYS
from dwf_steps.reporting.results import Collection, grouped, several

MOST = 0.9  # of the variance
MARKS = 5  # on a curve, which tell curves apart in grey


def explained_variance(collection: Collection, path: Path) -> None:
    """Draw the cumulative share of the total variance over components, for every basis.

    Parameters
    ----------
    collection
        The results.
    path
        Where to write it, as pdf and as png.
    """
    bases = list(collection.bases())
    labelled = pd.DataFrame([labels for labels, _ in bases])
    colours = names_of(labelled.canonicalization + labelled.representation)
    named = [*distinct(labelled, ["canonicalization", "representation"]), "subspace"]
    with panels(["all"], names_of(labels["zoo"] for labels, _ in bases)) as (figure, axes):
        for labels, basis in bases:
            if not basis.components:
                continue
            share = np.concatenate([[0], np.cumsum(basis.explained_variance_ratio)])
            mark = mark_of(colours.index(labels["canonicalization"] + labels["representation"]))
            label = ", ".join(labels[level] for level in named)
            ax = axes["all", labels["zoo"]]
            ax.plot(np.arange(len(share)), share, label=label, **mark, **_marks(len(share)))
        for (_, zoo), ax in axes.items():
            ax.set(title=zoo, xlabel="components", ylabel="explained variance", ylim=(0, 1.02))
        in_percents(axes.values())
        told_apart = [level for level in ("zoo", *named) if several(labelled[level])] or ["subspace"]
        enough = [
            f"{1 + np.searchsorted(np.cumsum(basis.explained_variance_ratio), MOST)} of {basis.components}"
            f" ({', '.join(labels[level] for level in told_apart)})"
            for labels, basis in bases
            if basis.components and basis.explained_variance_ratio.sum() >= MOST
        ]
        if enough:
            state(figure, f"Components for {MOST:.0%} of the variance: {listed(enough)}")
        save(figure, path)


def loss_curves(collection: Collection, path: Path) -> None:
    """Draw training and validation losses of every generator with a model.

    An autoencoder and the model of its codes have separate curves.

    Parameters
    ----------
    collection
        The results.
    path
        Where to write it, as pdf and as png.
    """
    losses = collection.losses
    losses = losses.assign(phase=losses["phase"].fillna("") if "phase" in losses else "")
    zoos, canons = names_of(losses.zoo), names_of(losses.canonicalization)
    curves = names_of(losses.generator + losses.representation)
    named = distinct(losses, ["generator", "representation", "subspace"])
    last: list[str] = []
    with panels(canons or ["no flow was trained"], zoos or [""]) as (figure, axes):
        for keys, rows in grouped(losses, [*GENERATOR_KEYS, "run", "phase"]):
            ax = axes[keys["canonicalization"], keys["zoo"]]
            mark = mark_of(curves.index(keys["generator"] + keys["representation"]))
            label = ", ".join(filter(None, [*(keys[level] for level in named), keys["phase"]]))
            ax.plot(rows.step, rows.validation, label=f"{label}: validation", **mark, **_marks(len(rows)))
            ax.plot(rows.step, rows.train, color=mark["color"], alpha=0.6, linestyle=":")
            last.append(f"{label} {rows.validation.iloc[-1]:.2g}")
        for (canon, zoo), ax in axes.items():
            if ax.get_lines():
                ax.plot([], [], color="black", alpha=0.6, linestyle=":", label="training")
            ax.set(title=f"{zoo}, {canon}", xlabel="step", ylabel="loss", yscale="log")
        if last:
            state(figure, f"Validation loss at the end: {listed(last)}")
        save(figure, path)


def transfer_curves(collection: Collection, path: Path) -> None:
    """Draw the mean test accuracy on other data sets over epochs of fine-tuning.

    There is a line for each generator; bands are one standard deviation across networks.

    Parameters
    ----------
    collection
        The results.
    path
        Where to write it, as pdf and as png.
    """
    frame = collection.transfers
    frame = frame.assign(
        panel=frame.zoo + " to " + frame["transfer"] + ", " + frame.canonicalization,
        line=[
            ", ".join(row)
            for row in frame[distinct(frame, ["generator", "representation", "subspace"])].itertuples(
                index=False
            )
        ],
    )
    lines = names_of(frame.line)
    with panels(names_of(frame.recalibration), names_of(frame.panel)) as (figure, axes):
        for keys, rows in grouped(frame, ["recalibration", "panel", "line"]):
            mean, spread = (getattr(rows.groupby("epoch").accuracy, name)() for name in ("mean", "std"))
            mark, ax = mark_of(lines.index(keys["line"])), axes[keys["recalibration"], keys["panel"]]
            ax.plot(mean.index, mean, markersize=4, label=keys["line"], **mark)
            band = spread.fillna(0)
            ax.fill_between(
                mean.index, mean - band, mean + band, color=mark["color"], alpha=0.12, linewidth=0
            )
        label_panels(axes, "epochs of fine-tuning", "test accuracy")
        in_percents(axes.values())
        if frame[frame.epoch == frame.epoch.max()].accuracy.notna().any():
            state(figure, _best_transfer(frame))
        save(figure, path)


def _best_transfer(frame: pd.DataFrame) -> str:
    """Return a sentence on the most accurate networks after the last epoch of fine-tuning."""
    last = frame[frame.epoch == frame.epoch.max()]
    means = last.groupby(["panel", "line"], sort=False).accuracy.mean().dropna()
    (panel, line), best = means.idxmax(), means.max()
    place = f" ({panel})" if several(frame.panel) else ""
    return f"The most accurate after fine-tuning: {line}{place}, {in_percent(best)}"


def _marks(points: int) -> dict[str, Any]:
    """Return how a curve of so many points has `MARKS` of them marked."""
    return {"markevery": max(1, -(-points // MARKS)), "markersize": 4}
