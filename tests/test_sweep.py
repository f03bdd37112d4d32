"""Sweeps: names, grids, experiments, errors."""

import pytest

from dwf_steps.config.sweep import Member, expand
from dwf_steps.runtime.errors import InputError


def test_a_sweep_becomes_a_definition_for_each_value_and_experiments_ask_for_all() -> None:
    raw = {
        "generators": {"noise": {"kind": "noise", "sweep": {"std": [0.01, 0.1]}}, "plain": {"kind": "x"}},
        "experiments": [{"generators": ["plain", "noise"]}],
    }
    expanded, members = expand(raw)
    assert expanded["generators"] == {
        "noise_std_0_01": {"kind": "noise", "std": 0.01},
        "noise_std_0_1": {"kind": "noise", "std": 0.1},
        "plain": {"kind": "x"},
    }
    assert expanded["experiments"] == [{"generators": ["plain", "noise_std_0_01", "noise_std_0_1"]}]
    assert members["generators"]["noise_std_0_1"] == Member("noise", {"std": 0.1})
    assert raw["generators"]["noise"]["sweep"] == {"std": [0.01, 0.1]}  # as it was


def test_several_keys_make_a_grid_with_nested_keys_and_the_rest_untouched() -> None:
    flow = {"kind": "flow", "training": {"lr": 1}, "sweep": {"training.seed": [0, 1], "source_std": [1e-5]}}
    expanded, members = expand({"generators": {"flow": flow}})
    assert expanded["generators"] == {
        "flow_seed_0_source_std_1e_05": {
            "kind": "flow",
            "training": {"lr": 1, "seed": 0},
            "source_std": 1e-5,
        },
        "flow_seed_1_source_std_1e_05": {
            "kind": "flow",
            "training": {"lr": 1, "seed": 1},
            "source_std": 1e-5,
        },
    }
    first, second = members["generators"].values()
    assert first.setting == second.setting == {"source_std": 1e-5}
    assert flow["training"] == {"lr": 1}


def test_keys_with_the_same_last_part_are_told_apart() -> None:
    flow = {"sweep": {"training.seed": [0], "sampling.seed": [3]}}
    assert list(expand({"generators": {"flow": flow}})[0]["generators"]) == [
        "flow_training_seed_0_sampling_seed_3"
    ]


def test_a_list_of_methods_is_addressed_by_method() -> None:
    canon = {"methods": ["git_rebasin", "normalized"], "sweep": {"git_rebasin.reference": [0, "medoid"]}}
    expanded, _ = expand({"canonicalizations": {"aligned": canon}})
    assert expanded["canonicalizations"] == {
        "aligned_reference_0": [{"method": "git_rebasin", "reference": 0}, {"method": "normalized"}],
        "aligned_reference_medoid": [
            {"method": "git_rebasin", "reference": "medoid"},
            {"method": "normalized"},
        ],
    }


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ({"noise": {"sweep": [1]}}, "generators.noise.sweep: found"),
        ({"noise": {"sweep": {}}}, "generators.noise.sweep: found"),
        ({"noise": {"sweep": {"std": 0.1}}}, "generators.noise.sweep.std: found 0.1; expected a list"),
        ({"noise": {"sweep": {"std": [1]}}, "noise_std_1": {}}, "'noise_std_1', which is already defined"),
        ({"noise": {"kind": "noise", "sweep": {"kind.std": [1]}}}, "'kind' is not a section"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(definitions: dict, message: str) -> None:
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        expand({"generators": definitions})
