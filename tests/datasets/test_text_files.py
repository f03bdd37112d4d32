"""Texts of one's own are cut into the same tokens every time, and what is wrong with them is named."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.dataset import PADDING, SplitsConfig, TextFiles
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.datasets.text_files import SPECIAL, read_texts, train_vocabulary
from dwf_steps.prepare_texts import PrepareTexts, prepare_texts
from dwf_steps.runtime.errors import InputError

WORDS = ["The", "Süppe", "was", "good,", "bad", "not", "very", "unbearable", "bearable", "the", "end."]


def sentences(m: int = 40, seed: int = 0) -> list[str]:
    draws = np.random.default_rng(seed)
    return [" ".join(draws.choice(WORDS, size=draws.integers(2, 12))) for _ in range(m)]


def table(path: Path, m: int = 40, seed: int = 0, **columns: Any) -> Path:
    frame = pd.DataFrame({"text": sentences(m, seed), "label": np.arange(m) % 5} | columns)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def files(path: Path, **more: Any) -> TextFiles:
    return TextFiles.model_validate({"train": path, "length": 8, "vocabulary": 100, **more})


STARS = {"regression": {"high": 4}}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_texts_are_cut_and_their_numbers_scaled(tmp_path: Path, ending: str) -> None:
    config = files(table(tmp_path / f"train.{ending}"), **STARS)
    train, test, classes, tokenizer = read_texts(config)
    assert (test, classes) == (None, [])
    np.testing.assert_allclose(train.targets, np.arange(40) % 5 / 4)
    assert train.tokens.shape == (40, 8) and train.tokens.max() < len(tokenizer) <= 100
    for tokens, text in zip(train.tokens, sentences(), strict=True):
        kept = tokens[tokens != PADDING]
        assert kept[0] == SPECIAL.index("[CLS]") and kept[-1] == SPECIAL.index("[SEP]")
        assert (tokens[len(kept) :] == PADDING).all()
        decoded = tokenizer.decode(kept, skip_special_tokens=True).replace(" ", "")
        assert text.lower().replace("ü", "u").replace(" ", "").startswith(decoded)


def test_classes_are_numbered_in_order(tmp_path: Path) -> None:
    config = files(table(tmp_path / "train.csv", label=["b", "c", "a", "b"] * 10), text="text")
    train, _, classes, _ = read_texts(config)
    assert classes == ["a", "b", "c"]
    assert train.targets.tolist() == [1, 2, 0, 1] * 10 and train.targets.dtype == np.int64


def test_numbers_are_numbered_by_value(tmp_path: Path) -> None:
    train, _, classes, _ = read_texts(files(table(tmp_path / "train.csv", m=60, label=np.arange(60) % 12)))
    assert classes == [str(k) for k in range(12)]
    assert train.targets.tolist() == [i % 12 for i in range(60)]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("names", [["NA", "EU", "null"], ["None", "nan", "n/a"]])
def test_classes_and_texts_may_be_words_for_missing_values(
    tmp_path: Path, ending: str, names: list[str]
) -> None:
    labels, texts = names * 4, ["NA", "null", *sentences(10)]
    path = table(tmp_path / f"train.{ending}", m=12, label=labels, text=texts)
    train, _, classes, tokenizer = read_texts(files(path))
    assert classes == sorted(names)
    assert train.targets.tolist() == [sorted(names).index(label) for label in labels]
    for tokens, text in zip(train.tokens[:2], texts, strict=False):
        assert tokenizer.decode(tokens, skip_special_tokens=True).replace(" ", "") == text.lower()


def test_texts_that_are_numbers_stay_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/vocab.txt").write_text("\n".join([*SPECIAL, "007", "7"]) + "\n")
    path = table(tmp_path / "train.csv", m=4, text=["007", "7", "007", "7"])
    train, *_ = read_texts(files(path, tokenizer=tmp_path / "own", **STARS))
    assert train.tokens[:, 1].tolist() == [5, 6, 5, 6]


def test_a_wrong_label_is_named_with_its_row(tmp_path: Path) -> None:
    labels = ["a", "b"] * 20
    labels[23] = "bb"
    path = table(tmp_path / "train.csv", label=labels)
    with pytest.raises(
        InputError, match=r"train\.csv: class 'bb' has a single example, data row 23; it cannot"
    ):
        read_texts(files(path))
    path = table(tmp_path / "sampled.csv", label=np.arange(40) % 20)
    with pytest.raises(
        InputError, match=r"data row \d+ of the 25 drawn \(`sample`\) \(\d+ classes have one\)"
    ):
        read_texts(files(path, sample=25))


def test_texts_and_labels_are_two_columns(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="text and label name the same column, 'text'; name two"):
        files(tmp_path / "train.csv", label="text")


@pytest.mark.parametrize("damage", ["cut short", "garbled pages"])
def test_a_damaged_parquet_file_is_named_in_one_line(tmp_path: Path, damage: str) -> None:
    path = table(tmp_path / "train.parquet")
    content = bytearray(path.read_bytes())
    if damage == "cut short":
        content = content[: len(content) // 2]
    else:
        content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"train\.parquet: not a readable csv or parquet file \([^\n]*\); replace it$"
    ):
        read_texts(files(path))


def test_a_sample_is_drawn_at_random_and_the_same_every_time(tmp_path: Path) -> None:
    path = table(tmp_path / "train.csv", label=np.arange(40))
    whole, some, again = (
        read_texts(files(path, sample=size, regression={"high": 39}))[0].targets * 39 for size in (None, 9, 9)
    )
    np.testing.assert_allclose(whole, np.arange(40), rtol=1e-6)
    assert len(some) == 9 and len(set(some)) == 9 and not np.array_equal(some, whole[:9])
    np.testing.assert_array_equal(some, again)


def test_a_vocabulary_is_the_same_in_every_process() -> None:
    """The library's own is not: https://github.com/huggingface/tokenizers numbers pieces by a hash map."""
    code = (
        "import json, sys; from dwf_steps.datasets.text_files import train_vocabulary;"
        "print(json.dumps(train_vocabulary(json.loads(sys.argv[1]), 90)))"
    )
    texts = sentences(60)
    here = train_vocabulary(texts, 90)
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(texts)], stdout=subprocess.PIPE, check=True, text=True
    )
    assert json.loads(done.stdout) == here
    assert [here[name] for name in SPECIAL] == list(range(5))
    assert "the" in here and sorted(here.values()) == list(range(len(here)))


