"""What each rule cost: `make costs SCALE=laptop` after a run reads the times and memories that Snakemake measured.

Writes `resources/costs.csv`, one row for each scale and rule (rows of other scales stay), and, at scale laptop,
`docs/data_flow.md`: rule, inputs, outputs, time and memory. `make plan` extrapolates from the former.
"""

import argparse
import html
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from mnmef.io.files import write_table, write_text
from mnmef.report.results_page import run_times
from mnmef.report.tables import markdown_table

ROOT = Path(__file__).parents[1]
COSTS = ROOT / "resources" / "costs.csv"
DATA_FLOW = ROOT / "docs" / "data_flow.md"
PAGE_SCALE = "laptop"
NOTES = (
    """Names are below `results/laptop/` where no folder is given; braces are wildcards. Where inputs depend on the
config, the rules that make them are named.""",
    """Time and memory of one job, as Snakemake measured them (`results/laptop/benchmarks/`): wall time on one core of a
machine whose other cores ran other jobs, and the largest resident memory.""",
)


def snakemake(*arguments: str, root: Path = ROOT) -> str:
    """What Snakemake prints for `arguments`. Raises `RuntimeError` with its text if it fails."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=root, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def file_patterns(scale: str) -> dict[str, dict[str, list[str]]]:
    """Inputs and outputs of each rule of a run of everything, wildcards in braces, as `--filegraph` draws them."""
    found: dict[str, dict[str, list[str]]] = {}
    for node in re.split(r"^\d+ \[", snakemake("--filegraph", "--forceall", "--config", f"scale={scale}"), flags=re.M):
        name = re.search(r'point-size="18">(\w+)<', node)
        if name is None:
            continue
        inputs, _, outputs = node.partition("output &rarr;")
        cells = [re.findall(r'face="monospace">(.*?)</font>', part) for part in (inputs, outputs)]
        # A wildcard may carry its regular expression: {experiment,[a-z]+}.
        texts = [[html.unescape(cell).replace("\\\\", "\\") for cell in part] for part in cells]
        found[name[1]] = {"inputs": texts[0], "outputs": texts[1]}
    return found


def measure(folder: Path, rules: Collection[str]) -> pd.DataFrame:
    """Jobs, seconds and memory of each of `rules` that has left benchmark files in `folder`, a `results/<scale>`.

    Raises `FileNotFoundError` if nothing was measured.
    """
    times = run_times(folder / "benchmarks")
    times = times[times["rule"].isin(rules)].sort_values("rule")
    if times.empty:
        raise FileNotFoundError(f"no job has been measured in {folder}: run the workflow at this scale first")
    return pd.DataFrame(
        {
            "rule": times["rule"],
            "jobs": times["jobs"],
            "seconds": (times["seconds"] / times["jobs"]).round(2),
            "seconds_max": times["longest"].round(2),
            "memory_mb": times["memory"].round(0),
        }
    )


def rules_before(scale: str) -> dict[str, list[str]]:
    """The other rules whose outputs each rule reads; a training may begin with weights of its own rule."""
    text = snakemake("--rulegraph", "--forceall", "--config", f"scale={scale}")
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', text))
    found: dict[str, list[str]] = {}
    for before, after in re.findall(r"(\d+) -> (\d+)", text):
        if before != after:
            found.setdefault(names[after], []).append(names[before])
    return found


def data_flow(costs: pd.DataFrame, patterns: Mapping[str, dict[str, list[str]]], scale: str) -> pd.DataFrame:
    """The table of the page, one row per rule, in the order of the data."""
    before = rules_before(scale)

    def depth(rule: str) -> int:
        return 1 + max((depth(other) for other in before.get(rule, [])), default=0)

    def short(names: list[str]) -> str:
        texts = [re.sub(r"\{(\w+),(?:[^{}]|\{[^{}]*\})*\}", r"{\1}", name) for name in names]
        return ", ".join(dict.fromkeys(f"`{text.removeprefix(f'results/{scale}/')}`" for text in texts))

    rows = []
    for _, row in costs.sort_values("rule", key=lambda rules: [(depth(rule), rule) for rule in rules]).iterrows():
        files = [name for name in patterns[row["rule"]]["inputs"] if not name.startswith("<")]
        listed = len(files) <= 4
        rules = "" if listed and len(files) == len(patterns[row["rule"]]["inputs"]) else before.get(row["rule"], [])
        rows.append(
            {
                "rule": f"`{row['rule']}`",
                "inputs": "; ".join(
                    filter(None, (short(files) if listed else "", f"what {', '.join(rules)} made" if rules else ""))
                ),
                "outputs": short(patterns[row["rule"]]["outputs"]),
                "jobs": row["jobs"],
                "seconds, mean": f"{row['seconds']:.0f}",
                "seconds, longest": f"{row['seconds_max']:.0f}",
                "memory, MB": f"{row['memory_mb']:.0f}",
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Measure the scale on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=__doc__.splitlines()[0])
    parser.add_argument("scale", help="scale that has been run")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="folder of results (default: results)")
    given = parser.parse_args()
    patterns = file_patterns(given.scale)
    costs = measure(given.results / given.scale, patterns)
    costs.insert(0, "scale", given.scale)
    earlier = pd.read_csv(COSTS) if COSTS.exists() else costs
    table = pd.concat([earlier[earlier["scale"] != given.scale], costs])
    write_table(table.sort_values(["scale", "rule"]), COSTS)
    print(f"{COSTS.relative_to(ROOT)}: {len(costs)} rules at scale {given.scale}")
    if given.scale == PAGE_SCALE:
        title = f"Data flow at scale {given.scale}"
        write_text(markdown_table(data_flow(costs, patterns, given.scale), title=title, notes=NOTES), DATA_FLOW)
        print(f"{DATA_FLOW.relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
