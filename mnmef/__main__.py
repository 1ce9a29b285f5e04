"""Experiments of one's own: `python -m mnmef new-experiment lake.yaml` and `python -m mnmef check lake.yaml`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mnmef.assimilation.check import check_experiment, summary
from mnmef.experiments.files import SHIPPED_FOLDER
from mnmef.experiments.load import load_experiment
from mnmef.io.strict_yaml import read_yaml

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


def new_experiment(file: Path) -> str:
    """Write the template to `file`, and say so. Raises `OSError` if there is such a file, or it cannot be written."""
    with file.open("x", encoding="utf-8") as opened:
        opened.write(TEMPLATE.read_text(encoding="utf-8"))
    return f"Wrote {file}. Edit it, then: python -m mnmef check {file}"


def check(file: Path, config: Path, scale: str | None) -> str:
    """Say that nothing is wrong with an experiment. Raises `ValueError` with a line for each fault."""
    faults = check_experiment(file, read_yaml(config), scale)
    if faults:
        raise ValueError("\n".join(faults))
    return f"{summary(load_experiment(file.stem))}. No fault was found."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    given = _parser().parse_args(arguments)
    try:
        if given.file.suffix != ".yaml":
            raise ValueError(f"{given.file}: the name of an experiment's file ends in .yaml")
        is_new = given.command == "new-experiment"
        print(new_experiment(given.file) if is_new else check(given.file, given.config, given.scale))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
