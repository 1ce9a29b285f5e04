"""The quick scale from nothing to figures, and what runs again after which change.

The tests share one finished run, so they stay in one process (`--dist loadfile`) and leave the tree as they found it.
"""

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

from mnmef.learning.checkpoints import read_card
from mnmef.report.results_page import menu_label
from tests.declared_files import differences

QUICK = ("--config", "scale=quick")
CALIBRATION = {"calibration_rank_histograms", "calibration_spread_skill"}
FIGURES = {f"figure_{number}" for number in (*range(1, 12), "c12", "c13")} | CALIBRATION


@pytest.fixture(scope="module")
def finished(tmp_path_factory, copy_sources):
    """A copy of the repository in which the quick scale has been computed."""
    tree = copy_sources(tmp_path_factory.mktemp("run") / "tree")
    # As a user starts it; the others may be forked.
    command = [sys.executable, "-m", "snakemake", "--cores", "all", *QUICK]
    run = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800)
    assert run.returncode == 0, run.stdout[-8000:]
    return tree


@pytest.fixture
def planned(finished, snakemake):
    """A function that says which rules would run now."""

    def jobs(*arguments: str) -> set[str]:
        run = snakemake(finished, "--dry-run", *arguments)
        assert run.returncode == 0, run.stdout
        table = re.search(r"Job stats:(.*?)total", run.stdout, flags=re.DOTALL)
        names = re.findall(r"^(\w+) +\d+$", table[1], flags=re.MULTILINE) if table else []
        assert names or "Nothing to be done" in run.stdout, run.stdout
        return set(names) - {"all"}

    return jobs


