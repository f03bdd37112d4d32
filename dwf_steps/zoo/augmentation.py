"""Random crops and flips of the images of many networks at once."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.config.dataset import Shape
from dwf_steps.config.zoo import Augmentation
from dwf_steps.runtime.randomness import torch_generator


def augment(
    images: Tensor, shape: Shape, augmentation: Augmentation, seeds: Sequence[int], epoch: int, batch: int
) -> Tensor:
    """Shift and mirror the images of n networks at random.

    Each image is shifted by up to ``crop`` pixels in both directions, padded with zeros (the mean colour),
    and mirrored with probability one half if ``flip`` is set. The function is stateless: a network's draws
    depend only on its seed, the epoch and the batch.

    Parameters
    ----------
    images
        The networks' images, (n, b, features).
    shape
        Channels, height and width of an image.
    augmentation
        The settings.
    seeds
        The n networks' seeds.
    epoch, batch
        Numbers of the epoch and of the batch within it.

    Returns
    -------
    The augmented images, (n, b, features).
    """
    n, b, features = images.shape
    channels, height, width = shape
    crop = augmentation.crop
    draws = [torch_generator("augmentation", seed, epoch, batch) for seed in seeds]
    shifts = torch.cat([torch.randint(2 * crop + 1, (b, 2), generator=draw) for draw in draws])
    mirrored = torch.cat([torch.rand(b, generator=draw) < 0.5 for draw in draws]) & augmentation.flip
    down, right, mirrored = (x.to(images.device) for x in (*shifts.unbind(1), mirrored))
    padded = F.pad(images.view(n * b, channels, height, width), [crop] * 4)
    index = torch.arange(max(height, width), device=images.device)
    rows, columns = index[:height] + down[:, None], index[:width] + right[:, None]
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    which = torch.arange(n * b, device=images.device)[:, None, None, None]
    planes = torch.arange(channels, device=images.device)[:, None, None]
    seen = padded[which, planes, rows[:, None, :, None], columns[:, None, None, :]]
    return seen.view(n, b, features)
