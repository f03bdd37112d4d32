"""What generating costs beside training more networks."""

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
    """Return what each generator costs in seconds, and from how many networks on it beats training more.

    ``fit_seconds`` is paid once for the generator, ``prepare_seconds`` once for its zoo (alignment, matrix,
    subspace), ``seconds_per_network`` for each generated network, ``training_seconds_per_network`` for each
    trained one (of checkpoints for each training); held-out networks were trained. ``break_even`` is the
    number of networks from which on generating is cheaper with the zoo already trained and prepared,
    ``break_even_prepared`` the same with preparation to be paid; infinite where a generated network takes as
    long as a trained one. Of networks that are taken from a zoo of several all but the training is what it
    took there, the alignment of each of its zoos left out. What networks cost that another tool made is not
    known: NaN.
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
    """Return a row for every generator at every setting: the mean ``accuracy`` of its networks, the
    ``seconds`` that each took (sampling and decoding, or training, and recalibration), and
    ``seconds_with_fit``, where the fit is divided over all of a generator's networks.

    Parameters
    ----------
    costs
        The `cost_table`.
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
    """Return which jobs a combination depends on: those whose levels are its own, or empty."""
    fits = pd.Series(True, index=jobs.index)
    for level in KEYS:
        fits &= (jobs[level] == "") | (jobs[level] == labels[level])
    return fits


def _once(jobs: pd.DataFrame) -> float:
    """Return the seconds of stages, their shards added up; repetitions are averaged."""
    return float(jobs.groupby(["stage", "run"]).seconds.sum().groupby("stage").mean().sum())


def _per_network(jobs: pd.DataFrame) -> float:
    """Return the seconds of stages divided over shards, for each network; repetitions are averaged."""
    runs = jobs.groupby(["stage", "run"]).agg(seconds=("seconds", "sum"), networks=("networks", "first"))
    return float((runs.seconds / runs.networks).groupby("stage").mean().sum())


def ensembles_table(collection: Collection, costs: pd.DataFrame) -> pd.DataFrame:
    """Return what ensembles score, of generated networks and of the zoo's own (generator ``zoo``), with the
    seconds that all their members took: fitting included, preparing the zoo's subspace not.

    Parameters
    ----------
    costs
        The `cost_table`.
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
