"""Decoded networks respond what the samples' coordinates say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from probed_zoo import ARCHITECTURE, HELD_OUT, NETWORKS, PROBING, ProbedZoo
from tiny_zoo import State, flat, hidden_units, log_probabilities

from dwf_steps.architectures import build
from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.representation import Decoding
from dwf_steps.decode_responses import DecodeResponses, decode_responses
from dwf_steps.encode_responses import EncodeResponses, encode_responses
from dwf_steps.generators.samples import Samples
from dwf_steps.representation.decoding import Decoder
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.sketch_responses import SketchResponses, sketch_responses
from dwf_steps.solve_responses import SolveResponses, solve_responses
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.storage.networks import load_state

TRAINING = list(NETWORKS.values())[:-HELD_OUT]
N = len(TRAINING)
DECODE = Decoder.decode
MIXING = np.random.default_rng(1).dirichlet(np.ones(N), size=4)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> ProbedZoo:
    return ProbedZoo(tmp_path_factory.mktemp("zoo")).begin().sketched().solved().encoded().stacked()


def decoded(
    zoo: ProbedZoo,
    folder: Path,
    coefficients: np.ndarray,
    part: int = 0,
    parts: int = 1,
    ridge: float = 1e-9,
    memory_mb: int = 64,
    architecture: ArchitectureConfig = ARCHITECTURE,
    candidates: int = 1,
) -> tuple[dict[str, State], Manifest]:
    """Return the networks of one shard by name, and its manifest."""
    k = len(coefficients)
    offsets = np.empty((k, 0), np.float32)
    drawn = Samples(np.zeros((k, 0)), coefficients, offsets, evaluations=7, candidates=candidates)
    drawn.save(folder / "latents.npz")
    settings = DecodeResponses(
        architecture=architecture,
        probing=PROBING,
        decoding=Decoding(ridge=ridge, matching="activations", iterations=2),
        part=part,
        parts=parts,
        memory_mb=memory_mb,
    )
    output, manifest = folder / f"shard-{part}", folder / f"shard-{part}.json"
    files = folder / "latents.npz", zoo.matrix, zoo.basis, zoo.weights, zoo.data
    decode_responses(settings, *files, output, manifest)
    read = Manifest.read(manifest)
    return {path.stem: load_state(path) for path in read.verified_files()}, read


def test_training_networks_come_back_from_their_coordinates(zoo: ProbedZoo, tmp_path: Path) -> None:
    found, manifest = decoded(zoo, tmp_path, np.eye(N))
    for state, network in zip(TRAINING, found.values(), strict=True):
        np.testing.assert_allclose(flat(network), flat(state), rtol=1e-3, atol=1e-3)
    assert manifest.facts["stored_as"] == "float32" and manifest.facts["storage_error"] == 0
    assert 0 < manifest.facts["decoding_error"] < 1e-6
    assert manifest.facts["evaluations"] == 7


def test_a_strong_ridge_shrinks_weights_and_no_bias(zoo: ProbedZoo, tmp_path: Path) -> None:
    found, _ = decoded(zoo, tmp_path, np.eye(N), ridge=1e6)
    inputs = zoo.probes
    for state, network in zip(TRAINING, found.values(), strict=True):
        assert np.abs(network["layers.0.weight"]).max() < 1e-3
        mean = (inputs @ state["layers.0.weight"].T + state["layers.0.bias"]).mean(axis=0)
        np.testing.assert_allclose(network["layers.0.bias"], mean, rtol=1e-3, atol=1e-3)


def test_a_layer_meets_its_targets_given_the_layers_decoded_before_it(zoo: ProbedZoo, tmp_path: Path) -> None:
    found, _ = decoded(zoo, tmp_path, MIXING)
    weights = np.stack([flat(state) for state in TRAINING]).astype(float)
    for mixing, network in zip(MIXING, found.values(), strict=True):
        # The first layer is linear in its weights; the last one follows the mean of the networks' logits.
        mean = mixing @ weights
        assert np.abs(flat(network) - mean)[:25].max() < 1e-3
        logits = sum(
            c * zoo.responses(state)["layers.1.responses"] for c, state in zip(mixing, TRAINING, strict=True)
        )
        target = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        reached = log_probabilities(network, zoo.probes)
        hidden = np.column_stack([hidden_units(network, zoo.probes), np.ones(30)])
        gradient = hidden.T @ (np.exp(reached) - np.exp(target))
        before = hidden.T @ (1 / 3 - np.exp(target))
        assert np.linalg.norm(gradient) < 0.1 * np.linalg.norm(before)


@pytest.mark.parametrize("memory_mb", [0, 1])
def test_networks_do_not_depend_on_how_samples_are_grouped(
    zoo: ProbedZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_mb: int
) -> None:
    together, _ = decoded(zoo, tmp_path, MIXING)
    sizes: list[int] = []

    def counting(self: Decoder, coordinates: Any, buffers: Any) -> Any:
        sizes.append(len(coordinates))
        return DECODE(self, coordinates, buffers)

    monkeypatch.setattr(Decoder, "decode", counting)
    monkeypatch.setattr(Decoder, "networks_at_once", lambda *_: 4 * memory_mb or 1)
    (tmp_path / "alone").mkdir()
    alone, _ = decoded(zoo, tmp_path / "alone", np.concatenate([MIXING, MIXING]), memory_mb=memory_mb)
    assert sizes == [1] * 8 if memory_mb == 0 else [4, 4]
    for name, state in together.items():
        np.testing.assert_allclose(flat(alone[name]), flat(state), rtol=1e-4, atol=1e-4)


def test_shards_share_out_the_same_networks(zoo: ProbedZoo, tmp_path: Path) -> None:
    whole, _ = decoded(zoo, tmp_path, MIXING)
    parts = [decoded(zoo, tmp_path, MIXING, part, 3)[0] for part in range(3)]
    assert [list(part) for part in parts] == [["sample-0"], ["sample-1"], ["sample-2", "sample-3"]]
    for name, state in (parts[0] | parts[1] | parts[2]).items():
        np.testing.assert_allclose(flat(state), flat(whole[name]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("parts", [1, 2])
def test_of_several_candidates_one_network_is_made(zoo: ProbedZoo, tmp_path: Path, parts: int) -> None:
    """Later layers are the first candidate's; copies of one candidate have nothing to choose from."""
    rows = np.repeat(MIXING, 3, axis=0)
    found: dict[str, State] = {}
    for part in range(parts):
        found |= decoded(zoo, tmp_path, rows, part, parts, candidates=3)[0]
    expected, _ = decoded(zoo, tmp_path, MIXING)
    assert list(found) == [f"sample-{i}" for i in range(4)]
    inputs = zoo.probes
    for name, state in expected.items():
        np.testing.assert_allclose(
            log_probabilities(found[name], inputs), log_probabilities(state, inputs), atol=0.05
        )


