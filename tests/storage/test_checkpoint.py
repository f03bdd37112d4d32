"""Checkpoints are whole, rare enough, and used only by their own run."""

import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.checkpoint import Checkpoint, identity


def state(step: int = 3) -> dict[str, Any]:
    weights = torch.randn(5000, generator=torch.Generator().manual_seed(step))
    return {"step": step, "weights": weights, "rows": [{"step": 1, "loss": 0.5}], "cuda": None}


def saved(path: Path, run: str = "run") -> Path:
    Checkpoint(path, run, every=0).save_if_due(state)
    return path


def test_a_saved_state_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    loaded = Checkpoint(saved(tmp_path / "c"), "run").load()
    assert loaded is not None
    assert torch.equal(loaded.pop("weights"), state()["weights"])
    assert loaded == {"step": 3, "rows": [{"step": 1, "loss": 0.5}], "cuda": None}
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_without_a_file_there_is_no_state(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "c", "run").load() is None


def test_a_state_of_another_run_is_not_loaded(tmp_path: Path) -> None:
    assert Checkpoint(saved(tmp_path / "c", "run"), "another").load() is None


@pytest.mark.parametrize("sixteenths", range(16))
def test_a_truncated_file_is_ignored_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sixteenths: int
) -> None:
    path = saved(tmp_path / "c")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * sixteenths // 16])
    with caplog.at_level(logging.WARNING):
        assert Checkpoint(path, "run").load() is None
    assert f"{path} is damaged" in caplog.text


@pytest.mark.parametrize("sixteenths", range(16))
def test_a_flipped_bit_is_ignored_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sixteenths: int
) -> None:
    path = saved(tmp_path / "c")
    content = bytearray(path.read_bytes())
    content[len(content) * sixteenths // 16] ^= 1
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert Checkpoint(path, "run").load() is None
    assert f"{path} is damaged" in caplog.text


def test_a_file_of_something_else_is_ignored_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "c"
    path.write_bytes(b"hello world, no checkpoint at all")
    with caplog.at_level(logging.WARNING):
        assert Checkpoint(path, "run").load() is None
    assert f"{path} is damaged" in caplog.text


def test_a_state_is_saved_only_when_due(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", "run", every=3600)
    calls: list[int] = []

    def counted() -> dict[str, Any]:
        calls.append(1)
        return state()

    checkpoint.save_if_due(counted)
    assert calls == []
    assert not (tmp_path / "c").exists()
    checkpoint.every = 0
    checkpoint.save_if_due(counted)
    assert calls == [1]
    assert (tmp_path / "c").is_file()


def test_the_time_between_saves_counts_from_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("dwf_steps.storage.checkpoint.time.monotonic", lambda: now[0])
    checkpoint = Checkpoint(tmp_path / "c", "run", every=20)
    steps = []
    for seconds in (10, 19, 20, 25, 39, 41, 60, 61):
        now[0] = 100.0 + seconds
        checkpoint.save_if_due(lambda at=seconds: state(at))  # type: ignore[misc]
        found = Checkpoint(tmp_path / "c", "run").load()
        steps.append(found["step"] if found else None)
    assert steps == [None, None, 20, 20, 20, 41, 41, 61]


def test_a_later_state_replaces_the_earlier_one(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", "run", every=0)
    for step in (1, 2):
        checkpoint.save_if_due(lambda at=step: state(at))  # type: ignore[misc]
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded["step"] == 2


def test_a_failing_save_keeps_the_earlier_state(tmp_path: Path) -> None:
    def failing() -> dict[str, Any]:
        raise RuntimeError("out of memory")

    path = saved(tmp_path / "c")
    with pytest.raises(RuntimeError, match="out of memory"):
        Checkpoint(path, "run", every=0).save_if_due(failing)
    assert Checkpoint(path, "run").load() is not None


def test_on_sigterm_the_next_save_is_made_and_ends_the_process(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, Checkpoint(tmp_path / "c", "run", every=3600) as checkpoint:
        checkpoint.save_if_due(state)
        assert not (tmp_path / "c").exists()
        os.kill(os.getpid(), signal.SIGTERM)
        checkpoint.save_if_due(state)
    assert ended.value.code == 143
    assert Checkpoint(tmp_path / "c", "run").load() is not None
    assert signal.getsignal(signal.SIGTERM) == before


def test_sigterm_after_the_last_save_lets_the_work_end(tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "c", "run") as checkpoint:
        os.kill(os.getpid(), signal.SIGTERM)
    assert checkpoint.load() is None


def test_discarding_removes_the_file_and_may_be_repeated(tmp_path: Path) -> None:
    checkpoint = Checkpoint(saved(tmp_path / "c"), "run")
    checkpoint.discard()
    checkpoint.discard()
    assert not (tmp_path / "c").exists()


def test_identities_differ_when_any_part_differs() -> None:
    parts = [("a", "b"), ("a", "c"), ("b", "a"), ("ab",), ("a", "b", ""), ("", "ab"), ("a\x00", "b")]
    assert len({identity(*each) for each in parts}) == len(parts)
    assert identity("a", b"b") == identity("a", "b")


def test_a_disk_that_fills_up_is_named_and_the_last_state_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened = saved(tmp_path / "c"), Path.open

    def open_on_a_full_disk(self: Path, *args: Any) -> Any:
        # Linux's own disk that is always full.
        return opened(Path("/dev/full") if ".partial-" in str(self) else self, *args)

    monkeypatch.setattr(Path, "open", open_on_a_full_disk)
    with pytest.raises(InputError, match=rf"{path}: the disk is full \("):
        Checkpoint(path, "run", every=0).save_if_due(lambda: state(4))
    loaded = Checkpoint(path, "run").load()
    assert loaded is not None
    assert loaded["step"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
