"""torchvision's networks, and what imports torchvision, can be named on a CPU-only PyTorch too."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkout import ROOT

from dwf_steps.architectures import build
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.runtime.libraries import despite_missing_operators, torchvision
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks

RESNET = {"import": "torchvision.models:resnet18", "shape": [3, 16, 16], "classes": 10}
LAZY = """
def make():
    from torchvision.models.resnet import resnet18
    return resnet18(num_classes=10)
"""
BUILDS = """
import sys
from dwf_steps.architectures import build
from dwf_steps.config.architectures.module import ModuleConfig

assert "torchvision" not in sys.modules
built = build(ModuleConfig.model_validate({settings!r}))
print(built.layout.size, built.source_file.name)
"""


@pytest.mark.parametrize(
    ("settings", "file"),
    [
        (RESNET | {"kwargs": {"num_classes": 10}}, "resnet.py"),
        (RESNET | {"import": "lazily_imported:make"}, "lazily_imported.py"),
    ],
    ids=["named in the configuration", "imported when it is called"],
)
def test_a_fresh_process_builds_a_network_of_torchvision(
    tmp_path: Path, settings: dict[str, object], file: str
) -> None:
    (tmp_path / "lazily_imported.py").write_text(LAZY, encoding="utf-8")
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{BUILDS.format(settings=settings)}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["11181642", file]


def test_networks_of_torchvision_say_what_torchvisions_module_says() -> None:
    architecture = build(ModuleConfig.model_validate(RESNET | {"kwargs": {"num_classes": 10}}))
    drawn = [architecture.initial_state("default", torch_generator("test", i)) for i in range(2)]
    networks = StackedNetworks.stack(drawn, torch.stack)
    inputs = torch.randn(2, 3, 3 * 16 * 16, generator=torch_generator("test", 2))
    found = architecture.forward(networks, inputs)
    module = torchvision("models").resnet18(num_classes=10).eval()
    for i in range(2):
        module.load_state_dict(networks.network(i))
        torch.testing.assert_close(found[i], module(inputs[i].view(3, 3, 16, 16)), rtol=1e-4, atol=1e-5)


def test_other_mistakes_are_told_and_nothing_is_called_again() -> None:
    calls = []

    def fails() -> None:
        calls.append(1)
        raise RuntimeError("no such file")

    with pytest.raises(RuntimeError, match="no such file"):
        despite_missing_operators(fails)
    assert len(calls) == 1