@contextmanager
def edited(path, old, new):
    """Replace `old` by `new` in a file for a while; afterwards its content and its time stamp are what they were."""
    text, stat = path.read_text(), path.stat()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    try:
        yield
    finally:
        path.write_text(text)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_the_run_ends_with_all_figures_and_tables(finished):
    results = finished / "results" / "quick"
    for name in FIGURES:
        assert (results / "figures" / f"{name}.svg").read_text().rstrip().endswith("</svg>")
        assert (results / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    scores = pd.read_csv(results / "scores.csv")
    columns = "experiment sigma_y method ensemble_size rrmse rrmse_std n_trajectories n_diverged rrmse_low rrmse_high"
    assert set(columns.split()) <= set(scores.columns)
    calibration = "forecast_rrmse spread_error_ratio crps energy_score coverage_95 rmse_observed rmse_unobserved"
    assert scores[calibration.split()].notna().to_numpy().any(0).all()
    assert {"divergence_rate", "cycles_to_converge"} <= set(scores.columns)
    # Three epochs, four trajectories, two ensemble sizes and two strategies.
    assert len(pd.read_csv(results / "tables" / "figure_11.csv")) == 3 * 4 * 2 * 2
    # Three experiments with 2 + 3 + 3 learned and 5 + 6 + 6 classical methods, at two ensemble sizes.
    assert len(scores) == (8 + 17) * 2
    assert len(pd.read_csv(results / "reproduction.csv")) > 0
    # Four trajectories of each; the learned filters against all others, at two ensemble sizes.
    assert len(pd.read_csv(results / "trajectories.csv")) == len(scores) * 4
    assert len(pd.read_csv(results / "improvements.csv")) == (2 * 6 + 3 * 8 + 3 * 8) * 2
    assert pd.read_csv(results / "seeds.csv")["training"].tolist() == [1, 2]
    for number, suffix in itertools.product((4, 5, 6), ("csv", "md")):
        assert (results / "tables" / f"table_{number}.{suffix}").stat().st_size > 0
    # All claims that figures 9 and 10 bear on are judged.
    claims = pd.read_csv(results / "claims.csv").set_index("claim")["verdict"]
    assert not claims[["inflation_helps", "weights_decrease"]].eq("not run").any()
    assert (results / "config.yaml").exists()


def test_every_file_between_stages_says_where_it_comes_from(finished):
    paths = sorted((finished / "results" / "quick").glob("*/*.nc"))
    # Three splits of three experiments, 25 evaluations, one of a training from another seed, one with the learned
    # inflation switched, a record of learned localization weights, six runs of figure C.13.
    assert len(paths) == 9 + 25 + 1 + 1 + 1 + 6
    for path in paths:
        with xr.open_dataset(path) as dataset:
            for key in ("kind", "experiment", "settings", "seed", "commit", "versions"):
                assert key in dataset.attrs, f"{path.name} has no {key}"
            assert all("long_name" in variable.attrs for variable in dataset.data_vars.values()), path.name


def test_every_file_of_the_run_and_every_variable_and_column_is_in_the_reference(finished):
    assert dict(differences(finished / "results" / "quick")) == {}


def test_a_second_run_has_nothing_to_do(finished, snakemake):
    run = snakemake(finished, "--cores", "all", *QUICK)
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout


def test_every_job_leaves_a_log_and_a_benchmark(finished):
    results = finished / "results" / "quick"
    logs = {path.relative_to(results / "logs").with_suffix("") for path in (results / "logs").rglob("*.log")}
    benchmarks = {
        p.relative_to(results / "benchmarks").with_suffix("") for p in (results / "benchmarks").rglob("*.tsv")
    }
    assert logs == benchmarks
    assert len(logs) > 70


def test_an_edit_of_plotting_code_draws_figures_and_trains_nothing(finished, planned):
    plotting = finished / "mnmef" / "report" / "figures"
    with edited(plotting / "style.py", "COLUMN_WIDTH = 7.0", "COLUMN_WIDTH = 7.5"):
        # Claims are judged by the tables of figures 9 to 11, too.
        assert planned(*QUICK) == FIGURES | {"claims", "results_page"}
    with edited(plotting / "curves.py", 'OURS = METHODS["mnmef_finetuned"]', 'OURS = METHODS["mnmef_pretrained"]'):
        # Figures 9 and 11 are drawn by the same module.
        curves = {f"figure_{number}" for number in (1, 4, 7, 9, 11)}
        assert planned(*QUICK) == curves | {"claims", "results_page"}


def test_an_edit_of_the_training_trains_anew_but_simulates_and_tunes_nothing(finished, planned):
    with edited(finished / "mnmef" / "learning" / "trainer.py", "CURVE_POINTS = 200", "CURVE_POINTS = 100"):
        jobs = planned(*QUICK)
    assert {"train_filter", "finetune_filter", "evaluate_learned", "score_filters"} <= jobs
    assert not jobs & {"simulate_data", "search_baseline", "evaluate_baseline"}


def test_comments_and_docstrings_rerun_nothing(finished, planned):
    with (
        edited(
            finished / "mnmef" / "learning" / "trainer.py",
            "CURVE_POINTS = 200",
            "CURVE_POINTS = 200  # points of a curve",
        ),
        edited(finished / "workflow_scripts" / "data" / "simulate_data.py", '"""Make', '"""Makes'),
    ):
        assert planned(*QUICK) == set()


def test_a_setting_reruns_what_depends_on_it(planned):
    assert planned(*QUICK, "training={checkpoint_seconds: 5}") == set()
    finer = planned(*QUICK, "finetuning={steps: 6}")
    assert "finetune_filter" in finer
    assert "train_filter" not in finer
    assert "simulate_data" not in planned(*QUICK, "search={inflation_stride: 9}")
    uninflated = planned(*QUICK, "model={inflation: false}")
    assert "evaluate_learned" in uninflated
    assert "train_filter" not in uninflated


def test_threads_and_memory_rerun_nothing(planned):
    assert planned("--set-threads", "train_filter=2", "--set-resources", "train_filter:mem_mb=9000", *QUICK) == set()


def test_one_figure_is_one_job(finished, snakemake):
    for suffix in ("svg", "png"):
        (finished / "results" / "quick" / "figures" / f"figure_3.{suffix}").unlink()
    run = snakemake(finished, "figure_3", "--cores", "1", *QUICK)
    assert run.returncode == 0, run.stdout
    assert "1 of 1 steps" in run.stdout


@pytest.fixture(scope="module")
def report(finished, snakemake):
    """Snakemake's report on the finished run, made as `make report` makes it."""
    path = finished / "results" / "quick" / "report.html"
    stylesheet = ("--report-stylesheet", "docs/report.css")
    run = snakemake(finished, "--report", str(path.relative_to(finished)), *stylesheet, *QUICK)
    assert run.returncode == 0, run.stdout[-4000:]
    assert "Missing metadata" not in run.stdout
    return path


def test_the_results_page_shows_every_figure_and_every_table_that_was_made(finished):
    results = finished / "results" / "quick"
    page = (results / "README.md").read_text()
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)
    assert sorted(shown) == sorted(f"figures/{path.name}" for path in (results / "figures").glob("*.png"))
    for path in [results / "claims.md", *(results / "tables").glob("*.md")]:
        assert path.read_text().splitlines()[2] in page, path.name
    assert page.index("## Claims") < page.index("## Figure 1:") < page.index("## Table 4:")
    for part in ("scale: quick", "| torch", "| train_filter"):
        assert part in page
    # Every picture and table is explained.
    for stem in [*(Path(name).stem for name in shown), *(path.stem for path in (results / "tables").glob("*.md"))]:
        assert (finished / "docs" / "captions" / f"{stem}.rst").exists(), f"{stem} has no caption"


