"""The result tables, from all measurements of every combination."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from dwf_steps.metrics.measures import measures_in
from dwf_steps.metrics.uncertainty import paired_bootstrap
from dwf_steps.reporting.record import GENERATOR_KEYS, KEYS
from dwf_steps.reporting.results import COMPARED, REPRESENTATION_KEYS, ZOO_KEYS, Collection, grouped
from dwf_steps.reporting.writing import presentable
from dwf_steps.runtime.randomness import numpy_generator

# Units of scores, where numbers are predicted and where classes are; the others have none.
NUMBER_UNITS = {"loss": "(high - low)^2", "mean_absolute_error": "target"}
CLASS_UNITS = {"loss": "nats"}
SCORES = measures_in("accuracy")
ERRORS = ("loss", "brier", "calibration_error", "mean_absolute_error")  # the scores that are better if lower
NOVELTY = measures_in("novelty")
DISTANCES = measures_in("distances")
SIGNIFICANT = 0.05


def accuracy_table(collection: Collection) -> pd.DataFrame:
    """Return mean and standard deviation of every score, for the zoo and for generated networks.

    ``generated_std`` is across networks, ``repeats_std`` across the means of ``repeats`` (seeds of the fit,
    references). Values of the zoo are over its training networks; failed networks are counted, not averaged.
    ``p_best`` is the p-value of a paired bootstrap over test items against the generator with the highest
    accuracy in the same zoo, canonicalization and recalibration, for which it is 1. If a zoo predicts
    numbers, the ``unit`` of each score is given; "target" is the unit of the targets.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per combination and score.
    """
    p_best = _against_the_best(collection)
    rows = []
    for labels, generated in grouped(collection.networks, KEYS):
        training = _training(_zoo(collection, labels))
        good = generated[~generated.failed]
        scores = [score for score in SCORES if score in training and training[score].notna().any()]
        units = NUMBER_UNITS if "mean_absolute_error" in scores else CLASS_UNITS
        rows += [
            labels
            | {
                "metric": score,
                "unit": units.get(score, ""),
                "zoo_mean": training[score].mean(),
                "zoo_std": training[score].std(),
                "zoo_n": len(training),
                "generated_mean": good[score].mean(),
                "generated_std": good[score].std(),
                "generated_n": len(good),
                "failed_n": int(generated.failed.sum()),
                "repeats": generated.run.nunique(),
                "repeats_std": good.groupby("run")[score].mean().std(),
                "p_best": p_best[tuple(labels.values())] if score == "accuracy" else np.nan,
            }
            for score in scores
        ]
    table = pd.DataFrame(rows)
    return table if (table.metric == "mean_absolute_error").any() else table.drop(columns="unit")


def class_accuracy_table(collection: Collection) -> pd.DataFrame:
    """Return the accuracy on each class, of training networks and of generated networks that did not fail.

    Parameters
    ----------
    collection
        The results; zoos that predict numbers have no rows.

    Returns
    -------
    One row per combination and class, in the order of the classes, with the number of test ``examples``.
    """
    cells = collection.networks[KEYS].drop_duplicates()
    of_zoo = _training(collection.zoo_classes).groupby([*COMPARED, "class"], sort=False, as_index=False)
    zoo = of_zoo.agg(examples=("examples", "first"), zoo_mean=("accuracy", "mean"))
    of_generated = collection.classes.groupby([*KEYS, "class"], sort=False, as_index=False)
    generated = of_generated.agg(
        generated_mean=("accuracy", "mean"),
        generated_std=("accuracy", "std"),
        generated_n=("accuracy", "size"),
    )
    table = cells.merge(zoo, on=COMPARED).merge(generated, on=[*KEYS, "class"], how="left")
    return table.fillna({"generated_n": 0}).astype({"generated_n": int})


def novelty_table(collection: Collection, layers: pd.DataFrame) -> pd.DataFrame:
    """Return how close generated networks come to training networks.

    Beside them are the zoo's leave-one-out values and those of held-out networks.

    Parameters
    ----------
    collection
        The results.
    layers
        The `layers_table`, whose smallest ratio over layers is ``layer_novelty``.

    Returns
    -------
    One row per combination.
    """
    table = _beside_the_zoo(collection, [measure for measure in NOVELTY if measure in collection.zoos])
    least = layers.groupby(KEYS, sort=False, as_index=False).agg(layer_novelty=("ratio", "min"))
    return table.merge(least, on=KEYS, how="left")


def layers_table(collection: Collection) -> pd.DataFrame:
    """Return the mean distance of realigned networks to the nearest training network in each layer.

    Beside it are the zoo's leave-one-out value and that of held-out networks. ``ratio`` is relative to the
    mean of held-out networks, or of the zoo if none are held out; it is empty for layers in which all
    networks are the same.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per combination and layer.
    """
    zoo = collection.zoo_layers
    keys = [*COMPARED, "layer"]
    generated = collection.layers.groupby([*KEYS, "layer"], sort=False, as_index=False)
    table = generated.agg(distance_mean=("distance", "mean"))
    for prefix, rows in (("zoo_", _training(zoo)), ("held_out_", zoo[zoo.held_out])):
        of_zoo = rows.groupby(keys, sort=False, as_index=False)
        means = of_zoo.agg(**{f"{prefix}distance_mean": ("distance", "mean")})
        table = table.merge(means, on=keys, how="left")
    unit = table.held_out_distance_mean.fillna(table.zoo_distance_mean)
    table["ratio"] = table.distance_mean / unit.where(unit > 0)
    return table


def good_and_new_table(collection: Collection) -> pd.DataFrame:
    """Return the share of each generator's networks that are both good and new, failed ones included.

    Beside it are the shares of the zoo's networks, leave-one-out, and of held-out networks. Good networks
    score at least the training networks' mean minus ``margin``; ``score`` is accuracy, or Spearman's rank
    correlation if numbers are predicted. New networks are at least ``factor`` times as far from the nearest
    training network as training networks are on average, after realigning if that was measured for a network,
    otherwise before.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per combination and ``factor``.
    """
    record, rows = collection.results[0].record, []
    for labels, generated in grouped(collection.networks, KEYS):
        zoo = _zoo(collection, labels)
        training = _training(zoo)
        numbers = "spearman" in training and training.spearman.notna().any()
        score = "spearman" if numbers else "accuracy"
        kinds = {"": generated, "zoo_": training, "held_out_": zoo[zoo.held_out]}
        good = {
            of: frame[score] >= training[score].mean() - record.good_margin for of, frame in kinds.items()
        }
        novelty = {of: _novelty(frame, training) for of, frame in kinds.items()}
        for factor in record.novelty_factors:
            row: dict[str, object] = labels | {"score": score, "margin": record.good_margin, "factor": factor}
            for of in kinds:
                new = novelty[of] >= factor
                row |= {
                    f"{of}good_and_new": (good[of] & new).mean(),
                    f"{of}good": good[of].mean(),
                    f"{of}new": new.mean(),
                }
            rows.append(row)
    return pd.DataFrame(rows)


def _novelty(frame: pd.DataFrame, training: pd.DataFrame) -> pd.Series:
    """Return each network's distance to the nearest training network, after realigning if measured.

    It is relative to the mean of the training networks.
    """
    realigned = frame.realigned_distance / training.realigned_distance.mean()
    return realigned.fillna(frame.nn_distance / training.nn_distance.mean())


def distances_table(collection: Collection) -> pd.DataFrame:
    """Return where generated networks lie in weight space.

    Beside the zoo's leave-one-out values and those of held-out networks, these are distances to the nearest
    training network (raw, after realigning to each, within the subspace, in all coordinates of a
    representation other than weights), barriers to it, and shares inside the training networks' span.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per combination.
    """
    table = _beside_the_zoo(collection, DISTANCES)
    good = collection.networks[~collection.networks.failed]
    spaces = [name for name in ("subspace", "representation") if f"{name}_distance" in good]
    of_zoo = [f"{of}_{space}_distance" for space in spaces for of in ("zoo", "held_out")]
    sets = collection.sets.groupby(KEYS, sort=False, as_index=False)[of_zoo].mean()
    measures = [*(f"{space}_distance" for space in spaces), "barrier"]
    own = good.groupby(KEYS, sort=False, as_index=False)[measures].mean()
    own = own.rename(columns={measure: f"{measure}_mean" for measure in measures})
    return table.merge(own, on=KEYS, how="left").merge(sets, on=KEYS, how="left")


def sets_table(collection: Collection) -> pd.DataFrame:
    """Return how each generator's networks as a set compare with the training networks as a set.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per combination, the mean over repetitions.
    """
    return collection.sets.drop(columns="run").groupby(KEYS, sort=False, as_index=False).mean()


def alignment_table(collection: Collection) -> pd.DataFrame:
    """Return the effect of each canonicalization on distances and barriers.

    They are to the reference, which is left out itself, and between pairs of networks.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per zoo and canonicalization.
    """
    rows = []
    for labels, frame in grouped(collection.alignments, ZOO_KEYS):
        others = frame[frame.distance_before > 0]
        measures = [
            f"{measure}_{when}" for measure in ("distance", "barrier") for when in ("before", "after")
        ]
        rows.append(
            labels
            | {"networks": len(others)}
            | {f"{measure}_mean": others[measure].mean() for measure in measures}
            | {f"pair_{measure}_mean": frame[f"pair_{measure}"].mean() for measure in measures}
            | {"function_change_max": frame.function_change.max(), "sweeps_mean": others.sweeps.mean()}
        )
    return pd.DataFrame(rows)


def precision_table(collection: Collection) -> pd.DataFrame:
    """Return the errors from the precision of the weight matrix and from decoding in float32.

    Each is the root mean square of the error relative to that of the distance from the training mean, the
    largest of all shards. Controls that are not decoded are left out.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per zoo, canonicalization, representation, subspace and generator.
    """
    facts = ["stored_as", "storage_error", "decoding_error"]
    decoded = collection.manifests().reindex(columns=[*GENERATOR_KEYS, *facts]).dropna(subset=facts)
    return decoded.groupby(GENERATOR_KEYS, sort=False, as_index=False)[facts].max()


def timing_table(collection: Collection) -> pd.DataFrame:
    """Return seconds and peak memory (MB) of every stage.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per stage and combination: seconds are summed over jobs, memory is the largest of any job.
    """
    frame = collection.benchmarks.groupby(["stage", *KEYS], sort=False, as_index=False)
    table = frame.agg(
        seconds=("seconds", "sum"), peak_memory_mb=("peak_memory_mb", "max"), networks=("networks", "first")
    )
    table["seconds_per_network"] = table.seconds / table.networks
    return table


def transfer_table(collection: Collection) -> pd.DataFrame:
    """Return the test accuracy on other data sets before and after fine-tuning.

    ``zero_shot`` is before fine-tuning, ``first_epoch`` after one epoch, ``tuned`` after the last: mean and
    standard deviation over ``n`` networks.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per transfer and combination.
    """
    rows = []
    for labels, frame in grouped(collection.transfers, ["transfer", *KEYS]):
        last = frame.epoch.max()
        row: dict[str, object] = dict(labels)
        for name, epoch in (("zero_shot", 0), ("first_epoch", min(1, last)), ("tuned", last)):
            accuracy = frame[frame.epoch == epoch].accuracy
            row |= {f"{name}_mean": accuracy.mean(), f"{name}_std": accuracy.std()}
        ends = frame[frame.epoch == last]
        row |= {"epochs": last, "n": int((~ends.failed).sum()), "failed_n": int(ends.failed.sum())}
        rows.append(row)
    return pd.DataFrame(rows)


def likelihood_table(collection: Collection) -> pd.DataFrame:
    """Return the mean log-density of training networks, held-out networks and samples under each flow.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per flow: means and standard deviations over networks, in nats per latent dimension.
    """
    rows = []
    for labels, frame in grouped(collection.likelihoods, GENERATOR_KEYS):
        density = (frame.log_density / frame.latents).groupby(frame.kind)
        row: dict[str, object] = dict(labels)
        for kind in ("training", "held_out", "generated"):
            found = density.get_group(kind) if kind in density.groups else pd.Series(dtype=float)
            row |= {f"{kind}_mean": found.mean(), f"{kind}_std": found.std(), f"{kind}_n": len(found)}
        rows.append(row | {"latents": frame.latents.iloc[0]})
    return pd.DataFrame(rows)


def representation_table(collection: Collection) -> pd.DataFrame:
    """Return what is lost when networks are decoded from their own coordinates.

    Values are means over ``n`` networks, and the largest loss of score. ``share_kept`` is the share of
    squared responses in the ``layer`` where it is smallest.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per representation, for training and for held-out networks.
    """
    rows, means = [], ("agreement", "iou", "weight_error", "coordinate_error")
    for labels, frame in grouped(collection.exactness, REPRESENTATION_KEYS):
        shares = collection.response_shares
        shares = shares[(shares[REPRESENTATION_KEYS] == list(labels.values())).all(axis=1)]
        for kind, some in (("training", frame[~frame.held_out]), ("held_out", frame[frame.held_out])):
            if some.empty:
                continue
            kept = shares.groupby("layer", sort=False)[kind].mean()
            row = labels | {"kind": kind} | _scores_kept(some, means)
            rows.append(row | {"share_kept": kept.min(), "layer": kept.idxmin()})
    return pd.DataFrame(rows)


def reconstruction_table(collection: Collection) -> pd.DataFrame:
    """Return what is lost when autoencoders encode and decode networks.

    Values are means over ``n`` networks, and the largest loss of score.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per autoencoder, for training and for held-out networks.
    """
    rows, means = [], ("agreement", "iou", "weight_error", "coordinate_error")
    for labels, frame in grouped(collection.reconstructions, GENERATOR_KEYS):
        for kind, some in (("training", frame[~frame.held_out]), ("held_out", frame[frame.held_out])):
            if len(some):
                rows.append(labels | {"kind": kind} | _scores_kept(some, means))
    return pd.DataFrame(rows)


def _scores_kept(some: pd.DataFrame, means: Sequence[str]) -> dict[str, object]:
    """Return the scores of networks as ``trained`` and as ``decoded``, the largest loss, and other means."""
    row: dict[str, object] = {"n": len(some), "metric": some.metric.iloc[0]}
    for when in ("trained", "decoded"):
        row |= {f"{when}_mean": some[when].mean(), f"{when}_std": some[when].std()}
    row["largest_loss"] = (some.trained - some.decoded).max()
    return row | {f"{name}_mean": some[name].mean() for name in means}


def representation_layers_table(collection: Collection) -> pd.DataFrame:
    """Return the share of squared responses that each layer's basis keeps.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per representation and layer, for training and for held-out networks.
    """
    keys = [*REPRESENTATION_KEYS, "layer"]
    return collection.response_shares.groupby(keys, sort=False, as_index=False).mean()


def interpolation_barrier_table(collection: Collection) -> pd.DataFrame:
    """Return the scores of networks half-way between two training networks, and the barrier.

    ``ends`` is the mean score of the two training networks, and ``barrier`` how much worse the score is
    half-way: means and standard deviations over ``n`` pairs.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per combination and score.
    """
    rows = []
    for labels, frame in grouped(collection.halfway, KEYS):
        good = frame[~frame.failed]
        counts = {"n": len(good), "failed_n": int(frame.failed.sum())}
        for score in SCORES:
            if f"ends_{score}" not in good or good[f"ends_{score}"].isna().all():
                continue
            ends, halfway = good[f"ends_{score}"], good[score]
            worse = halfway - ends if score in ERRORS else ends - halfway
            row: dict[str, object] = dict(labels, metric=score)
            for name, values in (("ends", ends), ("halfway", halfway), ("barrier", worse)):
                row |= {f"{name}_mean": values.mean(), f"{name}_std": values.std()}
            rows.append(row | counts)
    return pd.DataFrame(rows)


def other_widths_table(collection: Collection) -> pd.DataFrame:
    """Return test accuracy and loss of networks of other widths than their flow was fitted to.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per flow and widths: means and standard deviations over ``n`` networks.
    """
    rows = []
    for labels, frame in grouped(collection.other_widths, [*GENERATOR_KEYS, "widths"]):
        row: dict[str, object] = dict(labels)
        for name in ("accuracy", "loss"):
            row |= {f"{name}_mean": frame[name].mean(), f"{name}_std": frame[name].std()}
        rows.append(row | {"n": int((~frame.failed).sum()), "failed_n": int(frame.failed.sum())})
    return pd.DataFrame(rows)


def best_accuracies(table: pd.DataFrame) -> pd.DataFrame:
    """Return which cells of the accuracy table are the best of their group, or not significantly worse.

    Parameters
    ----------
    table
        The `accuracy_table`.

    Returns
    -------
    Of bool, by the columns of `presentable`.
    """
    bold = pd.DataFrame(False, index=table.index, columns=presentable(table).columns)
    bold["generated"] = (table.metric == "accuracy") & (table.p_best >= SIGNIFICANT)
    return bold


def _zoo(collection: Collection, labels: Mapping[str, str]) -> pd.DataFrame:
    """Return the networks of a combination's zoo, from the first of repeated alignments."""
    return collection.zoo(labels).drop_duplicates(["network", "accuracy", "nn_distance"])


