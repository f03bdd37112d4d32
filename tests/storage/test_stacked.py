"""Stacked networks: whatever is done to them is done to every array."""

import numpy as np
import torch

from dwf_steps.storage.stacked import StackedNetworks

N = 5


def networks() -> StackedNetworks[np.ndarray]:
    draws = np.random.default_rng(0)
    return StackedNetworks(weight=draws.normal(size=(N, 3, 2)), steps=np.arange(N))


def test_networks_are_counted_and_taken_apart() -> None:
    stacked = networks()
    assert stacked.count == N
    assert StackedNetworks().count == 0
    again = StackedNetworks.stack([stacked.network(i) for i in range(N)], np.stack)
    for name, array in stacked.items():
        np.testing.assert_array_equal(again[name], array)
    alone = StackedNetworks.of_one(stacked.network(2))
    assert alone.count == 1
    np.testing.assert_array_equal(alone["weight"], stacked["weight"][2:3])


def test_a_selection_has_its_order() -> None:
    for rows in (slice(1, 4), [3, 0, 3], np.array([4, 1])):
        some = networks().select(rows)
        for name, array in networks().items():
            np.testing.assert_array_equal(some[name], array[rows])


def test_chunks_are_all_networks_once_and_in_order() -> None:
    for size in (1, 2, N, N + 3):
        chunks = list(networks().chunks(size))
        assert all(some.count == rows.stop - rows.start <= size for rows, some in chunks)
        np.testing.assert_array_equal(np.concatenate([some["steps"] for _, some in chunks]), np.arange(N))


def test_arrays_are_chosen_and_replaced_without_touching_the_others() -> None:
    stacked = networks()
    assert list(stacked.only(["steps"])) == ["steps"]
    changed = stacked.replaced({"steps": np.zeros(N)})
    assert isinstance(changed, StackedNetworks) and list(changed) == list(stacked)
    assert changed["weight"] is stacked["weight"] and stacked["steps"].any() and not changed["steps"].any()


def test_tensors_and_arrays_turn_into_each_other() -> None:
    tensors = networks().tensors()
    assert tensors.device == torch.device("cpu") and tensors["weight"].dtype == torch.float64
    back = tensors.only(["weight"]).map(torch.Tensor.requires_grad_).numpy()
    np.testing.assert_array_equal(back["weight"], networks()["weight"])