def test_the_report_holds_every_figure_and_table_with_a_caption_and_asks_for_no_other_file(finished, report):
    text = report.read_text()
    results = json.loads(re.search(r"^    var results = (.*);$", text, flags=re.MULTILINE)[1])
    folder = finished / "results" / "quick"
    tables = {path.stem for path in (folder / "tables").glob("*.md")}
    made = {path.name for path in (folder / "figures").glob("*.png")} | {f"{stem}.html" for stem in tables}
    assert {entry["name"] for entry in results.values()} == made | {
        *("claims.html", "config.html", "versions.html", "run_times.html")
    }
    for entry in results.values():
        assert entry["caption"].strip(), entry["name"]
        assert entry["data_uri"].startswith(f"data:{entry['mime_type']}")
    assert not re.findall(r"<(?:script|img|iframe)[^>]+src=.?http|<link[^>]+href=.?http", text)


def test_a_browser_without_a_network_shows_the_report_and_logs_no_error(finished, report, browser, tmp_path):
    claims = pd.read_csv(finished / "results" / "quick" / "claims.csv")
    captions = finished / "docs" / "captions"
    browser.open(report)
    # The landing page has the table of claims: for each the verdict, our number, its interval and the published one.
    browser.wait_for("document.querySelector('#app .prose table')")
    rows = browser.evaluate(
        "[...document.querySelectorAll('#app .prose tr')].map(row => [...row.cells].map(cell => cell.innerText))"
    )
    cells = {row[0]: row[1:] for row in rows}
    for claim in claims.itertuples():
        verdict, _, ours, published = cells[claim.statement][:4]
        assert verdict == claim.verdict
        numbers = [claim.ours, claim.low, claim.high, claim.published]
        expected = ["-" if pd.isna(number) else f"{number:.3f}" for number in numbers]
        assert [*re.findall(r"[^ ,\[\]]+", ours), published] == expected
    figures = sorted((finished / "results" / "quick" / "figures").glob("*.png"))
    for path in figures:
        browser.evaluate("app.setView({navbarMode: 'menu'})")
        browser.click("Calibration" if path.stem.startswith("calibration") else "Figures")
        browser.click(menu_label(path.stem, captions), then="a")
        picture = f"Object.values(results).find(each => each.name === '{path.name}').data_uri"
        browser.wait_for(f"document.querySelector('.grow.h-screen img')?.src === {picture}")
        browser.wait_for("document.querySelector('.grow.h-screen img').complete")
        assert browser.evaluate("document.querySelector('.grow.h-screen img').naturalWidth") > 300, path.name
        browser.screenshot(tmp_path / path.name)
    browser.evaluate("app.setView({navbarMode: 'menu'})")
    browser.click("Statistics")
    browser.wait_for("document.querySelector('#app canvas, #app svg.marks')")
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:", "blob:", "about:"))] == []


def test_the_browser_of_the_tests_sees_errors_and_requests(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '<p>text</p><img src="http://example.org/x.png"><script>console.error("seen"); undefinedName</script>'
    )
    browser.open(page)
    assert browser.evaluate("document.querySelector('p').innerText") == "text"
    assert any("seen" in error for error in browser.errors)
    assert any("undefinedName" in error for error in browser.errors)
    assert any("ERR_NAME_NOT_RESOLVED" in error for error in browser.errors)
    assert "http://example.org/x.png" in browser.requests


