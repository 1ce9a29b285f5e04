# Functions of rules/learning.smk: inputs and params of its rules; no rules.


def first_weights(wildcards):
    """The weights that a training begins with, if not random ones: those of another noise level, from the same seed."""
    level = settings.first_level(SETTINGS[wildcards.experiment], float(wildcards.sigma_y))
    training = rules.train_seed if "seed" in wildcards.keys() else rules.train_filter
    return [] if level is None else expand(training.output.weights, **{**wildcards, "sigma_y": level})[0]


def training_inputs():
    """Truths, and the weights to begin with."""
    return {"dataset": split_file("train"), "start": first_weights}


def finetuning_files():
    """Pretrained weights, and the tuning split where it chooses the weights that are kept."""
    tune = split_file("tune") if CONFIG.finetuning.keep == "better" else []
    pretrained = expand(rules.train_filter.output.weights, filter="mnmef", allow_missing=True)[0]
    return {"dataset": split_file("train"), "pretrained": pretrained, "tune": tune}


def seed_training_settings(wildcards):
    """As `training_settings`, with the root of the random streams moved on by the number of the training."""
    first = training_settings(wildcards)
    return {**first, "seed": first["seed"] + int(wildcards.seed) - 1}


def training_files():
    """Weights and curves of all learned filters."""
    cells = [(e, y, f) for e in SETTINGS for f in filters_of(e) for y in NOISE]
    names = ("experiment", "sigma_y", "filter")
    pretrained = expand(rules.train_filter.output, zip, **columns(names, cells))
    finetuned = [(e, y, n) for e, y, f in cells if f == "mnmef" for n in CONFIG.ensemble_sizes]
    return pretrained + expand(
        rules.finetune_filter.output, zip, **columns(("experiment", "sigma_y", "members"), finetuned)
    )


def checkpoint_files():
    """The checkpoints of all learned filters of the config, those of the user's own left out."""
    cells = [Cell(zip(learned_cells(), cell)) for cell in zip(*learned_cells().values())]
    return [file for cell in cells for file in checkpoints(cell)]
