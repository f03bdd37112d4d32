"""What tables and figures are told of the experiments."""

import pytest
from small_config import small_config

from dwf_steps.pipeline.experiment import Experiment
from dwf_steps.pipeline.load import load_config
from dwf_steps.pipeline.record import record_of
from dwf_steps.reporting import registry


@pytest.mark.parametrize("numbers", [False, True])
def test_there_are_accuracies_by_class_where_networks_tell_classes_apart(numbers: bool) -> None:
    config = small_config()
    if numbers:
        table = {"file": __file__, "target": "x", "regression": {"high": 4}}
        config["zoos"]["iris"] |= {"dataset": table, "architecture": {"widths": [4, 5, 1]}}
    record = record_of(Experiment(load_config(config)))
    assert record.classifying == ([] if numbers else ["iris"])
    assert ("class_accuracy" in registry.names("table", record)) == (not numbers)
