"""The graph of jobs, without running any of them."""

import re

import pytest

from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import initial_filter
from mnmef.learning.checkpoints import save_checkpoint

FIGURES = {f"figure_{number}" for number in (*range(1, 12), "c12", "c13")}
SOURCES = ("rule simulate_data:", "rule run_linear_gaussian:", "rule run_canonical:")
"""Rules that simulate from params alone, without an input."""
CALIBRATION = {"calibration_rank_histograms", "calibration_spread_skill"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory, copy_sources):
    return copy_sources(tmp_path_factory.mktemp("dag") / "tree")


def set_baselines(tree, baselines: dict[str, list[str]]) -> None:
    """Write the classical filters of each experiment into its file."""
    for name, methods in baselines.items():
        path = tree / "mnmef" / "experiments" / "paper" / f"{name}.yaml"
        text, count = re.subn(r"^baselines: .*$", f"baselines: [{', '.join(methods)}]", path.read_text(), flags=re.M)
        assert count == 1
        path.write_text(text)


def planned(output: str) -> dict[str, int]:
    """The numbers of jobs in the first table of a dry run."""
    table = output.split("Job stats:")[1].split("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)}


@pytest.mark.parametrize(
    ("scale", "noise_levels", "sizes", "seeds"), [("quick", 1, 2, 1), ("laptop", 2, 7, 3), ("paper", 2, 7, 12)]
)
def test_the_graph_of_a_scale_has_a_job_for_each_cell(tree, snakemake, scale, noise_levels, sizes, seeds):
    run = snakemake(tree, "--dry-run", "--config", f"scale={scale}")
    assert run.returncode == 0, run.stdout
    assert planned(run.stdout) == {
        "all": 1,
        "simulate_data": 3 * 3,
        "search_baseline": noise_levels * 17,
        "train_filter": noise_levels * (3 + 2),
        "train_seed": seeds,
        "finetune_filter": noise_levels * 3 * sizes,
        "evaluate_baseline": noise_levels * 17,
        "evaluate_learned": noise_levels * (3 * 2 + 2),
        "evaluate_seed": seeds,
        "evaluate_other_inflation": noise_levels,
        "record_localization": noise_levels,
        "time_filters": 2,
        "list_weights": 1,
        "score_filters": 1,
        **dict.fromkeys(("table_4", "table_5", "table_6"), 1),
        "claims": 1,
        "results_page": 1,
        # Two references, two losses without and with weight decay; two ensemble sizes, heads and all parameters.
        "run_linear_gaussian": 2 * 2,
        "run_linear_reference": 2,
        "score_finetuning": 2 * 2,
        **({"run_reference": noise_levels * 3} if scale != "quick" else {}),
        **dict.fromkeys(FIGURES | CALIBRATION, 1),
    }


@pytest.mark.parametrize(("scale", "searches"), [("quick", 17), ("laptop", 34), ("paper", 34)])
def test_the_published_searches_are_a_target_of_their_own(tree, snakemake, scale, searches):
    run = snakemake(tree, "published_baselines", "--dry-run", "--config", f"scale={scale}")
    assert run.returncode == 0, run.stdout
    jobs = {"published_baselines": 1, "gather_published_baselines": 1, "search_published_baseline": searches}
    assert planned(run.stdout) == jobs


def test_a_configuration_file_of_ones_own_and_the_command_line_win_over_the_scale(tree, snakemake):
    (tree / "mine.yaml").write_text("ensemble_sizes: [10, 20, 40]\nexperiments: [lorenz96]\n")
    run = snakemake(tree, "--dry-run", "--configfile", "mine.yaml", "--config", "scale=quick", "noise_levels=[0.5]")
    assert run.returncode == 0, run.stdout
    jobs = planned(run.stdout)
    assert jobs["finetune_filter"] == 3
    assert jobs["evaluate_baseline"] == 6
    # Panels and figures 11 and C.12 show sigma_y = 1, which is not run; C.13 has a system of its own.
    assert set(jobs) & FIGURES == {"figure_1", "figure_8", "figure_10", "figure_c13"}
    assert "lorenz96_0.5_letkf" in run.stdout


def test_a_figure_of_the_paper_is_drawn_where_its_search_is_run(tmp_path, copy_sources, snakemake):
    tree = copy_sources(tmp_path / "tree")
    (tree / "few.yaml").write_text("ensemble_sizes: [15]\n")
    (tree / "none.yaml").write_text("{}\n")
    shown = {}
    for name, baselines in (
        ("few", {"lorenz63": [], "lorenz96": [], "ks": ["letkf"]}),
        ("none", {"lorenz63": [], "lorenz96": ["letkf"], "ks": ["esrf"]}),
    ):
        set_baselines(tree, baselines)
        run = snakemake(tree, "--dry-run", "--configfile", f"{name}.yaml", "--config", "scale=quick")
        assert run.returncode == 0, run.stdout
        shown[name] = set(planned(run.stdout)) & FIGURES
    # Panels show ten members, which are not run; the search is.
    # Figure 10 compares with the search of LETKF on Lorenz '96.
    always = {"figure_1", "figure_4", "figure_7", "figure_8", "figure_9", "figure_11", "figure_c13"}
    assert shown["few"] == always | {"figure_c12"}
    assert shown["none"] == always | {"figure_2", "figure_3", "figure_10"}


def test_other_noise_levels_go_on_from_the_weights_of_one_that_is_run_and_each_seed_from_its_own(tree, snakemake):
    def jobs(target, *settings):
        run = snakemake(tree, f"results/{target}", "--dry-run", "--config", *settings)
        assert run.returncode == 0, run.stdout
        return planned(run.stdout)

    weights = "training/lorenz96_0.7/mnmef_pretrained.safetensors"
    assert jobs(f"laptop/{weights}", "scale=laptop") == {"simulate_data": 1, "train_filter": 2}
    assert jobs(f"laptop/{weights}", "scale=laptop", "noise_levels=[0.7]") == {"simulate_data": 1, "train_filter": 1}
    assert jobs(f"paper/{weights}", "scale=paper") == {"simulate_data": 1, "train_filter": 1}
    again = "laptop/training/lorenz96_0.7/mnmef_pretrained_seed_2.safetensors"
    seeds = "training_seeds={noise_levels: [1.0, 0.7]}"
    assert jobs(again, "scale=laptop", seeds) == {"simulate_data": 1, "train_seed": 2}


def test_figures_of_single_experiments_need_little_and_can_start_from_shipped_weights(tree, snakemake):
    def jobs(target, *settings):
        run = snakemake(tree, target, "--dry-run", "--config", "scale=quick", *settings)
        assert run.returncode == 0, run.stdout
        return planned(run.stdout)

    linear = {"run_linear_gaussian": 4, "run_linear_reference": 2, "figure_c13": 1}
    assert jobs("figure_c13") == linear
    assert jobs("figure_c13", "linear_gaussian={losses: [nl2]}") == {**linear, "run_linear_gaussian": 2}
    needed = {"simulate_data": 2, "score_finetuning": 4, "figure_11": 1}
    assert jobs("figure_11") == {**needed, "train_filter": 1}
    assert jobs("figure_11", "weights=shipped") == needed
    assert "figure_11" not in jobs("claims", "experiments=[ks]")
    assert jobs("claims", "learned=[mnmef]")["figure_11"] == 1


@pytest.mark.parametrize(
    ("target", "setting", "needed"),
    [
        ("figure_7", "experiments=[ks]", "experiment lorenz63"),
        ("figure_2", "noise_levels=[0.7]", "experiment lorenz96, noise level 1.0"),
        ("figure_c12", "baselines=[esrf]", "experiment ks, noise level 1.0, letkf"),
        ("figure_9", "learned=[]", "experiment ks; mnmef"),
        ("figure_11", "noise_levels=[0.7]", "experiment lorenz96, noise level 1.0; mnmef"),
        ("figure_c13", "learned=[mnmef_conv]", "mnmef"),
        ("results/quick/figures/figure_7.png", "experiments=[ks]", "experiment lorenz63"),
    ],
)
def test_a_figure_that_the_config_cannot_make_is_refused_before_any_job(tree, snakemake, target, setting, needed):
    run = snakemake(tree, target, "--dry-run", "--config", "scale=quick", setting)
    name = target.rpartition("/")[2].removesuffix(".png")
    assert run.returncode != 0
    assert f"{name} cannot be made with this config, which does not run all that it needs: {needed}" in run.stdout


def test_a_key_twice_in_a_file_of_ones_own_is_refused_with_its_line(tree, snakemake):
    (tree / "mine.yaml").write_text("training:\n  steps: 3\n  batch: 4\n  steps: 5\n")
    run = snakemake(tree, "--dry-run", "--configfile", "mine.yaml", "--config", "scale=quick")
    assert run.returncode != 0
    assert "mine.yaml cannot be read: key steps stands twice" in run.stdout
    assert "line 4" in run.stdout


def test_a_figure_shows_the_reference_of_its_own_system_where_the_config_says_so(tree, snakemake):
    settings = ("--config", "scale=quick", "reference={in_figures: true}")
    run = snakemake(tree, "--dry-run", "figure_7", *settings)
    assert planned(run.stdout)["run_reference"] == 1
    assert "reference/lorenz63_1.0_best.csv" in run.stdout


def test_the_figures_of_the_searches_need_the_searches_alone(tree, snakemake):
    for target, count in (("search_figures", 17), ("figure_c12", 1)):
        run = snakemake(tree, "--dry-run", target, "--config", "scale=quick")
        assert run.returncode == 0, run.stdout
        jobs = planned(run.stdout)
        assert jobs["search_baseline"] == count
        drawn = {"plot_search", "search_figures"} if count > 1 else {"figure_c12"}
        assert set(jobs) == {"simulate_data", "search_baseline", *drawn}


def test_trainings_from_other_seeds_are_few_and_need_filters_that_are_trained_and_scored(tree, snakemake):
    def jobs(*settings):
        run = snakemake(tree, "scores", "--dry-run", "--config", "scale=quick", *settings)
        assert run.returncode == 0, run.stdout
        found = planned(run.stdout)
        assert found.get("train_seed", 0) == found.get("evaluate_seed", 0)
        return found.get("train_seed", 0)

    assert jobs() == 1
    assert jobs("training_seeds={count: 1}") == 0
    assert jobs("training_seeds={count: 3, experiments: [lorenz96, ks], noise_levels: [0.7, 1.0]}") == 4
    assert jobs("weights=shipped") == 0
    assert jobs("learned=[mnmef_conv]") == 0
    # The training has ten members.
    assert jobs("ensemble_sizes=[5, 20]") == 0


def test_weights_of_ones_own_are_evaluated_beside_the_others_and_train_nothing(tree, snakemake):
    filter_ = initial_filter(load_experiment("ks"), 1.0, {"channels": 8, "layers": 2}, 0, name="mnmef_conv")
    save_checkpoint(filter_, tree / "own.safetensors")
    (tree / "own.yaml").write_text("own_weights: {ks_1.0: own.safetensors}\n")
    settings = ("--configfile", "own.yaml", "--config", "scale=quick")
    target = "results/quick/evaluation/ks_1.0_mnmef_conv_own.nc"
    run = snakemake(tree, target, "--dry-run", *settings)
    assert run.returncode == 0, run.stdout
    assert planned(run.stdout) == {"simulate_data": 1, "evaluate_learned": 1}
    everything = snakemake(tree, "--dry-run", *settings)
    assert planned(everything.stdout)["evaluate_learned"] == 3 * 2 + 2 + 1
    elsewhere = snakemake(tree, "--dry-run", "--config", "scale=quick", "own_weights={lorenz96_1.0: own.safetensors}")
    assert elsewhere.returncode != 0
    assert "own.safetensors was trained with experiment = 'ks', but 'lorenz96' is asked for" in elsewhere.stdout


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("figure_12", "Did you mean figure_c12?"),
        ("figur_3", "Did you mean figure_3?"),
        ("results/quick/evaluation/lorenz97_1.0_letkf.nc", "results/quick/evaluation/lorenz96_1.0_letkf.nc"),
        ("results/quick/evaluation/ks_1.0_letk.nc", "Did you mean results/quick/evaluation/ks_1.0_letkf.nc?"),
        (
            "results/quick/training/ks_1.0/mnmef_finetuned_11.safetensors",
            "Did you mean results/quick/training/ks_1.0/mnmef_finetuned_10.safetensors?",
        ),
        ("published_baseline", "Did you mean published_baselines?"),
        ("results/quick/published_baselines/ks_1.0_letk.csv", "results/quick/published_baselines/ks_1.0_letkf.csv"),
        ("results/paper/scores.csv", "add --config scale=paper"),
    ],
)
def test_an_unknown_target_is_answered_with_the_nearest_one(tree, snakemake, target, said):
    run = snakemake(tree, "--dry-run", target, "--config", "scale=quick")
    assert run.returncode != 0
    assert said in run.stdout


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("scale=quik", "Did you mean 'quick'?"),
        ("trainings={steps: 3}", "Did you mean 'training'?"),
        ("training={steps: -3}", "training.steps = -3 must be at least 1"),
        ("systems=[ks]", "config key systems is called experiments now"),
        ("tuning={cycles: 40}", "config key tuning is called search now"),
        ("seed=often", "seed = 'often' must be a whole number"),
    ],
)
def test_a_bad_setting_ends_the_run_before_any_job(tree, snakemake, setting, said):
    run = snakemake(tree, "--cores", "1", "--config", setting)
    assert run.returncode != 0
    assert said in run.stdout
    assert "Traceback" not in run.stdout
    assert not (tree / "results").exists()


