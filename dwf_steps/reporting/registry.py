"""All tables and figures: name, makers, condition and caption of each.

The rules import this module to know which files there will be, so it imports no maker. Makers are named by
their dotted path, and imported by the step that calls them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from dwf_steps.reporting.record import ExperimentRecord, swept_families

Kind = Literal["table", "figure"]
Arguments = dict[str, tuple[str, ...]]
"""By name of a table or figure, the arguments of its makers besides the results."""


@dataclass(frozen=True)
class Exhibit:
    """A table, a figure, or both under one name.

    Attributes
    ----------
    caption
        In reStructuredText, without the scope, which `captions` adds.
    table, figure
        Their makers, as ``module:function``. A table's maker is called with the results (`Collection`), the
        tables that it needs, and its arguments, and returns a frame; a figure's with the results, the path to
        write, the tables that it needs, and its arguments.
    table_needs, figure_needs
        Names of tables that the makers read; ``{name}`` is the exhibit's own.
    condition
        Whether an experiment has it.
    members
        For exhibits of which an experiment may have several: their names, and the makers' arguments for each.
    bold
        A function of the table that returns which cells are set in bold.
    """

    name: str
    caption: str
    table: str | None = None
    figure: str | None = None
    table_needs: tuple[str, ...] = ()
    figure_needs: tuple[str, ...] = ()
    condition: Callable[[ExperimentRecord], bool] | None = None
    members: Callable[[ExperimentRecord], Arguments] | None = None
    bold: str | None = None

    def maker(self, kind: Kind) -> str | None:
        """Return the maker of the table or of the figure; None if there is none."""
        return self.table if kind == "table" else self.figure

    def of(self, records: Iterable[ExperimentRecord]) -> Arguments:
        """Return the names under which experiments have it, with the makers' arguments for each."""
        found: Arguments = {}
        for record in records:
            if self.condition is None or self.condition(record):
                found |= {self.name: ()} if self.members is None else self.members(record)
        return found


def _studies(record: ExperimentRecord) -> Arguments:
    return {f"sweep_{family}": (family, level) for family, level in swept_families(record).items()}