def test_a_truncated_file_fails_its_reader_by_name_and_loses_nothing_else(finished, snakemake):
    results = finished / "results" / "quick"
    path, scores = results / "data" / "ks_test.nc", results / "evaluation" / "ks_1.0_enkf.nc"
    whole, stat, before = path.read_bytes(), path.stat(), scores.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    try:
        run = snakemake(finished, str(scores.relative_to(finished)), "--cores", "1", *QUICK)
        assert run.returncode != 0
        log = (results / "logs" / "evaluate_baseline" / "ks_1.0_enkf.log").read_text()
        assert "ks_test.nc is not as it was written" in log
        assert "Traceback" in log
    finally:
        path.write_bytes(whole)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = snakemake(finished, str(scores.relative_to(finished)), "--cores", "1", *QUICK)
    assert again.returncode == 0, again.stdout
    with xr.open_dataset(scores) as dataset:
        assert dataset.attrs["experiment"] == "ks"
    assert abs(len(scores.read_bytes()) - len(before)) < 4096


def test_an_archive_gives_a_fresh_clone_in_which_nothing_is_left_to_do(finished, snakemake, copy_sources, tmp_path):
    def archive(tree, *arguments):
        command = [sys.executable, "-m", "benchmarks.archive", *map(str, arguments)]
        done = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout

    packed, clone = tmp_path / "run.tar.xz", copy_sources(tmp_path / "clone")
    archive(finished, "pack", "quick", "--out", packed)
    archive(clone, "restore", packed)
    assert not (clone / "results" / "quick" / "data").exists()
    plan = snakemake(clone, "--dry-run", *QUICK)
    assert "Nothing to be done" in plan.stdout
    assert "5 jobs were run again; 0 files differ" in archive(clone, "verify", "quick")


def test_the_first_picture_stands_before_half_of_the_evaluations(finished):
    results = finished / "results" / "quick"
    drawn = (results / "figures" / "figure_2.png").stat().st_mtime  # figure 3, of the same jobs, is drawn anew above
    evaluated = sorted(file.stat().st_mtime for file in (results / "evaluation").glob("*.nc"))
    assert drawn < evaluated[len(evaluated) // 2]


def test_a_training_at_another_noise_level_begins_with_the_weights_of_the_first(tmp_path, copy_sources, snakemake):
    tree = copy_sources(tmp_path / "tree")
    folder = Path("results/quick/training/lorenz63_0.7")
    settings = ("scale=quick", "noise_levels=[1.0, 0.7]", "training={continued: {sigma_y: 1.0, steps: 3}}")
    run = snakemake(tree, str(folder / "mnmef_pretrained.safetensors"), "--cores", "1", "--config", *settings)
    assert run.returncode == 0, run.stdout
    card = read_card(tree / folder / "mnmef_pretrained.safetensors")
    assert card["start"]["sigma_y"] == 1.0
    assert pd.read_csv(tree / folder / "mnmef_pretrained_curve.csv")["step"].max() == 3


def test_an_interrupted_training_goes_on_where_it_was(finished, snakemake):
    steps = 300
    settings = ("scale=quick", f"training={{steps: {steps}, checkpoint_seconds: 0.2}}")
    target = "results/quick/training/lorenz63_1.0/mnmef_pretrained.safetensors"
    command = [sys.executable, "-m", "snakemake", target, "--cores", "1", "--config", *settings]
    folder = finished / "results" / "quick" / "resume" / "lorenz63_1.0"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def heed_interrupts() -> None:
        # A test run that a script has put into the background ignores them, and so would what it starts.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command, cwd=finished, start_new_session=True, preexec_fn=heed_interrupts, **quiet
    ) as process:
        # A name with a leading dot is a file that is still being written.
        deadline = time.monotonic() + 120
        while not list(folder.glob("[!.]*.pt")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        # Ctrl-C in a terminal reaches Snakemake and its jobs alike. Python drops the exception where it falls into a
        # finalizer, so that a user, too, presses again.
        while process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)
    assert not (finished / target).exists()
    assert list(folder.glob("[!.]*.pt"))
    run = snakemake(finished, target, "--cores", "1", "--config", *settings)
    assert run.returncode == 0, run.stdout
    log = (finished / "results" / "quick" / "logs" / "train_filter" / "lorenz63_1.0_mnmef.log").read_text()
    first_step = int(re.search(rf"\| (\d+)/{steps}", log)[1])
    assert 0 < first_step < steps
    assert not list(folder.glob("*.pt"))
