"""Experiments of one's own: `python -m mnmef new-experiment lake.yaml` and `python -m mnmef check lake.yaml`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from mnmef.assimilation.check import check_experiment, summary
from mnmef.experiments.files import SHIPPED_FOLDER
from mnmef.experiments.load import load_experiment

TEMPLATE = SHIPPED_FOLDER / "template.yaml"
CHECKOUT = Path(__file__).parents[1]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mnmef", description="Experiments of your own.")
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("new-experiment", help="write a file with comments to begin with")
    check = commands.add_parser("check", help="run a few cycles, and say what is wrong")
    for each in (new, check):
        each.add_argument("file", type=Path, help="the experiment's file, such as lake.yaml")
    check.add_argument("--config", type=Path, default=CHECKOUT / "config.yaml", help="settings (default: %(default)s)")
    check.add_argument("--scale", help="overlay of the config (default: the one that it names)")
    return parser


def new_experiment(file: Path) -> int:
    """Write the template to `file`, unless there is one; return the exit status."""
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(TEMPLATE.read_text(encoding="utf-8"))
    except OSError as error:
        print(f"{file} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"Wrote {file}. Edit it, then: python -m mnmef check {file}")
    return 0


def check(file: Path, config: Path, scale: str | None) -> int:
    """Print what is wrong with an experiment, or that nothing is; return the exit status."""
    try:
        raw = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        print(f"{config} cannot be read: {error}", file=sys.stderr)
        return 1
    faults = check_experiment(file, raw, scale)
    print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
    if not faults:
        print(f"{summary(load_experiment(file.stem))}. No fault was found.")
    return int(bool(faults))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    given = _parser().parse_args(arguments)
    if given.file.suffix != ".yaml":
        print(f"{given.file}: the name of an experiment's file ends in .yaml", file=sys.stderr)
        return 1
    if given.command == "new-experiment":
        return new_experiment(given.file)
    return check(given.file, given.config, given.scale)


if __name__ == "__main__":
    sys.exit(main())
