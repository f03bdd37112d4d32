"""TensorBoard shows the rows of training.csv, of fits at work too; it changes no results."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bases import basis_of
from tiny_zoo import flat, random_networks, stack

from dwf_steps import fit_generator as step
from dwf_steps.cli import tensorboard
from dwf_steps.cli.tensorboard import Mirror, main
from dwf_steps.pipeline.settings.generate import FitGenerator
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.csv_tables import read_csv, write_csv

NETWORKS = random_networks(8)
ROWS = np.stack([flat(state) for state in NETWORKS.values()]).astype(float)
TRAINING = {"steps": 40, "batch_size": 8}
VELOCITY = {"width": 16, "time_embedding": 8}
FLOW = {"kind": "flow", "source_std": 0.1, "velocity": VELOCITY, "training": TRAINING}
LEFT_OUT = FLOW | {"training": TRAINING | {"validation_networks": 0.25}}
AUTOENCODER = {"kind": "autoencoder", "latent": 2, "hidden": [], "training": TRAINING}
KINDS: dict[str, dict[str, Any]] = {
    "flow": FLOW,
    "left_out": LEFT_OUT,
    "diffusion": {"kind": "diffusion", "denoiser": VELOCITY, "training": TRAINING},
    "codes_gaussian": AUTOENCODER | {"model": {"kind": "gaussian"}},
    "codes_flow": AUTOENCODER | {"model": FLOW},
}
PLACE = "mnist/git_rebasin/weights/pca_3/flow"

Event = tuple[str, int, float]


class Recorder:
    """Keeps what a `SummaryWriter` would write, by folder."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = {}
        self.purged: list[int] = []

    def __call__(self, log_dir: str, *, purge_step: int | None) -> "Recorder":
        self._current = self.events.setdefault(log_dir, [])
        self.purged += [] if purge_step is None else [purge_step]
        return self

    def add_scalar(self, tag: str, scalar_value: float, global_step: int, walltime: float) -> None:
        assert walltime > 0
        self._current.append((tag, global_step, scalar_value))

    def close(self) -> None:
        pass


def fit(folder: Path, kind: str = "flow", interrupt: pytest.MonkeyPatch | None = None) -> Path:
    """Fit a generator in its folder of results; interrupted, it leaves its last checkpoint only."""
    place = folder / "results" / PLACE
    place.mkdir(parents=True, exist_ok=True)
    if not (folder / "weights.zarr").exists():
        stack(folder, NETWORKS)
        basis_of(ROWS, 3).save(folder / "basis.npz")
    settings = FitGenerator.model_validate({"generator": KINDS[kind]})
    files = (
        folder / "basis.npz",
        folder / "weights.zarr",
        place / "model.safetensors",
        place / "training.csv",
    )
    if interrupt is None:
        step.fit_generator(settings, *files)
        return place
    with interrupt.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(step, "write_csv", raising(KeyboardInterrupt))
        step.fit_generator(settings, *files, checkpoint_seconds=0)
    return place


def raising(error: type[BaseException]) -> Callable[..., None]:
    def function(*_: object) -> None:
        raise error

    return function


