# Pretraining of the learned filter on the training split (section 4 of the paper).


rule train_filter:
    input:
        dataset=split_file("train"),
    output:
        weights=results("training/{system}_{sigma_y}/pretrained.safetensors"),
        curve=results("training/{system}_{sigma_y}/curve.csv"),
    log:
        log_file("train_filter/{system}_{sigma_y}"),
    benchmark:
        benchmark_file("train_filter/{system}_{sigma_y}")
    retries: PIECES
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        runtime=720,
        mem_mb=4000,
    params:
        settings=training_settings,
        code=code("train_filter"),
    message:
        "Train the learned filter on {wildcards.system}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/train_filter.py"
