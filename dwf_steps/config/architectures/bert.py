"""Networks for texts."""

from typing import Annotated, Literal

from pydantic import Field

from dwf_steps.config.architectures.base import Size, TransformerConfig


class BertConfig(TransformerConfig):
    """BERT (Devlin et al. 2019), transformers' `BertForSequenceClassification`, for texts cut into tokens."""

    kind: Literal["bert"]
    """The family of networks."""
    length: Size = 128
    """Tokens of a text."""
    vocabulary: Annotated[int, Field(ge=100)] = 30_522
    """Different tokens, as many as the tokenizer has at least."""
    width: Size = 768
    """Width of the residual stream; a multiple of heads."""
    depth: Size = 12
    """Number of transformer layers."""
    heads: Size = 12
    """Attention heads of a layer."""
    mlp: Size = 3072
    """Hidden units of each layer's MLP."""
    classes: Size = 1
    """The number of outputs: logits, or one number to predict."""

    @property
    def vocabulary_size(self) -> int:
        """How many tokens it knows."""
        return self.vocabulary

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one text."""
        return (self.length,)

    @property
    def features(self) -> int:
        """The values of one input."""
        return self.length

    @property
    def n_parameters(self) -> int:
        """The number of weights, d: embeddings of tokens, places and two segments; layers; the pooler."""
        width = self.width
        embeddings = (self.vocabulary + self.length + 2 + 2) * width
        return embeddings + self.parameters_of_layers + (width + 1) * (width + self.classes)

    @property
    def multiplications(self) -> int:
        """What one input takes: every token the layers, and all tokens' scores and means."""
        scores = 2 * self.depth * self.width * self.length
        last = self.width * (self.width + self.classes)
        return self.length * (self.parameters_of_layers + scores) + last

    @property
    def most_units(self) -> int:
        """The units that the largest permutation acts on."""
        return max(self.mlp, self.width)

    @property
    def units(self) -> int:
        """Units of all layers: the transformer's, the pooler's, outputs."""
        return self.units_of_layers + self.width + self.classes

    @property
    def most_inputs(self) -> int:
        """Inputs of a unit that has the most of them."""
        return max(self.width, self.mlp)

    @property
    def layers(self) -> tuple[int, ...]:
        """The values that each layer says of one input."""
        values = self.outputs_of_layers(self.length)
        return (self.width * self.length, *values, self.width, self.classes)

    @property
    def needed(self) -> str:
        """What must be set to fit other data, for messages."""
        return f"length and architecture.classes: found {self.length} and {self.classes}"
