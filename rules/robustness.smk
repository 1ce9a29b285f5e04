# Beyond the paper: the same weights and settings under other noise, other dynamics, other first ensembles and a gap.


rule run_conditions:
    input:
        source=robustness_source,
    output:
        table=results("robustness/{system}_{sigma_y}_{tried}.csv"),
    log:
        log_file("run_conditions/{system}_{sigma_y}_{tried}"),
    benchmark:
        benchmark_file("run_conditions/{system}_{sigma_y}_{tried}")
    wildcard_constraints:
        tried="|".join(ROBUSTNESS_METHODS),
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        runtime=growing(240),
        mem_mb=growing(4000),
    params:
        settings=robustness_settings,
        code=code("studies/run_conditions"),
    message:
        "Robustness of {wildcards.tried} on {wildcards.system}"
    script:
        "../workflow_scripts/studies/run_conditions.py"


rule tabulate_robustness:
    input:
        runs=expand(rules.run_conditions.output.table, zip, **robustness_cells()),
    output:
        table=results("tables/robustness.csv"),
        text=results("tables/robustness.md"),
    log:
        log_file("tabulate_robustness"),
    benchmark:
        benchmark_file("tabulate_robustness")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        design=robustness_design(),
        code=code("studies/tabulate_robustness"),
    message:
        "Robustness table"
    script:
        "../workflow_scripts/studies/tabulate_robustness.py"
