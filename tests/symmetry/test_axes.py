"""What is known of axes: how reshapes divide them, what cutting and unifying them makes of their units."""

import numpy as np
import pytest

from dwf_steps.symmetry.axes import (
    Dimension,
    all_units,
    cut,
    fix,
    fixed,
    fresh,
    length,
    product,
    reshape,
    resolve,
    root,
    select,
    uniform,
    unify,
)


def sizes(axis: Dimension) -> list[list[int]]:
    return [[units.size for units in part] for part in resolve(axis)]


def free(axis: Dimension) -> list[list[bool]]:
    return [[not units.fixed for units in part] for part in resolve(axis)]


def test_units_that_are_unified_are_the_same_and_fixed_together() -> None:
    one, other, third = fresh(4), fresh(4), fresh(4)
    unify(one, other)
    unify(other, third)
    assert len(all_units([one, other, third])) == 1
    fix(third)
    assert free(one) == [[False]]


def test_a_product_unified_with_units_divides_them() -> None:
    whole, outer, inner = fresh(12), fresh(3), fresh(4)
    unify(whole, product([outer, inner]))
    assert resolve(whole) == resolve(product([outer, inner]))
    coarse = fresh(6), fresh(2)
    unify(whole, product(coarse))
    assert sizes(whole) == [[3, 2, 2]], "of the common refinement of 3 x 4 and 6 x 2"
    assert sizes(coarse[0]) == [[3, 2]]
    assert all(map(all, free(whole)))


def test_products_without_a_common_refinement_keep_their_order() -> None:
    one, other = product([fresh(2), fresh(3)]), product([fresh(3), fresh(2)])
    unify(one, other)
    assert not any(map(any, free(one))) and not any(map(any, free(other)))


def test_parts_of_an_axis_are_cut_where_the_other_ends() -> None:
    one, other = (*fresh(2), *fresh(6)), (*fresh(4), *fresh(4))
    unify(one, other)
    assert sizes(one) == [[2], [2], [4]]
    assert resolve(one) == resolve(other)
    assert all(map(all, free(one)))


def test_what_is_alike_everywhere_fits_any_units() -> None:
    first, second, zeros = fresh(5), fresh(5), uniform(5)
    assert unify(first, zeros) == first
    assert unify(zeros, second) == second
    assert len(all_units([first, second])) == 2


def test_a_flatten_and_its_inverse_change_nothing() -> None:
    channels, height, width = fresh(4), fixed(2), fixed(3)
    flat = product([channels, height, width])
    assert length(flat) == 24
    again = reshape(flat, [4, 2, 3])
    assert [root(axis[0][0]) for axis in again] == [root(axis[0][0]) for axis in (channels, height, width)]


@pytest.mark.parametrize("shape", [(2, 6), (6, 2), (2, 2, 3), (12, 1)])
def test_a_reshape_divides_units_that_are_then_permuted_as_numpy_divides_them(shape: tuple[int, ...]) -> None:
    axis = fresh(12)
    divided = [resolve(own) for own in reshape(axis, shape)]
    assert sizes(axis) == [[size for size in shape if size > 1]]
    assert all_units([axis]) == [root(units) for own in divided for part in own for units in part]


def test_entries_of_a_reshape_that_are_taken_apart_have_units_of_their_own() -> None:
    fused = fresh(18)
    three, heads, size = reshape(fused, [3, 2, 3])
    q, k, v = (select([three, heads, size], 0, index) for index in range(3))
    unify(q[0], k[0])
    unify(q[1], k[1])
    unify(q[0], v[0])
    parts = resolve(fused)
    assert sizes(fused) == [[2, 3]] * 3
    assert parts[0] == parts[1]
    assert parts[2][0] is parts[0][0] and parts[2][1] is not parts[0][1]
    assert all(map(all, free(fused)))


def test_a_reshape_of_which_nothing_is_taken_apart_repeats_its_units() -> None:
    gates = fresh(18)
    _, units = reshape(gates, [3, 6])
    unify(units, fresh(6))
    assert sizes(gates) == [[3, 6]]


def test_cutting_an_axis_cuts_its_units() -> None:
    axis = fresh(10)
    first, second, third = cut(axis, [2, 5, 3])
    unify(second, fresh(5))
    assert resolve(axis) == tuple(part for own in (first, second, third) for part in resolve(own))
    assert sizes(axis) == [[2], [5], [3]]


def test_a_cut_through_a_product_keeps_whole_units_free() -> None:
    groups = product([fresh(6), fixed(2)])
    first, second = cut(groups, [4, 8])
    assert (sizes(first), sizes(second)) == ([[2, 2]], [[4, 2]])
    assert free(first) == [[True, False]]
    odd = product([fresh(3), fresh(2)])
    one, other = cut(odd, [3, 3])
    assert not any(map(any, free(one))) and not any(map(any, free(other)))


def test_lengths_never_change() -> None:
    draws = np.random.default_rng(0)
    for _ in range(200):
        axes = [fresh(12) for _ in range(4)]
        for _ in range(6):
            one, other = (axes[i] for i in draws.integers(4, size=2))
            match draws.integers(4):
                case 0:
                    unify(one, other)
                case 1:
                    unify(one, product(reshape(other, [3, 4])[::-1]))
                case 2:
                    unify(one, tuple(part for own in cut(other, [5, 7])[::-1] for part in own))
                case _:
                    unify(one, product([fresh(2), fresh(6)]))
            assert [length(resolve(axis)) for axis in axes] == [12] * 4
