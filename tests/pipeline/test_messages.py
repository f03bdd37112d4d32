"""Messages speak of the user's keys and values, not of Python's or pydantic's."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from small_config import small_config

from dwf_steps.pipeline.load import load_config
from dwf_steps.runtime.errors import InputError

INTERNAL = re.compile(
    r"instance of|\w+\(\)|<class|Input|discriminator|Tuple|List|Config\b|NoneType|object has|tags|pydantic"
)
WRONG = (3, 2.5, None, True, "x", [1], ["x"], {"x": 1}, {}, [])


def leaves(part: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything in a configuration, sections included."""
    if above:
        yield above
    if isinstance(part, dict):
        for key, value in part.items():
            yield from leaves(value, (*above, key))
    if isinstance(part, list):
        for i, value in enumerate(part):
            yield from leaves(value, (*above, i))


def everything() -> dict[str, Any]:
    """Return a valid configuration with a section of every kind."""
    raw = small_config()
    raw["zoos"]["iris"] |= {
        "training": {"augmentation": None, "lr": 0.1},
        "splits": {"seed": 0},
        "initialisations": ["default"],
        "matrix": {"dtype": "float32"},
    }
    raw["zoos"]["own"] = {
        "dataset": {"file": "x.csv", "target": "y", "regression": None},
        "architecture": {"import": "own_networks:plain", "shape": [4], "classes": 3, "kwargs": {}},
    }
    raw["zoos"]["other"] = {
        "import": ["x"],
        "dataset": "iris",
        "architecture": {"kind": "vit", "classes": 3},
        "keys": {"a": "b"},
    }
    raw["datasets"] = {
        "images": {"train": "x", "size": 4},
        "texts": {"train": "x", "length": 4, "regression": {"high": 3}},
    }
    raw["transfers"] = {"moved": {"dataset": "iris", "classes": [0, None]}}
    raw["canonicalizations"]["aligned"] = ["git_rebasin", {"method": "normalized"}]
    raw["representations"] = {"responses": {"kind": "responses", "probes": 20, "functions": 10}}
    raw["recalibrations"]["tuned"] = [{"method": "fine_tune"}]
    raw["evaluation"] = {}
    raw["generators"]["flow"] |= {
        "velocity": {"network": "mlp"},
        "sampling": {"guidance": {"objective": "own_objectives:confident"}},
        "training": {},
        "prediction": "velocity",
    }
    return raw


def test_everything_is_valid() -> None:
    assert len(load_config(everything()).zoos) == 3


PATHS = sorted(leaves(everything()), key=str)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_no_wrong_value_is_answered_with_internals(path: tuple[Any, ...]) -> None:
    for value in WRONG:
        raw = everything()
        *above, last = path
        section = raw
        for key in above:
            section = section[key]
        section[last] = value
        try:
            load_config(raw)
        except InputError as error:
            listing = str(error).splitlines()
            assert re.fullmatch(r"the configuration has \d+ problems?:", listing[0]), listing
            for line in listing[1:]:
                assert re.match(r"  - ([\w.]+|the configuration): ", line), line
                assert not INTERNAL.search(line), line


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("zoos", "iris", "training"), 3, "zoos.iris.training: found 3; expected a mapping, `key: value`"),
        (
            ("generators", "noise", "kind"),
            "nois",
            "generators.noise.kind: found 'nois'; did you mean 'noise'? expected 'autoencoder', 'custom'",
        ),
        (
            ("zoos", "iris", "architecture"),
            {"kind": "resnet"},
            "zoos.iris.architecture.kind: found 'resnet'; expected 'resnet20' or 'resnet18'",
        ),
        (
            ("zoos", "own", "architecture", "import"),
            "my_networks.py",
            "zoos.own.architecture.import: found 'my_networks.py'; expected package.module:name, as in",
        ),
        (("data_dir",), 3, "data_dir: found 3; expected a path, as text"),
        (("subspaces", "pca"), {}, "subspaces.pca.method: this key is required"),
        (("zoos", "own", "architecture", "shape"), [], "shape: found []; expected at least 1 entries"),
    ],
)
def test_messages_say_what_is_expected(path: tuple[str, ...], value: Any, line: str) -> None:
    raw = everything()
    *above, last = path
    section = raw
    for key in above:
        section = section[key]
    section[last] = value
    with pytest.raises(InputError) as caught:
        load_config(raw)
    assert line in str(caught.value)
