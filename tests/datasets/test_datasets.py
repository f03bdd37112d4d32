"""Data sets: honest splits, training statistics alone, errors that name the file."""

import os
import re
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from idx_files import write_idx, write_images

from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.dataset import BUILT_IN, IDX_FILES, BuiltInName, SplitsConfig, TableFile
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.datasets.splits import Dataset, Split, divide, take_share
from dwf_steps.datasets.tables import bundled_table
from dwf_steps.runtime.errors import InputError

NOWHERE = Path("nowhere")
TABLES: list[BuiltInName] = ["iris", "wine", "breast_cancer", "digits"]


def splits_of(dataset: Dataset) -> dict[str, Split]:
    return {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}


def numbered_examples(m: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Return examples whose first feature is their number, in three classes of 50, 30 and 20 %."""
    draws = np.random.default_rng(0)
    inputs = np.stack([np.arange(m, dtype=np.float64), draws.normal(3, 2, m), draws.exponential(5, m)], 1)
    return inputs, draws.permutation(np.repeat([0, 1, 2], [m // 2, 3 * m // 10, m // 5]))


def table(folder: Path, text: str, target: str = "species") -> TableFile:
    path = folder / "table.csv"
    path.write_text(text)
    return TableFile(file=path, target=target)


def good_table(m: int = 60) -> pd.DataFrame:
    draws = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "length": draws.normal(10, 3, m),
            "species": np.array(["c", "a", "b"])[np.arange(m) % 3],
            "count": draws.integers(5, size=m),
        }
    )


def load_table(dataset: TableFile) -> Dataset:
    return load_dataset(dataset, SplitsConfig(), NOWHERE)


def indices(dataset: Dataset, inputs: np.ndarray) -> dict[str, list[int]]:
    """Return which examples each split holds, by the rank of the second feature: it has no ties, and
    standardising keeps its order."""
    parts = splits_of(dataset)
    ranked = np.sort(np.concatenate([split.inputs[:, 1] for split in parts.values()]))
    examples = np.argsort(inputs[:, 1])
    return {
        name: examples[np.searchsorted(ranked, split.inputs[:, 1])].tolist() for name, split in parts.items()
    }


@pytest.mark.parametrize("seed", [0, 7])
def test_splits_are_disjoint_and_complete(seed: int) -> None:
    inputs, targets = numbered_examples()
    dataset = divide(inputs, targets, SplitsConfig(seed=seed, validation=0.1, test=0.2))
    parts = indices(dataset, inputs)
    assert [len(part) for part in parts.values()] == [216, 24, 60]
    assert sorted(chain(*parts.values())) == list(range(300))
    deviation = np.std(parts["train"])
    for name, split in splits_of(dataset).items():
        np.testing.assert_array_equal(split.targets, targets[parts[name]])
        # The first feature is the example's number.
        np.testing.assert_allclose(np.diff(split.inputs[:, 0]), np.diff(parts[name]) / deviation, rtol=1e-4)


def test_splits_repeat_with_their_seed_and_change_with_another() -> None:
    inputs, targets = numbered_examples()
    first, again, other = (splits_of(divide(inputs, targets, SplitsConfig(seed=seed))) for seed in (3, 3, 4))
    for name, split in first.items():
        np.testing.assert_array_equal(split.inputs, again[name].inputs)
        np.testing.assert_array_equal(split.targets, again[name].targets)
        assert not np.array_equal(split.inputs, other[name].inputs)


def test_classes_keep_their_proportions() -> None:
    dataset = divide(*numbered_examples(), SplitsConfig(validation=0.25, test=0.2))
    for split in splits_of(dataset).values():
        shares = np.bincount(split.targets) / len(split)
        np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.01)


def test_tables_are_standardised_feature_by_feature_with_training_statistics() -> None:
    inputs, targets = numbered_examples()
    dataset = divide(inputs, targets, SplitsConfig())
    train = inputs[indices(dataset, inputs)["train"]]
    np.testing.assert_allclose(dataset.train.inputs.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(dataset.train.inputs.std(axis=0), 1, rtol=1e-6)
    for name, split in splits_of(dataset).items():
        raw = inputs[indices(dataset, inputs)[name]]
        expected = (raw - train.mean(axis=0)) / train.std(axis=0)
        np.testing.assert_allclose(split.inputs, expected, rtol=1e-5, atol=1e-6)


def test_test_examples_do_not_move_the_training_statistics() -> None:
    inputs, targets = numbered_examples()
    dataset = divide(inputs, targets, SplitsConfig())
    changed = inputs.copy()
    changed[indices(dataset, inputs)["test"]] *= 1000
    changed[indices(dataset, inputs)["validation"]] -= 500
    after = divide(changed, targets, SplitsConfig())
    np.testing.assert_array_equal(after.train.inputs, dataset.train.inputs)
    assert np.abs(after.test.inputs).max() > 100


def test_images_are_standardised_by_one_mean_and_one_deviation() -> None:
    inputs, targets = numbered_examples()
    dataset = divide(inputs, targets, SplitsConfig(), shape=(1, 1, 3))
    assert dataset.train.inputs.mean() == pytest.approx(0, abs=1e-6)
    assert dataset.train.inputs.std() == pytest.approx(1, rel=1e-6)
    assert np.abs(dataset.train.inputs.mean(axis=0)).min() > 0.1


def test_every_channel_of_images_has_a_mean_and_a_deviation_of_its_own() -> None:
    draws = np.random.default_rng(0)
    pixels = draws.normal([[[1.0]], [[5.0]], [[-2.0]]], [[[1.0]], [[3.0]], [[0.5]]], size=(300, 3, 4, 4))
    dataset = divide(pixels.reshape(300, -1), np.arange(300) % 3, SplitsConfig(), shape=(3, 4, 4))
    channels = dataset.train.inputs.reshape(-1, 3, 16)
    np.testing.assert_allclose(channels.mean(axis=(0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(channels.std(axis=(0, 2)), 1, rtol=1e-5)
    assert np.abs(channels.mean(axis=0)).max() > 0.05
    assert dataset.shape == (3, 4, 4)


def test_a_test_set_of_its_own_is_kept_whole_and_in_order() -> None:
    inputs, targets = numbered_examples()
    test_inputs, test_targets = inputs[:40] + 0.5, targets[:40]
    dataset = divide(inputs, targets, SplitsConfig(), (test_inputs, test_targets), (1, 1, 3))
    assert [len(split) for split in splits_of(dataset).values()] == [270, 30, 40]
    np.testing.assert_array_equal(dataset.test.targets, test_targets)
    # One affine map for all pixels.
    ratios = np.diff(dataset.test.inputs[:, 0]) / np.diff(test_inputs[:, 0])
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, 7.0])
def test_a_constant_feature_becomes_zero(value: float) -> None:
    inputs, targets = numbered_examples()
    inputs[:, 2] = value
    for split in splits_of(divide(inputs, targets, SplitsConfig())).values():
        np.testing.assert_allclose(split.inputs[:, 2], 0, atol=1e-6)


def test_inputs_are_float32_and_targets_int64() -> None:
    for split in splits_of(load_dataset("iris", SplitsConfig(), NOWHERE)).values():
        assert split.inputs.dtype == np.float32
        assert split.targets.dtype == np.int64
        assert len(split) == len(split.inputs) == len(split.targets)


@pytest.mark.parametrize("name", TABLES)
def test_bundled_tables_have_the_features_and_classes_stated(name: BuiltInName) -> None:
    dataset, facts = load_dataset(name, SplitsConfig(), NOWHERE), BUILT_IN[name]
    assert (dataset.n_features, dataset.n_classes) == (facts.features, facts.classes)
    assert sum(len(split) for split in splits_of(dataset).values()) == facts.examples
    for split in splits_of(dataset).values():
        assert set(split.targets.tolist()) == set(range(facts.classes))


@pytest.mark.parametrize(
    ("name", "classes"),
    [("iris", ("setosa", "versicolor", "virginica")), ("digits", tuple("0123456789"))],
)
def test_classes_of_bundled_tables_have_their_names(
    name: BuiltInName, classes: tuple[str, ...], tmp_path: Path
) -> None:
    dataset = load_dataset(name, SplitsConfig(), NOWHERE)
    assert dataset.classes == classes
    dataset.save(tmp_path / "data.npz")
    assert Dataset.load(tmp_path / "data.npz").classes == classes


def test_digits_are_images() -> None:
    train = load_dataset("digits", SplitsConfig(), NOWHERE).train.inputs
    assert train.std() == pytest.approx(1, rel=1e-5)
    # The corners are always black: feature by feature they would be zero.
    np.testing.assert_allclose(train[:, 0], train.min(), rtol=1e-5)


def test_no_example_of_a_bundled_table_is_in_two_splits() -> None:
    (inputs, targets), _ = bundled_table("wine")
    assert len(np.unique(inputs, axis=0)) == len(targets)
    dataset = load_dataset("wine", SplitsConfig(), NOWHERE)
    sets = [{tuple(row) for row in split.inputs.tolist()} for split in splits_of(dataset).values()]
    assert all(not first & second for first, second in combinations(sets, 2))
    assert sum(map(len, sets)) == len(targets)


@pytest.mark.parametrize("widths", [[3, 8, 3], [5, 3], [4, 8, 2]])
def test_widths_that_do_not_fit_the_data_are_an_input_error(widths: list[int]) -> None:
    dataset = load_dataset("iris", SplitsConfig(), NOWHERE)
    with pytest.raises(InputError, match=rf"found {re.escape(str(widths))}.* 4 features and 3 classes"):
        dataset.check_fits(MLPConfig(widths=widths))


def test_widths_that_fit_the_data_pass() -> None:
    load_dataset("iris", SplitsConfig(), NOWHERE).check_fits(MLPConfig(widths=[4, 8, 3]))


def test_a_class_too_rare_to_be_divided_is_an_input_error() -> None:
    inputs, targets = numbered_examples()
    targets[5] = 3
    with pytest.raises(
        InputError, match="class 3 has a single example, example 5; it cannot be both learned"
    ):
        divide(inputs, targets, SplitsConfig())


def test_a_validation_share_too_small_for_all_classes_is_an_input_error() -> None:
    message = (
        r"splits\.validation: a share of 0\.005 of 240 examples .* each of 3 classes; raise it to 0\.013"
    )
    with pytest.raises(InputError, match=message):
        divide(*numbered_examples(), SplitsConfig(validation=0.005))
    divide(*numbered_examples(), SplitsConfig(validation=0.013))


def few_of_each(each: int, classes: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Return examples whose first feature is their number, as many of every class."""
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(classes), each))
    return np.stack([np.arange(len(targets)) - 50.0, np.ones(len(targets))], 1), targets


