"""BERT, as implemented in transformers."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dwf_steps.architectures.module import FunctionalArchitecture
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.dataset import PADDING
from dwf_steps.runtime.libraries import transformers
from dwf_steps.storage.stacked import NetworkState
from dwf_steps.symmetry.spec import Attention, PermutationSpec, Projection, hidden_units

LOWEST = torch.finfo(torch.float32).min


class BertArchitecture(FunctionalArchitecture):
    """`transformers.BertForSequenceClassification` (Devlin et al. 2019), without dropout.

    State-dict keys are those of the library; inputs are token indices as floats. Heads, dimensions within
    heads, hidden units of the MLPs and the pooler's outputs may be permuted; the residual stream, which layer
    norms, embeddings and pooler share, may not.
    """

    config: BertConfig

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, partial(_make, config))

    def call(self, network: NetworkState[Tensor], inputs: Tensor) -> Tensor:
        tokens = inputs.long()
        # The additive mask: the library would derive it from a binary one with control flow that depends on
        # data, which vmap does not support.
        mask = torch.zeros_like(inputs, dtype=torch.float32).masked_fill(tokens == PADDING, LOWEST)
        asked = {"input_ids": tokens, "attention_mask": mask[:, None, None]}
        logits: Tensor = functional_call(
            self._module, self._constants_of(network) | network, (), asked
        ).logits
        return logits

    def pretrained_config(self) -> dict[str, Any]:
        """Return the contents of a pretrained model's `config.json`."""
        return dict(_library_config(self.config).to_dict(), architectures=[type(self._module).__name__])

    def permutation_spec(self) -> PermutationSpec:
        spec = super().permutation_spec()
        for layer in self._layers():
            spec |= hidden_units(f"{layer}.mlp", f"{layer}.intermediate.dense", f"{layer}.output.dense")
        return spec | hidden_units("pooler", "bert.pooler.dense", "classifier")

    def attention_spec(self) -> list[Attention]:
        attentions = []
        for layer in self._layers():
            name = f"{layer}.attention"
            query, key, value = (
                Projection(f"{name}.self.{part}.weight", f"{name}.self.{part}.bias")
                for part in ("query", "key", "value")
            )
            output = f"{name}.output.dense.weight"
            attentions.append(Attention(query, key, value, output, self.config.heads))
        return attentions

    def _layers(self) -> list[str]:
        return [f"bert.encoder.layer.{i}" for i in range(self.config.depth)]


def _make(config: BertConfig) -> nn.Module:
    stock = transformers("models.bert.modeling_bert").BertForSequenceClassification
    module: nn.Module = stock(_library_config(config))
    return module


def _library_config(config: BertConfig) -> Any:
    return transformers("models.bert.configuration_bert").BertConfig(
        vocab_size=config.vocabulary,
        hidden_size=config.width,
        num_hidden_layers=config.depth,
        num_attention_heads=config.heads,
        intermediate_size=config.mlp,
        max_position_embeddings=config.length,
        num_labels=config.classes,
        problem_type="regression" if config.classes == 1 else "single_label_classification",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        dtype=torch.float32,
        # vmap does not support fused attention.
        attn_implementation="eager",
    )
