"""Architectures other than perceptrons go through the whole workflow; own code is part of what is rerun."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import own_networks
import pandas as pd
import pytest
import torch
from checkout import Checkout, one_cell
from PIL import Image
from safetensors.torch import load_file

from dwf_steps.architectures.loading import load_network
from dwf_steps.runtime.libraries import torchvision, transformers
from dwf_steps.storage.networks import load_state


@pytest.fixture(scope="module")
def run(new_checkout: Callable[[], Checkout]) -> Checkout:
    checkout = new_checkout()
    for i in range(60):
        (checkout.folder / f"colours/{i % 3}").mkdir(parents=True, exist_ok=True)
        colour = tuple(200 if i % 3 == channel else i for channel in range(3))
        Image.new("RGB", (4, 4), colour).save(checkout.folder / f"colours/{i % 3}/{i}.png")
    shutil.copy(own_networks.__file__, checkout.folder / "my_networks.py")
    checkout = one_cell(checkout, "colours", [2, 2], datasets={"colours": {"train": "colours", "size": 4}})
    network = {"import": "my_networks:SmallCNN", "kwargs": {"channels": 3}, "shape": [3, 4, 4], "classes": 3}
    checkout.config["zoos"]["micro"] |= {"architecture": network, "training": {"epochs": 20, "lr": 0.01}}
    checkout.config["recalibrations"] = {"none": [], "steps": [{"method": "fine_tune", "steps": 2}]}
    checkout.config["experiments"][0]["generators"] = ["flow"]
    checkout.config["experiments"][0]["recalibrations"] = ["none", "steps"]
    transformer = {"kind": "vit", "image_size": 4, "patch_size": 2, "width": 6, "depth": 1, "heads": 2}
    checkout.config["zoos"]["vit"] = checkout.config["zoos"]["micro"] | {
        "architecture": transformer | {"mlp": 8, "classes": 3},
        "training": {"epochs": 5, "lr": 0.01},
    }
    checkout.config["canonicalizations"] = {"transfusion": ["transfusion"]}
    checkout.config["experiments"].append(
        {
            "zoos": ["vit"],
            "canonicalizations": ["transfusion"],
            "subspaces": ["pca_4"],
            "generators": ["flow"],
        }
    )
    residual = {"kind": "resnet20", "width_multiplier": 0.15, "image_size": 4, "classes": 3}
    checkout.config["zoos"]["resnet"] = checkout.config["zoos"]["micro"] | {
        "architecture": residual,
        "training": {"epochs": 10, "lr": 0.01},
    }
    checkout.config["generators"]["copy"] = {"kind": "copy", "sampling": {"samples": 4}}
    checkout.config["recalibrations"] |= {
        "reference": ["reference_statistics"],
        "batch_norm": [{"method": "batch_norm", "examples": 40, "batch_size": 20}],
    }
    checkout.config["experiments"].append(
        {
            "zoos": ["resnet"],
            "canonicalizations": ["git_rebasin"],
            "subspaces": ["pca_4"],
            "generators": ["copy"],
            "recalibrations": ["none", "reference"],
        }
    )
    checkout.config["experiments"].append(
        checkout.config["experiments"][-1]
        | {"generators": ["copy", "flow"], "recalibrations": ["batch_norm"]}
    )
    checkout.config["canonicalizations"]["scaled"] = ["git_rebasin", "normalized"]
    sampling = {"samples": 4, "solver": "euler", "steps": 10}
    geodesics = checkout.config["generators"]["flow"] | {"geometry": "geometric", "sampling": sampling}
    checkout.config["generators"]["geodesics"] = geodesics
    scaled = {"canonicalizations": ["scaled"], "subspaces": ["raw"], "generators": ["geodesics"]}
    checkout.config["experiments"].append(checkout.config["experiments"][-1] | scaled)
    words = ["awful", "bad", "fair", "good", "great"]
    texts = [f"A {words[i % 5]} {['play', 'film', 'book'][i % 3]}, {i}." for i in range(80)]
    pd.DataFrame({"text": texts, "label": [i % 5 for i in range(80)]}).to_csv(
        checkout.folder / "reviews.csv", index=False
    )
    reviews = {"train": "reviews.csv", "length": 8, "vocabulary": 100, "regression": {"high": 4}}
    checkout.config["datasets"]["reviews"] = reviews
    checkout.config["zoos"]["bert"] = checkout.config["zoos"]["micro"] | {
        "dataset": "reviews",
        "architecture": {"kind": "bert", "length": 8, "vocabulary": 100, "width": 8, "depth": 1}
        | {"heads": 2, "mlp": 12},
        "training": {"epochs": 40, "lr": 0.01, "batch_size": 16},
    }
    checkout.config["experiments"].append(
        checkout.config["experiments"][1]
        | {"zoos": ["bert"], "generators": ["flow", "copy"], "recalibrations": ["none"]}
    )
    for i in range(40):  # grey images of another size, two classes
        (checkout.folder / f"shades/{i % 2}").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 6), (i + 180 * (i % 2),) * 3).save(checkout.folder / f"shades/{i % 2}/{i}.png")
    checkout.config["datasets"]["shades"] = {"train": "shades", "size": 6}
    tuning = {"training": {"epochs": 3, "lr": 0.01}, "networks": 3}
    checkout.config["transfers"] = {
        "swapped": {"dataset": "colours", "classes": [1, None, 0], **tuning},
        "shades": {"dataset": "shades", "size": 4, "head": "new", "frozen": 0.5, **tuning},
    }
    checkout.config["experiments"][3]["transfers"] = ["swapped", "shades"]
    checkout.write_config()
    checkout.snakemake("all")
    return checkout


def test_all_of_the_workflow_runs(run: Checkout) -> None:
    assert run.pending() == set()
    table = pd.read_csv(run.folder / "results/tables/accuracy.csv")
    assert set(table.recalibration) == {"none", "steps", "reference", "batch_norm"}
    own = table.query("metric == 'accuracy' and recalibration != 'reference'")
    assert own.zoo_mean.min() > 0.5
    cells = (
        "micro/git_rebasin",
        "vit/transfusion",
        "resnet/git_rebasin",
        "resnet/scaled",
        "bert/transfusion",
    )
    for cell in cells:
        alignment = pd.read_csv(run.folder / f"results/{cell}/alignment.csv")
        assert alignment.function_change.max() < 1e-6
        others = alignment[alignment.distance_before > 0]
        assert others.distance_after.mean() < others.distance_before.mean()


def test_generated_filters_lie_on_spheres(run: Checkout) -> None:
    (shard,) = run.folder.glob("results/resnet/scaled/weights/raw/geodesics/networks/shard-0")
    state = load_state(shard / "sample-0.safetensors")
    filters = [array for array in state.values() if array.ndim == 4]
    assert len(filters) == 21
    for array in filters:
        np.testing.assert_allclose(np.linalg.norm(array.reshape(len(array), -1), axis=1), 1, rtol=1e-4)


def test_a_generated_network_is_rebuilt_from_its_file_alone(
    run: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.folder)
    network = load_network(
        run.folder / "results/micro/git_rebasin/weights/pca_4/flow/networks/shard-0/sample-0.safetensors"
    )
    assert type(network).__name__ == "SmallCNN"
    assert sum(p.numel() for p in network.parameters()) == sum(
        p.numel() for p in own_networks.SmallCNN(3).parameters()
    )


def test_a_generated_transformer_loads_into_the_stock_class(run: Checkout) -> None:
    cell = run.folder / "results/vit/transfusion/weights/pca_4"
    (path,) = cell.glob("flow/networks/shard-0/sample-0.safetensors")
    stock = torchvision("models.vision_transformer").VisionTransformer(
        image_size=4, patch_size=2, num_layers=1, num_heads=2, hidden_dim=6, mlp_dim=8, num_classes=3
    )
    stock.load_state_dict(load_file(path))
    expected = load_network(path)(images := torch.rand(2, 3, 4, 4))
    torch.testing.assert_close(stock.eval()(images), expected)


def test_a_generated_bert_predicts_numbers_and_is_what_from_pretrained_takes(run: Checkout) -> None:
    cell = run.folder / "results/bert/transfusion/weights/pca_4/copy/none"
    table = pd.read_csv(run.folder / "results/tables/accuracy.csv").query("zoo == 'bert'")
    assert set(table.metric) == {"accuracy", "loss", "spearman", "r2", "mean_absolute_error"}
    assert table.query("metric == 'spearman'").zoo_mean.min() > 0.8
    novelty = pd.read_csv(run.folder / "results/tables/novelty.csv").query("zoo == 'bert'")
    assert novelty.mean_absolute_difference_mean.notna().all() and novelty.jensen_shannon_mean.isna().all()
    library = "models.bert.modeling_bert", "models.bert.tokenization_bert"
    network, tokenizer = (
        getattr(transformers(module), kind).from_pretrained(cell / "pretrained/sample-0")
        for module, kind in zip(library, ("BertForSequenceClassification", "BertTokenizer"), strict=True)
    )
    output = network(**tokenizer(["A great film, 3.", "A bad play, 4."], padding=True, return_tensors="pt"))
    assert output.logits[0] - output.logits[1] > 0.25  # two stars
    assert pd.read_csv(cell / "metrics.csv").spearman.min() > 0.8


def test_generated_statistics_of_copies_are_their_own(run: Checkout) -> None:
    folder = run.folder / "results/resnet/git_rebasin"
    generated, recalibrated, copied = (
        load_file(folder / f"weights/pca_4/copy/{name}networks/shard-0/sample-0.safetensors")
        for name in ("", "batch_norm/", "reference/")
    )
    networks = [load_file(path) for path in folder.glob("aligned/shard-*/seed-*.safetensors")]
    original = next(one for one in networks if torch.allclose(one["fc.bias"], generated["fc.bias"]))
    for name, value in generated.items():
        torch.testing.assert_close(value, original[name], rtol=1e-5, atol=1e-6)
        if ".running_" in name:
            assert not torch.equal(recalibrated[name], value)
        else:
            assert torch.equal(recalibrated[name], value)
            assert torch.equal(copied[name], value)
    counters = [value for name, value in generated.items() if name.endswith("num_batches_tracked")]
    assert {int(value) for value in counters} == {10}
    network = load_network(folder / "weights/pca_4/flow/batch_norm/networks/shard-0/sample-0.safetensors")
    assert torch.isfinite(network(torch.rand(2, 3, 4, 4))).all()


def test_networks_are_taken_to_other_data_and_tuned(run: Checkout) -> None:
    table = pd.read_csv(run.folder / "results/tables/transfer.csv")
    assert len(table) == 2 * 2 and (table.n == 3).all() and (table.failed_n == 0).all()
    cell = "results/resnet/git_rebasin/weights/pca_4/copy/batch_norm"
    rows = pd.read_csv(run.folder / f"{cell}/transfers/swapped.csv")
    assert list(rows.epoch) == [0, 1, 2, 3] * 3
    # Where red and blue have changed places, good networks are wrong until they are tuned.
    assert rows[rows.epoch == 0].accuracy.mean() < 0.2
    assert (run.folder / "results/figures/transfer.png").stat().st_size > 10_000
    copies = pd.read_csv(run.folder / f"{cell}/transfers/shades.csv")
    assert copies[copies.epoch == 3].accuracy.mean() > 0.4


def test_a_changed_transfer_reruns_itself_alone(run: Checkout) -> None:
    transfer = run.config["transfers"]["swapped"]
    try:
        transfer["seed"] = 1
        run.write_config()
        assert run.pending() == {"transfer", "tabulate", "plot"}
    finally:
        del transfer["seed"]
        run.write_config()


def test_other_texts_are_cut_and_trained_on_again(run: Checkout) -> None:
    reviews = run.config["datasets"]["reviews"]
    reviews["sample"] = 70
    try:
        run.write_config()
        again = run.pending()
        assert again >= {"prepare_texts", "divide_data", "train_zoo", "score", "export_pretrained"}
        assert again.isdisjoint({"prepare_images", "divide_transfer_data", "recalibrate"})
    finally:
        del reviews["sample"]
        run.write_config()


def test_changed_code_trains_anew_and_a_changed_comment_does_not(run: Checkout) -> None:
    path: Path = run.folder / "my_networks.py"
    before = path.read_text()
    try:
        path.write_text(before.replace("def forward", "# a comment\n    def forward"))
        assert run.pending() == set()
        path.write_text(before.replace(".relu()", ".tanh()"))
        assert run.pending() >= {"train_zoo", "canonicalize", "score", "evaluate"}
    finally:
        path.write_text(before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"import": "my_networks:plain", "kwargs": {}, "shape": [48]}, "does not take inputs of shape [48]"),
        ({"import": "my_networks:Missing"}, "my_networks:Missing cannot be imported"),
        ({"shape": [3, 5, 5]}, "shape and architecture.classes: found [3, 5, 5] and 3, but colours has 48"),
    ],
)
def test_what_does_not_fit_is_said_before_work_starts(run: Checkout, change: dict, message: str) -> None:
    zoo = run.config["zoos"]["micro"]
    network = zoo["architecture"]
    try:
        zoo["architecture"] = network | change
        run.write_config()
        output = run.snakemake("--dry-run", "all", check=False)
        assert message in output
        assert "Traceback" not in output
    finally:
        zoo["architecture"] = network
        run.write_config()