@pytest.mark.parametrize(
    ("each", "test", "sizes"),
    [(2, 0.49, [50, 1, 49]), (2, 0.2, [72, 8, 20]), (3, 0.2, [108, 12, 30]), (3, 0.35, [87, 10, 53])],
)
def test_few_examples_of_a_class_are_divided_as_proportionally_as_possible(
    each: int, test: float, sizes: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    inputs, targets = few_of_each(each)
    splits = SplitsConfig(test=test, validation=0.1)
    dataset = divide(inputs, targets, splits)
    parts = splits_of(dataset)
    assert [len(split) for split in parts.values()] == sizes
    numbers = {k: split.inputs[:, 0] * dataset.std[0] + dataset.mean[0] + 50 for k, split in parts.items()}
    examples = {name: np.round(found).astype(int) for name, found in numbers.items()}
    assert sorted(chain(*(found.tolist() for found in examples.values()))) == list(range(len(targets)))
    for name, found in examples.items():
        np.testing.assert_array_equal(parts[name].targets, targets[found])
    for part in ("test", "validation"):
        counts = np.bincount(parts[part].targets, minlength=50)
        assert counts.max() - counts.min() <= 1
    assert set(dataset.train.targets) == set(range(50))
    assert "splits.validation: classes have too few examples" in caplog.text
    again, other = divide(inputs, targets, splits), divide(inputs, targets, SplitsConfig(test=test, seed=1))
    np.testing.assert_array_equal(again.test.inputs, dataset.test.inputs)
    assert not np.array_equal(other.test.targets, dataset.test.targets)


def test_larger_classes_give_their_share_and_small_ones_what_they_have() -> None:
    targets = np.repeat([0, 1, 2, 3], [40, 20, 2, 2])
    kept, taken = take_share(targets, 0.3, 0, "test")
    assert sorted([*kept, *taken]) == list(range(64))
    # 0.3 * 64 = 19.2, rounded up to 20: quotas of 12.5, 6.25, 0.625 and 0.625.
    assert np.bincount(targets[taken]).tolist() == [12, 6, 1, 1]
    assert (np.diff(taken) < 0).any() and (np.diff(kept) < 0).any(), "shuffled"


def test_a_rare_class_that_the_test_set_has_halved_stays_in_training() -> None:
    inputs, targets = numbered_examples()
    targets[[5, 17]] = 3
    for seed in range(5):
        dataset = divide(inputs, targets, SplitsConfig(seed=seed))
        assert 3 in dataset.train.targets
        assert sorted(len(split) for split in splits_of(dataset).values()) == [24, 60, 216]


def test_a_class_without_a_second_example_left_is_kept_for_training() -> None:
    with pytest.raises(
        InputError, match="each of 2 classes has one example left, which is kept for training"
    ):
        take_share(np.array([0, 1]), 0.4, 0, "validation")


def test_numbers_to_predict_need_no_second_example() -> None:
    dataset = divide(
        np.arange(40.0)[:, None], np.arange(40) / 40, SplitsConfig(), task="regression", tolerance=0.1
    )
    assert len(dataset.test) == 8


def test_a_share_of_too_few_numbers_is_an_input_error() -> None:
    with pytest.raises(
        InputError, match=r"splits\.validation: a share of 0\.1 of 1 examples cannot be taken"
    ):
        divide(np.arange(2.0)[:, None], np.arange(2) / 2, SplitsConfig(), task="regression", tolerance=0.1)


def test_a_table_file_is_read_with_classes_in_sorted_order(tmp_path: Path) -> None:
    frame = good_table()
    dataset = load_table(table(tmp_path, frame.to_csv(index=False)))
    assert (dataset.n_features, dataset.n_classes) == (2, 3)
    numbers = frame["species"].map({"a": 0, "b": 1, "c": 2})
    expected = dict(zip(frame["length"].rank(), numbers, strict=True))
    parts = splits_of(dataset).values()
    lengths = np.concatenate([split.inputs[:, 0] for split in parts])
    targets = np.concatenate([split.targets for split in parts])
    assert dict(zip(pd.Series(lengths).rank(), targets, strict=True)) == expected


def table_targets(dataset: Dataset) -> dict[int, int]:
    """Return each example's class by the rank of its first feature, of examples in rising order."""
    parts = splits_of(dataset).values()
    features = np.concatenate([split.inputs[:, 0] for split in parts])
    targets = np.concatenate([split.targets for split in parts])
    return dict(zip(features.argsort().argsort().tolist(), targets.tolist(), strict=True))


@pytest.mark.parametrize(
    "names", [("EU", "NA", "null"), ("", "None", "nan"), ("n/a", "N/A", "<NA>"), (1, 10, "NA")]
)
def test_classes_may_have_the_names_that_stand_for_missing_values_elsewhere(
    tmp_path: Path, names: tuple[str | int, ...]
) -> None:
    names = tuple(name or "NULL" for name in names)
    rows = [f"{i},{names[i % 3]}" for i in range(60)]
    dataset = load_table(table(tmp_path, "\n".join(["length,species", *rows])))
    order = [sorted(map(str, names)).index(str(name)) for name in names]
    assert table_targets(dataset) == {i: order[i % 3] for i in range(60)}


def test_a_missing_feature_beside_a_class_called_na_is_still_named(tmp_path: Path) -> None:
    rows = [f"{i},{['EU', 'NA', 'APAC'][i % 3]}" for i in range(60)]
    rows[7] = "NA,EU"
    with pytest.raises(InputError, match="'length' is nan in data row 7; every feature must be finite"):
        load_table(table(tmp_path, "\n".join(["length,species", *rows])))


def test_numbers_among_names_are_numbered_by_value(tmp_path: Path) -> None:
    names = ["10", "9", "-1", "other", "2.5"]
    rows = [f"{i},{names[i % 5]}" for i in range(100)]
    dataset = load_table(table(tmp_path, "\n".join(["length,species", *rows])))
    assert table_targets(dataset) == {i: [3, 2, 0, 4, 1][i % 5] for i in range(100)}


def test_a_class_is_the_same_in_all_of_a_long_table(tmp_path: Path) -> None:
    """pandas reads long tables in parts, of which the first here has numbers alone."""
    rows = [f"{i},{i % 2}" for i in range(300_000)] + [f"{i},other" for i in range(300_000, 300_100)]
    dataset = load_table(table(tmp_path, "\n".join(["length,species", *rows])))
    assert dataset.n_classes == 3


def test_a_wrong_class_is_named_with_its_row(tmp_path: Path) -> None:
    frame = good_table()
    frame.loc[17, "species"] = "bb"
    with pytest.raises(
        InputError, match=r"table\.csv: class 'bb' has a single example, data row 17; .* correct"
    ):
        load_table(table(tmp_path, frame.to_csv(index=False)))


def test_rows_that_are_all_the_same_are_an_input_error(tmp_path: Path) -> None:
    frame = good_table().assign(length=1.0, count=2)
    with pytest.raises(InputError, match=r"table\.csv: all 60 rows of features are the same"):
        load_table(table(tmp_path, frame.to_csv(index=False)))


def test_numeric_classes_are_numbered_from_zero(tmp_path: Path) -> None:
    frame = good_table()
    frame["species"] = frame["species"].map({"a": 10, "b": -3, "c": 700})
    dataset = load_table(table(tmp_path, frame.to_csv(index=False)))
    assert set(dataset.train.targets.tolist()) == {0, 1, 2}


def test_a_missing_table_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.csv"
    with pytest.raises(InputError, match=re.escape(f"{path}: no such file")):
        load_table(TableFile(file=path, target="species"))


def test_a_file_of_another_kind_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "table.xlsx").touch()
    with pytest.raises(InputError, match=r"table\.xlsx: expected a \.csv"):
        load_table(TableFile(file=tmp_path / "table.xlsx", target="species"))