def in_csv(place: Path) -> list[Event]:
    """Return every number of training.csv but steps, with the phase before the column's name."""
    columns = ("train", "validation", "lr")
    return [
        (f"{row.phase}/{name}" if hasattr(row, "phase") else name, row.step, getattr(row, name))
        for row in read_csv(place / "training.csv").itertuples()
        for name in columns
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_at_work_is_shown_and_its_end_adds_what_is_new(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, writer = fit(tmp_path, kind, monkeypatch), Recorder()
    assert {path.name for path in place.iterdir()} == {"model.checkpoint"}
    mirror = Mirror(tmp_path / "results", tmp_path / "logs", writer)
    assert mirror.update() > 0
    (shown,) = writer.events.values()
    fit(tmp_path, kind)
    table = read_csv(place / "training.csv")
    assert Mirror(tmp_path / "results", tmp_path / "logs", writer).update() == 0
    assert {*writer.events} == {str(tmp_path / "logs" / PLACE)} and writer.purged == []
    assert shown == [pytest.approx(event) for event in in_csv(place)]
    assert "phase" not in table or table.step.is_monotonic_increasing


def test_only_new_rows_are_written_and_results_keep_every_byte(tmp_path: Path) -> None:
    place, writer = fit(tmp_path), Recorder()
    table, results = read_csv(place / "training.csv"), tmp_path / "results"
    write_csv(place / "training.csv", table[:30])
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    assert Mirror(results, tmp_path / "logs", writer).update() == 30
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before
    write_csv(place / "training.csv", table)
    mirror = Mirror(results, tmp_path / "logs", writer)
    assert [mirror.update(), mirror.update()] == [len(table) - 30, 0]
    (shown,) = writer.events.values()
    assert (shown, writer.purged) == (in_csv(place), [])


def test_rows_of_another_fit_hide_those_that_they_replace(tmp_path: Path) -> None:
    place, writer = fit(tmp_path), Recorder()
    table, mirror = read_csv(place / "training.csv"), Mirror(tmp_path / "results", tmp_path / "logs", writer)
    mirror.update()
    shown = writer.events[str(tmp_path / "logs" / PLACE)]
    shown.clear()
    table.loc[25:, "train"] += 1
    write_csv(place / "training.csv", table)
    assert mirror.update() == len(table) - 25
    assert (shown, writer.purged) == (in_csv(place)[3 * 25 :], [table.step[25]])
    write_csv(place / "training.csv", table[:20])
    assert mirror.update() == 0 and writer.purged[1:] == [table.step[20]]


def test_numbers_alone_are_curves(tmp_path: Path) -> None:
    place, writer = tmp_path / "results" / PLACE, Recorder()
    place.mkdir(parents=True)
    place.joinpath("zoo.csv").write_text("no fit")
    table = {
        "step": [1, 2],
        "train": [0.5, np.nan],
        "note": ["a", "b"],
        "count": [3, 4],
        "kept": [False, True],
    }
    write_csv(place / "training.csv", pd.DataFrame(table))
    assert Mirror(tmp_path / "results", tmp_path / "logs", writer).update() == 2
    assert [*writer.events.values()] == [[("train", 1, 0.5), ("count", 1, 3), ("count", 2, 4)]]


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the package `tensorboard` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    place, arguments = fit(tmp_path), [str(tmp_path / "results"), "--logdir", str(tmp_path / "logs")]
    table = read_csv(place / "training.csv")
    main(arguments)
    table.loc[25:, "validation"] *= 2
    write_csv(place / "training.csv", table)
    main(arguments)
    events = EventAccumulator(str(tmp_path / "logs" / PLACE)).Reload()
    assert sorted(events.Tags()["scalars"]) == ["lr", "train", "validation"]
    for name in ("lr", "train", "validation"):
        shown = events.Scalars(name)
        assert [event.step for event in shown] == table.step.tolist()
        np.testing.assert_allclose([event.value for event in shown], table[name], rtol=1e-6)


def test_watching_adds_rows_until_it_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results").mkdir()
    writer, waits = Recorder(), []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt
        fit(tmp_path)

    monkeypatch.setattr(tensorboard, "summary_writer", lambda: writer)
    monkeypatch.setattr(tensorboard.time, "sleep", sleep)
    main([str(tmp_path / "results"), "--logdir", str(tmp_path / "logs"), "--watch", "7"])
    assert waits == [7, 7]
    assert [*writer.events.values()] == [in_csv(tmp_path / "results" / PLACE)]


def test_what_cannot_be_mirrored_is_said_with_a_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, logs = tmp_path / "results", tmp_path / "logs"
    with pytest.raises(InputError, match="results: no such folder"):
        Mirror(results, logs, Recorder())
    results.mkdir()
    with pytest.raises(InputError, match=r"--logdir .*lies in the results; expected a folder outside"):
        Mirror(results, results / "logs", Recorder())
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InputError, match=r"pip install '\.\[tensorboard\]'"):
        main([str(results), "--logdir", str(logs)])
    monkeypatch.setattr(tensorboard, "summary_writer", Recorder)
    with pytest.raises(InputError, match=r"no training\.csv in it; fit a generator first"):
        main([str(results), "--logdir", str(logs)])
    for seconds in ("0", "soon"):
        with pytest.raises(SystemExit):
            main([str(results), "--logdir", str(logs), "--watch", seconds])
