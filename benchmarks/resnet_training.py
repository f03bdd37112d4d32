"""A training step of several ResNet-20s: at once, one at a time, channels last, in half precision.

    python benchmarks/resnet_training.py --widths 0.25 0.5 1

The loop of plain PyTorch modules is what a user would write. Times are of a network and step of 128 images.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import passive_threads  # noqa: F401
import torch
from torch.nn import functional as F

from dwf_steps.architectures import build, module
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.zoo import TrainingConfig
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks.classification import Classification
from dwf_steps.zoo.optimization import make_optimizer, take_step

BATCH, REPEATS = 128, 5


def seconds(step: Callable[[], object], networks: int) -> float:
    """Return the median seconds of a step, for each network."""
    step()
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append((time.perf_counter() - start) / networks)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--networks", type=int, default=4)
    parser.add_argument("--widths", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    args = parser.parse_args()
    n, device = args.networks, select_device()
    images = torch.randn(n, BATCH, 3072, device=device)
    targets = torch.randint(10, (n, BATCH), device=device)
    ways: dict[str, tuple[int, dict[str, object]]] = {
        "at once": (10**12, {}),
        "one at a time": (1, {}),
        "one at a time, channels last": (1, {"channels_last": True}),
        "one at a time, bfloat16": (1, {"precision": "bfloat16"}),
        "one at a time, both": (1, {"channels_last": True, "precision": "bfloat16"}),
    }
    for width in args.widths:
        architecture = build(ResNetConfig(kind="resnet20", width_multiplier=width, classes=10))
        drawn = [architecture.initial_state("default", torch_generator("b", i)) for i in range(n)]
        modules = [architecture.module().train().to(device) for _ in range(n)]
        optimizers = [torch.optim.SGD(own.parameters(), lr=0.1, momentum=0.9) for own in modules]

        def plain(modules: list = modules, optimizers: list = optimizers) -> None:
            for i, (own, optimizer) in enumerate(zip(modules, optimizers, strict=True)):
                optimizer.zero_grad()
                F.cross_entropy(own(images[i].view(BATCH, 3, 32, 32)), targets[i]).backward()
                optimizer.step()

        user = seconds(plain, n)
        print(f"width {width}: plain loop {1000 * user:7.1f} ms", flush=True)
        for name, (at_once, settings) in ways.items():
            module.GROUP_MULTIPLICATIONS[device.type] = at_once
            training = TrainingConfig.model_validate(
                {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, **settings}
            )
            networks = StackedNetworks.stack(drawn, torch.stack).map(lambda value: value.to(device))
            trained = [v.requires_grad_() for v in architecture.parameters_of(networks).values()]
            optimizer = make_optimizer(trained, training)
            ours = seconds(
                lambda a=architecture, s=networks, o=optimizer, t=training: take_step(
                    a, s, o, images, targets, t, Classification().losses
                ),  # type: ignore[misc]
                n,
            )
            print(f"  {name:30} {1000 * ours:7.1f} ms, plain / ours {user / ours:5.2f}", flush=True)


if __name__ == "__main__":
    main()
