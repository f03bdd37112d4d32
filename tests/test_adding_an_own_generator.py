"""A generator of the user, README's, takes one file and the lines of the configuration that name it."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import yaml
from additions import add, contents, touched
from checkout import ROOT, Checkout, executed, one_cell
from safetensors.numpy import load_file

from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.storage.manifest import Manifest
from dwf_steps.subspace.basis import Basis

FILE = "my_generator.py"
CELL = "results/micro/git_rebasin/pca_4"
RERUN = ("fit_generator", "sample_generator", "decode", "score", "evaluate", "tabulate")


def example() -> tuple[dict[str, str], dict[str, object]]:
    """Return README's file by name, and the settings that go with it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"```python\n# {FILE}\n(.*?)```\n\n```yaml\n(.*?)```", readme, re.S)
    assert found
    return {FILE: found[1]}, yaml.safe_load(found[2])["generators"]


@pytest.fixture(scope="module")
def added(new_checkout: Callable[[], Checkout]) -> tuple[Checkout, set[str], str]:
    """Return a checkout in which that generator went through the workflow beside a control, which files it
    took, and what was printed."""
    checkout, (files, generators) = new_checkout(), example()
    before = contents(checkout.folder)
    add(checkout.folder, files)
    generators |= {"gaussian": {"kind": "gaussian", "sampling": {"samples": 6}}}
    checkout = one_cell(checkout, "iris", [4, 6, 3], generators=generators)
    checkout.config["experiments"][0]["generators"] = list(generators)
    checkout.write_config()
    changed = touched(before, contents(checkout.folder))
    return checkout, changed, checkout.snakemake("tables")


def test_it_touches_one_file_and_the_configuration(added: tuple[Checkout, set[str], str]) -> None:
    assert added[1] == {FILE, "experiment.yaml"}


def test_the_workflow_fits_samples_decodes_and_reports_it(added: tuple[Checkout, set[str], str]) -> None:
    checkout, _, output = added
    jobs = executed(output)
    assert [jobs[name] for name in RERUN] == [1, 2, 2, 2, 2, 1]
    networks = Manifest.read(checkout.folder / CELL / "mine/networks/shard-0.json")
    assert (len(networks.networks), networks.failed) == (20, ())
    tables = checkout.folder / "results/tables"
    accuracy = pd.read_csv(tables / "accuracy.csv").query("metric == 'accuracy'").set_index("generator")
    assert dict(accuracy.generated_n) == {"mine": 20, "gaussian": 6}
    assert (pd.read_csv(tables / "cost.csv").set_index("generator").fit_seconds["mine"]) > 0
    assert checkout.pending("tables") == set()


def test_its_samples_are_what_its_formula_says(added: tuple[Checkout, set[str], str]) -> None:
    folder = added[0].folder / CELL
    basis, model = Basis.load(folder / "basis.npz"), load_file(folder / "mine/model.safetensors")
    np.testing.assert_allclose(model["std"] ** 2, basis.variances)
    noise = numpy_generator("sample custom", 0).standard_normal((20, len(basis.variances)))
    found = Samples.load(folder / "mine/latents.npz").latents
    np.testing.assert_allclose(found, 0.5 * np.sqrt(basis.variances) * noise)


def test_a_changed_formula_reruns_its_fit_and_what_follows_and_a_comment_nothing(
    added: tuple[Checkout, set[str], str],
) -> None:
    checkout = added[0]
    file = checkout.folder / FILE
    text = file.read_text()
    file.write_text(f"# A comment.\n{text}".replace("    def fit", "    # Another one.\n    def fit"))
    assert checkout.pending("tables") == set()
    file.write_text(text.replace("ddof=1", "ddof=0"))
    assert executed(checkout.snakemake("--dry-run", "tables")) == dict.fromkeys(RERUN, 1)
    folder = checkout.folder / CELL
    control = (folder / "gaussian/latents.npz").stat().st_mtime_ns
    checkout.snakemake("tables")
    assert (folder / "gaussian/latents.npz").stat().st_mtime_ns == control
    n, variances = 8, Basis.load(folder / "basis.npz").variances
    np.testing.assert_allclose(
        load_file(folder / "mine/model.safetensors")["std"] ** 2, variances * (n - 1) / n
    )


def test_a_mistake_ends_the_run_with_a_line_that_names_key_and_place(
    added: tuple[Checkout, set[str], str],
) -> None:
    checkout = added[0]
    file = checkout.folder / FILE
    text = file.read_text()
    file.write_text(text.replace('kwargs["scale"]', 'kwargs["skale"]'))
    output = checkout.snakemake("tables", check=False)
    line = next(i for i, line in enumerate(file.read_text().splitlines(), start=1) if "skale" in line)
    where = f"sample failed (KeyError: 'skale', {FILE} line {line}); correct it"
    assert f"error: generators.mine.import: my_generator:Axes: {where}\n" in output
    assert "Traceback" not in output
