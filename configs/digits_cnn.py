"""The small convolutional network of the experiments on response coordinates."""

from torch import Tensor, nn


class SmallCNN(nn.Module):
    """Three 3x3 convolutions with ReLU, mean pooling and a linear layer, for images (batch, 1, 8, 8)."""

    def __init__(self, channels: int = 12, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv3 = nn.Conv2d(channels, channels, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(2)
        # A linear layer over 2x2 pixels, whose second axis are the channels.
        self.head = nn.Conv2d(channels, classes, 2)

    def forward(self, images: Tensor) -> Tensor:
        hidden = images
        for convolution in (self.conv1, self.conv2, self.conv3):
            hidden = convolution(hidden).relu()
        logits: Tensor = self.head(self.pool(hidden)).flatten(1)
        return logits

    def permutation_spec(self) -> dict[str, tuple[str | None, ...]]:
        """Return the permutations of each hidden convolution's channels."""
        return {
            "conv1.weight": ("first", None, None, None),
            "conv1.bias": ("first",),
            "conv2.weight": ("second", "first", None, None),
            "conv2.bias": ("second",),
            "conv3.weight": ("third", "second", None, None),
            "conv3.bias": ("third",),
            "head.weight": (None, "third", None, None),
            "head.bias": (None,),
        }
