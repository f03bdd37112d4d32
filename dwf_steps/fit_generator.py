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
    """Fit the generator, resuming a checkpoint of the very same fit, and write model and losses.

    Parameters
    ----------
    data, responses
        The data, and the basis of responses that networks are described in, where the fit describes some of
        its own.
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
    options = parser(__doc__, "basis", "weights", "output", "losses")
    options.add_argument(
        "--code", default="", help="fingerprint of the code, part of a checkpoint's identity"
    )
    options.add_argument("--checkpoint-seconds", type=float, default=20.0, help="between two checkpoints")
    options.add_argument("--key", default=Generator.key, help="what messages call the generator")
    for name in ("data", "responses"):
        options.add_argument(f"--{name}", type=Path, nargs="?", help="where the fit encodes networks")
    args = options.parse_args()
    settings = parse_settings(FitGenerator, args.settings)
    files = (args.basis, args.weights, args.output, args.losses)
    fit_generator(settings, *files, args.code, args.checkpoint_seconds, args.key, args.data, args.responses)


if __name__ == "__main__":
    run(main)
