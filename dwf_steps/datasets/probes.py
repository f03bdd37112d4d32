"""Probes: the training inputs that networks are compared, described or taught on."""

from dataclasses import replace

from dwf_steps.datasets.splits import Split
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator


def choose_probes(train: Split, probes: int, seed: int) -> Split:
    """Return some training examples, drawn without replacement.

    They are the first of one permutation of all of them, which the seed alone decides: fewer probes of one
    seed are among more of them, and the same number and seed always give the same ones.

    Parameters
    ----------
    train
        The training examples, m of them.
    probes
        How many to take, at most m.
    seed
        Decides which.

    Returns
    -------
    The probes in the order drawn, with their targets.

    Raises
    ------
    InputError
        If there are fewer training examples than that.
    """
    # Imported here: reading data takes no tensors.
    import torch

    if probes > len(train):
        raise InputError(
            f"probes: found {probes}, but the data have {len(train)} training examples; expected at most "
            f"these. Lower probes, or give splits.validation and splits.test a smaller share"
        )
    chosen = torch.randperm(len(train), generator=torch_generator("probes", seed))[:probes].numpy()
    return replace(train, inputs=train.inputs[chosen], targets=train.targets[chosen])
