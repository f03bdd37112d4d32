"""Exported networks are those that were there, and can be imported, judged and loaded again."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from small_config import small_config
from tiny_zoo import ARCHITECTURE, iris, random_networks, write_networks

from dwf_steps.cli.export import export, main
from dwf_steps.cli.judge import judge
from dwf_steps.config.generators.networks import NetworksConfig
from dwf_steps.config.imported_networks import files_in_order, imported_networks
from dwf_steps.config.zoo import ImportedZoo
from dwf_steps.import_zoo import ImportZoo, import_zoo
from dwf_steps.pipeline.experiment import Experiment
from dwf_steps.pipeline.load import load_config
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest, Record
from dwf_steps.storage.networks import load_state, save_network
from dwf_steps.zoo.stored import find_networks

NETWORKS = random_networks(5)


def results(folder: Path, trajectories: bool = False) -> Path:
    """Write networks as a zoo of the workflow's, with what is known of each."""
    manifest = Manifest.read(write_networks(folder / "results/mine/zoo/shard-0.json", NETWORKS))
    facts = [{"seed": i // 2, "test_accuracy": 0.9 + i / 100, "epochs": 5.5} for i in range(5)]
    if trajectories:
        facts = [known | {"trajectory": f"seed-{i // 2}"} for i, known in enumerate(facts)]
    records = [Record(r.name, r.sha256, f) for r, f in zip(manifest.networks, facts, strict=True)]
    Manifest(manifest.path, tuple(records)).write()
    return manifest.path.parent


def test_an_exported_zoo_is_imported_to_the_last_bit(tmp_path: Path) -> None:
    exported = tmp_path / "exported"
    export(results(tmp_path), exported, per_shard=2)
    zoo = ImportedZoo.model_validate(
        {"import": str(exported), "dataset": "iris", "architecture": ARCHITECTURE}
    )
    assert zoo.names() == list(NETWORKS)
    shard = ImportZoo.model_validate(
        {"architecture": ARCHITECTURE, "files": str(exported), "first": 1, "count": 3}
    )
    import_zoo(shard, iris(tmp_path), tmp_path / "shard-0", tmp_path / "shard-0.json")
    manifest = Manifest.read(tmp_path / "shard-0.json")
    assert [record.name for record in manifest.networks] == ["net-1", "net-2", "net-3"]
    for record, path in zip(manifest.networks, manifest.verified_files(), strict=True):
        for key, array in load_state(path).items():
            np.testing.assert_array_equal(array, NETWORKS[record.name][key])


def test_networks_are_imported_in_the_order_in_which_they_were_exported(tmp_path: Path) -> None:
    """By name `net-10` would come before `net-2`, and others would be held out."""
    names = [f"net-{i}" for i in range(12)]
    write_networks(tmp_path / "zoo/shard-0.json", dict(zip(names, random_networks(12).values(), strict=True)))
    export(tmp_path / "zoo", tmp_path / "exported", per_shard=5)
    assert [network.name for network in imported_networks(str(tmp_path / "exported"), None)] == names


def test_what_is_known_of_networks_is_in_the_table_and_read_back(tmp_path: Path) -> None:
    export(results(tmp_path, trajectories=True), tmp_path / "exported", per_shard=3)
    table = pd.read_csv(tmp_path / "exported/networks.csv")
    assert table.network.tolist() == list(NETWORKS)
    assert table.shard.tolist() == [f"networks-0000{i}-of-00002.safetensors" for i in (0, 0, 0, 1, 1)]
    assert table.test_accuracy.tolist() == pytest.approx([0.9, 0.91, 0.92, 0.93, 0.94])
    found = find_networks(tmp_path / "exported").networks
    assert [network.trajectory for network in found] == ["seed-0", "seed-0", "seed-1", "seed-1", "seed-2"]
    made = judge(tmp_path / "exported", tmp_path / "exported", "iris", realigned=5).networks
    zoo = made[made.group == "zoo"].set_index("network")
    rows = {
        name: np.concatenate([state[key].ravel() for key in sorted(state)])
        for name, state in NETWORKS.items()
    }
    assert zoo.realigned_distance["net-0"] <= min(
        np.linalg.norm(rows["net-0"] - rows[f"net-{other}"]) for other in (2, 3, 4)
    )
    assert (made[made.group == "generated"].realigned_distance < 1e-5).all()


def test_the_card_has_the_hubs_front_matter_and_says_what_the_networks_are(tmp_path: Path) -> None:
    recipe = tmp_path / "experiment.yaml"
    recipe.write_text("zoos:\n  mine: {seeds: 3}\n")
    export(results(tmp_path), tmp_path / "exported", licence="mit", title="Irises", recipe=recipe)
    card = (tmp_path / "exported/README.md").read_text()
    front, text = re.fullmatch(r"---\n(.*?)---\n(.*)", card, re.S).groups()  # type: ignore[union-attr]
    matter = yaml.safe_load(front)
    assert (matter["license"], matter["pretty_name"], matter["size_categories"]) == (
        "mit",
        "Irises",
        ["n<1K"],
    )
    assert matter["configs"] == [{"config_name": "default", "data_files": "networks.csv"}]
    architecture, recipe_block = re.findall(r"```yaml\n(.*?)```", text, re.S)
    assert yaml.safe_load(architecture)["widths"] == ARCHITECTURE["widths"]
    assert yaml.safe_load(recipe_block) == {"zoos": {"mine": {"seeds": 3}}}
    assert "- test accuracy: 92.00 % on average (standard deviation 1.41, from 90.00 to 94.00)" in text
    assert "Seeds 0 to 2" in text
    assert "Exported from `results/mine/zoo`" in text


def test_the_cards_lines_load_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(results(tmp_path), tmp_path / "exported", per_shard=2)
    card = (tmp_path / "exported/README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.S)
    assert len(code.splitlines()) <= 10
    monkeypatch.chdir(tmp_path / "exported")
    names: dict = {}
    exec(code, names)
    assert names["state"].keys() == NETWORKS["net-0"].keys()
    for key, value in names["state"].items():
        np.testing.assert_array_equal(value.numpy(), NETWORKS["net-0"][key])


def test_what_the_workflow_measured_of_generated_networks_is_exported(tmp_path: Path) -> None:
    made = {f"sample-{i}": state for i, state in enumerate(NETWORKS.values())}
    folder = tmp_path / "results/mine/flow/networks"
    write_networks(folder / "shard-0.json", made, failed=("sample-5",))
    (tmp_path / "results/mine/flow/none").mkdir()
    measured = pd.DataFrame(
        {"network": [*made, "sample-5"], "accuracy": [0.5] * 5 + [np.nan], "nearest": ["net-1"] * 5 + [None]}
    )
    measured.to_csv(tmp_path / "results/mine/flow/none/metrics.csv", index=False)
    table = export(folder, tmp_path / "exported")
    assert table.accuracy.tolist() == [0.5] * 5
    assert set(table.origin) == {"mine/flow/networks"}
    assert table.nearest.tolist() == ["net-1"] * 5
    card = (tmp_path / "exported/README.md").read_text()
    assert "- accuracy: 50.00 % on average" in card
    assert "1 more networks failed when they were generated" in card


def test_nothing_is_overwritten_and_broken_networks_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(results(tmp_path)), "-o", str(tmp_path / "exported"), "--licence", "cc-by-4.0"])
    assert "wrote 5 networks in 1 shards" in capsys.readouterr().out
    with pytest.raises(InputError, match="exported: exists already"):
        export(tmp_path / "exported", tmp_path / "exported")
    broken = random_networks(2)
    broken["net-1"]["layers.0.bias"][0] = np.nan
    write_networks(tmp_path / "broken/shard-0.json", broken)
    with pytest.raises(InputError, match=r"net-1\.safetensors: weights that are NaN"):
        export(tmp_path / "broken", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_paths_tell_seeds_and_epochs_and_are_not_published(tmp_path: Path) -> None:
    for seed in (3, 4):
        for epoch in (1, 2):
            path = tmp_path / f"runs/{seed}/{epoch}.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_network(path, NETWORKS[f"net-{2 * (seed - 3) + epoch - 1}"], {"widths": [4, 5, 3]})
    table = export(str(tmp_path / "runs/{seed}/{epoch}.safetensors"), tmp_path / "exported")
    assert table[["seed", "trajectory", "epochs"]].to_numpy().tolist() == [
        [seed, f"seed-{seed}", epoch] for seed in (3, 4) for epoch in (1, 2)
    ]
    assert "file" not in table
    assert "checkpoints of 2 trainings" in (tmp_path / "exported/README.md").read_text()


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    export(results(tmp_path), tmp_path / "exported")
    shard = tmp_path / "exported/networks-00000-of-00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(
        InputError, match=r"networks-00000-of-00001\.safetensors: not a readable network file"
    ):
        judge(tmp_path / "exported", tmp_path / "exported", "iris", ARCHITECTURE)


def test_rules_read_each_shard_once(tmp_path: Path) -> None:
    export(results(tmp_path), tmp_path / "exported", per_shard=2)
    shards = sorted((tmp_path / "exported").glob("*.safetensors"))
    networks = imported_networks(str(tmp_path / "exported"), None)
    assert files_in_order(networks) == shards
    assert files_in_order(networks[1:3]) == shards[:2]
    theirs = NetworksConfig(kind="networks", files=str(tmp_path / "exported"))
    assert theirs.count == 5
    assert list(dict.fromkeys(theirs.sources)) == shards


def test_checkpoints_are_imported_as_those_of_their_trainings(tmp_path: Path) -> None:
    export(results(tmp_path, trajectories=True), tmp_path / "exported", per_shard=2)
    zoo = ImportedZoo.model_validate(
        {"import": str(tmp_path / "exported"), "dataset": "iris", "architecture": ARCHITECTURE}
    )
    assert zoo.trajectory_sizes() == {"seed-0": 2, "seed-1": 2, "seed-2": 1}
    shard = ImportZoo.model_validate(
        {"architecture": ARCHITECTURE, "files": str(tmp_path / "exported"), "first": 2, "count": 3}
    )
    import_zoo(shard, iris(tmp_path), tmp_path / "shard-0", tmp_path / "shard-0.json")
    known = [record.facts for record in Manifest.read(tmp_path / "shard-0.json").networks]
    assert [facts["trajectory"] for facts in known] == ["seed-1", "seed-1", "seed-2"]
    assert [(facts["seed"], facts["epochs"]) for facts in known] == [(1, 5.5), (1, 5.5), (2, 5.5)]


def facts_imported_from(exported: Path, folder: Path, **more: Any) -> list[dict[str, Any]]:
    """Return what the manifest of a zoo says that is imported from an exported folder."""
    shard = {"architecture": ARCHITECTURE, "files": str(exported), "first": 0, "count": 5} | more
    import_zoo(ImportZoo.model_validate(shard), iris(folder), folder / "shard-0", folder / "shard-0.json")
    return [dict(record.facts) for record in Manifest.read(folder / "shard-0.json").networks]


def test_seeds_and_accuracies_of_trained_networks_come_back(tmp_path: Path) -> None:
    exported = tmp_path / "exported"
    export(results(tmp_path), exported, per_shard=2)
    known = facts_imported_from(exported, tmp_path)
    assert [facts["seed"] for facts in known] == [0, 0, 1, 1, 2]
    assert [facts["recorded_accuracy"] for facts in known] == pytest.approx([0.9, 0.91, 0.92, 0.93, 0.94])
    assert all(facts["epochs"] == 5.5 and facts["origin"] == "mine/zoo" for facts in known)
    assert all("trajectory" not in facts for facts in known)

    again = tmp_path / "again"
    (again / "results/theirs").mkdir(parents=True)
    (tmp_path / "shard-0").rename(again / "results/theirs/shard-0")
    (tmp_path / "shard-0.json").rename(again / "results/theirs/shard-0.json")
    table = export(again / "results/theirs", tmp_path / "twice")
    assert table.seed.tolist() == [0, 0, 1, 1, 2] and set(table.origin) == {"mine/zoo"}


def test_accuracies_and_lineage_of_generated_networks_come_back(tmp_path: Path) -> None:
    made = {f"sample-{i}": state for i, state in enumerate(NETWORKS.values())}
    folder = tmp_path / "results/mine/flow/networks"
    write_networks(folder / "shard-0.json", made)
    (folder.parent / "none").mkdir()
    measured = pd.DataFrame({"network": list(made), "accuracy": [0.5, 0.6, 0.7, 0.8, 0.9], "nearest": "007"})
    measured.to_csv(folder.parent / "none/metrics.csv", index=False)
    export(folder, tmp_path / "exported", per_shard=3)
    known = facts_imported_from(tmp_path / "exported", tmp_path)
    assert [facts["recorded_accuracy"] for facts in known] == [0.5, 0.6, 0.7, 0.8, 0.9]
    lineage = {"nearest": "007", "origin": "mine/flow/networks"}
    assert all(lineage.items() <= facts.items() for facts in known)


def test_what_is_recorded_elsewhere_counts_before_the_table(tmp_path: Path) -> None:
    export(results(tmp_path), tmp_path / "exported")
    own = pd.DataFrame({"name": list(NETWORKS), "score": [0.1, 0.2, 0.3, 0.4, 0.5]})
    own.to_csv(tmp_path / "own.csv", index=False)
    recorded = {"file": str(tmp_path / "own.csv"), "accuracy": "score"}
    known = facts_imported_from(tmp_path / "exported", tmp_path, recorded=recorded)
    assert [facts["recorded_accuracy"] for facts in known] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert [facts["seed"] for facts in known] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network,seed\nnet-0,x\n", r"networks\.csv: the row of net-0: seed is 'x', expected a number"),
        ("network,accuracy\nnet-0,1.5\n", r"the row of net-0: accuracy is 1\.5, expected 0 to 1; correct"),
        ('network,seed\n"net-0,1\n', r"networks\.csv: not a csv table .*; export the networks again"),
    ],
)
def test_a_table_that_was_spoiled_is_named(tmp_path: Path, text: str, message: str) -> None:
    export(results(tmp_path), tmp_path / "exported")
    (tmp_path / "exported/networks.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        facts_imported_from(tmp_path / "exported", tmp_path)


def test_without_its_table_an_exported_folder_is_imported_all_the_same(tmp_path: Path) -> None:
    export(results(tmp_path), tmp_path / "exported")
    (tmp_path / "exported/networks.csv").unlink()
    assert all("seed" not in facts for facts in facts_imported_from(tmp_path / "exported", tmp_path))


def test_a_changed_table_imports_again(tmp_path: Path) -> None:
    export(results(tmp_path), tmp_path / "exported", per_shard=2)
    config = small_config()
    config["zoos"]["iris"] = {
        "import": str(tmp_path / "exported"),
        "dataset": "iris",
        "architecture": ARCHITECTURE,
    }
    files = Experiment(load_config(config)).imported_files(SimpleNamespace(zoo="iris", shard="0"))
    assert tmp_path / "exported/networks.csv" in files and len(files) == 4
