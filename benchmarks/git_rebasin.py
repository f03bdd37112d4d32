"""Aligning networks: batched over networks, against one network after the other.

python benchmarks/git_rebasin.py                            # 100 networks 784-32-32-10
python benchmarks/git_rebasin.py --resnet18 --networks 1    # a pair of ResNet-18s, target 0.8 s
"""

import argparse
import time

import numpy as np
import passive_threads  # noqa: F401
from scipy.optimize import linear_sum_assignment

from dwf_steps.architectures import build
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.git_rebasin import match_weights
from dwf_steps.symmetry.spec import PermutationSpec

State = NetworkState[np.ndarray]


def permuted(state: State, spec: PermutationSpec, perms: State, name: str, skip: int) -> np.ndarray:
    array = state[name]
    for axis, p in enumerate(spec[name]):
        if isinstance(p, str) and axis != skip:
            array = np.take(array, perms[p], axis=axis)
    return array


def one_network(target: State, state: State, spec: PermutationSpec, rng: np.random.Generator) -> State:
    """Weight matching of a single network, as the published algorithm is usually written."""
    axes: dict[str, list[tuple[str, int]]] = {}
    for name, of in spec.items():
        for axis, p in enumerate(of):
            if isinstance(p, str):
                axes.setdefault(p, []).append((name, axis))
    perms = {p: np.arange(state[uses[0][0]].shape[uses[0][1]]) for p, uses in axes.items()}
    for _ in range(100):
        progress = False
        for p in rng.permutation(list(axes)):
            n = len(perms[p])
            gains = np.zeros((n, n))
            for name, axis in axes[p]:
                wanted = np.moveaxis(target[name], axis, 0).reshape(n, -1)
                found = np.moveaxis(permuted(state, spec, perms, name, axis), axis, 0).reshape(n, -1)
                gains += wanted @ found.T
            _, units = linear_sum_assignment(gains, maximize=True)
            better = gains[np.arange(n), units].sum() > gains[np.arange(n), perms[p]].sum() + 1e-9
            perms[p], progress = units, progress or bool(better)
        if not progress:
            break
    return perms


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--widths", type=int, nargs="+", default=[784, 32, 32, 10])
    parser.add_argument("--resnet18", action="store_true", help="instead of the widths")
    args = parser.parse_args()
    config = ResNetConfig(kind="resnet18", classes=10) if args.resnet18 else MLPConfig(widths=args.widths)
    architecture = build(config)
    states = [
        {k: v.numpy() for k, v in architecture.initial_state("default", torch_generator("b", i)).items()}
        for i in range(args.networks + 1)
    ]
    parameters = architecture.parameters_of(StackedNetworks.stack(states, np.stack))
    spec = {name: axes for name, axes in architecture.permutation_spec().items() if name in parameters}
    target, *others = (parameters.network(i) for i in range(len(states)))
    stacked = parameters.select(slice(1, None))
    ours, theirs = [], []
    for _ in range(args.repeats):
        started = time.perf_counter()
        matching = match_weights(target, stacked, spec, 100, np.random.default_rng(0))
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        for state in others:
            one_network(target, state, spec, np.random.default_rng(0))
        theirs.append(time.perf_counter() - started)
    a, b = float(np.median(ours)), float(np.median(theirs))
    named = config.kind if args.resnet18 else "x".join(map(str, args.widths))
    print(f"{args.networks} random networks {named}; medians of {args.repeats}")
    print(f"batched          {a:8.3f} s   ({matching.sweeps.mean():.1f} sweeps a network)")
    print(f"one by one       {b:8.3f} s")
    print(f"ratio            {b / a:8.1f}")
    print(f"smallest step of the objective: {np.diff(matching.objective, axis=0).min():.1e} (never below 0)")


if __name__ == "__main__":
    main()