def test_every_rule_has_its_log_benchmark_and_environment_and_at_most_25_lines(root, rule_blocks):
    blocks = [block for path in (root / "rules").glob("*.smk") for block in rule_blocks(path)]
    assert blocks
    for block in blocks:
        name = block.splitlines()[0]
        assert len([line for line in block.splitlines() if line.strip()]) <= 25, name
        for directive in ("output", "log", "benchmark", "message"):
            assert f"    {directive}:" in block, f"{name} has no {directive}"
        if not name.startswith("use "):
            for directive in ("input", "conda", "threads", "resources", "params", "script"):
                is_source = name in SOURCES and directive == "input"
                assert is_source or f"    {directive}:" in block, f"{name} has no {directive}"


def test_every_script_is_used_and_every_rule_has_its_script(root, rule_blocks):
    used = set()
    for block in (block for path in (root / "rules").glob("*.smk") for block in rule_blocks(path)):
        script = re.search(r"workflow_scripts/((\w+)/(\w+))\.py", block)
        if script:
            used.add(script[1])
            # A script is called as its rule, and the digest of a rule is that of its own script.
            assert block.startswith(f"rule {script[3]}:")
            assert re.search(r'code=code\("(\w+/\w+)"\)', block)[1] == script[1]
    assert used == {f"{path.parent.name}/{path.stem}" for path in (root / "workflow_scripts").rglob("*.py")}
    for path in (root / "workflow_scripts").rglob("*.py"):
        assert re.search(rf"^def {path.stem}\(", path.read_text(), flags=re.MULTILINE), path.name


def test_a_rule_that_takes_anothers_script_has_the_digest_of_that_script(root, rule_blocks):
    blocks = [block for path in (root / "rules").glob("*.smk") for block in rule_blocks(path)]
    digests = {
        re.match(r"rule (\w+)", block)[1]: re.search(r'code=code\("(\w+/\w+)"\)', block)[1]
        for block in blocks
        if block.startswith("rule ")
    }
    for block in blocks:
        used = re.match(r"use rule (\w+) as", block)
        if used and "    params:" in block:
            assert re.search(r'code=code\("(\w+/\w+)"\)', block)[1] == digests[used[1]], block.splitlines()[0]