def test_a_tokenizer_of_ones_own_is_used(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/vocab.txt").write_text("\n".join([*SPECIAL, "the", "soup", "good"]) + "\n")
    config = files(
        table(tmp_path / "t.csv", m=2, text=["the good soup", "soup"]), tokenizer=tmp_path / "own", **STARS
    )
    train, *_ = read_texts(config)
    assert train.tokens.tolist() == [[2, 5, 7, 6, 3, 0, 0, 0], [2, 6, 3, 0, 0, 0, 0, 0]]
    (tmp_path / "own/vocab.txt").write_text("\n".join(["the", *SPECIAL]) + "\n")
    with pytest.raises(InputError, match="pads texts with token 1, expected 0"):
        read_texts(config)


def test_prepared_texts_are_divided_and_stay_tokens(tmp_path: Path) -> None:
    test = table(tmp_path / "test.parquet", m=12, seed=1)
    config = files(table(tmp_path / "train.csv"), test=test, **STARS)
    prepare_texts(PrepareTexts(texts=config), tmp_path / "data")
    assert (tmp_path / "data/tokenizer/tokenizer.json").is_file()
    dataset = load_dataset(config, SplitsConfig(), tmp_path / "data")
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [36, 4, 12]
    _, expected, *_ = read_texts(config)
    assert expected is not None
    np.testing.assert_array_equal(dataset.test.inputs, expected.tokens)
    np.testing.assert_allclose(dataset.test.targets, np.arange(12) % 5 / 4)
    assert (
        dataset.test.tolerance == 0.5 / 4
        and dataset.test.scale == 4
        and dataset.test.targets.dtype == np.float32
    )
    dataset.check_fits(BertConfig(kind="bert", length=8, vocabulary=100))
    with pytest.raises(InputError, match="8 features and numbers to predict, by one output"):
        dataset.check_fits(BertConfig(kind="bert", length=8, vocabulary=100, classes=2))
    small = BertConfig(kind="bert", length=8).model_copy(update={"vocabulary": 20})
    with pytest.raises(InputError, match=r"vocabulary: found 20, but the data have token \d+"):
        dataset.check_fits(small)


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        ({"label": [0, 1, None, 3]}, STARS, "'label' is empty in data row 2"),
        ({"label": ["a", "NA", None, "a"]}, {}, "'label' is empty in data row 2"),
        ({"label": [0, 1, "NA", 3]}, STARS, "'label' is 'NA' in data row 2, expected a number from 0 to 4"),
        ({"text": "good"}, STARS, "all 4 texts, cut into 8 tokens, are the same; correct the data"),
        ({"text": ["a", "b", "c", None]}, STARS, "'text' is empty in data row 3"),
        ({"label": [0, 1, 7, 3]}, STARS, "'label' is 7 in data row 2, expected a number from 0 to 4"),
        ({"label": ["x", 1, 2, 3]}, STARS, "'label' is 'x' in data row 0, expected a number"),
        ({"label": 1}, {}, "found 1 class, expected at least 2; for numbers, set `regression`"),
        ({}, {"text": "body"}, "no column 'body'; its columns are text, label"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, columns: dict, settings: dict, message: str) -> None:
    path = table(tmp_path / "train.csv", m=4, **columns)
    with pytest.raises(InputError, match=re.escape(message)):
        read_texts(files(path, **settings))


def test_a_class_of_the_test_set_alone_and_a_damaged_file_are_named(tmp_path: Path) -> None:
    test = table(tmp_path / "test.csv", m=5, label=["0", "1", "2", "9", "3"])
    with pytest.raises(
        InputError, match=r"classes 9 do not occur in the training texts, .* is in data row 3"
    ):
        read_texts(files(table(tmp_path / "train.csv"), test=test))
    (tmp_path / "train.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="not a readable csv or parquet file"):
        read_texts(files(tmp_path / "train.parquet"))
    with pytest.raises(InputError, match="no tokenizer can be read from there"):
        read_texts(files(table(tmp_path / "train.csv"), tokenizer=tmp_path / "nowhere"))
