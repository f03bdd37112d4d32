"""All that a GPU is for, on one GPU in at most 8 minutes, each beside what a user would do instead.

    python benchmarks/gpu.py --output gpu.csv          # again after an interruption: continues
    python benchmarks/gpu.py --tiny --output tiny.csv  # without a GPU: small sizes, on the CPU

Every part has a process and a time limit of its own. A row is written as each measurement ends; data are
synthetic, of the true shapes. What the rows are for: the guesses in dwf_steps/runtime/gpu.py.
"""

import argparse
import copy
import csv
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import passive_threads  # noqa: F401
import torch
from git_rebasin import one_network
from torch import Tensor, nn
from torch.nn import functional as F

from dwf_steps.architectures import build, module
from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.batch_norm import recompute_statistics
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.architectures.images import ResNetConfig, ViTConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.canonicalization import Transfusion
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.generators.flow_sampling import FlowSampling
from dwf_steps.config.zoo import TrainingConfig, plans_of
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.flow.fields import VelocityField, build_velocity
from dwf_steps.flow.fitting import _Run as FitRun
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.solve import integrate
from dwf_steps.flow.source import Source
from dwf_steps.flow.training import FlowPaths
from dwf_steps.generators.samples import Samples
from dwf_steps.metrics.scores import score_split
from dwf_steps.pipeline.settings.generate import Decode
from dwf_steps.representation.capture import Capture
from dwf_steps.representation.decoding import Decoder
from dwf_steps.representation.responses import Sketches, encode
from dwf_steps.representation.tracing import trace
from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.memory import first_line, is_exhausted
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row as MatrixRow
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.subspace.dual_pca import dual_pca
from dwf_steps.subspace.gram import accumulate
from dwf_steps.symmetry.canonical import remove_symmetries
from dwf_steps.symmetry.git_rebasin import match_weights
from dwf_steps.symmetry.spec import Projection
from dwf_steps.tasks.classification import Classification
from dwf_steps.tasks.regression import Regression
from dwf_steps.zoo.optimization import make_optimizer, take_step
from dwf_steps.zoo.training import train_networks

PLAIN = "plain loop"
"""The way that a user would do it; the ratios are to it."""
BF16_PEAK = {
    **{"H200": 989e12, "H100 NVL": 835e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12},
    **{"L40S": 362e12, "L4": 121e12, "A10": 125e12, "RTX 4090": 165e12, "V100": 125e12},
}
"""Dense operations a second in half precision, by a part of the card's name: the vendor's data sheets."""
DONE, LIMIT = "done", "time limit"


@dataclass(frozen=True)
class Result:
    """One measurement: how many ``unit`` a second, of one ``way`` of doing a ``case``."""

    part: str
    case: str
    way: str
    unit: str = ""
    per_second: float = math.nan
    ratio: float = math.nan
    memory_gb: float = math.nan
    share_of_bf16_peak: float = math.nan
    note: str = ""
    card: str = ""
    date: str = ""


COLUMNS = [column.name for column in fields(Result)]


