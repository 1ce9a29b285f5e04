# All filters on the same truths, observations and first ensembles of the test split (section 5 of the paper).


rule evaluate_baseline:
    input:
        dataset=split_file("test"),
        best=rules.tune_baseline.output.best,
    output:
        scores=results("evaluation/{system}_{sigma_y}_{method}.nc"),
    log:
        log_file("evaluate_baseline/{system}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("evaluate_baseline/{system}_{sigma_y}_{method}")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(240),
        mem_mb=growing(4000),
    params:
        settings=evaluation_settings(),
        code=code("evaluation/evaluate_baseline"),
    message:
        "Evaluate {wildcards.method} on {wildcards.system}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/evaluation/evaluate_baseline.py"


rule evaluate_learned:
    input:
        dataset=rules.evaluate_baseline.input.dataset,
        weights=weights_files,
        base=base_files,
    output:
        scores=results("evaluation/{system}_{sigma_y}_{learned}.nc"),
    log:
        log_file("evaluate_learned/{system}_{sigma_y}_{learned}"),
    benchmark:
        benchmark_file("evaluate_learned/{system}_{sigma_y}_{learned}")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(240),
        mem_mb=growing(4000),
    params:
        settings=learned_evaluation_settings,
        code=code("evaluation/evaluate_learned"),
    message:
        "Evaluate {wildcards.learned} on {wildcards.system}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/evaluation/evaluate_learned.py"
