# Training of the learned filters on the training split: the pretraining of section 4 of the paper, and mnmef_conv.


rule train_filter:
    input:
        dataset=split_file("train"),
    output:
        weights=results("training/{system}_{sigma_y}/{trained}.safetensors"),
        curve=results("training/{system}_{sigma_y}/{trained}_curve.csv"),
    log:
        log_file("train_filter/{system}_{sigma_y}_{trained}"),
    benchmark:
        benchmark_file("train_filter/{system}_{sigma_y}_{trained}")
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
        "Train a learned filter ({wildcards.trained}) on {wildcards.system}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/learning/train_filter.py"
