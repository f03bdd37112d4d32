"""Files of any name reach their step, and a changed one reruns it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from checkout import OFFLINE, Checkout
from PIL import Image
from torch import nn

from dwf_steps.pipeline.input_files import input_files, stamps
from dwf_steps.storage.manifest import Manifest

NAMES = (
    *("a {x}", "{zoo}", "{}", "{", "}", "<results>", "-c", "--output", "'q\"", "$HOME `ls`", "two\nlines"),
    *("#%20;&|", "\\n", "é ü", " first", "last ", "*?[x]", "~", "a" * 200, "a.b"),
)


def test_what_snakemake_would_fill_in_is_no_input_but_a_stamp(tmp_path: Path) -> None:
    plain, braces, gone = tmp_path / "a b.pt", tmp_path / "{a}.pt", tmp_path / "<b>.pt"
    braces.write_bytes(b"123")
    assert input_files([plain, None, braces]) == [str(plain)]
    first = stamps([plain, None, braces, gone])
    assert first[0].startswith(f"{braces}: 3 bytes, ") and first[1:] == [f"{gone}: missing"]
    os.utime(braces, ns=(5, 5))
    assert stamps([braces]) == [f"{braces}: 3 bytes, 5"]


def test_networks_of_any_name_are_imported(new_checkout: Callable[[], Checkout]) -> None:
    base = new_checkout()
    folder, table = base.folder / "-my {nets}", base.folder / "-my {table}.csv"
    folder.mkdir()
    for i, name in enumerate(NAMES):
        torch.manual_seed(i)
        state = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 2)])}).state_dict()
        torch.save(state, folder / f"{name}.pt")
    table.write_text("x,y,class\n" + "".join(f"{i},{i % 7},{i % 2}\n" for i in range(40)))
    zoo = {
        "import": folder.name,
        "dataset": {"file": table.name, "target": "class"},
        "architecture": {"widths": [2, 3, 2]},
    }
    checkout = Checkout(base.folder, base.config | {"zoos": {"micro": zoo}}, OFFLINE)
    checkout.write_config()
    checkout.snakemake("zoos")
    manifest = Manifest.read(base.folder / "results/micro/zoo/shard-0.json")
    assert sorted(record.name for record in manifest.networks) == sorted(NAMES)
    assert [path.stem for path in manifest.verified_files()] == [record.name for record in manifest.networks]
    assert checkout.pending("zoos") == set()

    shutil.copy(folder / "a.b.pt", folder / "{zoo}.pt")
    assert checkout.pending("zoos") == {"import_zoo"}


def test_images_and_texts_may_lie_in_files_of_any_name(new_checkout: Callable[[], Checkout]) -> None:
    base = new_checkout()
    images, texts, tokenizer = (base.folder / name for name in ("-i {x}", "{t}.csv", "<to {k}>"))
    (images / "a").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(images / "a/1.png")
    texts.write_text("text,label\na,0\nb,1\n")
    tokenizer.mkdir()
    (tokenizer / "vocab.txt").write_text("a\n")
    datasets = {
        "pictures": {"train": images.name, "size": 4},
        "reviews": {"train": texts.name, "length": 8, "tokenizer": tokenizer.name},
    }
    zoo = {"dataset": "pictures", "architecture": {"widths": [48, 2, 2]}, "seeds": 10}
    bert = {"kind": "bert", "length": 8, "width": 8, "depth": 1, "heads": 2, "mlp": 8, "classes": 2}
    zoos = {"micro": zoo, "texts": zoo | {"dataset": "reviews", "architecture": bert}}
    cell = base.config["experiments"][0] | {"zoos": ["micro", "texts"], "canonicalizations": ["none"]}
    config = base.config | {"datasets": datasets, "zoos": zoos, "experiments": [cell]}
    checkout = Checkout(base.folder, config, OFFLINE)
    checkout.write_config()
    assert checkout.pending("datasets") == {"prepare_images", "prepare_texts"}