@dataclass
class Run:
    """One part at work."""

    part: str
    output: Path
    tiny: bool
    device: torch.device
    deadline: float
    plain: dict[str, float] = field(default_factory=dict)

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def card(self) -> str:
        """The GPU's name, or the CPU."""
        return torch.cuda.get_device_name(self.device) if self.cuda else "CPU"

    def size(self, full: int, tiny: int) -> int:
        """Return a size of the true problem, or of the tiny one."""
        return tiny if self.tiny else full

    def measure(
        self,
        case: str,
        way: str,
        unit: str,
        units: float,
        run: Callable[[], object],
        operations: float = 0.0,
        once: bool = False,
    ) -> None:
        """Write how many ``units`` a second ``run`` does, and the peak of the memory meanwhile.

        A way that fails is a row with a note; one that is not done in time ends the part.

        Parameters
        ----------
        operations
            Of one run.
        once
            Not to be repeated, nor done once before it is timed.
        """
        if time.monotonic() > self.deadline:
            raise TimeoutError
        self._free()
        try:
            seconds = self._seconds(run, once)
        except Exception as error:  # a way that this card or this PyTorch cannot go
            note = "out of memory: " if is_exhausted(error) else f"{type(error).__name__}: "
            self.write(case, way, unit, note=note + first_line(error)[:200])
            return
        if way == PLAIN:
            self.plain[case] = units / seconds
        peak = next((peak for name, peak in BF16_PEAK.items() if name in self.card), math.nan)
        self.write(
            case,
            way,
            unit,
            per_second=units / seconds,
            ratio=units / seconds / self.plain.get(case, math.nan),
            memory_gb=self._peak() / 1e9,
            share_of_bf16_peak=operations / seconds / peak if operations else math.nan,
        )

    def write(self, case: str, way: str, unit: str = "", **values: Any) -> None:
        """Add a row to the table."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = replace(Result(self.part, case, way, unit, card=self.card, date=now), **values)
        add(self.output, row)
        print(as_line(row), flush=True)

    def _seconds(self, run: Callable[[], object], once: bool) -> float:
        if not once:
            run()
        self._synchronize()
        repeats, started = 0, time.perf_counter()
        while True:
            run()
            repeats += 1
            self._synchronize()
            passed = time.perf_counter() - started
            if once or passed > (0.0 if self.tiny else 0.7) or time.monotonic() > self.deadline:
                return passed / repeats

    def _synchronize(self) -> None:
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def _free(self) -> None:
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        elif (peak := Path("/proc/self/clear_refs")).exists():
            peak.write_text("5", encoding="utf-8")  # resets the process's peak

    def _peak(self) -> float:
        if self.cuda:
            return torch.cuda.max_memory_allocated(self.device)
        status = Path("/proc/self/status")
        lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
        return next((1024 * float(line.split()[1]) for line in lines if line.startswith("VmHWM:")), math.nan)


def add(path: Path, row: Result) -> None:
    """Append a row to a table, whose first row names the columns."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(asdict(row))


