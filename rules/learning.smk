# Training of the learned filters on the training split, adaptation of MNMEF's heads to each ensemble size with the set
# transformer frozen (section 4 of the paper), and what the checkpoints are.


rule train_filter:
    input:
        **training_inputs(),
    output:
        weights=results("training/{experiment}_{sigma_y}/{filter}_pretrained.safetensors"),
        curve=results("training/{experiment}_{sigma_y}/{filter}_pretrained_curve.csv"),
    log:
        log_file("train_filter/{experiment}_{sigma_y}_{filter}"),
    benchmark:
        benchmark_file("train_filter/{experiment}_{sigma_y}_{filter}")
    priority: first_pictures
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
