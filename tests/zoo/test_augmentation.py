"""Augmented images are shifted and mirrored ones, drawn for every network by itself."""

import numpy as np
import pytest
import torch

from dwf_steps.config.zoo import Augmentation
from dwf_steps.zoo.augmentation import augment

SHAPE = (3, 5, 4)


def images(n: int = 2, b: int = 150) -> torch.Tensor:
    return torch.rand(n, b, 60, generator=torch.Generator().manual_seed(0)) + 1


def candidates(image: np.ndarray, crop: int, flip: bool) -> list[np.ndarray]:
    padded = np.pad(image, ((0, 0), (crop, crop), (crop, crop)))
    found = []
    for down in range(2 * crop + 1):
        for right in range(2 * crop + 1):
            seen = padded[:, down : down + 5, right : right + 4]
            found += [seen, seen[:, :, ::-1]] if flip else [seen]
    return found


@pytest.mark.parametrize(("crop", "flip"), [(0, True), (2, False), (1, True)])
def test_every_image_is_one_of_its_shifts_and_mirrors_and_all_occur(crop: int, flip: bool) -> None:
    before = images()
    after = augment(before, SHAPE, Augmentation(crop=crop, flip=flip), [0, 1], 3, 4)
    chosen = set()
    for image, seen in zip(before.flatten(0, 1).numpy(), after.flatten(0, 1).numpy(), strict=True):
        options = candidates(image.reshape(SHAPE), crop, flip)
        (which,) = [i for i, option in enumerate(options) if np.array_equal(option, seen.reshape(SHAPE))]
        chosen.add(which)
    assert len(chosen) == (2 * crop + 1) ** 2 * (1 + flip)


def test_draws_depend_on_seed_epoch_and_batch_alone() -> None:
    both = augment(images(), SHAPE, Augmentation(), [5, 6], 0, 0)
    alone = augment(images()[1:], SHAPE, Augmentation(), [6], 0, 0)
    assert torch.equal(both[1:], alone)
    for other in [([7], 0, 0), ([6], 1, 0), ([6], 0, 1)]:
        assert not torch.equal(augment(images()[1:], SHAPE, Augmentation(), *other), alone)


def test_without_changes_images_stay() -> None:
    assert torch.equal(augment(images(), SHAPE, Augmentation(crop=0, flip=False), [0, 1], 0, 0), images())
