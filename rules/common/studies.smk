# Functions of rules/studies.smk: inputs and params of its rules; no rules.

TIMED = ("enkf", "esrf", "letkf", "ienkf_pertobs")
"""Classical filters of figure 8."""
INFLATION_EXPERIMENT = "ks"
"""Experiment of figure 9."""


# Figure 8: wall time of a cycle of each filter, forecast and analysis apart. A job that times has all cores of the run,
# so that no other job disturbs it, and uses one; what else runs on the machine is the user's to see to.


def timed_experiments():
    """The experiments of figure 8 that the config runs: those with a grid."""
    return [name for name in SETTINGS if RUN.descriptions[name]["grid"] is not None]


def timing_cell(wildcards):
    """The cell whose weights are timed: at the lowest noise level, as the published times are of 0.7."""
    return Cell(experiment=wildcards.experiment, sigma_y=min(NOISE, key=float))


def timing_weights(wildcards):
    """A checkpoint of each learned filter, by its name."""
    return {name: checkpoint(timing_cell(wildcards), name) for name in filters_of(wildcards.experiment)}


def timing_settings(wildcards):
    """Return filters and plan of the timings of an experiment."""
    part, learned = SETTINGS[wildcards.experiment], filters_of(wildcards.experiment)
    classical = [name for name in TIMED if name in part["baselines"]]
    return {
        "sigma_y": float(timing_cell(wildcards).sigma_y),
        "methods": [*learned, *classical, *(["dapper_letkf"] if "letkf" in classical else [])],
        "models": {name: model_settings(wildcards, name) for name in learned},
        "plan": part["timing"],
        **chosen(wildcards, "ensemble_sizes", "seed"),
    }


# Figure 9: what the learned inflation is worth


def other_inflation_settings(wildcards):
    """Return `learned_evaluation_settings` with the learned inflation switched, for scores alone."""
    usual = learned_evaluation_settings(wildcards)
    switched = {**usual["model"], "inflation": not usual["model"]["inflation"]}
    return {**usual, "model": switched, "options": {"traced": {"ensemble_size": 0, "trajectories": 0}}}


def inflation_runs():
    """Evaluations with and without the learned inflation; none where the config does not run them."""
    if INFLATION_EXPERIMENT not in SETTINGS or "mnmef" not in filters_of(INFLATION_EXPERIMENT):
        return []
    both = [rules.evaluate_learned.output.scores, rules.evaluate_other_inflation.output.scores]
    return expand(both, experiment=INFLATION_EXPERIMENT, sigma_y=NOISE, filter="mnmef", stage="finetuned")


# Figure 10: what the learned localization looks like


def finetuned_weights(wildcards):
    """The fine-tuned weights of MNMEF, for each ensemble size."""
    return checkpoints(wildcards, "mnmef", "finetuned")


def finetuned_base(wildcards):
    """Return the pretrained weights that fine-tuned heads of the repository stand on."""
    return base_of(wildcards, "mnmef", "finetuned")


def localization_settings(wildcards):
    """Return model, sizes and seed of a record."""
    study = SETTINGS[wildcards.experiment]["localization_study"]
    return {
        "model": model_settings(wildcards, "mnmef"),
        "study": {key: study[key] for key in ("trajectories", "cycles")},
        **chosen(wildcards, "ensemble_sizes", "seed"),
    }


def localization_runs():
    """Records of learned weights; none where the config does not run what they are compared with."""
    name = CONFIG.localization_study.experiment
    if name not in SETTINGS or "mnmef" not in filters_of(name) or "letkf" not in SETTINGS[name]["baselines"]:
        return []
    runs = NOISE if SETTINGS[name]["model"]["localization"] else []
    return expand(rules.record_localization.output.record, experiment=name, sigma_y=runs)


# Figure 11: R-RMSE along fine-tunings of the heads alone and of all parameters. The scores choose nothing.


def pretrained_weights(wildcards):
    """The checkpoint that the fine-tunings start from."""
    return checkpoint(wildcards, "mnmef")


def curve_settings(wildcards):
    """Return `finetuning_settings` with the scored epochs and cycles."""
    section = SETTINGS[wildcards.experiment]["finetuning_curve"]
    own = {key: value for key, value in finetuning_settings(wildcards).items() if key != "resume_folder"}
    return own | {key: section[key] for key in ("epochs", "cycles")}


def finetuning_curves():
    """The fine-tunings of figure 11, if the config runs its filter, experiment and noise level."""
    part = CONFIG.finetuning_curve
    used = (
        part.experiment in SETTINGS and part.sigma_y in CONFIG.noise_levels and "mnmef" in filters_of(part.experiment)
    )
    return expand(
        rules.score_finetuning.output.table,
        experiment=part.experiment,
        sigma_y=part.sigma_y,
        members=part.ensemble_sizes if used else [],
        parameters=("heads", "all"),
    )


# Figure C.13: the learned filter on a linear-Gaussian system against the exact filter, for each loss with and without
# weight decay, and two references.


def linear_settings(wildcards):
    """Return the filter of a run, its loss and weight decay where it is trained, and the section of the config."""
    section = {key: value for key, value in CONFIG.linear_gaussian.model_dump().items() if key != "losses"}
    model = {key: value for key, value in CONFIG.model.model_dump().items() if key != "inflation"}
    decay = wildcards.get("weight_decay")
    return {
        "filter_name": wildcards.get("reference", "mnmef"),
        "loss": wildcards.get("loss"),
        "settings": section | {"weight_decay": float(decay) if decay else 0.0},
        "model": model,
        "seed": CONFIG.seed,
    }


def linear_runs():
    """The runs of figure C.13."""
    part = CONFIG.linear_gaussian
    return expand(rules.run_linear_reference.output.run, reference=("sampling", "enkf")) + expand(
        rules.run_linear_gaussian.output.run, loss=part.losses, weight_decay=(0.0, part.weight_decay)
    )
