"""Fit a generator to the training networks."""

import logging
from pathlib import Path
from typing import Any

from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.encoding import encoder_of
from dwf_steps.generators.registry import implementation_of
from dwf_steps.pipeline.settings.generate import FitGenerator
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.storage.checkpoint import Checkpoint, identity
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.row_facts import facts_as_text
from dwf_steps.subspace.basis import Basis

logger = logging.getLogger(__name__)


def fit_generator(
    settings: FitGenerator,
    basis: Path,
    weights: Path,
    output: Path,
    losses: Path,
    code: str = "",
    checkpoint_seconds: float = 20.0,
    key: str = Generator.key,
    data: Path | None = None,
    responses: Path | None = None,
) -> None:
    """Fit a generator, and write its model and its losses.

    An interrupted fit with the same settings, code and training networks is resumed from its checkpoint.

    Parameters
    ----------
    settings
        The generator; the architecture, probes and initialisations if the fit needs them.
    basis
        ``basis.npz``, the subspace with the training networks' coordinates.
    weights
        The matrix of the training networks in the generator's representation.
    output
        ``model.safetensors``.
    losses
        ``training.csv``, a row for each report: ``step``, ``train`` and ``validation`` loss.
    code
        Fingerprint of the code, part of the checkpoint's identity.
    checkpoint_seconds
        Minimum time between two checkpoints.
    key
        The generator's key in the configuration, for messages.
    data
        The zoo's ``data.npz``, if the fit encodes networks by their responses.
    responses
        ``responses.npz``, the response basis, if the fit encodes networks by their responses.

    Raises
    ------
    InputError
        If a file is missing or damaged, or the generator refuses the training networks.
    """
    encoder = encoder_of(settings, responses, data)
    training = TrainingNetworks(Basis.load(basis), weights, encoder, settings.initialisations)
    checkpoint = Checkpoint(
        output.with_suffix(".checkpoint"),
        identity(
            settings.model_dump_json(),
            code,
            training.basis.coordinates.tobytes(),
            training.matrix.description,
            facts_as_text(training.matrix),
        ),
        checkpoint_seconds,
    )
    generator: Generator[Any] = implementation_of(settings.generator, Generator)
    generator.key = key
    logger.info("%d networks, %d coordinates", *training.shape)
    with Tools(checkpoint, folder=output.parent) as given:
        found = generator.fit(training, given)
    write_csv(losses, found)
    generator.save(output)
    checkpoint.discard()


def main() -> None:
    """Run the step with the arguments of the command line."""
    options = parser(__doc__, "basis", "weights", "output", "losses")
    options.add_argument(
        "--code", default="", help="fingerprint of the code, part of a checkpoint's identity"
    )
    options.add_argument("--checkpoint-seconds", type=float, default=20.0, help="between two checkpoints")
    options.add_argument("--key", default=Generator.key, help="the generator's key, for messages")
    for name in ("data", "responses"):
        options.add_argument(f"--{name}", type=Path, nargs="?", help="where the fit encodes networks")
    args = options.parse_args()
    settings = parse_settings(FitGenerator, args.settings)
    files = (args.basis, args.weights, args.output, args.losses)
    fit_generator(settings, *files, args.code, args.checkpoint_seconds, args.key, args.data, args.responses)


if __name__ == "__main__":
    run(main)
