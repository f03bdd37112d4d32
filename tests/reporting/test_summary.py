"""Verdicts rest on measures that tell new networks from copies."""

import numpy as np
import pytest

from dwf_steps.reporting.summary import CLOSENESS, verdict


def row(max_iou: tuple[float, float, float], realigned: tuple[float, float, float]) -> dict[str, float]:
    """Return means of generated networks, of the zoo left out in turn, and of held-out networks."""
    values = {}
    for measure, found in zip(CLOSENESS, (max_iou, realigned), strict=True):
        for whose, value in zip(("", "zoo_", "held_out_"), found, strict=True):
            values[f"{whose}{measure.column}_mean"] = value
    return values


def test_networks_without_mistakes_are_not_called_copies_where_held_out_ones_make_none_either() -> None:
    text = verdict(row((1.0, 1.0, 1.0), (2.7, 2.8, 2.8)))
    assert "max IoU" not in text
    assert text.endswith(
        "at realigned distance 2.70, the held-out networks' being 2.80: its networks are new"
    )


def test_copies_among_networks_without_mistakes_are_found_by_their_distance() -> None:
    assert verdict(row((1.0, 1.0, 1.0), (0.01, 2.8, 2.8))).endswith("it returns training networks")


@pytest.mark.parametrize(
    ("max_iou", "expected"),
    [
        (0.95, "it returns training networks"),
        (0.60, "its networks are closer to training networks than new networks are"),
        (0.41, "its networks are new"),
    ],
)
def test_where_held_out_networks_make_their_own_mistakes_overlap_decides(
    max_iou: float, expected: str
) -> None:
    text = verdict(row((max_iou, 0.4, 0.4), (6.0, 5.0, 5.0)))
    assert text == f"at max IoU {max_iou:.2f}, the held-out networks' being 0.40: {expected}"


def test_without_held_out_networks_the_zoos_own_values_show_what_new_means() -> None:
    text = verdict(row((0.95, 0.4, np.nan), (5.0, 5.0, np.nan)))
    assert "the zoo's own being 0.40: it returns training networks" in text


def test_the_measure_that_brings_networks_closest_to_copies_decides() -> None:
    near = verdict(row((0.5, 0.75, 0.75), (0.6, 14.0, 14.0)))
    assert near == (
        "at realigned distance 0.60, the held-out networks' being 14.00: it returns training networks"
    )
    far = verdict(row((0.1, 0.75, 0.75), (13.9, 14.0, 14.0)))
    assert far.endswith("its networks are new")


@pytest.mark.parametrize("realigned", [(np.nan, np.nan, np.nan), (0.0, 0.0, 0.0)])
def test_where_no_measure_can_tell_there_is_no_verdict(realigned: tuple[float, float, float]) -> None:
    text = verdict(row((1.0, 0.97, 1.0), realigned))
    assert text.startswith("and nothing tells new networks from copies here")
    assert "returns" not in text
