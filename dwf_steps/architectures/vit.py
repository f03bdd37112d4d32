"""Vision transformers, as implemented in torchvision."""

from functools import partial

from dwf_steps.architectures.module import FunctionalArchitecture
from dwf_steps.config.architectures.images import ViTConfig
from dwf_steps.runtime.libraries import torchvision
from dwf_steps.symmetry.spec import Attention, PermutationSpec, Projection, hidden_units


class ViTArchitecture(FunctionalArchitecture):
    """`torchvision.models.VisionTransformer` (Dosovitskiy et al. 2021), with its state-dict keys.

    Heads, dimensions within heads and hidden units of the MLPs may be permuted; the residual stream, which
    layer norms, embeddings and head share, may not.
    """

    config: ViTConfig

    def __init__(self, config: ViTConfig) -> None:
        make = partial(
            torchvision("models.vision_transformer").VisionTransformer,
            image_size=config.image_size,
            patch_size=config.patch_size,
            num_layers=config.depth,
            num_heads=config.heads,
            hidden_dim=config.width,
            mlp_dim=config.mlp,
            num_classes=config.classes,
        )
        super().__init__(config, make)

    def permutation_spec(self) -> PermutationSpec:
        spec = super().permutation_spec()
        for layer in self._layers():
            spec |= hidden_units(f"{layer}.mlp", f"{layer}.mlp.0", f"{layer}.mlp.3")
        return spec

    def attention_spec(self) -> list[Attention]:
        attentions = []
        for layer in self._layers():
            name = f"{layer}.self_attention"
            query, key, value = (
                Projection(f"{name}.in_proj_weight", f"{name}.in_proj_bias", self.config.width * part)
                for part in range(3)
            )
            attentions.append(Attention(query, key, value, f"{name}.out_proj.weight", self.config.heads))
        return attentions

    def _layers(self) -> list[str]:
        return [f"encoder.layers.encoder_layer_{i}" for i in range(self.config.depth)]
