"""Exported networks are what transformers loads, with the same weights and the tokenizer of the data."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from tiny_zoo import damage

from dwf_steps.architectures import build
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.export_pretrained import ExportPretrained, export_pretrained
from dwf_steps.prepare_texts import PrepareTexts, prepare_texts
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.libraries import transformers
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.manifest import Manifest, Record, sha256
from dwf_steps.storage.networks import save_network
from dwf_steps.storage.stacked import StackedNetworks

LENGTH = 8
CONFIG = BertConfig(kind="bert", length=LENGTH, vocabulary=100, width=8, depth=1, heads=2, mlp=12, classes=2)
TEXTS = ["a fine play", "a bad play", "a fine film", "a bad book"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with texts, cut, and a shard of two networks."""
    pd.DataFrame({"text": TEXTS, "label": [1, 0, 1, 0]}).to_csv(tmp_path / "texts.csv", index=False)
    texts = {"train": tmp_path / "texts.csv", "length": LENGTH, "vocabulary": 100}
    prepare_texts(PrepareTexts.model_validate({"texts": texts}), tmp_path / "texts")
    (tmp_path / "shard-0").mkdir()
    records = []
    for i in range(2):
        state = build(CONFIG).initial_state("default", torch_generator("pretrained", i))
        path = tmp_path / f"shard-0/sample-{i}.safetensors"
        save_network(path, {name: value.numpy() for name, value in state.items()}, CONFIG.model_dump())
        records.append(Record(path.stem, sha256(path)))
    Manifest(tmp_path / "shard-0.json", tuple(records)).write()
    return tmp_path


def exported(folder: Path) -> Path:
    settings = ExportPretrained(architecture=CONFIG)
    export_pretrained(settings, folder / "texts", [folder / "shard-0.json"], folder / "pretrained")
    return folder / "pretrained"


def test_the_library_predicts_what_the_network_does(folder: Path) -> None:
    output, architecture = exported(folder), build(CONFIG)
    assert sorted(path.name for path in output.iterdir()) == ["sample-0", "sample-1"]
    model = transformers("models.bert.modeling_bert").BertForSequenceClassification
    tokenizer = transformers("models.bert.tokenization_bert").BertTokenizer
    for i in range(2):
        network = model.from_pretrained(output / f"sample-{i}").eval()
        tokens = tokenizer.from_pretrained(output / f"sample-{i}")(
            TEXTS, padding="max_length", max_length=LENGTH, return_tensors="pt"
        )
        with torch.no_grad():
            found = network(**tokens).logits
        state = architecture.initial_state("default", torch_generator("pretrained", i))
        inputs = tokens["input_ids"].float()
        stacked = StackedNetworks.of_one({name: value.detach() for name, value in state.items()})
        with torch.no_grad():
            torch.testing.assert_close(found, architecture.forward(stacked, inputs)[0], rtol=1e-4, atol=1e-5)


def test_weights_take_no_room_of_their_own(folder: Path) -> None:
    output = exported(folder)
    for i in range(2):
        source = folder / f"shard-0/sample-{i}.safetensors"
        assert (output / f"sample-{i}/model.safetensors").samefile(source)


def test_a_network_whose_file_changed_is_named_and_nothing_is_written(folder: Path) -> None:
    damage(folder / "shard-0/sample-1.safetensors")
    with pytest.raises(InputError, match=r"sample-1\.safetensors: SHA-256 is"):
        exported(folder)
    assert not (folder / "pretrained").exists()
