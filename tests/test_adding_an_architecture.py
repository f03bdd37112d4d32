"""An architecture of the user takes one file, and the lines of the configuration that name it."""

from collections.abc import Callable

import pandas as pd
import pytest
import torch
from additions import add, contents, touched
from checkout import Checkout, one_cell
from torch import nn

from dwf_steps.architectures.loading import load_network

FILES = {
    "gated.py": '''
"""A perceptron whose hidden units are gated."""

from torch import Tensor, nn


class Gated(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.value, self.gate = nn.Linear(4, width), nn.Linear(4, width)
        self.head = nn.Linear(width, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.value(inputs) * self.gate(inputs).sigmoid())

    def permutation_spec(self) -> dict[str, tuple[str | None, ...]]:
        return {
            "value.weight": ("hidden", None),
            "value.bias": ("hidden",),
            "gate.weight": ("hidden", None),
            "gate.bias": ("hidden",),
            "head.weight": (None, "hidden"),
            "head.bias": (None,),
        }
''',
}


@pytest.fixture(scope="module")
def added(new_checkout: Callable[[], Checkout]) -> tuple[Checkout, set[str]]:
    """Return a checkout in which a zoo of that architecture went through the workflow, and what it took."""
    checkout = new_checkout()
    before = contents(checkout.folder)
    add(checkout.folder, FILES)
    checkout = one_cell(checkout, "iris", [4, 6, 3])
    network = {"import": "gated:Gated", "kwargs": {"width": 6}, "shape": [4], "classes": 3}
    checkout.config["zoos"]["micro"] |= {"architecture": network, "training": {"epochs": 20, "lr": 0.02}}
    checkout.write_config()
    files = touched(before, contents(checkout.folder))
    checkout.snakemake("tables")
    return checkout, files


def test_it_touches_one_file_and_the_configuration(added: tuple[Checkout, set[str]]) -> None:
    assert added[1] == {*FILES, "experiment.yaml"}
    assert len(added[1] - {"experiment.yaml"}) <= 1


def test_its_networks_are_trained_aligned_and_reported(added: tuple[Checkout, set[str]]) -> None:
    root = added[0].folder / "results"
    table = pd.read_csv(root / "tables/accuracy.csv").query("metric == 'accuracy'")
    assert table.zoo_mean.iloc[0] > 0.8
    assert table.generated_n.iloc[0] == 6
    alignment = pd.read_csv(root / "micro/git_rebasin/alignment.csv")
    others = alignment[alignment.distance_before > 0]
    assert (others.distance_after < others.distance_before).all()
    assert alignment.function_change.max() < 1e-6


def test_a_generated_network_is_of_its_class(
    added: tuple[Checkout, set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = added[0].folder
    monkeypatch.chdir(folder)
    path = folder / "results/micro/git_rebasin/weights/pca_4/gaussian/networks/shard-0/sample-0.safetensors"
    network = load_network(path)
    assert type(network).__name__ == "Gated"
    inputs = torch.randn(5, 4)
    value, gate, head = (network.get_submodule(name) for name in ("value", "gate", "head"))
    assert isinstance(head, nn.Linear)
    torch.testing.assert_close(network(inputs), head(value(inputs) * torch.sigmoid(gate(inputs))))
