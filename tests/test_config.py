"""The configuration: what is accepted, and what an error says."""

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from small_config import small_config

from dwf_steps.config.canonicalization import GitRebasin, Normalized
from dwf_steps.config.workflow import WorkflowConfig
from dwf_steps.config.zoo import ImportedZoo, TrainedZoo, n_training, plans_of
from dwf_steps.pipeline.load import load_config
from dwf_steps.runtime.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = yaml.safe_load((ROOT / "workflow_config.yaml").read_text())


def merged(path: Path) -> dict[str, Any]:
    """Merge a file over the default one as Snakemake does: mappings merge, the rest is replaced."""

    def merge(under: Any, over: Any) -> Any:
        if isinstance(under, dict) and isinstance(over, dict):
            return {k: merge(under.get(k), over.get(k, under.get(k))) for k in {**under, **over}}
        return over

    return merge(deepcopy(SHIPPED), yaml.safe_load(path.read_text()))


BESIDE_SUBSPACES = ("gram", "sketch", "encoded")
DEFAULT = merged(ROOT / "configs/iris.yaml")
for experiment in DEFAULT["experiments"]:
    experiment["zoos"] = ["iris", "digits"]


def default() -> dict[str, Any]:
    return deepcopy(DEFAULT)


def test_the_default_configuration_asks_for_a_hundred_networks_on_digits_and_ten_held_out() -> None:
    config = load_config(SHIPPED)
    assert {(cell.zoo, cell.canon) for cell in config.cells()} == {("digits", "git_rebasin")}
    zoo = config.zoos["digits"]
    assert isinstance(zoo, TrainedZoo)
    assert (zoo.seeds, zoo.held_out, zoo.n_shards) == (110, 10, 1)
    assert list(zoo.architecture.layers) == [32, 32, 10]


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_is_valid(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = merged(path)
    for images in config.get("datasets", {}).values():
        for name in (images[part] for part in ("train", "test") if part in images):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            pd.DataFrame({"img": [b""], "label": [0]}).to_parquet(tmp_path / name)
    for zoo in config["zoos"].values():
        for i in range(110 if "import" in zoo else 0):
            (tmp_path / zoo["import"]).mkdir(parents=True, exist_ok=True)
            (tmp_path / zoo["import"] / f"seed-{i}.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    assert load_config(config).fitted_by()


def test_five_initialisations_share_a_hundred_seeds_equally() -> None:
    zoo = load_config(DEFAULT).zoos["iris"]
    assert isinstance(zoo, TrainedZoo)
    kinds = [plan.initialisation for plan in plans_of(range(n_training(zoo)), zoo.initialisations)]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(
        ("default", "he", "xavier", "uniform", "normal"), 20
    )


def test_more_seeds_only_add_networks() -> None:
    zoo = load_config(DEFAULT).zoos["iris"]
    assert isinstance(zoo, TrainedZoo)
    assert zoo.model_copy(update={"seeds": 130}).names()[:110] == zoo.names()


@pytest.mark.parametrize("shard_size", [7, 50, 100, 1000])
def test_shards_divide_the_networks(shard_size: int) -> None:
    zoo = load_config(DEFAULT).zoos["iris"].model_copy(update={"shard_size": shard_size})
    assert isinstance(zoo, TrainedZoo)
    shards = [zoo.shard(k) for k in range(zoo.n_shards)]
    assert all(0 < len(shard) <= shard_size for shard in shards)
    assert [seed for shard in shards for seed in shard] == list(range(zoo.seeds))


def test_canonicalizations_may_be_named_or_spelt_out() -> None:
    raw = default()
    raw["canonicalizations"] = {
        "none": "none",
        "git_rebasin": ["none", {"method": "git_rebasin", "reference": "medoid"}, "normalized"],
    }
    config = load_config(raw)
    assert config.canonicalizations["none"] == []
    assert config.canonicalizations["git_rebasin"] == [
        GitRebasin(reference="medoid"),
        Normalized(method="normalized"),
    ]


def test_imported_zoos_take_folders_globs_and_lists(tmp_path: Path) -> None:
    for name in ("b.pt", "a.safetensors", "notes.txt", "._b.pt", ".a.safetensors"):
        (tmp_path / name).touch()
    architecture = {"widths": [4, 3]}
    for pattern in (
        str(tmp_path),
        f"{tmp_path}/*[.][ps]*",
        f"{tmp_path}/*.[ps]*",
        [f"{tmp_path}/a.safetensors", f"{tmp_path}/b.pt"],
    ):
        zoo = ImportedZoo.model_validate({"import": pattern, "dataset": "iris", "architecture": architecture})
        assert zoo.names() == ["a", "b"]
    zoo = ImportedZoo.model_validate(
        {"import": f"{tmp_path}/._b.pt", "dataset": "iris", "architecture": architecture}
    )
    assert zoo.names() == ["._b"]


@pytest.mark.parametrize("kind", ["images", "texts"])
def test_a_parquet_file_cut_short_is_named_with_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("train.parquet", "test.parquet"):
        pd.DataFrame({"img": [b""] * 9, "text": "good", "label": range(9)}).to_parquet(name)
    content = Path("test.parquet").read_bytes()
    Path("test.parquet").write_bytes(content[: len(content) // 2])
    raw = default()
    size = {"size": 2} if kind == "images" else {"length": 8}
    raw["datasets"] = {"mine": {"train": "train.parquet", "test": "test.parquet", **size}}
    raw["zoos"]["iris"]["dataset"] = "mine"
    with pytest.raises(InputError) as caught:
        load_config(raw)
    message = str(caught.value)
    assert re.search(
        r"datasets\.mine\.test: test\.parquet is not a readable parquet file \(.*\); replace", message
    )


Change = Callable[[dict[str, Any]], Any]
MISTAKES: dict[str, tuple[Change, list[str]]] = {
    "misspelt key": (
        lambda c: c["zoos"]["iris"]["training"].update(epocs=3),
        ["zoos.iris.training: unknown key 'epocs'", "did you mean 'epochs'?", "batch_size"],
    ),
    "misspelt section": (
        lambda c: c.update(generator={}),
        ["the configuration: unknown key 'generator'", "did you mean 'generators'?"],
    ),
    "wrong type": (
        lambda c: c["generators"]["flow_narrow"]["velocity"].update(width="wide"),
        ["generators.flow_narrow.velocity.width: found 'wide'", "expected a valid integer"],
    ),
    "out of range": (
        lambda c: c["zoos"]["digits"]["training"].update(lr=-1),
        ["zoos.digits.training.lr: found -1; expected greater than 0"],
    ),
    "not a number": (
        lambda c: c["zoos"]["digits"]["training"].update(lr=float("nan")),
        ["zoos.digits.training.lr: found nan"],
    ),
    "wrong choice": (
        lambda c: c["zoos"]["iris"]["architecture"].update(activation="relo"),
        ["zoos.iris.architecture.activation: found 'relo'; expected 'relu', 'gelu' or 'tanh'"],
    ),
    "unknown initialisation": (
        lambda c: c["zoos"]["iris"].update(initialisations=["he", "hee"]),
        ["zoos.iris.initialisations.1: found 'hee'", "'xavier'"],
    ),
    "unknown kind": (
        lambda c: c["generators"]["noise"].update(kind="nois"),
        ["generators.noise", "'nois'", "'interpolation'"],
    ),
    "no kind": (lambda c: c["generators"]["noise"].pop("kind"), ["generators.noise", "kind"]),
    "missing key": (
        lambda c: c["zoos"]["iris"].pop("dataset"),
        ["zoos.iris.dataset: this key is required"],
    ),
    "unknown data set": (
        lambda c: c["zoos"]["iris"].update(dataset="irises"),
        ["zoos.iris.dataset", "'irises'", "'iris'"],
    ),
    "invalid name": (
        lambda c: c["generators"].update({"My-Flow": {"kind": "noise"}}),
        ["generators.My-Flow: 'My-Flow' cannot be a name", "[a-z0-9_]+"],
    ),
    "reserved name": (
        lambda c: c["zoos"].update(data=c["zoos"]["iris"], tables=c["zoos"]["iris"]),
        [f"zoos.{name}: this name is reserved for the workflow" for name in ("data", "tables")],
    ),
    "what lies beside representations and subspaces": (
        lambda c: c.update(
            representations={"reference": {"kind": "responses"}},
            subspaces=c["subspaces"] | {name: {"method": "none"} for name in BESIDE_SUBSPACES},
        ),
        [
            "representations.reference: this name is reserved for the workflow",
            *(f"subspaces.{name}: this name is reserved for the workflow" for name in BESIDE_SUBSPACES),
        ],
    ),
    "weights that are something else": (
        lambda c: c.update(representations={"weights": {"kind": "responses"}, "plain": {"kind": "weights"}}),
        [
            "representations.weights.kind: found 'responses', but this name stands for the weights",
            "representations.plain.kind: 'weights' is already defined, under the name 'weights'; use that",
        ],
    ),
    "more probes than training examples": (
        lambda c: (
            c.update(representations={"many": {"kind": "responses", "probes": 109, "functions": 9}}),
            c["experiments"][0].update(representations=["many"], generators=["gaussian"]),
        ),
        ["representations.many.probes: found 109, but zoo 'iris' has 108 training examples"],
    ),
    "a module that cannot be traced": (
        lambda c: (
            c.update(representations={"some": {"kind": "responses", "probes": 20, "functions": 5}}),
            c["zoos"]["iris"].update(
                architecture={"import": "own_networks:used_twice", "shape": [4], "classes": 3},
                initialisations=["default"],
            ),
            c["experiments"][0].update(representations=["some"], generators=["gaussian"]),
        ),
        [
            "representations.some: zoos.iris.architecture: own_networks:used_twice: 1.weight is used more",
            "use the representation `weights`",
        ],
    ),
    "more components than coordinates": (
        lambda c: (
            c.update(representations={"few": {"kind": "responses", "probes": 20, "functions": 1}}),
            c["zoos"]["iris"].update(architecture={"widths": [4, 3]}),
            c["subspaces"].update(some={"method": "dual_pca", "components": 19}),
            c["experiments"][0].update(
                zoos=["iris"], representations=["few"], subspaces=["some"], generators=["gaussian"]
            ),
        ),
        ["subspaces.some.components: found 19", "no more than their 18 coordinates among 'few'"],
    ),
    "more response functions than probes": (
        lambda c: c.update(
            representations={"few": {"kind": "responses", "probes": 100, "sweep": {"functions": [50, 101]}}}
        ),
        ["representations.few_functions_101: functions (101) must not exceed probes (100)"],
    ),
    "an undefined representation": (
        lambda c: c["experiments"][0].update(representations=["reponses"]),
        [
            "experiments.0.representations: 'reponses' is not defined; did you mean 'responses'?",
            "Defined: weights, responses",
        ],
    ),
    "flows that need weights among responses": (
        lambda c: (
            c.update(
                representations={"responses": {"kind": "responses"}}, subspaces={"pca_99": {"method": "none"}}
            ),
            c["generators"].update(
                flow_narrow={"kind": "flow", "source": "kaiming", "sampling": {"guidance": {}}},
                flow_matched={
                    "kind": "flow",
                    "geometry": "geometric",
                    "sampling": {"solver": "euler"},
                },
                graph={
                    "kind": "flow",
                    "velocity": {"network": "relational_transformer"},
                    "other_widths": [[4, 9, 3]],
                },
            ),
            c["experiments"].append(
                c["experiments"][0]
                | {
                    "zoos": ["iris"],
                    "representations": ["responses"],
                    "generators": ["flow_narrow", "flow_matched", "graph"],
                }
            ),
        ),
        [
            f"generators.{what} needs weights as coordinates, but representations.responses has kind "
            f"'responses'; {cure}, or use representation 'weights'"
            for what, cure in (
                ("flow_narrow.source: 'kaiming'", "set source: 'standard'"),
                ("flow_narrow.sampling.guidance", "leave it out"),
                ("flow_matched.geometry: 'geometric'", "set geometry: 'euclidean'"),
                (
                    "graph.velocity.network: 'relational_transformer'",
                    "set velocity.network: 'mlp' or 'unit_transformer'",
                ),
                ("graph.other_widths", "leave it out"),
            )
        ],
    ),
    "candidates of whole networks": (
        lambda c: c["generators"].update(trained={"kind": "retrained", "sampling": {"candidates": 2}}),
        ["generators.trained: sampling.candidates is 2, but the networks of a retrained generator are whole"],
    ),
    "candidates that cannot be compared": (
        lambda c: (
            c.update(representations={"responses": {"kind": "responses", "probes": 100, "functions": 50}}),
            c["zoos"].update(
                own=c["zoos"]["iris"]
                | {
                    "initialisations": ["default"],
                    "architecture": {"import": "own_networks:with_batch_norm", "shape": [4], "classes": 3},
                },
                mixed=c["zoos"]["iris"]
                | {
                    "initialisations": ["default"],
                    "architecture": {
                        "import": "traced_networks:layer_normalised",
                        "shape": [4],
                        "classes": 3,
                    },
                },
            ),
            c["canonicalizations"].update(none=[]),
            c["subspaces"].update(pca_9={"method": "dual_pca", "components": 9}),
            c["generators"].update(
                among={"kind": "bootstrap", "by": "unit", "sampling": {"candidates": 7}},
            ),
            c["experiments"].append(
                c["experiments"][0]
                | {
                    "zoos": ["iris", "own", "mixed"],
                    "canonicalizations": ["none"],
                    "representations": ["weights", "responses"],
                    "subspaces": ["pca_9"],
                    "generators": ["among"],
                }
            ),
        ),
        [
            "generators.among.sampling.candidates: found 7, but representations.weights has kind 'weights', "
            "without units' responses; expected kind 'responses'. Set candidates: 1, or use such",
            "generators.among.sampling.candidates: found 7, but traced_networks:layer_normalised: candidates "
            "for the first layer's units cannot be compared, since units of 0.weight are mixed before they "
            "reach 3.weight; set sampling.candidates: 1",
        ],
    ),
    "the zoo's label in tables": (
        lambda c: c["generators"].update(zoo={"kind": "gaussian"}),
        ["generators.zoo: this name is reserved for the workflow"],
    ),
    "undefined entry": (
        lambda c: c["experiments"][0].update(generators=["flow_narow"]),
        ["experiments.0.generators: 'flow_narow' is not defined", "did you mean 'flow_narrow'?"],
    ),
    "entry named twice": (
        lambda c: c["experiments"][0].update(zoos=["iris", "iris"]),
        ["experiments.0.zoos: named more than once: iris"],
    ),
    "nothing to run": (lambda c: c.update(experiments=[]), ["experiments: found []"]),
    "too many components": (
        lambda c: c["subspaces"]["pca_99"].update(components=100),
        ["subspaces.pca_99.components: found 100", "at most 99"],
    ),
    "components and variance": (
        lambda c: c["subspaces"]["pca_99"].update(variance=0.9),
        ["subspaces.pca_99: give exactly one of 'components' and 'variance'"],
    ),
    "no such reference": (
        lambda c: c["canonicalizations"].update(git_rebasin=[{"method": "git_rebasin", "reference": 110}]),
        ["canonicalizations.git_rebasin.reference: 110 does not exist in zoo 'iris'", "0 to 99"],
    ),
    "no such reference name": (
        lambda c: c["canonicalizations"].update(git_rebasin=[{"method": "git_rebasin", "reference": "me"}]),
        ["canonicalizations.git_rebasin.reference: no network 'me' in zoo 'iris'", "seed-0 to seed-99"],
    ),
    "reference held out": (
        lambda c: (
            c["zoos"]["iris"].update(held_out=5, seeds=110),
            c["canonicalizations"].update(git_rebasin=[{"method": "git_rebasin", "reference": 107}]),
        ),
        ["canonicalizations.git_rebasin.reference: 'seed-107' is held out in zoo 'iris'", "seed-104"],
    ),
    "two barycentres": (
        lambda c: c["canonicalizations"].update(
            git_rebasin=[
                {"method": "git_rebasin", "target": "barycentre"},
                {"method": "transfusion", "target": "barycentre"},
            ]
        ),
        ["canonicalizations.git_rebasin: several methods match to a barycentre; keep only"],
    ),
    "activation matching listed twice": (
        lambda c: c["canonicalizations"].update(
            git_rebasin=["activation_matching", {"method": "activation_matching", "measure": "correlation"}]
        ),
        ["canonicalizations.git_rebasin: activation_matching is listed more than once; once is enough"],
    ),
    "units compared on more inputs than there are": (
        lambda c: c["canonicalizations"].update(
            git_rebasin=[{"method": "activation_matching", "probes": 109}]
        ),
        ["canonicalizations.git_rebasin.activation_matching.probes: found 109, but zoo 'iris' has 108"],
    ),
    "units compared of a network that cannot be traced": (
        lambda c: (
            c["zoos"]["iris"].update(
                architecture={"import": "own_networks:Repeated", "shape": [4], "classes": 3},
                initialisations=["default"],
            ),
            c["canonicalizations"].update(
                git_rebasin=[{"method": "activation_matching", "probes": 20}],
            ),
        ),
        [
            "canonicalizations.git_rebasin.activation_matching: zoos.iris.architecture: own_networks",
            "inner.weight is used more than once",
            "use the canonicalization git_rebasin, which compares weights",
        ],
    ),
    "units compared of a network with attention heads": (
        lambda c: (
            c["zoos"].update(
                iris={
                    "dataset": "cifar10",
                    "architecture": {
                        "kind": "vit",
                        "width": 8,
                        "depth": 1,
                        "heads": 2,
                        "mlp": 9,
                        "classes": 10,
                    },
                    "seeds": 110,
                }
            ),
            c["canonicalizations"].update(git_rebasin=["activation_matching"]),
        ),
        [
            "canonicalizations.git_rebasin: 'activation_matching' matches single units, but zoos.iris",
            "(vit) has attention heads; use transfusion, which matches heads and units",
        ],
    ),
    "all held out": (
        lambda c: c["zoos"]["iris"].update(held_out=110),
        ["zoos.iris.held_out: 110 of 110 networks held out leaves 0"],
    ),
    "more samples than are held out": (
        lambda c: c["generators"]["held_out"]["sampling"].update(samples=11),
        ["generators.held_out.sampling.samples: found 11, but zoo 'iris' holds out 10 networks"],
    ),
    "a soup of more networks than there are": (
        lambda c: c["generators"].update(noise={"kind": "soup", "networks": 101}),
        ["generators.noise.networks: found 101, but zoo 'iris' has 100 training networks"],
    ),
    "a cost to equal that nobody has": (
        lambda c: c["generators"].update(noise={"kind": "retrained", "equal_cost_to": "flow"}),
        ["generators.noise.equal_cost_to: 'flow' is not a generator that draws", "flow_narrow, flow_matched"],
    ),
    "two lengths of training": (
        lambda c: c["generators"].update(noise={"kind": "retrained", "equal_cost_to": "x", "epochs": 1}),
        ["generators.noise: give exactly one of 'epochs' and 'equal_cost_to'"],
    ),
    "a sweep of nothing": (
        lambda c: c["generators"]["noise"].update(sweep={"std": []}),
        ["generators.noise.sweep.std: found []; expected a list of values"],
    ),
    "a wrong value in a sweep": (
        lambda c: (
            c["generators"]["noise"].update(sweep={"std": [-1]}),
            c["experiments"][1].update(generators=["noise"]),
        ),
        ["generators.noise_std_1.std: found -1"],
    ),
    "an unknown recalibration": (
        lambda c: c["recalibrations"].update(none=["last_layers"]),
        ["recalibrations.none", "'last_layers'"],
    ),
    "normalized without relu": (
        lambda c: (
            c["zoos"]["iris"]["architecture"].update(activation="tanh"),
            c["canonicalizations"].update(none=["normalized"]),
        ),
        ["canonicalizations.none: 'normalized' removes a symmetry", "(tanh mlp) does not have"],
    ),
    "widths that do not fit the data": (
        lambda c: c["zoos"]["iris"]["architecture"].update(widths=[5, 16, 3]),
        ["zoos.iris.architecture.widths: found [5, 16, 3]", "4 features and 3 classes"],
    ),
    "table missing": (
        lambda c: c["zoos"]["iris"].update(dataset={"file": "gone.csv", "target": "y"}),
        ["zoos.iris.dataset.file: there is no file gone.csv (relative to", "correct the path"],
    ),
    "what perceptrons alone can do": (
        lambda c: (
            c["zoos"]["iris"].update(
                architecture={"import": "own_networks:plain", "shape": [4], "classes": 3},
                initialisations=["he"],
            ),
            c["generators"].update(gaussian={"kind": "random_init"}),
            c["generators"]["flow_narrow"].update(source="kaiming"),
            c["recalibrations"].update(none=["last_layer"]),
        ),
        [
            "zoos.iris.initialisations: found he, but own_networks:plain networks initialise themselves",
            "generators.gaussian.initialisation: found 'he', but own_networks:plain",
            "generators.flow_narrow.source: 'kaiming' needs multilayer perceptrons",
            "recalibrations.none: last_layer supports multilayer perceptrons only",
        ],
    ),
    "a density that is not there": (
        lambda c: (
            c["subspaces"].update(pca_99={"method": "none"}),
            c["generators"]["flow_narrow"].update(source="kaiming", likelihood={}),
        ),
        [
            "generators.flow_narrow.likelihood: source 'kaiming' has no density over whole networks",
            "use a subspace that reduces them, or source: 'standard'",
        ],
    ),
    "statistics that are not there": (
        lambda c: c["recalibrations"].update(none=["batch_norm", "reference_statistics"]),
        [
            "recalibrations.none: batch_norm sets the running statistics of batch normalisation, which the",
            "networks of zoo 'digits' (relu mlp) do not have",
            "recalibrations.none: reference_statistics sets",
        ],
    ),
    "a reference that is not there": (
        lambda c: (
            c["zoos"]["iris"].update(
                architecture={"import": "own_networks:with_batch_norm", "shape": [4], "classes": 3},
                initialisations=["default"],
            ),
            c["recalibrations"].update(none=[{"method": "reference_statistics", "network": 1000}]),
        ),
        ["recalibrations.none.network: 1000 does not exist in zoo 'iris'; expected a training network, 0 to"],
    ),
    "transfers that do not fit": (
        lambda c: (
            c.update(
                transfers={
                    "a": {"dataset": "mnist"},
                    "b": {"dataset": "mnits"},
                    "c": {"dataset": "digits", "size": 2, "training": {"augmentation": {"crop": 1}}},
                    "d": {"dataset": "iris", "classes": [0, 1, 2, 3]},
                }
            ),
            c["experiments"][0].update(transfers=["a", "b", "c", "d", "e"][:4]),
        ),
        [
            "transfers.a: the networks of zoo 'iris' take 4 features, but mnist has 784",
            "transfers.a.classes: output 9 does not exist, the networks of zoo 'iris' have 3",
            "transfers.b.dataset: 'mnits' is not defined",
            "transfers.d.classes: found 4, but iris has 3 classes",
        ],
    ),
    "uses of a flow that do not fit": (
        lambda c: (
            c.update(transfers={"new": {"dataset": "iris", "head": "new"}}),
            c["generators"].update(
                graph={
                    "kind": "flow",
                    "velocity": {"network": "relational_transformer"},
                    "sampling": {"guidance": {"transfer": "nwe"}},
                    "other_widths": [[4, 9, 2]],
                },
                headed={"kind": "flow", "sampling": {"guidance": {"transfer": "new"}}},
            ),
            c["subspaces"].update(raw={"method": "none"}),
            c["experiments"].append(
                c["experiments"][0] | {"subspaces": ["raw"], "generators": ["graph", "headed"]}
            ),
        ),
        [
            "generators.graph.sampling.guidance.transfer: 'nwe' is not defined",
            "generators.graph.other_widths: found [4, 9, 2], but zoo 'iris' has",
            "generators.headed.sampling.guidance.transfer: 'new' gives networks a new head",
        ],
    ),
    "conditions that do not fit": (
        lambda c: (
            c["generators"]["flow_narrow"].update(condition={"variable": "epoch"}),
            c["generators"]["flow_matched"].update(training={"validation_networks": 0.99}),
        ),
        [
            "generators.flow_narrow.condition.variable: 'epoch' distinguishes checkpoints of one training",
            "set zoos.iris.trajectory, or use 'accuracy' or 'loss'",
            "generators.flow_matched.training.validation_networks: 0.99 leaves 99 of zoo 'iris''s 100",
            "and 1 to fit, expected 2 at least; lower it",
        ],
    ),
    "conditions that are not told": (
        lambda c: (
            c["generators"]["flow_narrow"].update(sampling={"condition": "training"}),
            c["generators"]["flow_matched"].update(sampling={"condition_weight": 2}),
        ),
        [
            "generators.flow_narrow: sampling.condition: found 'training', but the flow has no condition",
            "generators.flow_matched: sampling.condition_weight: found 2.0, but the flow has no condition",
            "set condition: {variable: accuracy}",
        ],
    ),
    "conditions that no network has": (
        lambda c: (
            c["generators"]["flow_narrow"].update(
                condition={"variable": "accuracy"}, sampling={"condition": 96}
            ),
            c["generators"]["flow_matched"].update(
                condition={"variable": "loss"}, sampling={"condition": -0.1}
            ),
            c["generators"].update(worst={"kind": "flow", "condition": {"variable": "loss"}}),
            c["generators"]["worst"].update(sampling={"condition": "worst"}),
        ),
        [
            "generators.flow_narrow: sampling.condition: found 96, expected a share from 0 to 1",
            "generators.flow_matched: sampling.condition: found -0.1, expected no negative loss",
            "generators.worst.sampling.condition: found 'worst'; expected 'best' or 'training'",
        ],
    ),
    "an unconditional flow that is never trained": (
        lambda c: (
            c["generators"]["flow_narrow"].update(
                condition={"variable": "loss", "dropout": 0}, sampling={"condition_weight": 1}
            ),
            c["generators"]["flow_matched"].update(
                condition={"variable": "loss", "dropout": 0}, likelihood={}
            ),
        ),
        [
            "generators.flow_narrow: sampling.condition_weight needs the unconditional flow, which",
            "generators.flow_matched: likelihood needs the unconditional flow, which condition.dropout: 0",
            "set condition.dropout (0.1), or leave likelihood out",
        ],
    ),
    "patience without networks left out": (
        lambda c: c["generators"]["flow_narrow"].update(training={"patience": 3}),
        [
            "generators.flow_narrow.training: patience: found 3 without validation_networks",
            "or leave patience",
        ],
    ),
    "a transfer that is not defined": (
        lambda c: c["experiments"][0].update(transfers=["nowhere"]),
        ["experiments.0.transfers: 'nowhere' is not defined"],
    ),
    "symmetries that are not there": (
        lambda c: (
            c["zoos"]["iris"].update(
                architecture={"import": "mistaken_networks:SingleUnstated", "shape": [4], "classes": 3},
                initialisations=["default"],
            ),
            c["canonicalizations"].update(none=["git_rebasin"], git_rebasin=["transfusion"]),
        ),
        [
            "canonicalizations.none: 'git_rebasin' removes a symmetry",
            "tracing finds none (it cannot be traced in float64 (RuntimeError: ",
            "give its module a method `permutation_spec`",
            "canonicalizations.git_rebasin: 'transfusion' removes a symmetry that zoos.digits",
        ],
    ),
    "data derived from what they cannot be": (
        lambda c: (
            c.update(
                datasets={
                    "small": {"of": "iris", "size": 4, "change": "rotated"},
                    "named": {"of": "digits", "classes": [1, 0, None]},
                    "chained": {"of": "named", "size": 4},
                    "moved": {"of": "dgits", "size": 4},
                }
            ),
            c["zoos"]["iris"].update(dataset="small"),
            c["zoos"]["digits"].update(dataset="named"),
            c["zoos"].update(
                {name: c["zoos"]["digits"] | {"dataset": name} for name in ("chained", "moved")}
            ),
            c["experiments"].append(c["experiments"][0] | {"zoos": ["chained", "moved"]}),
        ),
        [
            "datasets.small.size: iris has no images to scale; leave it out",
            "datasets.small.change: 'rotated' needs square images, but iris has none; leave it out",
            "datasets.named.classes: found 3, but digits has 10 classes",
            "datasets.chained.of: 'named' is derived itself; name what it is derived from, 'digits', and",
            "datasets.moved.of: 'dgits' is not defined; did you mean 'digits'?",
        ],
    ),
    "a transfer to derived data": (
        lambda c: (
            c.update(datasets={"same": {"of": "digits", "size": 8}}, transfers={"away": {"dataset": "same"}}),
            c["experiments"].append(c["experiments"][0] | {"zoos": ["digits"], "transfers": ["away"]}),
        ),
        ["transfers.away.dataset: 'same' is derived from 'digits'; name that one, and set transfers."],
    ),
    "derived data in which nothing is changed": (
        lambda c: c.update(datasets={"same": {"of": "digits"}}),
        ["datasets.same: found no change; set size, change or classes"],
    ),
    "zoos of zoos that are none": (
        lambda c: (
            c["zoos"].update(
                both={"zoos": ["iris", "digts", "all", "iris"]},
                all={"zoos": ["iris", "digits"]},
            ),
            c["generators"].update(
                told={"kind": "flow", "condition": {"variable": "zoo"}},
                back={"kind": "joint", "zoo": "al", "generator": "tld"},
            ),
            c["experiments"].append(c["experiments"][0] | {"zoos": ["all"], "generators": ["told"]}),
        ),
        [
            "zoos.both.zoos: 'digts' is not defined; did you mean 'digits'?",
            "zoos.both.zoos: 'all' is itself a joint zoo; name its members",
            "zoos.both.zoos: 'iris' is named more than once; once is enough",
            "generators.back.zoo: 'al' is not defined; did you mean 'all'?",
            "generators.back.generator: 'tld' is not defined; did you mean 'told'?",
            "zoos: 'all' is a joint zoo, which has no data to evaluate all networks on; name",
        ],
    ),
    "zoos of one training set that do not fit": (
        lambda c: (
            c["zoos"].update(
                both={"zoos": ["iris", "deep"]},
                deep=c["zoos"]["iris"] | {"architecture": {"widths": [4, 9, 9, 3]}},
            ),
            c["generators"].update(
                told={"kind": "flow", "condition": {"variable": "zoo"}},
                back={"kind": "joint", "zoo": "both", "generator": "told"},
            ),
            c["experiments"].append(c["experiments"][0] | {"zoos": ["iris"], "generators": ["back"]}),
        ),
        [
            "zoos.both.zoos: zoos.iris.architecture and zoos.deep.architecture differ",
        ],
    ),
    "flows that know networks of one width": (
        lambda c: (
            c["zoos"].update(
                slim=c["zoos"]["iris"] | {"architecture": {"widths": [4, 9, 3]}},
                both={"zoos": ["iris", "slim"]},
            ),
            c["generators"].update(
                told={
                    "kind": "flow",
                    "condition": {"variable": "zoo"},
                    "source": "kaiming",
                    "sampling": {"samples": 200},
                    "velocity": {"network": "relational_transformer"},
                },
                back={"kind": "joint", "zoo": "both", "generator": "told"},
            ),
            c["experiments"].append(
                c["experiments"][0] | {"zoos": ["iris"], "generators": ["back"], "subspaces": ["raw"]}
            ),
            c["subspaces"].update(raw={"method": "none"}),
        ),
        [
            "generators.told.source: 'kaiming' needs networks of one width, but those of zoo 'both' differ: "
            "slim have fewer units than others; set source: 'standard'",
            "generators.told.velocity.network: 'relational_transformer' needs networks of one width",
        ],
    ),
    "networks of several zoos that are not made": (
        lambda c: (
            c["zoos"].update(
                named=c["zoos"]["iris"],
                both={"zoos": ["iris", "named"]},
            ),
            c["generators"].update(
                told={"kind": "flow", "condition": {"variable": "zoo"}, "sampling": {"samples": 9}},
                one={"kind": "flow", "condition": {"variable": "zoo"}, "sampling": {"zoo": "digits"}},
                few={"kind": "joint", "zoo": "both", "generator": "told", "sampling": {"samples": 5}},
                plain={"kind": "joint", "zoo": "both", "generator": "flow_narrow"},
                away={"kind": "joint", "zoo": "iris", "generator": "told"},
                other={"kind": "joint", "zoo": "both", "generator": "one"},
            ),
            c["experiments"].append(
                c["experiments"][0] | {"zoos": ["named"], "generators": ["few", "plain", "away", "other"]}
            ),
            c["experiments"].append(
                c["experiments"][0] | {"zoos": ["digits"], "generators": ["few", "told"]}
            ),
        ),
        [
            "generators.few.sampling.samples: found 5, but generators.told makes 4 for zoo 'named', 9 in all",
            "generators.plain.generator: 'flow_narrow' is not conditioned on the zoo",
            "generators.away.zoo: found 'iris', which has its own networks, expected a joint zoo",
            "generators.few.zoo: found 'both', which has ['iris', 'named'], expected a joint zoo with "
            "'digits' among them",
            "generators.one.sampling.zoo: 'digits' is not defined",
            "generators.told.condition.variable: 'zoo' distinguishes the networks of several zoos, "
            "but 'digits' is a single one",
        ],
    ),
    "zoos that are asked for in vain": (
        lambda c: (
            c["generators"]["flow_narrow"].update(condition={"variable": "loss"}, sampling={"zoo": "iris"}),
            c["generators"]["flow_matched"].update(
                condition={"variable": "zoo"}, sampling={"condition": "training"}
            ),
            c["generators"].update(
                first={"kind": "flow", "condition": {"variable": "zoo"}, "layers": "first"},
                steered={"kind": "flow", "condition": {"variable": "zoo"}, "sampling": {"guidance": {}}},
                back={"kind": "joint", "zoo": "b", "generator": "first", "sampling": {"seed": 3}},
            ),
        ),
        [
            "generators.flow_narrow: sampling.zoo: found 'iris', but the flow is conditioned on loss",
            "generators.flow_matched: sampling.condition: found 'training', but the flow is conditioned",
            "generators.steered: sampling.guidance: steers by the loss on one data set, but the flow",
            "generators.back: sampling.seed: found 3, but nothing is drawn here; set that of generator",
        ],
    ),
    "images missing": (
        lambda c: (
            c.update(datasets={"birds": {"train": "birds.parquet", "size": 2}}),
            c["zoos"]["iris"].update(dataset="birds"),
        ),
        ["datasets.birds.train: birds.parquet (relative to", "neither a folder nor a .parquet file"],
    ),
    "texts missing": (
        lambda c: (
            c.update(datasets={"reviews": {"train": "reviews.csv", "length": 8, "tokenizer": "own"}}),
            c["zoos"]["iris"].update(dataset="reviews"),
        ),
        [
            "datasets.reviews.train: reviews.csv (relative to",
            "is neither a .csv nor a .parquet file",
            "datasets.reviews.tokenizer: there is no folder own",
        ],
    ),
    "a transformer of texts for images": (
        lambda c: c["zoos"]["digits"].update(architecture={"kind": "bert", "length": 64}),
        ["zoos.digits.architecture: bert reads texts, but digits holds none"],
    ),
    "one output for classes": (
        lambda c: c["zoos"]["iris"].update(
            dataset={"file": __file__, "target": "x"}, architecture={"widths": [4, 1]}
        ),
        ["zoos.iris.architecture: one output predicts a number", "set `regression` for the data"],
    ),
    "many outputs and strange inputs for numbers": (
        lambda c: c["zoos"]["iris"].update(
            dataset={"file": __file__, "target": "x", "regression": {"high": 4}},
            out_of_distribution="shuffled",
        ),
        [
            "zoos.iris.out_of_distribution: needs the entropy of predicted classes",
            "zoos.iris.architecture: has 3 outputs, but the target is a number",
        ],
    ),
    "a range without numbers": (
        lambda c: c["zoos"]["iris"].update(
            dataset={"file": "x.csv", "target": "x", "regression": {"low": 4, "high": 4}}
        ),
        ["zoos.iris.dataset.regression: low (4.0) must be less than high (4.0)"],
    ),
    "spheres where nothing is scaled": (
        lambda c: (
            c["zoos"]["iris"].update(architecture={"widths": [4, 6, 3], "activation": "tanh"}),
            c["generators"]["flow_narrow"].update(geometry="geometric", sampling={"solver": "euler"}),
        ),
        [
            "generators.flow_narrow.geometry: 'geometric' scales units, but zoos.iris.architecture (tanh",
            "generators.flow_narrow.geometry: 'geometric' needs whole networks, but subspace 'pca_99'",
        ],
    ),
    "a solver that follows no geodesics": (
        lambda c: (
            c.update(subspaces={"pca_99": {"method": "none"}}),
            c["generators"]["flow_narrow"].update(geometry="geometric"),
            c["generators"]["flow_matched"].update(prediction="endpoint", sampling={"solver": "dopri5"}),
        ),
        [
            "generators.flow_narrow.sampling.solver: found 'rk4'",
            "generators.flow_matched.sampling.solver: found 'dopri5'",
            "use 'euler'",
        ],
    ),
    "a first layer that is no part of a subspace": (
        lambda c: c["generators"]["flow_narrow"].update(layers="first"),
        [
            "generators.flow_narrow.layers: 'first' needs whole networks, but subspace 'pca_99' reduces "
            "them; use a subspace of method 'none'"
        ],
    ),
    "tokens of what a subspace reduced": (
        lambda c: c["generators"].update(
            flow_narrow={"kind": "tokens", "training": {"validation_networks": 0.99}}
        ),
        [
            "generators.flow_narrow.training.validation_networks: 0.99 leaves",
            "generators.flow_narrow.kind: 'tokens' needs whole networks, but subspace 'pca_99' reduces them; "
            "use a subspace of method 'none'",
        ],
    ),
    "a first layer beside what needs all": (
        lambda c: c["generators"].update(
            flow_narrow={
                "kind": "flow",
                "layers": "first",
                "source": "kaiming",
                "sampling": {"later_scale": 0.5},
                "velocity": {"network": "relational_transformer"},
            },
            flow_matched={"kind": "flow", "layers": "first", "geometry": "normalized"},
        ),
        [
            "generators.flow_narrow: layers: 'first' models the first layer alone",
            "found source: 'kaiming' and velocity.network: 'relational_transformer' and "
            "sampling.later_scale: 0.5, which needs whole networks",
            "found geometry: 'normalized', which needs whole networks. Leave it out, or set layers: 'all'",
        ],
    ),
    "first weights of whole networks": (
        lambda c: c["generators"]["flow_narrow"].update(source="initialisation"),
        [
            "generators.flow_narrow: source: 'initialisation' starts every network's first layer",
            "found layers: 'all': set layers: 'first', or set source: 'standard'",
        ],
    ),
    "first weights that are coupled otherwise": (
        lambda c: (
            c["generators"]["flow_narrow"].update(source="initialisation", layers="first", likelihood={}),
            c["generators"]["flow_matched"].update(source="initialisation", layers="first", coupling="ot"),
        ),
        [
            "has no density; found likelihood: leave it out",
            "found coupling: 'ot': leave it out, or set source: 'standard'",
        ],
    ),
    "first weights that are not known": (
        lambda c: (
            c["zoos"].update(
                iris={
                    "import": ["x.pt"],
                    "dataset": "iris",
                    "architecture": c["zoos"]["iris"]["architecture"],
                }
            ),
            c["subspaces"].update(pca_99={"method": "none"}),
            c["generators"]["flow_narrow"].update(source="initialisation", layers="first"),
        ),
        [
            "generators.flow_narrow.source: 'initialisation' starts at networks' first weights, but zoo "
            "'iris' is imported, and its networks' are not known; use source: 'standard'"
        ],
    ),
    "units that are not known among weights": (
        lambda c: (
            c["zoos"]["iris"].update(
                architecture={"import": "mistaken_networks:SingleUnstated", "shape": [4], "classes": 3},
                initialisations=["default"],
            ),
            c["subspaces"].update(pca_99={"method": "none"}),
            c["generators"]["flow_narrow"].update(velocity={"network": "unit_transformer"}),
        ),
        ["generators.flow_narrow.velocity.network: 'unit_transformer' needs to know which weights"],
    ),
    "a data set named like a built-in one": (
        lambda c: c.update(datasets={"mnist": {"train": "birds", "size": 2}}),
        ["datasets.mnist: this name is reserved for the workflow; choose another"],
    ),
    "strange images of another size": (
        lambda c: c["zoos"]["digits"].update(out_of_distribution="mnist"),
        ["zoos.digits.out_of_distribution: the images of mnist are (1, 28, 28)", "are (1, 8, 8)"],
    ),
    "a table rotated": (
        lambda c: c["zoos"]["iris"].update(out_of_distribution="rotated"),
        ["zoos.iris.out_of_distribution: 'rotated' needs images", "use 'shuffled'"],
    ),
    "batch smaller than components": (
        lambda c: c["subspaces"].update(
            pca_99={"method": "incremental_pca", "components": 30, "batch_size": 20}
        ),
        ["subspaces.pca_99: components (30) must not exceed batch_size (20)"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_path_and_its_cure(mistake: str) -> None:
    change, fragments = MISTAKES[mistake]
    raw = default()
    change(raw)
    with pytest.raises(InputError) as caught:
        load_config(raw)
    for fragment in fragments:
        assert fragment in str(caught.value)


@pytest.mark.parametrize("source", ["standard", "initialisation"])
def test_units_among_responses_need_no_symmetry_of_the_weights(source: str) -> None:
    raw = small_config()
    raw["zoos"]["iris"]["architecture"] = {"import": "own_networks:plain", "shape": [4], "classes": 3}
    raw["representations"] = {"responses": {"kind": "responses", "probes": 20, "functions": 10}}
    raw["subspaces"] = {"pca": {"method": "none"}}
    raw["generators"]["flow"] = {
        "kind": "flow",
        "layers": "first",
        "source": source,
        "velocity": {"network": "unit_transformer"},
    }
    raw["experiments"][0] |= {"representations": ["responses"], "generators": ["flow"]}
    generator = load_config(raw).generators["flow"]
    paired = source == "initialisation"
    assert generator.encodes_networks is generator.reads_weights is paired


def test_weights_are_the_representation_unless_another_is_asked_for() -> None:
    raw = default()
    plain = {cell.representation for cell in load_config(raw).cells()}
    raw["representations"] = {
        "responses": {"kind": "responses", "functions": 20, "sweep": {"probes": [50, 100]}}
    }
    raw["experiments"][0] |= {"representations": ["weights", "responses"], "generators": ["gaussian"]}
    config = load_config(raw)
    assert plain == {"weights"}
    assert list(config.representations) == ["weights", "responses_probes_50", "responses_probes_100"]
    assert {cell.representation for cell in config.cells()} == set(config.representations)
    assert config.members["representations"]["responses_probes_50"].setting == {"probes": 50}


def test_all_mistakes_are_reported_at_once() -> None:
    raw = default()
    raw["zoos"]["iris"]["training"]["epocs"] = 3
    raw["subspaces"]["pca_99"]["components"] = "many"
    with pytest.raises(InputError, match="2 problems"):
        load_config(raw)


def test_definitions_that_no_experiment_uses_need_no_data() -> None:
    raw = default()
    table = {"file": "gone.csv", "target": "y"}
    raw["zoos"]["mine"] = {"dataset": table, "architecture": {"widths": [4, 2]}}
    assert isinstance(load_config(raw), WorkflowConfig)
