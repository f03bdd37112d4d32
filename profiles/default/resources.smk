"""What a job asks for, from the size of its problem: threads, memory (MB), time (minutes), GPUs.

Each estimate counts the largest arrays that a step holds at once, in bytes, and its arithmetic and reading,
in seconds of one thread. A profile's own expressions cannot see the configuration, hence functions.
"""

import math
from functools import cache

from dwf_steps.config.dataset import TableFile, facts_of
from dwf_steps.pipeline.network_facts import network_facts

PROCESS_MB = 1000  # Python with PyTorch (450 measured), and Snakemake twice around it in a cluster's job
CUDA_MB = 4000  # what CUDA takes of the host's memory
MEMORY_MARGIN = 1.5
START_MINUTES = 10  # environments and imports from a busy shared file system
TIME_MARGIN = 4
FLOPS = 5e9  # a second and thread; large products reach five times that
READ = 50e6  # bytes a second, from and to a shared file system
STEP = 0.003  # seconds of an optimisation step, however small
GPU_SECONDS = 1800  # of one thread; what takes less is not worth waiting for a GPU
GPU_SPEED = 3  # of a GPU beside one thread, at least: small steps gain little
GPU_SPEED_LARGE = 1000  # of networks that fill it: 5 * 10^12 operations a second
LARGE = 5e6  # multiplications for one input, from which on a network fills a GPU
CHUNK = 16 * 2**20  # bytes, of the weight matrix
BLOCK = 2**28  # bytes, of networks or of their columns that are read at a time
SCORING = 4 * 64 * 2**20  # bytes, of a block of examples' activations

# `--resources gpu=N` bounds what rules ask for. A cluster's jobs read this file again without being told, and
# would ask for a GPU inside an allocation that has none: the environment tells them.
if workflow.is_main_process:
    os.environ.update(DWF_GPU="no" if workflow.global_resources.get("gpu").value == 0 else "yes")


def memory(estimate, accelerated=False):
    """The resource `mem_mb` of a rule: what its estimate says, and more with each attempt."""

    def mem_mb(wildcards, attempt):
        process = PROCESS_MB + CUDA_MB * (accelerated and wants_gpu(estimate, wildcards))
        return attempt * (process + math.ceil(MEMORY_MARGIN * estimate(problem(wildcards))[0] / 2**20))

    return mem_mb


def minutes(estimate, accelerated=False):
    """The resource `runtime` of a rule: what its estimate says, and more with each attempt."""

    def runtime(wildcards, attempt):
        p = problem(wildcards)
        speed = 1
        if accelerated and wants_gpu(estimate, wildcards):
            of_flow = estimate in (train_flow_work, sample_flow_work)
            speed = GPU_SPEED if of_flow or p.multiplications < LARGE else GPU_SPEED_LARGE
        seconds = estimate(p)[1] / speed
        return attempt * (START_MINUTES + math.ceil(TIME_MARGIN * seconds / 60))

    return runtime


def gpus(estimate):
    """The resource `gpu` of a rule: one where the work is long, else none."""

    def gpu(wildcards):
        return int(wants_gpu(estimate, wildcards))

    return gpu


def wants_gpu(estimate, wildcards):
    return os.environ.get("DWF_GPU") != "no" and estimate(problem(wildcards))[1] > GPU_SECONDS


def zoo_threads(wildcards):
    """One thread where a shard is small: several shards then train side by side."""
    unbind_threads()
    return 1 if problem(wildcards).d < 10_000 else 4


def matrix_threads(wildcards):
    """One thread where the matrix is small: several jobs then run side by side."""
    unbind_threads()
    p = problem(wildcards)
    return 1 if p.n * p.d < 10**8 else 4


def unbind_threads():
    """`cores: all` counts the cores of this machine; Snakemake would bound a cluster's jobs by them too."""
    if not workflow.local_exec:
        workflow.global_resources["_cores"] = workflow.resource_settings.cores = None


@cache
def zoo_sizes(name):
    """Networks n, weights d, examples m: the same for all of a zoo's jobs, of which there may be thousands."""
    zoo = CONFIG.zoos[name]
    dataset = CONFIG.dataset(zoo)
    if isinstance(dataset, TableFile):  # a value takes two characters at least
        m = dataset.file.stat().st_size // (2 * zoo.architecture.features)
    else:
        m = facts_of(dataset).examples
    return len(network_names(zoo)), network_facts(zoo.architecture).n_parameters, m


