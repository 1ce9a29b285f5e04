# Runs for single figures of the paper: 8 to 11 and C.13.


rule time_filters:
    input:
        unpack(timing_weights),
        dataset=split_file("test"),
        winners=PUBLISHED_SEARCHES,
    output:
        table=results("timing/{experiment}.csv"),
    log:
        log_file("time_filters/{experiment}"),
    benchmark:
        benchmark_file("time_filters/{experiment}")
    conda:
        "../envs/baselines.yaml"
    threads: workflow.resource_settings.cores or 1
    resources:
        runtime=growing(60),
        mem_mb=growing(4000),
    params:
        settings=timing_settings,
        code=code("studies/time_filters"),
    message:
        "Time all filters on {wildcards.experiment}"
    script:
        "../workflow_scripts/studies/time_filters.py"


use rule evaluate_learned as evaluate_other_inflation with:
    output:
        scores=results("inflation/{experiment}_{sigma_y}_{filter}_{stage}.nc"),
    log:
        log_file("evaluate_other_inflation/{experiment}_{sigma_y}_{filter}_{stage}"),
    benchmark:
        benchmark_file("evaluate_other_inflation/{experiment}_{sigma_y}_{filter}_{stage}")
    params:
        settings=other_inflation_settings,
        code=code("evaluation/evaluate_learned"),
    message:
        "Evaluate {wildcards.filter}, its inflation switched, on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"


rule record_localization:
    input:
        dataset=split_file("test"),
        best=expand(rules.search_baseline.output.best, method="letkf", allow_missing=True)[0],
        weights=finetuned_weights,
        base=finetuned_base,
    output:
        record=results("localization/{experiment}_{sigma_y}.nc"),
    log:
        log_file("record_localization/{experiment}_{sigma_y}"),
    benchmark:
        benchmark_file("record_localization/{experiment}_{sigma_y}")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(60),
        mem_mb=growing(4000),
    params:
        settings=localization_settings,
        code=code("studies/record_localization"),
    message:
        "Record learned localization weights on {wildcards.experiment}, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/studies/record_localization.py"


rule score_finetuning:
    input:
        train=split_file("train"),
        test=split_file("test"),
        pretrained=pretrained_weights,
    output:
        table=results("finetuning_curves/{experiment}_{sigma_y}_{members}_{parameters}.csv"),
    log:
        log_file("score_finetuning/{experiment}_{sigma_y}_{members}_{parameters}"),
    benchmark:
        benchmark_file("score_finetuning/{experiment}_{sigma_y}_{members}_{parameters}")
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        runtime=growing(480),
        mem_mb=growing(6000),
    params:
        settings=curve_settings,
        code=code("studies/score_finetuning"),
    message:
        "Fine-tune {wildcards.parameters} on {wildcards.experiment} at N = {wildcards.members}, scored along the way"
    script:
        "../workflow_scripts/studies/score_finetuning.py"


rule run_linear_gaussian:
    output:
        run=results("linear_gaussian/mnmef_{loss}_{weight_decay}.nc"),
    log:
        log_file("run_linear_gaussian/mnmef_{loss}_{weight_decay}"),
    benchmark:
        benchmark_file("run_linear_gaussian/mnmef_{loss}_{weight_decay}")
    wildcard_constraints:
        loss="[a-z0-9+]+",
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(240),
        mem_mb=growing(4000),
    params:
        settings=linear_settings,
        code=code("studies/run_linear_gaussian"),
    message:
        "Linear-Gaussian system: MNMEF, loss {wildcards.loss}, weight decay {wildcards.weight_decay}"
    script:
        "../workflow_scripts/studies/run_linear_gaussian.py"


use rule run_linear_gaussian as run_linear_reference with:
    output:
        run=results("linear_gaussian/{reference}.nc"),
    log:
        log_file("run_linear_reference/{reference}"),
    benchmark:
        benchmark_file("run_linear_reference/{reference}")
    wildcard_constraints:
        reference="sampling|enkf",
    message:
        "Linear-Gaussian system: {wildcards.reference}"