def read(path: Path) -> list[Result]:
    """Return the rows of a table; none where there is no table yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    kinds = {column.name: column.type for column in fields(Result)}
    for row in rows:
        row |= {name: float(text) for name, text in row.items() if kinds[name] is float}
    return [Result(**row) for row in rows]


def as_line(row: Result) -> str:
    """Return a row as a person reads it."""
    if row.note or math.isnan(row.per_second):
        return f"{row.part:15} {row.case:22} {row.way:30} {row.note}"
    share = "" if math.isnan(row.share_of_bf16_peak) else f", {100 * row.share_of_bf16_peak:.1f} % of peak"
    ratio = "" if math.isnan(row.ratio) else f", {row.ratio:.2f} times the plain loop"
    return (
        f"{row.part:15} {row.case:22} {row.way:30} {row.per_second:10.4g} {row.unit}/s{ratio}, "
        f"{row.memory_gb:.2f} GB{share}"
    )


# Training


def drawn(architecture: Architecture, n: int) -> StackedNetworks[Tensor]:
    """Return n untrained networks."""
    states = [architecture.initial_state("default", torch_generator("gpu", i)) for i in range(n)]
    return StackedNetworks.stack(states, torch.stack)


def inputs_for(config: ArchitectureConfig, *shape: int) -> Tensor:
    """Return inputs (*shape, features): tokens, or normal numbers."""
    draws = torch.Generator().manual_seed(0)
    if isinstance(config, BertConfig):
        return torch.randint(1, config.vocabulary, (*shape, config.features), generator=draws).float()
    return torch.randn(*shape, config.features, generator=draws)


@contextmanager
def groups_of(run: Run, multiplications: float) -> Iterator[None]:
    """Let as many networks run at once as have so many multiplications together."""
    before = module.GROUP_MULTIPLICATIONS[run.device.type]
    module.GROUP_MULTIPLICATIONS[run.device.type] = int(multiplications)
    try:
        yield
    finally:
        module.GROUP_MULTIPLICATIONS[run.device.type] = before


def plain_steps(run: Run, case: str, config: Any, batch: int, adam: bool) -> None:
    """Measure a step of one module, as a user writes it, compiled, and as a CUDA graph."""
    architecture, device = build(config), run.device
    inputs = inputs_for(config, batch).to(device)
    regression = config.classes == 1
    targets = torch.zeros(batch, dtype=torch.float32 if regression else torch.long, device=device)
    operations = 6.0 * config.multiplications * batch

    def loss(network: nn.Module, images: Tensor) -> Tensor:
        # What BERT does with its inputs (numbers of tokens, a mask) is the package's.
        found = (
            architecture.call(dict(network.state_dict(keep_vars=True)), images)
            if regression
            else network(images)
        )
        return F.mse_loss(found[:, 0], targets) if regression else F.cross_entropy(found, targets)

    def step_of(low: bool, channels_last: bool, compiled: bool, capturable: bool) -> Callable[[], object]:
        network = architecture.module().train().to(device)
        shaped = inputs if regression else inputs.unflatten(-1, architecture.input_shape)
        if channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            shaped = shaped.contiguous(memory_format=torch.channels_last)
        parameters = list(network.parameters())
        optimizer: torch.optim.Optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)
        if adam:
            optimizer = torch.optim.AdamW(parameters, lr=1e-5, capturable=capturable)
        run_network: Any = torch.compile(network) if compiled else network

        def step() -> None:
            optimizer.zero_grad(set_to_none=not capturable)
            with torch.autocast(device.type, torch.bfloat16, enabled=low):
                value = loss(run_network, shaped)
            value.backward()
            optimizer.step()

        return step

    def graphed() -> Callable[[], object]:
        step = step_of(False, False, False, capturable=True)
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return graph.replay

    images = not regression and len(architecture.input_shape) == 3
    ways: list[tuple[str, Callable[[], Callable[[], object]]]] = [
        (PLAIN, lambda: step_of(False, False, False, False)),
        ("plain, bfloat16", lambda: step_of(True, False, False, False)),
    ]
    if images:
        ways.append(("plain, bfloat16, channels last", lambda: step_of(True, True, False, False)))
    if run.cuda:
        ways.append(("plain, CUDA graph", graphed))
        if images:
            ways.append(("plain, compiled", lambda: step_of(False, False, True, False)))
    for way, make in ways:
        prepared = Prepared(make)
        run.measure(case, way, "network steps", 1, prepared, operations)


@dataclass
class Prepared:
    """What is made when it is first run, so that failing to make it counts as failing."""

    make: Callable[[], Callable[[], object]]
    made: Callable[[], object] | None = None

    def __call__(self) -> object:
        self.made = self.made or self.make()
        return self.made()


def our_steps(
    run: Run, case: str, config: Any, batch: int, adam: bool, at_once: list[int], images: bool
) -> None:
    """Measure `take_step` of several networks, in groups of several sizes and precisions."""
    architecture, device = build(config), run.device
    assert isinstance(architecture, module.FunctionalArchitecture)
    losses = Regression(0.1).losses if config.classes == 1 else Classification().losses
    kind = torch.float32 if config.classes == 1 else torch.long

    def step_of(n: int, **settings: Any) -> Callable[[], object]:
        inputs = inputs_for(config, n, batch).to(device)
        targets = torch.zeros(n, batch, dtype=kind, device=device)
        optimizer = {"optimizer": "adamw", "lr": 1e-5} if adam else {"optimizer": "sgd", "momentum": 0.9}
        training = TrainingConfig.model_validate(optimizer | settings)
        networks = drawn(architecture, n).map(lambda value: value.to(device))
        trained = [value.requires_grad_() for value in architecture.parameters_of(networks).values()]
        steps = make_optimizer(trained, training)
        return lambda: take_step(architecture, networks, steps, inputs, targets, training, losses)

    low: list[dict[str, Any]] = [
        {},
        {"precision": "bfloat16"},
        *([{"precision": "bfloat16", "channels_last": True}] if images else []),
    ]
    names = ["", ", bfloat16", ", bfloat16, channels last"]
    for n in at_once:
        for name, settings in zip(names, low, strict=False):
            if n > 1 and "channels_last" in settings:
                continue  # which many at once do not have
            with groups_of(run, n * architecture.multiplications + 1):
                operations = 6.0 * config.multiplications * batch * n
                prepared = Prepared(partial(step_of, n, **settings))
                run.measure(case, f"{n} at once{name}", "network steps", n, prepared, operations)


def mlp_zoo(run: Run) -> None:
    """Train 784-32-32-10 on images of MNIST's shape."""
    widths = [784, 32, 32, 10]
    config, examples = MLPConfig(widths=widths), run.size(60_000, 640)
    draws = np.random.default_rng(0)
    inputs = draws.standard_normal((examples, 784), np.float32)
    split = Split(inputs, draws.integers(10, size=examples))
    dataset, device = Dataset(split, split, split), run.device
    architecture = build(config)
    operations = 6.0 * config.multiplications * 64
    network = architecture.module().to(device)
    optimizer = torch.optim.Adam(network.parameters())
    images, targets = torch.from_numpy(inputs).to(device), torch.from_numpy(split.targets).to(device)
    steps = run.size(100, 2)

    def plain() -> None:
        order = torch.randperm(examples, device=device)
        for batch in order.split(64)[:steps]:
            optimizer.zero_grad()
            F.cross_entropy(network(images[batch]), targets[batch]).backward()
            optimizer.step()

    run.measure("784-32-32-10", PLAIN, "network steps", steps, plain, operations * steps)
    for n in (run.size(100, 3), run.size(1000, 6)):
        plans, training = plans_of(range(n), ["default"]), TrainingConfig(batch_size=64)
        train = partial(train_networks, architecture, dataset, plans, training, device, steps=steps)
        run.measure(
            "784-32-32-10",
            f"{n} at once",
            "network steps",
            n * steps,
            train,
            operations * n * steps,
            once=True,
        )


