"""A generator of the user's own does what its class says, and its mistakes are told in one line."""

import inspect
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import own_generators
import pytest
import yaml
import zarr
from bases import basis_of
from checkout import ROOT
from interrupting import InterruptedCheckpoint
from small_config import small_config

from dwf_steps.config.generators.custom import CustomConfig
from dwf_steps.decode import Decode, decode
from dwf_steps.fit_generator import FitGenerator, fit_generator
from dwf_steps.generators.base import Tools, TrainingNetworks
from dwf_steps.generators.custom import Custom
from dwf_steps.generators.samples import Samples
from dwf_steps.pipeline.experiment import Experiment
from dwf_steps.pipeline.fingerprint import file_fingerprint
from dwf_steps.pipeline.load import load_config
from dwf_steps.pipeline.steps import Step
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.plugins import Plugin
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.sample_generator import SampleGenerator, sample_generator
from dwf_steps.storage.checkpoint import Checkpoint
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.manifest import Manifest, Record
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.storage.row_facts import write_facts

N, D, SAMPLES = 5, 6, 4
LINES = Path(own_generators.__file__).read_text(encoding="utf-8").splitlines()


def settings(name: str = "Axes", fitted: bool = True, **kwargs: Any) -> CustomConfig:
    return CustomConfig.model_validate(
        {
            "kind": "custom",
            "import": f"own_generators:{name}",
            "kwargs": kwargs,
            "fitted": fitted,
            "sampling": {"samples": SAMPLES},
        }
    )


def line_of(text: str) -> int:
    """Return the line of the user's file that holds a text."""
    (found,) = (i for i, line in enumerate(LINES, start=1) if text in line)
    return found


@pytest.fixture(params=[None, 3], ids=["raw", "pca"])
def training(tmp_path: Path, request: pytest.FixtureRequest) -> TrainingNetworks:
    """Return training networks whose files lie in the temporary folder."""
    rows = np.random.default_rng(0).normal(size=(N + 1, D)).astype(np.float32)
    names = [Row(f"seed-{i}", "", i == N, f"seed-{i}") for i in range(N + 1)]
    matrix = WeightMatrix.create(tmp_path / "weights.zarr", Layout.of({"weight": (D,)}), names, {})
    matrix.array[:] = rows
    basis = basis_of(rows.astype(np.float64), request.param, 1)
    basis.save(tmp_path / "basis.npz")
    return TrainingNetworks(basis, tmp_path / "weights.zarr")


def fit(folder: Path, config: CustomConfig) -> Path:
    model = folder / "model.safetensors"
    fit_generator(
        FitGenerator(generator=config.as_fitted()),
        *(folder / name for name in ("basis.npz", "weights.zarr")),
        model,
        folder / "training.csv",
        key="generators.mine",
    )
    return model


def sample(folder: Path, config: CustomConfig, model: Path | None = None) -> Samples:
    output = folder / "latents.npz"
    sample_generator(
        SampleGenerator(generator=config),
        folder / "basis.npz",
        output,
        model,
        folder / "weights.zarr",
        key="generators.mine",
    )
    return Samples.load(output)


def told(caught: pytest.ExceptionInfo[InputError]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_it_is_fitted_written_read_and_sampled(tmp_path: Path, training: TrainingNetworks) -> None:
    samples = sample(tmp_path, settings(scale=0.5), fit(tmp_path, settings(scale=0.5)))
    std = training.points.std(axis=0, ddof=1)
    noise = numpy_generator("sample custom", 0).standard_normal((SAMPLES, len(std)))
    expected = training.samples_at(0.5 * std * noise)
    for name in ("latents", "coefficients", "offsets"):
        np.testing.assert_allclose(getattr(samples, name), getattr(expected, name), rtol=1e-6)


@pytest.mark.usefixtures("training")
def test_samples_that_are_not_finite_are_counted_as_failed(tmp_path: Path) -> None:
    sample(tmp_path, settings("WithoutModel", fitted=False))
    parts = Decode(part=0, parts=1, memory_mb=64)
    files = [tmp_path / name for name in ("latents.npz", "weights.zarr", "networks", "networks.json")]
    decode(parts, *files)
    manifest = Manifest.read(files[-1])
    assert len(manifest.networks) == SAMPLES - 1
    assert manifest.failed == (f"sample-{SAMPLES - 1}",)


@pytest.mark.usefixtures("training")
def test_it_may_have_a_file_format_of_its_own(tmp_path: Path) -> None:
    config = settings("OwnFormat")
    model = fit(tmp_path, config)
    assert model.read_text() == " ".join(["weight", *(f"seed-{i}" for i in range(N))])
    assert len(sample(tmp_path, config, model)) == SAMPLES
    model.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"OwnFormat: load failed \(UnicodeDecodeError: .*; correct it"):
        sample(tmp_path, config, model)


