"""BERT is transformers', of the sizes stated, and runs many at once as one by one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dwf_steps.architectures import build
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.dataset import PADDING
from dwf_steps.export_pretrained import ExportPretrained, export_pretrained
from dwf_steps.runtime.libraries import transformers
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.manifest import Network, write_shard
from dwf_steps.storage.stacked import StackedNetworks

TINY = BertConfig(kind="bert", length=9, vocabulary=100, width=8, depth=2, heads=2, mlp=12)
SMALL = BertConfig(kind="bert", length=20, vocabulary=150, width=12, depth=3, heads=3, mlp=20, classes=4)


def texts(config: BertConfig, n: int = 5) -> torch.Tensor:
    """Tokens as networks get them, the k-th text with k places of padding."""
    tokens = torch.randint(1, config.vocabulary, (n, config.length), generator=torch_generator("texts"))
    for k in range(n):
        tokens[k, config.length - k :] = PADDING
    return tokens.float()


@pytest.mark.parametrize("config", [TINY, SMALL])
def test_sizes_are_those_of_transformers_network(config: BertConfig) -> None:
    architecture = build(config)
    module = architecture.module()
    assert type(module) is transformers("models.bert.modeling_bert").BertForSequenceClassification
    assert config.n_parameters == architecture.layout.size == sum(p.numel() for p in module.parameters())
    assert list(module.state_dict()) == [entry.name for entry in architecture.layout.entries]
    assert max(config.layers) >= architecture.widest


def test_the_largest_is_bert_base() -> None:
    """Devlin et al. 2019: 110 million parameters; exactly with 512 places and two outputs: 109,483,778."""
    base = BertConfig(kind="bert", length=512, classes=2)
    assert base.n_parameters == 109_483_778


@pytest.mark.parametrize("config", [TINY, SMALL])
@pytest.mark.parametrize("own", [True, False])
def test_many_networks_say_what_each_says(config: BertConfig, own: bool) -> None:
    architecture = build(config)
    drawn = [architecture.initial_state("default", torch_generator("test", i)) for i in range(3)]
    networks = StackedNetworks.stack(drawn, torch.stack)
    inputs = texts(config)
    shuffled = torch.stack([inputs.roll(i, 0) for i in range(3)])
    at_once = architecture.forward(networks, shuffled if own else inputs)
    assert at_once.shape == (3, 5, config.classes)
    for i in range(3):
        module = architecture.module()
        module.load_state_dict(drawn[i])
        tokens = (shuffled[i] if own else inputs).long()
        expected = module(input_ids=tokens, attention_mask=(tokens != PADDING).long()).logits
        torch.testing.assert_close(at_once[i], expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(at_once[0].detach().numpy(), at_once[1].detach().numpy())


def test_what_fills_a_text_up_changes_nothing() -> None:
    short, longer = TINY, TINY.model_copy(update={"length": 15})
    network = build(longer).initial_state("default", torch_generator("test"))
    places = "bert.embeddings.position_embeddings.weight"
    stacked = StackedNetworks.of_one(network)
    cut = stacked.replaced({places: network[places][None, : short.length]})
    inputs = texts(short)
    filled = torch.nn.functional.pad(inputs, (0, 6), value=PADDING)
    expected = build(short).forward(cut, inputs)
    torch.testing.assert_close(build(longer).forward(stacked, filled), expected, rtol=1e-4, atol=1e-6)


def test_an_exported_network_is_what_from_pretrained_takes(tmp_path: Path) -> None:
    architecture = build(TINY)
    drawn = StackedNetworks.of_one(architecture.initial_state("default", torch_generator("t")))
    state = drawn.numpy().network(0)
    network = Network("sample-3", state)
    write_shard(tmp_path / "shard-0", tmp_path / "shard-0.json", [network], TINY.model_dump())
    (tmp_path / "data/tokenizer").mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]
    (tmp_path / "data/tokenizer/vocab.txt").write_text("\n".join(words) + "\n")
    export_pretrained(
        ExportPretrained(architecture=TINY), tmp_path / "data", [tmp_path / "shard-0.json"], tmp_path / "out"
    )
    folder = tmp_path / "out/sample-3"
    kind = transformers("models.bert.modeling_bert").BertForSequenceClassification
    loaded = kind.from_pretrained(folder)
    tokenizer = transformers("models.bert.tokenization_bert").BertTokenizer.from_pretrained(folder)
    logits = loaded(**tokenizer(["good bad", "bad"], padding=True, return_tensors="pt")).logits
    inputs = torch.tensor([[2, 5, 6, 3], [2, 6, 3, 0]]).float()
    inputs = torch.nn.functional.pad(inputs, (0, TINY.length - 4))
    torch.testing.assert_close(logits, architecture.forward(drawn, inputs)[0], rtol=1e-4, atol=1e-6)
    assert json.loads((folder / "config.json").read_text())["problem_type"] == "regression"
    shared = tmp_path / "shard-0/sample-3.safetensors"
    assert (folder / "model.safetensors").samefile(shared)  # takes no space of its own
