# All figures and tables on one page: as Markdown for hosts of code, and the tables as HTML for Snakemake's report.


rule results_page:
    input:
        **page_inputs(),
    output:
        page=results("README.md"),
        html=page_html(),
    log:
        log_file("results_page"),
    benchmark:
        benchmark_file("results_page")
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        settings=page_settings(),
        code=code("report/write_results_page"),
    message:
        "Results page"
    script:
        "../workflow_scripts/report/write_results_page.py"
