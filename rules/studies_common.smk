# Functions of figures 8 to 10 and of tables 5 and 6; no rules.


class Cell(dict):
    """Wildcards outside a rule: by attribute, and as keywords."""

    __getattr__ = dict.__getitem__


TIMED = ("enkf", "esrf", "letkf", "ienkf_pertobs")
"""Classical filters of figure 8."""
ABLATED_SYSTEM, LOCALIZED_SYSTEM = "ks", "lorenz96"
"""What figures 9 and 10 show."""


# Figure 8


def machine_cores():
    """All cores of this run, so that no other of its jobs disturbs a timing."""
    return workflow.resource_settings.cores or 1


def timed_systems():
    """The systems of figure 8 that the config runs: those with a grid."""
    return [system for system in CONFIG.systems if system in GRIDDED_SYSTEMS]


def timing_weights(wildcards):
    """A checkpoint of each learned filter, by its name."""
    stems = {"mnmef": "pretrained", "mnmef_conv": "conv"}
    cell = Cell(system=wildcards.system, sigma_y=timing_noise())
    if CONFIG.weights == "shipped":
        return {name: shipped_file(stems[name], cell) for name in CONFIG.learned}
    made = rules.train_filter.output.weights
    return {name: expand(made, **cell, trained=stems[name])[0] for name in CONFIG.learned}


def timing_noise():
    """The noise level of the timings: the lowest, since the published times are of 0.7. It decides no time."""
    return min(NOISE, key=float)


def timing_settings(wildcards):
    """What is timed, and how."""
    classical = [name for name in TIMED if name in CONFIG.baselines[wildcards.system]]
    dapper = ["dapper_letkf"] if "letkf" in classical else []
    return {
        "sigma_y": float(timing_noise()),
        "methods": [*CONFIG.learned, *classical, *dapper],
        "models": {name: settings.model_settings(SETTINGS, wildcards.system, name) for name in CONFIG.learned},
        "plan": SETTINGS["timing"],
        **{name: SETTINGS[name] for name in ("ensemble_sizes", "seed")},
    }


# Figure 9


def other_inflation_settings(wildcards):
    """As `learned_evaluation_settings`, with the learned inflation off where the config has it on, and scores alone."""
    chosen = learned_evaluation_settings(wildcards)
    switched = {**chosen["model"], "inflation": not chosen["model"]["inflation"]}
    return {**chosen, "model": switched, "options": {"traced": {"ensemble_size": 0, "trajectories": 0}}}


def inflation_runs():
    """Evaluations with and without the learned inflation; none where the config does not run them."""
    if ABLATED_SYSTEM not in CONFIG.systems or "mnmef" not in CONFIG.learned:
        return []
    both = [rules.evaluate_learned.output.scores, rules.evaluate_other_inflation.output.scores]
    return expand(both, system=ABLATED_SYSTEM, sigma_y=NOISE, learned="mnmef_tuned")


# Figure 10


def localization_settings(wildcards):
    """What decides a record besides its inputs."""
    return {
        "model": settings.model_settings(SETTINGS, wildcards.system),
        "study": SETTINGS["localization_study"],
        **{name: SETTINGS[name] for name in ("ensemble_sizes", "seed")},
    }


def localization_runs():
    """Records of learned weights; none where the config does not run what they are compared with."""
    system = LOCALIZED_SYSTEM
    learned = "mnmef" in CONFIG.learned and CONFIG.model.localization
    if not (learned and system in CONFIG.systems and "letkf" in CONFIG.baselines[system]):
        return []
    return expand(rules.record_localization.output.record, system=system, sigma_y=NOISE, learned="mnmef_tuned")


# Targets


def study_rules():
    """The rules of figures 8 to 10 that the config allows, by the name of the figure."""
    found = {
        "figure_8": (rules.figure_8, timed_systems()),
        "figure_9": (rules.figure_9, inflation_runs()),
        "figure_10": (rules.figure_10, localization_runs()),
    }
    return {name: rule for name, (rule, needed) in found.items() if needed}


def study_files():
    """The files of these figures, and their tables."""
    return [file for rule in study_rules().values() for file in rule.output]


def study_inputs():
    """What these figures and tables 5 and 6 are made from."""
    made = [file for rule in study_rules().values() for file in rule.input]
    return made + [*rules.list_weights.input, *rules.list_weights.output]


def study_tables():
    """What claims are judged by besides this run's scores: published ones, and tables of figures."""
    allowed = study_rules()
    published = {"curves": rules.score_filters.input.curves}
    if "figure_9" in allowed:
        published["published_9"] = allowed["figure_9"].input.published
    tables = {name: allowed[name].output.table for name in ("figure_9", "figure_10") if name in allowed}
    if tuning_curves():
        published["published_11"] = rules.figure_11.input.published
        tables["figure_11"] = rules.figure_11.output.table
    return {**published, **tables}


def checkpoint_files():
    """The checkpoints of all learned filters of the config, those of the user's own left out."""
    cells = [Cell(zip(learned_cells(), cell)) for cell in zip(*learned_cells().values())]
    return [file for cell in cells for file in weights_files(cell)]


def cost_tables():
    """Tables 5 and 6, where there are learned filters."""
    return [*rules.table_5.output, *rules.table_6.output] if CONFIG.learned else []
