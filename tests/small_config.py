"""A small configuration that is valid, for tests that put a mistake into it."""

from typing import Any


def small_config() -> dict[str, Any]:
    """Return a grid of one cell, over a zoo of ten networks on iris, of a flow and two controls."""
    return {
        "zoos": {"iris": {"dataset": "iris", "architecture": {"widths": [4, 5, 3]}, "seeds": 10}},
        "canonicalizations": {"none": []},
        "subspaces": {"pca": {"method": "dual_pca", "components": 2}},
        "generators": {
            "flow": {"kind": "flow"},
            "noise": {"kind": "noise"},
            "gaussian": {"kind": "gaussian"},
        },
        "recalibrations": {"none": []},
        "experiments": [
            {
                "zoos": ["iris"],
                "canonicalizations": ["none"],
                "subspaces": ["pca"],
                "generators": ["flow", "noise", "gaussian"],
            }
        ],
    }
