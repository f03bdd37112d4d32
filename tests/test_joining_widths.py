"""Networks of two widths as one training set: padded, described by responses to the same probes, and decoded
in their own architecture."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from probed_zoo import PROBING, ProbedZoo
from tiny_zoo import WIDTHS, State, iris, log_probabilities, random_networks, stack

from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.representation import Decoding
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Dataset, Split
from dwf_steps.decode import Decode, decode
from dwf_steps.decode_responses import DecodeResponses, decode_responses
from dwf_steps.generators.base import Tools, TrainingNetworks
from dwf_steps.generators.flow_generator import Flow
from dwf_steps.generators.samples import Samples
from dwf_steps.join_zoo import JoinZoo, join_zoo
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage import matrix as matrix_module
from dwf_steps.storage.arrays import load_arrays
from dwf_steps.storage.checkpoint import Checkpoint
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.networks import describe, load_state
from dwf_steps.storage.padding import read_narrower
from dwf_steps.subspace.basis import raw_basis

OF = {"narrow": [4, 3, 3], "wide": WIDTHS}
NETWORKS = {zoo: random_networks(5, seed, widths) for seed, (zoo, widths) in enumerate(OF.items())}
TRAINING = [(zoo, state) for zoo, states in NETWORKS.items() for state in list(states.values())[:4]]
N = len(TRAINING)


@dataclass(frozen=True)
class JoinedZoo(ProbedZoo):
    """Four training networks and a held-out one of each width."""

    def joined(self) -> "JoinedZoo":
        iris(self.folder)
        members = []
        for zoo, networks in NETWORKS.items():
            (self.folder / zoo).mkdir()
            members.append(stack(self.folder / zoo, networks, 1, OF[zoo]))
        settings = JoinZoo.model_validate(
            {"zoos": list(OF), "architecture": {"widths": WIDTHS}, "dtype": "float32", "memory_mb": 64}
        )
        join_zoo(settings, members, self.weights)
        return self


@pytest.fixture(scope="module", params=[7, 10**6])
def zoo(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> ProbedZoo:
    """Return the zoo with matrices in blocks of a few columns, and in one block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrix_module, "CHUNK_BYTES", 4 * 2 * 5 * request.param)
        joined = JoinedZoo(tmp_path_factory.mktemp("zoo"), functions=30).joined()
        return joined.sketched().solved().encoded().stacked()


def drawn(folder: Path, coefficients: np.ndarray, zoos: list[str], candidates: int = 1) -> Path:
    """Write samples that are asked for zoos."""
    k, path = len(coefficients), folder / "latents.npz"
    offsets = np.empty((k, 0), np.float32)
    Samples(np.zeros((k, 0)), coefficients, offsets, candidates=candidates, zoos=np.array(zoos)).save(path)
    return path


def read(manifest: Path) -> dict[str, State]:
    return {path.stem: load_state(path) for path in Manifest.read(manifest).verified_files()}


def from_responses(
    zoo: ProbedZoo, folder: Path, samples: Path, data_of: dict[str, str] | None = None
) -> dict[str, State]:
    settings = DecodeResponses(
        architecture=MLPConfig(widths=WIDTHS),
        probing=PROBING,
        decoding=Decoding(ridge=1e-9, matching="activations", iterations=2),
        part=0,
        parts=1,
        memory_mb=64,
        data_of=data_of or {},
    )
    manifest = folder / "shard-0.json"
    files = samples, zoo.matrix, zoo.basis, zoo.weights, zoo.data
    decode_responses(settings, *files, manifest.with_suffix(""), manifest)
    return read(manifest)


def test_the_joint_row_of_a_narrower_network_has_zeros_where_units_are_absent(zoo: ProbedZoo) -> None:
    matrix = WeightMatrix.open(zoo.weights)
    assert matrix.architecture["widths"] == WIDTHS
    names = [row.name for row in matrix.rows]
    assert names == [f"{member}.net-{i}" for member in OF for i in range(4)] + ["narrow.net-4", "wide.net-4"]
    networks = matrix.networks(range(len(names)))
    for i, joint_name in enumerate(names):
        member, name = joint_name.split(".")
        state = NETWORKS[member][name]
        for key, array in networks.network(i).items():
            padded = np.zeros_like(array)
            padded[tuple(map(slice, state[key].shape))] = state[key]
            np.testing.assert_array_equal(array, padded)


