"""The cost of generating networks compared with training more of them."""

import numpy as np
import pandas as pd

from dwf_steps.reporting.record import KEYS
from dwf_steps.reporting.results import COMPARED, ZOO_STAGES, Collection, grouped
from dwf_steps.reporting.tables import SCORES

FITTED = ("fit_generator",)  # once for a generator
GENERATED = ("sample_generator", "decode", "make_networks", "recalibrate")  # for every network
ALIGNED = ("find_barycentre", "canonicalize")  # once for a zoo, as what follows
ENCODED = ("sketch_responses", "solve_responses", "encode_responses", "stack_responses")
PREPARED = (*ALIGNED, "stack_weights", "join_zoo", *ENCODED, "accumulate_gram", "solve_basis")


def cost_table(collection: Collection) -> pd.DataFrame:
    """Return what each generator costs in seconds, and for how many networks it is cheaper than training.

    ``fit_seconds`` is spent once per generator, ``prepare_seconds`` once per zoo (alignment, matrix,
    subspace), ``seconds_per_network`` for each generated network, and ``training_seconds_per_network`` for
    each trained network (in zoos of checkpoints, for each training); for the control `held_out` the former
    includes the latter. ``break_even`` is the number of networks from which generating is cheaper if the zoo
    is already trained and prepared; ``break_even_prepared`` includes the preparation. Both are infinite if
    generating a network takes as long as training one. For networks taken from a joint zoo, all costs but
    training were incurred there, without the alignment of its members. The cost of networks made by another
    tool is unknown: NaN.

    Parameters
    ----------
    collection
        The results.

    Returns
    -------
    One row per combination.
    """
    jobs, facts = collection.benchmarks, collection.generators.set_index("generator")
    rows = []
    for labels, _ in grouped(collection.networks, KEYS):
        own = jobs[_above(jobs, labels)]
        training = _per_network(own[own.stage.isin(ZOO_STAGES)])
        generating = _per_network(own[own.stage.isin(GENERATED)])
        if made := collection.drawn_in.get(labels["generator"]):
            own = jobs[_above(jobs, labels | made | {"recalibration": ""})]
            generating += _per_network(own[own.stage.isin(GENERATED)])
        if facts.costs_training[labels["generator"]]:
            generating += training
        fit, prepare = (_once(own[own.stage.isin(stages)]) for stages in (FITTED, PREPARED))
        if facts.made_elsewhere[labels["generator"]]:
            fit = generating = np.nan
        gained = training - generating
        rows.append(
            labels
            | {
                "prepare_seconds": prepare,
                "fit_seconds": fit,
                "seconds_per_network": generating,
                "training_seconds_per_network": training,
                "break_even": np.inf if gained <= 0 else fit / gained,
                "break_even_prepared": np.inf if gained <= 0 else (prepare + fit) / gained,
                "peak_memory_mb": own.peak_memory_mb.max(),
            }
        )
    return pd.DataFrame(rows)


def seconds_points(collection: Collection, costs: pd.DataFrame) -> pd.DataFrame:
    """Return mean accuracy and seconds of every generator at every setting.

    Parameters
    ----------
    collection
        The results.
    costs
        The `cost_table`.

    Returns
    -------
    One row per combination: the mean ``accuracy`` of its networks; the ``seconds`` per network, for sampling
    and decoding, or training, and recalibration; and ``seconds_with_fit``, which adds the fit divided by the
    generator's number of networks.
    """
    by = collection.networks.groupby(KEYS, sort=False)
    shared = (by.size() / by.run.nunique()).rename("networks")
    good = collection.networks[~collection.networks.failed]
    points = good.groupby(KEYS, sort=False, as_index=False).accuracy.mean().merge(costs, on=KEYS)
    points = points.merge(shared.reset_index(), on=KEYS).merge(collection.generators, on="generator")
    points["seconds"] = points.seconds_per_network
    points["seconds_with_fit"] = points.seconds + points.fit_seconds / points.networks
    return points


def _above(jobs: pd.DataFrame, labels: dict[str, str]) -> pd.Series:
    """Return which jobs a combination depends on: those whose levels are the combination's or empty."""
    fits = pd.Series(True, index=jobs.index)
    for level in KEYS:
        fits &= (jobs[level] == "") | (jobs[level] == labels[level])
    return fits


def _once(jobs: pd.DataFrame) -> float:
    """Return the seconds of stages, summed over shards and averaged over repetitions."""
    return float(jobs.groupby(["stage", "run"]).seconds.sum().groupby("stage").mean().sum())


def _per_network(jobs: pd.DataFrame) -> float:
    """Return the seconds of stages per network, summed over shards and averaged over repetitions."""
    runs = jobs.groupby(["stage", "run"]).agg(seconds=("seconds", "sum"), networks=("networks", "first"))
    return float((runs.seconds / runs.networks).groupby("stage").mean().sum())


def ensembles_table(collection: Collection, costs: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of ensembles of generated networks and of the zoo's networks, and their cost.

    Parameters
    ----------
    collection
        The results.
    costs
        The `cost_table`.

    Returns
    -------
    One row per combination and size; the zoo is generator ``zoo``. ``seconds`` is the time for all members,
    including the fit but not the preparation of the zoo's subspace.
    """
    known = ("accuracy", "accuracy_std", *SCORES[1:], "auroc")
    measures = [name for name in known if name in collection.zoo_ensembles]
    generated = collection.ensembles.reindex(columns=[*KEYS, "size", *measures])
    generated = generated.groupby([*KEYS, "size"], sort=False, as_index=False).mean()
    generated = generated.merge(costs, on=KEYS)
    generated["seconds"] = generated.fit_seconds + generated["size"] * generated.seconds_per_network
    zoo = collection.zoo_ensembles.groupby([*COMPARED, "size"], sort=False, as_index=False)[measures].mean()
    trained = costs.drop_duplicates("zoo")[["zoo", "training_seconds_per_network"]]
    zoo = zoo.merge(trained, on="zoo").assign(representation="", subspace="", generator="zoo")
    zoo["seconds"] = zoo["size"] * zoo.training_seconds_per_network
    return pd.concat([zoo, generated], ignore_index=True)[[*KEYS, "size", *measures, "seconds"]]
