"""What a run of everything will take, before anyone submits it: `make plan SCALE=paper`.

Jobs are those of the workflow's own graph. Seconds and bytes of a job come from `resources/costs.csv`, measured where
the scale has been run; else they follow from the scales that have been, in proportion to the work that the config asks
for.
"""

import argparse
import re
import sys
from collections.abc import Mapping
from typing import Any

import pandas as pd
import yaml

from benchmarks.costs import COSTS, ROOT, snakemake
from mnmef.config.settings import at_scale, for_system, merge
from mnmef.filters.classical import LOCALIZED_METHODS

DAPPER = 50
"""How much more a cycle costs in DAPPER than in the batched engine, roughly (README, Benchmark)."""
INFLATIONS, RADII = 16, 10
"""Values in a typical published grid."""


def mean(values: list[float]) -> float:
    """The arithmetic mean; zero of nothing."""
    return sum(values) / max(1, len(values))


def simulated(settings: Mapping[str, Any]) -> float:
    """Cycles of a split, in the mean over splits and systems."""
    train, cells = settings["data"]["train"], []
    for system in settings["systems"]:
        cells.append(train["windows"] * (train["window_cycles"] + train["offset_cycles"]))
        for split in ("tune", "test"):
            part = for_system(settings["data"][split], system)
            cells.append(part["trajectories"] * part["cycles"])
    return mean(cells)


def tested(settings: Mapping[str, Any]) -> float:
    """Cycles of the test split, in the mean over systems."""
    parts = [for_system(settings["data"]["test"], system) for system in settings["systems"]]
    return mean([part["trajectories"] * part["cycles"] for part in parts])


def evaluated(settings: Mapping[str, Any]) -> float:
    """Forecasts of a member over a cycle in an evaluation at all ensemble sizes."""
    return tested(settings) * sum(settings["ensemble_sizes"])


def tuned(settings: Mapping[str, Any]) -> float:
    """Forecasts of a member over a cycle in a search, in the mean over systems and methods."""
    tuning, cells = settings["tuning"], []
    for system in settings["systems"]:
        part = for_system(tuning, system)
        for method in settings["baselines"][system]:
            radii = RADII / tuning["radius_stride"] if method in LOCALIZED_METHODS else 1
            tried = INFLATIONS / tuning["inflation_stride"] * radii
            screen, confirm = tuning["screen"], tuning["confirm"]
            cells.append(
                max(1, tried) * screen["trajectories"] * screen["cycles"]
                + screen["settings"] * part["trajectories"] * part["cycles"]
                + DAPPER * confirm["settings"] * confirm["trajectories"] * confirm["cycles"]
            )
    return mean(cells) * sum(settings["ensemble_sizes"])


def trained(settings: Mapping[str, Any], section: Mapping[str, Any], system: str) -> float:
    """Windows times cycles of a training with the settings `section`."""
    part, data = for_system(section, system), settings["data"]["train"]
    if part["schedule"] == "cycle":
        return part["steps"] * part["batch"]
    return part["epochs"] * data["windows"] * data["window_cycles"]


def pretrained(settings: Mapping[str, Any]) -> float:
    """Windows times cycles of a training, in the mean over systems and filters."""
    conv = merge(settings["training"], settings["mnmef_conv"]["training"])
    cells = [trained(settings, settings["training"], system) for system in settings["systems"]]
    return mean(cells + [trained(settings, conv, system) for system in settings["mnmef_conv"]["training"]["batch"]])


def retrained(settings: Mapping[str, Any]) -> float:
    """As `pretrained`, for the further trainings of mnmef."""
    return mean([trained(settings, settings["training"], system) for system in settings["training_seeds"]["systems"]])


def finetuned(settings: Mapping[str, Any]) -> float:
    """Members times windows times cycles of a fine-tuning, in the mean over systems and ensemble sizes."""
    section = settings["training"] | {key: settings["finetuning"][key] for key in ("epochs", "steps")}
    return mean([trained(settings, section, system) for system in settings["systems"]]) * mean(
        settings["ensemble_sizes"]
    )


