"""What is known of networks before any is trained: sizes, symmetries, normalisation."""

from dataclasses import dataclass
from pathlib import Path

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.representation import RepresentationConfig, ResponsesRepresentation


@dataclass(frozen=True)
class NetworkFacts:
    """Properties of one architecture.

    Attributes
    ----------
    n_parameters
        The number of weights, d.
    multiplications
        Multiplications for one input.
    most_units
        The number of units that the largest permutation acts on; 1 if there is none.
    layers
        The number of values that each layer outputs for one input.
    symmetries
        Those of `config.architectures.base.SYMMETRIES` that the networks state or tracing finds.
    units
        The number of units of all layers that are linear in their inputs.
    most_inputs
        The largest number of inputs of a unit.
    normalised
        Whether the networks have batch normalisation.
    source_file
        The file that defines the user's module; None for built-in architectures.
    untraced
        Why tracing found no further symmetries of the user's module; empty if nothing prevented it.
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
    """Return the properties of an architecture.

    Those of built-in architectures follow from formulas; the user's module is built.

    Parameters
    ----------
    config
        The architecture.

    Returns
    -------
    Its properties.

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
    # Imported here, so that reading the configuration only imports PyTorch for the user's modules.
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
    """Return the maximum number of coordinates of a network in a representation.

    Parameters
    ----------
    facts
        Of the network's architecture.
    representation
        The representation.

    Returns
    -------
    For responses, one for each unit and response function, and one for each weight of the first layer and of
    parameters outside layers; otherwise the number of weights.
    """
    if isinstance(representation, ResponsesRepresentation):
        return facts.units * representation.functions + facts.n_parameters
    return facts.n_parameters
