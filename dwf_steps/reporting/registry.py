"""The tables and figures there are: each one's name, makers, condition and caption, here alone.

The rules import this page to know which files there will be, so it imports no maker: these are named by their
dotted path and imported by the step that calls them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from dwf_steps.reporting.record import ExperimentRecord, swept_families

Kind = Literal["table", "figure"]
Arguments = dict[str, tuple[str, ...]]
"""By name, what its makers are told besides the results."""


@dataclass(frozen=True)
class Exhibit:
    """A table, a figure, or both under one name.

    Attributes
    ----------
    caption
        In reStructuredText, without what it covers, which `captions` adds.
    table, figure
        Their makers, as ``module:function``. A table's is called with the results (`Collection`), the tables
        it needs and its arguments, and returns a frame; a figure's with the results, the path to write, the
        tables it needs and its arguments.
    table_needs, figure_needs
        Names of tables that the makers read; ``{name}`` is the exhibit's own.
    condition
        Whether an experiment has it.
    members
        Given where an experiment may have several: their names, and what the makers are told of each.
    bold
        A function of the table that says which cells of it are set in bold.
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
        """Return the maker of the table or of the figure, None where there is none."""
        return self.table if kind == "table" else self.figure

    def of(self, records: Iterable[ExperimentRecord]) -> Arguments:
        """Return under which names experiments have it, and what its makers are told of each."""
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
        table_needs=("cost", "novelty"),
        figure="dwf_steps.reporting.figures.overview:overview",
        figure_needs=("overview", "cost"),
        caption="""
How good, how new and how expensive each generator's networks are: test accuracy, distance to the nearest
training network relative to held-out networks' (to the zoo's own where none are held out), after Git
Re-Basin has matched each to every training network where that was measured, and seconds for a network. New
are generators whose mean distance is at least 90 % of that. The figure shows of each generator with several
settings the most accurate one that is new, or of all where none is; numbers beside the first panel are
accuracies in per cent, recalibrated ones in the order of the marks. Seconds include the start of jobs;
dotted lines end where the fit is divided over the generator's networks.""",
    ),
    Exhibit(
        "accuracy_at_novelty",
        figure="dwf_steps.reporting.figures.novelty:accuracy_at_novelty",
        caption="""
Mean test accuracy against the mean distance to the nearest training network, after Git Re-Basin has
matched each to every training network where that was measured, over each generator's settings and those
of its coordinates; solid lines are flows, dashed ones controls. Distances are relative to those of
held-out networks (of the zoo's own, each left out in turn, where none are held out), whose 5th to 95th
percentiles the green box spans: generated networks there are as new and as good as newly trained ones,
those at 0 % are copies.""",
    ),
    Exhibit(
        "accuracy_against_iou",
        figure="dwf_steps.reporting.figures.novelty:accuracy_against_iou",
        caption="""
Test accuracy against the largest wrong-set IoU with any training network, one point a generated
network. The grey region spans the 5th to the 95th percentile of the zoo's own leave-one-out values:
points to its right resemble a training network more than training networks resemble each other.""",
    ),
    Exhibit(
        "nearest_accuracy",
        figure="dwf_steps.reporting.figures.novelty:nearest_accuracy",
        caption="""
Test accuracy of each generated network against that of the training network nearest to it by weights, a
panel for each generator; crosses are held-out networks. Copies lie on the diagonal, where a network
scores what its nearest training network does.""",
    ),
    Exhibit(
        "first_layers",
        condition=lambda record: bool(record.image_shapes),
        figure="dwf_steps.reporting.figures.first_layers:first_layers",
        caption="""
The first units of one network of each generator, of a held-out network, and of the training network
nearest to any of those generated, as images of their incoming weights: red positive, blue negative, on
each network's own scale; of colour images the mean over channels.""",
    ),
    Exhibit(
        "accuracy",
        table="dwf_steps.reporting.tables:accuracy_table",
        bold="dwf_steps.reporting.tables:best_accuracies",
        caption="""
Test accuracy and cross-entropy (nats) of generated networks beside their zoo's training networks: mean
and standard deviation over networks. Where a number is predicted, errors are in the target's own unit,
and the loss is the squared error of targets scaled to 0 to 1. ``failed_n`` counts samples whose weights
or outputs are not finite.""",
    ),
    Exhibit(
        "class_accuracy",
        condition=lambda record: bool(record.classifying),
        table="dwf_steps.reporting.tables:class_accuracy_table",
        caption="""
Test accuracy on each class alone, its share of the ``examples`` of this class in the test set: mean over
the zoo's training networks, and mean and standard deviation over generated ones. A class that generated
networks miss and the zoo's do not may hide in the mean accuracy where it is rare.""",
    ),
    Exhibit(
        "novelty",
        table="dwf_steps.reporting.tables:novelty_table",
        table_needs=("layers",),
        caption="""
Novelty of generated networks: the mean over networks of the largest wrong-set IoU with any training
network (1 is the same mistakes), and of the distance to the nearest training network, by predictions
(``prediction_distance``: Hellinger distance, or root mean square of numbers) and by weights, beside the
zoo's own leave-one-out values and those of its held-out networks; mean absolute differences between
predicted numbers are in the target's own unit. ``layer_novelty`` is the distance in that layer where it
is smallest relative to held-out networks', from the table ``layers``.""",
    ),
    Exhibit(
        "layers",
        table="dwf_steps.reporting.tables:layers_table",
        caption="""
Distance to the nearest training network in every layer alone, the smaller of that before and that after
Git Re-Basin has matched each network to every training network: mean over networks, beside the zoo's own
leave-one-out values and those of its held-out networks. ``ratio`` is relative to held-out networks (to
the zoo's own where none are held out): near 0 where a layer is copied, however new the others are.""",
    ),
    Exhibit(
        "good_and_new",
        table="dwf_steps.reporting.tables:good_and_new_table",
        caption="""
Share of each generator's networks, failed ones included, that are both good and new, beside the zoo's own
(each left out in turn) and held-out networks. Good: ``score`` is at least the zoo's mean minus
``margin``. New: at least ``factor`` times as far from the nearest training network as training networks
are from each other, after Git Re-Basin has matched each to every training network where that was done.""",
    ),
    Exhibit(
        "distances",
        table="dwf_steps.reporting.tables:distances_table",
        caption="""
Where generated networks lie in weight space: distance to the nearest training network (raw, after Git
Re-Basin has matched each to every training network), the share of each inside the training networks'
affine span, how much of it a single one explains, and the loss barrier to the nearest (nats); beside
them the zoo's leave-one-out values and those of held-out networks. Distances within the subspace, and in
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
The best accuracy of each generator, over its settings, where its networks are as new as the zoo's own
are to each other and as held-out networks are, by max IoU and by distance to the nearest training
network; empty where it is never that new. ``area_over_controls``: how far its curve lies above the best
control's on average.""",
    ),
    Exhibit(
        "cost",
        table="dwf_steps.reporting.costs:cost_table",
        caption="""
What a generator costs beside training more networks, from the workflow's own measurements: seconds to
prepare the zoo, to fit, and for each network, and the number of networks from which generating is
cheaper.""",
    ),
    Exhibit(
        "accuracy_against_seconds",
        figure="dwf_steps.reporting.figures.seconds:accuracy_against_seconds",
        figure_needs=("cost",),
        caption="""
Mean test accuracy, scaled by log-odds, against the seconds that a network took, over each generator's
settings and those of its coordinates; solid lines are flows, dashed ones controls. Filled marks count
what is done for every network (sampling and decoding, or training, and recalibration), open ones also
the fit, divided over the generator's networks; jobs' seconds include their start. Preparing the zoo is
not counted. The star is training a network of the zoo.""",
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
and the seconds that all members took. The figure shows of each generator the setting whose largest
ensemble scores best.""",
    ),
    Exhibit(
        "alignment",
        table="dwf_steps.reporting.tables:alignment_table",
        caption="""
What each canonicalization did: mean distance to the reference network and mean loss barrier at the
midpoint (nats, on training examples), before and after, without the reference itself; the largest
relative change of an output in float64; sweeps of Git Re-Basin.""",
    ),
    Exhibit(
        "precision",
        table="dwf_steps.reporting.tables:precision_table",
        caption="""
What precision costs: the type the weight matrix is stored as, the rounding of the networks' weights by
it, and decoding in float32 against float64 (over up to eight column blocks). Each is the root mean
square of the error relative to that of the distance from the training mean.""",
    ),
    Exhibit(
        "timing",
        table="dwf_steps.reporting.tables:timing_table",
        caption="""
Seconds and peak memory of every stage, from the workflow's own benchmark files; jobs of one stage are
added up, memory is the largest of them.""",
    ),
    Exhibit(
        "explained_variance",
        figure="dwf_steps.reporting.figures.fits:explained_variance",
        caption="""
Cumulative share of the training networks' total variance over principal components. With n networks, n
- 1 components hold all of it.""",
    ),
    Exhibit(
        "flow_loss",
        figure="dwf_steps.reporting.figures.fits:loss_curves",
        caption="""
Loss over training steps, of flow matching or of what else is fitted, latents scaled to unit variance: mean
training loss since the last point, and validation loss of the averaged network on draws that training
never uses. Autoencoders are fitted first, their codes' model after them.""",
    ),
    Exhibit(
        "sweep",
        members=_studies,
        table="dwf_steps.reporting.sweeps:sweep_table",
        table_needs=("cost",),
        figure="dwf_steps.reporting.figures.studies:sweep",
        figure_needs=("{name}",),
        caption="""
A study: what changes along the swept setting, mean and standard deviation over networks, and over
repetitions (seeds, references) where there are several; beside them the zoo's leave-one-out values and
those of held-out networks, which distances in the figure are relative to. Generators that are swept over
the same setting as a representation are in its study too.""",
    ),
    Exhibit(
        "transfer",
        condition=lambda record: bool(record.transferred),
        table="dwf_steps.reporting.tables:transfer_table",
        figure="dwf_steps.reporting.figures.fits:transfer_curves",
        caption="""
Networks taken to another data set, whatever made them treated alike: test accuracy as they are
(``zero_shot``), after one epoch of fine-tuning and after the last, mean and standard deviation over n
networks. The figure shows every epoch.""",
    ),
    Exhibit(
        "likelihood",
        condition=lambda record: bool(record.likelihoods),
        table="dwf_steps.reporting.tables:likelihood_table",
        caption="""
How likely each flow finds networks, in nats a latent (mean and standard deviation over n networks):
training networks, held-out ones, and its own samples. A flow that copies finds training networks far
more likely than held-out ones. Values of one geometry and subspace compare; those of different ones do
not, their latents have different volumes.""",
    ),
    Exhibit(
        "representation",
        condition=lambda record: record.represented,
        table="dwf_steps.reporting.tables:representation_table",
        caption="""
Networks of the zoo decoded from their own response coordinates: their score on the test set before and
after, mean and standard deviation over n networks, and the most that one of them loses; the share of test
items on which both agree, the wrong-set IoU of both, and the distance between their weights relative to
these, and between their coordinates. ``share_kept``: the share of squared responses that the basis keeps
in the ``layer`` where it is smallest. Weights may differ where probes do not tell them apart.""",
    ),
    Exhibit(
        "representation_layers",
        condition=lambda record: record.represented,
        table="dwf_steps.reporting.tables:representation_layers_table",
        caption="""
Share of squared responses to the probes that each layer's response functions keep, mean over training
networks, of which the functions were found, and over held-out ones.""",
    ),
    Exhibit(
        "reconstruction",
        condition=lambda record: bool(record.autoencoders),
        table="dwf_steps.reporting.tables:reconstruction_table",
        caption="""
Networks of the zoo encoded and decoded by each autoencoder, before any is generated: their score on the
test set before and after, mean and standard deviation over n networks, and the most that one of them
loses; the share of test items on which both agree, the wrong-set IoU of both, the distance between their
weights relative to these, and between their coordinates relative to their distance from the training mean
(1 is as far as the mean itself). What subspace and representation lose is included; batch normalisation
has statistics of training examples. Held-out networks show how an autoencoder does on networks it was not
fitted to.""",
    ),
    Exhibit(
        "interpolation_barrier",
        condition=lambda record: bool(record.halfway),
        table="dwf_steps.reporting.tables:interpolation_barrier_table",
        caption="""
Networks half-way between two training networks, in the coordinates of each representation: their scores
on the test set, the mean of the two networks' (``ends``), and by how much it is better (``barrier``),
mean and standard deviation over n pairs. All networks are recalibrated alike.""",
    ),
    Exhibit(
        "other_widths",
        condition=lambda record: bool(record.other_widths),
        table="dwf_steps.reporting.tables:other_widths_table",
        caption="""
Networks of other widths than the flow was trained on: test accuracy and loss, mean and standard
deviation over n networks, on the data whose loss steered them where they were steered.""",
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
        What its maker is told besides.
    """

    name: str
    exhibit: Exhibit
    needs: tuple[str, ...]
    arguments: tuple[str, ...]


def asked(kind: Kind, *records: ExperimentRecord) -> Iterator[Asked]:
    """Yield the tables or the figures that experiments have."""
    for exhibit in EXHIBITS:
        maker = exhibit.maker(kind)
        needs = exhibit.table_needs if kind == "table" else exhibit.figure_needs
        for name, arguments in exhibit.of(records).items() if maker else ():
            yield Asked(name, exhibit, tuple(need.format(name=name) for need in needs), arguments)


def names(kind: Kind, *records: ExperimentRecord) -> list[str]:
    """Return the names of the tables or of the figures that experiments have."""
    return [item.name for item in asked(kind, *records)]


def captions(*records: ExperimentRecord) -> dict[str, str]:
    """Return the captions of the tables and figures that experiments have, by name."""
    scope = "\n".join(record.scope for record in records if record.scope)
    return {
        name: f"{exhibit.caption.strip()}\n{scope}\n" for exhibit in EXHIBITS for name in exhibit.of(records)
    }


def modules(kind: Kind) -> list[str]:
    """Return the modules that make tables or figures: the code that their step runs, but does not import."""
    makers = [exhibit.maker(kind) for exhibit in EXHIBITS]
    makers += [exhibit.bold for exhibit in EXHIBITS if kind == "table"]
    return list(dict.fromkeys(maker.partition(":")[0] for maker in makers if maker))


def import_maker(maker: str) -> Callable[..., Any]:
    """Import the function that ``module:function`` names."""
    module, _, function = maker.partition(":")
    return getattr(import_module(module), function)