def tuned_along(settings: Mapping[str, Any]) -> float:
    """Members times windows times cycles of a fine-tuning of figure 11, and times trajectories of its scores."""
    part, tuning = settings["finetuning_curve"], settings["finetuning"]
    section = settings["training"] | {key: tuning[key] for key in ("epochs", "steps")}
    steps = trained(settings, section, "lorenz96") * max(part["epochs"]) / tuning["epochs"]
    scores = len(part["epochs"]) * settings["data"]["test"]["trajectories"] * part["cycles"]
    return (steps + scores) * mean(part["ensemble_sizes"])


def linear(settings: Mapping[str, Any]) -> float:
    """Windows times cycles of a run of figure C.13, in the mean over those that train and the two that do not."""
    part, runs = settings["linear_gaussian"], 2 * len(settings["linear_gaussian"]["losses"])
    training = part["training"]["steps"] * part["training"]["batch"]
    return training * runs / (runs + 2) + part["trajectories"] * part["cycles"]


def localized(settings: Mapping[str, Any]) -> float:
    """Cycles of the runs that figure 10 shows."""
    return settings["localization_study"]["trajectories"] * settings["localization_study"]["cycles"]


def referred(settings: Mapping[str, Any]) -> float:
    """Forecasts of a member over a cycle in a search for a reference and its test, in the mean over systems."""
    part, cells = settings["reference"], []
    localized = [method for method in part["methods"] if method in LOCALIZED_METHODS]
    for system in settings["systems"]:
        radii = part["radii"].get(system, [])
        tried = len(part["inflations"]) * (len(part["methods"]) - len(localized) + len(localized) * len(radii))
        cells.append(tried * part["trajectories"] * part["cycles"])
    return (mean(cells) + tested(settings)) * part["ensemble_size"]


WORK = {
    "simulate_data": simulated,
    "tune_baseline": tuned,
    "train_filter": pretrained,
    "train_seed": retrained,
    "finetune_filter": finetuned,
    "score_finetuning": tuned_along,
    "run_linear": linear,
    "evaluate_baseline": evaluated,
    "evaluate_learned": evaluated,
    "evaluate_seed": tested,
    "evaluate_other_inflation": evaluated,
    "record_localization": localized,
    "run_reference": referred,
}
"""The work of a job of each rule, in units of its own; that of the others hardly depends on the scale."""
VOLUME = {
    "simulate_data": simulated,
    "evaluate_baseline": evaluated,
    "evaluate_learned": evaluated,
    "evaluate_seed": tested,
    "evaluate_other_inflation": evaluated,
    "record_localization": localized,
}
"""What the bytes of its outputs are in proportion to; those of the others hardly depend on the scale."""


def extrapolate(
    costs: pd.DataFrame, column: str, rule: str, work: Mapping[str, float], scale: str
) -> tuple[float, str]:
    """The mean of a job of `rule` at `scale` and the scales that it follows from: a measured one, else a line.

    The line passes through the two largest scales measured; through one alone, it is in proportion to the work. Times
    at scale quick are those of starting programs, and say nothing alone about rules whose work grows.
    """
    known = costs[costs["rule"] == rule].set_index("scale")[column]
    if scale in known.index:
        return known[scale], scale
    known = known.loc[sorted(known.index, key=lambda name: work[name])]
    if known.empty or (list(known.index) == ["quick"] and work["quick"] != work[scale]):
        return float("nan"), "nothing"
    large = known.index[-1]
    fixed, slope = 0.0, known[large] / work[large]
    if len(known) > 1 and work[large] > work[known.index[-2]]:
        small = known.index[-2]
        slope = max(0.0, (known[large] - known[small]) / (work[large] - work[small]))
        fixed = known[large] - slope * work[large]
    return fixed + slope * work[scale], " and ".join(known.index[-2:])


