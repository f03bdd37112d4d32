"""Detection of the parts of a module that draw random numbers, by observing a forward pass."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode


def random_parts(module: nn.Module, forward: Callable[[], object]) -> list[str]:
    """Find the innermost parts of a module that draw random numbers.

    The states of global generators (PyTorch's on every device, Python's and NumPy's) are compared at every
    entry and exit of a part; draws from the module's own `torch.Generator` are observed as they happen.

    Parameters
    ----------
    module
        The module.
    forward
        Runs the module once.

    Returns
    -------
    The distinct names in the order of the draws, with classes: ``blocks.0.drop (DropPath)``.
    """
    called = {part: name for name, part in module.named_modules()}
    stack: list[nn.Module] = [module]
    drew: dict[str, None] = {}
    last = _states()

    def note() -> None:
        part = stack[-1]
        drew[f"{called[part] or 'the module itself'} ({type(part).__name__})"] = None

    def compare() -> None:
        nonlocal last
        now = _states()
        if now != last:
            note()
        last = now

    def enter(part: nn.Module, _inputs: Any) -> None:
        compare()
        stack.append(part)

    def leave(_part: nn.Module, _inputs: Any, _output: Any) -> None:
        compare()
        stack.pop()

    with ExitStack() as hooks:
        for part in called:
            hooks.callback(part.register_forward_pre_hook(enter).remove)
            hooks.callback(part.register_forward_hook(leave).remove)
        hooks.enter_context(_OwnGenerators(note))
        forward()
        compare()
    return list(drew)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed PyTorch's CPU generator, Python's and NumPy's for the duration of a ``with`` block.

    Parameters
    ----------
    seed
        The seed.

    Yields
    ------
    Nothing; the generators' states are restored afterwards.
    """
    before, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(before)
            np.random.set_state(legacy)  # noqa: NPY002


class _OwnGenerators(TorchDispatchMode):
    """Calls a function at every operation that receives a generator."""

    def __init__(self, seen: Callable[[], None]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = (*args, *(kwargs or {}).values())
        if any(isinstance(value, torch.Generator) for value in given):
            self._seen()
        return func(*args, **(kwargs or {}))


def _states() -> tuple[object, ...]:
    """Return the states of all global generators, in a comparable form."""
    legacy = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    torches = (torch.get_rng_state(), *cuda)
    return (
        random.getstate(),
        legacy["pos"],
        legacy["key"].tobytes(),
        *(state.numpy().tobytes() for state in torches),
    )
