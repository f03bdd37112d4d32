"""Geodesic paths for a batch of networks at once, against one by one and against geoopt where it is installed
(`pip install geoopt`); a training step of the relational transformer on 784-h-10."""

import argparse
import importlib
import resource
import time
from collections.abc import Callable

import numpy as np
import passive_threads  # noqa: F401
import torch
from torch import nn

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.flow.fields import VelocityField, build_velocity
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.path import probability_path
from dwf_steps.flow.source import STANDARD
from dwf_steps.flow.training import draw_batch
from dwf_steps.geometry import sphere
from dwf_steps.geometry.canonical_form import CanonicalForm
from dwf_steps.geometry.product import ProductManifold


def median(run: Callable[[], object], repeats: int) -> float:
    """Return the median seconds of a call, after one that is not counted."""
    run()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def against_geoopt(
    manifold: ProductManifold, x0: torch.Tensor, x1: torch.Tensor, t: torch.Tensor, ours: float, repeats: int
) -> None:
    """Compare time with that of geoopt's sphere, batched alike, and the errors of logarithms in float32."""
    try:
        geoopt = importlib.import_module("geoopt")
    except ImportError:
        print("geoopt is not installed: not compared")
        return
    unit = geoopt.Sphere()

    def batched() -> None:
        for s in manifold.spheres:
            a, b = (x[:, s.columns].unflatten(1, (s.count, s.size)) / s.radius for x in (x0, x1))
            point = unit.expmap(a, t.unsqueeze(-1) * unit.logmap(a, b))
            unit.logmap(point, b).div_(1 - t.unsqueeze(-1))

    theirs = median(batched, repeats)
    print(f"  geoopt, batched: {1000 * theirs:.1f} ms, ratio {theirs / ours:.1f}")
    x = sphere.project(torch.randn(100, 784, dtype=torch.float64))
    direction = sphere.project(sphere.tangent(x, torch.randn(100, 784, dtype=torch.float64)))
    for angle in (1e-1, 1e-2, 1e-3, 1e-4):
        y = sphere.exp(x, angle * direction)
        errors = [
            (log(x.float(), y.float()).double() / angle - direction).norm(dim=1).median().item()
            for log in (sphere.log, unit.logmap)
        ]
        print(f"  error of log at an angle of {angle:g}: {errors[0]:.1e}, geoopt {errors[1]:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    architecture = build(MLPConfig(widths=[784, 10, 10]))
    rows = np.random.default_rng(0).normal(size=(args.batch, architecture.layout.size)).astype(np.float32)
    form = CanonicalForm.of(architecture.layout, architecture.rescaling_spec(), rows)
    manifold, x1 = form.manifold, form.points(rows)
    x0, t = manifold.uniform(torch.randn(x1.shape)), torch.rand(args.batch, 1)
    noise = torch.zeros_like(x0)

    def one_by_one() -> None:
        """A path for each network and each of its spheres, as a loop over samples has it."""
        for i in range(args.batch):
            for s in manifold.spheres:
                for k in range(s.count):
                    columns = slice(s.start + k * s.size, s.start + (k + 1) * s.size)
                    a, b = x0[i, columns] / s.radius, x1[i, columns] / s.radius
                    displacement = sphere.log(a, b)
                    sphere.exp(a, t[i] * displacement)
                    sphere.carry(a, displacement, t[i])

    ours = median(lambda: probability_path(manifold, x0, x1, t, noise, 0.0), args.repeats)
    loop = median(one_by_one, 1)
    print(f"geodesic paths, batch {args.batch}, 784-10-10: {1000 * ours:.1f} ms, one by one {loop:.2f} s,")
    print(f"  ratio {loop / ours:.0f}")
    against_geoopt(manifold, x0, x1, t, ours, args.repeats)
    for hidden in (10, 20, 40, 80, 160):
        widths = build(MLPConfig(widths=[784, hidden, 10]))
        network = NetworkSpec(widths.layout, widths)
        points = torch.randn(64, widths.layout.size)
        config = FlowConfig.model_validate(
            {
                "kind": "flow",
                "velocity": {"network": "relational_transformer", "width": 32, "depth": 5},
                "training": {"batch_size": 8},
            }
        )
        velocity = build_velocity(widths.layout.size, config.velocity, network)
        optimizer = torch.optim.AdamW(velocity.parameters(), fused=True)
        draws = torch.Generator().manual_seed(0)

        def step(
            velocity: nn.Module = velocity,
            optimizer: torch.optim.Optimizer = optimizer,
            points: torch.Tensor = points,
            config: FlowConfig = config,
            draws: torch.Generator = draws,
        ) -> None:
            batch = draw_batch(points, config.training.batch_size, config, draws, STANDARD)
            optimizer.zero_grad(set_to_none=True)
            VelocityField(velocity).backward(batch)
            optimizer.step()

        seconds = median(step, args.repeats)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"step, batch 8, 784-{hidden}-10, width 32, depth 5: {seconds:.3f} s, peak {memory:.1f} GB")


if __name__ == "__main__":
    main()
