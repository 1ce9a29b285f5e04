"""The sections of config.yaml on truths and on runs of filters on them."""

from mnmef.config.fields import (
    Count,
    ExperimentName,
    Factor,
    Level,
    MethodName,
    Positive,
    Section,
    Several,
    Switch,
    Whole,
    knob,
)


class TrainSplit(Section):
    """Truths that learned filters are trained on."""

    windows: Count = knob("number of truths", section="5, training data")
    window_cycles: Count = knob("cycles that a training window spans", unit="cycles", section="5, training data")
    offset_cycles: Whole = knob("latest start of a window inside its truth", unit="cycles", section="5, training data")


class Split(Section):
    """Truths and observations: to choose hyperparameters on (tune), or for all published scores (test)."""

    trajectories: Count = knob("number of truths", section="5")
    cycles: Count = knob("observation times of each", unit="cycles", section="5")


class Data(Section):
    """Sizes of the three splits."""

    members: Several = knob("stored members of first ensembles; a filter with N members takes the first N", section="5")
    train: TrainSplit = knob("training split", section="5")
    tune: Split = knob("tuning split", section="5")
    test: Split = knob("test split", section="5")


class Traced(Section):
    """Runs of which the analysis itself is kept, for the panels of figures 2, 3, 5 and 6."""

    ensemble_size: Several = knob("members N", section="5, figures 2, 3, 5, 6")
    trajectories: Count = knob("how many of the test trajectories", section="5, figures 2, 3, 5, 6")


class Climatology(Section):
    """A run from first ensembles that know the climate and nothing else."""

    ensemble_size: Several = knob("members N")
    cycles: Count = knob("length of the run", unit="cycles")


class Evaluation(Section):
    """Runs of all filters on the test split."""

    traced: Traced = knob("runs of which mean and deviation are kept", section="5")
    calibration_stride: Count = knob("score calibration every k-th cycle", unit="cycles")
    climatology: Climatology = knob("how fast a filter finds the truth from nothing")


class Assimilation(Section):
    """Observations of the user's without a truth, and the filter that assimilates them."""

    experiment: ExperimentName = knob("forecast model, observation operator and interval, one of experiments")
    observations: str = knob("NetCDF or npy of observations (cycle, site), NaN where missing")
    variable: str | None = knob("of the NetCDF, where it has several", default=None)
    weights: str | None = knob("checkpoint of a learned filter; or else filter", default=None)
    filter: MethodName | None = knob("a classical filter", default=None)
    sigma_y: Level | None = knob("noise level; of weights, their own", unit="state units", default=None)
    inflation: Factor = knob("factor on the anomalies of a classical filter", default=1.0)
    localization_radius: Positive | None = knob("of a filter that localizes", unit="grid points", default=None)
    lag: Count = knob("window of ienks", unit="cycles", default=2)
    ensemble_size: Several = knob("members N of a climatological first ensemble", default=10)
    members: Switch = knob("save the members of each cycle, too", default=False)
    burn_in: Whole = knob("first cycles that innovation statistics leave out", unit="cycles", default=0)
    restart: str | None = knob("file of an earlier run, to go on from its end", default=None)
