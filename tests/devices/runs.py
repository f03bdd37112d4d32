"""Runs steps of a finished workflow again on a device, and parts of the mathematics on it and on the CPU.

    python tests/devices/runs.py card|cuda steps.json folder     in the directory of the finished workflow

A process of its own: what the device is, is known to PyTorch from the beginning.
"""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dwf_steps.runtime import device as devices

CPU = torch.device("cpu")
Operation = Callable[[torch.device], dict[str, Tensor]]


def main() -> None:
    name, steps, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if name == "card":
        import card

        from dwf_steps.architectures import module
        from dwf_steps.metrics import scores

        device = card.register()
        module.GROUP_MULTIPLICATIONS[name] = module.GROUP_MULTIPLICATIONS["cuda"]
        scores.ACTIVATIONS_BYTES[name] = scores.ACTIVATIONS_BYTES["cuda"]
    else:
        device = torch.device(name)
    # Before the steps are imported, which take the function by its name.
    devices.select_device = lambda: device
    for module_name, arguments in json.loads(steps.read_text(encoding="utf-8")):
        sys.argv = [module_name, *arguments]
        importlib.import_module(module_name).main()
    torch.set_grad_enabled(True)
    for operation, run in OPERATIONS.items():
        for of, where in (("cpu", CPU), ("device", device)):
            found = run(where)
            arrays = {key: value.detach().cpu().double().numpy() for key, value in found.items()}
            np.savez(folder / f"{operation}-{of}.npz", **arrays)


def _networks(architecture: Any, device: torch.device, n: int = 3) -> Any:
    from dwf_steps.runtime.randomness import torch_generator
    from dwf_steps.storage.stacked import StackedNetworks

    drawn = [architecture.initial_state("default", torch_generator("device", i)) for i in range(n)]
    return StackedNetworks.stack(drawn, torch.stack).map(lambda value: value.to(device, copy=True))


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _architectures() -> dict[str, Any]:
    from dwf_steps.architectures import build
    from dwf_steps.config.architectures.bert import BertConfig
    from dwf_steps.config.architectures.images import ResNetConfig, ViTConfig
    from dwf_steps.config.architectures.mlp import MLPConfig

    small: dict[str, Any] = {"width": 8, "depth": 1, "heads": 2, "mlp": 12}
    return {
        "MLP": build(MLPConfig(widths=[12, 6, 5, 3])),
        "ResNet": build(ResNetConfig(kind="resnet20", width_multiplier=0.125, image_size=8, classes=3)),
        "ViT": build(ViTConfig(kind="vit", image_size=8, classes=3, **small)),
        "BERT": build(BertConfig(kind="bert", length=7, vocabulary=100, **small)),
    }


def _inputs(architecture: Any, *shape: int) -> Tensor:
    values = _normal(*shape, architecture.config.features)
    if architecture.config.kind == "bert":
        return (values.abs() * 20).floor().clamp(0, 99)
    return values


def training(name: str) -> Operation:
    def run(device: torch.device) -> dict[str, Tensor]:
        from dwf_steps.config.zoo import TrainingConfig
        from dwf_steps.tasks.classification import Classification
        from dwf_steps.zoo.optimization import make_optimizer, take_step

        architecture = _architectures()[name]
        networks, inputs = _networks(architecture, device), _inputs(architecture, 3, 6).to(device)
        targets = (torch.arange(6) % architecture.config.classes).expand(3, 6).to(device)
        settings = TrainingConfig(optimizer="sgd", lr=1e-3, momentum=0.9, clip=1.0)
        trained = [value.requires_grad_() for value in architecture.parameters_of(networks).values()]
        optimizer = make_optimizer(trained, settings)
        for _ in range(2):
            take_step(architecture, networks, optimizer, inputs, targets, settings, Classification().losses)
        return dict(networks)

    return run


def recalibrating(device: torch.device) -> dict[str, Tensor]:
    from dwf_steps.config.recalibration import BatchNorm, Distill, FineTune, LastLayer, Repair
    from dwf_steps.datasets.splits import Split
    from dwf_steps.recalibration.methods import apply_recalibration
    from dwf_steps.storage.stacked import StackedNetworks

    split = Split(_normal(40, 12).numpy(), np.arange(40) % 3)
    mlp, resnet = _architectures()["MLP"], _architectures()["ResNet"]
    networks = _networks(mlp, device)
    answers = StackedNetworks({"answers": _normal(1, 40, 3).softmax(-1).to(device)})
    methods = [
        Repair(method="repair", examples=30),
        LastLayer(method="last_layer", examples=30),
        FineTune(method="fine_tune", examples=30, steps=2),
        Distill(method="distill", probes=40, steps=2),
    ]
    references = [networks, StackedNetworks(), StackedNetworks(), answers]
    found = {f"mlp.{k}": v for k, v in apply_recalibration(mlp, networks, methods, split, references).items()}
    images = Split(_normal(12, 192).numpy(), np.arange(12) % 3)
    again = [BatchNorm(method="batch_norm", examples=12, batch_size=5)]
    statistics = apply_recalibration(resnet, _networks(resnet, device), again, images, [StackedNetworks()])
    return found | {k: v for k, v in statistics.items() if "running" in k}


