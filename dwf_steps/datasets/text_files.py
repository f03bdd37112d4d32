"""User-provided texts: csv or parquet files, tokenized by WordPiece."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tokenizers import BertWordPieceTokenizer

from dwf_steps.config.dataset import PADDING, TextFiles
from dwf_steps.datasets.classes import in_order, listed, require_different, require_two_of_each
from dwf_steps.datasets.tables import scaled
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.libraries import transformers
from dwf_steps.runtime.randomness import numpy_generator

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ALPHABET = 1000  # distinct characters, at most, in a trained vocabulary; others become unknown tokens


@dataclass(frozen=True)
class Texts:
    """Tokenized texts and their targets.

    Attributes
    ----------
    tokens
        (m, length) int32, padded with `PADDING`.
    targets
        (m,): classes, int64, or numbers from 0 to 1, float32.
    """

    tokens: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)


def read_texts(config: TextFiles) -> tuple[Texts, Texts | None, list[str], Any]:
    """Read and tokenize training and test texts.

    Parameters
    ----------
    config
        The files, their columns, the tokenizer, and the length of texts in tokens.

    Returns
    -------
    The training texts; the test texts, None if there is no test set; the names of the classes, in the order
    of the outputs, empty for regression; and the tokenizer, a `transformers.BertTokenizer`.

    Raises
    ------
    InputError
        If a file is missing or invalid, if a row has no text or label, a class has a single example or a
        number is out of range, if the test set has another class, or if all texts are equal.
    """
    train = _read(config, config.train)
    test = None if config.test is None else _read(config, config.test)
    tokenizer = make_tokenizer(config, train[config.text].tolist())
    classes: list[str] = []
    if config.regression is None:
        names = train[config.label].astype(str).tolist()
        classes = in_order(names)
        if len(classes) == 1:
            raise InputError(
                f"{config.train}: found 1 class, expected at least 2; for numbers, set `regression`"
            )
        drawn = f" of the {len(names)} drawn (`sample`)" if config.sample else ""
        require_two_of_each(names, config.train, lambda i: f"data row {train.index[i]}{drawn}")

    def cut(frame: pd.DataFrame, path: Path) -> Texts:
        tokens = tokenizer(
            frame[config.text].tolist(),
            truncation=True,
            padding="max_length",
            max_length=config.length,
            return_tensors="np",
        )["input_ids"]
        if config.regression:
            targets = scaled(frame[config.label], config.regression, str(path))
        else:
            targets = _numbered(frame[config.label].astype(str), classes, path)
        require_different(tokens, path, f"texts, cut into {config.length} tokens,")
        return Texts(tokens.astype(np.int32), targets)

    cut_test = None if test is None or config.test is None else cut(test, config.test)
    return cut(train, config.train), cut_test, classes, tokenizer


def make_tokenizer(config: TextFiles, texts: list[str]) -> Any:
    """Load the configured tokenizer, or train one.

    Parameters
    ----------
    config
        The tokenizer's path, or the size of the vocabulary.
    texts
        The texts that a tokenizer is trained on.

    Returns
    -------
    A `transformers.BertTokenizer`.

    Raises
    ------
    InputError
        If the tokenizer cannot be read, or pads with another token than `PADDING`.
    """
    kind = transformers("models.bert.tokenization_bert").BertTokenizer
    if config.tokenizer is None:
        return kind(vocab=train_vocabulary(texts, config.vocabulary), do_lower_case=True)
    try:
        tokenizer = kind.from_pretrained(config.tokenizer, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{config.tokenizer}: no tokenizer can be read from there ({error})") from error
    if tokenizer.pad_token_id != PADDING:
        raise InputError(
            f"{config.tokenizer}: pads texts with token {tokenizer.pad_token_id}, expected {PADDING}, as in "
            "BERT's tokenizers"
        )
    return tokenizer


def train_vocabulary(texts: list[str], size: int) -> dict[str, int]:
    """Train a WordPiece vocabulary, in lower case, deterministically.

    The trainer numbers the characters that continue a word in an order that differs between runs, and breaks
    ties between equally frequent pairs by these numbers. Passed as special tokens, they come first, in the
    given order.

    Parameters
    ----------
    texts
        The texts to train on.
    size
        Largest size of the vocabulary.

    Returns
    -------
    token -> index.
    """
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    characters = sorted(c for c, _ in counts.most_common(ALPHABET) if not c.isspace())
    tokenizer.train_from_iterator(
        texts,
        vocab_size=size,
        limit_alphabet=ALPHABET,
        show_progress=False,
        special_tokens=[*SPECIAL, *(f"##{c}" for c in characters)],
    )
    return dict(tokenizer.get_vocab())


def _read(config: TextFiles, path: Path) -> pd.DataFrame:
    """Return the columns of texts and labels."""
    from pyarrow import ArrowException

    try:
        frame = _read_csv(config, path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (ArrowException, OSError, ValueError) as error:
        what = " ".join(str(error).split())
        raise InputError(f"{path}: not a readable csv or parquet file ({what}); replace it") from error
    frame = frame.reset_index(drop=True)  # parquet files may have any index; messages count rows
    for column in (config.text, config.label):
        if column not in frame.columns:
            raise InputError(
                f"{path}: no column {column!r}; its columns are {', '.join(map(str, frame.columns))}"
            )
        if frame[column].isna().any():
            row = int(frame[column].isna().to_numpy().argmax())
            raise InputError(f"{path}: {column!r} is empty in data row {row}; fill or remove it")
    if not len(frame):
        raise InputError(f"{path}: has no rows")
    if config.sample is not None and config.sample < len(frame):
        rows = numpy_generator("sample of texts", 0).permutation(len(frame))[: config.sample]
        frame = frame.iloc[np.sort(rows)]
    return frame.astype({config.text: str})[[config.text, config.label]]


def _read_csv(config: TextFiles, path: Path) -> pd.DataFrame:
    """Read a table in which `NA` and `null` are words, and only empty cells are missing.

    It is not read in chunks, because pandas might read the same class as a number in one chunk and as text in
    another.
    """
    return pd.read_csv(
        path, low_memory=False, dtype={config.text: str}, keep_default_na=False, na_values=[""]
    )


def _numbered(labels: pd.Series, classes: list[str], path: Path) -> np.ndarray:
    if foreign := in_order(set(labels) - set(classes)):
        row = labels.index[labels == foreign[0]][0]
        raise InputError(
            f"{path}: classes {listed(foreign)} do not occur in the training texts, which have "
            f"{listed(classes)}; the first is in data row {row}"
        )
    numbers = {name: i for i, name in enumerate(classes)}
    return labels.map(numbers).to_numpy(np.int64)
