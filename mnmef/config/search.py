"""The sections of config.yaml on the hyperparameters of classical filters."""

from typing import Annotated, Literal

from mnmef.config.fields import (
    Count,
    Factor,
    GridName,
    MethodName,
    Nonnegative,
    Positive,
    Section,
    Several,
    Some,
    Switch,
    knob,
)


class SearchStage(Section):
    """A stage of a search, on part of the tuning split."""

    settings: Count = knob("settings that go on, the published one among them, or are rerun", section="5, benchmarks")
    trajectories: Count = knob("trajectories for each", section="5, benchmarks")
    cycles: Count = knob("cycles of each trajectory", unit="cycles", section="5, benchmarks")


class Steps(Section):
    """Inflations 1, 1 + step, 1 + 2 step, ..."""

    step: Positive = knob("from one inflation to the next", section="5, benchmarks")
    count: Count = knob("number of inflations", section="5, benchmarks")


class SearchProtocol(Section):
    """How the published baselines were scored."""

    cycles: Count = knob("cycles of a trial", unit="cycles", section="5, benchmarks")
    burn_in_time: Nonnegative = knob("what is dropped", unit="model time units", section="5, benchmarks")
    trials: Count = knob("number of trials", section="5, benchmarks")
    first_variance: Positive = knob("variance of first states", unit="state units squared", section="5, benchmarks")


class Search(Section):
    """The search for inflation and localization radius of the classical filters."""

    engine: Literal["batched", "dapper", "screened"] = knob("implementation that scores", section="5, benchmarks")
    trajectories: Count = knob("trajectories of the tuning split for each setting", section="5, benchmarks")
    cycles: Count = knob("cycles of each trajectory", unit="cycles", section="5, benchmarks")
    inflation_stride: Count = knob("take every k-th inflation of the published grid", section="5, benchmarks")
    radius_stride: Count = knob("take every k-th localization radius of the published grid", section="5, benchmarks")
    screen: SearchStage = knob("what all settings are scored on first (engine screened)", section="5, benchmarks")
    confirm: SearchStage = knob("what DAPPER confirms (engine screened)", section="5, benchmarks")
    inflation: dict[GridName, dict[int, Steps]] = knob(
        "inflations to try, by method (`default`: all others) and ensemble size", section="5, benchmarks"
    )
    localization_radius: dict[int, Annotated[list[Positive], Some]] = knob(
        "localization radii to try, by ensemble size; {} without a grid", unit="grid points", section="5, benchmarks"
    )
    protocol: SearchProtocol = knob("how the published baselines were scored", section="5, benchmarks")


class Ienks(Section):
    """The iterative ensemble Kalman smoother."""

    lag: Count = knob("cycles of the window that an observation corrects", unit="cycles")


class PublishedRound(Section):
    """A round of the race between the settings of a published grid, before the final one."""

    trials: Several = knob("the first so many trials", section="5, benchmarks")
    cycles: Count = knob("cycles that are averaged over, after the burn-in", unit="cycles", section="5, benchmarks")
    keep: Count = knob("settings that stay at most", section="5, benchmarks")


class Published(Section):
    """The published search, done again under its own protocol: target published_baselines."""

    trials: Several = knob("trials of the final round", section="5, benchmarks")
    cycles: Count | None = knob("cap on the cycles of a trial; null: as published", unit="cycles")
    rounds: list[PublishedRound] = knob("rounds before the final one; [] runs all settings in full")
    standard_errors: Nonnegative = knob("a setting leaves if it is worse than the best by more standard errors")
    fraction: Nonnegative = knob("and by more than this fraction of the best score")


class Reference(Section):
    """Classical filters with a very large ensemble."""

    in_figures: Switch = knob("draw them in figures 1, 4 and 7")
    ensemble_size: Several = knob("number of members N")
    methods: Annotated[list[MethodName], Some] = knob("methods to choose from")
    inflations: Annotated[list[Factor], Some] = knob("inflations to try")
    radii: list[Positive] = knob("localization radii to try; [] without a grid", unit="grid points")
    trajectories: Count = knob("trajectories of the tuning split for each setting")
    cycles: Count = knob("cycles of each trajectory", unit="cycles")
