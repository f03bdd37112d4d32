"""A job that reaches its time limit saves its state, and the next attempt continues from it."""

from collections.abc import Callable
from copy import deepcopy

from checkout import Checkout
from slurm.cluster import Cluster
from slurm.runs import ClusterRun

GENERATOR = "micro/none/pca_4/flow"
GROUPED = ("choose_reference", "canonicalize", "stack_weights", "accumulate_gram", "solve_basis")
STEPS = 40_000  # longer than Slurm takes to notice that a limit is reached: up to half a minute


def test_a_training_that_reaches_its_time_limit_resumes(
    slurm: Cluster, new_checkout: Callable[[], Checkout]
) -> None:
    limited, undisturbed = new_checkout(), new_checkout()
    for checkout in (limited, undisturbed):
        config = deepcopy(checkout.config)
        config["generators"]["flow"]["training"]["steps"] = STEPS
        checkout.write_config(config)
    model, log_file = f"results/{GENERATOR}/model.safetensors", f"results/logs/{GENERATOR}/fit_generator.log"
    log = limited.folder / log_file
    # The zoo's shards are submitted as an array, and all from alignment to basis as one job.
    groups = [f"{rule}=align" for rule in GROUPED]
    run = ClusterRun.start(limited, slurm, model, "--slurm-array-jobs", "train_zoo", "--groups", *groups)
    try:
        job = run.at_work("rule_fit_generator/micro_none_pca_4_flow", log_file)
        # Limits are whole minutes, a minute at least; this one ends now.
        slurm.run("scontrol", "update", f"JobId={job}", "EndTime=now")
        # Read at once: the next attempt writes its log in the same place.
        slurm.wait_for(lambda: "the next attempt resumes from it" in log.read_text(), "its state to be saved")
        undisturbed.snakemake(model)
        output = run.finish()
    finally:
        run.process.kill()
        run.process.wait()

    ended, submitted = slurm.ended_jobs(), run.submitted()
    attempts = [number for number, name in submitted.items() if name.startswith("rule_fit_generator/")]
    assert [ended[number]["JobState"] for number in attempts] == ["TIMEOUT", "COMPLETED"]
    assert "resumed after step" in log.read_text()
    for name in ("model.safetensors", "training.csv"):
        assert limited.results(f"{GENERATOR}/{name}") == undisturbed.results(f"{GENERATOR}/{name}")
    assert not list(limited.folder.rglob("*.checkpoint"))
    assert output.count("Submitted array job") == 1