def test_a_missing_target_column_is_an_input_error(tmp_path: Path) -> None:
    text = good_table().to_csv(index=False)
    with pytest.raises(InputError, match="no target column 'kind'; its columns are length, species, count"):
        load_table(table(tmp_path, text, target="kind"))


def test_a_text_feature_is_an_input_error(tmp_path: Path) -> None:
    frame = good_table().assign(colour="red")
    with pytest.raises(InputError, match="these columns are not: colour"):
        load_table(table(tmp_path, frame.to_csv(index=False)))


@pytest.mark.parametrize(("value", "shown"), [("", "nan"), ("nan", "nan"), ("inf", "inf"), ("-inf", "-inf")])
def test_a_feature_that_is_not_finite_is_an_input_error(tmp_path: Path, value: str, shown: str) -> None:
    lines = good_table().to_csv(index=False).splitlines()
    lines[4] = f"1.5,a,{value}"
    with pytest.raises(InputError, match=rf"'count' is {shown} in data row 3; every feature must be finite"):
        load_table(table(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize("classes", [["a", "b", ""], ["0", "1", ""]])
def test_an_example_without_a_class_is_an_input_error(tmp_path: Path, classes: list[str]) -> None:
    rows = [f"{i / 7},{classes[i % 3]}" for i in range(60)]
    with pytest.raises(InputError, match="species"):
        load_table(table(tmp_path, "\n".join(["length,species", *rows])))


def test_a_single_class_is_an_input_error(tmp_path: Path) -> None:
    frame = good_table().assign(species="a")
    with pytest.raises(InputError, match="the target 'species' has one class, 'a'"):
        load_table(table(tmp_path, frame.to_csv(index=False)))


@pytest.mark.parametrize("text", ["", 'length,species\n1,2,3,4\n1\n"'])
def test_a_file_that_is_no_table_is_an_input_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"table\.csv"):
        load_table(table(tmp_path, text))


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_missing_images_are_an_input_error_that_names_every_file(
    tmp_path: Path, name: BuiltInName, folder: str
) -> None:
    raw = tmp_path / folder / "raw"
    raw.mkdir(parents=True)
    (raw / IDX_FILES[0]).touch()
    with pytest.raises(InputError, match=f"{name} is not in") as caught:
        load_dataset(name, SplitsConfig(), tmp_path)
    assert [str(raw / file) in str(caught.value) for file in IDX_FILES] == [False, True, True, True]


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_images_are_read_from_idx_files(tmp_path: Path, name: BuiltInName, folder: str) -> None:
    images, labels = write_images(tmp_path, folder)
    dataset = load_dataset(name, SplitsConfig(), tmp_path)
    assert [len(split) for split in splits_of(dataset).values()] == [180, 20, 50]
    assert (dataset.n_features, dataset.n_classes) == (784, 10)
    np.testing.assert_array_equal(dataset.test.targets, labels[200:])
    pixels = images[200:].reshape(50, 784)
    slope, offset = np.polyfit(pixels.ravel(), dataset.test.inputs.ravel(), 1)
    np.testing.assert_allclose(dataset.test.inputs, slope * pixels + offset, atol=1e-4)
    assert slope > 0


@pytest.mark.parametrize("damage", ["images cut short", "labels cut short", "not IDX at all", "empty"])
def test_damaged_images_are_an_input_error(tmp_path: Path, damage: str) -> None:
    write_images(tmp_path)
    raw = tmp_path / "MNIST/raw"
    path = raw / IDX_FILES["labels" in damage]
    content = path.read_bytes()
    path.write_bytes(
        {"not IDX at all": b"<!DOCTYPE html>" * 9, "empty": b""}.get(damage, content[: len(content) // 2])
    )
    with pytest.raises(InputError, match=f"mnist cannot be read from {path}: the file .*; replace it"):
        load_dataset("mnist", SplitsConfig(), tmp_path)


def test_a_label_that_is_no_class_is_named_with_its_file(tmp_path: Path) -> None:
    _, labels = write_images(tmp_path)
    path = tmp_path / "MNIST/raw" / IDX_FILES[3]
    labels[207] = 77
    write_idx(path, labels[200:])
    with pytest.raises(InputError, match=f"^{path}: the label of example 7 is 77, expected 0 to 9; replace"):
        load_dataset("mnist", SplitsConfig(), tmp_path)


def test_images_and_labels_of_different_sets_are_an_input_error(tmp_path: Path) -> None:
    write_images(tmp_path)
    raw = tmp_path / "MNIST/raw"
    (raw / IDX_FILES[1]).write_bytes((raw / IDX_FILES[3]).read_bytes())
    with pytest.raises(InputError, match="200 images but 50 labels in the training files"):
        load_dataset("mnist", SplitsConfig(), tmp_path)


def test_fetched_data_without_a_folder_is_an_input_error() -> None:
    with pytest.raises(InputError, match="mnist: --data-dir is missing"):
        load_dataset("mnist", SplitsConfig(), None)


def test_mnist_has_its_own_test_set_and_balanced_splits() -> None:
    folder = os.environ.get("DWF_TEST_DATA")
    if folder is None:
        pytest.skip("set DWF_TEST_DATA to a folder with MNIST/raw/* to test MNIST itself")
    missing = [file for file in BUILT_IN["mnist"].files if not (Path(folder) / file).is_file()]
    if missing:
        pytest.skip(f"{folder} lacks {', '.join(missing)}")
    dataset = load_dataset("mnist", SplitsConfig(), Path(folder))
    assert [len(split) for split in splits_of(dataset).values()] == [54_000, 6_000, 10_000]
    assert (dataset.n_features, dataset.n_classes) == (784, 10)
    assert dataset.test.targets[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert dataset.train.inputs.mean() == pytest.approx(0, abs=1e-3)
    assert dataset.train.inputs.std() == pytest.approx(1, rel=1e-3)
    # The training images' published statistics, so black is near -0.1307 / 0.3081.
    assert dataset.train.inputs.min() == pytest.approx(-0.1307 / 0.3081, abs=0.01)
    for split in (dataset.train, dataset.validation):
        assert np.bincount(split.targets)[1] / len(split) == pytest.approx(6742 / 60_000, abs=1e-3)