@pytest.mark.usefixtures("training")
def test_a_file_that_was_not_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"OwnFormat: save \(.*\) returned without writing .*, expected"):
        fit(tmp_path, settings("OwnFormat", save="nothing"))


@pytest.mark.usefixtures("training")
def test_a_damaged_model_is_no_mistake_of_the_class(tmp_path: Path) -> None:
    model = fit(tmp_path, settings())
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"^\S+model.safetensors: not the model that was written"):
        sample(tmp_path, settings(), model)


@pytest.mark.parametrize(
    ("method", "mistake", "cause", "line"),
    [
        ("fit", "fails", "KeyError: 'absent'", 'kwargs["absent"]'),
        ("state", "fails", "ZeroDivisionError: division by zero", "1 / 0"),
        ("load_state", "fails", "ValueError: no such state", 'raise ValueError("no'),
        ("sample", "needs data", "InputError: --data is missing; ", "lambda: tools.data"),
    ],
)
@pytest.mark.usefixtures("training")
def test_an_exception_is_told_with_its_line(
    tmp_path: Path, method: str, mistake: str, cause: str, line: str
) -> None:
    config = settings(**{method: mistake})
    with pytest.raises(InputError) as caught:
        sample(tmp_path, config, fit(tmp_path, config))
    message = told(caught)
    assert message.startswith(f"generators.mine.import: own_generators:Axes: {method} failed ({cause}")
    assert message.endswith(f", own_generators.py line {line_of(line)}); correct it")


@pytest.mark.parametrize(
    ("method", "mistake", "returned"),
    [
        ("fit", "nothing", "the NoneType None, expected a pandas.DataFrame with numbers in columns step, tr"),
        ("fit", "no rows", "0 rows with numbers in columns step, train, validation, expected"),
        ("fit", "text", "1 rows with numbers in columns step, validation, expected"),
        ("fit", "a column less", "1 rows with numbers in columns step, train, expected"),
        ("state", "a list", "the list [array("),
        ("state", "objects", "'std' that is an array of object, shape (1,), expected a dict of NumPy arrays"),
        ("state", "a number", "'std' that is the float 1.0, expected a dict of NumPy arrays"),
        ("sample", "latents", "an array of float64, shape (4, "),
        ("sample", "one less", "coefficients of shape (3, 5), expected (4, 5), a row for each of sampling.s"),
        ("sample", "texts", "latents that are an array of <U32, shape (4, "),
        ("sample", "a list", "coefficients that are the list [["),
        ("sample", "other networks", "coefficients of shape (4, 4), expected (4, 5), a row for each"),
        ("sample", "offsets", "offsets of shape (4, 1), expected (4, 0) or (4, 6), a row for each"),
    ],
)
@pytest.mark.usefixtures("training")
def test_what_cannot_be_used_is_told_with_the_method_and_what_was_expected(
    tmp_path: Path, method: str, mistake: str, returned: str
) -> None:
    config = settings(**{method: mistake})
    with pytest.raises(InputError) as caught:
        sample(tmp_path, config, fit(tmp_path, config))
    message, line = told(caught), inspect.getsourcelines(getattr(own_generators.Axes, method))[1]
    place = f"{method} (own_generators.py line {line}) returned "
    assert message.startswith(f"generators.mine.import: own_generators:Axes: {place}{returned}")
    assert ", expected " in message


@pytest.mark.usefixtures("training")
@pytest.mark.parametrize("mistake", ["fails", "a row"])
def test_points_of_another_length_are_refused(tmp_path: Path, mistake: str) -> None:
    config = settings(sample=mistake)
    with pytest.raises(
        InputError, match=r"^generators.mine.import: own_generators:Axes: sample .*own_generators"
    ):
        sample(tmp_path, config, fit(tmp_path, config))


@pytest.mark.usefixtures("training")
def test_a_class_that_cannot_be_made_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        sample(tmp_path, settings("Unmade", fitted=False, scale=2))
    where = f"own_generators.py line {line_of('raise KeyError')}"
    assert told(caught).endswith(f"own_generators:Unmade: __init__ failed (KeyError: 2, {where}); correct it")


