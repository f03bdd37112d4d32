"""Networks judged without the workflow have the values that the workflow's own functions find."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_zoo import ARCHITECTURE, State, iris, log_probabilities, random_networks, write_networks

import dwf_steps
from dwf_steps.cli.judge import judge, main
from dwf_steps.datasets.splits import Dataset
from dwf_steps.reporting.judgement import Judgement, shown
from dwf_steps.runtime.errors import InputError

ZOO = random_networks(8)
HIDDEN = ("layers.0.weight", "layers.0.bias")


def save(folder: Path, networks: dict[str, State]) -> Path:
    folder.mkdir()
    for name, state in networks.items():
        torch.save({key: torch.from_numpy(array) for key, array in state.items()}, folder / f"{name}.pt")
    return folder


def shuffled(state: State, seed: int) -> State:
    """Return a network with its hidden units in another order."""
    order = np.random.default_rng(seed).permutation(5)
    moved = {key: array[order] if key in HIDDEN else array for key, array in state.items()}
    return moved | {"layers.1.weight": state["layers.1.weight"][:, order]}


def judged(folder: Path, generated: dict[str, State], **more: Any) -> Judgement:
    zoo, made = save(folder / "zoo", ZOO), save(folder / "generated", generated)
    return judge(made, zoo, "iris", ARCHITECTURE, **more)


def distance(one: State, other: State) -> float:
    return float(np.sqrt(sum(np.square(one[key] - other[key]).sum() for key in one)))


def test_copies_in_another_order_are_found_to_be_copies(tmp_path: Path) -> None:
    copies = {f"copy-{i}": shuffled(state, i) for i, state in enumerate(list(ZOO.values())[:3])}
    found = judged(tmp_path, copies)
    rows = found.table.set_index("group")
    assert list(rows.index) == ["generated", "zoo"]
    assert rows.loc["generated", "realigned_distance_mean"] == pytest.approx(0, abs=1e-5)
    assert rows.loc["generated", "max_iou_mean"] == pytest.approx(1)
    assert rows.loc["generated", "layer"] == pytest.approx(0, abs=1e-5)
    assert found.verdict.endswith("it returns training networks.")


def test_accuracy_and_overlap_of_mistakes_are_those_computed_by_hand(tmp_path: Path) -> None:
    generated = random_networks(3, seed=1)
    found = judged(tmp_path, generated, realigned=0)
    test = Dataset.load(iris(tmp_path)).test
    right = {
        name: log_probabilities(state, test.inputs).argmax(axis=1) == test.targets
        for name, state in (generated | {f"zoo-{name}": state for name, state in ZOO.items()}).items()
    }
    own = found.networks[found.networks.group == "generated"]
    assert list(own.file) == [str(tmp_path / f"generated/{name}.pt") for name in generated]
    np.testing.assert_allclose(own.accuracy, [right[name].mean() for name in generated])
    overlaps = [
        max(
            (~right[name] & ~right[f"zoo-{other}"]).sum() / (~right[name] | ~right[f"zoo-{other}"]).sum()
            for other in ZOO
        )
        for name in generated
    ]
    np.testing.assert_allclose(own.max_iou, overlaps)
    assert own.realigned_distance.isna().all()


def test_the_zoo_is_judged_with_each_network_left_out(tmp_path: Path) -> None:
    found = judged(tmp_path, random_networks(2, seed=1), canonicalization=[])
    zoo = found.networks[found.networks.group == "zoo"].set_index("network")
    for name, state in ZOO.items():
        others = [distance(state, other) for key, other in ZOO.items() if key != name]
        assert zoo.nn_distance[name] == pytest.approx(min(others), rel=1e-5)
    assert found.table.set_index("group").dispersion["zoo"] == 1


@pytest.mark.parametrize("in_a_folder", [True, False])
def test_held_out_networks_are_the_last_or_those_of_a_folder(tmp_path: Path, in_a_folder: bool) -> None:
    """In a folder they may have names that the zoo's have too."""
    held_out: Any = 2
    if in_a_folder:
        held_out = save(tmp_path / "others", random_networks(2, seed=2))
    found = judged(tmp_path, random_networks(2, seed=1), held_out=held_out)
    counts = found.table.set_index("group")["count"]
    assert counts.to_dict() == {"generated": 2, "zoo": 8 if in_a_folder else 6, "held-out": 2}
    names = found.networks[found.networks.group == "held-out"].network
    assert list(names) == (["held-out-net-0", "held-out-net-1"] if in_a_folder else ["net-6", "net-7"])


