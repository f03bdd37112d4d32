"""Outputs appear whole or not at all."""

import json
from pathlib import Path

import pytest

from dwf_steps.storage.atomic import replacing, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_while_writing(path: Path, directory: bool = False) -> None:
    with replacing(path) as partial:
        if directory:
            partial.mkdir()
            (partial / "half").write_text("half")
        else:
            partial.write_text("half")
        raise RuntimeError("killed")


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "still" / "a.txt"
    with replacing(path) as partial:
        partial.write_text("half")
        assert not path.exists()
        partial.write_text("whole")
    assert path.read_text() == "whole"
    assert names(path.parent) == ["a.txt"]


def test_the_partial_file_lies_beside_the_final_one_and_keeps_its_suffix(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.npz") as partial:
        assert partial.parent == tmp_path
        assert partial.suffix == ".npz"
        assert partial.name != "a.npz"
        partial.touch()


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_failure_leaves_the_old_file_and_no_partial_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="killed"):
        fail_while_writing(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_failure_leaves_nothing_where_nothing_was(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        fail_while_writing(tmp_path / "a.txt")
    assert names(tmp_path) == []


def test_a_directory_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    path.mkdir()
    (path / "old").touch()
    with replacing(path) as partial:
        partial.mkdir()
        (partial / "new").touch()
        assert names(path) == ["old"]
    assert names(path) == ["new"]
    assert names(tmp_path) == ["shard"]


def test_a_failure_leaves_the_old_directory_and_no_partial_one(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(RuntimeError, match="killed"):
        fail_while_writing(path, directory=True)
    assert names(path) == ["old"]
    assert names(tmp_path) == ["shard"]


def test_writing_nothing_fails_and_leaves_the_old_directory(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert names(path) == ["old"]


def test_what_a_killed_process_left_behind_is_removed(tmp_path: Path) -> None:
    (tmp_path / "a.npz.partial-01234567.npz").write_text("half")
    (tmp_path / "a.npz.partial-89abcdef.npz").mkdir()
    (tmp_path / "a.npz.partial-89abcdef.npz" / "half").touch()
    (tmp_path / "b.npz.partial-01234567.npz").write_text("another output's")
    with replacing(tmp_path / "a.npz") as partial:
        partial.touch()
    assert names(tmp_path) == ["a.npz", "b.npz.partial-01234567.npz"]


def test_a_partial_directory_left_by_a_killed_process_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    with replacing(path) as partial:
        partial.mkdir()
    partial.mkdir()
    with replacing(path) as fresh:
        assert not partial.exists()
        fresh.mkdir()
    assert names(tmp_path) == ["a.zarr"]


def test_json_is_written_whole(tmp_path: Path) -> None:
    value = {"networks": [{"name": "seed-0", "score": 0.1}], "none": None}
    write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_text()) == value


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", [1])
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {1, 2})
    assert json.loads((tmp_path / "a.json").read_text()) == [1]
    assert names(tmp_path) == ["a.json"]