def _training(zoo: pd.DataFrame) -> pd.DataFrame:
    return zoo[~zoo.held_out]


def _beside_the_zoo(collection: Collection, measures: Iterable[str]) -> pd.DataFrame:
    rows = []
    for labels, generated in grouped(collection.networks, KEYS):
        zoo = _zoo(collection, labels)
        values = {
            f"{prefix}{measure}_mean": frame[measure].mean()
            for measure in measures
            for prefix, frame in (
                ("", generated[~generated.failed]),
                ("zoo_", _training(zoo)),
                ("held_out_", zoo[zoo.held_out]),
            )
        }
        rows.append(labels | values | {"failed_n": int(generated.failed.sum())})
    return pd.DataFrame(rows)


def _against_the_best(collection: Collection) -> dict[tuple[str, ...], float]:
    """Return by labels the p-value of being as accurate as the best generator in the same group."""
    correct, draws = collection.correct, numpy_generator("paired bootstrap", 0)
    places = [KEYS.index(level) for level in COMPARED]
    groups: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for labels in correct:
        groups.setdefault(tuple(labels[place] for place in places), []).append(labels)
    found = {}
    for members in groups.values():
        best = max(members, key=lambda labels: correct[labels].mean())
        for labels in members:
            same = labels == best
            found[labels] = 1.0 if same else paired_bootstrap(correct[labels], correct[best], draws)
    return found
