"""Encode one part of a zoo's networks, held-out ones included, in response coordinates."""

import logging
from pathlib import Path

import numpy as np

from dwf_steps.pipeline.settings.represent import EncodeResponses
from dwf_steps.representation.loading import Probed, load_basis, part_of, read_in_groups
from dwf_steps.representation.responses import encode
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import Progress
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.encoded import Encoded
from dwf_steps.storage.manifest import sha256
from dwf_steps.storage.matrix import WeightMatrix

logger = logging.getLogger(__name__)


def encode_responses(
    settings: EncodeResponses, basis: Path, weights: Path, data: Path, output: Path, manifest: Path
) -> None:
    """Write the response coordinates of one part of the networks, group by group.

    Parameters
    ----------
    settings
        Which part of the networks, of how many parts; the architecture and the probes.
    basis
        ``responses.npz``, the response basis.
    weights
        The weight matrix.
    data
        The zoo's ``data.npz``; its training inputs are the probes.
    output
        ``encoded/part-{k}.npy``, the rows (k, d') float32.
    manifest
        ``encoded/part-{k}.json``: the rows' digest, and the share of squared responses that the basis keeps.

    Raises
    ------
    InputError
        If a network's responses are not finite, or a file is damaged.
    """
    matrix = WeightMatrix.open(weights)
    probed = Probed.load(settings.architecture, settings.probing, data, select_device())
    responses = load_basis(basis, probed)
    rows = part_of(len(matrix.rows), settings.part, settings.parts)
    shares: dict[str, list[float]] = {layer.name: [] for layer in probed.trace.layers}
    with replacing(output) as partial, Progress("network", len(rows)) as report:
        shape = len(rows), responses.layout.size
        coordinates = np.lib.format.open_memmap(partial, "w+", np.float32, shape)
        for group, networks in read_in_groups(matrix, rows, probed.device, responses.layout.size):
            names = [matrix.rows[row].name for row in group]
            coded, kept = encode(probed.capture, responses, networks, names)
            written = coded.cpu().numpy().astype(np.float32)
            if not (finite := np.isfinite(written).all(axis=1)).all():
                row, column = np.argwhere(~np.isfinite(written))[0]
                entry = next(e for e in responses.layout.entries if column < e.offset + e.size)
                raise InputError(
                    f"{weights}: coordinates of {names[row]} are not finite ({entry.name}), nor those of "
                    f"{(~finite).sum() - 1} more networks in its group; leave them out of the zoo, or use "
                    "the representation `weights`"
                )
            coordinates[group[0] - rows.start : group[-1] + 1 - rows.start] = written
            for name, share in kept.items():
                shares[name] += share.tolist()
            report.advance(len(group))
        coordinates.flush()
        digest = sha256(partial)
    Encoded(digest, shares).write(manifest)
    logger.info("encoded %d networks in %d coordinates", len(rows), responses.layout.size)


def main() -> None:
    """Run the step with the arguments of the command line."""
    args = parser(__doc__, "basis", "weights", "data", "output", "manifest").parse_args()
    settings = parse_settings(EncodeResponses, args.settings)
    encode_responses(settings, args.basis, args.weights, args.data, args.output, args.manifest)


if __name__ == "__main__":
    run(main)
