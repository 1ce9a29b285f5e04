# Observations of the user's without a truth, and what innovations say of the filter (docs/assimilate.md).


rule assimilate_observations:
    input:
        assimilation_files,
    output:
        run=results("assimilation/{assimilation}.nc"),
    log:
        log_file("assimilate_observations/{assimilation}"),
    benchmark:
        benchmark_file("assimilate_observations/{assimilation}")
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(240),
        mem_mb=growing(4000),
    params:
        description=assimilated_experiment,
        entry=filter_entry,
        seed=CONFIG.seed,
        code=code("assimilation/assimilate_observations"),
    message:
        "Assimilate the observations of {wildcards.assimilation}"
    script:
        "../workflow_scripts/assimilation/assimilate_observations.py"


rule plot_innovations:
    input:
        run=rules.assimilate_observations.output.run,
    output:
        table=results("assimilation/{assimilation}_innovations.csv"),
        svg=results("assimilation/{assimilation}_innovations.svg"),
        png=results("assimilation/{assimilation}_innovations.png"),
    log:
        log_file("plot_innovations/{assimilation}"),
    benchmark:
        benchmark_file("plot_innovations/{assimilation}")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        burn_in=lambda wildcards: assimilation_entry(wildcards)["burn_in"],
        code=code("assimilation/plot_innovations"),
    message:
        "Innovation statistics of {wildcards.assimilation}"
    script:
        "../workflow_scripts/assimilation/plot_innovations.py"
