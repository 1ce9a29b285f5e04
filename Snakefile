# Learning Enhanced Ensemble Filters: from nothing to the paper's figures.
#
#   snakemake --cores all                            # everything, at the scale that config.yaml names
#   snakemake --cores all --config scale=quick       # the same, tiny
#   snakemake --cores all figure_3                   # one figure and what it needs
#
# From a folder of your own, with an experiment of your own (docs/own_system.md):
#
#   snakemake -s <this checkout>/Snakefile --directory . --cores all --config 'experiments=[lake.yaml]' scale=quick
#
# Targets: all, data, search, training, evaluation, scores, figures, figure_1 ... figure_11, figure_c12, figure_c13,
# calibration_rank_histograms, calibration_spread_skill, search_figures, table_4, table_5, table_6, claims, results_page,
# published_baselines, robustness, scaling_dimension, reference, canonical, observations,
# assimilate,
# or any file under results/.

from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")


# What comes with the checkout; another working folder finds it by its absolute path.
CHECKOUT = Path("") if Path.cwd().samefile(workflow.basedir) else Path(workflow.basedir)


configfile: str(CHECKOUT / "config.yaml")


report: "docs/report.rst"


include: "rules/common/config.smk"
include: "rules/common/cluster.smk"
include: "rules/common/data.smk"
include: "rules/data.smk"
include: "rules/common/search.smk"
include: "rules/search.smk"
include: "rules/common/learning.smk"
include: "rules/learning.smk"
include: "rules/common/evaluation.smk"
include: "rules/evaluation.smk"
include: "rules/scores.smk"
include: "rules/common/assimilation.smk"
include: "rules/assimilation.smk"
include: "rules/common/studies.smk"
include: "rules/studies.smk"
include: "rules/common/beyond.smk"
include: "rules/beyond.smk"
include: "rules/common/report.smk"
include: "rules/report.smk"


localrules:
    all,
    data,
    observations,
    assimilate,
    search,
    training,
    evaluation,
    scores,
    figures,
    search_figures,
    published_baselines,
    robustness,
    reference,
    canonical,


rule all:
    default_target: True
    input:
        rules.score_filters.output,
        figure_files(),
        own_curves(),
        rules.table_4.output,
        cost_tables(),
        rules.claims.output,
        rules.results_page.output,


rule data:
    input:
        expand(rules.simulate_data.output.dataset, experiment=list(SETTINGS), split=SPLITS),


# For analyses that are made elsewhere (docs/analyses.md), and so not part of `all`.
rule observations:
    input:
        expand(rules.write_observations.output, experiment=list(SETTINGS), sigma_y=NOISE),


rule assimilate:
    input:
        expand(
            [*rules.assimilate_observations.output, *rules.plot_innovations.output],
            assimilation=list(CONFIG.assimilations),
        ),


rule search:
    input:
        expand(rules.search_baseline.output, zip, **baseline_cells()),


rule training:
    input:
        training_files(),


rule evaluation:
    input:
        evaluation_files(),


rule scores:
    input:
        rules.score_filters.output,


rule figures:
    input:
        figure_files(),


rule search_figures:
    input:
        search_files(),


rule published_baselines:
    input:
        rules.gather_published_baselines.output,


# Beyond the paper, and so not part of `all`.
rule robustness:
    input:
        rules.tabulate_robustness.output,


rule reference:
    input:
        rules.tabulate_reference.output,


rule canonical:
    input:
        rules.tabulate_canonical.output,


batch_short_jobs(workflow)
check_targets(
    [
        *rules.data.input,
        *rules.observations.input,
        *rules.assimilate.input,
        *rules.search.input,
        *rules.training.input,
        *rules.published_baselines.input,
        *rules.gather_published_baselines.input,
        *rules.robustness.input,
        *rules.tabulate_robustness.input,
        *rules.reference.input,
        *rules.tabulate_reference.input,
        *rules.canonical.input,
        *rules.tabulate_canonical.input,
        *rules.scaling_dimension.input,
        *rules.scaling_dimension.output,
        *rules.evaluation.input,
        *rules.all.input,
        *rules.search_figures.input,
        *panels_and_curves(),
        *(file for rule in study_rules().values() for file in rule.input),
        *rules.list_weights.input,
        *rules.list_weights.output,
        *seed_files([*rules.train_seed.output, *rules.evaluate_seed.output]),
        results("config.yaml"),
    ],
    figures_left_out(),
)


onstart:
    check_queue(Path.cwd())
    check_experiments()
    write_config(RUN, results("config.yaml"))
    announce(workflow.dag.needrun_jobs(), workflow.cores)


onsuccess:
    page = Path(results("README.md"))
    if page.exists() and page.stat().st_mtime > BEGUN:
        print(warnings_of(page), end="", file=sys.stderr)
    say_undecided()
