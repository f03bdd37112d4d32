"""A new kind of generator takes three files, its test included: its settings, its class, its test."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from additions import add, run_its_tests
from checkout import Checkout, executed, one_cell
from safetensors.numpy import load_file

from dwf_steps.generators.samples import Samples
from dwf_steps.subspace.basis import Basis

LEARNED = {
    "dwf_steps/config/generators/axes.py": '''
"""Independent Gaussians."""

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import GeneratorConfig, Positive


class AxesConfig(GeneratorConfig):
    """A Gaussian along every coordinate of the subspace."""

    implementation: ClassVar[str] = "dwf_steps.generators.axes:Axes"
    control: ClassVar[bool] = False

    kind: Literal["axes"]
    """Marks the generator as this one."""
    temperature: Positive = 1.0
    """Factor of the deviations."""

    @property
    def fitted(self) -> bool:
        return True
''',
    "dwf_steps/generators/axes.py": '''
"""Independent Gaussians."""

import numpy as np
import pandas as pd

from dwf_steps.config.generators.axes import AxesConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.samples import Samples


class Axes(Generator[AxesConfig]):
    """Fits mean and deviation of every coordinate."""

    def fit(self, training: TrainingNetworks, tools: Tools) -> pd.DataFrame:
        points = training.points
        self.mean, self.std = points.mean(axis=0), points.std(axis=0, ddof=1)
        loss = float(np.log(self.std).sum())
        return pd.DataFrame([{"step": 1, "train": loss, "validation": np.nan}])

    def state(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "std": self.std}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        self.mean, self.std = state["mean"], state["std"]

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        noise = self.draws().standard_normal((self.config.sampling.samples, len(self.mean)))
        return training.samples_at(self.mean + self.config.temperature * self.std * noise)
''',
    "tests/generators/test_axes.py": '''
"""Independent Gaussians."""

import numpy as np

from dwf_steps.config.generators.axes import AxesConfig
from dwf_steps.generators.axes import Axes
from dwf_steps.generators.base import Tools, TrainingNetworks
from dwf_steps.subspace.dual_pca import dual_pca


def test_samples_have_the_fitted_deviations() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 30))
    training = TrainingNetworks(dual_pca((rows - rows.mean(0)) @ (rows - rows.mean(0)).T, 20, 3))
    axes = Axes(AxesConfig(kind="axes", sampling={"samples": 50_000}))
    axes.fit(training, Tools())
    found = axes.sample(training, Tools()).latents.std(axis=0)
    np.testing.assert_allclose(found, training.points.std(axis=0, ddof=1), rtol=0.02)
''',
}
CONTROL = {
    "dwf_steps/config/generators/mean.py": '''
"""The mean of the training networks."""

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import GeneratorConfig


class MeanConfig(GeneratorConfig):
    """Control: the mean of the training networks."""

    implementation: ClassVar[str] = "dwf_steps.generators.mean:Mean"

    kind: Literal["mean"]
    """Marks the generator as this control."""
''',
    "dwf_steps/generators/mean.py": '''
"""The mean of the training networks."""

import numpy as np

from dwf_steps.config.generators.mean import MeanConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.mixtures import mixture
from dwf_steps.generators.samples import Samples


class Mean(Generator[MeanConfig]):
    """Averages all training networks."""

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        n, k = training.basis.n_training, self.config.sampling.samples
        return mixture(training.basis, np.full((k, n), 1 / n))
''',
    "tests/generators/test_mean.py": '''
"""The mean of the training networks."""

import numpy as np

from dwf_steps.config.generators.mean import MeanConfig
from dwf_steps.generators.base import Tools, TrainingNetworks
from dwf_steps.generators.mean import Mean
from dwf_steps.subspace.dual_pca import dual_pca


def test_the_mean_is_the_origin_of_the_subspace() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 9))
    training = TrainingNetworks(dual_pca((rows - rows.mean(0)) @ (rows - rows.mean(0)).T, 6, 3))
    latents = Mean(MeanConfig(kind="mean", sampling={"samples": 2})).sample(training, Tools()).latents
    np.testing.assert_allclose(latents, np.zeros((2, 3)), atol=1e-12)
''',
}
ADDITIONS = {"a learned generator": LEARNED, "a control": CONTROL}
CELL = "results/micro/git_rebasin/weights/pca_4"


@pytest.fixture(scope="module")
def added(new_checkout: Callable[[], Checkout]) -> tuple[Checkout, dict[str, set[str]], str]:
    """Return a checkout with both additions that has run, which files each changed, and what was printed."""
    checkout, changed = new_checkout(), {}
    for name, files in ADDITIONS.items():
        changed[name] = add(checkout.folder, files)
    generators = {
        "axes": {"kind": "axes", "sampling": {"samples": 6}},
        "colder": {"kind": "axes", "temperature": 0.1, "sampling": {"samples": 6}},
        "mean": {"kind": "mean", "sampling": {"samples": 2}},
    }
    checkout = one_cell(checkout, "iris", [4, 6, 3], generators=generators)
    checkout.config["experiments"][0]["generators"] = list(generators)
    checkout.write_config()
    return checkout, changed, checkout.snakemake("all")


@pytest.mark.parametrize("addition", ADDITIONS)
def test_an_addition_touches_three_files(
    added: tuple[Checkout, dict[str, set[str]], str], addition: str
) -> None:
    assert added[1][addition] == set(ADDITIONS[addition])
    assert len(added[1][addition]) <= 3


def test_its_tests_pass(added: tuple[Checkout, dict[str, set[str]], str]) -> None:
    assert "2 passed" in run_its_tests(added[0])


def test_the_workflow_fits_samples_and_reports_it(added: tuple[Checkout, dict[str, set[str]], str]) -> None:
    checkout, _, output = added
    jobs = executed(output)
    assert (jobs["fit_generator"], jobs["sample_generator"], jobs["decode"]) == (2, 3, 3)
    folder = checkout.folder / CELL
    basis, model = Basis.load(folder / "basis.npz"), load_file(folder / "axes/model.safetensors")
    np.testing.assert_allclose(model["std"] ** 2, basis.variances)
    deviations = [np.abs(Samples.load(folder / name / "latents.npz").latents) for name in ("axes", "colder")]
    np.testing.assert_allclose(deviations[1], 0.1 * deviations[0], atol=1e-9)
    tables = checkout.folder / "results/tables"
    accuracy = pd.read_csv(tables / "accuracy.csv").query("metric == 'accuracy'").set_index("generator")
    assert dict(accuracy.generated_n) == {"axes": 6, "colder": 6, "mean": 2}
    assert accuracy.generated_std["mean"] == 0
    cost = pd.read_csv(tables / "cost.csv").set_index("generator")
    assert (cost.fit_seconds[["axes", "colder"]] > 0).all()
    assert cost.fit_seconds["mean"] == 0
    assert checkout.pending() == set()


def test_a_changed_formula_of_one_kind_leaves_the_other_alone(
    added: tuple[Checkout, dict[str, set[str]], str],
) -> None:
    checkout = added[0]
    file = checkout.folder / "dwf_steps/generators/mean.py"
    file.write_text(file.read_text().replace("1 / n", "(1 / n) * 1"))
    assert executed(checkout.snakemake("--dry-run", "networks")) == {"sample_generator": 1, "decode": 1}
