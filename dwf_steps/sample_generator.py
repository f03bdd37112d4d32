"""Draw new networks from a generator."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.registry import implementation_of
from dwf_steps.pipeline.settings.generate import SampleGenerator
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.stacked import StackedNetworks
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
    """Write the samples of a generator.

    Parameters
    ----------
    model
        What `fit_generator` wrote, for kinds that are fitted.
    weights, data
        The training networks and the data, where the generator's settings say that sampling reads them.
    responses
        The basis of responses that networks are described in, where the generator describes some of its own.
    key
        What messages call the generator.
    """
    sampling = settings.generator.sampling
    every = sampling.model_copy(update={"samples": sampling.rows})
    generator: Generator[Any] = implementation_of(
        settings.generator.model_copy(update={"sampling": every}), Generator
    )
    generator.key = key
    with Tools(data=data) as given:
        if settings.generator.fitted:
            if model is None:
                raise InputError(f"--model is missing: a {settings.generator.kind} is fitted; name its model")
            generator.load(model, given)
        encoder = response_encoder(settings, responses, data) if responses and data else None
        samples = generator.sample(TrainingNetworks(Basis.load(basis), weights, encoder), given)
    replace(samples, later_scale=sampling.later_scale, candidates=sampling.candidates).save(output)


def response_encoder(
    settings: SampleGenerator, responses: Path, data: Path
) -> Callable[[StackedNetworks[np.ndarray]], np.ndarray]:
    """Return what makes response coordinates (s, d) float32 of networks' parameters."""
    # Imported here: few generators encode networks, and most take no PyTorch.
    from dwf_steps.representation.loading import Probed, load_basis
    from dwf_steps.representation.responses import encode
    from dwf_steps.runtime.device import select_device

    assert settings.architecture is not None and settings.probing is not None
    probed = Probed.load(settings.architecture, settings.probing, data, select_device())
    basis = load_basis(responses, probed)

    def encoded(networks: StackedNetworks[np.ndarray]) -> np.ndarray:
        coordinates, _ = encode(probed.capture, basis, networks.tensors(probed.device))
        rows: np.ndarray = coordinates.cpu().numpy().astype(np.float32)
        return rows

    return encoded


def main() -> None:
    options = parser(__doc__, "basis", "output")
    for name, where in (
        ("model", "for kinds that are fitted"),
        ("weights", "where sampling reads the training networks' weights"),
        ("data", "where sampling reads data"),
        ("responses", "where sampling encodes networks by their responses"),
    ):
        options.add_argument(f"--{name}", type=Path, nargs="?", help=where)
    options.add_argument("--key", default=Generator.key, help="what messages call the generator")
    args = options.parse_args()
    settings = parse_settings(SampleGenerator, args.settings)
    sample_generator(
        settings, args.basis, args.output, args.model, args.weights, args.data, args.responses, args.key
    )


if __name__ == "__main__":
    run(main)
