"""Training the MNIST flow: as configured in configs/mnist.yaml, against the published protocol."""

import argparse
import time
from pathlib import Path

import numpy as np
import passive_threads  # noqa: F401
import torch
import yaml

from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.flow.training import fit_velocity

PUBLISHED_STEPS, PUBLISHED_BATCH = 30_000, 8
ROOT = Path(__file__).resolve().parent.parent


def seconds(flow: FlowConfig, steps: int, batch_size: int, measured: int) -> float:
    """Return the seconds of ``steps`` optimisation steps, from ``measured`` ones."""
    training = flow.training.model_copy(update={"steps": measured, "batch_size": batch_size})
    latents = torch.randn(100, 99, generator=torch.Generator().manual_seed(0))
    started = time.perf_counter()
    fit_velocity(latents, flow.model_copy(update={"training": training}), torch.device("cpu"))
    return (time.perf_counter() - started) * steps / measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measured", type=int, default=1000, help="steps measured a side")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = yaml.safe_load((ROOT / "configs/mnist.yaml").read_text(encoding="utf-8"))
    flow = FlowConfig.model_validate(config["generators"]["flow_published"])
    ours, theirs = [], []
    for _ in range(args.repeats):
        ours.append(seconds(flow, flow.training.steps, flow.training.batch_size, args.measured))
        theirs.append(seconds(flow, PUBLISHED_STEPS, PUBLISHED_BATCH, args.measured))
    a, b = float(np.median(ours)), float(np.median(theirs))
    print(f"99 latents, width {flow.velocity.width}, {args.threads} thread(s); medians of {args.repeats}")
    print(f"{flow.training.steps} steps of {flow.training.batch_size:<4}    {a:8.1f} s")
    print(f"{PUBLISHED_STEPS} steps of {PUBLISHED_BATCH:<4}   {b:8.1f} s")
    print(f"ratio                {b / a:8.1f}")


if __name__ == "__main__":
    main()
