# Truths, observations and first ensembles of the twin experiments (section 5 of the paper), and observations without the
# truths, for analyses that are made elsewhere.


rule simulate_data:
    input:
        stored_trajectories,
    output:
        dataset=results("data/{experiment}_{split}.nc"),
    log:
        log_file("simulate_data/{experiment}_{split}"),
    benchmark:
        benchmark_file("simulate_data/{experiment}_{split}")
    priority: first_pictures
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


rule write_observations:
    input:
        dataset=split_file("test"),
    output:
        observations=results("observations/{experiment}_{sigma_y}.nc"),
    log:
        log_file("write_observations/{experiment}_{sigma_y}"),
    benchmark:
        benchmark_file("write_observations/{experiment}_{sigma_y}")
    conda:
        "../envs/simulate.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        seed=CONFIG.seed,
        code=code("data/write_observations"),
    message:
        "Observations of {wildcards.experiment} without truths, sigma_y = {wildcards.sigma_y}"
    script:
        "../workflow_scripts/data/write_observations.py"
