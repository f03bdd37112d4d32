"""Steps import what they need: PyTorch takes longer than most of them work."""

import json
import subprocess
import sys

from checkout import ROOT, environment

WITHOUT_TORCH = (
    *("accumulate_gram", "choose_reference", "decode", "divide_data", "fetch_data", "plot", "prepare_images"),
    *("prepare_texts", "sample_generator", "solve_basis", "stack_weights", "tabulate", "pipeline.start"),
)
# What each of them may be without, too: only a way through the step needs it.
ALSO_WITHOUT = {
    "divide_data": ("pandas", "sklearn"),
    "choose_reference": ("zarr",),
    "sample_generator": ("zarr",),
}

# A fork each, of a process that has imported what all of them need.
IMPORT = """
import importlib, json, os, sys
import numpy, dwf_steps.config.workflow
found = {}
for step in sys.argv[1:]:
    read, write = os.pipe()
    if os.fork() == 0:
        importlib.import_module("dwf_steps." + step)
        os.write(write, json.dumps([name for name in sys.modules if "." not in name]).encode())
        os._exit(0)
    os.close(write)
    with open(read) as pipe:
        found[step] = json.load(pipe)
print(json.dumps(found))
"""


def test_steps_that_do_no_tensor_work_import_no_torch() -> None:
    command = [sys.executable, "-c", IMPORT, *WITHOUT_TORCH]
    output = subprocess.run(
        command, cwd=ROOT, env=environment(), check=True, capture_output=True, text=True
    ).stdout
    imported = {step: set(names) for step, names in json.loads(output).items()}
    assert [step for step in WITHOUT_TORCH if "torch" in imported[step]] == []
    for step, libraries in ALSO_WITHOUT.items():
        assert not imported[step] & set(libraries), step
