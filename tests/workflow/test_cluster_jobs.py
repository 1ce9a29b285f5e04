"""What a cluster is asked for: jobs, time and memory, without a cluster (tests/cluster has one)."""

import re

import pandas as pd
import pytest
import yaml

from benchmarks import costs
from benchmarks.costs import measure
from benchmarks.plan import WORK, planned, requests, scale_settings, seconds_of


@pytest.fixture(scope="module")
def settings(root):
    raw = yaml.safe_load((root / "config.yaml").read_text())
    return {scale: scale_settings(raw, scale) for scale in raw["scales"]}


def test_every_rule_asks_for_time_and_memory_that_grow_with_attempts(root, rule_blocks):
    for path in (root / "rules").glob("*.smk"):
        for text in rule_blocks(path):
            if "    script:" not in text or text.startswith("use "):
                continue
            for resource in ("runtime", "mem_mb"):
                assert re.search(rf"{resource}=growing\(\d+", text), f"{path.name}: {text.splitlines()[0]}, {resource}"


def test_rules_that_train_and_no_others_get_a_gpu(root, rule_blocks):
    chosen = yaml.safe_load((root / "profiles" / "slurm" / "config.yaml").read_text())["set-resources"]
    blocks = [block for path in (root / "rules").glob("*.smk") for block in rule_blocks(path)]
    training = {re.match(r"rule (\w+)", block)[1] for block in blocks if '"../envs/train.yaml"' in block}
    used = [match for block in blocks if (match := re.match(r"use rule (\w+) as (\w+) with", block))]
    training |= {new for old, new in (match.groups() for match in used) if old in training}
    # The linear system is so small that it is trained on a CPU everywhere.
    assert {rule for rule, asked in chosen.items() if asked["gpu"]} == training - {"run_linear_gaussian"}


def test_the_profile_says_how_many_of_each_group_share_a_job(root):
    profile = yaml.safe_load((root / "profiles" / "slurm" / "config.yaml").read_text())
    said = {name for name, _ in (entry.split("=") for entry in profile["group-components"])}
    text = (root / "rules" / "common" / "cluster.smk").read_text()
    cell = re.search(r'^CELL = "(.+)"$', text, flags=re.MULTILINE)[1]
    groups = {group.replace("{CELL}", cell) for group in re.findall(r'": \(f?"(.+?)", \(', text)}
    assert said == groups
    assert f"search_{cell}" in said


@pytest.mark.parametrize("scale", ["quick", "laptop", "paper"])
def test_short_jobs_share_a_job_and_long_ones_have_their_own(scale):
    counts, submitted = planned(scale)
    total = sum(counts.values())
    if scale == "paper":
        # Simulations, and scores with figures and tables, are short at every scale.
        long = {rule: count for rule, count in counts.items() if rule in WORK}
        assert sum(long.values()) + 2 <= submitted < total
    else:
        assert submitted < total / 3


def test_every_measured_rule_asked_for_the_time_and_memory_that_it_took(root):
    costs, minutes = pd.read_csv(root / "resources" / "costs.csv"), requests()
    for _, row in costs.iterrows():
        assert row["seconds_max"] < 60 * minutes[row["rule"]], row["rule"]
        assert row["memory_mb"] < 2000


def test_seconds_are_those_measured_or_grow_with_the_work_from_the_largest_scale_that_was():
    costs = pd.DataFrame({"scale": ["quick", "laptop"], "rule": "train_filter", "seconds": [12.0, 30.0]})
    work = {"quick": 1.0, "laptop": 10.0, "paper": 100.0}
    assert seconds_of(costs, "train_filter", work, "quick") == (12.0, "quick")
    assert seconds_of(costs, "train_filter", work, "paper") == (300.0, "laptop")
    assert pd.isna(seconds_of(costs, "other", work, "paper")[0])


def test_the_work_of_every_rule_grows_with_the_scale(settings):
    for rule, work in WORK.items():
        assert work(settings["quick"]) < work(settings["laptop"]) <= work(settings["paper"]), rule


def test_work_is_counted_as_the_config_says(settings):
    paper = settings["paper"]
    # Three experiments with 1000 epochs of 8192 windows of 60 cycles; two with 24000 steps of 32 windows.
    assert WORK["train_filter"](paper) == (3 * 1000 * 8192 * 60 + 2 * 24000 * 32) / 5
    assert WORK["evaluate_seed"](paper) == 64 * (1500 + 1500 + 2000) / 3


def test_a_measurement_has_the_jobs_and_times_of_a_rule(tmp_path):
    for rule, cell, seconds, memory in (
        ("make", "a", 1.0, 100.0),
        ("make", "b", 3.0, 300.0),
        ("former", "a", 1.0, 1.0),
    ):
        benchmark = tmp_path / "benchmarks" / rule / f"{cell}.tsv"
        benchmark.parent.mkdir(parents=True, exist_ok=True)
        benchmark.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t{memory}\n")
    found = measure(tmp_path, ["make", "other"])
    assert found.to_dict("records") == [
        {"rule": "make", "jobs": 2, "seconds": 2.0, "seconds_max": 3.0, "memory_mb": 300.0}
    ]
    with pytest.raises(FileNotFoundError, match="no job has been measured"):
        measure(tmp_path / "none", ["make"])


def test_a_rule_that_begins_with_what_it_made_is_not_before_itself(monkeypatch):
    graph = '1[label = "train"];\n2[label = "simulate"];\n1 -> 1\n2 -> 1\n'
    monkeypatch.setattr(costs, "snakemake", lambda *arguments: graph)
    assert costs.rules_before("laptop") == {"train": ["simulate"]}
