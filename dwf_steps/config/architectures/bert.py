"""Networks for texts."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dwf_steps.config.architectures.base import NetworkConfig, Size


class BertConfig(NetworkConfig):
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

    @model_validator(mode="after")
    def _divisible(self) -> "BertConfig":
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self

    @property
    def symmetries(self) -> list[str]:
        """Which kinds of symmetries it has."""
        return ["permutation_spec", "attention_spec"]

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
        return embeddings + self.depth * self._layer() + (width + 1) * (width + self.classes)

    @property
    def multiplications(self) -> int:
        """What one input takes: every token the layers, and all tokens' scores and means."""
        scores = 2 * self.width * self.length
        return self.length * self.depth * (self._layer() + scores) + self.width * (self.width + self.classes)

    @property
    def most_units(self) -> int:
        """The units that the largest permutation acts on."""
        return max(self.mlp, self.width)

    @property
    def layers(self) -> tuple[int, ...]:
        """The values that each layer says of one input."""
        tokens, width = self.length, self.width
        said = (3 * width * tokens, self.heads * tokens**2, self.mlp * tokens, width * tokens)
        return (width * tokens, *(said * self.depth), width, self.classes)

    @property
    def needed(self) -> str:
        """What must be set to fit other data, for messages."""
        return f"length and architecture.classes: found {self.length} and {self.classes}"

    def _layer(self) -> int:
        """Return the weights of a layer."""
        width, mlp = self.width, self.mlp
        return (width + 1) * 4 * width + 4 * width + (width + 1) * mlp + (mlp + 1) * width
