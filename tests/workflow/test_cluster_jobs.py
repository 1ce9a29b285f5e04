"""What a cluster is asked for: jobs, time and memory, without a cluster (tests/cluster has one)."""

import re

import pandas as pd
import pytest
import yaml

from benchmarks.costs import as_regex, measure
from benchmarks.plan import WORK, extrapolate, planned, requests
from mnmef.config.settings import at_scale


@pytest.fixture(scope="module")
def settings(root):
    raw = yaml.safe_load((root / "config.yaml").read_text())
    return {scale: at_scale(raw, scale) for scale in raw["scales"]}


def test_every_rule_asks_for_time_and_memory_that_grow_with_attempts(root):
    for path in (root / "rules").glob("*.smk"):
        for text in re.split(r"^(?=(?:use )?rule )", path.read_text(), flags=re.MULTILINE)[1:]:
            if "    script:" not in text or text.startswith("use "):
                continue
            for resource in ("runtime", "mem_mb"):
                assert re.search(rf"{resource}=growing\(\d+", text), f"{path.name}: {text.splitlines()[0]}, {resource}"


def test_rules_that_train_and_no_others_get_a_gpu(root):
    chosen = yaml.safe_load((root / "profiles" / "slurm" / "config.yaml").read_text())["set-resources"]
    text = "".join(path.read_text() for path in (root / "rules").glob("*.smk"))
    training = set(re.findall(r"^rule (\w+):(?:(?!^rule ).)*?envs/train\.yaml", text, flags=re.MULTILINE | re.DOTALL))
    training |= {
        new for old, new in re.findall(r"^use rule (\w+) as (\w+) with", text, re.MULTILINE) if old in training
    }
    # The linear system is so small that it is trained on a CPU everywhere.
    assert {rule for rule, asked in chosen.items() if asked["gpu"]} == training - {"run_linear"}


@pytest.mark.parametrize("scale", ["quick", "laptop", "paper"])
def test_short_jobs_share_a_job_and_long_ones_have_their_own(scale):
    counts, submitted = planned(scale)
    total = sum(counts.values())
    if scale == "paper":
        # Simulations, and scores with figures and tables, are short at every scale.
        long = {rule: count for rule, count in counts.items() if rule in WORK and rule != "simulate_data"}
        assert sum(long.values()) + 2 <= submitted < total
    else:
        assert submitted < total / 3


def test_every_measured_rule_asked_for_the_time_and_memory_that_it_took(root):
    costs, minutes = pd.read_csv(root / "resources" / "costs.csv"), requests()
    for _, row in costs.iterrows():
        assert row["seconds_max"] < 60 * minutes[row["rule"]], row["rule"]
        assert row["memory_mb"] < 2000


def test_an_extrapolation_is_what_was_measured_or_a_line_through_it():
    costs = pd.DataFrame({"scale": ["quick", "laptop"], "rule": "train_filter", "seconds": [12.0, 30.0]})
    work = {"quick": 1.0, "laptop": 10.0, "paper": 100.0}
    assert extrapolate(costs, "seconds", "train_filter", work, "laptop") == (30.0, "laptop")
    assert extrapolate(costs, "seconds", "train_filter", work, "paper")[0] == pytest.approx(10.0 + 2.0 * 100.0)
    assert extrapolate(costs[1:], "seconds", "train_filter", work, "paper") == (pytest.approx(300.0), "laptop")
    # Times at scale quick are those of starting programs.
    assert pd.isna(extrapolate(costs[:1], "seconds", "train_filter", work, "paper")[0])
    assert pd.isna(extrapolate(costs, "seconds", "other", work, "paper")[0])


def test_the_work_of_every_rule_grows_with_the_scale(settings):
    for rule, work in WORK.items():
        assert work(settings["quick"]) < work(settings["laptop"]) <= work(settings["paper"]), rule


def test_work_is_counted_as_the_config_says(settings):
    paper = settings["paper"]
    # Three systems with 1000 epochs of 8192 windows of 60 cycles; two with 24000 steps of 32 windows.
    assert WORK["train_filter"](paper) == (3 * 1000 * 8192 * 60 + 2 * 24000 * 32) / 5
    assert WORK["evaluate_seed"](paper) == 64 * (1500 + 1500 + 2000) / 3


def test_a_measurement_has_the_jobs_times_and_bytes_of_a_rule(tmp_path):
    folder = tmp_path / "results" / "quick"
    for cell, seconds, memory in (("a", 1.0, 100.0), ("b", 3.0, 300.0)):
        benchmark = folder / "benchmarks" / "make" / f"{cell}.tsv"
        benchmark.parent.mkdir(parents=True, exist_ok=True)
        benchmark.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t{memory}\n")
        (folder / f"{cell}_1.0.nc").write_bytes(bytes(100))
    (folder / "other.nc").write_bytes(bytes(7))
    outputs = {"make": [r"results/quick/{cell,[a-z]+}_{level,\d+\.\d+}.nc"], "other": []}
    found = measure(folder, outputs).iloc[0].to_dict()
    assert found == {
        "rule": "make",
        "jobs": 2,
        "seconds": 2.0,
        "seconds_max": 3.0,
        "memory_mb": 300.0,
        "bytes": 100,
    }
    with pytest.raises(FileNotFoundError, match="no job has been measured"):
        measure(tmp_path, outputs)


def test_a_pattern_stands_for_the_files_of_its_wildcards():
    pattern = as_regex(r"data/{system,[a-z0-9]+}_{split,a{2}|b}.nc")
    assert pattern.fullmatch("data/ks_aa.nc")
    assert not pattern.fullmatch("data/ks_a.nc")
    assert not pattern.fullmatch("data/ks_bXnc")
