# Training of the learned filters on the training split, adaptation of MNMEF's heads to each ensemble size with the set
# transformer frozen (section 4 of the paper), and what the checkpoints are.


def finetuning_files():
    """What fine-tuning starts from, and the tuning split if it decides which weights are kept."""
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


rule train_filter:
    input:
        dataset=split_file("train"),
    output:
        weights=results("training/{experiment}_{sigma_y}/{filter}_pretrained.safetensors"),
        curve=results("training/{experiment}_{sigma_y}/{filter}_pretrained_curve.csv"),
    log:
        log_file("train_filter/{experiment}_{sigma_y}_{filter}"),
    benchmark:
        benchmark_file("train_filter/{experiment}_{sigma_y}_{filter}")
    retries: PIECES
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        runtime=growing(720, fixed=PIECES is not None),
        mem_mb=growing(4000),
    params:
        settings=training_settings,
        code=code("learning/train_filter"),
    message:
        "Train {wildcards.filter} on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/learning/train_filter.py"


# The second and further trainings, from other seeds (config key `training_seeds`): how much of a result is the seed.
use rule train_filter as train_seed with:
    output:
        weights=results("training/{experiment}_{sigma_y}/{filter}_pretrained_seed_{seed}.safetensors"),
        curve=results("training/{experiment}_{sigma_y}/{filter}_pretrained_seed_{seed}_curve.csv"),
    log:
        log_file("train_seed/{experiment}_{sigma_y}_{filter}_{seed}"),
    benchmark:
        benchmark_file("train_seed/{experiment}_{sigma_y}_{filter}_{seed}")
    params:
        settings=seed_training_settings,
        code=code("learning/train_filter"),
    message:
        "Training {wildcards.seed} of {wildcards.filter} on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"


rule finetune_filter:
    input:
        **finetuning_files(),
    output:
        weights=results("training/{experiment}_{sigma_y}/mnmef_finetuned_{members}.safetensors"),
        curve=results("training/{experiment}_{sigma_y}/mnmef_finetuned_{members}_curve.csv"),
    log:
        log_file("finetune_filter/{experiment}_{sigma_y}_{members}"),
    benchmark:
        benchmark_file("finetune_filter/{experiment}_{sigma_y}_{members}")
    retries: PIECES
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        runtime=growing(120, fixed=PIECES is not None),
        mem_mb=growing(6000),
    params:
        settings=finetuning_settings,
        code=code("learning/finetune_filter"),
    message:
        "Fine-tune MNMEF on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}, N = {wildcards.members}"
    script:
        "../workflow_scripts/learning/finetune_filter.py"


rule list_weights:
    input:
        weights=checkpoint_files(),
    output:
        table=results("weights.csv"),
    log:
        log_file("list_weights"),
    benchmark:
        benchmark_file("list_weights")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        code=code("learning/list_weights"),
    message:
        "List all checkpoints: parameters, time, hardware"
    script:
        "../workflow_scripts/learning/list_weights.py"
