"""Networks that another tool made are judged as they are in their files, or every problem is named."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from small_config import small_config
from tiny_zoo import ARCHITECTURE, State, iris, random_networks, write_networks

from dwf_steps.config.generators.networks import NetworksConfig
from dwf_steps.make_networks import MakeNetworks, make_networks
from dwf_steps.pipeline.experiment import Experiment
from dwf_steps.pipeline.load import load_config
from dwf_steps.pipeline.paths import Paths
from dwf_steps.pipeline.sizes import Sizes
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest, sha256
from dwf_steps.storage.networks import load_state

NETWORKS = random_networks(5)


def save(folder: Path, networks: dict[str, State]) -> str:
    """Save networks as another tool's files, in which layers are called otherwise; return their pattern."""
    folder.mkdir(exist_ok=True)
    for name, state in networks.items():
        renamed = {key.replace("layers.", "fc"): torch.from_numpy(array) for key, array in state.items()}
        torch.save(renamed, folder / f"{name}.pt")
    return str(folder / "*.pt")


def settings(files: str, first: int, count: int, **more: Any) -> MakeNetworks:
    generator = {"kind": "networks", "files": files, "keys": {"fc0": "layers.0", "fc1": "layers.1"}}
    return MakeNetworks.model_validate(
        {
            "generator": generator | more,
            "architecture": ARCHITECTURE,
            "training": None,
            "initialisations": ["default"],
            "first": first,
            "count": count,
            "methods": ["git_rebasin"] if more.get("aligned") else [],
        }
    )


def made(folder: Path, networks: dict[str, State], first: int = 0, count: int = 5, **more: Any) -> Manifest:
    asked = settings(save(folder / "theirs", networks), first, count, **more)
    path, files = folder / f"shard-{first}.json", {}
    if asked.generator.canonicalized:
        reference = write_networks(folder / "reference.json", {"net-0": NETWORKS["net-0"]})
        files = {"data": iris(folder), "reference": reference}
    make_networks(asked, path.with_suffix(""), path, **files)
    return Manifest.read(path)


def test_shards_share_out_the_files_by_name_and_tell_where_each_network_comes_from(tmp_path: Path) -> None:
    shards = [made(tmp_path, NETWORKS, first, count) for first, count in ((0, 2), (2, 3))]
    records = [record for shard in shards for record in shard.networks]
    assert [record.name for record in records] == [f"sample-{i}" for i in range(5)]
    paths = [path for shard in shards for path in shard.verified_files()]
    for record, path, (name, state) in zip(records, paths, NETWORKS.items(), strict=True):
        source = tmp_path / f"theirs/{name}.pt"
        assert record.facts == {"file": str(source), "file_sha256": sha256(source)}
        for key, array in load_state(path).items():
            np.testing.assert_array_equal(array, state[key])


def test_there_are_as_many_as_files_match(tmp_path: Path) -> None:
    config = NetworksConfig(kind="networks", files=save(tmp_path / "theirs", NETWORKS))
    assert config.count == 5
    assert [path.stem for path in config.sources] == list(NETWORKS)
    with pytest.raises(ValueError, match="sampling: nothing is drawn"):
        NetworksConfig.model_validate({"kind": "networks", "files": "x", "sampling": {"samples": 3}})


def test_equal_networks_are_judged_and_those_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    networks = random_networks(4)
    networks["net-3"] = networks["net-0"]
    networks["net-1"]["layers.1.bias"][2] = np.nan
    manifest = made(tmp_path, networks, count=4, aligned=True)
    assert manifest.failed == ("sample-1",)
    assert [record.name for record in manifest.networks] == ["sample-0", "sample-2", "sample-3"]
    assert manifest.networks[0].sha256 == manifest.networks[2].sha256


def test_all_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    networks = random_networks(3)
    del networks["net-0"]["layers.1.bias"]
    networks["net-2"]["layers.0.weight"] = networks["net-2"]["layers.0.weight"][:4]
    with pytest.raises(
        InputError, match=r"(?s)net-0\.pt: .*missing .*net-2\.pt: layers\.0\.weight has shape"
    ):
        made(tmp_path, networks, count=3)
    assert not (tmp_path / "shard-0").exists()


@pytest.mark.parametrize("aligned", [True, False])
def test_networks_are_aligned_on_request_as_the_zoo_is(tmp_path: Path, aligned: bool) -> None:
    original, order = NETWORKS["net-0"], np.array([3, 0, 4, 1, 2])
    shuffled = {
        "layers.0.weight": original["layers.0.weight"][order],
        "layers.0.bias": original["layers.0.bias"][order],
        "layers.1.weight": original["layers.1.weight"][:, order],
        "layers.1.bias": original["layers.1.bias"],
    }
    manifest = made(tmp_path, {"net-0": shuffled}, count=1, aligned=aligned)
    found = load_state(manifest.verified_files()[0])
    for key, array in (original if aligned else shuffled).items():
        np.testing.assert_array_equal(found[key], array)


@pytest.mark.parametrize(
    ("settings_of_theirs", "message"),
    [
        ({"files": "nowhere/*.pt"}, "generators.theirs.files: no network file matches 'nowhere/*.pt'"),
        ({"files": "x", "sampling": {"samples": 5}}, "generators.theirs: sampling: nothing is drawn"),
        ({"files": "x", "key": {}}, "generators.theirs: unknown key 'key'; did you mean 'keys'?"),
        (
            {"files": "x", "rename": {"a": "{b}"}},
            "generators.theirs.rename: '{b}' has {b}, which 'a' does not have",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_work(
    settings_of_theirs: dict[str, Any], message: str
) -> None:
    raw = small_config()
    raw["generators"]["theirs"] = {"kind": "networks"} | settings_of_theirs
    raw["experiments"][0]["generators"] = ["theirs"]
    with pytest.raises(InputError, match=re.escape(message)):
        load_config(raw)


def test_jobs_share_out_the_files_that_they_read(tmp_path: Path) -> None:
    raw = small_config()
    raw["generators"]["theirs"] = {"kind": "networks", "files": save(tmp_path / "theirs", NETWORKS)}
    raw["experiments"][0]["generators"] = ["theirs"]
    experiment = Experiment(load_config(raw))
    paths, jobs = Paths(experiment), experiment.n_generated_shards(experiment.cells[0])
    wildcards = [SimpleNamespace(**experiment.cells[0]._asdict(), shard=str(job)) for job in range(jobs)]
    files = [file for names in wildcards for file in paths.made_files(names)]
    assert files == [str(tmp_path / f"theirs/{name}.pt") for name in NETWORKS]
    assert sum(MakeNetworks.of(experiment, names).count for names in wildcards) == 5
    assert all(MakeNetworks.work(Sizes(experiment, names)).held > 0 for names in wildcards)
