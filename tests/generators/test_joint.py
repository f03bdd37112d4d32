"""Networks that were made for one of several zoos are taken back to it, in order."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_zoo import ARCHITECTURE, random_networks, write_networks

from dwf_steps.generators.samples import ZOOS, Samples
from dwf_steps.make_networks import MakeNetworks, make_networks
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.manifest import Manifest
from dwf_steps.storage.networks import load_state

NETWORKS = {f"sample-{i}": state for i, state in enumerate(random_networks(6).values())}
ASKED = {name: "other" if i % 2 else "mine" for i, name in enumerate(NETWORKS)}


def write_made(folder: Path, failed: tuple[str, ...]) -> None:
    """Write what a generator made for two zoos in turn, in two shards."""
    for shard, names in enumerate((list(NETWORKS)[:3], list(NETWORKS)[3:])):
        states = {name: NETWORKS[name] for name in names if name not in failed}
        path = write_networks(folder / f"shard-{shard}.json", states, failed)
        facts = {ZOOS: {name: ASKED[name] for name in names}}
        replace(Manifest.read(path), facts=facts).write()


def taken(folder: Path, first: int, count: int, failed: tuple[str, ...] = ()) -> Manifest:
    settings = MakeNetworks.model_validate(
        {
            "generator": {"kind": "joint", "zoo": "both", "generator": "told"},
            "architecture": ARCHITECTURE,
            "training": None,
            "initialisations": ["default"],
            "first": first,
            "count": count,
            "zoo": "mine",
        }
    )
    path = folder / f"mine/shard-{first}.json"
    made = [folder / f"made/shard-{shard}.json" for shard in range(2)]
    if not made[0].exists():
        write_made(folder / "made", failed)
    make_networks(settings, path.with_suffix(""), path, made=made)
    return Manifest.read(path)


def test_shards_share_out_what_was_made_for_the_zoo(tmp_path: Path) -> None:
    shards = [taken(tmp_path, 0, 1), taken(tmp_path, 1, 2)]
    records = [record for shard in shards for record in shard.networks]
    assert [record.name for record in records] == ["sample-0", "sample-1", "sample-2"]
    made = [str(tmp_path / f"made/shard-{s}/sample-{i}.safetensors") for s, i in ((0, 0), (0, 2), (1, 4))]
    assert [record.facts["file"] for record in records] == made
    paths = [path for shard in shards for path in shard.verified_files()]
    for path, name in zip(paths, ("sample-0", "sample-2", "sample-4"), strict=True):
        for key, array in load_state(path).items():
            np.testing.assert_array_equal(array, NETWORKS[name][key])


@pytest.mark.parametrize("failed", [("sample-2",), ("sample-0", "sample-2", "sample-4")])
def test_samples_that_failed_are_counted(tmp_path: Path, failed: tuple[str, ...]) -> None:
    found = taken(tmp_path, 0, 3, failed)
    assert found.failed == tuple(f"sample-{int(name[-1]) // 2}" for name in failed)
    assert len(found.networks) == 3 - len(failed)


def test_networks_that_were_not_made_are_missed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found 3 networks for zoo 'mine', expected 4; lower sampling"):
        taken(tmp_path, 2, 2)


def test_candidates_of_a_network_are_asked_for_the_same_zoo_and_parts_keep_theirs() -> None:
    empty = np.empty((8, 0), np.float32)
    zoos = np.array(["mine", "mine", "other", "other"] * 2)
    samples = Samples(empty, empty, empty, candidates=2, zoos=zoos)
    assert samples.facts[ZOOS] == {name: ASKED[name] for name in list(NETWORKS)[:4]}
    part = samples.part(1, 2)
    assert part.facts[ZOOS] == {"sample-2": "mine", "sample-3": "other"}
    assert ZOOS not in Samples(empty, empty, empty).facts