def problem(wildcards):
    """The sizes that decide: networks n, of a shard s, trainings of a shard, weights d, examples m, generated
    networks g, latents k, weights of the velocity network v, ..."""
    if "zoo" not in wildcards.keys():
        if "transfer" in wildcards.keys():
            return SimpleNamespace(dataset=facts_of(CONFIG.dataset(CONFIG.transfers[wildcards.transfer])))
        return SimpleNamespace(dataset=CONFIG.datasets[wildcards.dataset].facts)
    zoo, network = zoo_of(wildcards), zoo_of(wildcards).architecture
    facts = network_facts(network)
    n, d, m = zoo_sizes(wildcards.zoo)
    p = SimpleNamespace(zoo=zoo, n=n, d=d, m=m, classes=network.classes)
    p.multiplications, p.most_units = facts.multiplications, facts.most_units
    p.units = network.features + sum(facts.layers)
    p.zoo_is_imported = wildcards.zoo in IMPORTED
    p.s = p.trained = n
    if wildcards.zoo in TRAINED:
        p.trained = min(zoo.seeds, zoo.shard_size)
        p.s = p.trained * zoo.checkpoints
    p.features = network.features
    p.data = 20 * m * network.features  # as read in float64, and as standardised in float32
    p.item = {"float16": 2, "float32": 4}[zoo.matrix.dtype]
    p.medoid = "canon" in wildcards.keys() and reference_for(wildcards) == "medoid"
    if "canon" in wildcards.keys() and wildcards.canon in TO_BARYCENTRE:
        p.rounds = until_barycentre(CONFIG.canonicalizations[wildcards.canon])[-1].rounds
    if "subspace" in wildcards.keys():
        subspace = CONFIG.subspaces[wildcards.subspace]
        p.raw, p.whole = subspace.method == "none", subspace.method == "incremental_pca"
        p.k = d if p.raw else subspace.components or min(n, d)
    p.transfer, p.recalibration = wildcards.get("transfer"), wildcards.get("recalibration")
    if "generator" in wildcards.keys():
        p.generator = CONFIG.generators[wildcards.generator]
        p.g = p.generator.sampling.samples
        # Of the matrix and the generated rows, in float64 and two copies.
        p.block = 24 * min(d, CHUNK // (n * p.item) + 1) * (n + p.g)
        if wildcards.generator in FLOWS:
            velocity = p.generator.velocity
            if velocity.network == "mlp":
                p.v = velocity.width * (2 * p.k + velocity.time_embedding + velocity.depth * velocity.width)
            elif velocity.network == "relational_transformer":  # what every weight passes through
                p.v = 10 * d * velocity.depth * velocity.width**2
            else:  # what every unit passes through, and what a unit's weights pass through
                p.v = (
                    18 * sum(facts.layers[:-1]) * velocity.depth * velocity.width**2
                    + 2 * d * velocity.width
                )
    return p


def prepare_images_work(p):
    """Decoded images, one by one and together; a millisecond each."""
    return 3 * p.dataset.examples * p.dataset.features, 1e-3 * p.dataset.examples


def prepare_texts_work(p):
    """Texts as they are, some hundred bytes a token, and cut; a millisecond each, and the tokenizer's pieces."""
    return 100 * p.dataset.examples * p.dataset.features, 60 + 1e-3 * p.dataset.examples


def divide_transfer_data_work(p):
    facts = p.dataset
    return 28 * facts.examples * facts.features, 60 + 1e-7 * facts.examples * facts.features


def divide_data_work(p):
    return p.data + 8 * p.m * p.features, 60 + 1e-8 * p.m * p.features


def train_zoo_work(p):
    """Weights, gradients, two moments, best, saved and written ones; a batch's inputs and activations; all
    checkpoints, saved and stacked, and their scores."""
    training, n = p.zoo.training, p.trained
    held = 32 * n * p.d + 16 * n * training.batch_size * p.units + 16 * n * p.m + 16 * (p.s - n) * p.d
    epoch = 6 * n * p.multiplications * p.m / FLOPS + STEP * (p.m / training.batch_size + n)
    scores = 2 * (p.s - n) * p.multiplications * p.m / FLOPS
    return held + p.data + SCORING, training.epochs * epoch + scores


def import_zoo_work(p):
    return 12 * p.n * p.d + p.data + SCORING, 8 * p.n * p.d / READ + 2 * p.n * p.multiplications * p.m / FLOPS


def choose_reference_work(p):
    """The medoid is found block by block: one as read, one centred, and two Gram matrices."""
    if not p.medoid:
        return 8 * p.d, 8 * p.d / READ
    return 3 * min(BLOCK, 4 * p.n * p.d) + 16 * p.n**2, 12 * p.n * p.d / READ


def find_barycentre_work(p):
    """A group of networks in both precisions, permuted, and what units gain; means in float64. Ten sweeps for
    every network in every round."""
    group = 10 * max(4 * p.d, min(4 * p.n * p.d, 2 * BLOCK))
    seconds = 40 * p.d * p.most_units / FLOPS + 4 * p.d / READ
    return group + BLOCK + 32 * p.d, (p.rounds + 1) * p.n * seconds


def canonicalize_work(p):
    """Networks before and after in both precisions, permuted, and at midpoints; ten sweeps, and barriers."""
    work = 40 * p.d * p.most_units + 30_000 * p.multiplications
    return 60 * p.s * p.d + p.data + SCORING, p.s * work / FLOPS


def stack_weights_work(p):
    return min(p.zoo.matrix.memory_mb * 2**20, 16 * p.n * p.d), 8 * p.n * p.d / READ


def accumulate_gram_work(p):
    """One block more than threads, each with its product."""
    seconds = p.n * p.d * (p.item / READ + 2 * p.n / FLOPS) / p.zoo.matrix.gram_jobs
    return 5 * (2 * CHUNK + 24 * p.n**2), seconds


def solve_basis_work(p):
    """Eigenvectors of the Gram matrix; scikit-learn's IncrementalPCA holds the matrix several times."""
    whole = p.n * p.d * p.whole
    return 64 * p.n**2 + (40 + 4 * p.item) * whole, (20 * p.n**3 + 20 * p.n * whole) / FLOPS


def train_flow_work(p):
    """The velocity network with mean, gradients, two moments and as saved; raw latents in float64."""
    training = p.generator.training
    draws = training.batch_size + training.validation_draws(p.k)
    latents = p.n * p.k * (28 + p.item if p.raw else 12) + 24 * draws * p.k
    step = STEP + p.v * (6 * training.batch_size + 30) / FLOPS
    return 28 * p.v + latents, training.steps * step


def sample_flow_work(p):
    """Four evaluations a step; dopri5 chooses its steps itself."""
    sampling = p.generator.sampling
    evaluations = 4 * (1000 if sampling.solver == "dopri5" else sampling.steps)
    held, work = 8 * p.v + 48 * p.g * p.k, 2 * p.v * p.g
    if sampling.guidance is not None:  # networks, their gradients, the training rows that they are made of
        examples = sampling.guidance.batch_size
        held += 16 * p.g * p.d + 12 * p.n * p.d + 8 * p.g * examples * p.units + p.data
        work += 6 * p.g * p.multiplications * examples + 4 * p.g * p.k * p.d * (not p.raw)
    return held, evaluations * (STEP + work / FLOPS)


def likelihood_work(p):
    """Four evaluations a step, each with a derivative for every probe."""
    asked = p.generator.likelihood
    n, probes = min(p.n, asked.networks) + p.g, p.k if asked.divergence == "exact" else asked.probes
    held = 8 * p.v + 24 * n * p.k * (1 + asked.probes) + 2**26 + 12 * p.n * p.d * p.raw
    return held, 4 * asked.steps * (STEP * probes + 2 * p.v * n * (1 + 2 * probes) / FLOPS)


def sample_other_widths_work(p):
    """As many weights as the widths have, for as many as the flow was trained on."""
    held, seconds = sample_flow_work(p)
    sizes = [p.zoo.architecture.model_copy(update={"widths": widths}) for widths in p.generator.other_widths]
    widest = max(network_facts(size).n_parameters for size in sizes)
    return held * widest / p.d + 12 * p.n * p.d + p.data, seconds * widest / p.d


def sample_control_work(p):
    return 32 * p.n * (p.n + p.g), p.n**2 * p.g / FLOPS


def train_control_work(p):
    """As for a shard of the zoo; no control trains for longer, but snapshots, one network for many epochs."""
    if p.generator.kind == "random_init" or p.zoo_is_imported:
        return 8 * p.g * p.d, 8 * p.g * p.d / READ
    p.s = p.trained = math.ceil(p.g / p.zoo.matrix.decode_jobs)
    held, seconds = train_zoo_work(p)
    if p.generator.kind == "snapshots":
        epochs = p.generator.skip_epochs + p.generator.every_epochs * p.g
        return held, epochs * (6 * p.multiplications * p.m / FLOPS + STEP * p.m / p.zoo.training.batch_size)
    return held, seconds * max(1, (p.generator.epochs if p.generator.kind == "trained" else 0) or 0)


def decode_work(p):
    """Blocks of columns decoded side by side, the budget for those decoded, offsets of flows on raw weights."""
    shard = math.ceil(p.g / p.zoo.matrix.decode_jobs)
    decoded = min(p.zoo.matrix.memory_mb * 2**20, 8 * shard * p.d)
    held = 5 * p.block + decoded + 4 * p.g * p.d * p.raw
    return held, 2 * p.n * shard * p.d / FLOPS + (p.n * p.item + 12 * shard) * p.d / READ


def score_zoo_work(p):
    return scoring(p, p.s)


def score_work(p):
    return scoring(p, math.ceil(p.g / p.zoo.matrix.decode_jobs))


def scoring(p, networks):
    """A group of networks, copied, and what all say about the test set and about shifted inputs."""
    group = 3 * max(4 * p.d, min(4 * networks * p.d, 2 * BLOCK))
    said = 4 * networks * p.m * p.classes
    return (
        group + said + p.data + SCORING,
        4 * networks * p.multiplications * p.m / FLOPS + 4 * networks * p.d / READ,
    )


def recalibrate_zoo_work(p):
    """As `recalibrate_work`, and what all say about the test set."""
    group = 10 * max(4 * p.d, min(4 * p.n * p.d, 2 * BLOCK))
    seconds = p.n * p.multiplications * (2 * p.m + examples_seen(p)) / FLOPS
    return group + 4 * p.n * p.m * p.classes + p.data + SCORING, seconds


def recalibrate_work(p):
    """A group of networks with their gradients and moments; some steps on training examples."""
    networks = math.ceil(p.g / p.zoo.matrix.decode_jobs)
    group = 10 * max(4 * p.d, min(4 * networks * p.d, 2 * BLOCK))
    seconds = networks * p.multiplications * examples_seen(p) / FLOPS + 8 * networks * p.d / READ
    return group + p.data + SCORING, seconds


def examples_seen(p):
    """Operations, for each multiplication that one input takes, of a network's recalibration."""
    seen = 0
    for method in CONFIG.recalibrations[p.recalibration]:
        if method.method == "fine_tune":
            seen += 6 * method.steps * method.batch_size
        elif method.method != "reference_statistics":
            seen += 4 * method.examples
    return seen


def export_pretrained_work(p):
    """Networks are read, to be sure that they are whole, and copied where there are no hard links."""
    return 4 * p.d, 12 * p.g * p.d / READ


def transfer_work(p):
    """As for a shard of the zoo, of another data set's size, and its test set scored after every epoch."""
    transfer = CONFIG.transfers[p.transfer]
    s, m = min(transfer.networks, p.g), facts_of(CONFIG.dataset(transfer)).examples
    held = 28 * s * p.d + 16 * s * transfer.training.batch_size * p.units
    epoch = 8 * s * p.multiplications * m / FLOPS + STEP * (m / transfer.training.batch_size + s)
    return held + 2 * p.data * m / p.m + SCORING, transfer.training.epochs * epoch


def evaluate_work(p):
    """A block of columns; what networks say, in both precisions; realigned and midpoint networks."""
    said = 12 * (p.n + p.g) * p.m * p.classes
    some = 100 * p.d * 16
    alike = 2 * p.g * (p.n + p.g) * (p.m * p.classes + p.d) / FLOPS
    seconds = alike + evaluated_pairs(p) + (p.n * p.item + 4 * p.g) * p.d / READ
    pairs = 24 * p.n**2 + 64 * p.g * (p.n + p.g)
    return p.block + said + some + BLOCK + p.data + SCORING + pairs, seconds


def evaluate_zoo_work(p):
    """The Gram matrix, two of its parts when they are read, and values of some networks with all others."""
    said = 12 * p.n * p.m * p.classes
    alike = 2 * p.n**2 * p.m * p.classes / FLOPS
    return 16 * p.n**2 + said + 100 * p.d * 16 + 8 * BLOCK, alike + evaluated_pairs(p)


def evaluated_pairs(p):
    """Seconds for matching networks anew to every training network: what units gain, twice for every axis."""
    return CONFIG.evaluation.realigned * p.n * p.d * 4 * p.most_units / FLOPS
