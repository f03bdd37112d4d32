"""Steps of a workflow on a GPU: they work, and say what they say on a CPU.

Everything runs on a device without hardware too (`tests/devices/card.py`), which takes nothing that lies
elsewhere.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from checkout import Checkout
from safetensors.numpy import load_file

from dwf_steps.runtime.device import select_device
from dwf_steps.runtime.gpu import VARIABLE

TESTS = Path(__file__).resolve().parent
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
DEVICES = ["card", pytest.param("cuda", marks=CUDA)]
ACCELERATED = (
    *("train_zoo", "canonicalize", "fit_generator", "sample_generator", "score", "score_zoo"),
    *("sketch_responses", "solve_responses", "encode_responses", "decode_responses", "assess_representation"),
)
RANDOM = {"fit_generator"}
"""Whose dropout draws from the device's own generator: a GPU's draws are others."""
OPERATIONS = (
    *("training_MLP", "training_ResNet", "training_ViT", "training_BERT", "recalibrating"),
    *("responding_MLP", "responding_ResNet", "flow_mlp", "flow_unit_transformer"),
    "flow_relational_transformer",
)
NOT_COMPARED = {"training_ResNet", "responding_ResNet", "flow_relational_transformer"}
"""Which the device without hardware runs, but not to the CPU's values."""
TOLERANCES = {"card": 1e-4, "cuda": 2e-2}
"""Relative to the largest value. A GPU adds in another order, and rounds factors of convolutions to TF32;
training, and solving for weights, enlarge that."""


@dataclass(frozen=True)
class Compared:
    """A finished workflow's steps run again on a device; ``outputs`` by rule, relative to both folders."""

    device: str
    expected: Path
    found: Path
    outputs: dict[str, list[str]]


def steps_of(checkout: Checkout) -> list[tuple[str, list[str], list[str]]]:
    """Return rules, their steps' arguments, and outputs, two jobs of each rule."""
    output = checkout.snakemake("all", "--dry-run", "--forceall", "--printshellcmds")
    found, seen = [], Counter[str]()
    for rule, text in re.findall(r"^rule (\w+):\n(.*?)^\[|\Z", output, re.M | re.S):
        command = re.search(r"python -m dwf_steps\.\w+ (.*?) > \S+ 2>&1", text, re.S)
        written = re.search(r"^    output: (.*)$", text, re.M)
        if rule not in ACCELERATED or not command or not written or seen[rule] >= 2:
            continue
        seen[rule] += 1
        found.append((rule, shlex.split(command[1]), written[1].split(", ")))
    return found


@pytest.fixture(scope="module", params=DEVICES)
def compared(
    request: pytest.FixtureRequest, finished: Checkout, tmp_path_factory: pytest.TempPathFactory
) -> Compared:
    folder = tmp_path_factory.mktemp("device")
    outputs: dict[str, list[str]] = {}
    steps = []
    for rule, arguments, written in steps_of(finished):
        outputs.setdefault(rule, []).extend(written)
        elsewhere = [str(folder / text) if text in written else text for text in arguments]
        for path in written:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        steps.append([f"dwf_steps.{rule}", elsewhere])
    (folder / "steps.json").write_text(json.dumps(steps))
    command = [sys.executable, TESTS / "devices/runs.py", request.param, folder / "steps.json", folder]
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    done = subprocess.run(
        command,
        cwd=finished.folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return Compared(request.param, finished.folder, folder, outputs)


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """Return the numbers in a file, or in a folder of networks."""
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        return {f"{file.stem}.{key}": array for file in files for key, array in load_file(file).items()}
    match path.suffix:
        case ".safetensors":
            return load_file(path)
        case ".npz":
            with np.load(path) as file:
                return {key: file[key] for key in file.files if file[key].dtype.kind in "fiub"}
        case ".npy":
            return {"rows": np.load(path)}
        case ".csv":
            frame = pd.read_csv(path).select_dtypes("number")
            return {str(name): frame[name].to_numpy() for name in frame}
    return {}


def assert_alike(expected: dict[str, np.ndarray], found: dict[str, np.ndarray], tolerance: float) -> None:
    assert expected.keys() == found.keys()
    for key, array in expected.items():
        assert found[key].shape == array.shape
        one, other = array.astype(float), found[key].astype(float)
        scale = np.abs(one[np.isfinite(one)]).max(initial=1e-3)
        np.testing.assert_allclose(other, one, rtol=tolerance, atol=tolerance * scale, err_msg=key)


@pytest.mark.parametrize("rule", ACCELERATED)
def test_a_step_writes_what_it_writes_on_a_cpu(compared: Compared, rule: str) -> None:
    numbers = 0
    for path in compared.outputs[rule]:
        expected, found = (arrays_of(folder / path) for folder in (compared.expected, compared.found))
        if rule in ("sketch_responses", "solve_responses"):
            # Signs of singular vectors are free.
            expected, found = ({k: np.abs(v) for k, v in some.items()} for some in (expected, found))
        if rule in RANDOM and compared.device == "cuda":
            assert {k: v.shape for k, v in expected.items()} == {k: v.shape for k, v in found.items()}
        else:
            assert_alike(expected, found, TOLERANCES[compared.device])
        numbers += len(expected)
    assert numbers


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_part_of_the_mathematics_is_the_same(compared: Compared, operation: str) -> None:
    """Architectures, recalibrations and flows that the micro-zoo has not."""
    expected, found = (arrays_of(compared.found / f"{operation}-{of}.npz") for of in ("cpu", "device"))
    assert found
    if compared.device == "card" and operation in NOT_COMPARED:
        assert expected.keys() >= found.keys()
        return
    assert_alike({key: expected[key] for key in found}, found, TOLERANCES[compared.device])


def test_without_a_visible_gpu_steps_run_on_the_cpu() -> None:
    program = "from dwf_steps.runtime.device import select_device; print(select_device())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(TESTS.parent)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "cpu"


@pytest.mark.parametrize(("may", "device"), [("yes", "cuda"), ("no", "cpu")])
def test_a_run_without_gpus_uses_none(monkeypatch: pytest.MonkeyPatch, may: str, device: str) -> None:
    """`--resources gpu=0` tells steps by this variable."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv(VARIABLE, may)
    assert select_device().type == device


@CUDA
def test_a_visible_gpu_is_used() -> None:
    assert select_device().type == "cuda"


@CUDA
def test_two_jobs_on_one_card_write_what_each_writes_alone(finished: Checkout, tmp_path: Path) -> None:
    job = next(job for job in steps_of(finished) if job[0] == "train_zoo")
    runs = []
    for name in ("one", "other"):
        folder = tmp_path / name
        rule, arguments, written = job
        for path in written:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        elsewhere = [str(folder / text) if text in written else text for text in arguments]
        command = [sys.executable, "-m", f"dwf_steps.{rule}", *elsewhere]
        runs.append(subprocess.Popen(command, cwd=finished.folder))
    assert [run.wait() for run in runs] == [0, 0]
    networks = next(path for path in job[2] if not Path(path).suffix)
    assert_alike(*(arrays_of(tmp_path / name / networks) for name in ("one", "other")), 1e-4)
