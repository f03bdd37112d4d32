"""Draw samples from a generator."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.encoding import encoder_of
from dwf_steps.generators.registry import implementation_of
from dwf_steps.pipeline.settings.generate import SampleGenerator
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.errors import InputError
from dwf_steps.subspace.basis import Basis


def sample_generator(
    settings: SampleGenerator,
    basis: Path,
    output: Path,
    model: Path | None = None,
    weights: Path | None = None,
    data: Path | None = None,
    responses: Path | None = None,
    key: str = Generator.key,
) -> None:
    """Draw the samples of a generator, and write them as `Samples`.

    Parameters
    ----------
    settings
        The generator with its sampling; the architecture, probes and initialisations if sampling needs them.
    basis
        ``basis.npz``, the generator's subspace.
    output
        ``latents.npz``.
    model
        ``model.safetensors``, which `fit_generator` wrote, for generators that are fitted.
    weights
        The matrix of the training networks in the generator's representation, if sampling reads it.
    data
        The zoo's ``data.npz``, if sampling reads data or encodes networks by their responses.
    responses
        ``responses.npz``, the response basis, if sampling encodes networks by their responses.
    key
        The generator's key in the configuration, for messages.

    Raises
    ------
    InputError
        If a file is damaged, or one that the generator needs is missing.
    """
    sampling = settings.generator.sampling
    every = sampling.model_copy(update={"samples": sampling.rows})
    generator: Generator[Any] = implementation_of(
        settings.generator.model_copy(update={"sampling": every}), Generator
    )
    generator.key = key
    with Tools(data=data, folder=output.parent) as given:
        if settings.generator.fitted:
            if model is None:
                raise InputError(f"--model is missing: a {settings.generator.kind} is fitted; name its model")
            generator.load(model, given)
        encoder = encoder_of(settings, responses, data)
        networks = TrainingNetworks(Basis.load(basis), weights, encoder, settings.initialisations)
        samples = generator.sample(networks, given)
    replace(samples, later_scale=sampling.later_scale, candidates=sampling.candidates).save(output)


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "basis", "output")
    for name, where in (
        ("model", "for kinds that are fitted"),
        ("weights", "where sampling reads the training networks' weights"),
        ("data", "where sampling reads data"),
        ("responses", "where sampling encodes networks by their responses"),
    ):
        options.add_argument(f"--{name}", type=Path, nargs="?", help=where)
    options.add_argument("--key", default=Generator.key, help="the generator's key, for messages")
    args = options.parse_args()
    settings = parse_settings(SampleGenerator, args.settings)
    sample_generator(
        settings, args.basis, args.output, args.model, args.weights, args.data, args.responses, args.key
    )


if __name__ == "__main__":
    run(main)
