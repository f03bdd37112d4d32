"""Outputs appear whole or not at all."""

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.arrays import save_arrays
from dwf_steps.storage.atomic import replacing, write_json
from dwf_steps.storage.checkpoint import Checkpoint
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.manifest import Network, write_shard
from dwf_steps.storage.matrix import Row, WeightMatrix

ROOT = Path(__file__).resolve().parents[2]


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


def test_the_partial_file_lies_in_a_folder_beside_the_final_one_and_has_its_name(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.npz") as partial:
        assert partial.parent.parent == tmp_path
        assert partial.name == "a.npz"
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
    for folder in ("a.npz.partial-01234567", "b.npz.partial-01234567"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "half").touch()
    with replacing(tmp_path / "a.npz") as partial:
        partial.touch()
    assert names(tmp_path) == ["a.npz", "b.npz.partial-01234567"]


def test_what_another_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    script = """
import sys; from pathlib import Path; from dwf_steps.storage.atomic import replacing
with replacing(Path(sys.argv[1])) as partial:
    partial.write_text("theirs")
    print(flush=True)
    sys.stdin.read()
"""
    path = tmp_path / "a.txt"
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with replacing(path) as partial:
            partial.write_text("ours")
        assert path.read_text() == "ours"
        assert len(names(tmp_path)) == 2
        other.communicate()
    assert other.returncode == 0
    assert path.read_text() == "theirs"
    assert names(tmp_path) == ["a.txt"]


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


class FullDisk(io.BytesIO):
    """A file on a disk with room for a hundred bytes."""

    def write(self, content: bytes) -> int:  # type: ignore[override]
        if self.tell() + len(content) > 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(content)


def test_a_full_disk_is_named_by_the_file_though_pytorch_says_something_else(tmp_path: Path) -> None:
    weights = {"weights": torch.zeros(1000)}
    with pytest.raises(RuntimeError, match="unexpected pos"):
        torch.save(weights, FullDisk())
    with pytest.raises(InputError, match=r"state\.pt: the disk is full \("), replacing(tmp_path / "state.pt"):
        torch.save(weights, FullDisk())
    assert names(tmp_path) == []


def test_an_error_that_has_another_reason_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="wrong weights"), replacing(tmp_path / "a.txt"):
        try:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise RuntimeError("wrong weights") from error


def write_matrix(path: Path) -> None:
    matrix = WeightMatrix.create(path, Layout.of({"w": (3,)}), [Row("a")], {}, buffers={"n": np.ones((1, 2))})
    matrix.array[:] = 1


def write_library_file(path: Path) -> None:
    with replacing(path) as partial:
        save_file({"w": torch.zeros(3)}, partial)
        assert partial.stat().st_mode & 0o777 == 0o600, "what this test is about"


def write_networks(path: Path) -> None:
    write_shard(path, path.with_suffix(".json"), [Network("a", {"w": np.zeros(3, np.float32)})], {})


WRITERS: dict[str, Callable[[Path], None]] = {
    "JSON": lambda path: write_json(path, {}),
    "arrays": lambda path: save_arrays(path, {"a": np.zeros(3)}),
    "checkpoint": lambda path: Checkpoint(path, "run", every=0).save_if_due(dict),
    "shard": write_networks,
    "matrix": write_matrix,
    "file of a library": write_library_file,
}


@pytest.fixture(params=[0o022, 0o027, 0o002], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("writer", WRITERS)
def test_files_and_folders_have_the_modes_that_the_umask_leaves(
    tmp_path: Path, umask: int, writer: str
) -> None:
    folder = tmp_path / "results"
    WRITERS[writer](folder / "output")
    paths = [folder, *folder.rglob("*")]
    assert len(paths) > 1
    for path in paths:
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~umask, path
