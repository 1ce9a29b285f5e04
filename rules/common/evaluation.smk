# Functions of rules/evaluation.smk: inputs and params of its rules; no rules.


def evaluation_settings(wildcards):
    """Params of an evaluation, besides its inputs."""
    part = SETTINGS[wildcards.experiment]
    return {"options": part["evaluation"], "seed": part["seed"]}


def baseline_files():
    """The test split, and the settings that the search has found."""
    return {"dataset": split_file("test"), "best": rules.search_baseline.output.best}


def baseline_evaluation_settings(wildcards):
    """As `evaluation_settings`, with the options of classical filters."""
    return evaluation_settings(wildcards) | chosen(wildcards, "ienks")


def filter_settings(wildcards):
    """As `evaluation_settings`, with a filter of the user's and a digest of its file."""
    return evaluation_settings(wildcards) | chosen(wildcards, "ensemble_sizes") | own_filter(wildcards)


def searched_options(wildcards):
    """The table of the search of a filter of the user's, if there is one."""
    is_searched = "search" in own_filter(wildcards)["entry"]
    return expand(rules.search_filter.output.best, **wildcards) if is_searched else []


def analyses_of(wildcards):
    """The heads of the files of analyses of a cell and name."""
    return ANALYSES[wildcards.experiment, float(wildcards.sigma_y), wildcards.method]


def analyses_files(wildcards):
    """The files of analyses of a cell and name."""
    return [str(header.path) for header in analyses_of(wildcards)]


def analyses_settings(wildcards):
    """How often the calibration of analyses is scored, and the seed, which they do not use."""
    part = SETTINGS[wildcards.experiment]
    return {"calibration_stride": part["evaluation"]["calibration_stride"], "seed": part["seed"]}


def learned_evaluation_settings(wildcards):
    """As `evaluation_settings`, with the filter, its network and its ensemble sizes."""
    model = model_settings(wildcards, wildcards.filter)
    if wildcards.stage == "own":  # a network of any size, as its card says
        model = {key: value for key, value in model.items() if key == "inflation"}
    return evaluation_settings(wildcards) | {
        "method": method_of(wildcards.filter, wildcards.stage).name,
        "filter_name": wildcards.filter,
        "model": model,
        "ensemble_sizes": CONFIG.ensemble_sizes,
    }


def seed_evaluation_settings(wildcards):
    """As `learned_evaluation_settings`, at the ensemble size of the training alone."""
    cell = Cell(**wildcards, stage="pretrained")
    size = SETTINGS[wildcards.experiment]["training"]["ensemble_size"]
    return {**learned_evaluation_settings(cell), "ensemble_sizes": [size]}


def evaluation_files():
    """The evaluations of all filters: classical, learned, the user's, and of analyses that were made elsewhere."""
    learned = expand(rules.evaluate_learned.output.scores, zip, **learned_cells())
    own = [results(f"evaluation/{cell}_{name}_own.nc") for cell, name in OWN_WEIGHTS.items()]
    for name in SETTINGS:
        files = rules.evaluate_filter.output.scores
        own += expand(files, experiment=name, sigma_y=NOISE, method=given_filters(name))
    given = columns(("experiment", "sigma_y", "method"), list(ANALYSES))
    own += expand(rules.evaluate_analyses.output.scores, zip, **given)
    return expand(rules.evaluate_baseline.output.scores, zip, **baseline_cells()) + learned + own


def seed_files(output):
    """The files that `output` names for the further trainings: none where nothing is trained, or where the first
    training is not scored at this ensemble size.
    """
    part = CONFIG.training_seeds
    trained = CONFIG.weights == "train" and "mnmef" in CONFIG.learned
    scored = CONFIG.training.ensemble_size in CONFIG.ensemble_sizes
    return expand(
        output,
        experiment=[name for name in SETTINGS if name in part.experiments],
        sigma_y=[str(level) for level in CONFIG.noise_levels if level in part.noise_levels],
        filter="mnmef",
        seed=range(2, part.count + 1) if trained and scored else [],
    )
