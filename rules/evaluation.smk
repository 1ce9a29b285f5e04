# All filters on the same truths, observations and first ensembles of the test split (section 5 of the paper).


rule evaluate_baseline:
    input:
        **baseline_files(),
    output:
        scores=results("evaluation/{experiment}_{sigma_y}_{method}.nc"),
    log:
        log_file("evaluate_baseline/{experiment}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("evaluate_baseline/{experiment}_{sigma_y}_{method}")
    wildcard_constraints:
        method="|".join(CLASSICAL_METHODS),
    priority: first_pictures
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(240),
        mem_mb=growing(4000),
    params:
        settings=baseline_evaluation_settings,
        code=code("evaluation/evaluate_baseline"),
    message:
        "Evaluate {wildcards.method} on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/evaluation/evaluate_baseline.py"


rule evaluate_filter:
    input:
        dataset=split_file("test"),
        best=searched_options,
    output:
        scores=results("evaluation/{experiment}_{sigma_y}_{method}.nc"),
    log:
        log_file("evaluate_filter/{experiment}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("evaluate_filter/{experiment}_{sigma_y}_{method}")
    wildcard_constraints:
        method=OWN_FILTERS,
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(240),
        mem_mb=growing(4000),
    params:
        settings=filter_settings,
        code=code("evaluation/evaluate_filter"),
    message:
        "Evaluate {wildcards.method} on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/evaluation/evaluate_filter.py"


rule evaluate_analyses:
    input:
        dataset=split_file("test"),
        analyses=analyses_files,
    output:
        scores=results("evaluation/{experiment}_{sigma_y}_{method}.nc"),
    log:
        log_file("evaluate_analyses/{experiment}_{sigma_y}_{method}"),
    benchmark:
        benchmark_file("evaluate_analyses/{experiment}_{sigma_y}_{method}")
    wildcard_constraints:
        method=ANALYSES_NAMES,
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(60),
        mem_mb=growing(4000),
    params:
        settings=analyses_settings,
        code=code("evaluation/evaluate_analyses"),
    message:
        "Evaluate the analyses of {wildcards.method} on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/evaluation/evaluate_analyses.py"


rule evaluate_learned:
    input:
        dataset=split_file("test"),
        weights=checkpoints,
        base=base_of,
    output:
        scores=results("evaluation/{experiment}_{sigma_y}_{filter}_{stage}.nc"),
    log:
        log_file("evaluate_learned/{experiment}_{sigma_y}_{filter}_{stage}"),
    benchmark:
        benchmark_file("evaluate_learned/{experiment}_{sigma_y}_{filter}_{stage}")
    priority: first_pictures
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
        "Evaluate {wildcards.filter} ({wildcards.stage}) on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/evaluation/evaluate_learned.py"


use rule evaluate_learned as evaluate_seed with:
    input:
        dataset=split_file("test"),
        weights=[rules.train_seed.output.weights],
    output:
        scores=results("seeds/{experiment}_{sigma_y}_{filter}_pretrained_{seed}.nc"),
    log:
        log_file("evaluate_seed/{experiment}_{sigma_y}_{filter}_{seed}"),
    benchmark:
        benchmark_file("evaluate_seed/{experiment}_{sigma_y}_{filter}_{seed}")
    params:
        settings=seed_evaluation_settings,
        code=code("evaluation/evaluate_learned"),
    message:
        "Evaluate training {wildcards.seed} of {wildcards.filter} on {wildcards.experiment}, {wildcards.sigma_y}"
