"""Classes have one order, whatever holds them."""

import pytest

from dwf_steps.datasets.classes import in_order, listed, require_two_of_each
from dwf_steps.runtime.errors import InputError


def test_numbers_come_by_value_and_before_names() -> None:
    names = ["b", "10", "a", "9", "-3", "2.5", "1e1", "B", "nan", "1_0", "", "12a", ".5"]
    expected = ["-3", ".5", "2.5", "9", "10", "1e1", "", "12a", "1_0", "B", "a", "b", "nan"]
    assert in_order(names) == in_order(reversed(names * 2)) == expected


def test_numbers_of_equal_value_and_large_ones_have_an_order_too() -> None:
    assert in_order({"01", "1", "001"}) == ["001", "01", "1"]
    assert in_order([str(2**60 + 1), str(2**60), str(2**60 + 2)]) == [str(2**60 + i) for i in range(3)]


def test_numbers_that_are_no_text_have_the_same_order() -> None:
    assert in_order([10, 9, -3, 700]) == [-3, 9, 10, 700]
    assert in_order([1.5, -0.5, 1e300]) == [-0.5, 1.5, 1e300]


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(i) for i in range(14)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 4 more"


def test_the_first_of_several_single_examples_is_named() -> None:
    names = ["b", "a", "x", "a", "10", "b"]
    with pytest.raises(
        InputError, match=r"^t: class '10' has a single example, row 4 \(2 classes have one\); it"
    ):
        require_two_of_each(names, "t", "row {}".format)
    require_two_of_each(names[:2] * 2, "t", "row {}".format)
