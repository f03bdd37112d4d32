"""Networks for texts."""

from typing import Annotated, Literal

from pydantic import Field

from dwf_steps.config.architectures.base import Size, TransformerConfig


class BertConfig(TransformerConfig):
    """BERT for tokenized texts, as transformers' `BertForSequenceClassification` (Devlin et al. 2019)."""

    kind: Literal["bert"]
    """The family of networks."""
    length: Size = 128
    """Tokens per text."""
    vocabulary: Annotated[int, Field(ge=100)] = 30_522
    """Vocabulary size, which must be at least the tokenizer's."""
    width: Size = 768
    """Width of the residual stream; a multiple of heads."""
    depth: Size = 12
    """Number of transformer layers."""
    heads: Size = 12
    """Attention heads per layer."""
    mlp: Size = 3072
    """Hidden units of each layer's MLP."""
    classes: Size = 1
    """Number of outputs: logits, or one number to predict."""

    @property
    def vocabulary_size(self) -> int:
        """The number of tokens that it knows."""
        return self.vocabulary

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one text."""
        return (self.length,)

    @property
    def features(self) -> int:
        """The number of values of one input."""
        return self.length

    @property
    def n_parameters(self) -> int:
        """The number of weights, d: embeddings of tokens, positions and two segments; layers; the pooler."""
        width = self.width
        embeddings = (self.vocabulary + self.length + 2 + 2) * width
        return embeddings + self.parameters_of_layers + (width + 1) * (width + self.classes)

    @property
    def multiplications(self) -> int:
        """Multiplications for one input: the layers for every token, and attention over all tokens."""
        scores = 2 * self.depth * self.width * self.length
        last = self.width * (self.width + self.classes)
        return self.length * (self.parameters_of_layers + scores) + last

    @property
    def most_units(self) -> int:
        """The number of units that the largest permutation acts on."""
        return max(self.mlp, self.width)

    @property
    def units(self) -> int:
        """The number of units of all layers: the transformer's, the pooler's, and the outputs."""
        return self.units_of_layers + self.width + self.classes

    @property
    def most_inputs(self) -> int:
        """The largest number of inputs of a unit."""
        return max(self.width, self.mlp)

    @property
    def layers(self) -> tuple[int, ...]:
        """The number of values that each layer outputs for one input."""
        values = self.outputs_of_layers(self.length)
        return (self.width * self.length, *values, self.width, self.classes)

    @property
    def needed(self) -> str:
        """The settings that would have to change to fit other data, for messages."""
        return f"length and architecture.classes: found {self.length} and {self.classes}"
