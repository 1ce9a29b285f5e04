# Adaptation of the heads to each ensemble size, the set transformer frozen (section 4 of the paper).


rule finetune_filter:
    input:
        **finetuning_files(),
    output:
        weights=results("training/{system}_{sigma_y}/tuned_{members}.safetensors"),
        curve=results("training/{system}_{sigma_y}/tuned_{members}_curve.csv"),
    log:
        log_file("finetune_filter/{system}_{sigma_y}_{members}"),
    benchmark:
        benchmark_file("finetune_filter/{system}_{sigma_y}_{members}")
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
        "Fine-tune the learned filter on {wildcards.system}, sigma_y = {wildcards.sigma_y}, N = {wildcards.members}"
    script:
        "../workflow_scripts/learning/finetune_filter.py"