def resnet20(run: Run) -> None:
    config = ResNetConfig(kind="resnet20", width_multiplier=1.0 if not run.tiny else 0.0625, classes=10)
    batch = run.size(128, 2)
    plain_steps(run, "ResNet-20", config, batch, adam=False)
    our_steps(run, "ResNet-20", config, batch, False, [1, 2] if run.tiny else [1, 4, 16, 32], images=True)


def resnet18(run: Run) -> None:
    config = ResNetConfig(kind="resnet18", width_multiplier=1.0 if not run.tiny else 0.03125, classes=10)
    batch = run.size(512, 2)
    plain_steps(run, "ResNet-18", config, batch, adam=False)
    our_steps(run, "ResNet-18", config, batch, False, [1] if run.tiny else [1, 2, 4], images=True)


def vit(run: Run) -> None:
    small = {"width": 12, "mlp": 12, "depth": 1} if run.tiny else {"width": 192, "mlp": 768, "depth": 6}
    config = ViTConfig(kind="vit", heads=3, classes=10, **small)
    batch = run.size(128, 2)
    plain_steps(run, "ViT-Small-192", config, batch, adam=True)
    our_steps(run, "ViT-Small-192", config, batch, True, [1, 2] if run.tiny else [1, 2, 4, 8], images=False)


def bert_config(run: Run) -> BertConfig:
    if run.tiny:
        return BertConfig(kind="bert", length=8, vocabulary=100, width=12, depth=1, heads=3, mlp=12)
    return BertConfig(kind="bert", length=128, vocabulary=30522)


def bert(run: Run) -> None:
    config, batch = bert_config(run), run.size(32, 2)
    plain_steps(run, "BERT-Base", config, batch, adam=True)
    our_steps(run, "BERT-Base", config, batch, True, [1] if run.tiny else [1, 2], images=False)


# Subspaces, symmetries


