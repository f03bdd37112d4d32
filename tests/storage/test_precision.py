"""Conversion between precisions is NumPy's, value by value."""

import numpy as np
import pytest

from dwf_steps.storage.precision import convert

VALUES = np.array([[0.0, -1.5, 1e-7, 65504.0], [65520.0, -np.inf, np.nan, 1 / 3]])


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("source", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("target", [np.float16, np.float32, np.float64])
def test_values_are_rounded_as_numpy_rounds_them(source: type, target: type) -> None:
    values = VALUES.astype(source)
    out = np.empty(values.shape, target)
    assert convert(values, out) is out
    np.testing.assert_array_equal(out, values.astype(target))


def test_parts_of_arrays_are_converted_in_place() -> None:
    values = np.arange(12, dtype=np.float16).reshape(3, 4)
    out = np.zeros((3, 9), np.float32)
    convert(values[:, 1:3], out[:, 4:6])
    np.testing.assert_array_equal(out[:, 4:6], values[:, 1:3])
    assert out.sum() == values[:, 1:3].sum(dtype=np.float32)
