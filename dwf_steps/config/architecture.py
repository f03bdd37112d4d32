"""The architecture of a zoo's networks: one of the families in `architectures`."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.architectures.images import ResNetConfig, ViTConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.architectures.module import ModuleConfig


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        kind = "module" if "import" in value or "target" in value else str(value.get("kind", "mlp"))
    else:
        kind = str(getattr(value, "kind", "mlp"))
    return "resnet" if kind in ("resnet18", "resnet20") else kind


ArchitectureConfig = Annotated[
    Annotated[MLPConfig, Tag("mlp")]
    | Annotated[ResNetConfig, Tag("resnet")]
    | Annotated[ViTConfig, Tag("vit")]
    | Annotated[BertConfig, Tag("bert")]
    | Annotated[ModuleConfig, Tag("module")],
    Discriminator(_kind),
]
