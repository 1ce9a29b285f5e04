"""What a run of everything takes, before anyone submits it: `make plan SCALE=paper`.

Jobs are those of the workflow's own graph. Their seconds are in `resources/costs.csv` where the scale has been
measured; else they grow, from the largest scale that has been, with the work that the config asks for.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import Any

import pandas as pd
import yaml

from benchmarks.costs import COSTS, ROOT, snakemake
from mnmef.config.settings import at_scale
from mnmef.core.names import LOCALIZED_METHODS
from mnmef.experiments.description import describe

DAPPER = 50
"""How much more a cycle costs in DAPPER than in the batched engine, roughly (docs/benchmark.md)."""
INFLATIONS, RADII = 16, 10
"""Values in a typical published grid."""


Settings = Sequence[Mapping[str, Any]]
"""The merged config of each experiment of a scale."""


def scale_settings(raw: Mapping[str, Any], scale: str) -> Settings:
    """Merge the config of each experiment at a scale, and add the grid that it is on."""
    return [at_scale(raw, scale, name) | {"grid": describe(name)["grid"]} for name in raw["experiments"]]


def tested(settings: Settings) -> float:
    """Cycles of the test split, in the mean over experiments."""
    return mean(part["data"]["test"]["trajectories"] * part["data"]["test"]["cycles"] for part in settings)


def evaluated(settings: Settings) -> float:
    """Forecasts of a member over a cycle in an evaluation at all ensemble sizes."""
    return tested(settings) * sum(settings[0]["ensemble_sizes"])


def searched(settings: Settings) -> float:
    """Forecasts of a member over a cycle in a search, in the mean over experiments and methods."""
    cells = []
    for part in settings:
        search, screen, confirm = part["search"], part["search"]["screen"], part["search"]["confirm"]
        for method in part["baselines"]:
            radii = RADII / search["radius_stride"] if method in LOCALIZED_METHODS else 1
            coarse = max(1, INFLATIONS / search["inflation_stride"] * radii) * screen["trajectories"] * screen["cycles"]
            fine = screen["settings"] * search["trajectories"] * search["cycles"]
            cells.append(coarse + fine + DAPPER * confirm["settings"] * confirm["trajectories"] * confirm["cycles"])
    return mean(cells) * sum(settings[0]["ensemble_sizes"])


def trained(part: Mapping[str, Any], over: Mapping[str, Any]) -> float:
    """Windows times cycles of a training on one experiment, with settings `over` those of pretraining."""
    section, data = {**part["training"], **over}, part["data"]["train"]
    if section["schedule"] == "cycle":
        return section["steps"] * section["batch"]
    return section["epochs"] * data["windows"] * data["window_cycles"]


def pretrained(settings: Settings) -> float:
    """Windows times cycles of a training, in the mean over experiments and filters."""
    networks: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [(part, {}) for part in settings]
    networks += [(part, part["mnmef_conv"]["training"]) for part in settings if part["grid"] == "periodic"]
    return mean(trained(part, over) for part, over in networks)


def retrained(settings: Settings) -> float:
    """As `pretrained`, for the further trainings of mnmef."""
    return mean(trained(part, {}) for part in settings)


def finetuned(settings: Settings) -> float:
    """Members times windows times cycles of a fine-tuning, in the mean over experiments and ensemble sizes."""
    lengths = [{key: part["finetuning"][key] for key in ("epochs", "steps")} for part in settings]
    windows = mean(trained(part, over) for part, over in zip(settings, lengths, strict=True))
    return windows * mean(settings[0]["ensemble_sizes"])


def finetuned_along(settings: Settings) -> float:
    """Members times windows times cycles of a fine-tuning of figure 11, and times trajectories of its scores."""
    part = settings[0]
    curve, lengths = part["finetuning_curve"], {key: part["finetuning"][key] for key in ("epochs", "steps")}
    steps = trained(part, lengths) * max(curve["epochs"]) / lengths["epochs"]
    scores = len(curve["epochs"]) * part["data"]["test"]["trajectories"] * curve["cycles"]
    return (steps + scores) * mean(curve["ensemble_sizes"])


WORK: Mapping[str, Callable[[Settings], float]] = {
    "search_baseline": searched,
    "train_filter": pretrained,
    "train_seed": retrained,
    "finetune_filter": finetuned,
    "score_finetuning": finetuned_along,
    "evaluate_baseline": evaluated,
    "evaluate_learned": evaluated,
    "evaluate_seed": tested,
    "evaluate_other_inflation": evaluated,
}
"""Work of a job of each rule that takes long at some scale, in units of its own. Others count as where measured."""


def seconds_of(costs: pd.DataFrame, rule: str, work: Mapping[str, float], scale: str) -> tuple[float, str]:
    """Mean seconds of a job of `rule` at `scale`, and the scale that they follow from; work: by scale."""
    known = costs[costs["rule"] == rule].set_index("scale")["seconds"]
    if known.empty:
        return float("nan"), "nothing"
    source = scale if scale in known.index else max(known.index, key=lambda name: work[name])
    return known[source] * work[scale] / work[source], source


def requests() -> dict[str, int]:
    """The minutes that each rule asks for at its first attempt; rules made from others ask for the same."""
    found: dict[str, int] = {}
    made: dict[str, str] = {}
    for path in (ROOT / "rules").glob("*.smk"):
        for text in re.split(r"^(?=rule |use rule )", path.read_text(encoding="utf-8"), flags=re.M):
            if name := re.match(r"use rule (\w+) as (\w+) with:", text):
                made[name[2]] = name[1]
            elif (name := re.match(r"rule (\w+):", text)) and (asked := re.search(r"runtime=growing\((\d+)", text)):
                found[name[1]] = int(asked[1])
    return {new: found[old] for new, old in made.items() if old in found} | found


def planned(scale: str) -> tuple[dict[str, int], int]:
    """The number of jobs of each rule, and of jobs that SLURM gets with the profile of this repository."""
    dry = snakemake("--dry-run", "--forceall", "--profile", "slurm", "--config", f"scale={scale}")
    stats, _, listed = dry.partition("Job stats:")[2].partition("total")
    counts = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", stats, flags=re.M)}
    # Each job or group of jobs begins with a date at the margin; `all` is none of SLURM's.
    submitted = len(re.findall(r"^\[.* \d{4}\]", listed, flags=re.M)) - counts.pop("all")
    return counts, submitted


def plan(scale: str, settings: Mapping[str, Settings], counts: Mapping[str, int]) -> pd.DataFrame:
    """What the jobs of each rule take at `scale`; settings: of all scales."""
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8"))
    costs, asked = pd.read_csv(COSTS), requests()
    rows = []
    for rule, count in counts.items():
        work = {name: WORK.get(rule, lambda _: 1.0)(each) for name, each in settings.items()}
        seconds, source = seconds_of(costs, rule, work, scale)
        row = {"rule": rule, "jobs": count, "minutes_each": seconds / 60, "core_hours": count * seconds / 3600}
        gpu = profile["set-resources"].get(rule, {}).get("gpu", 0)
        rows.append(row | {"gpu_hours": row["core_hours"] * gpu, "asked_minutes": asked.get(rule, 0), "from": source})
    return pd.DataFrame(rows)


def main() -> None:
    """Print the plan of the scale on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description="What a run of everything takes.")
    parser.add_argument("scale", help="quick, laptop or paper")
    scale = parser.parse_args().scale
    raw = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    try:
        settings = {name: scale_settings(raw, name) for name in (scale, *raw["scales"])}
    except ValueError as error:
        sys.exit(str(error))
    counts, submitted = planned(scale)
    table = plan(scale, settings, counts)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.2f}"))
    total = table[["jobs", "core_hours", "gpu_hours"]].sum()
    print(
        f"\nScale {scale}: {total['jobs']:.0f} jobs, in {submitted} jobs of SLURM with --profile slurm; "
        f"{total['core_hours']:.1f} core-hours, {total['gpu_hours']:.1f} of them in jobs that ask for a GPU (GPU-hours "
        "if it is as fast as the core that was measured, fewer if faster)."
    )
    for _, row in table[table["minutes_each"] > table["asked_minutes"]].iterrows():
        print(
            f"{row['rule']}: {row['minutes_each']:.0f} minutes a job on a core, but {row['asked_minutes']} are asked "
            "for: set training.time_limit, so that it goes on in further jobs, or ask for more."
        )


if __name__ == "__main__":
    main()
