"""What a person sees of a long loop."""

import io
import logging
import re
import sys
import time

import pytest

from dwf_steps.runtime.progress import PAUSE, Progress, duration, progress


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def run(total: int | None, seconds_each: float, steps: int, done: int = 0) -> None:
    clock = Clock()
    with Progress("step", total, done, clock=clock) as report:
        for _ in range(steps):
            clock.now += seconds_each
            report.advance()


def test_lines_say_count_facts_rate_and_remaining_time(lines: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with Progress("step", 100, clock=clock) as report:
        for i in range(100):
            clock.now += 2
            report.facts["loss"] = 1 / (i + 1)
            report.facts["epoch"] = "1/1"
            report.advance()
    assert lines.messages[0] == "step 1/100, loss 1, epoch 1/1, 2 s each, 3 min to go"
    assert lines.messages[1] == "step 4/100, loss 0.25, epoch 1/1, 2 s each, 3 min to go"
    assert lines.messages[-1] == "step 100/100, loss 0.01, epoch 1/1, 2 s each, took 3 min"


def test_a_long_loop_writes_few_lines(lines: pytest.LogCaptureFixture) -> None:
    run(total=172_800, seconds_each=0.5, steps=172_800)  # a day
    assert 500 < len(lines.messages) < 700
    assert lines.messages[0].startswith("step 2/")


def test_two_lines_are_apart(lines: pytest.LogCaptureFixture) -> None:
    run(total=100, seconds_each=0.125, steps=100)
    counts = [int(re.match(r"step (\d+)", message)[1]) for message in lines.messages]  # type: ignore[index]
    assert counts == [8, 8 + PAUSE * 8, 8 + 2 * PAUSE * 8, 100]


def test_a_short_loop_says_nothing(lines: pytest.LogCaptureFixture) -> None:
    run(total=100, seconds_each=0.001, steps=100)
    assert lines.messages == []


def test_a_resumed_loop_counts_only_its_own_time(lines: pytest.LogCaptureFixture) -> None:
    run(total=1000, seconds_each=2, steps=1, done=989)
    assert lines.messages[0] == "step 990/1000, 2 s each, 20 s to go"


def test_where_the_total_is_unknown_none_is_promised(lines: pytest.LogCaptureFixture) -> None:
    run(total=None, seconds_each=2, steps=2)
    assert lines.messages == ["step 1, 2 s each", "step 2, 2 s each, took 4 s"]


def test_a_loop_that_fails_says_how_far_it_came(lines: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with pytest.raises(RuntimeError), Progress("step", 9, clock=clock) as report:
        clock.now += 0.9
        report.advance()
        clock.now += 0.9
        raise RuntimeError
    assert lines.messages == ["step 1/9, 1.8 s each, took 1.8 s"]


def test_a_loop_that_did_nothing_says_nothing(lines: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with Progress("step", 9, 9, clock=clock):
        clock.now += 10
    assert lines.messages == []


def test_a_loop_inside_another_leaves_the_lines_to_it(progress_lines: pytest.LogCaptureFixture) -> None:
    assert list(progress("ab", "letter")) == ["a", "b"]
    assert len(progress_lines.messages) == 2
    progress_lines.clear()
    with Progress("step", 2):
        list(progress("ab", "letter"))
    assert progress_lines.messages == []


def test_items_come_unchanged_and_are_counted(progress_lines: pytest.LogCaptureFixture) -> None:
    assert list(progress(range(3), "block")) == [0, 1, 2]
    assert [m.split(",")[0] for m in progress_lines.messages] == ["block 1/3", "block 2/3", "block 3/3"]
    progress_lines.clear()
    assert list(progress(iter("xy"), "block", total=2)) == ["x", "y"]
    assert progress_lines.messages[-1].startswith("block 2/2, ")


@pytest.mark.usefixtures("progress_lines")
def test_a_terminal_gets_a_bar_that_other_lines_do_not_tear(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    handler = logging.StreamHandler(terminal)
    logging.getLogger().addHandler(handler)
    try:
        with Progress("step", 40) as report:
            for i in range(40):
                time.sleep(0.01)
                report.facts["loss"] = 0.5
                report.advance()
                if i == 20:
                    logging.getLogger("other").info("a checkpoint was written")
    finally:
        logging.getLogger().removeHandler(handler)
    shown = terminal.getvalue()
    assert "21/40" in shown and "loss 0.5" in shown
    assert "\ra checkpoint was written\n" in re.sub(r"\r +\r", "\r", shown)
    assert "each" not in shown[: shown.index("a checkpoint")]  # the bar takes the place of the lines
    assert re.search(r"step 40/40, .* each, took", shown.splitlines()[-1])


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((0.00231, "2.31 ms"), (0.9994, "999 ms"), (0.9996, "1 s"), (1.5, "1.5 s"), (9.97, "10 s")),
        *((98.7, "99 s"), (99.7, "100 s"), (600, "10 min"), (18_720, "5.2 h")),
    ],
)
def test_durations_as_a_person_says_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
