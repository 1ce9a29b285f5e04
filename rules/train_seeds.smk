# Pretrainings again from other seeds (config key `training_seeds`), scored at the ensemble size of the training: how much
# of a result is the seed. The first training is that of rule train_filter; these are the second and further ones.


def seed_training_settings(wildcards):
    """As `training_settings`, with the root of the random streams moved on by the number of the training."""
    settings = training_settings(wildcards)
    return {**settings, "seed": settings["seed"] + int(wildcards.training) - 1}


def seed_evaluation_settings(wildcards):
    """As `learned_evaluation_settings`, at the ensemble size of the training alone."""
    return {**learned_evaluation_settings(wildcards), "ensemble_sizes": [CONFIG.training.ensemble_size]}


def seed_files(output):
    """The files that `output` names for the further trainings: none where nothing is trained, or where the first
    training is not scored at this ensemble size.
    """
    chosen = CONFIG.training_seeds
    trained = CONFIG.weights == "train" and "mnmef" in CONFIG.learned
    scored = CONFIG.training.ensemble_size in CONFIG.ensemble_sizes
    return expand(
        output,
        system=[system for system in CONFIG.systems if system in chosen.systems],
        sigma_y=[str(level) for level in CONFIG.noise_levels if level in chosen.noise_levels],
        learned="mnmef_pretrained",
        training=range(2, chosen.count + 1) if trained and scored else [],
    )


use rule train_filter as train_seed with:
    output:
        weights=results("training/{system}_{sigma_y}/pretrained_seed_{training}.safetensors"),
        curve=results("training/{system}_{sigma_y}/pretrained_seed_{training}_curve.csv"),
    log:
        log_file("train_seed/{system}_{sigma_y}_{training}"),
    benchmark:
        benchmark_file("train_seed/{system}_{sigma_y}_{training}")
    params:
        settings=seed_training_settings,
        code=code("train_filter"),
    message:
        "Training {wildcards.training} of the learned filter on {wildcards.system}, sigma_y = {wildcards.sigma_y}"


use rule evaluate_learned as evaluate_seed with:
    input:
        dataset=rules.evaluate_learned.input.dataset,
        weights=[rules.train_seed.output.weights],
    output:
        scores=results("seeds/{system}_{sigma_y}_{learned}_{training}.nc"),
    log:
        log_file("evaluate_seed/{system}_{sigma_y}_{learned}_{training}"),
    benchmark:
        benchmark_file("evaluate_seed/{system}_{sigma_y}_{learned}_{training}")
    params:
        settings=seed_evaluation_settings,
        code=code("evaluate_learned"),
    message:
        "Evaluate training {wildcards.training} of {wildcards.learned} on {wildcards.system}, {wildcards.sigma_y}"