def subspace(run: Run) -> None:
    """Gram matrix and principal components of 100 ResNet-18s, and samples decoded into files."""
    n, d, k = run.size(100, 8), run.size(11_173_962, 4_000), run.size(20, 3)
    case, draws, device = f"{n} of {d:,} weights", np.random.default_rng(0), run.device
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = [MatrixRow(f"seed-{i}") for i in range(n)]
        matrix = WeightMatrix.create(
            folder / "weights.zarr", Layout.of({"weight": (d,)}), rows, {}, "float32"
        )
        for columns in matrix.write_blocks():
            matrix.array[:, columns] = draws.standard_normal((n, columns.stop - columns.start), np.float32)

        def plain() -> None:
            """All rows on the device at once, from the same files."""
            weights = torch.from_numpy(matrix.read()).to(device)
            weights -= weights.mean(0)
            torch.linalg.eigh((weights @ weights.T).double())

        def ours() -> None:
            gram = accumulate(matrix, threads=torch.get_num_threads())
            dual_pca(gram.products, n, n - 1, rounding=gram.rounding)

        run.measure(case, PLAIN, "networks", n, plain, once=True)
        run.measure(case, "Gram matrix, streamed (CPU)", "networks", n, ours, once=True)
        decoding(run, f"decoding, {case}", folder, matrix, k)


def decoding(run: Run, case: str, folder: Path, matrix: WeightMatrix, k: int) -> None:
    from dwf_steps.decode import decode

    n = len(matrix.rows)
    coefficients = np.random.default_rng(1).standard_normal((k, n)) / n**0.5
    coefficients -= coefficients.mean(axis=1, keepdims=True)
    Samples(np.empty((k, 0)), coefficients, np.empty((k, 0), np.float32)).save(folder / "samples.npz")

    def plain() -> None:
        weights = torch.from_numpy(matrix.read()).to(run.device)
        mixed = torch.from_numpy(coefficients).to(weights) @ weights + weights.mean(0)
        for i, row in enumerate(mixed.cpu()):
            torch.save(row.clone(), folder / f"plain-{i}.pt")

    def ours() -> None:
        settings, threads = Decode(part=0, parts=1, memory_mb=1024), torch.get_num_threads()
        outputs = folder / "networks", folder / "networks.json"
        decode(settings, folder / "samples.npz", matrix.path, *outputs, threads)

    run.measure(case, PLAIN, "networks", k, plain, once=True)
    run.measure(case, "streamed (CPU)", "networks", k, ours, once=True)


def symmetry(run: Run) -> None:
    """Git Re-Basin of a pair of ResNet-18s, TransFusion of pairs of ViTs and BERTs; all on the CPU."""
    width = 0.03125 if run.tiny else 1.0
    architecture = build(ResNetConfig(kind="resnet18", width_multiplier=width, classes=10))
    parameters = architecture.parameters_of(drawn(architecture, 2)).numpy()
    spec = {name: axes for name, axes in architecture.permutation_spec().items() if name in parameters}
    target, other, stacked = parameters.network(0), parameters.network(1), parameters.select(slice(1, 2))
    draws = np.random.default_rng
    run.measure(
        *("Git Re-Basin, ResNet-18", PLAIN, "networks", 1),
        *(lambda: one_network(target, other, spec, draws(0)),),
        once=True,
    )
    run.measure(
        *("Git Re-Basin, ResNet-18", "match_weights (CPU)", "networks", 1),
        *(lambda: match_weights(target, stacked, spec, 100, draws(0)),),
        once=True,
    )
    small = {"width": 12, "mlp": 12, "depth": 1} if run.tiny else {}
    for name, config in (
        ("ViT-Small-192", ViTConfig(kind="vit", heads=3, classes=10, **small)),
        ("BERT-Base", bert_config(run)),
    ):
        transformer = build(config)
        pair = drawn(transformer, 2).numpy()
        run.measure(
            *(f"TransFusion, {name}", PLAIN, "networks", 1),
            *(partial(heads_one_by_one, transformer, pair),),
            once=True,
        )
        run.measure(
            *(f"TransFusion, {name}", "remove_symmetries (CPU)", "networks", 1),
            *(partial(transfusion, transformer, pair),),
            once=True,
        )


