"""Arguments that stand for many files."""

from pathlib import Path

import pytest

from dwf_steps.pipeline.paths import Numbered
from dwf_steps.runtime.numbered import numbered


@pytest.mark.parametrize("count", [1, 12])
def test_an_argument_stands_for_the_files_that_the_rule_waits_for(count: int) -> None:
    files = Numbered(lambda names: f"results/{names}/zoo/shard-*.json", lambda _: count)
    assert files("mnist") == [f"results/mnist/zoo/shard-{k}.json" for k in range(count)]
    assert numbered(files.argument("mnist")) == list(map(Path, files("mnist")))


def test_no_files_are_an_empty_argument() -> None:
    files = Numbered(lambda _: "a-*.json", lambda _: 0)
    assert (files(None), files.argument(None), numbered("")) == ([], "", [])


def test_a_path_without_a_range_stands_for_itself() -> None:
    assert numbered("results/zoo_outputs/fitted.npz") == [Path("results/zoo_outputs/fitted.npz")]


@pytest.mark.parametrize("text", ["a-[3..1].json", "a-[0..1]/b-[0..2].json"])
def test_what_is_no_range_upwards_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected one ascending range"):
        numbered(text)