@pytest.mark.usefixtures("training")
def test_it_writes_into_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    sample(tmp_path, settings("Writes", fitted=False))
    assert (tmp_path / "noted.txt").read_text().startswith("(5, ")
    with TemporaryDirectory() as outside:
        sample(tmp_path, settings("Writes", fitted=False, path=str(Path(outside) / "cache.txt")))


@pytest.mark.parametrize("absolute", [True, False])
def test_it_cannot_write_elsewhere_in_the_working_directory(
    tmp_path: Path, training: TrainingNetworks, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (folder := tmp_path / "mine").mkdir()
    training.basis.save(folder / "basis.npz")
    (folder / "weights.zarr").symlink_to(tmp_path / "weights.zarr", target_is_directory=True)
    (other := tmp_path / "other.csv").write_text("kept")
    path = str(other) if absolute else "other.csv"
    with pytest.raises(InputError) as caught:
        sample(folder, settings("Writes", fitted=False, path=path))
    line = line_of('path.write_text(f"{training')
    assert "own_generators:Writes: sample failed (PermissionError: writes other.csv, which is " in told(
        caught
    )
    assert told(caught).endswith(f"tools.folder, here mine, own_generators.py line {line}); correct it")
    assert other.read_text() == "kept"


def test_it_knows_what_the_zoo_knows(tmp_path: Path, training: TrainingNetworks) -> None:
    names = [row.name for row in training.matrix.rows]
    accuracies = [0.5, 0.9, 0.7, 0.8, 0.6, 0.99]
    records = {
        name: Record(name, "", {"validation_accuracy": accuracy, "train_loss": 1 - accuracy})
        for name, accuracy in zip(names, accuracies, strict=True)
    }
    matrix = zarr.open_array(training.matrix.path, mode="r+")
    write_facts(WeightMatrix(matrix, training.matrix.path), records)
    assert [known.train_loss for known in training_again(tmp_path, training).facts] == pytest.approx(
        [0.5, 0.1, 0.3, 0.2, 0.4]
    )
    samples = sample(tmp_path, settings("Known", fitted=False))
    expected = training.samples_at(training.points[[1, 3, 2, 4]])
    np.testing.assert_allclose(samples.coefficients, expected.coefficients)


def training_again(folder: Path, training: TrainingNetworks) -> TrainingNetworks:
    """Return the same networks, read anew."""
    return TrainingNetworks(training.basis, folder / "weights.zarr")


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CustomConfig:
    """Return the settings of the documented diffusion model, whose file lies where Python finds it."""
    page = (ROOT / "docs/own_generator.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n# (my_diffusion.py)\n(.*?)```\n\n```yaml\n(.*?)```", page, re.S)
    assert found
    (tmp_path / found[1]).write_text(found[2], encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return CustomConfig.model_validate(yaml.safe_load(found[3])["generators"]["diffusion"])


def test_the_documented_diffusion_model_learns_two_modes_and_resumes_bit_for_bit(
    tmp_path: Path, documented: CustomConfig
) -> None:
    draws = np.random.default_rng(0)
    rows = 0.2 * draws.normal(size=(300, 2)) + [2, 0] * draws.choice([-1, 1], size=(300, 1))
    names = [Row(f"seed-{i}", "", False, f"seed-{i}") for i in range(len(rows))]
    matrix = WeightMatrix.create(tmp_path / "weights.zarr", Layout.of({"weight": (2,)}), names, {})
    matrix.array[:] = rows.astype(np.float32)
    training = TrainingNetworks(basis_of(rows, None), tmp_path / "weights.zarr")

    def fitted(checkpoint: Checkpoint) -> Custom:
        made = Custom(documented)
        with Tools(checkpoint, folder=tmp_path) as tools:
            losses = made.fit(training, tools)
        assert len(losses) == documented.kwargs["steps"]
        assert losses.train[-200:].mean() < 0.95 * losses.train[:20].mean()
        return made

    whole, path = fitted(Checkpoint(tmp_path / "whole", "run", every=1e9)), tmp_path / "stopped"
    with pytest.raises(InputError, match="Diffusion: fit failed"):
        fitted(InterruptedCheckpoint(path, "run", saves=30))
    resumed = fitted(Checkpoint(path, "run", every=1e9))
    for name, array in whole.state().items():
        np.testing.assert_array_equal(resumed.state()[name], array)
    many = documented.sampling.model_copy(update={"samples": 400})
    reader = Custom(documented.model_copy(update={"sampling": many}))
    whole.save(tmp_path / "model.safetensors")
    with Tools(folder=tmp_path) as tools:
        reader.load(tmp_path / "model.safetensors", tools)
        points = reader.sample(training, tools).offsets
    assert points.shape == (400, 2)
    assert 0.4 < (points[:, 0] > 0).mean() < 0.6
    assert (abs(abs(points[:, 0]) - 2) < 0.8).mean() > 0.9
    assert points[:, 1].std() == pytest.approx(0.2, rel=0.3)


def configured(target: str, fitted: bool = False) -> dict[str, Any]:
    raw = small_config()
    raw["zoos"]["wine"] = {"dataset": "wine", "architecture": {"widths": [13, 5, 3]}, "seeds": 10}
    raw["generators"]["mine"] = {"kind": "custom", "import": target, "fitted": fitted}
    raw["experiments"][0] |= {"zoos": ["iris", "wine"], "generators": ["mine"]}
    return raw


@pytest.mark.parametrize(
    ("target", "fitted", "problem"),
    [
        ("own_generators:Gone", False, "import: own_generators:Gone cannot be imported (AttributeError: "),
        ("no_such_file:Axes", False, "import: no_such_file:Axes cannot be imported (ModuleNotFoundError: "),
        ("own_generators:NoGenerator", False, "import: own_generators:NoGenerator is <class 'own_gen"),
        ("own_generators:function", False, "import: own_generators:function is <function function at "),
        ("own_generators:Unfinished", False, "import: own_generators:Unfinished has no sample; define"),
        ("own_generators:Axes", False, "fitted: found false, but own_generators:Axes has a method fit; set"),
        ("own_generators:WithoutModel", True, "fitted: found true, but of the methods of a model own_gen"),
        ("own_generators:OnlyFit", True, "fitted: found true, but of the methods of a model own_gen"),
    ],
)
def test_a_class_that_cannot_be_used_is_one_problem(target: str, fitted: bool, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(configured(target, fitted))
    first, second = str(caught.value).split("\n")
    assert first == "the configuration has 1 problem:"
    assert second.startswith(f"  - generators.mine.{problem}")


def test_text_that_names_no_class_is_refused() -> None:
    with pytest.raises(InputError, match=re.escape("generators.mine.import: found 'axes'; expected package")):
        load_config(configured("axes"))


def test_changed_code_reruns_the_generator_that_runs_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    code = "from own_generators import WithoutModel\nclass Mine(WithoutModel):\n    number = 1\n"
    for name in ("mine_first", "mine_second"):
        (tmp_path / f"{name}.py").write_text(code)
    raw = configured("mine_first:Mine")
    raw["generators"]["other"] = {"kind": "custom", "import": "mine_second:Mine"}
    raw["generators"]["flow"]["sampling"] = {"guidance": {"objective": "own_objectives:confident"}}
    experiment, names = Experiment(load_config(raw)), ("mine", "other", "flow")

    def codes() -> dict[str, tuple[str, str]]:
        file_fingerprint.cache_clear()
        cells = {name: Namespace(generator=name) for name in names}
        fit, draw = (Step(of, experiment, lambda: None) for of in (FitGenerator, SampleGenerator))
        return {name: (fit.fit_code(cell), draw.sampling_code(cell)) for name, cell in cells.items()}

    before = codes()
    (tmp_path / "mine_first.py").write_text(f'"""What it is."""\n{code}  # a comment\n')
    assert codes() == before
    (tmp_path / "mine_first.py").write_text(code.replace("1", "2"))
    after = codes()
    assert all(old != new for old, new in zip(before["mine"], after["mine"], strict=True))
    assert [after[name] for name in ("other", "flow")] == [before[name] for name in ("other", "flow")]
    monkeypatch.setattr(
        "dwf_steps.pipeline.steps.find_plugin", lambda *_: Plugin(print, tmp_path / "mine_first.py")
    )
    guided = codes()["flow"]
    assert guided[0] == before["flow"][0], "an objective plays no part in the fit"
    assert guided[1] != before["flow"][1]


def test_reading_the_configuration_imports_no_torch() -> None:
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'tests')!r}, {str(ROOT)!r}]\n"
        "from dwf_steps.pipeline.load import load_config\n"
        f"load_config({configured('own_generators:Axes', fitted=True)!r})\n"
        "assert 'own_generators' in sys.modules\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