def requests() -> dict[str, int]:
    """The minutes that each rule asks for at its first attempt; rules made from others ask for the same."""
    found: dict[str, int] = {}
    made: dict[str, str] = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for text in re.split(r"^(?=rule |use rule )", path.read_text(encoding="utf-8"), flags=re.M):
            name = re.match(r"(?:use )?rule (\w+)(?: as (\w+) with)?:", text)
            asked = re.search(r"runtime=growing\((\d+)", text)
            if name and asked:
                found[name[2] or name[1]] = int(asked[1])
            elif name and name[2]:
                made[name[2]] = name[1]
    # A rule may be read before the one that it is made from.
    return found | {new: found[old] for new, old in made.items() if old in found}


def planned(scale: str) -> tuple[dict[str, int], int]:
    """The number of jobs of each rule, and of jobs that SLURM gets with the profile of this repository."""
    dry = snakemake("--dry-run", "--forceall", "--profile", "slurm", "--config", f"scale={scale}")
    _, _, text = dry.partition("Job stats:")
    stats, _, listed = text.partition("total")
    counts = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", stats, flags=re.M)}
    # Each job or group of jobs begins with a date at the margin; `all` is none of SLURM's.
    submitted = len(re.findall(r"^\[.* \d{4}\]", listed, flags=re.M)) - counts.pop("all")
    return counts, submitted


def plan(scale: str, settings: Mapping[str, Mapping[str, Any]], counts: Mapping[str, int]) -> pd.DataFrame:
    """What the jobs of each rule take at `scale`; settings: of all scales."""
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8"))
    costs, asked = pd.read_csv(COSTS), requests()
    rows = []
    for rule, count in counts.items():
        work, volume = (
            {name: table.get(rule, lambda _: 1.0)(each) for name, each in settings.items()} for table in (WORK, VOLUME)
        )
        seconds, source = extrapolate(costs, "seconds", rule, work, scale)
        written, _ = extrapolate(costs, "bytes", rule, volume, scale)
        hours = count * seconds / 3600
        rows.append(
            {
                "rule": rule,
                "jobs": count,
                "minutes_each": seconds / 60,
                "core_hours": hours,
                "gpu_hours": hours * profile["set-resources"].get(rule, {}).get("gpu", 0),
                "MB": count * written / 1e6,
                "asked_minutes": asked.get(rule, 0),
                "from": source,
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Print the plan of the scale on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description="What a run of everything takes.")
    parser.add_argument("scale", help="quick, laptop or paper")
    scale = parser.parse_args().scale
    raw = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    try:
        settings = {name: at_scale(raw, name) for name in (scale, *raw["scales"])}
    except ValueError as error:
        sys.exit(str(error))
    counts, submitted = planned(scale)
    table = plan(scale, settings, counts)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.2f}"))
    total = table[["jobs", "core_hours", "gpu_hours", "MB"]].sum()
    print(
        f"\nScale {scale}: {total['jobs']:.0f} jobs, in {submitted} jobs of SLURM with --profile slurm; "
        f"{total['core_hours']:.1f} core-hours, {total['gpu_hours']:.1f} of them in jobs that ask for a GPU (GPU-hours "
        f"if it is as fast as the core that was measured, fewer if faster); {total['MB'] / 1000:.2f} GB of outputs.\n"
        f"Measured where `from` is {scale}; else extrapolated by the work that the config asks for."
    )
    unknown = table.loc[table["minutes_each"].isna(), "rule"].tolist()
    if unknown:
        print(f"Not measured at any scale, and not in the sums: {', '.join(unknown)} (`make costs SCALE=...`).")
    for _, row in table[table["minutes_each"] > table["asked_minutes"]].iterrows():
        print(
            f"{row['rule']}: {row['minutes_each']:.0f} minutes a job on a core, but {row['asked_minutes']} are asked "
            "for: set training.time_limit, so that it goes on in further jobs, or ask for more."
        )


if __name__ == "__main__":
    main()
