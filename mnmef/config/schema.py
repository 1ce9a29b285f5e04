"""The schema of config.yaml: meaning and range of every key."""

from typing import Annotated, Any, Literal

from mnmef.config.data import Assimilation, Data, Evaluation
from mnmef.config.fields import ExperimentName, FilterName, Level, MethodName, Section, Several, Some, Whole, knob
from mnmef.config.learning import ConvModel, Finetuning, Learned, LocalModel, MembersModel, Model, Training
from mnmef.config.search import Ienks, Published, Reference, Search
from mnmef.config.studies import (
    Canonical,
    FinetuningCurve,
    LinearGaussianStudy,
    LocalizationStudy,
    Robustness,
    Scaling,
    Timing,
    TrainingSeeds,
)

RUN_WIDE = (
    *("scale", "seed", "weights", "own_weights", "analyses", "assimilations", "experiments", "noise_levels"),
    *("ensemble_sizes", "training_seeds", "finetuning_curve", "linear_gaussian", "robustness", "scaling", "canonical"),
)
"""Keys that all experiments of a run have in common, so that the file of an experiment cannot change them."""

RUN_WIDE_PARTS = (
    *("training.ensemble_size", "training.time_limit", "finetuning.keep", "evaluation.traced"),
    *("localization_study.experiment", "reference.in_figures"),
)
"""The same of keys in sections that the file of an experiment may change elsewhere."""

RENAMED = {
    "systems": "experiments",
    "tuning": "search",
    "ienks_sqrt_lag2": "ienks",
    "training_seeds.systems": "training_seeds.experiments",
    "robustness.forcings": "robustness.options.forcing",
}
"""Keys of earlier versions -> present names."""


class Config(Section):
    """The merged config of one scale and, within it, one experiment."""

    scale: str = knob("name of the overlay in use; results go to results/<scale>")
    seed: Whole = knob("root of every random stream")
    weights: Literal["train", "shipped"] = knob("where learned filters come from")
    own_weights: dict[str, str] = knob("your own checkpoints of any learned filter, by <experiment>_<sigma_y>")
    analyses: list[str] = knob("files of analyses that were made elsewhere, scored beside the filters", default=[])
    assimilations: dict[str, Assimilation] = knob("observations of your own to assimilate, by name", default={})
    experiments: Annotated[list[ExperimentName], Some] = knob("twin experiments; see mnmef/experiments", section="5")
    noise_levels: Annotated[list[Level], Some] = knob(
        "standard deviations sigma_y of the noise", unit="state units", section="5"
    )
    ensemble_sizes: Annotated[list[Several], Some] = knob("numbers of members N", section="5, figures 1, 4, 7")
    baselines: list[MethodName] = knob("classical filters", section="5, benchmarks")
    ienks: Ienks = knob("the iterative smoother")
    benchmark: MethodName = knob("classical filter that panels and claims compare with", section="5")
    learned: list[FilterName] = knob("learned filters", section="3")
    filters: list[dict[str, Any]] = knob("filters of your own, in an experiment's file", default=[])
    trajectories: str | None = knob("file of truths of your own, in an experiment's file", default=None)
    data: Data = knob("sizes of the splits", section="5")
    search: Search = knob("hyperparameter search of the classical filters", section="5, benchmarks")
    model: Model = knob("network", section="A")
    training: Training = knob("pretraining", section="4")
    training_seeds: TrainingSeeds = knob("further trainings from other seeds")
    mnmef_conv: Learned[ConvModel] = knob("the filter with convolutions")
    mnmef_local: Learned[LocalModel] = knob("the filter of local analyses")
    mnmef_members: Learned[MembersModel] = knob("the learned filter for few variables")
    finetuning: Finetuning = knob("fine-tuning", section="4")
    finetuning_curve: FinetuningCurve = knob("R-RMSE along a fine-tuning", section="5, figure 11")
    linear_gaussian: LinearGaussianStudy = knob("learned filters against the exact filter", section="C, figure C.13")
    evaluation: Evaluation = knob("evaluation", section="5")
    timing: Timing = knob("timing of all filters", section="5, figure 8")
    localization_study: LocalizationStudy = knob("record of the learned localization weights", section="5, figure 10")
    published: Published = knob("the published baselines under the published protocol", section="5, benchmarks")
    robustness: Robustness = knob("robustness of the filters, beyond the paper")
    reference: Reference = knob("a very large ensemble, beyond the paper")
    scaling: Scaling = knob("more variables, beyond the paper")
    canonical: Canonical = knob("scores that the field knows, beyond the paper")
