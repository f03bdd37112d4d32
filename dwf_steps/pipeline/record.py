"""What tables and figures need to know of the experiments and cannot read from the results."""

from __future__ import annotations

from types import SimpleNamespace

from dwf_steps.config.dataset import Shape, TableFile, Targets, facts_of
from dwf_steps.config.generators.base import GeneratorConfig
from dwf_steps.config.sweep import SECTIONS
from dwf_steps.config.zoo import n_held_out
from dwf_steps.pipeline.experiment import Experiment
from dwf_steps.reporting.record import ExperimentRecord, MemberRecord


def record_of(experiment: Experiment) -> ExperimentRecord:
    """Return the record that `tables/experiment.json` holds.

    Parameters
    ----------
    experiment
        The experiment.

    Returns
    -------
    The record of its cells, zoos and generators.
    """
    config, cells = experiment.config, experiment.cells
    names = {section: {cell[place] for cell in cells} for place, section in enumerate(SECTIONS)}
    generators = {name: config.generators[name] for name in names["generators"]}
    drawn_in = {name: place for name, generator in generators.items() if (place := generator.drawn_in)}
    made_by = generators | {name: config.generators[name] for _, name in drawn_in.values()}
    zoos = dict.fromkeys([*names["zoos"], *(zoo for zoo, _ in drawn_in.values())])
    return ExperimentRecord(
        cells=cells,
        members={
            section: {
                name: MemberRecord(family=member.family, values=member.values, setting=member.setting)
                for name, member in members.items()
                if name in names[section]
            }
            for section, members in config.members.items()
        },
        generators={name: generator.facts for name, generator in generators.items()},
        fitted_by={name: by for name, by in experiment.fitted_by.items() if name in made_by},
        zoo_networks={name: experiment.n_networks(name) for name in zoos},
        zoo_trainings={name: experiment.n_trainings(name) for name in zoos},
        image_shapes={name: shape for name in names["zoos"] if (shape := image_shape(experiment, name))},
        classifying=[name for name in config.zoos if name in names["zoos"] and classifies(experiment, name)],
        samples={name: generator.count for name, generator in made_by.items()},
        drawn_in=drawn_in,
        transferred=config.transferred(),
        autoencoders=[name for name in experiment.autoencoders if name in generators],
        likelihoods=[name for name in experiment.with_likelihood if name in generators],
        other_widths={
            name: list(generators[name].other_sizes)
            for name in experiment.with_other_widths
            if name in generators
        },
        halfway=[name for name, generator in generators.items() if generator.halfway],
        good_margin=config.evaluation.good_margin,
        novelty_factors=config.evaluation.novelty_factors,
        scope=scope_of(experiment),
    )


def image_shape(experiment: Experiment, zoo: str) -> Shape | None:
    """Return the shape of the images that a zoo's networks see.

    Parameters
    ----------
    experiment
        The experiment.
    zoo
        Name of the zoo.

    Returns
    -------
    Channels, height and width; None if the inputs are not images.
    """
    dataset = experiment.config.dataset(experiment.single_zoo(SimpleNamespace(zoo=zoo)))
    return None if isinstance(dataset, TableFile) else facts_of(dataset).shape


def classifies(experiment: Experiment, zoo: str) -> bool:
    """Return whether a zoo's networks predict classes rather than numbers.

    Parameters
    ----------
    experiment
        The experiment.
    zoo
        Name of the zoo.

    Returns
    -------
    True for classes.
    """
    dataset = experiment.config.dataset(experiment.single_zoo(SimpleNamespace(zoo=zoo)))
    return not isinstance(dataset, Targets) or dataset.regression is None


def scope_of(experiment: Experiment) -> str:
    """Return one sentence about the zoos and one about the generators that tables and figures cover.

    Parameters
    ----------
    experiment
        The experiment.

    Returns
    -------
    Text for captions.
    """
    zoos = []
    for name in experiment.zoos:
        held_out = n_held_out(experiment.config.zoos[name])
        zoos.append(f"{name} ({experiment.n_networks(name)} networks, {held_out} held out)")
    drawn = {cell.generator: experiment.generator(cell) for cell in experiment.cells}
    generators = [f"{name} ({_drawn(generator)})" for name, generator in drawn.items()]
    return f"Zoos: {', '.join(zoos)}. Generators: {', '.join(generators)}."


def _drawn(generator: GeneratorConfig) -> str:
    if generator.made_elsewhere:
        return f"{generator.count} networks made elsewhere"
    return f"{generator.count} samples, seed {generator.sampling.seed}"