def responding(name: str) -> Operation:
    def run(device: torch.device) -> dict[str, Tensor]:
        from dwf_steps.representation.capture import Capture
        from dwf_steps.representation.decoding import Decoder
        from dwf_steps.representation.responses import ResponseBasis, Sketches, encode
        from dwf_steps.representation.tracing import trace

        architecture = _architectures()[name]
        networks = _networks(architecture, device)
        capture = Capture(architecture, _inputs(architecture, 14).to(device), positions=3, seed=0)
        shapes = {entry.name: entry.shape for entry in architecture.layout.entries}
        sketches = Sketches(capture, trace(architecture), 5, seed=0)
        sketches.add(networks)
        found = sketches.basis(shapes, networks.select([0])).functions
        # Signs of singular vectors are free: coordinates are of projectors' bases otherwise.
        functions = {layer: values * values.sum(0).sign() for layer, values in found.items()}
        basis = ResponseBasis(sketches._trace, shapes, functions)
        coordinates, shares = encode(capture, basis, networks)
        buffers = networks.only(architecture.buffers)
        decoded = Decoder(capture, basis, matching="activations").decode(coordinates, buffers)
        outputs = architecture.forward(decoded, _inputs(architecture, 14).to(device))
        return {"outputs": outputs} | {f"share.{layer}": share for layer, share in shares.items()}

    return run


def flowing(velocity: str, **more: Any) -> Operation:
    def run(device: torch.device) -> dict[str, Tensor]:
        from dwf_steps.config.generators.flow import FlowConfig, Likelihood
        from dwf_steps.flow.fields import VelocityField
        from dwf_steps.flow.graph import NetworkSpec
        from dwf_steps.flow.likelihood import log_density
        from dwf_steps.flow.solve import integrate
        from dwf_steps.flow.source import Source
        from dwf_steps.flow.training import FlowPaths, fit_velocity

        architecture = _architectures()["MLP"]
        known = NetworkSpec(architecture.layout, architecture)
        kinds: dict[str, Any] = {
            "mlp": {"width": 8, "time_embedding": 4, "dropout": 0.0},
            "unit_transformer": {"network": velocity, "width": 8, "depth": 1, "heads": 2},
            "relational_transformer": {"network": velocity, "width": 8, "depth": 1, "heads": 2},
        }
        steps = {"steps": 3, "batch_size": 4, "lr": 1e-3}
        config = FlowConfig.model_validate(
            {"kind": "flow", "velocity": kinds[velocity], "training": steps, **more}
        )
        latents = _normal(10, architecture.layout.size)
        left_out = torch.arange(10) > 7
        fitted = fit_velocity(latents, config, device, network=known, left_out=left_out)
        field = VelocityField(fitted.velocity, config.prediction)
        start = _normal(4, architecture.layout.size, seed=1).to(device)
        batch = FlowPaths(latents.to(device), None, config, Source(), None).draw(
            4, torch.Generator().manual_seed(0)
        )
        found = {"x": batch.x, "u": batch.u, "velocity": field(torch.full((4, 1), 0.3).to(device), start)}
        if device.type != "card":  # which torchdiffeq's solvers cannot use
            found["ends"], _ = integrate(field, start, config.sampling)
            asked = Likelihood(divergence="hutchinson", probes=2, steps=2)
            found["density"] = log_density(field, start, asked)
        return found

    return run


OPERATIONS: dict[str, Operation] = {
    **{f"training_{name}": training(name) for name in ("MLP", "ResNet", "ViT", "BERT")},
    "recalibrating": recalibrating,
    **{f"responding_{name}": responding(name) for name in ("MLP", "ResNet")},
    "flow_mlp": flowing("mlp", coupling="ot", prediction="endpoint"),
    "flow_unit_transformer": flowing("unit_transformer", sampling={"solver": "euler", "steps": 3}),
    "flow_relational_transformer": flowing("relational_transformer", sampling={"steps": 2}),
}

if __name__ == "__main__":
    main()
