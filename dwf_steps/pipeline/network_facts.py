"""What is known of networks before any is trained: sizes, symmetries, normalisation."""

from dataclasses import dataclass
from pathlib import Path

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.representation import RepresentationConfig, ResponsesRepresentation


@dataclass(frozen=True)
class NetworkFacts:
    """Facts of one architecture.

    Attributes
    ----------
    n_parameters
        The number of weights, d.
    multiplications
        What one input takes.
    most_units
        The units that the largest permutation acts on; 1 where there is none.
    layers
        The number of values in each layer's output for one input.
    symmetries
        Which of `config.architectures.base.SYMMETRIES` the networks state, or tracing finds.
    units
        Of all layers that are linear in their inputs.
    most_inputs
        The inputs of a unit that has the most of them.
    normalised
        Whether they have batch normalisation.
    source_file
        The file that defines the user's own module; None for built-in architectures.
    untraced
        Why tracing found no more symmetries of the user's own module; empty where nothing stood in the way.
    """

    n_parameters: int
    multiplications: int
    most_units: int
    layers: tuple[int, ...]
    units: int
    most_inputs: int
    symmetries: tuple[str, ...]
    normalised: bool
    source_file: Path | None = None
    untraced: str = ""


def network_facts(config: ArchitectureConfig) -> NetworkFacts:
    """Return the facts of an architecture: by formulas if it is built in, by building the user's own module.

    Raises
    ------
    InputError
        If the user's module cannot be built, or does not fit its configuration.
    """
    if not isinstance(config, ModuleConfig):
        return NetworkFacts(
            config.n_parameters,
            config.multiplications,
            config.most_units,
            config.layers,
            config.units,
            config.most_inputs,
            tuple(config.symmetries),
            config.normalised,
        )
    # Imported here: only the user's own modules need PyTorch where the configuration is read.
    from dwf_steps.architectures import build_module

    built = build_module(config)
    return NetworkFacts(
        built.layout.size,
        built.multiplications,
        built.most_units,
        built.layers,
        *built.units_and_most_inputs,
        built.symmetries,
        bool(built.batch_norms),
        Path(built.source_file),
        built.untraced,
    )


def coordinates(facts: NetworkFacts, representation: RepresentationConfig) -> int:
    """Return how many coordinates a network has in a representation, at most: of responses so many as there
    are functions for every unit; of the first layer, and of what is no layer's, no more than weights."""
    if isinstance(representation, ResponsesRepresentation):
        return facts.units * representation.functions + facts.n_parameters
    return facts.n_parameters
