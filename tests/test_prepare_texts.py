"""Texts become tokens that the tokenizer beside them reads back."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dwf_steps.config.dataset import PADDING
from dwf_steps.datasets.text_files import Texts
from dwf_steps.prepare_texts import PrepareTexts, prepare_texts
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.libraries import transformers
from dwf_steps.storage.arrays import load_record

TEXTS = ["A fine play", "a bad play", "a fine, fine film", "a bad book"]
LENGTH = 8


def prepared(folder: Path, labels: list[object], **texts: object) -> Path:
    pd.DataFrame({"text": TEXTS * 2, "label": labels * 2}).to_csv(folder / "texts.csv", index=False)
    settings = {"texts": {"train": folder / "texts.csv", "length": LENGTH, "vocabulary": 100} | texts}
    prepare_texts(PrepareTexts.model_validate(settings), folder / "prepared")
    return folder / "prepared"


def test_tokens_are_the_texts_in_lower_case_between_marks(tmp_path: Path) -> None:
    output = prepared(tmp_path, ["good", "bad", "good", "bad"])
    kind = transformers("models.bert.tokenization_bert").BertTokenizer
    tokenizer, found = kind.from_pretrained(output / "tokenizer"), load_record(output / "train.npz", Texts)
    assert found.tokens.shape == (8, LENGTH)
    for text, tokens in zip(TEXTS * 2, found.tokens, strict=True):
        kept = [token for token in tokens if token != PADDING]
        assert (tokens[len(kept) :] == PADDING).all()
        pieces = tokenizer.convert_ids_to_tokens(kept)
        assert (pieces[0], pieces[-1]) == ("[CLS]", "[SEP]")
        joined = " ".join(pieces[1:-1]).replace(" ##", "")
        assert joined == text.lower().replace(",", " ,")[: len(joined)]
        assert len(kept) == LENGTH or joined == text.lower().replace(",", " ,")
    assert json.loads((output / "classes.json").read_text(encoding="utf-8")) == ["bad", "good"]
    assert found.targets.tolist() == [1, 0, 1, 0] * 2


def test_numbers_are_scaled_to_their_range_and_there_are_no_classes(tmp_path: Path) -> None:
    output = prepared(tmp_path, [5, 1, 4, 2], regression={"low": 1, "high": 5})
    found = load_record(output / "train.npz", Texts)
    np.testing.assert_allclose(found.targets, [1, 0, 0.75, 0.25] * 2)
    assert not (output / "classes.json").exists()


def test_a_single_class_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found 1 class, expected at least 2; for numbers, set `regression`"):
        prepared(tmp_path, ["good"] * 4)
    assert not (tmp_path / "prepared").exists()
