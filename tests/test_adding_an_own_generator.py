"""A generator of the user takes one file, and the lines of the configuration that name it: one with a model,
and README's without."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from additions import add, contents, touched
from checkout import ROOT, Checkout, executed, one_cell
from safetensors.numpy import load_file

from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.storage.manifest import Manifest
from dwf_steps.subspace.basis import Basis

LEARNED = {
    "fitted_axes.py": '''
"""Independent Gaussians."""

import numpy as np
import pandas as pd

from dwf_steps.generators.base import Generator


class Axes(Generator):
    def fit(self, training, tools):
        self.std = training.points.std(axis=0, ddof=1)
        return pd.DataFrame({"step": [1], "train": [np.log(self.std).sum()], "validation": [np.nan]})

    def state(self):
        return {"std": self.std}

    def load_state(self, state):
        self.std = state["std"]

    def sample(self, training, tools):
        noise = self.draws().standard_normal((self.config.sampling.samples, len(self.std)))
        return training.samples_at(self.config.kwargs["scale"] * self.std * noise)
''',
}
SETTINGS = {
    "kind": "custom",
    "import": "fitted_axes:Axes",
    "kwargs": {"scale": 2.0},
    "fitted": True,
    "sampling": {"samples": 6},
}
CELL = "results/micro/git_rebasin/weights/pca_4"
TRAINING = 8  # networks
AFTER_FIT = ("sample_generator", "decode", "score", "evaluate", "tabulate")


def example() -> tuple[dict[str, str], dict[str, Any]]:
    """Return the documented file by name, and the settings that go with it."""
    page = (ROOT / "docs/own_generator.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n# (my_generator.py)\n(.*?)```\n\n```yaml\n(.*?)```", page, re.S)
    assert found
    return {found[1]: found[2]}, yaml.safe_load(found[3])["generators"]


@pytest.fixture(scope="module")
def added(new_checkout: Callable[[], Checkout]) -> tuple[Checkout, list[set[str]], str]:
    """Return a checkout in which both went through the workflow beside a control, which files each took, and
    what was printed."""
    files, generators = example()
    generators |= {"learned": SETTINGS, "gaussian": {"kind": "gaussian", "sampling": {"samples": 6}}}
    checkout = one_cell(new_checkout(), "iris", [4, 6, 3], generators=generators)
    checkout.config["experiments"][0]["generators"] = ["gaussian"]
    changed = []
    for name, addition in (("mine", files), ("learned", LEARNED)):
        before = contents(checkout.folder)
        add(checkout.folder, addition)
        checkout.config["experiments"][0]["generators"].append(name)
        checkout.write_config()
        changed.append(touched(before, contents(checkout.folder)))
    return checkout, changed, checkout.snakemake("tables")


def deviations(checkout: Checkout) -> np.ndarray:
    """Return the training networks' standard deviation along each component."""
    return np.sqrt(Basis.load(checkout.folder / CELL / "basis.npz").variances)


def latents(checkout: Checkout, generator: str) -> np.ndarray:
    return Samples.load(checkout.folder / CELL / generator / "latents.npz").latents


def test_each_touches_one_file_and_the_configuration(added: tuple[Checkout, list[set[str]], str]) -> None:
    assert added[1] == [{name, "experiment.yaml"} for name in ("my_generator.py", "fitted_axes.py")]


def test_the_workflow_fits_samples_decodes_and_reports_them(
    added: tuple[Checkout, list[set[str]], str],
) -> None:
    checkout, _, output = added
    jobs = executed(output)
    assert [jobs[name] for name in ("fit_generator", *AFTER_FIT)] == [1, 3, 3, 3, 3, 1]
    for name, count in (("mine", 20), ("learned", 6)):
        networks = Manifest.read(checkout.folder / CELL / name / "networks/shard-0.json")
        assert (len(networks.networks), networks.failed) == (count, ())
    tables = checkout.folder / "results/tables"
    accuracy = pd.read_csv(tables / "accuracy.csv").query("metric == 'accuracy'").set_index("generator")
    assert dict(accuracy.generated_n) == {"mine": 20, "learned": 6, "gaussian": 6}
    fit_seconds = pd.read_csv(tables / "cost.csv").set_index("generator").fit_seconds
    assert fit_seconds["learned"] > 0 and fit_seconds["mine"] == 0
    assert checkout.pending("tables") == set()


def test_their_samples_are_what_their_formula_says(added: tuple[Checkout, list[set[str]], str]) -> None:
    checkout = added[0]
    std = deviations(checkout)
    model = load_file(checkout.folder / CELL / "learned/model.safetensors")
    np.testing.assert_allclose(model["std"], std)
    for name, scale, count in (("mine", 0.5, 20), ("learned", 2.0, 6)):
        noise = numpy_generator("sample custom", 0).standard_normal((count, len(std)))
        np.testing.assert_allclose(latents(checkout, name), scale * std * noise)


def test_a_comment_reruns_nothing(added: tuple[Checkout, list[set[str]], str]) -> None:
    checkout = added[0]
    for name in ("my_generator.py", "fitted_axes.py"):
        file = checkout.folder / name
        text = file.read_text()
        file.write_text(f"# A comment.\n{text}".replace("    def sample", "    # Another.\n    def sample"))
    assert checkout.pending("tables") == set()


def test_a_changed_formula_reruns_its_own_fit_and_what_follows(
    added: tuple[Checkout, list[set[str]], str],
) -> None:
    checkout = added[0]
    without_model, with_model = (checkout.folder / name for name in ("my_generator.py", "fitted_axes.py"))
    text = without_model.read_text()
    without_model.write_text(text.replace("ddof=1", "ddof=0"))
    assert executed(checkout.snakemake("--dry-run", "tables")) == dict.fromkeys(AFTER_FIT, 1)
    without_model.write_text(text)
    with_model.write_text(with_model.read_text().replace("ddof=1", "ddof=0"))
    others = {name: latents(checkout, name) for name in ("mine", "gaussian")}
    output = checkout.snakemake("tables")
    assert executed(output) == dict.fromkeys(("fit_generator", *AFTER_FIT), 1)
    assert set(re.findall(rf"{CELL}/(\w+)/latents.npz", output)) == {"learned"}
    model = load_file(checkout.folder / CELL / "learned/model.safetensors")
    np.testing.assert_allclose(model["std"], deviations(checkout) * np.sqrt((TRAINING - 1) / TRAINING))
    for name, before in others.items():
        np.testing.assert_array_equal(latents(checkout, name), before)


def test_a_mistake_ends_the_run_with_a_line_that_names_key_and_place(
    added: tuple[Checkout, list[set[str]], str],
) -> None:
    checkout = added[0]
    file = checkout.folder / "my_generator.py"
    file.write_text(file.read_text().replace('kwargs["scale"]', 'kwargs["skale"]'))
    line = next(i for i, line in enumerate(file.read_text().splitlines(), start=1) if "skale" in line)
    output = checkout.snakemake("tables", check=False)
    where = f"sample failed (KeyError: 'skale', my_generator.py line {line}); correct it"
    assert f"error: generators.mine.import: my_generator:Axes: {where}\n" in output
    assert "Traceback" not in output