def test_networks_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    generated = random_networks(3, seed=1)
    generated["net-1"]["layers.1.bias"][0] = np.inf
    found = judged(tmp_path, generated)
    assert found.table.failed.tolist() == [1, 0]
    own = found.networks[found.networks.group == "generated"]
    assert own.failed.tolist() == [False, True, False]
    assert found.table.accuracy_mean.notna().all()


def test_results_of_the_workflow_are_read_with_their_architecture_and_failures(tmp_path: Path) -> None:
    write_networks(tmp_path / "zoo/shard-0.json", ZOO)
    made = {f"sample-{i}": state for i, state in enumerate(random_networks(2, seed=1).values())}
    write_networks(tmp_path / "made/shard-0.json", made, failed=("sample-2",))
    found = judge(tmp_path / "made", tmp_path / "zoo", iris(tmp_path))
    assert found.table[["count", "failed"]].to_numpy().tolist() == [[3, 1], [8, 0]]


def test_the_command_prints_the_table_and_writes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo, made = save(tmp_path / "zoo", ZOO), save(tmp_path / "generated", random_networks(3, seed=1))
    csv, rows = tmp_path / "table.csv", tmp_path / "networks.csv"
    main(
        [
            *(str(made), "--zoo", str(zoo), "--data", "iris", "--architecture", "{widths: [4, 5, 3]}"),
            *("--held-out", "2", "--csv", str(csv), "--networks", str(rows)),
        ]
    )
    printed = capsys.readouterr().out
    table = pd.read_csv(csv)
    assert table.group.tolist() == ["generated", "zoo", "held-out"]
    assert len(pd.read_csv(rows)) == 11
    for mean in table.accuracy_mean:
        assert f"{100 * mean:.2f} ±" in printed
    assert "The generator scores" in printed
    assert "nan" not in printed


def test_networks_may_lie_in_lists_and_checkpoints(tmp_path: Path) -> None:
    """What a zoo's `import` reads, judging reads."""
    for name, networks in (("zoo", ZOO), ("made", random_networks(4, seed=1))):
        states = [{f"net.{key}": torch.from_numpy(v) for key, v in one.items()} for one in networks.values()]
        (tmp_path / name).mkdir()
        for part in range(len(states) // 2):
            torch.save(
                [{"model": one} for one in states[2 * part : 2 * part + 2]], tmp_path / f"{name}/{part}.pt"
            )
    files = {"state_dict": "model", "networks_per_file": 2, "keys": {"net": ""}}
    wrapped = judge(tmp_path / "made", tmp_path / "zoo", "iris", ARCHITECTURE, files=files)
    (tmp_path / "plain").mkdir()
    plain = judged(tmp_path / "plain", random_networks(4, seed=1))
    pd.testing.assert_frame_equal(wrapped.table, plain.table)
    assert wrapped.networks.file[1] == f"{tmp_path}/made/0.pt, network 1"


def test_networks_of_one_name_are_told_apart(tmp_path: Path) -> None:
    zoo = {f"sample-{i}": state for i, state in enumerate(ZOO.values())}
    paths = [save(tmp_path / name, some) for name, some in (("zoo", zoo), ("made", random_networks(2, 1)))]
    files = judge(paths[1], paths[0], "iris", ARCHITECTURE).networks.set_index(["group", "network"]).file
    assert files["zoo", "sample-1"] == str(tmp_path / "zoo/sample-1.pt")
    assert files["generated", "sample-1"] == str(tmp_path / "made/net-1.pt")


def test_one_network_has_no_spread(tmp_path: Path) -> None:
    found = judged(tmp_path, random_networks(1, seed=1))
    assert "nan" not in shown(found)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"architecture": {"widths": [4, 6, 3]}}, "layers.0.weight has shape"),
        ({"architecture": {"widths": "many"}}, "architecture.widths: found 'many'; expected a list"),
        ({"architecture": None}, "states no architecture"),
        ({"data": "irises"}, "'irises' is no data set"),
        ({"data": "wine"}, "the data have 13 features"),
        ({"held_out": 7}, "held_out: found 7, which leaves 1 of the zoo's networks, expected 2 at least"),
        ({"generated": "nothing/*.pt"}, "nothing/.*: no networks there"),
        ({"canonicalization": ["git_rebasing"]}, "canonicalization.0.method: found 'git_rebasing'"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    zoo, made = save(tmp_path / "zoo", ZOO), save(tmp_path / "generated", random_networks(2, seed=1))
    arguments = {"generated": made, "zoo": zoo, "data": "iris", "architecture": ARCHITECTURE} | more
    with pytest.raises(InputError, match=message):
        judge(**arguments)


def test_the_functions_are_the_packages_own() -> None:
    assert dwf_steps.judge is judge
    assert {"align", "export", "judge"} <= set(dwf_steps.__all__)
