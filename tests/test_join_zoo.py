"""The networks of several zoos as one: all of them, by zoo, and those that a zoo holds out at the end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_zoo import command, damage, random_networks, write_networks

from dwf_steps import join_zoo
from dwf_steps.config.zoo import JointZoo, TrainedZoo, n_training, network_names, reference_name
from dwf_steps.pipeline.settings.zoo import JoinZoo
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import TRAJECTORY, Manifest
from dwf_steps.storage.networks import load_state

HELD_OUT = [1, 2]


def write_zoos(folder: Path, checkpoints: int = 1) -> list[Path]:
    """Write a zoo of three networks and one of four, in two shards; or so many checkpoints of each."""
    paths, seed = [], 0
    for zoo, sizes in {"one": [3], "other": [2, 2]}.items():
        number = 0
        for shard, count in enumerate(sizes):
            states = list(random_networks(count * checkpoints, seed := seed + 1).values())
            names = [f"seed-{number + i}-checkpoint-{k}" for i in range(count) for k in range(checkpoints)]
            names = names if checkpoints > 1 else [f"seed-{number + i}" for i in range(count)]
            path = write_networks(folder / f"{zoo}/shard-{shard}.json", dict(zip(names, states, strict=True)))
            manifest = Manifest.read(path)
            records = [
                replace(record, facts={"validation_accuracy": 0.5} | trajectory_of(record.name, checkpoints))
                for record in manifest.networks
            ]
            replace(manifest, networks=tuple(records)).write()
            number += count
        paths.append(folder / zoo / f"shard-[0..{len(sizes) - 1}].json")
    return paths


def trajectory_of(name: str, checkpoints: int) -> dict[str, str]:
    return {TRAJECTORY: name.partition("-checkpoint")[0]} if checkpoints > 1 else {}


def config(checkpoints: int = 1, shard_size: int = 1000) -> JointZoo:
    """Return the same zoos as a configuration has them."""
    joint = JointZoo.model_validate({"zoos": ["one", "other"], "shard_size": shard_size})
    more = {"trajectory": {"checkpoints": checkpoints, "every": 1}} if checkpoints > 1 else {}
    for name, seeds, held_out in zip(("one", "other"), (3, 4), HELD_OUT, strict=True):
        zoo = {"dataset": "iris", "architecture": {"widths": [4, 5, 3]}, "seeds": seeds, "held_out": held_out}
        joint.members[name] = TrainedZoo.model_validate(zoo | more)
    return joint


def joined(
    folder: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch, first: int = 0, count: int = 7
) -> Manifest:
    settings = JoinZoo(zoos=["one", "other"], held_out=HELD_OUT, first=first, count=count)
    output = folder / f"joint-{first}"
    options: list[Any] = ["--settings", settings.to_argument(), "--members", *paths]
    command(
        monkeypatch, join_zoo.main, *options, "--output", output, "--manifest", output.with_suffix(".json")
    )
    return Manifest.read(output.with_suffix(".json"))


def test_networks_are_named_after_their_zoo_and_those_held_out_come_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, zoo = joined(tmp_path, write_zoos(tmp_path), monkeypatch), config()
    names = [record.name for record in found.networks]
    assert names == network_names(zoo)
    assert names[:4] == ["one.seed-0", "one.seed-1", "other.seed-0", "other.seed-1"]
    assert names[4:] == ["one.seed-2", "other.seed-2", "other.seed-3"]
    assert (zoo.held_out, n_training(zoo)) == (3, 4)
    assert reference_name(zoo, 2) == "other.seed-0"
    for record, path in zip(found.networks, found.verified_files(), strict=True):
        member, _, name = record.name.partition(".")
        shard = int(member == "other" and name in ("seed-2", "seed-3"))
        expected = load_state(tmp_path / f"{member}/shard-{shard}/{name}.safetensors")
        for key, array in load_state(path).items():
            np.testing.assert_array_equal(array, expected[key])
        assert record.facts == {"validation_accuracy": 0.5, "zoo": member}


@pytest.mark.parametrize("shard_size", [1, 3, 7])
def test_shards_share_the_networks_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard_size: int
) -> None:
    paths, zoo = write_zoos(tmp_path), config(shard_size=shard_size)
    parts = [zoo.shard(index) for index in range(zoo.n_shards)]
    shards = [joined(tmp_path, paths, monkeypatch, part.start, len(part)) for part in parts]
    assert [record.name for shard in shards for record in shard.networks] == network_names(zoo)


def test_checkpoints_stay_with_their_trajectory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, zoo = joined(tmp_path, write_zoos(tmp_path, 2), monkeypatch, 1, 3), config(2)
    assert [record.name for record in found.networks] == network_names(zoo)[2:8]
    assert list(dict.fromkeys(record.trajectory for record in found.networks)) == zoo.trajectories()[1:4]
    assert zoo.trajectories()[1:4] == ["one.seed-1", "other.seed-0", "other.seed-1"]
    assert reference_name(zoo, 2) == "other.seed-0-checkpoint-1"


def test_files_take_no_space_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_zoos(tmp_path)
    found = joined(tmp_path, paths, monkeypatch)
    assert found.file(found.networks[0]).samefile(tmp_path / "one/shard-0/seed-0.safetensors")

    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(join_zoo.os, "link", refuse)
    copied = joined(tmp_path, paths, monkeypatch)
    assert not copied.file(copied.networks[0]).samefile(tmp_path / "one/shard-0/seed-0.safetensors")
    assert copied.networks == found.networks


def test_a_file_that_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_zoos(tmp_path)
    damage(tmp_path / "other/shard-1/seed-2.safetensors")
    with pytest.raises(InputError, match=r"other/shard-1/seed-2\.safetensors: SHA-256 is"):
        joined(tmp_path, paths, monkeypatch)