def transfusion(architecture: Architecture, pair: StackedNetworks[np.ndarray]) -> None:
    """Match the second network to the first."""
    other, reference = pair.select(slice(1, 2)), pair.network(0)
    remove_symmetries(architecture.symmetry_spec(), other, reference, [Transfusion()])


def heads_one_by_one(architecture: Architecture, pair: StackedNetworks[np.ndarray]) -> None:
    """Match heads by their singular values, and dimensions within heads, head by head; hidden units by
    weights, layer by layer: as TransFusion is usually written."""
    from scipy.optimize import linear_sum_assignment

    one, other = pair.network(0), pair.network(1)
    for attention in architecture.attention_spec():

        def heads(
            network: dict[str, np.ndarray], part: Projection, count: int = attention.heads
        ) -> np.ndarray:
            weight = network[part.weight][part.first :]
            width = network[attention.output].shape[1]  # noqa: B023
            return weight[:width].reshape(count, width // count, -1)

        parts = (attention.query, attention.key, attention.value)
        wanted, found = ([heads(network, part) for part in parts] for network in (one, other))
        cost = np.zeros((attention.heads, attention.heads))
        for a, b in zip(wanted, found, strict=True):
            for i in range(len(a)):
                for j in range(len(b)):
                    spectra = (np.linalg.svd(head, compute_uv=False) for head in (a[i], b[j]))
                    cost[i, j] += float(np.linalg.norm(np.subtract(*spectra)))
        for first, second in zip(*linear_sum_assignment(cost), strict=True):
            scores = [a[first] @ b[second].T for a, b in zip(wanted, found, strict=True)]
            linear_sum_assignment(scores[0] + scores[1], maximize=True)
            linear_sum_assignment(scores[2], maximize=True)
    for name, axes in architecture.permutation_spec().items():
        if axes[0] is not None and len(axes) > 1:
            linear_sum_assignment(one[name] @ other[name].T, maximize=True)


# Flows


def flow_config(velocity: dict[str, Any], steps: int, batch: int) -> FlowConfig:
    training = {"steps": steps, "batch_size": batch, "lr": 1e-3}
    return FlowConfig.model_validate({"kind": "flow", "velocity": velocity, "training": training})


def flow_cases(run: Run) -> list[tuple[str, dict[str, Any], int, NetworkSpec | None, int]]:
    """Return names, velocity networks, latents, what is known of the networks, and the batch."""
    architecture = build(MLPConfig(widths=[784, 32, 32, 10] if not run.tiny else [6, 4, 3]))
    known, d = NetworkSpec(architecture.layout, architecture), architecture.layout.size
    width = run.size(128, 8)
    return [
        ("MLP 512", {"width": run.size(512, 8)}, run.size(99, 7), None, run.size(64, 4)),
        ("MLP 1024", {"width": run.size(1024, 16)}, run.size(99, 7), None, run.size(64, 4)),
        ("unit transformer", {"network": "unit_transformer", "width": width}, d, known, run.size(64, 4)),
        (
            "relational transformer",
            {"network": "relational_transformer", "width": run.size(32, 8)},
            *(d, known, run.size(8, 2)),
        ),
    ]


def flow_training(run: Run) -> None:
    """Steps of a fit, without the reports that it makes fifty times."""
    for case, velocity, k, known, batch in flow_cases(run):
        config, device = flow_config(velocity, 10_000, batch), run.device
        latents = torch.randn(100, k, generator=torch.Generator().manual_seed(0)).to(device)
        network = build_velocity(k, config.velocity, known).to(device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)

        def plain(
            network: nn.Module = network,
            optimizer: torch.optim.Optimizer = optimizer,
            latents: Tensor = latents,
            batch: int = batch,
        ) -> None:
            x1 = latents[torch.randint(len(latents), (batch,), device=latents.device)]
            x0, t = torch.randn_like(x1), torch.rand(batch, 1, device=latents.device)
            optimizer.zero_grad()
            (network(t, x0 + t * (x1 - x0)) - (x1 - x0)).square().mean().backward()
            optimizer.step()

        run.measure(case, PLAIN, "steps", 1, plain)
        paths = FlowPaths(latents, None, config, Source(), None)
        fit = FitRun.start(copy.deepcopy(network), paths, config.training, device)

        def ours(fit: FitRun = fit, paths: FlowPaths = paths, batch: int = batch) -> None:
            fit.advance(paths.draw(batch, fit.draws))

        run.measure(case, "as in a fit", "steps", 1, ours)


def flow_sampling(run: Run) -> None:
    """100 networks with 100 steps of RK4; the published loop draws one after the other."""
    from torchdiffeq import odeint

    sampling = FlowSampling(steps=run.size(100, 2))
    for case, velocity, k, known, _ in flow_cases(run)[1:3]:
        network = build_velocity(k, flow_config(velocity, 1, 1).velocity, known).to(run.device).eval()
        start = torch.randn(run.size(100, 4), k).to(run.device)
        grid = torch.linspace(0, 1, sampling.steps + 1, device=run.device)

        @torch.no_grad()
        def plain(network: nn.Module = network, start: Tensor = start, grid: Tensor = grid) -> None:
            odeint(lambda t, x: network(t.expand(len(x), 1), x), start[:1], grid, method="rk4")

        run.measure(case, PLAIN, "networks", 1, plain, once=True)
        field_of_all = VelocityField(network)
        run.measure(
            *(case, f"{len(start)} at once", "networks", len(start)),
            partial(integrate, field_of_all, start, sampling),
            once=True,
        )


# Running networks


def running(run: Run) -> None:
    """Batch-norm recalibration and scoring of ResNet-18s; a user updates statistics with `update_bn`."""
    n, m = run.size(4, 2), run.size(10_000, 8)
    config = ResNetConfig(kind="resnet18", width_multiplier=0.03125 if run.tiny else 1.0, classes=10)
    architecture, device = build(config), run.device
    networks = drawn(architecture, n).map(lambda value: value.to(device))
    inputs, draws = inputs_for(config, m), np.random.default_rng(0)
    split = Split(inputs.numpy(), draws.integers(10, size=m))
    network, batch = architecture.module().to(device), run.size(512, 4)
    batches = [part.unflatten(-1, architecture.input_shape).to(device) for part in inputs.split(batch)]
    operations = 2.0 * config.multiplications * m
    run.measure(
        *("batch norm, ResNet-18", PLAIN, "networks", 1),
        *(lambda: torch.optim.swa_utils.update_bn(batches, network), operations),
    )
    run.measure(
        *("batch norm, ResNet-18", "recompute_statistics", "networks", n),
        *(lambda: recompute_statistics(architecture, networks, inputs.to(device), batch), n * operations),
    )

    @torch.no_grad()
    def plain() -> None:
        network.eval()
        targets = torch.from_numpy(split.targets).to(device).split(batch)
        for seen, own in zip(batches, targets, strict=True):
            (network(seen).argmax(1) == own).sum().item()

    run.measure("scoring, ResNet-18", PLAIN, "networks", 1, plain, operations)
    run.measure(
        *("scoring, ResNet-18", "score_split", "networks", n),
        *(lambda: score_split(architecture, networks, split), n * operations),
    )


def responses(run: Run) -> None:
    """Encoding ResNet-20s in response coordinates and decoding them, beside training one for an epoch."""
    config = ResNetConfig(kind="resnet20", width_multiplier=0.5 if not run.tiny else 0.0625, classes=10)
    n, probes, functions = run.size(10, 2), run.size(1000, 12), run.size(200, 4)
    architecture, device = build(config), run.device
    networks = drawn(architecture, n).map(lambda value: value.to(device))
    capture = Capture(architecture, inputs_for(config, probes).to(device), positions=4, seed=0)
    case, batch, epoch = "ResNet-20, half as wide", run.size(128, 4), run.size(390, 2)
    module_ = architecture.module().train().to(device)
    optimizer = torch.optim.SGD(module_.parameters(), lr=0.1, momentum=0.9)
    seen = inputs_for(config, batch).unflatten(-1, architecture.input_shape).to(device)
    targets = torch.zeros(batch, dtype=torch.long, device=device)

    def epoch_of_one() -> None:
        for _ in range(epoch):
            optimizer.zero_grad()
            F.cross_entropy(module_(seen), targets).backward()
            optimizer.step()

    run.measure(case, PLAIN, "networks", 1, epoch_of_one, once=True)
    sketches = Sketches(capture, trace(architecture), functions, seed=0)
    run.measure(case, "sketching", "networks", n, lambda: sketches.add(networks), once=True)
    shapes = {entry.name: entry.shape for entry in architecture.layout.entries}
    basis = sketches.basis(shapes, networks.select([0]))
    found: list[Tensor] = []
    run.measure(
        case, "encoding", "networks", n, lambda: found.append(encode(capture, basis, networks)[0]), once=True
    )
    buffers = networks.only(architecture.buffers)
    for matching in ("pre_activations", "activations"):
        decoder = Decoder(capture, basis, matching=matching)
        run.measure(
            *(case, f"decoding, {matching}", "networks", n),
            *(lambda decoder=decoder: decoder.decode(found[0], buffers),),
            once=True,
        )


PARTS: dict[str, tuple[Callable[[Run], None], float]] = {
    "mlp_zoo": (mlp_zoo, 30),
    "resnet20": (resnet20, 65),
    "resnet18": (resnet18, 65),
    "vit": (vit, 35),
    "bert": (bert, 35),
    "flow_training": (flow_training, 40),
    "flow_sampling": (flow_sampling, 20),
    "running": (running, 30),
    "responses": (responses, 25),
    "symmetry": (symmetry, 35),
    "subspace": (subspace, 40),
}
"""What is measured, in this order, and for how many seconds at most: 7 minutes, beside starting processes."""


def run_part(name: str, output: Path, tiny: bool, limit: float) -> None:
    """Measure one part in this process, to its end or until its time is up."""
    measure, _ = PARTS[name]
    run = Run(name, output, tiny, select_device(), time.monotonic() + limit)
    try:
        measure(run)
    except TimeoutError:
        run.write("", LIMIT, note=f"{LIMIT} of {limit:g} s reached: later measurements are missing")
    run.write("", DONE)


def start_part(name: str, output: Path, limit: float) -> None:
    """Measure one part in a process of its own, which is killed some seconds after its time is up."""
    command = [sys.executable, __file__, "--output", str(output), "--part", name, "--limit", str(limit)]
    try:
        subprocess.run(command, timeout=limit + 20, check=False)
    except subprocess.TimeoutExpired:
        note = f"{LIMIT} of {limit:g} s reached in the midst of a measurement; the process was killed"
        add(output, Result(name, "", LIMIT, note=note))
        add(output, Result(name, "", DONE))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("gpu.csv"), help="table; continued if it exists")
    parser.add_argument("--tiny", action="store_true", help="small sizes, in one process, also on a CPU")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--limit", type=float, help="seconds of a part, instead of its own")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not (torch.cuda.is_available() or args.tiny):
        sys.exit(
            "error: no GPU is visible to PyTorch (CUDA); --tiny runs everything on the CPU, with small sizes"
        )
    if args.part:
        run_part(args.part, args.output, False, args.limit)
        return
    known = read(args.output)
    done = {row.part for row in known if row.way == DONE}
    if unfinished := [row for row in known if row.part not in done]:
        args.output.unlink()
        for row in known:
            if row not in unfinished:
                add(args.output, row)
    for name in args.parts:
        limit = PARTS[name][1] if args.limit is None else args.limit
        if name in done:
            print(f"{name:15} measured already, in {args.output}", flush=True)
        elif args.tiny:
            run_part(name, args.output, True, limit)
        else:
            start_part(name, args.output, limit)


if __name__ == "__main__":
    main()