def test_candidates_of_which_one_is_not_finite_yield_no_network(zoo: ProbedZoo, tmp_path: Path) -> None:
    rows = np.concatenate([MIXING, MIXING])
    rows[5, 0] = np.nan
    found, manifest = decoded(zoo, tmp_path, rows, candidates=2)
    assert manifest.failed == ("sample-2",)
    assert list(found) == ["sample-0", "sample-1", "sample-3"]


def test_a_sample_that_is_not_finite_fails_and_leaves_the_others_alone(
    zoo: ProbedZoo, tmp_path: Path
) -> None:
    mixing = MIXING.copy()
    mixing[2, 0] = np.inf
    found, manifest = decoded(zoo, tmp_path, mixing)
    assert manifest.failed == ("sample-2",)
    assert list(found) == ["sample-0", "sample-1", "sample-3"]
    assert not (tmp_path / "shard-0/sample-2.safetensors").exists()


def test_a_sample_whose_weights_overflow_fails_and_leaves_the_others_alone(
    zoo: ProbedZoo, tmp_path: Path
) -> None:
    whole, _ = decoded(zoo, tmp_path, MIXING)
    coordinates = WeightMatrix.open(zoo.matrix).read()[:N].astype(float)
    direction = (coordinates - coordinates.mean(axis=0))[0]
    mixing = MIXING.copy()
    mixing[1] = 2e38 / np.abs(direction).max() * (np.arange(N) == 0)
    assert np.isfinite((mixing[1, 0] * direction).astype(np.float32)).all()
    found, manifest = decoded(zoo, tmp_path, mixing)
    assert manifest.failed == ("sample-1",)
    assert list(found) == ["sample-0", "sample-2", "sample-3"]
    for name, state in found.items():
        np.testing.assert_allclose(flat(state), flat(whole[name]), rtol=1e-4, atol=1e-4)


def test_running_statistics_are_those_of_the_probes_and_counters_the_first_networks(tmp_path: Path) -> None:
    zoo = ProbedZoo(tmp_path, parts=1).begin()
    config = ModuleConfig.model_validate(
        {"import": "own_networks:with_batch_norm", "shape": [4], "classes": 3}
    )
    weights, layout = normalised(zoo, config)
    common = {"architecture": config, "probing": PROBING}
    sketch_responses(
        SketchResponses(**common, functions=15, part=0, parts=1), weights, zoo.data, zoo.sketches[0]
    )
    solve_responses(SolveResponses(**common, functions=15), zoo.sketches, weights, zoo.data, zoo.basis)
    rows = zoo.manifests[0].with_suffix(".npy")
    encode_responses(
        EncodeResponses(**common, part=0, parts=1), zoo.basis, weights, zoo.data, rows, zoo.manifests[0]
    )
    zoo.stacked()
    found, _ = decoded(zoo, tmp_path, np.eye(3)[:2], architecture=config)
    originals = WeightMatrix.open(weights).networks(range(2))
    for i, state in enumerate(found.values()):
        seen = zoo.probes @ state["0.weight"].T.astype(float) + state["0.bias"]
        np.testing.assert_allclose(state["1.running_mean"], seen.mean(axis=0), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(state["1.running_var"], seen.var(axis=0, ddof=1), rtol=1e-4)
        assert state["1.num_batches_tracked"] == 40
        np.testing.assert_allclose(state["1.weight"], originals["1.weight"][i], rtol=1e-5)
    assert layout == set(state) - {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


def normalised(zoo: ProbedZoo, config: ModuleConfig) -> tuple[Path, set[str]]:
    """Put three networks with batch normalisation in the place of the zoo's."""
    architecture = build(config)
    states = [architecture.initial_state("default", torch_generator("test", i)) for i in range(3)]
    for i, state in enumerate(states):
        state["1.weight"] = torch.full_like(state["1.weight"], 0.5 + i)
        state["1.num_batches_tracked"] = torch.tensor(40 + i)
    buffers = {name: np.stack([state[name].numpy() for state in states]) for name in architecture.buffers}
    path = zoo.folder / "normalised.zarr"
    rows = [Row(f"net-{i}") for i in range(3)]
    matrix = WeightMatrix.create(path, architecture.layout, rows, config.model_dump(), buffers=buffers)
    matrix.array[:, :] = np.stack(
        [
            np.concatenate([state[e.name].numpy().ravel() for e in architecture.layout.entries])
            for state in states
        ]
    )
    (zoo.folder / "weights.zarr").rename(zoo.folder / "others.zarr")
    path.rename(zoo.folder / "weights.zarr")
    return zoo.folder / "weights.zarr", {entry.name for entry in architecture.layout.entries}
