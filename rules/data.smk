# Truths, observations and first ensembles of the twin experiments (section 5 of the paper).


rule simulate_data:
    output:
        dataset=results("data/{experiment}_{split}.nc"),
    log:
        log_file("simulate_data/{experiment}_{split}"),
    benchmark:
        benchmark_file("simulate_data/{experiment}_{split}")
    conda:
        "../envs/simulate.yaml"
    threads: 1
    resources:
        runtime=growing(30),
        mem_mb=growing(6000),
    params:
        description=described,
        settings=data_settings,
        seed=CONFIG.seed,
        code=code("data/simulate_data"),
    message:
        "Simulate the {wildcards.split} split of {wildcards.experiment}"
    script:
        "../workflow_scripts/data/simulate_data.py"
