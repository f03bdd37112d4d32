"""Probes: training examples on which networks are compared, described or trained."""

from dwf_steps.datasets.splits import Split
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator


def choose_probes(train: Split, probes: int, seed: int) -> Split:
    """Draw training examples without replacement.

    They are the first of a permutation that only the seed determines, so that probes with the same seed are
    nested.

    Parameters
    ----------
    train
        The m training examples.
    probes
        Number of probes, at most m.
    seed
        Seed of the permutation.

    Returns
    -------
    The probes, in the order drawn.

    Raises
    ------
    InputError
        If there are fewer training examples.
    """
    # Imported here because importers of this module do not all need PyTorch.
    import torch

    if probes > len(train):
        raise InputError(
            f"probes: found {probes}, but the data have {len(train)} training examples, expected at most "
            f"as many; lower probes, splits.validation or splits.test"
        )
    chosen = torch.randperm(len(train), generator=torch_generator("probes", seed))[:probes].numpy()
    return train.take(chosen)
