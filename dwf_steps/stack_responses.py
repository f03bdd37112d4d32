"""Stack encoded networks into a matrix of response coordinates, column block by column block."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from dwf_steps.pipeline.settings.represent import StackResponses
from dwf_steps.runtime.command_line import parse_settings, parser, run
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.arrays import load_arrays
from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.csv_tables import write_csv
from dwf_steps.storage.encoded import Encoded
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.padding import copy_narrower
from dwf_steps.storage.precision import RelativeError
from dwf_steps.storage.remedy import rebuild
from dwf_steps.storage.row_facts import copy_facts
from dwf_steps.subspace.storing import store

logger = logging.getLogger(__name__)


def stack_responses(
    settings: StackResponses,
    manifests: list[Path],
    basis: Path,
    weights: Path,
    output: Path,
    shares: Path,
) -> None:
    """Write the matrix (n, d) of response coordinates, its rows in the order of the weight matrix.

    One column block of all rows, a shard, is in memory at a time, within a budget of ``settings.memory_mb``.

    Parameters
    ----------
    settings
        How the matrix is stored, and the memory budget in MiB.
    manifests
        Manifests of the encoded networks, ``encoded/part-{k}.json``.
    basis
        ``responses.npz``, the response basis.
    weights
        The weight matrix, for its rows, buffers and facts.
    output
        ``{representation}.zarr``.
    shares
        ``shares.csv``, a row for each layer: the mean share of squared responses that the basis keeps, of
        training and of held-out networks.

    Raises
    ------
    InputError
        If a file has changed since it was written, or the rows are not those of the weight matrix.
    """
    matrix, layout = WeightMatrix.open(weights), read_layout(basis)
    encoded = [Encoded.read(manifest) for manifest in manifests]
    parts = [part.rows(manifest) for part, manifest in zip(encoded, manifests, strict=True)]
    found = [part.shape for part in parts]
    if sum(n for n, _ in found) != len(matrix.rows) or {d for _, d in found} != {layout.size}:
        raise InputError(
            f"{manifests[0].parent}: found parts of {' and '.join(f'{n} x {d}' for n, d in found)} numbers, "
            f"expected {len(matrix.rows)} x {layout.size} in all; {rebuild(*manifests)}"
        )
    error = RelativeError()
    with replacing(output) as partial:
        responses = WeightMatrix.create(
            partial,
            layout,
            matrix.rows,
            matrix.architecture,
            settings.dtype,
            settings.memory_mb,
            matrix.buffers,
        )
        for columns in progress(list(responses.write_blocks()), "column block"):
            store(responses, columns, np.concatenate([part[:, columns] for part in parts]), error)
        responses.set_storage_error(error.relative)
        copy_facts(matrix, responses)
        copy_narrower(matrix, responses)
    write_csv(shares, shares_by_layer(encoded, matrix.n_training))
    logger.info("stacked %d networks of %d coordinates", len(matrix.rows), layout.size)


def read_layout(basis: Path) -> Layout:
    """Read the layout of response coordinates.

    Parameters
    ----------
    basis
        ``responses.npz``, the response basis.

    Returns
    -------
    The position of each layer's coordinates in a row.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    return Layout.from_json(json.loads(load_arrays(basis, ["layout"])["layout"].item()))


def shares_by_layer(encoded: list[Encoded], n_training: int) -> pd.DataFrame:
    """Average the shares of squared responses that the basis keeps.

    Parameters
    ----------
    encoded
        The manifests of all parts, in row order.
    n_training
        The number of training networks, whose rows come first.

    Returns
    -------
    A row for each ``layer``, with the means of ``training`` and ``held_out`` networks; NaN if none are held
    out.
    """
    rows = []
    for layer in encoded[0].shares:
        shares = np.concatenate([part.shares[layer] for part in encoded])
        of = {"training": shares[:n_training], "held_out": shares[n_training:]}
        rows.append({"layer": layer} | {name: s.mean() if len(s) else np.nan for name, s in of.items()})
    return pd.DataFrame(rows)


def main() -> None:
    """Run the step with the arguments of the command line."""
    paths = ("basis", "weights", "output", "shares")
    args = parser(__doc__, *paths, several=["manifests"]).parse_args()
    settings = parse_settings(StackResponses, args.settings)
    stack_responses(settings, args.manifests, args.basis, args.weights, args.output, args.shares)


if __name__ == "__main__":
    run(main)