EXHIBITS = (
    Exhibit(
        "overview",
        table="dwf_steps.reporting.overview:overview_table",
        table_needs=("cost", "novelty", "accuracy"),
        figure="dwf_steps.reporting.figures.overview:overview",
        figure_needs=("overview", "cost"),
        caption="""
How good, how new and how expensive each generator's networks are: test accuracy, distance to the nearest
training network relative to held-out networks' (to the zoo's own where none are held out), after Git
Re-Basin has matched each to every training network where that was measured, and seconds for a network. New
are generators whose mean distance is at least 90 % of that. ``relative_max_iou`` is max IoU relative to the
same networks, which ``relative_to`` names. The figure shows of each generator with several
settings the most accurate one that is new, or of all where none is; numbers beside the first panel are
accuracies in per cent, recalibrated ones in the order of the marks. Seconds include the start of jobs;
dotted lines end where the fit is divided over the generator's networks.""",
    ),
    Exhibit(
        "accuracy_at_novelty",
        figure="dwf_steps.reporting.figures.novelty:accuracy_at_novelty",
        caption="""
Mean test accuracy against the mean distance to the nearest training network, over each generator's
settings and those of its coordinates. Solid lines are learned generators, dashed lines controls. Distances
are measured after Git Re-Basin has matched each network to every training network, where that was done, and
are relative to those of held-out networks (or of the zoo's networks, leave-one-out, where none are held
out). The green box spans the 5th to the 95th percentile of those networks: generated networks there are as
new and as good as newly trained ones, those at 0 % are copies.""",
    ),
    Exhibit(
        "accuracy_against_iou",
        figure="dwf_steps.reporting.figures.novelty:accuracy_against_iou",
        caption="""
Test accuracy against the largest wrong-set IoU with any training network, one point a generated
network; large marks are means. The grey region spans the 5th to the 95th percentile of the zoo's own
leave-one-out values: points to its right resemble a training network more than training networks
resemble each other.""",
    ),
    Exhibit(
        "nearest_accuracy",
        figure="dwf_steps.reporting.figures.novelty:nearest_accuracy",
        caption="""
Test accuracy of each generated network against that of the training network nearest to it by weights, a
panel for each generator with networks about as accurate as the zoo's; the area of a mark is the number of
networks there, crosses are held-out networks. Copies lie on the diagonal, where a network
scores what its nearest training network does.""",
    ),
    Exhibit(
        "first_layers",
        condition=lambda record: bool(record.image_shapes),
        figure="dwf_steps.reporting.figures.first_layers:first_layers",
        caption="""
The first units of one network of each generator, of a held-out network, and of the training network
nearest to any of the generated ones, as images of their incoming weights. Red is positive and blue negative,
scaled to each network's largest weight; for colour images it is the mean over channels.""",
    ),
    Exhibit(
        "accuracy",
        table="dwf_steps.reporting.tables:accuracy_table",
        bold="dwf_steps.reporting.tables:best_accuracies",
        caption="""
Test accuracy and cross-entropy (nats) of generated networks and of their zoo's training networks: mean
and standard deviation over networks. Where numbers are predicted, errors are in the target's unit,
and the loss is the squared error of targets scaled to [0, 1]. ``failed_n`` counts samples whose weights
or outputs are not finite.""",
    ),
    Exhibit(
        "class_accuracy",
        condition=lambda record: bool(record.classifying),
        table="dwf_steps.reporting.tables:class_accuracy_table",
        caption="""
Test accuracy on each class, over the ``examples`` of this class in the test set: mean over the zoo's
training networks, and mean and standard deviation over generated networks. The mean accuracy can hide that
generated networks miss a rare class which the zoo's networks recognise.""",
    ),
    Exhibit(
        "novelty",
        table="dwf_steps.reporting.tables:novelty_table",
        table_needs=("layers",),
        caption="""
Novelty of generated networks: the mean over networks of the largest wrong-set IoU with any training
network (1 is the same mistakes), and of the distance to the nearest training network, by predictions
(``prediction_distance``: Hellinger distance, or root mean square of numbers) and by weights, beside the
zoo's leave-one-out values and those of held-out networks; mean absolute differences between
predicted numbers are in the target's unit. ``layer_novelty`` is the smallest distance of any layer,
relative to that of held-out networks, from the table ``layers``.""",
    ),
    Exhibit(
        "layers",
        table="dwf_steps.reporting.tables:layers_table",
        caption="""
Distance to the nearest training network in each layer, the smaller of the distances before and after
Git Re-Basin has matched each network to every training network: mean over networks, beside the zoo's
leave-one-out values and those of held-out networks. ``ratio`` is relative to held-out networks (or to
the zoo's networks where none are held out): it is near 0 where a layer is copied, even if others are new.""",
    ),
    Exhibit(
        "good_and_new",
        table="dwf_steps.reporting.tables:good_and_new_table",
        caption="""
Share of each generator's networks that are both good and new, failed networks included, beside those of
the zoo's networks (leave-one-out) and of held-out networks. Good: ``score`` is at least the zoo's mean minus
``margin``. New: at least ``factor`` times as far from the nearest training network as training networks
are on average, after Git Re-Basin has matched each to every training network where that was done.""",
    ),
    Exhibit(
        "distances",
        table="dwf_steps.reporting.tables:distances_table",
        caption="""
Where generated networks lie in weight space: distance to the nearest training network (raw, and after Git
Re-Basin has matched each to every training network), the share of each inside the training networks'
affine span, the share that a single training network explains, and the loss barrier to the nearest (nats),
beside the zoo's leave-one-out values and those of held-out networks. Distances within the subspace, and in
all coordinates of a representation other than weights (``representation_distance``), are in the
coordinates that the generator works in.""",
    ),
    Exhibit(
        "sets",
        table="dwf_steps.reporting.tables:sets_table",
        caption="""
Generated networks as a set beside the training networks: mean wrong-set IoU and mean distance within
each, dispersion ratio (the generated networks' mean distance over the zoo's), exact 2-Wasserstein distance
to the zoo beside that between halves of the zoo, and precision, recall, density and coverage in weight
space and in output space (Hellinger distance). ``data_copying`` is the z-scored Mann-Whitney U of
distances to the nearest training network, generated against held-out networks (Meehan et al. 2020): far
below 0 for copies, near 0 for networks as far away as held-out ones; in weight space after realigning,
where that was measured, and in the coordinates of a representation other than weights. ``in_cells``: C_T,
its mean over k-means cells of the zoo, where there are at least 80 held-out networks for two of them.""",
    ),
    Exhibit(
        "novelty_accuracy",
        table="dwf_steps.reporting.frontier:novelty_accuracy_table",
        caption="""
The best accuracy of each generator, over its settings, at which its networks are as new as the zoo's
networks are to each other, and as held-out networks are, by max IoU and by distance to the nearest training
network; empty if they are never that new. ``area_over_controls``: how far its curve lies above that of the
best control on average.""",
    ),
    Exhibit(
        "cost",
        table="dwf_steps.reporting.costs:cost_table",
        caption="""
The cost of a generator compared with training more networks, as measured by the workflow: seconds to
prepare the zoo, to fit, and for each network, and the number of networks from which generating is
cheaper.""",
    ),
    Exhibit(
        "accuracy_against_seconds",
        figure="dwf_steps.reporting.figures.seconds:accuracy_against_seconds",
        figure_needs=("cost",),
        caption="""
Mean test accuracy, on a log-odds scale, against the seconds per network, over each generator's
settings and those of its coordinates. Solid lines are learned generators, dashed lines controls. Filled
marks count what is done for every network (sampling and decoding, or training, and recalibration), open
marks also the fit, divided by the number of networks. The seconds of jobs include their start; preparing
the zoo is not counted. The star is the training of a network of the zoo.""",
    ),
    Exhibit(
        "ensembles",
        table="dwf_steps.reporting.costs:ensembles_table",
        table_needs=("cost",),
        figure="dwf_steps.reporting.figures.seconds:ensembles",
        figure_needs=("ensembles",),
        caption="""
Ensembles of generated networks beside ensembles of trained ones (``zoo``), mean over random subsets:
accuracy, loss (nats), Brier score, calibration error, AUROC of telling test items from shifted inputs,
and the seconds that all members took. The figure shows accuracy against the number of members and against
their seconds, of each generator in the setting whose largest ensemble scores best.""",
    ),
    Exhibit(
        "alignment",
        table="dwf_steps.reporting.tables:alignment_table",
        caption="""
The effect of each canonicalization: mean distance to the reference network and mean loss barrier at the
midpoint (nats, on training examples), before and after, without the reference itself; the largest
relative change of an output in float64; sweeps of Git Re-Basin.""",
    ),
    Exhibit(
        "precision",
        table="dwf_steps.reporting.tables:precision_table",
        caption="""
Numerical errors: the type in which the weight matrix is stored, the rounding error that it causes, and the
error of decoding in float32 instead of float64 (over up to eight column blocks). Errors are root mean
squares relative to that of the distance from the training mean.""",
    ),
    Exhibit(
        "timing",
        table="dwf_steps.reporting.tables:timing_table",
        caption="""
Seconds and peak memory of every stage, from the workflow's benchmark files: seconds are summed over the
jobs of a stage, memory is the largest of any job.""",
    ),
    Exhibit(
        "explained_variance",
        figure="dwf_steps.reporting.figures.fits:explained_variance",
        caption="""
Cumulative share of the training networks' total variance over principal components. With n networks, n
- 1 components explain all of it.""",
    ),
    Exhibit(
        "flow_loss",
        condition=lambda record: bool(record.fitted_by),
        figure="dwf_steps.reporting.figures.fits:loss_curves",
        caption="""
Loss over training steps, of flow matching or of another model, with latents scaled to unit variance: mean
training loss since the last point, and validation loss of the averaged network on draws that are not used
for training. Autoencoders are fitted first, the model of their codes afterwards.""",
    ),
    Exhibit(
        "sweep",
        members=_studies,
        table="dwf_steps.reporting.sweeps:sweep_table",
        table_needs=("cost",),
        figure="dwf_steps.reporting.figures.studies:sweep",
        figure_needs=("{name}",),
        caption="""
Results along the swept setting: mean and standard deviation over networks, and over repetitions (seeds,
references) where there are several, beside the zoo's leave-one-out values and those of held-out networks,
whose 5th to 95th percentiles are bands. Distances in the figure are relative to those of held-out networks,
accuracies on a log-odds scale; all studies of a zoo have equal ranges. Generators that are swept over the
same setting as a representation are included in its study.""",
    ),
    Exhibit(
        "transfer",
        condition=lambda record: bool(record.transferred),
        table="dwf_steps.reporting.tables:transfer_table",
        figure="dwf_steps.reporting.figures.fits:transfer_curves",
        caption="""
Networks transferred to another data set, with the same procedure for all generators: test accuracy before
fine-tuning (``zero_shot``), after one epoch, and after the last, mean and standard deviation over n
networks. The figure shows every epoch.""",
    ),
    Exhibit(
        "likelihood",
        condition=lambda record: bool(record.likelihoods),
        table="dwf_steps.reporting.tables:likelihood_table",
        caption="""
Log-density of networks under each flow, in nats per latent dimension (mean and standard deviation over n
networks): of training networks, held-out networks, and samples. A flow that memorises assigns far higher
densities to training networks than to held-out ones. Values are only comparable within one geometry and
subspace, since the latents of others have different volumes.""",
    ),
    Exhibit(
        "representation",
        condition=lambda record: record.represented,
        table="dwf_steps.reporting.tables:representation_table",
        caption="""
Networks of the zoo decoded from their own response coordinates: their score on the test set before and
after, mean and standard deviation over n networks, and the largest loss of any network; the share of test
items on which both agree, the wrong-set IoU of both, the relative distance between their weights, and that
between their coordinates. ``share_kept``: the share of squared responses that the basis keeps in the
``layer`` where it is smallest. Different weights may have the same responses to the probes.""",
    ),
    Exhibit(
        "representation_layers",
        condition=lambda record: record.represented,
        table="dwf_steps.reporting.tables:representation_layers_table",
        caption="""
Share of squared responses to the probes that each layer's response functions keep: mean over training
networks, from which the functions were computed, and over held-out networks.""",
    ),
    Exhibit(
        "reconstruction",
        condition=lambda record: bool(record.autoencoders),
        table="dwf_steps.reporting.tables:reconstruction_table",
        caption="""
Networks of the zoo encoded and decoded by each autoencoder, before any is generated: their score on the
test set before and after, mean and standard deviation over n networks, and the largest loss of any
network; the share of test items on which both agree, the wrong-set IoU of both, the relative distance
between their weights, and the distance between their coordinates relative to that from the training mean
(1 is as far as the mean itself). Losses due to subspace and representation are included; the statistics of
batch normalisation are recomputed on training examples. Held-out networks show how well an autoencoder
reconstructs networks to which it was not fitted.""",
    ),
    Exhibit(
        "interpolation_barrier",
        condition=lambda record: bool(record.halfway),
        table="dwf_steps.reporting.tables:interpolation_barrier_table",
        caption="""
Networks half-way between two training networks, in the coordinates of each representation: their scores
on the test set, the mean score of the two networks (``ends``), and by how much that is better (``barrier``),
mean and standard deviation over n pairs. All networks have the same recalibration.""",
    ),
    Exhibit(
        "other_widths",
        condition=lambda record: bool(record.other_widths),
        table="dwf_steps.reporting.tables:other_widths_table",
        caption="""
Networks of other widths than those that the flow was fitted to: test accuracy and loss, mean and standard
deviation over n networks. Networks that were guided by a loss are scored on the data of that loss.""",
    ),
)


