"""Every kind of generator is known by its module alone, and keeps what it promises."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bases import basis_of
from pydantic import TypeAdapter, ValidationError

from dwf_steps.config.generators import AnyGenerator, generator_kinds
from dwf_steps.config.generators.base import GeneratorConfig
from dwf_steps.config.generators.gaussian import GaussianConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.network_maker import NetworkMaker
from dwf_steps.generators.registry import implementation_of
from dwf_steps.generators.samples import Samples
from dwf_steps.pipeline.fingerprint import _closure
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix

NEEDED: dict[str, dict[str, Any]] = {
    "custom": {"import": "own_generators:Axes", "fitted": True},
    "joint": {"zoo": "several", "generator": "told"},
    "networks": {"files": "theirs"},
    "retrained": {"epochs": 1},
}
STEPS = {"samples": "dwf_steps.sample_generator", "networks": "dwf_steps.make_networks"}


def settings_of(kind: str) -> GeneratorConfig:
    return TypeAdapter(AnyGenerator).validate_python({"kind": kind} | NEEDED.get(kind, {}))


@pytest.mark.parametrize("kind", generator_kinds())
def test_every_kind_has_an_implementation_that_makes_what_it_says(kind: str) -> None:
    config = settings_of(kind)
    base = {"samples": Generator, "networks": NetworkMaker}[config.makes]
    assert implementation_of(config, base).config == config
    with pytest.raises(TypeError, match=kind):
        implementation_of(config, NetworkMaker if base is Generator else Generator)


@pytest.mark.parametrize("kind", generator_kinds())
def test_a_fitted_kind_has_a_model_and_the_others_have_none(kind: str) -> None:
    config = settings_of(kind)
    if config.makes == "samples":
        own = type(implementation_of(config, Generator))
        assert (own.fit is not Generator.fit) == config.fitted


@pytest.mark.parametrize("kind", generator_kinds())
def test_the_code_of_a_kind_is_no_other_kinds(kind: str) -> None:
    config = settings_of(kind)
    own = set(config.modules)
    code = _closure(STEPS[config.makes]).union(*map(_closure, own))
    others = {module for other in generator_kinds() for module in settings_of(other).modules} - own
    assert own <= code
    assert code & others == set()


def test_settings_are_read_by_their_kind_and_written_as_they_were() -> None:
    adapter = TypeAdapter(AnyGenerator)
    for kind in generator_kinds():
        config = settings_of(kind)
        assert type(config) is generator_kinds()[kind]
        assert adapter.validate_json(config.model_dump_json()) == config
    with pytest.raises(ValidationError, match="'gaussian'"):
        adapter.validate_python({"kind": "gausian"})


def test_what_is_fitted_does_not_depend_on_sampling_and_analyses() -> None:
    adapter = TypeAdapter(AnyGenerator)
    plain, other = (
        adapter.validate_python({"kind": "flow", "source_std": 0.5} | more)
        for more in ({}, {"sampling": {"samples": 3, "guidance": {}}, "likelihood": {"probes": 2}})
    )
    assert plain != other
    assert plain.as_fitted() == other.as_fitted() == plain
    assert other.as_sampled().likelihood is None
    assert other.as_sampled().sampling == other.sampling


class Remembered(Generator[GaussianConfig]):
    """Keeps the mean of what it was fitted to."""

    def fit(self, training: TrainingNetworks, tools: Tools) -> pd.DataFrame:
        self.mean = training.points.mean(axis=0)
        return pd.DataFrame([{"step": 1, "train": 0.0, "validation": np.nan}])

    def state(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "transposed": np.arange(6.0).reshape(2, 3).T}

    def load_state(self, state: Any) -> None:
        self.mean, self.transposed = state["mean"], state["transposed"]

    def sample(self, training: TrainingNetworks, tools: Tools) -> Samples:
        return training.samples_at(np.tile(self.mean, (2, 1)))


def training_of(path: Path, components: int | None) -> tuple[TrainingNetworks, np.ndarray]:
    """Return five training networks of six weights, one held out beside them, and their rows."""
    rows = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)
    names = [Row(f"seed-{i // 2}-checkpoint-{i % 2}", "", i == 5, f"seed-{i // 2}") for i in range(6)]
    matrix = WeightMatrix.create(path, Layout.of({"weight": (2, 3)}), names, {"kind": "mlp"})
    matrix.array[:] = rows
    return TrainingNetworks(basis_of(rows.astype(np.float64), components, 1), path), rows[:5]


@pytest.mark.parametrize("components", [None, 4])
def test_points_stand_for_the_training_networks(tmp_path: Path, components: int | None) -> None:
    training, rows = training_of(tmp_path / "weights.zarr", components)
    assert training.points.shape == training.shape == (5, components or 6)
    samples = training.samples_at(training.points)
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    weights = samples.coefficients @ centred + (samples.offsets if components is None else 0)
    np.testing.assert_allclose(weights, centred, atol=1e-6)


def test_a_generator_may_ask_what_its_training_networks_are(tmp_path: Path) -> None:
    training, _ = training_of(tmp_path / "weights.zarr", 2)
    assert training.trajectories == ["seed-0", "seed-0", "seed-1", "seed-1", "seed-2"]
    assert [entry.shape for entry in training.layout.entries] == [(2, 3)]
    assert training.architecture == {"kind": "mlp"}
    with pytest.raises(InputError, match="--weights is missing"):
        _ = TrainingNetworks(training.basis).layout
    with pytest.raises(InputError, match="--data is missing"):
        _ = Tools().data


def test_a_model_is_read_as_it_was_written_and_damage_is_found(tmp_path: Path) -> None:
    training, _ = training_of(tmp_path / "weights.zarr", None)
    fitted, loaded = (Remembered(GaussianConfig(kind="gaussian")) for _ in range(2))
    fitted.fit(training, Tools())
    path = tmp_path / "model.safetensors"
    fitted.save(path)
    loaded.load(path, Tools())
    np.testing.assert_array_equal(loaded.mean, fitted.mean)
    np.testing.assert_array_equal(loaded.transposed, [[0, 3], [1, 4], [2, 5]])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    for damaged in (bytes(content), bytes(content[:-5]), b""):
        path.write_bytes(damaged)
        with pytest.raises(
            InputError,
            match=r"model.safetensors: not the model that was written .*, then `snakemake \S+` rebuilds it",
        ):
            loaded.load(path, Tools())