def test_every_unit_has_coordinates_in_the_same_functions_and_absent_ones_are_zero(zoo: ProbedZoo) -> None:
    matrix = WeightMatrix.open(zoo.matrix)
    functions = load_arrays(zoo.basis, ["layers.0.responses", "layers.1.responses"])
    for row, (_, state) in zip(matrix.read(), TRAINING, strict=False):
        for entry in matrix.layout.entries:
            found, responses = row[entry.columns].reshape(entry.shape), zoo.responses(state)[entry.name]
            own = responses.T @ functions[entry.name] / len(responses) ** 0.5
            np.testing.assert_allclose(found[: len(own)], own, rtol=1e-4, atol=1e-5)
            assert not found[len(own) :].any()


def test_networks_are_decoded_in_the_architecture_of_the_zoo_they_are_asked_for(
    zoo: ProbedZoo, tmp_path: Path
) -> None:
    order = np.random.default_rng(0).permutation(N)
    asked = [TRAINING[i][0] for i in order]
    found = from_responses(zoo, tmp_path, drawn(tmp_path, np.eye(N)[order], asked))
    assert list(found) == [f"sample-{i}" for i in range(N)]
    for i, (name, state) in zip(order, found.items(), strict=True):
        own = TRAINING[i][1]
        np.testing.assert_allclose(state["layers.0.weight"], own["layers.0.weight"], rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(
            log_probabilities(state, zoo.probes), log_probabilities(own, zoo.probes), rtol=1e-3, atol=1e-3
        )
        description = describe(tmp_path / f"shard-0/{name}.safetensors")
        assert description.architecture["widths"] == OF[TRAINING[i][0]]
    assert Manifest.read(tmp_path / "shard-0.json").facts["zoos"] == dict(zip(found, asked, strict=True))


@pytest.mark.parametrize("own", [True, False])
def test_a_network_is_decoded_on_the_probes_from_the_data_of_its_zoo(tmp_path: Path, own: bool) -> None:
    """What coordinates say of other probes does not matter."""
    zoo = JoinedZoo(tmp_path, functions=30).joined()
    dataset = Dataset.load(zoo.data)
    half = np.resize(["narrow", "wide"], len(dataset.train))
    replace(dataset, train=replace(dataset.train, data_sets=half)).save(zoo.data)
    zoo.sketched().solved().encoded().stacked()
    train = Split.load(zoo.data, "train")
    probes = choose_probes(train, PROBING.probes, PROBING.seed)
    assert probes.data_sets is not None
    here = probes.data_sets == "wide"
    matrix = WeightMatrix.open(zoo.matrix)
    entry = next(entry for entry in matrix.layout.entries if entry.name == "layers.1.responses")
    functions = load_arrays(zoo.basis, [entry.name])[entry.name]
    silent = np.linalg.svd(functions[here])[2][-1]  # coordinates of a response to other probes alone
    assert np.abs(functions[here] @ silent).max() < 1e-9
    offsets = np.zeros((1, matrix.layout.size), np.float32)
    offsets[:, entry.columns] = np.outer([20, -20, 0], silent).ravel()
    last = N - 1
    path = tmp_path / "latents.npz"
    Samples(np.zeros((1, 0)), np.eye(N)[[last]], offsets, zoos=np.array(["wide"])).save(path)
    (state,) = from_responses(zoo, tmp_path, path, {"wide": "wide"} if own else None).values()
    found, expected = (log_probabilities(one, zoo.probes[here]) for one in (state, TRAINING[last][1]))
    assert (np.abs(found - expected).max() < 1e-2) == own


def test_probes_of_a_data_set_that_has_none_are_refused(zoo: ProbedZoo, tmp_path: Path) -> None:
    samples = drawn(tmp_path, np.eye(N)[:1], ["narrow"])
    with pytest.raises(InputError, match="no probes from the data of zoo 'narrow' among those of a single"):
        from_responses(zoo, tmp_path, samples, {"narrow": "narrow"})


def test_weights_lose_the_units_that_a_narrower_network_does_not_have(zoo: ProbedZoo, tmp_path: Path) -> None:
    mixing = np.random.default_rng(1).dirichlet(np.ones(N), size=4)
    samples = drawn(tmp_path, mixing, ["narrow", "wide", "wide", "narrow"])
    manifest = tmp_path / "shard-0.json"
    decode(Decode(part=0, parts=1, memory_mb=0), samples, zoo.weights, manifest.with_suffix(""), manifest)
    whole = WeightMatrix.open(zoo.weights).networks(range(N))
    for weights, member, state in zip(
        mixing, ["narrow", "wide", "wide", "narrow"], read(manifest).values(), strict=True
    ):
        shapes = next(iter(NETWORKS[member].values()))
        for key, array in state.items():
            mean = np.tensordot(weights, whole[key].astype(float), 1)
            cut = mean[tuple(map(slice, shapes[key].shape))]
            np.testing.assert_allclose(array, cut, rtol=1e-4, atol=1e-5)


def test_candidates_units_are_those_of_the_zoo_that_is_asked_for(zoo: ProbedZoo, tmp_path: Path) -> None:
    """Three copies of a network complement each other in nothing: its own units are chosen."""
    which = [1, 6]
    rows = np.eye(N)[np.repeat(which, 3)]
    asked = [TRAINING[i][0] for i in np.repeat(which, 3)]
    found = from_responses(zoo, tmp_path, drawn(tmp_path, rows, asked, candidates=3))
    for i, state in zip(which, found.values(), strict=True):
        own = TRAINING[i][1]
        assert state["layers.0.bias"].shape == own["layers.0.bias"].shape
        np.testing.assert_allclose(
            log_probabilities(state, zoo.probes), log_probabilities(own, zoo.probes), atol=1e-2
        )


@pytest.mark.parametrize("network", ["mlp", "unit_transformer"])
def test_a_flow_over_first_layers_knows_which_units_a_zoos_networks_have(
    zoo: ProbedZoo, tmp_path: Path, network: str
) -> None:
    config = FlowConfig.model_validate(
        {
            "kind": "flow",
            "layers": "first",
            "condition": {"variable": "zoo"},
            "velocity": {"network": network, "width": 16, "depth": 1, "time_embedding": 8},
            "training": {"steps": 5, "batch_size": 4},
            "sampling": {"samples": 6, "steps": 3},
        }
    )
    matrix = WeightMatrix.open(zoo.matrix)
    rows = matrix.read().astype(np.float64)
    centred = rows - rows[:N].mean(axis=0)
    training = TrainingNetworks(raw_basis(centred @ centred.T, N), zoo.matrix)
    fitted, read_again = Flow(config), Flow(config)
    with Tools(Checkpoint(tmp_path / "checkpoint", "run"), folder=tmp_path) as tools:
        assert np.isfinite(fitted.fit(training, tools).validation).all()
        fitted.save(tmp_path / "model.safetensors")
        read_again.load(tmp_path / "model.safetensors", tools)
        samples = [flow.sample(training, tools) for flow in (fitted, read_again)]
    np.testing.assert_array_equal(samples[0].offsets, samples[1].offsets)
    assert samples[0].asked == ["narrow", "wide"] * 3
    points = fitted.model.latents(samples[1].offsets.astype(np.float64), torch.tensor([0, 1] * 3))
    absent = ~read_narrower(matrix)["narrow"].padding.present[: points.shape[1]]
    assert points[::2, absent].abs().max() < 1e-5 and points[:, ~absent].abs().min() > 0
    assert points[1::2, absent].abs().min() > 0
    later = slice(points.shape[1], None)
    own = {"narrow": rows[: N // 2], "wide": rows[N // 2 : N]}
    for name, offset in zip(samples[0].asked, samples[0].offsets + rows[:N].mean(axis=0), strict=True):
        np.testing.assert_allclose(offset[later], own[name].mean(axis=0)[later], rtol=1e-4, atol=1e-5)
    samples[0].save(tmp_path / "latents.npz")
    found = from_responses(zoo, tmp_path, tmp_path / "latents.npz")
    assert [len(state["layers.0.bias"]) for state in found.values()] == [3, 5] * 3