@dataclass(frozen=True)
class Asked:
    """A table or figure that an experiment has.

    Attributes
    ----------
    needs
        Names of the tables that its maker reads.
    arguments
        Further arguments of its maker.
    """

    name: str
    exhibit: Exhibit
    needs: tuple[str, ...]
    arguments: tuple[str, ...]


def asked(kind: Kind, *records: ExperimentRecord) -> Iterator[Asked]:
    """Yield the tables or the figures that experiments have.

    Parameters
    ----------
    kind
        Which of the two.
    records
        Of the experiments.

    Yields
    ------
    Each table or figure, in the order of the registry.
    """
    for exhibit in EXHIBITS:
        maker = exhibit.maker(kind)
        needs = exhibit.table_needs if kind == "table" else exhibit.figure_needs
        for name, arguments in exhibit.of(records).items() if maker else ():
            yield Asked(name, exhibit, tuple(need.format(name=name) for need in needs), arguments)


def names(kind: Kind, *records: ExperimentRecord) -> list[str]:
    """Return the names of the tables or of the figures that experiments have.

    Parameters
    ----------
    kind
        Which of the two.
    records
        Of the experiments.

    Returns
    -------
    Names in the order of the registry.
    """
    return [item.name for item in asked(kind, *records)]


def captions(*records: ExperimentRecord) -> dict[str, str]:
    """Return the captions of all tables and figures that experiments have.

    Parameters
    ----------
    records
        Of the experiments.

    Returns
    -------
    Captions by name, with the zoos and generators that they cover.
    """
    scope = "\n".join(record.scope for record in records if record.scope)
    return {
        name: f"{exhibit.caption.strip()}\n{scope}\n" for exhibit in EXHIBITS for name in exhibit.of(records)
    }


def modules(kind: Kind) -> list[str]:
    """Return the modules that make tables or figures, which their step runs but does not import.

    Parameters
    ----------
    kind
        Which of the two.

    Returns
    -------
    Dotted names, each once.
    """
    makers = [exhibit.maker(kind) for exhibit in EXHIBITS]
    makers += [exhibit.bold for exhibit in EXHIBITS if kind == "table"]
    return list(dict.fromkeys(maker.partition(":")[0] for maker in makers if maker))


def import_maker(maker: str) -> Callable[..., Any]:
    """Import a maker.

    Parameters
    ----------
    maker
        As ``module:function``.

    Returns
    -------
    The function.
    """
    module, _, function = maker.partition(":")
    return getattr(import_module(module), function)
